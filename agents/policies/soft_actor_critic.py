"""The policy of soft actor-critic over tokens or choices."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from agents.memory.packed import PackedBatch
from agents.policies.chosen import pick
from agents.policies.masks import MaskedPolicy, action_logits, states_of
from agents.policies.optimizer import FusedAdam
from agents.policies.q_network import TokenQNetwork, default_value_rate, target_of
from agents.policies.reader import MASKED, TokenReader

_TEMPERATURE_RATE = 1.0


class TokenSACPolicy(MaskedPolicy):
    """An actor, twin critics, their targets and a learned temperature.

    The actor is a language model of its own; the two critics are the heads of a ``TokenQNetwork``, which share another.

    Args:
        observation_space: the environment's ``TokenSpace``.
        action_space: ``Discrete``: token or choice level.
        lr_schedule: learning rate by remaining progress; Stable-Baselines3 gives it.
        backbone: what ``agents.load_backbone`` takes; ``kind``, ``lora``, ``dtype`` and ``frozen`` go along with it.
        scale: what one nat of log-probability is worth as Q at the start.
        dueling: whether the critics hold advantages against their mean; see ``TokenQNetwork``.
        value_rate: how fast the critics' ``V`` learns; see ``TokenQPolicy``.
        temperature: the temperature at the start. It weighs entropy in nats against rewards: where a turn costs 0.1,
            one of 0.05 makes it pay to dawdle.
        actor_rate: the actor's learning rate, as a share of the learner's; ``None`` takes 0.05 at token level, where
            the actor can speak already and critics of a thousand tokens learn slowly, and 0.2 at choice level.
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
        scale: float = 0.1,
        dueling: bool = True,
        value_rate: float | None = None,
        temperature: float = 0.05,
        actor_rate: float | None = None,
        optimizer_class: type[torch.optim.Optimizer] = FusedAdam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            observation_space, action_space, optimizer_class=optimizer_class, optimizer_kwargs=optimizer_kwargs
        )
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, not {temperature!r}")
        reading: dict[str, Any] = {"backbone": backbone, "kind": kind, "lora": lora, "dtype": dtype, "frozen": frozen}
        value_rate = default_value_rate(observation_space) if value_rate is None else value_rate
        if actor_rate is None:
            actor_rate = 0.2 if getattr(observation_space, "max_choices", 0) else 0.05
        critics: dict[str, Any] = {"scale": scale, "dueling": dueling, "value_rate": value_rate}
        self.settings = {**reading, **critics, "temperature": temperature, "actor_rate": actor_rate}
        # The critics come first: they refuse what is not Discrete, with the reason.
        self.critic = TokenQNetwork(observation_space, action_space, heads=2, **critics, **reading)
        self.critic_target = target_of(self.critic)
        self.actor = copy.deepcopy(self.critic.reader)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        # The rates are shares of the learner's: an actor that outruns its critics settles on what they happen to say at
        # first, and a saturated softmax has no gradient to come back by.
        parts = ((self.critic, 1.0), (self.actor, actor_rate))
        groups = [
            {"params": [each for each in part.parameters() if each.requires_grad], "share": share}
            for part, share in parts
        ]
        groups.append({"params": [self.log_temperature], "share": _TEMPERATURE_RATE})
        self.optimizer = optimizer_class(groups, lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    @property
    def reader(self) -> TokenReader:
        """The actor."""
        return self.actor

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.settings,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def log_probs(self, obs: Tensor | PackedBatch, masks: Tensor | None = None) -> Tensor:
        """Log-probabilities ``(steps, actions)``; what may not be done has about -1e8."""
        hidden, candidates, packed_masks = states_of(self.actor, obs)
        logits = action_logits(self.actor, hidden, candidates, packed_masks if masks is None else masks)
        return logits.log_softmax(dim=1)

    def forward(self, obs: Tensor, deterministic: bool = False) -> Tensor:
        """Actions ``(batch,)`` int64."""
        return self._predict(obs, deterministic=deterministic)

    def _predict(self, observation: Tensor, deterministic: bool = False) -> Tensor:  # type: ignore[override]
        log_probs = self.log_probs(observation, self.admissible(observation))
        return pick(log_probs, deterministic)[0]


def expectation(log_probs: Tensor, values: Tensor) -> Tensor:
    """``sum_a pi(a | s) values(s, a)``, ``(steps,)``, over the actions that may be done."""
    allowed = log_probs > MASKED / 2
    return (log_probs.exp() * values.masked_fill(~allowed, 0.0)).sum(dim=1)
