"""Sokoban levels: random rooms, and boxes pulled away from their targets, so that each level can be solved.

A cell is a number, ``row * size + column``; the outermost cells are walls.
"""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

import numpy as np

_TURNING = 0.35  # probability that the walk that digs a room changes its direction, as in gym-sokoban
_DIGGING = 1.7  # steps of that walk for each row and column, as there
_PULLS = 12  # for each box
_TRIES = 1000
_PLACINGS = 4  # of targets in a room until one is good


class Level(NamedTuple):
    """A Sokoban level.

    Attributes:
        size: rows and columns, walls included.
        floor: the cells without a wall.
        targets: where boxes are to go.
        boxes: where they are at first.
        player: where the player is at first.
    """

    size: int
    floor: frozenset[int]
    targets: frozenset[int]
    boxes: frozenset[int]
    player: int


def steps(size: int) -> dict[str, int]:
    """How far each move goes."""
    return {"up": -size, "down": size, "left": -1, "right": 1}


def reach(floor: Set[int], boxes: Set[int], player: int, size: int) -> dict[int, int]:
    """The cells to which the player can walk without a push, and in how many moves."""
    far = {player: 0}
    queue = [player]
    for cell in queue:
        for step in (-size, size, -1, 1):
            near = cell + step
            if near in floor and near not in boxes and near not in far:
                far[near] = far[cell] + 1
                queue.append(near)
    return far


def draw_level(size: int, boxes: int, rng: np.random.Generator) -> Level:
    """A level whose boxes were all pulled off their targets: it can be solved, by pushing them back."""
    for _ in range(_TRIES):
        floor = _dig(size, rng)
        for _ in range(_PLACINGS if len(floor) > 3 * boxes + 2 else 0):
            cells = rng.permutation(sorted(floor))[: boxes + 1].tolist()
            targets, player = frozenset(cells[:boxes]), cells[boxes]
            level = _pull(Level(size, floor, targets, targets, player), rng)
            if level is not None:
                return level
    raise ValueError(f"no room of size {size} for {boxes} boxes: take a larger room or fewer boxes")


def _dig(size: int, rng: np.random.Generator) -> frozenset[int]:
    """The floor left by a random walk that digs out its cell and up to two cells beside it."""
    moves = ((1, 0), (0, 1), (-1, 0), (0, -1))
    length = int(_DIGGING * 2 * size)
    turns = (rng.random(length) < _TURNING).tolist()
    ways = rng.integers(4, size=(length, 3)).tolist()
    row, column = rng.integers(1, size - 1, size=2).tolist()
    ahead = 0
    floor = set()
    for turn, (way, side, other) in zip(turns, ways, strict=True):
        ahead = way if turn else ahead
        row = min(max(row + moves[ahead][0], 1), size - 2)
        column = min(max(column + moves[ahead][1], 1), size - 2)
        for down, right in ((0, 0), moves[side], moves[other]):
            if 0 < row + down < size - 1 and 0 < column + right < size - 1:
                floor.add((row + down) * size + column + right)
    return frozenset(floor)


def _pull(level: Level, rng: np.random.Generator) -> Level | None:
    """Play backwards: walk to a random box and pull it, again and again. Of all positions on the way with no box on a
    target the best by gym-sokoban's measure is taken: how far each box is from its target, times the changes of box.
    """
    size, floor, _, _, player = level
    at = {target: target for target in sorted(level.targets)}  # the box of each target
    last, changes, best, most = -1, 0, None, 0
    for _ in range(_PULLS * len(at)):
        boxes = frozenset(at.values())
        far = reach(floor, boxes, player, size)
        distance = sum(abs(a // size - b // size) + abs(a % size - b % size) for a, b in at.items())
        if not boxes & level.targets and changes * distance > most:
            most, best = changes * distance, (boxes, sorted(far))
        pulls = [
            (target, step)
            for target, box in at.items()
            for step in (-size, size, -1, 1)
            if box + step in far and box + 2 * step in far
        ]
        if not pulls:
            break
        target, step = pulls[rng.integers(len(pulls))]
        changes, last = changes + (target != last), target
        at[target] += step
        player = at[target] + step
    if best is None:
        return None
    boxes, places = best
    return Level(size, floor, level.targets, boxes, places[rng.integers(len(places))])
