"""Minesweeper's grid, and how probable a mine is in each closed cell.

Cells are numbered row by row from 0. ``shown`` is what a player sees: the number of an open cell, ``CLOSED`` else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache, reduce
from math import comb
from operator import le
from typing import NamedTuple

CLOSED = -1

Ways = list[int]  # how many layouts there are with 0, 1, 2 ... mines


class _Group(NamedTuple):
    """Closed cells beside the same open ones: only how many mines they have together matters.

    Attributes:
        cells: the cells.
        clues: the open cells beside them.
    """

    cells: list[int]
    clues: frozenset[int]


@lru_cache(maxsize=16)
def neighbours(size: int) -> tuple[tuple[int, ...], ...]:
    """The up to eight cells around each cell of a square grid."""
    near = (-1, 0, 1)
    return tuple(
        tuple(
            (row + down) * size + column + right
            for down in near
            for right in near
            if (down or right) and 0 <= row + down < size and 0 <= column + right < size
        )
        for row in range(size)
        for column in range(size)
    )


def lay(order: Sequence[int], mines: int, first: int, size: int) -> frozenset[int]:
    """The cells with mines: the first in ``order`` that are neither the cell ``first`` nor beside it."""
    safe = {first, *neighbours(size)[first]}
    return frozenset([cell for cell in order if cell not in safe][:mines])


def spread(cell: int, laid: frozenset[int], barred: set[int], size: int) -> dict[int, int]:
    """The numbers of the cells that open with ``cell``: around each 0 all but the ``barred`` ones."""
    around, opened, frontier = neighbours(size), {}, [cell]
    while frontier:
        here = frontier.pop()
        if here not in opened:
            opened[here] = len(laid.intersection(around[here]))
            frontier += [] if opened[here] else [beside for beside in around[here] if beside not in barred]
    return opened


def mine_chances(shown: tuple[int, ...], size: int, mines: int) -> dict[int, float]:
    """The probability of a mine in each closed cell when all layouts that fit are as probable; 0.0 and 1.0 are certain.

    Raises:
        ValueError: no layout fits.
    """
    ways, total = count_layouts(shown, size, mines)
    if not total:
        raise ValueError(f"no layout of {mines} mines fits what is shown")
    return {cell: mined / total for cell, mined in ways.items()}


@lru_cache(maxsize=1 << 10)
def count_layouts(shown: tuple[int, ...], size: int, mines: int) -> tuple[dict[int, int], int]:
    """How many layouts that fit have a mine in each closed cell, and how many fit.

    Closed cells are grouped by the open ones beside them. Parts of the frontier that share no open cell are counted
    apart, and put together with the cells that are beside no open one.
    """
    around = neighbours(size)
    grouped: dict[frozenset[int], list[int]] = defaultdict(list)
    for cell, number in enumerate(shown):
        if number == CLOSED:
            grouped[frozenset(beside for beside in around[cell] if shown[beside] != CLOSED)].append(cell)
    far = grouped.pop(frozenset(), [])
    counted = [_count(part, shown) for part in _parts([_Group(cells, clues) for clues, cells in grouped.items()])]
    totals = [ways for ways, _ in counted] + [_binomial(len(far))]
    whole = reduce(_times, totals)
    found = dict.fromkeys(far, _fitting(totals[:-1], _times([0, 1], _binomial(len(far) - 1)), mines)) if far else {}
    for n, (_, by_cell) in enumerate(counted):
        others = totals[:n] + totals[n + 1 :]
        found |= {cell: _fitting(others, ways, mines) for cell, ways in by_cell.items()}
    return found, _at(whole, mines)


def _fitting(others: list[Ways], ways: Ways, mines: int) -> int:
    return _at(reduce(_times, others, ways), mines)


def _at(ways: Ways, mines: int) -> int:
    return ways[mines] if mines < len(ways) else 0


def _binomial(cells: int) -> Ways:
    return [comb(cells, k) for k in range(cells + 1)]


def _times(one: Ways, other: Ways) -> Ways:
    """The ways of two parts together."""
    found = [0] * (len(one) + len(other) - 1)
    for i, x in enumerate(one):
        for j, y in enumerate(other):
            found[i + j] += x * y
    return found


def _plus(one: Ways, other: Ways) -> Ways:
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    return [x + y for x, y in zip(longer, shorter + [0] * (len(longer) - len(shorter)), strict=True)]


def _parts(groups: list[_Group]) -> list[list[_Group]]:
    """The groups, parted where no open cell ties them together."""
    parts: list[list[_Group]] = []
    for group in groups:
        tied = [part for part in parts if any(group.clues & other.clues for other in part)]
        parts = [part for part in parts if part not in tied] + [[group, *(each for part in tied for each in part)]]
    return [sorted(part) for part in parts]


def _count(groups: list[_Group], shown: tuple[int, ...]) -> tuple[Ways, dict[int, Ways]]:
    """The ways to lay mines in the groups of one part, and those with a mine in each cell of it.

    Group by group, forwards and backwards: a state is how many mines each open cell still lacks, which is all that the
    groups to come must know. So the cost grows with the breadth of the frontier only.
    """
    clues = sorted(frozenset[int]().union(*(group.clues for group in groups)))
    room = [
        [sum(len(later.cells) for later in groups[n + 1 :] if clue in later.clues) for clue in clues]
        for n in range(len(groups))
    ]
    steps: list[dict[tuple[int, ...], dict[int, tuple[int, ...]]]] = []
    states = {tuple(shown[clue] for clue in clues): [1]}
    before = [states]
    for n, group in enumerate(groups):
        steps.append({state: _laid(state, group, clues, room[n]) for state in states})
        states = {}
        for state, leads in steps[-1].items():
            for k, after in leads.items():
                ways = _times(before[-1][state], _with(len(group.cells), k))
                states[after] = _plus(states[after], ways) if after in states else ways
        before.append(states)
    after_ways: dict[tuple[int, ...], Ways] = {state: [1] for state in states}
    by_cell: dict[int, Ways] = {}
    for n in reversed(range(len(groups))):
        cells = groups[n].cells
        mined, earlier = [0], {}
        for state, leads in steps[n].items():
            total = [0]
            for k, after in leads.items():
                if after in after_ways:
                    total = _plus(total, _times(_with(len(cells), k), after_ways[after]))
                    one = [0] * k + [comb(len(cells) - 1, k - 1)] if k else [0]
                    mined = _plus(mined, _times(_times(before[n][state], one), after_ways[after]))
            earlier[state] = total
        by_cell |= dict.fromkeys(cells, mined)
        after_ways = earlier
    (whole,) = after_ways.values()
    return whole, by_cell


def _with(cells: int, mines: int) -> Ways:
    """The ways to lay just so many mines in so many cells."""
    return [0] * mines + [comb(cells, mines)]


def _laid(state: tuple[int, ...], group: _Group, clues: list[int], room: list[int]) -> dict[int, tuple[int, ...]]:
    """Where each number of mines in a group leads, if no clue then lacks more than there is room for later."""
    beside = [clue in group.clues for clue in clues]
    most = min(lacking for lacking, near in zip(state, beside, strict=True) if near)
    found = {}
    for k in range(min(most, len(group.cells)) + 1):
        after = tuple(lacking - k if near else lacking for lacking, near in zip(state, beside, strict=True))
        if all(map(le, after, room)):
            found[k] = after
    return found
