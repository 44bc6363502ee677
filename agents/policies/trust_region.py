"""An actor-critic policy for sb3-contrib's TRPO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from stable_baselines3.common.distributions import CategoricalDistribution, Distribution
from torch import Tensor, nn
from torch.distributions import Categorical

from agents.memory.packed import PackedBatch
from agents.policies.actor_critic import TokenActorCriticPolicy
from agents.policies.masks import states_of
from agents.policies.utterances import Utterances


class TokenTrustRegionPolicy(TokenActorCriticPolicy):
    """``TokenActorCriticPolicy`` with what TRPO asks for: second derivatives, only parameters that learn, and at turn
    level a distribution that is made when the utterances are known."""

    def __init__(self, *positional: Any, **keywords: Any) -> None:
        super().__init__(*positional, **keywords)
        model = self.reader.backbone.model
        if hasattr(model, "set_attn_implementation"):
            model.set_attn_implementation("eager")  # the fused attention has no second derivative
        self._last: list[Distribution] = []

    def named_parameters(self, *positional: Any, **keywords: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Those that learn: TRPO differentiates by each one named. It leaves out those with *value* in their names,
        which it takes for the critic's, while some attention layers are called so."""
        for name, parameter in super().named_parameters(*positional, **keywords):
            if parameter.requires_grad:
                yield name.replace("value", "val"), parameter

    def get_distribution(self, obs: Tensor | PackedBatch) -> CategoricalDistribution:  # type: ignore[override]
        """The distribution over tokens, choices or (once their log-probabilities are asked for) utterances."""
        wrapped = _LazyUtterances(self, obs) if self.reader.turn_level else super().get_distribution(obs)
        if torch.is_grad_enabled():
            self._last[:] = [wrapped]
        return wrapped  # type: ignore[return-value]

    def predict_values(self, obs: Tensor | PackedBatch) -> Tensor:  # type: ignore[override]
        """State values ``(steps, 1)`` of plain or packed observations, with a gradient for the critic's own weights
        alone: TRPO keeps no other, as what moves the model would move the policy out of its trust region."""
        with torch.no_grad():
            hidden = states_of(self.reader, obs, candidates=False)[0]
        return self.critic(hidden)

    def last_logits(self) -> Tensor:
        """Normalised logits ``(rows, actions)`` of the last distribution that was asked for with gradients; at turn
        level ``(tokens, vocabulary)``. It is forgotten then, graph and all."""
        made = self._last.pop()
        tokens = made.distribution.tokens if isinstance(made, _LazyUtterances) else made.distribution
        assert isinstance(tokens, Categorical)
        return tokens.logits


class _LazyUtterances(Distribution):
    """Stable-Baselines3's view of ``Utterances``, which is made when ``log_prob`` names them."""

    def __init__(self, policy: TokenTrustRegionPolicy, obs: Tensor | PackedBatch) -> None:
        super().__init__()
        self.policy, self.obs = policy, obs
        nothing = torch.zeros(0, dtype=torch.int64)
        self.distribution: Utterances = Utterances(None, nothing, nothing, len(obs))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probabilities ``(steps,)`` of utterances ``(steps, tokens)``."""
        _, self.distribution = self.policy._write(self.obs, x)
        return self.distribution.log_prob(x)

    def entropy(self) -> Tensor | None:
        """Sums ``(steps,)`` of the tokens' entropies; ``None`` before the utterances are known."""
        return None if self.distribution.tokens is None else self.distribution.entropy()

    def _speak(self, deterministic: bool) -> Tensor:
        assert isinstance(self.obs, Tensor)
        return self.policy(self.obs, deterministic=deterministic)[0]

    def sample(self) -> Tensor:
        """Utterances ``(steps, tokens)``."""
        return self._speak(deterministic=False)

    def mode(self) -> Tensor:
        """Utterances ``(steps, tokens)``, each token the most probable one."""
        return self._speak(deterministic=True)

    def proba_distribution_net(self, *_: Any, **__: Any) -> Any:
        """There is none: the language model is the network."""
        raise NotImplementedError("a token policy makes its own distribution: call policy.get_distribution(obs)")

    proba_distribution = actions_from_params = log_prob_from_params = proba_distribution_net
