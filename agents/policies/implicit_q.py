"""The policy of implicit language Q-learning: a language model whose words are weighed by their advantage."""

from __future__ import annotations

import copy
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor

from agents.memory.packed import PackedBatch
from agents.policies.chosen import pick
from agents.policies.masks import MaskedPolicy, action_logits, states_of
from agents.policies.optimizer import FusedAdam
from agents.policies.q_network import TokenQNetwork, target_of
from agents.policies.reader import TokenReader, ValueHead


class ImplicitQNetwork(TokenQNetwork):
    """Twin Q-values and a state value of its own, ``V(s)``, from one language model."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space, **keywords: Any) -> None:
        super().__init__(observation_space, action_space, heads=2, **keywords)
        self.state_value = ValueHead(self.reader.backbone.hidden_size, 1)

    def both(self, obs: Tensor | PackedBatch, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Q-values ``(steps, 2, actions)`` and state values ``(steps, 1)``; arguments as in ``forward``."""
        hidden, candidates, packed_masks = states_of(self.reader, obs)
        masks = packed_masks if masks is None else masks
        return self.heads_of(hidden, candidates, masks), self.state_value(hidden)


class TokenImplicitQPolicy(MaskedPolicy):
    """``pi(a | s)`` in proportion to ``p(a | s) exp(beta (min_k Q_k(s, a) - V(s)))`` (Snell et al. 2022, sec. 4.3).

    ``p`` is a language model that imitates the data; values come from another of the same kind.

    Args:
        observation_space: the environment's ``TokenSpace``.
        action_space: ``Discrete``: token or choice level.
        lr_schedule: learning rate by remaining progress; Stable-Baselines3 gives it.
        backbone: what ``agents.load_backbone`` takes; ``kind``, ``lora``, ``dtype`` and ``frozen`` go along with it.
        beta: what one unit of advantage adds to the logarithm of the probability; 0 imitates.
        scale: what one nat of log-probability is worth as Q at the start.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        backbone: Any = "tiny",
        kind: str = "auto",
        lora: dict[str, Any] | None = None,
        dtype: str | None = None,
        frozen: bool = False,
        beta: float = 8.0,
        scale: float = 0.1,
        optimizer_class: type[torch.optim.Optimizer] = FusedAdam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            observation_space, action_space, optimizer_class=optimizer_class, optimizer_kwargs=optimizer_kwargs
        )
        self.settings: dict[str, Any] = {"backbone": backbone, "kind": kind, "lora": lora, "dtype": dtype}
        self.settings.update(frozen=frozen, scale=scale)
        self.beta = beta
        self.q_net = ImplicitQNetwork(observation_space, action_space, **self.settings)
        self.q_net_target = target_of(self.q_net)
        self.language_model = copy.deepcopy(self.q_net.reader)
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = optimizer_class(trainable, lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    @property
    def reader(self) -> TokenReader:
        """The language model that imitates."""
        return self.language_model

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.settings,
            "beta": self.beta,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def log_probs(self, obs: Tensor | PackedBatch, masks: Tensor | None = None) -> Tensor:
        """Log-probabilities ``(steps, actions)`` of the language model that imitates."""
        hidden, candidates, packed_masks = states_of(self.language_model, obs)
        masks = packed_masks if masks is None else masks
        return action_logits(self.language_model, hidden, candidates, masks).log_softmax(dim=1)

    def forward(self, obs: Tensor, deterministic: bool = False) -> Tensor:
        """Actions ``(batch,)`` int64."""
        return self._predict(obs, deterministic=deterministic)

    def _predict(self, observation: Tensor, deterministic: bool = False) -> Tensor:  # type: ignore[override]
        masks = self.admissible(observation)
        q_values, values = self.q_net.both(observation, masks)
        logits = self.log_probs(observation, masks) + self.beta * (q_values.amin(dim=1) - values)
        return pick(logits, deterministic)[0]
