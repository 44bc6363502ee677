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


class Teacher:
    """An ``ImperfectPlayer`` that acts at any action level, for learners that imitate it or learn from what it did.

    Args:
        error: probability of an error, 0 to 1.

    Attributes:
        utterances: what each row is saying.
    """

    def __init__(self, error: float) -> None:
        self.player = ImperfectPlayer(error=error)
        self.utterances: list[str] = []

    def actions(self, rows: Sequence[TextEnv], rng: np.random.Generator) -> np.ndarray:
        """An action for each of ``rows``, in their own action space; errors are drawn from ``rng``."""
        self.player.random.rng = rng
        if len(self.utterances) != len(rows):
            self.utterances = [""] * len(rows)
        for index, row in enumerate(rows):
            if not row.writing:
                said = self.player.utterance(row)
                self.utterances[index] = said if isinstance(said, str) else row.tokenizer.decode(said)
        return np.array([row.encode(said) for row, said in zip(rows, self.utterances, strict=True)])
