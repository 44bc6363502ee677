"""A trained Stable-Baselines3 model as a player."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from textenvs.env import TextEnv


class PolicyPlayer:
    """Plays what ``model.predict`` says.

    Args:
        model: a learner made by ``agents.make`` or loaded by ``agents.load``.
        deterministic: take the most probable action instead of a sample.
        name: what reports call it.
    """

    def __init__(self, model: BaseAlgorithm, deterministic: bool = True, name: str = "policy") -> None:
        self.model = model
        self.deterministic = deterministic
        self.name = name
        self.action_level = str(model.get_env().get_attr("action_level", 0)[0])  # type: ignore[union-attr]

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """The policy's action in each environment."""
        # model.policy, not model: what DQN's own predict adds is exploration that knows no absent choices
        return self.model.policy.predict(observations, deterministic=self.deterministic)[0]  # type: ignore[return-value]
