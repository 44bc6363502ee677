"""Tic-tac-toe against an opponent from random to perfect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.board import noughts
from textenvs.games.board.opponents import STALLING, ending, numbered, skill, unusable
from textenvs.parsing import nearest, number, numbers, words

_ROWS = {"top": 0, "upper": 0, "bottom": 2, "lower": 2}
_COLUMNS = {"left": 0, "right": 2}
_MIDDLE = ("middle", "center", "centre", "central")
_PLACES = (*_ROWS, *_COLUMNS, *_MIDDLE)
_ROW, _COLUMN = r"row (?P<row>\w+)", r"col(?:umn)? (?P<column>\w+)"
_PATTERNS = (re.compile(f"{_ROW}.*{_COLUMN}"), re.compile(f"{_COLUMN}.*{_ROW}"))


class TicTacToe(Game):
    """TextTicTacToe-v0: three in a row before the opponent has them.

    ## Description

    You and the opponent take the squares of a 3x3 board in turn; who first has three in a row, a column or a diagonal
    wins, and a full board is a draw. ``x`` begins; whether you are ``x`` or ``o`` is drawn for each episode. With
    probability ``opponent`` the opponent makes a perfect move (by minimax: it keeps the best result it can force, and
    wins as soon or loses as late as it can), else any move; all moves that come into question are as probable.

    ## Example transcript

    ```
    tic-tac-toe. you are o. i take 3. board: 12x 456 789. take a square.
    > 5
    i take 8: 12x 4o6 7x9.
    > 4
    i take 1: x2x oo6 7x9.
    > 6
    three in a row, you win.
    ```

    ## Observation

    The board is given row by row: ``x`` and ``o`` are taken squares, a digit is a free one. The opening says what you
    are; each reply names the square that the opponent took and gives the board.

    ## Action

    Free text with one square in it: by its number (``5``, ``I take square five``), its place (``top left``, ``the
    centre``, ``bottom middle``) or its row and column (``row 1, column 3``). Several squares, or a taken one, are not
    understood.

    ## Reward

    1 for a win, 0 for a draw, -1 for a loss. An utterance that is no legal move costs 0.1 and leaves the board as it
    is; ``max_turns`` leaves room for so many of them that to stall costs more than to lose.

    ## Episode end

    Terminated at a win (``success``), a draw or a loss; truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``opponent`` | 0.25 | 0.5 | 0.9 | probability of a perfect move; ``"random"`` is 0, ``"perfect"`` is 1 |
    | ``max_turns`` | 16 | 16 | 16 | truncation |

    All episodes are the same task, so both splits hold all of them. Against ``"perfect"`` nobody can win.

    ## Expert

    Exact: expectimax over all positions and the opponent's policy, so no player has a better expected return; of
    equally good moves it takes the one that wins soonest. Its
    mean return is 0.86, 0.69 and 0.19 at easy, medium and hard, its share of wins the same: it never loses. Random
    moves have -0.24, -0.47 and -0.80, and win 31%, 19% and 3% of the episodes.

    ## Source

    The game as in TextArena (``TicTacToe-v0``), with an opponent of a given skill.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"opponent": 0.25},
        "medium": {},
        "hard": {"opponent": 0.9},
    }
    max_turns = 5 + STALLING
    max_choices = 9

    def __init__(self, opponent: float | str = 0.5) -> None:
        self.skill = skill(opponent)

    def reset(self, rng: np.random.Generator) -> str:
        """Draw who begins."""
        self._rng = rng
        self._board = noughts.EMPTY
        mark = "xo"[int(rng.integers(2))]
        begun = f"i take {self._reply()}. " if mark == "o" else ""
        return f"tic-tac-toe. you are {mark}. {begun}board: {self._shown()}. take a square."

    def step(self, action: str) -> Turn:
        """Take a square; the opponent takes one too."""
        square = _square(action)
        if square is None:
            return unusable("say one free square, 1 to 9.")
        if self._board[square] != ".":
            return unusable(f"{square + 1} is taken. say a free square.")
        self._board = noughts.play(self._board, square)
        if noughts.won(self._board):
            return ending("three in a row, you win.", 1.0)
        if not noughts.free(self._board):
            return ending("a draw.", 0.0)
        reply = self._reply()
        if noughts.won(self._board):
            return ending(f"i take {reply}. three in a row, you lose.", -1.0)
        if not noughts.free(self._board):
            return ending(f"i take {reply}. a draw.", 0.0)
        return Turn(f"i take {reply}: {self._shown()}.")

    def valid_actions(self) -> list[str]:
        """The free squares."""
        return [str(square + 1) for square in noughts.free(self._board)]

    def expert_action(self) -> str:
        """The square with the best expected result against this opponent."""
        return str(noughts.best_square(self._board, self.skill) + 1)

    def _reply(self) -> int:
        """The opponent moves; the number of the square it takes."""
        squares = noughts.free(self._board)
        square = int(self._rng.choice(squares, p=noughts.policy(self._board, self.skill)))
        self._board = noughts.play(self._board, square)
        return square + 1

    def _shown(self) -> str:
        marks = [str(square + 1) if mark == "." else mark for square, mark in enumerate(self._board)]
        return " ".join("".join(marks[row : row + 3]) for row in (0, 3, 6))


def _square(action: str) -> int | None:
    """The one square (0 to 8) that an utterance names."""
    said = words(action)
    for pattern in _PATTERNS:
        if found := pattern.search(" ".join(said)):
            row, column = number(found["row"]), number(found["column"])
            return 3 * row + column - 4 if row in (1, 2, 3) and column in (1, 2, 3) else None
    named = [nearest(word, _PLACES) if len(word) > 3 else word for word in said]
    if not numbers(action) and any(word in _PLACES for word in named):
        return _place(named)
    square = numbered(action, "square", 9)
    return None if square is None else square - 1


def _place(named: list[str]) -> int | None:
    """``top left`` and the like; ``middle`` stands for the row or the column that is not named."""
    middle = {1} if any(word in _MIDDLE for word in named) else set()
    rows = {_ROWS[word] for word in named if word in _ROWS} or middle
    columns = {_COLUMNS[word] for word in named if word in _COLUMNS} or middle
    return 3 * min(rows) + min(columns) if len(rows) == len(columns) == 1 else None
