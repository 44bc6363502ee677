"""Where a game turn ends in a stream of actions: discounts are by turn, not by token."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from textenvs.tokens.spaces import TokenSpace


class TurnClock:
    """Follows ``rows`` streams of actions and tells which of them end a turn.

    Only a token-level action can leave a turn open: the turn ends with the end or pad token, or when the utterance has
    reached its limit.
    """

    def __init__(self, observation_space: TokenSpace, action_space: spaces.Space, rows: int) -> None:
        self.space = observation_space
        self.token_level = isinstance(action_space, spaces.Discrete) and not observation_space.max_choices
        self.turn_level = not isinstance(action_space, spaces.Discrete)
        self.spoken = np.zeros(rows, dtype=np.int64)

    def tick(self, actions: np.ndarray, episode_starts: np.ndarray) -> np.ndarray:
        """Whether each of ``actions`` ``(rows, action size)`` ends a turn, ``(rows,)`` bool."""
        if not self.token_level:
            return np.ones(len(actions), dtype=bool)
        self.spoken[episode_starts.astype(bool)] = 0
        self.spoken += 1
        tokens = actions[:, 0]
        ends = (tokens == self.space.end_id) | (tokens == self.space.pad_id)
        ends |= self.spoken >= self.space.max_utterance_tokens
        self.spoken[ends] = 0
        return ends

    def emitted(self, actions: np.ndarray) -> list[np.ndarray]:
        """The tokens that each of ``actions`` ``(rows, action size)`` puts behind its context, end token included."""
        if self.token_level:
            return list(actions)
        if not self.turn_level:
            return [actions[row, :0] for row in range(len(actions))]
        stops = (actions == self.space.end_id) | (actions == self.space.pad_id)
        lengths = np.where(stops.any(axis=1), stops.argmax(axis=1) + 1, actions.shape[1])
        return [row[:length] for row, length in zip(actions, lengths, strict=True)]
