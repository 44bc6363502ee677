"""An actor-critic policy for Stable-Baselines3's unmodified PPO and A2C."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn
from torch.distributions import Categorical

from agents.memory.packed import PackedBatch
from agents.policies.chosen import draw, score, score_states
from agents.policies.reader import TokenReader
from textenvs.tokens.spaces import UtteranceSpace


class TokenActorCriticPolicy(ActorCriticPolicy):
    """The language model's next-token distribution is the actor; a linear head on its hidden state is the critic.

    Turn level: an action is an utterance ``(max_utterance_tokens,)``, written token by token; its log-probability is
    the sum over its tokens up to the end token. Token level: an action is one token. Choice level: candidates are
    scored against the context.

    Args:
        observation_space: the environment's ``TokenSpace``.
        action_space: the environment's action space, which tells the level.
        lr_schedule: learning rate by remaining progress; Stable-Baselines3 gives it.
        use_sde: must be false; Stable-Baselines3 gives it.
        backbone: what ``agents.load_backbone`` takes; ``kind``, ``lora``, ``dtype`` and ``frozen`` go along with it.
        optimizer_class: optimizer of all trainable weights.
        optimizer_kwargs: its keywords, without the learning rate.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        use_sde: bool = False,
        backbone: Any = "tiny",
        kind: str = "auto",
        lora: dict[str, Any] | None = None,
        dtype: str | None = None,
        frozen: bool = False,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.AdamW,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if use_sde:
            raise ValueError("use_sde=True needs continuous actions; token actions are discrete")
        if not isinstance(action_space, spaces.Discrete | UtteranceSpace):
            raise TypeError(f"a token policy needs Discrete or UtteranceSpace actions, not {action_space}")
        if optimizer_kwargs is None:
            optimizer_kwargs = {"weight_decay": 0.0, "fused": True} if optimizer_class is torch.optim.AdamW else {}
        BasePolicy.__init__(
            self,
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        self.use_sde = False
        self.settings = {"backbone": backbone, "kind": kind, "lora": lora, "dtype": dtype, "frozen": frozen}
        self.reader = TokenReader(observation_space, action_space, **self.settings)
        self.critic = nn.Linear(self.reader.backbone.hidden_size, 1)
        nn.init.zeros_(self.critic.weight)
        nn.init.zeros_(self.critic.bias)
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = optimizer_class(trainable, lr=lr_schedule(1), **optimizer_kwargs)  # type: ignore[call-arg]

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.settings,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """Act in every environment.

        Args:
            obs: ``(environments, observation size)`` ids.
            deterministic: take the most probable token or choice instead of a sample.

        Returns:
            Actions ``(environments, *action shape)`` int64, values ``(environments, 1)`` and log-probabilities
            ``(environments,)``.
        """
        hidden = self.reader.last_hidden(obs)
        values = self.critic(hidden)
        if self.reader.turn_level:
            actions, log_probs = self._speak(obs, hidden, deterministic)
            return actions, values, log_probs
        logits = self._logits(hidden, self.reader.choices(obs) if self.reader.choice_level else None)
        actions, log_probs = _pick(logits, deterministic)
        return actions, values, log_probs

    def _logits(self, hidden: Tensor, choices: Tensor | None) -> Tensor:
        return self.reader.token_logits(hidden) if choices is None else self.reader.choice_scores(hidden, choices)

    def _score(self, hidden: Tensor, choices: Tensor | None, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies ``(steps,)`` of tokens or choices ``(steps,)`` in states ``(steps, hidden)``."""
        if choices is not None:
            return score(self.reader.choice_scores(hidden, choices), actions)
        backbone = self.reader.backbone
        return score_states(backbone.logits, hidden, backbone.vocab_size, actions, self.reader.forbidden)

    def _speak(self, obs: Tensor, hidden: Tensor, deterministic: bool) -> tuple[Tensor, Tensor]:
        """Write one utterance in every environment, ``(environments, tokens)``, and its log-probabilities."""
        space = self.reader.space
        ids, lengths = self.reader.split(obs)
        ids = nn.functional.pad(ids, (0, space.max_utterance_tokens), value=space.pad_id)
        actions = torch.full((len(ids), space.max_utterance_tokens), space.pad_id, device=ids.device)
        log_probs = torch.zeros(len(ids), device=ids.device)
        speaking = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        for step in range(space.max_utterance_tokens):
            tokens, chosen = _pick(self.reader.token_logits(hidden), deterministic)
            log_probs += chosen.where(speaking, 0.0)
            actions[:, step] = tokens.where(speaking, space.pad_id)
            slots = lengths.clamp(max=ids.shape[1] - 1)[:, None]
            ids.scatter_(1, slots, tokens[:, None].where(speaking[:, None], ids.gather(1, slots)))
            lengths = lengths + speaking
            speaking = speaking & (tokens != space.end_id)
            if not speaking.any() or step + 1 == space.max_utterance_tokens:
                break
            hidden = self.reader.last_hidden_of(ids, lengths)
        return actions, log_probs

    def evaluate_actions(  # type: ignore[override]
        self, obs: Tensor | PackedBatch, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Values, log-probabilities and entropies of past actions, with gradient.

        Args:
            obs: plain observations ``(steps, observation size)`` or a packed batch of them.
            actions: ``(steps, *action shape)``.

        Returns:
            Values ``(steps, 1)``, log-probabilities ``(steps,)`` and entropies ``(steps,)``; those of an utterance are
            the sums over its tokens.
        """
        batch = obs if isinstance(obs, PackedBatch) else self.reader.single(obs, actions)
        if not self.reader.turn_level:
            last = self.reader.backbone.states(batch.ids, batch.segment, batch.position)
            return self.critic(last), *self._score(last, batch.choices, actions.long().flatten())
        actions = actions.long()
        spoken = (actions != self.reader.space.pad_id) & ((actions == self.reader.space.end_id).cumsum(dim=1) <= 1)
        step, offset = spoken.nonzero(as_tuple=True)
        segment = torch.cat([batch.segment, batch.segment[step]])
        position = torch.cat([batch.position, batch.position[step] + offset])
        last, hidden = self.reader.backbone.states(batch.ids, segment, position).tensor_split([len(batch)])
        log_prob, entropy = self._score(hidden, None, actions[step, offset])
        zeros = torch.zeros(len(actions), device=last.device)
        return self.critic(last), zeros.index_add(0, step, log_prob), zeros.index_add(0, step, entropy)

    def predict_values(self, obs: Tensor) -> Tensor:  # type: ignore[override]
        """State values ``(batch, 1)``."""
        return self.critic(self.reader.last_hidden(obs))

    def get_distribution(self, obs: Tensor) -> CategoricalDistribution:  # type: ignore[override]
        """The distribution over tokens or choices; a turn-level one has no closed form."""
        if self.reader.turn_level:
            raise ValueError("a distribution over whole utterances has no closed form: use the token or choice level")
        choices = self.reader.choices(obs) if self.reader.choice_level else None
        wrapped = CategoricalDistribution(int(self.action_space.n))  # type: ignore[attr-defined]
        wrapped.distribution = Categorical(
            logits=self._logits(self.reader.last_hidden(obs), choices), validate_args=False
        )
        return wrapped

    def _predict(self, observation: Tensor, deterministic: bool = False) -> Tensor:  # type: ignore[override]
        return self(observation, deterministic=deterministic)[0]


def _pick(logits: Tensor, deterministic: bool) -> tuple[Tensor, Tensor]:
    """Actions ``(rows,)`` under ``logits`` ``(rows, all)`` and their log-probabilities ``(rows,)``."""
    log_probs = logits.log_softmax(dim=1)
    actions = logits.argmax(dim=1) if deterministic else draw(log_probs)
    return actions, log_probs.gather(1, actions[:, None])[:, 0]
