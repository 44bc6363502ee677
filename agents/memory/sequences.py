"""Token sequences and lists of ids, each kept once: what the packed replay buffer is made of."""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np
from gymnasium import spaces

_PROBE = 4  # tokens compared first where a window slid


def id_code(vocab_size: int) -> str:
    """The ``array`` type code of the smallest integer that holds ids below ``vocab_size``."""
    return "H" if vocab_size <= 1 << 16 else "i"


class Sequence(NamedTuple):
    """A token sequence along which observations lie: pieces of an episode's tokens, then all of them from a place on.

    Attributes:
        episode: every token of the episode once, in the order in which they came.
        head: ``(start, stop)`` of the pieces, which are what a full window left of the past.
        start: where the rest begins.
    """

    episode: array[int]
    head: tuple[tuple[int, int], ...]
    start: int

    def ids(self, length: int) -> np.ndarray:
        """The first ``length`` ids, int64."""
        tokens = np.frombuffer(self.episode, dtype=self.episode.typecode)
        pieces = [tokens[start:stop] for start, stop in self.head]
        before = sum(map(len, pieces))
        pieces.append(tokens[self.start : self.start + max(length - before, 0)])
        return np.concatenate(pieces)[:length].astype(np.int64)

    def slide(self, a: int, b: int, c: int) -> tuple[tuple[tuple[int, int], ...], int]:
        """Head and start of the sequence that has this one's ids from ``a`` to ``b`` and then those from ``c`` on."""
        known = sum(stop - start for start, stop in self.head)
        head = [*self._pieces(a, b), *self._pieces(c, max(c, known))]
        merged: list[tuple[int, int]] = []
        for start, stop in head:
            if merged and merged[-1][1] == start:
                merged[-1] = (merged[-1][0], stop)
            else:
                merged.append((start, stop))
        return tuple(merged), self.start + max(c - known, 0)

    def _pieces(self, first: int, last: int) -> list[tuple[int, int]]:
        """Where the ids from ``first`` to ``last`` lie in the episode."""
        found, offset = [], 0
        for start, stop in (*self.head, (self.start, len(self.episode))):
            low, high = max(first - offset, 0), min(last - offset, stop - start)
            if low < high:
                found.append((start + low, start + high))
            offset += stop - start
        return found


def slid(old: np.ndarray, new: np.ndarray) -> tuple[int, int, int, int]:
    """How a window slid: ``new = old[a:b] + old[c:] + new[known:]``, with ``known`` as large as can be found.

    Args:
        old: ids ``(tokens,)`` before.
        new: ids ``(tokens,)`` after.

    Returns:
        ``a``, ``b``, ``c`` and ``known``; all of it holds exactly, whatever the two are.
    """
    best = (0, 0, len(old), 0)
    probe = min(_PROBE, len(old), len(new))
    windows = np.lib.stride_tricks.sliding_window_view(old, probe)
    for a in np.flatnonzero((windows == new[:probe]).all(axis=1)).tolist():
        shared = min(len(old) - a, len(new))
        differs = np.flatnonzero(old[a : a + shared] != new[:shared])
        run = int(differs[0]) if len(differs) else shared
        found = (a, a + run, len(old), run)
        if run < len(new):
            for c in (np.flatnonzero(old[a + run :] == new[run]) + a + run).tolist():
                kept = len(old) - c
                if run + kept <= len(new) and np.array_equal(old[c:], new[run : run + kept]):
                    found = (a, a + run, c, run + kept)
                    break
        if found[3] > best[3]:
            best = found
        if best[2] < len(old):
            break
    return best


class Shared:
    """Lists of ids, each kept once however many hold it, and forgotten with the last that lets it go."""

    def __init__(self, vocab_size: int) -> None:
        self.code = id_code(vocab_size)
        self.values: dict[int, bytes] = {}
        self.uses: dict[int, int] = {}
        self._numbers: dict[bytes, int] = {}
        self.next_number = 0

    def hold(self, ids: np.ndarray) -> int:
        """The number of a list ``(ids,)``, held once more."""
        value = ids.astype(self.code).tobytes()
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = self.next_number
            self.values[number] = value
            self.next_number += 1
        self.keep(number)
        return number

    def keep(self, number: int) -> None:
        """Hold a list once more; -1 is no list."""
        if number >= 0:
            self.uses[number] = self.uses.get(number, 0) + 1

    def release(self, number: int) -> None:
        """Let a list go once."""
        if number < 0:
            return
        self.uses[number] -= 1
        if not self.uses[number]:
            del self.uses[number], self._numbers[self.values.pop(number)]

    def __getitem__(self, number: int) -> np.ndarray:
        return np.frombuffer(self.values[number], dtype=self.code).astype(np.int64)

    def state(self) -> dict[str, object]:
        """All of it as JSON-able data."""
        lists = [[number, self.uses[number], self[number].tolist()] for number in self.values]
        return {"next_number": self.next_number, "lists": lists}

    def restore(self, state: dict[str, object]) -> None:
        """Go back to a ``state``."""
        self.next_number = int(state["next_number"])  # type: ignore[call-overload]
        self.values, self.uses, self._numbers = {}, {}, {}
        for number, uses, ids in state["lists"]:  # type: ignore[attr-defined]
            value = np.array(ids, dtype=np.int64).astype(self.code).tobytes()
            self.values[number], self.uses[number], self._numbers[value] = value, uses, number


def index_type(most: int) -> type[np.unsignedinteger] | type[np.signedinteger]:
    """The smallest of uint16 and int32 that holds numbers up to ``most``."""
    return np.uint16 if most < 1 << 16 else np.int32


def number_of_actions(space: spaces.Space) -> int:
    """Largest entry of a discrete action, plus one."""
    return int(space.n) if isinstance(space, spaces.Discrete) else int(np.max(space.nvec))  # type: ignore[attr-defined]
