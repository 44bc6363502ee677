"""The game's own expert as a player."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from textenvs.env import TextEnv


class ExpertPlayer:
    """Plays what ``expert_action`` says."""

    name = "expert"
    action_level = "turn"

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """The expert's utterance in each environment."""
        return [env.game.expert_action() for env in envs]
