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
from agents.policies.chosen import pick, score, score_states
from agents.policies.masks import action_logits, states_of
from agents.policies.optimizer import FusedAdam
from agents.policies.reader import Candidates, TokenReader, ValueHead
from agents.policies.utterances import Utterances, spoken
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
        optimizer_class: type[torch.optim.Optimizer] = FusedAdam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if use_sde:
            raise ValueError("use_sde=True needs continuous actions; token actions are discrete")
        if not isinstance(action_space, spaces.Discrete | UtteranceSpace):
            raise TypeError(f"a token policy needs Discrete or UtteranceSpace actions, not {action_space}")
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
        self.critic = ValueHead(self.reader.backbone.hidden_size, 1)
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        self.optimizer = optimizer_class(trainable, lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

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
        hidden, candidates, _ = states_of(self.reader, obs)
        values = self.critic(hidden)
        if self.reader.turn_level:
            actions, log_probs = self._speak(obs, hidden, deterministic)
            return actions, values, log_probs
        masks = self._masks(obs)
        if candidates is None and masks is None:
            actions, log_probs = pick(self.reader.raw_logits(hidden), deterministic, self.reader.forbidden)
        else:
            actions, log_probs = pick(action_logits(self.reader, hidden, candidates, masks), deterministic)
        return actions, values, log_probs

    def _masks(self, obs: Tensor) -> Tensor | None:
        """What may be done ``(environments, actions)`` bool beside what observations tell; ``None`` for anything."""
        return None

    def _categorical(self, hidden: Tensor, candidates: Candidates | None, masks: Tensor | None = None) -> Categorical:
        return Categorical(logits=action_logits(self.reader, hidden, candidates, masks), validate_args=False)

    def _score(
        self, actions: Tensor, hidden: Tensor, candidates: Candidates | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities and entropies, both ``(steps,)``, of tokens or choices ``(steps,)`` in states ``(steps,
        hidden)``."""
        if candidates is None and masks is None:
            reader = self.reader
            return score_states(reader.raw_logits, hidden, len(reader.forbidden), actions, reader.forbidden)
        return score(action_logits(self.reader, hidden, candidates, masks), actions)

    def _speak(self, obs: Tensor, hidden: Tensor, deterministic: bool) -> tuple[Tensor, Tensor]:
        """Write one utterance in every environment, ``(environments, tokens)``, and its log-probabilities."""
        space = self.reader.space
        ids, lengths = self.reader.split(obs)
        ids = nn.functional.pad(ids, (0, space.max_utterance_tokens), value=space.pad_id)
        actions = torch.full((len(ids), space.max_utterance_tokens), space.pad_id, device=ids.device)
        log_probs = torch.zeros(len(ids), device=ids.device)
        speaking = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        for step in range(space.max_utterance_tokens):
            tokens, chosen = pick(self.reader.raw_logits(hidden), deterministic, self.reader.forbidden)
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
        if not self.reader.turn_level:
            hidden, candidates, masks = states_of(self.reader, obs)
            return self.critic(hidden), *self._score(actions.long().flatten(), hidden, candidates, masks)
        last, hidden, step, offset = self._read(obs, actions)
        log_prob, entropy = self._score(actions.long()[step, offset], hidden, None, None)
        zeros = torch.zeros(len(actions), device=last.device)
        return self.critic(last), zeros.index_add(0, step, log_prob), zeros.index_add(0, step, entropy)

    def _write(self, obs: Tensor | PackedBatch, actions: Tensor) -> tuple[Tensor, Utterances]:
        """Hidden states ``(steps, hidden)`` before some utterances, and how probable each of their tokens is."""
        last, hidden, step, offset = self._read(obs, actions)
        return last, Utterances(self._categorical(hidden, None), step, offset, len(last))

    def _read(self, obs: Tensor | PackedBatch, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Hidden states before some utterances and before each of their tokens, and the utterance and place of each."""
        batch = obs if isinstance(obs, PackedBatch) else self.reader.single(obs, actions)
        step, offset = spoken(actions.long(), self.reader.space.pad_id, self.reader.space.end_id)
        segment = torch.cat([batch.segment, batch.segment[step]])
        position = torch.cat([batch.position, batch.position[step] + offset])
        last, hidden = self.reader.backbone.states(batch.ids, segment, position).tensor_split([len(batch)])
        return last, hidden, step, offset

    def predict_values(self, obs: Tensor | PackedBatch) -> Tensor:  # type: ignore[override]
        """State values ``(steps, 1)`` of plain or packed observations."""
        return self.critic(states_of(self.reader, obs, candidates=False)[0])

    def get_distribution(self, obs: Tensor | PackedBatch) -> CategoricalDistribution:  # type: ignore[override]
        """The distribution over tokens or choices; a turn-level one has no closed form."""
        if self.reader.turn_level:
            raise ValueError("a distribution over whole utterances has no closed form: use the token or choice level")
        wrapped = CategoricalDistribution(int(self.action_space.n))  # type: ignore[attr-defined]
        wrapped.distribution = self._categorical(*states_of(self.reader, obs))
        return wrapped

    def set_training_mode(self, mode: bool) -> None:
        """Training begins or ends; where it begins, what the caches hold is out of date."""
        super().set_training_mode(mode)
        if mode:
            self.reader.forget()

    def _predict(self, observation: Tensor, deterministic: bool = False) -> Tensor:  # type: ignore[override]
        return self(observation, deterministic=deterministic)[0]
