"""The ice of ``frozen_lake``: maps, dynamics and their exact solution."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

MAPS = {
    "4x4": ("SFFF", "FHFH", "FFFH", "HFFG"),
    "8x8": ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"),
}
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # left, down, right, up: neighbours are 90 degrees apart
_FROZEN = 0.8  # share of ice in random maps
_DISCOUNT = 1 - 1e-9  # small enough to cost no success, and large enough that the shortest of equally safe ways is best

Map = tuple[str, ...]


def walk(lake: Map, row: int, column: int, way: int) -> tuple[int, int]:
    """Where a step leads that does not go astray; the edge stops it."""
    down, right = MOVES[way]
    return min(max(row + down, 0), len(lake) - 1), min(max(column + right, 0), len(lake[0]) - 1)


def random_map(size: int, rng: np.random.Generator) -> Map:
    """A random map with a path from start to goal; tiles are ice with probability 0.8, as in Gymnasium."""
    while True:
        tiles = np.where(rng.random((size, size)) < _FROZEN, "F", "H")
        tiles[0, 0], tiles[-1, -1] = "S", "G"
        lake = tuple("".join(row) for row in tiles)
        if _solvable(lake):
            return lake


def _solvable(lake: Map) -> bool:
    frontier, seen = [(0, 0)], {(0, 0)}
    while frontier:
        row, column = frontier.pop()
        if lake[row][column] == "G":
            return True
        for way in range(4):
            place = walk(lake, row, column, way)
            if place not in seen and lake[place[0]][place[1]] != "H":
                seen.add(place)
                frontier.append(place)
    return False


def transitions(lake: Map, success_rate: float) -> np.ndarray:
    """Probabilities ``(states, actions, next states)`` float64, states row by row; holes and the goal absorb."""
    rows, columns = len(lake), len(lake[0])
    result = np.zeros((rows * columns, 4, rows * columns))
    for row in range(rows):
        for column in range(columns):
            state = row * columns + column
            if lake[row][column] in "HG":
                result[state, :, state] = 1.0
                continue
            for action in range(4):
                for drift, probability in (
                    (-1, (1 - success_rate) / 2),
                    (0, success_rate),
                    (1, (1 - success_rate) / 2),
                ):
                    to_row, to_column = walk(lake, row, column, (action + drift) % 4)
                    result[state, action, to_row * columns + to_column] += probability
    return result


@lru_cache(maxsize=64)
def action_values(lake: Map, success_rate: float, turns: int) -> np.ndarray:
    """The (slightly discounted) probability of reaching the goal, ``(turns, states, actions)`` float64.

    Entry ``[n - 1]`` is with ``n`` turns left.
    """
    chances = transitions(lake, success_rate)
    goal = np.array([tile == "G" for row in lake for tile in row])
    values = goal.astype(float)
    result = np.empty((turns, *chances.shape[:2]))
    for left in range(turns):
        result[left] = _DISCOUNT * (chances @ values)
        values = np.where(goal, 1.0, result[left].max(axis=1))
    return result
