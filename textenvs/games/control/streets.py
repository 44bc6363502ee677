"""The streets of ``taxi``: cities, how a taxi moves through them and how far it is."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

MOVES = ((1, 0), (-1, 0), (0, 1), (0, -1))  # down, up, right, left: in Taxi-v3's order
_WALLS = 0.3  # share of walls in random cities, as in Taxi-v3's

Cell = tuple[int, int]  # row and column, from 0


class City(NamedTuple):
    """A square of cells.

    Attributes:
        size: rows and columns.
        walls: the cells with a wall on their right side, in order; there are no walls above or below cells.
        places: where passengers wait and want to go: the red, green, yellow and blue one.
    """

    size: int
    walls: tuple[Cell, ...]
    places: tuple[Cell, ...]

    def __str__(self) -> str:
        """The map row by row, places by their first letters."""
        letters = dict(zip(self.places, "RGYB", strict=True))
        return " ".join(
            "".join(
                letters.get((row, column), ".") + "|" * ((row, column) in self.walls) for column in range(self.size)
            )
            for row in range(self.size)
        )


STANDARD = City(5, ((0, 1), (1, 1), (3, 0), (3, 2), (4, 0), (4, 2)), ((0, 0), (0, 4), (4, 0), (4, 3)))


def random_city(size: int, rng: np.random.Generator) -> City:
    """Walls drawn one by one, so that each column can be left to the next, and four different places."""
    walls = np.ones((size, size - 1), bool)
    while walls.all(axis=0).any():
        walls = rng.random((size, size - 1)) < _WALLS
    places = [divmod(int(place), size) for place in rng.permutation(size * size)[:4]]
    return City(size, tuple((int(row), int(column)) for row, column in np.argwhere(walls)), tuple(places))


def drive(city: City, cell: Cell, way: int) -> Cell:
    """Where a move leads that does not go astray; the edge and walls stop it."""
    down, right = MOVES[way]
    row, column = cell[0] + down, cell[1] + right
    inside = 0 <= row < city.size and 0 <= column < city.size
    wall = right and (row, min(column, cell[1])) in city.walls
    return (row, column) if inside and not wall else cell


def outcomes(city: City, cell: Cell, way: int) -> tuple[Cell, Cell, Cell]:
    """Where a move can lead in the rain: straight on, or astray to either side unless it is blocked."""
    straight = drive(city, cell, way)
    if straight == cell:
        return cell, cell, cell
    one, other = (2, 3) if way < 2 else (0, 1)
    return straight, drive(city, cell, one), drive(city, cell, other)


def chances(straight: float) -> np.ndarray:
    """Probabilities of the ``outcomes``."""
    return np.array([straight, (1 - straight) / 2, (1 - straight) / 2])


@lru_cache(maxsize=1024)
def expected_moves(city: City, goal: Cell, straight: float) -> np.ndarray:
    """The least expected number of moves to a goal, ``(rows, columns)`` float64, by value iteration."""
    size = city.size
    following = np.array(
        [
            [[row * size + column for row, column in outcomes(city, divmod(cell, size), way)] for way in range(4)]
            for cell in range(size * size)
        ]
    )
    moves = np.zeros(size * size)
    while True:
        better = 1 + (moves[following] @ chances(straight)).min(axis=1)
        better[goal[0] * size + goal[1]] = 0
        if np.abs(better - moves).max() < 1e-10:
            return better.reshape(size, size)
        moves = better
