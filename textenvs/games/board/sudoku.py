"""Fill a sudoku, a cell a turn."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.board.cells import read_cell
from textenvs.games.board.sudoku_grids import SIZES, candidates, draw, units

_CHOICES = 32
_SHOWN_EVERY = 8


class Sudoku(Game):
    """TextSudoku-v0: fill a sudoku, a cell a turn.

    ## Description

    Each row, column and box of the grid is to have each digit once. You fill one empty cell a turn; a wrong digit is
    refused at once, also where it breaks no rule yet. The puzzle has one solution.

    ## Example transcript

    ```
    sudoku: each row, column and 2x2 box has 1 to 4 once. say row, column and digit. grid: .23. 3... .342 2.1.
    > 2 3 2
    right.
    > 3 1 1
    right.
    > 1 1 4
    right.
    > 1 4 1
    right.
    > 2 2 1
    right.
    > 2 4 4
    right.
    > 4 2 4
    right.
    > 4 4 3
    solved.
    ```

    ## Observation

    The opening gives the grid row by row from the top; ``.`` is an empty cell. A reply says whether the digit is right
    and, of a wrong one, where it is already if it breaks the rules. Every eighth reply gives the grid again.

    ## Action

    Free text with row, column and digit, each from 1: ``3 4 7``, ``7 at (3,4)``, ``r3c4 = 7``, ``put a seven in row 3,
    column 4``. Anything else is not understood.

    The admissible utterances are all digits in some empty cells, those with the fewest candidates: as many cells as fit
    into 32 utterances.

    ## Reward

    A right digit earns the share of one of the empty cells, so that the return is 1 for the whole grid without a
    mistake. A wrong digit, one for a cell that is filled, and what is not understood cost half as much, so that it is
    never below -1.

    ## Episode end

    Terminated when the grid is full (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``size`` | 4 | 9 | 9 | rows and columns, 4 (with boxes of 2x2) or 9 (of 3x3) |
    | ``holes`` | 8 | 20 | 45 | empty cells, 1 to 11 of 16 or 1 to 56 of 81 |
    | ``max_turns`` | 16 | 40 | 90 | truncation: twice the holes |

    An instance is a puzzle. They come from 112 puzzles with as few clues as can be, to which clues are added at random,
    and whose digits, rows, columns and boxes change places: about two million at easy, and more than 10^12 of 9x9.

    ## Expert

    Exact: it knows the only solution and fills the cell with the fewest candidates. It always succeeds, with a return
    of 1. Random digits in the cells of the admissible utterances have -0.24, -0.66 and -0.67 at easy, medium and hard
    and succeed in 2%, 0% and 0% of the episodes.

    ## Source

    GEM's ``game:Sudoku-v0`` (4x4 with 6 empty cells, 9x9 with 31), where right digits earn as much, wrong ones cost
    nothing and what is not understood 0.1; TextArena's ``Sudoku-v0`` is alike.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"size": 4, "holes": 8},
        "medium": {},
        "hard": {"holes": 45},
    }
    max_choices = _CHOICES

    def __init__(self, size: int = 9, holes: int = 20) -> None:
        if size not in SIZES:
            raise ValueError(f"size must be 4 or 9, not {size!r}")
        if not 1 <= holes <= SIZES[size]:
            raise ValueError(f"holes must be 1 to {SIZES[size]} for size {size}, not {holes!r}")
        self.size, self.holes = size, holes
        self.max_turns = 2 * holes

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a puzzle."""
        puzzle, self._solution = draw(self.size, self.holes, rng)
        self._grid = list(puzzle)
        self._puzzle = self._shown()
        self._turns = 0
        box = isqrt(self.size)
        return (
            f"sudoku: each row, column and {box}x{box} box has 1 to {self.size} once. say row, column and digit. "
            f"grid: {self._puzzle}"
        )

    def instance(self) -> str:
        """The puzzle."""
        return self._puzzle

    def step(self, action: str) -> Turn:
        """Fill a cell."""
        self._turns += 1
        text, right = self._fill(self._read(action))
        if right and 0 not in self._grid:
            return Turn("solved.", 1 / self.holes, True, {"success": True})
        if self._turns % _SHOWN_EVERY == 0:
            text = f"{text} grid: {self._shown()}"
        return Turn(text, (1 if right else -0.5) / self.holes)

    def valid_actions(self) -> list[str]:
        """All digits in the cells with the fewest candidates."""
        cells = sorted(self._by_ease()[: _CHOICES // self.size])
        return [self._said(cell, digit) for cell in cells for digit in range(1, self.size + 1)]

    def expert_action(self) -> str:
        """The digit of a cell with the fewest candidates."""
        cell = self._by_ease()[0]
        return self._said(cell, self._solution[cell])

    def _by_ease(self) -> list[int]:
        """The empty cells, those with the fewest candidates first."""
        allowed = candidates(self._grid, self.size)
        return sorted(allowed, key=lambda cell: len(allowed[cell]))

    def _read(self, action: str) -> tuple[int, int] | None:
        """A cell, from 0, and a digit."""
        named = read_cell(action)
        if named is None or len(named[2]) != 1:
            return None
        row, column, (digit,) = named
        inside = all(1 <= number <= self.size for number in (row, column, digit))
        return ((row - 1) * self.size + column - 1, digit) if inside else None

    def _fill(self, named: tuple[int, int] | None) -> tuple[str, bool]:
        """The reply to an utterance, and whether a digit was filled in."""
        if named is None:
            return f"say row, column and digit, each 1 to {self.size}.", False
        cell, digit = named
        if self._grid[cell]:
            return f"that cell has a {self._grid[cell]}.", False
        if self._solution[cell] == digit:
            self._grid[cell] = digit
            return "right.", True
        where = units(self.size)
        for n, kind in enumerate(("row", "column", "box")):
            if digit in [self._grid[other] for other in range(self.size**2) if where[other][n] == where[cell][n]]:
                return f"wrong: its {kind} has a {digit}.", False
        return "wrong.", False

    def _said(self, cell: int, digit: int) -> str:
        return f"{cell // self.size + 1} {cell % self.size + 1} {digit}"

    def _shown(self) -> str:
        signs = [str(digit) if digit else "." for digit in self._grid]
        return " ".join("".join(signs[row : row + self.size]) for row in range(0, self.size**2, self.size))
