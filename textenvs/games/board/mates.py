"""How soon a king and a rook or queen mate a lone king, for every position, by retrograde analysis.

Squares are numbered as in python-chess: a1 is 0, b1 is 1, h8 is 63. Positions are indexed by the squares of the king of
the stronger side, of its piece and of the lone king.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_STRAIGHT = ((0, 1), (1, 0), (0, -1), (-1, 0))
_DIAGONAL = ((1, 1), (1, -1), (-1, -1), (-1, 1))
_DIRECTIONS = {"rook": _STRAIGHT, "queen": _STRAIGHT + _DIAGONAL}

Positions = NDArray[np.bool_]  # (64, 64, 64)


class Mates(NamedTuple):
    """Distances to mate, ``(64, 64, 64)`` int8 each, counted in moves of the stronger side; -1 where there is no forced
    mate or no such position.

    Attributes:
        strong: with the stronger side to move, at least 1.
        lone: with the lone king to move, 0 where it is mated.
    """

    strong: NDArray[np.int8]
    lone: NDArray[np.int8]


@cache
def mates(piece: str) -> Mates:
    """The table of ``"rook"`` or ``"queen"``; made in a tenth of a second, then kept."""
    near, sees = _near(), _sees(piece)
    steps = (near & ~np.eye(64, dtype=np.bool_)).astype(np.float32)
    legal = _distinct() & ~near[:, None, :]  # with the lone king to move
    to_move = legal & ~sees  # with the stronger side to move: the lone king is not in check
    moves = (sees & ~np.eye(64, dtype=np.bool_)[:, None, :]).astype(np.float32)  # of the piece
    captures = np.broadcast_to(np.eye(64, dtype=np.bool_), sees.shape)
    may_enter = ~near[:, None, :] & (captures | ~sees)  # where the lone king can go
    moves_left = _reach(may_enter, steps)
    strong = np.full(sees.shape, -1, np.int8)
    lone = np.where(legal & sees & ~moves_left, np.int8(0), np.int8(-1))
    solved, distance = lone == 0, 0
    while solved.any():
        distance += 1
        targets = solved.astype(np.float32)
        by_king = (steps @ targets.reshape(64, -1)).reshape(sees.shape)
        strong[to_move & (strong < 0) & ((by_king > 0) | (moves @ targets > 0))] = distance
        escapes = _reach(may_enter & (captures | (strong < 0)), steps)
        solved = legal & (lone < 0) & moves_left & ~escapes
        lone[solved] = distance
    return Mates(strong, lone)


def _near() -> NDArray[np.bool_]:
    """``(64, 64)``: which squares are the same or neighbours."""
    ranks, files = np.divmod(np.arange(64), 8)
    return (abs(ranks[:, None] - ranks) <= 1) & (abs(files[:, None] - files) <= 1)


def _distinct() -> Positions:
    """The positions in which no two men stand on one square."""
    other = ~np.eye(64, dtype=np.bool_)
    return other[:, :, None] & other[:, None, :] & other[None, :, :]


def _sees(piece: str) -> Positions:
    """Which squares (last) the piece (second) attacks where only its own king (first) may stand in the way."""
    result = np.zeros((64, 64, 64), np.bool_)
    for square in range(64):
        for up, right in _DIRECTIONS[piece]:
            rank, file = square // 8 + up, square % 8 + right
            passed: list[int] = []
            while 0 <= rank < 8 and 0 <= file < 8:
                target = 8 * rank + file
                result[:, square, target] = True
                result[passed, square, target] = False
                passed.append(target)
                rank, file = rank + up, file + right
    return result


def _reach(targets: Positions, steps: NDArray[np.float32]) -> Positions:
    """The positions from which the lone king's step leads to one of the targets."""
    return (targets.astype(np.float32).reshape(-1, 64) @ steps > 0).reshape(targets.shape)
