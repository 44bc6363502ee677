"""An expert who errs: the source of pretraining transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from agents.players.random import RandomPlayer
from textenvs.env import TextEnv


class ImperfectPlayer:
    """The expert's utterance, or with probability ``error`` a random admissible one.

    Args:
        error: probability of an error, 0 to 1.
        seed: seeds the errors.
    """

    name = "imperfect"
    action_level = "turn"

    def __init__(self, error: float = 0.4, seed: int = 0) -> None:
        if not 0 <= error <= 1:
            raise ValueError(f"error is a probability: it must be 0 to 1, not {error!r}")
        self.error = error
        self.random = RandomPlayer(seed)

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """An utterance for each environment."""
        return [self.utterance(env) for env in envs]

    def utterance(self, env: TextEnv) -> Any:
        """An utterance for one environment: a ``str``, or ids where it errs and the game lists no utterances."""
        errs = self.random.rng.random() < self.error
        return self.random.utterance(env) if errs else env.game.expert_action()
