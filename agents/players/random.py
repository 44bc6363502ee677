"""A player that knows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from textenvs.env import TextEnv


class RandomPlayer:
    """Draws uniformly from the admissible utterances; where a game lists none, from all token sequences.

    Args:
        seed: seeds the draws.
    """

    name = "random"
    action_level = "turn"

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """A random utterance for each environment."""
        return [self.utterance(env) for env in envs]

    def utterance(self, env: TextEnv) -> Any:
        """A random utterance for one environment: a ``str``, or ids where the game lists no utterances."""
        valid = env.valid_actions()
        if valid:
            return valid[self.rng.integers(len(valid))]
        ids = self.rng.integers(env.tokenizer.vocab_size, size=env.max_utterance_tokens)
        return np.where(np.isin(ids, env.tokenizer.special_ids), env.tokenizer.end_id, ids)
