"""The transcript of an episode as token ids in a window of fixed length."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class TokenStream:
    """Appends ids to a right-padded buffer, so that the cost of a turn does not grow with the episode.

    When the window is full the oldest whole exchanges (an utterance and the reply to it) go, half of what follows the
    opening, and the opening stays: whoever reads the window must read it anew then, so it should happen seldom.
    If the opening and the newest exchange alone do not fit, each keeps its end: the exchange gets what the opening
    leaves, and at least half of the window. An opening longer than the window keeps its end.

    Args:
        buffer: int32 ``(length,)``, whose first ``window`` entries are written in place.
        window: the most tokens that are kept.
        pad_id: fills what is empty.
    """

    def __init__(self, buffer: NDArray[np.int32], window: int, pad_id: int) -> None:
        self.buffer = buffer
        self.window = window
        self.length = 0
        self._pad_id = pad_id
        self._opening = 0
        self._exchanges: deque[int] = deque()  # lengths of the finished ones, oldest first
        self._newest = 0

    def start(self, ids: Sequence[int]) -> None:
        """Begin anew with the opening's ids."""
        ids = ids[-self.window :]
        self.length = self._opening = len(ids)
        self._exchanges.clear()
        self._newest = 0
        self.buffer[: self.length] = ids
        self.buffer[self.length : self.window] = self._pad_id

    def append(self, ids: Sequence[int], closes: bool) -> None:
        """Add ids to the newest exchange; ``closes`` says that it is whole with them."""
        new = len(ids)
        if self.length + new > self.window:
            new = self._make_room(ids)
        else:
            self.buffer[self.length : self.length + new] = ids
        self.length += new
        self._newest += new
        if closes:
            self._exchanges.append(self._newest)
            self._newest = 0

    def _make_room(self, ids: Sequence[int]) -> int:
        """Drop what is oldest and write ``ids`` at the end; by how much the newest exchange grew."""
        buffer, window, old_length = self.buffer, self.window, self.length
        needed = old_length + len(ids) - window
        goal = max(needed, (window - self._opening) // 2)
        dropped = 0
        while dropped < goal and self._exchanges:
            dropped += self._exchanges.popleft()
        tail = np.concatenate([buffer[self._opening + dropped : old_length], np.asarray(ids, np.int32)])
        if dropped < needed:
            tail = tail[-max(window - self._opening, window // 2) :]
            kept = min(self._opening, window - len(tail))
            buffer[:kept] = buffer[self._opening - kept : self._opening]
            self._opening = kept
            grown = len(tail) - self._newest
        else:
            grown = len(ids)
        end = self._opening + len(tail)
        buffer[self._opening : end] = tail
        buffer[end:old_length] = self._pad_id
        self.length = end - grown
        return grown
