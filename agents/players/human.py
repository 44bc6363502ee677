"""A person at the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from textenvs.env import TextEnv


class HumanPlayer:
    """Reads each utterance from the terminal, after showing what was said last.

    Raises:
        EOFError, KeyboardInterrupt: the person stops.
    """

    name = "human"
    action_level = "turn"

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """A typed line for each environment."""
        return [input(f"{env.transcript[-1][1]}\n> ") for env in envs]
