"""Connect four against an opponent that sees some moves ahead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.board import four
from textenvs.games.board.opponents import STALLING, ending, numbered, unusable
from textenvs.parsing import nearest, numbers, words

_PLACES = {"leftmost": 0, "middle": 3, "center": 3, "centre": 3, "central": 3, "rightmost": 6}


class ConnectFour(Game):
    """TextConnectFour-v0: four in a row before the opponent has them.

    ## Description

    You and the opponent in turn drop disks into the seven columns of a board that is six high; who first has four in a
    row, a column or a diagonal wins, and a full board is a draw. ``x`` begins; whether you are ``x`` or ``o`` is drawn
    for each episode. Before you play, ``opening`` disks fall at random such that nobody can win at once.

    The opponent sees ``depth`` moves ahead (its own and yours): of what it sees it takes the soonest win, or else no
    loss, or else the latest loss, and of equally good moves any. With probability ``random_share`` it takes any move.

    ## Example transcript

    ```
    connect four. you are x. columns 1 to 7, each from the bottom up, 6 high: ox - - - x o xo. drop in a column.
    > 4
    i drop in 2: ox o - x x o xo.
    > 4
    i drop in 7: ox o - xx x o xoo.
    > 4
    i drop in 4: ox o - xxxo x o xoo.
    > 2
    i drop in 4: ox ox - xxxoo x o xoo.
    > 7
    i drop in 6: ox ox - xxxoo x oo xoox.
    > 6
    i drop in 1: oxo ox - xxxoo x oox xoox.
    > 5
    four in a row, you win.
    ```

    ## Observation

    The board is given column by column from the left, each from the bottom up; ``-`` is an empty column. The opening
    says what you are; each reply names the column of the opponent's disk and gives the board.

    ## Action

    Free text with one column in it: ``4``, ``drop in column four``, ``the third column``, ``middle``, ``leftmost``.
    Several columns, or a full one, are not understood.

    ## Reward

    1 for a win, 0 for a draw, -1 for a loss. An utterance that is no legal move costs 0.1 and leaves the board as it
    is; ``max_turns`` leaves room for so many of them that to stall costs more than to lose.

    ## Episode end

    Terminated at a win (``success``), a draw or a loss; truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``depth`` | 1 | 3 | 6 | moves that the opponent sees ahead (0 to 8) |
    | ``random_share`` | 0.2 | 0.1 | 0 | probability of a random move of the opponent |
    | ``opening`` | 0 | 6 | 6 | disks on the board at the start (0 to 12) |
    | ``max_turns`` | 32 | 32 | 32 | truncation |

    An instance is the opening and your side: there are 28,412 with six disks. Without an opening all episodes
    are the same task.

    ## Expert

    A script: alpha-beta over bitboards with 3,000 nodes a move, guided by the cells that would win:
    about 10 moves deep in the beginning, to the end of the game from the middle on.
    It wins 100%, 96% and 92% of the episodes at easy, medium and hard; its mean return is 1.00, 0.93 and 0.86.
    Random moves win 26%, 7% and 1%; their mean return is -0.48, -0.85 and -0.98.

    ## Source

    The game as in TextArena (``ConnectFour-v0``), with an opponent of a given depth. The bitboards are those of Tromp's
    Connect-4 pages, the search follows Pons, Solving Connect 4.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"depth": 1, "random_share": 0.2, "opening": 0},
        "medium": {},
        "hard": {"depth": 6, "random_share": 0.0},
    }
    max_turns = four.CELLS // 2 + STALLING
    max_choices = four.COLUMNS

    def __init__(self, depth: int = 3, random_share: float = 0.1, opening: int = 6) -> None:
        if not 0 <= depth <= 8:
            raise ValueError(f"depth must be 0 to 8, not {depth!r}")
        if not 0 <= random_share <= 1:
            raise ValueError(f"random_share is a probability: it must be 0 to 1, not {random_share!r}")
        if not 0 <= opening <= 12:
            raise ValueError(f"opening must be 0 to 12 disks, not {opening!r}")
        self.depth, self.random_share, self.opening = depth, random_share, opening

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the opening and who begins."""
        self._rng = rng
        self._mine, self._taken = _opening(self.opening, rng)  # the mover's disks and all
        self._mark = "xo"[int(rng.integers(2))]
        self._start = f"{self._mark}: {self._shown()}"
        begun = f"i drop in {self._reply()}. " if self._mover() != self._mark else ""
        return (
            f"connect four. you are {self._mark}. {begun}columns 1 to 7, each from the bottom up, 6 high: "
            f"{self._shown()}. drop in a column."
        )

    def instance(self) -> str | None:
        """Your side and the opening, where there is one."""
        return self._start if self.opening else None

    def step(self, action: str) -> Turn:
        """Drop a disk; the opponent drops one too."""
        column = _column(action)
        if column is None:
            return unusable("say one column, 1 to 7.")
        if column not in four.columns(self._taken):
            return unusable(f"column {column + 1} is full. say another.")
        self._drop(column)
        if four.four(self._mine ^ self._taken):
            return ending("four in a row, you win.", 1.0)
        if not four.columns(self._taken):
            return ending("a draw.", 0.0)
        reply = self._reply()
        if four.four(self._mine ^ self._taken):
            return ending(f"i drop in {reply}. four in a row, you lose.", -1.0)
        if not four.columns(self._taken):
            return ending(f"i drop in {reply}. a draw.", 0.0)
        return Turn(f"i drop in {reply}: {self._shown()}.")

    def valid_actions(self) -> list[str]:
        """The columns with room."""
        return [str(column + 1) for column in four.columns(self._taken)]

    def expert_action(self) -> str:
        """The column that a strong player takes."""
        return str(four.strong_column(self._mine, self._taken) + 1)

    def _mover(self) -> str:
        return "xo"[self._taken.bit_count() % 2]

    def _drop(self, column: int) -> None:
        self._mine, self._taken = four.drop(self._mine, self._taken, column)

    def _reply(self) -> int:
        """The opponent moves; the number of its column."""
        careless = self._rng.random() < self.random_share
        column = int(self._rng.choice(four.seen_best(self._mine, self._taken, 0 if careless else self.depth)))
        self._drop(column)
        return column + 1

    def _shown(self) -> str:
        disks = self._mine if self._mover() == "x" else self._mine ^ self._taken
        return " ".join(four.stacks(disks, self._taken))


def _opening(disks: int, rng: np.random.Generator) -> tuple[int, int]:
    """A position after this many random moves, in which nobody has won or can win at once."""
    while True:
        mine = taken = 0
        for _ in range(disks):
            mine, taken = four.drop(mine, taken, int(rng.choice(four.columns(taken))))
        theirs = mine ^ taken
        winning = four.winning_cells(mine, taken) | four.winning_cells(theirs, taken)
        if not (four.four(mine) or four.four(theirs) or winning & four.playable(taken)):
            return mine, taken


def _column(action: str) -> int | None:
    """The one column (0 to 6) that an utterance names."""
    said = words(action)
    places = {_PLACES[word] for word in (nearest(word, tuple(_PLACES)) for word in said) if word in _PLACES}
    if "far" in said:
        places |= {column for word, column in (("left", 0), ("right", 6)) if word in said}
    if places and not numbers(action):
        return places.pop() if len(places) == 1 else None
    column = numbered(action, "column", four.COLUMNS)
    return None if column is None else column - 1
