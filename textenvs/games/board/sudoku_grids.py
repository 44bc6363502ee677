"""Sudoku grids: what may stand where, all solutions, and puzzles with one solution in no time.

A grid is told by its cells row by row, 0 being an empty one. ``sudoku_seeds.txt`` holds puzzles (our own, made by
``dig``) without a clue too many. More clues leave the solution the only one, and so does whatever maps rows to rows,
columns to columns and boxes to boxes, or renames digits: that is how ``draw`` makes a new puzzle out of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from math import isqrt

import numpy as np

SIZES = {4: 11, 9: 56}  # how many cells at most can be empty in a puzzle drawn for a size

Grid = tuple[int, ...]


@lru_cache(maxsize=4)
def units(size: int) -> tuple[tuple[int, int, int], ...]:
    """The row, the column and the box of each cell, each from 0."""
    box = isqrt(size)
    return tuple((row, column, row // box * box + column // box) for row in range(size) for column in range(size))


def candidates(grid: Sequence[int], size: int) -> dict[int, list[int]]:
    """The digits that each empty cell may have by the rules: those that its row, column and box lack."""
    free = _free(grid, size)
    return {cell: _digits(_allowed(free, places)) for cell, places in enumerate(units(size)) if not grid[cell]}


def solutions(grid: Sequence[int], size: int, rng: np.random.Generator | None = None) -> Iterator[Grid]:
    """All ways to fill a grid, by trying in the cell with the fewest candidates first; in random order with ``rng``."""
    filled, where = list(grid), units(size)
    yield from _fill(filled, [cell for cell, digit in enumerate(grid) if not digit], _free(grid, size), where, rng)


def dig(size: int, rng: np.random.Generator) -> Grid:
    """A puzzle that has one solution, and more of them without any of its clues (slow: up to a second for 9)."""
    grid = list(next(solutions([0] * size**2, size, rng)))
    for cell in rng.permutation(size**2):
        clue, grid[cell] = grid[cell], 0
        found = solutions(grid, size)
        next(found)
        if next(found, None):
            grid[cell] = clue
    return tuple(grid)


def _free(grid: Sequence[int], size: int) -> list[list[int]]:
    """The digits that are free in each row, column and box, as bits."""
    free = [[(2 << size) - 2] * size for _ in range(3)]
    for digit, places in zip(grid, units(size), strict=True):
        if digit:
            _mark(free, places, digit)
    return free


def _mark(free: list[list[int]], places: tuple[int, int, int], digit: int) -> None:
    """A digit that was free in its row, column and box is taken, or the other way round."""
    for kind, place in zip(free, places, strict=True):
        kind[place] ^= 1 << digit


def _allowed(free: list[list[int]], places: tuple[int, int, int]) -> int:
    return free[0][places[0]] & free[1][places[1]] & free[2][places[2]]


def _digits(bits: int) -> list[int]:
    return [digit for digit in range(1, bits.bit_length()) if bits >> digit & 1]


def _fill(
    grid: list[int],
    empty: list[int],
    free: list[list[int]],
    where: tuple[tuple[int, int, int], ...],
    rng: np.random.Generator | None,
) -> Iterator[Grid]:
    if not empty:
        yield tuple(grid)
        return
    cell = min(empty, key=lambda cell: _allowed(free, where[cell]).bit_count())
    rest = [each for each in empty if each != cell]
    digits = _digits(_allowed(free, where[cell]))
    for digit in digits if rng is None else rng.permutation(digits).tolist():
        grid[cell] = digit
        _mark(free, where[cell], digit)
        yield from _fill(grid, rest, free, where, rng)
        _mark(free, where[cell], digit)
    grid[cell] = 0


@lru_cache(maxsize=4)
def seeds(size: int) -> tuple[Grid, ...]:
    """The shipped puzzles of a size."""
    lines = files(__package__).joinpath("sudoku_seeds.txt").read_text("utf-8").split()
    return tuple(tuple(map(int, line.replace(".", "0"))) for line in lines if len(line) == size**2)


@lru_cache(maxsize=1 << 9)
def solution(grid: Grid, size: int) -> Grid:
    """The first solution of a puzzle."""
    return next(solutions(grid, size))


def draw(size: int, holes: int, rng: np.random.Generator) -> tuple[Grid, Grid]:
    """A random puzzle with so many empty cells and only one solution, and its solution."""
    known = seeds(size)
    seed = known[rng.integers(len(known))]
    empty = np.flatnonzero(np.array(seed) == 0)
    full = np.array(solution(seed, size))
    puzzle = full.copy()
    puzzle[rng.permutation(empty)[:holes]] = 0
    both = np.stack((puzzle, full)).reshape(2, size, size)
    both = both[:, _lines(size, rng)][:, :, _lines(size, rng)]
    if rng.integers(2):
        both = both.transpose(0, 2, 1)
    digits = np.concatenate(([0], 1 + rng.permutation(size)))
    puzzle, full = digits[both].reshape(2, -1).tolist()
    return tuple(puzzle), tuple(full)


def _lines(size: int, rng: np.random.Generator) -> np.ndarray:
    """The numbers of the rows, or of the columns, in an order that keeps those of a box together."""
    box = isqrt(size)
    return np.concatenate([box * band + rng.permutation(box) for band in rng.permutation(box)])
