"""What a player is: something that acts in a row of environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from textenvs.env import TextEnv


class Player(Protocol):
    """Acts in several environments at once.

    Attributes:
        name: what reports call it.
        action_level: the level its environments must be made with.
    """

    name: str
    action_level: str

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """One action for each of ``envs``, whose observations are ``(environments, observation size)``."""
        ...
