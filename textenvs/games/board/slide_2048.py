"""The rules of 2048 and a player that looks ahead.

A tile is told by its binary logarithm, an empty cell by 0. The player packs a board into one whole number, whose digits
to the base ``target + 1`` are the tiles row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DIRECTIONS = ("left", "down", "right", "up")
FOUR_CHANCE = 0.1  # of a new tile; else it is a 2
_EMPTY, _MERGES, _ORDER, _SIZE = 270.0, 700.0, 47.0, 11.0  # weights of what makes a row good
_ROW_VALUE = 200_000.0  # so that any board is better than a lost one, which counts 0
_WON = 10_000_000.0

Row = tuple[int, ...]
Board = tuple[Row, ...]
Codes = NDArray[np.int64]
Values = NDArray[np.float64]


@lru_cache(maxsize=1 << 14)
def slide_row(row: Row, backwards: bool = False) -> tuple[Row, int]:
    """A row after its tiles went left (or right), and the sum of the tiles that were merged."""
    tiles = [tile for tile in row if tile]
    if not backwards:
        tiles.reverse()
    after: list[int] = []
    points = 0
    while tiles:
        tile = tiles.pop()
        if tiles[-1:] == [tile]:
            tile = tiles.pop() + 1
            points += 1 << tile
        after.append(tile)
    after += [0] * (len(row) - len(after))
    return tuple(reversed(after) if backwards else after), points


def slide(board: Board, direction: str) -> tuple[Board, int]:
    """A board after its tiles went in a direction, and the sum of the tiles that were merged."""
    turned, backwards = direction in ("up", "down"), direction in ("right", "down")
    slid = [slide_row(row, backwards) for row in (zip(*board, strict=True) if turned else board)]
    after = tuple([row for row, _ in slid])
    return tuple(zip(*after, strict=True)) if turned else after, sum([points for _, points in slid])


@lru_cache(maxsize=1 << 12)
def best_direction(board: tuple[tuple[int, ...], ...], target: int) -> str:
    """The direction of the highest expected value, one new tile ahead or, where there is little room, two."""
    empty = sum(row.count(0) for row in board)
    values = direction_values(board, target, 2 if empty <= 2 else 1)
    return DIRECTIONS[int(values.round(3).argmax())]  # rounded: ties fall alike on any machine


def direction_values(board: Sequence[Sequence[int]], target: int, depth: int) -> Values:
    """``(4,)``: the value expected of each direction, ``depth`` new tiles ahead; -1 where nothing moves."""
    rows = _rows(len(board), target + 1)
    code = np.array(board).reshape(1, -1) @ rows.cells
    return _direction_values(code, rows, depth)[:, 0]


class _Rows(NamedTuple):
    """What there is to know of all rows ``(base ** size,)`` in the order of their codes, and the places of cells.

    Attributes:
        left: the codes after they slid to the left.
        right: the same to the right.
        turned: what they add to the code of a board as its last column.
        value: how good they are.
        won: whether the target is in them.
        places: what each row's code is multiplied with in the code of a board, ``(size,)``.
        cells: the same of each tile, ``(size * size,)``.
        base: one more than the target.
    """

    left: Codes
    right: Codes
    turned: Codes
    value: Values
    won: NDArray[np.bool_]
    places: Codes
    cells: Codes
    base: int


@lru_cache(maxsize=8)
def _rows(size: int, base: int) -> _Rows:
    tiles = np.indices((base,) * size).reshape(size, -1).T
    cells = base ** np.arange(size * size)[::-1]
    rows = list(map(tuple, tiles.tolist()))
    slid = np.array([(slide_row(row)[0], slide_row(row, backwards=True)[0]) for row in rows]) @ cells[-size:]
    return _Rows(
        left=slid[:, 0],
        right=slid[:, 1],
        turned=tiles @ cells[size - 1 :: size],
        value=np.array([_row_value(row) for row in tiles.tolist()]),
        won=(tiles == base - 1).any(axis=1),
        places=cells[size - 1 :: size],
        cells=cells,
        base=base,
    )


def _split(codes: Codes, rows: _Rows) -> Codes:
    """``(size, n)``: the codes of the rows of boards."""
    return codes // rows.places[:, None] % len(rows.left)


def _turn(split: Codes, rows: _Rows) -> Codes:
    """The codes of boards, told by their rows ``(size, n)``, with rows and columns exchanged."""
    return rows.cells[-len(split) :] @ rows.turned[split]


def _direction_values(codes: Codes, rows: _Rows, depth: int) -> Values:
    """``direction_values`` of boards ``(n,)``, as ``(4, n)``."""
    split = _split(codes, rows)
    columns = _split(_turn(split, rows), rows)
    after = np.stack(
        (
            rows.places @ rows.left[split],
            _turn(rows.right[columns], rows),
            rows.places @ rows.right[split],
            _turn(rows.left[columns], rows),
        )
    )
    moved = after != codes
    boards, which = np.unique(after[moved], return_inverse=True)
    values = np.full(after.shape, -1.0)
    values[moved] = _expected(boards, rows, depth)[which]
    return values


def _expected(codes: Codes, rows: _Rows, depth: int) -> Values:
    """The values ``(n,)`` of boards before a tile comes."""
    split = _split(codes, rows)
    won = rows.won[split].any(axis=0)
    values = np.full(len(codes), _WON)
    if depth:
        values[~won] = _expected_after_tile(codes[~won], rows, depth)
    else:
        columns = _split(_turn(split, rows), rows)
        values[~won] = (rows.value[split] + rows.value[columns]).sum(axis=0)[~won]
    return values


def _expected_after_tile(codes: Codes, rows: _Rows, depth: int) -> Values:
    """``_expected``, one new tile ahead at least."""
    cell, which = np.nonzero(codes // rows.cells[:, None] % rows.base == 0)
    values = np.zeros(len(codes))
    for tile, chance in ((1, 1 - FOUR_CHANCE), (2, FOUR_CHANCE)):
        boards, same = np.unique(codes[which] + tile * rows.cells[cell], return_inverse=True)
        best = np.maximum(_direction_values(boards, rows, depth - 1).max(axis=0), 0.0)
        values += chance * np.bincount(which, best[same], len(codes))
    return values / np.bincount(which, minlength=len(codes))


def _row_value(row: list[int]) -> float:
    """How promising a row or column is: roomy, with equal neighbours, in order, and of few large tiles."""
    tiles = [tile for tile in row if tile]
    merges = sum(one == other for one, other in pairwise(tiles))
    falls = [one**4 - other**4 for one, other in pairwise(row)]
    disorder = min(sum(max(fall, 0) for fall in falls), sum(max(-fall, 0) for fall in falls))
    return (
        _ROW_VALUE
        + _EMPTY * row.count(0)
        + _MERGES * merges
        - _ORDER * disorder
        - _SIZE * sum(tile**3.5 for tile in tiles)
    )
