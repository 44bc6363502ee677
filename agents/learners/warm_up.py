"""The first steps of off-policy learners, which Stable-Baselines3 draws from the action space."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


class PolicySpace(spaces.Discrete):
    """A learner's action space whose samples are what its policy tries in the current observations, row by row.

    Until ``learning_starts`` Stable-Baselines3 draws an action for each environment from the action space, which knows
    neither absent choices nor that a uniform token is noise. Where the learner is saved it is a plain ``Discrete``.

    Args:
        space: the environments' action space.
        model: the learner.
    """

    def __init__(self, space: spaces.Discrete, model: OffPolicyAlgorithm) -> None:
        super().__init__(space.n)
        self._model = model
        self._drawn: list[Any] = []

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        """The next row's action."""
        if not self._drawn:
            assert self._model._last_obs is not None
            actions, _ = self._model.policy.predict(self._model._last_obs, deterministic=False)  # type: ignore[arg-type]
            self._drawn = list(actions)
        return np.int64(self._drawn.pop(0))

    def __reduce__(self) -> tuple[Any, ...]:
        return spaces.Discrete, (self.n,)
