"""Open all cells of a grid but those with mines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.board.cells import read_cell
from textenvs.games.board.mines import CLOSED, lay, mine_chances, neighbours, spread
from textenvs.parsing import nearest, words

_OPEN = ("reveal", "open", "uncover", "dig", "click", "show", "clear", "step", "reveals", "opening", "safe")
_FLAG = ("flag", "mark", "flags", "mine", "bomb")
_UNFLAG = ("unflag", "unmark", "remove")
_NEGATIONS = frozenset(("no", "not", "never", "don't", "don’t", "dont"))
_VERBS = {word: verb for verb, group in (("reveal", _OPEN), ("flag", _FLAG), ("unflag", _UNFLAG)) for word in group}
_SIGNS = {CLOSED: ".", **{number: str(number) for number in range(9)}}
_UNUSABLE_COST = 0.1
_CHOICES = 32


class Minesweeper(Game):
    """TextMinesweeper-v0: open all cells of a grid but those with mines.

    ## Description

    Some cells of a square grid hide a mine. An open cell shows how many of the up to eight cells around it have one;
    around a 0 all cells open by themselves. You open cell after cell until only those with mines are closed, and lose
    when you open a mine. A flag on a cell is a note of yours, which keeps it from being opened. The first cell that you
    open has no mine, nor have those around it, and flags from before are gone then.

    ## Example transcript

    ```
    minesweeper: 6 rows, 6 columns, 7 mines. reveal all other cells. the first is safe. the board shows . for a
    closed cell, F for a flag and a digit for how many mines are around. say reveal or flag with row and column.
    > reveal 4 4
    ...... ...... 11111. 00001. 00112. 001...
    > reveal 6 6
    ...... ...... 11111. 00001. 00112. 001..1
    > reveal 6 5
    ...... ...... 11111. 00001. 00112. 001.21
    > reveal 4 6
    ...... ...... 11111. 000011 00112. 001.21
    > reveal 3 6
    ...... ....21 111110 000011 00112. 001.21
    > reveal 1 4
    ...2.. ....21 111110 000011 00112. 001.21
    > reveal 2 3
    ...2.. ..2.21 111110 000011 00112. 001.21
    > reveal 2 2
    ...2.. .32.21 111110 000011 00112. 001.21
    > reveal 1 6
    ...2.1 .32.21 111110 000011 00112. 001.21
    > reveal 1 3
    all is clear. you win.
    ```

    ## Observation

    The opening tells the size, the mines and the signs; each reply gives the grid row by row from the top: ``.`` is a
    closed cell, ``F`` a flag, a digit the mines around an open cell.

    ## Action

    Free text with a cell, by row and column from 1, and what to do there: ``reveal 3 4``, ``open row 3, column 4``,
    ``flag (3,4)``, ``unflag r3c4``; without a verb the cell is opened. To flag a cell that has a flag removes it.
    Not usable are several verbs or a negation, a cell outside or an open one, and to reveal one with a flag.

    The admissible utterances are to reveal (or unflag) the closed cells; of more than 32 the expert's and 31 others.

    ## Reward

    For the cells that open, their share of those without a mine that the first reveal, which is luck, has left closed:
    the return is 1 for a win. The first reveal has 0, unless it wins, and so have a flag and a mine. What is not usable
    costs 0.1 and changes nothing.

    ## Episode end

    Terminated when all cells without a mine are open (``success``) or a mine is; truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``size`` | 5 | 6 | 8 | rows and columns of the grid (4 to 10) |
    | ``mines`` | 5 | 7 | 12 | mines (1 to a quarter of the cells) |
    | ``max_turns`` | 25 | 36 | 64 | truncation: the cells |

    An instance is the order of the cells in which mines are laid, as far as it can matter: there are more than 10^12.

    ## Expert

    A script: it opens the cell with the least probability of a mine, computed exactly from all layouts that fit; of
    equally probable ones that with the fewest closed cells around it. So it loses only where it has to guess. It does
    not ask which guess helps on. It begins in the middle. It wins 86%, 91% and 78% of the episodes at easy, medium and
    hard; its mean return is 0.93, 0.96 and 0.96. Random play wins 2%, 0.4% and 0%; its mean return is 0.21, 0.18 and
    0.17.

    ## Source

    The game as in GEM (``game:Minesweeper-v0``, whose easy and hard grids are those here), with the returns of
    TextArena (``Minesweeper-v0``). In GEM the first reveal counts too, a win needs all flags, and only what is not
    understood costs 0.1; in TextArena there are no flags.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"size": 5, "mines": 5},
        "medium": {},
        "hard": {"size": 8, "mines": 12},
    }
    max_choices = _CHOICES

    def __init__(self, size: int = 6, mines: int = 7) -> None:
        if not 4 <= size <= 10:
            raise ValueError(f"size must be 4 to 10, not {size!r}")
        most = size**2 // 4
        if not 1 <= mines <= most:
            raise ValueError(f"mines must be 1 to {most} for size {size}, not {mines!r}")
        self.size, self.mines = size, mines
        self.max_turns = size**2

    def reset(self, rng: np.random.Generator) -> str:
        """Draw where mines come; which cells must be free of them the first reveal says."""
        cells = self.size**2
        self._order = [int(cell) for cell in rng.permutation(cells)]
        self._listed = [int(cell) for cell in rng.permutation(cells)]
        self._laid: frozenset[int] | None = None
        self._shown = [CLOSED] * cells
        self._flags: set[int] = set()
        self._open: set[int] = set()
        return (
            f"minesweeper: {self.size} rows, {self.size} columns, {self.mines} mines. reveal all other cells. the "
            "first is safe. the board shows . for a closed cell, F for a flag and a digit for how many mines are "
            "around. say reveal or flag with row and column."
        )

    def instance(self) -> str:
        """The cells where mines come first."""
        row_and_column = [divmod(cell, self.size) for cell in self._order[: self.mines + 9]]
        return f"{self.size} {self.mines} " + " ".join(f"{row + 1},{column + 1}" for row, column in row_and_column)

    def step(self, action: str) -> Turn:
        """Open or flag a cell."""
        verb, cell = _verb(action), self._cell(action)
        if verb is None or cell is None:
            return Turn(f"say reveal or flag with row and column, 1 to {self.size}.", -_UNUSABLE_COST)
        if self._shown[cell] != CLOSED:
            return Turn(f"{self._named(cell)} is open. say a closed cell.", -_UNUSABLE_COST)
        if (cell in self._flags) if verb == "reveal" else (verb == "unflag" and cell not in self._flags):
            state = "has a flag" if verb == "reveal" else "has no flag"
            return Turn(f"{self._named(cell)} {state}.", -_UNUSABLE_COST)
        if verb != "reveal":
            self._flags ^= {cell}
            return Turn(self._board())
        first = self._laid is None
        if self._laid is None:
            self._laid = lay(self._order, self.mines, cell, self.size)
            self._flags.clear()  # else they would make cells of the first reveal worth something
        if cell in self._laid:
            return Turn("a mine. you lose.", 0.0, True, {"success": False})
        opened = spread(cell, self._laid, self._flags | self._open, self.size)
        self._open.update(opened)
        for each, number in opened.items():
            self._shown[each] = number
        left = len(self._shown) - len(self._open) - self.mines
        if first:
            self._worth = left
        reward = 0.0 if first and left else len(opened) / self._worth if self._worth else 1.0
        if not left:
            return Turn("all is clear. you win.", reward, True, {"success": True})
        return Turn(self._board(), reward)

    def valid_actions(self) -> list[str]:
        """To reveal or unflag the closed cells; where there are too many, the expert's and some others."""
        closed = [cell for cell in self._listed if self._shown[cell] == CLOSED]
        if len(closed) > _CHOICES:
            best = self._best()
            closed = [best, *[cell for cell in closed if cell != best][: _CHOICES - 1]]
        return [self._said(cell) for cell in sorted(closed)]

    def expert_action(self) -> str:
        """The least dangerous cell."""
        return self._said(self._best())

    def _best(self) -> int:
        """The cell least probable to have a mine; of several the one with the fewest closed cells around it."""
        if self._laid is None:
            return (self.size // 2) * (self.size + 1)
        around = neighbours(self.size)
        chances = mine_chances(tuple(self._shown), self.size, self.mines)
        closed = {cell: sum(self._shown[beside] == CLOSED for beside in around[cell]) for cell in chances}
        return min(chances, key=lambda cell: (chances[cell], closed[cell]))

    def _said(self, cell: int) -> str:
        row, column = divmod(cell, self.size)
        return f"{'unflag' if cell in self._flags else 'reveal'} {row + 1} {column + 1}"

    def _cell(self, action: str) -> int | None:
        named = read_cell(action)
        if named is None or named[2] or not all(1 <= number <= self.size for number in named[:2]):
            return None
        return (named[0] - 1) * self.size + named[1] - 1

    def _named(self, cell: int) -> str:
        row, column = divmod(cell, self.size)
        return f"row {row + 1} column {column + 1}"

    def _board(self) -> str:
        signs = [_SIGNS[number] for number in self._shown]
        for cell in self._flags:
            signs[cell] = "F"
        return " ".join(["".join(signs[row : row + self.size]) for row in range(0, self.size**2, self.size)])


@lru_cache(maxsize=1 << 10)
def _verb(action: str) -> str | None:
    """What an utterance wants to do: the one verb in it, ``reveal`` where there is none."""
    said = words(action)
    known = [nearest(word, tuple(_VERBS)) if len(word) > 3 else word for word in said]
    verbs = {_VERBS[word] for word in known if word in _VERBS}
    if verbs == {"flag", "unflag"}:  # remove the flag
        verbs = {"unflag"}
    return None if len(verbs) > 1 or _NEGATIONS.intersection(said) else verbs.pop() if verbs else "reveal"
