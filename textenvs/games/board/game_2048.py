"""Slide and merge tiles until one of them is large enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.board.slide_2048 import DIRECTIONS, FOUR_CHANCE, Board, best_direction, slide
from textenvs.parsing import direction

_TILES = ("-", *(str(1 << power) for power in range(1, 17)))
_MISUNDERSTOOD = -0.1


class Game2048(Game):
    """Text2048-v0: slide and merge tiles until one of them reaches the target.

    ## Description

    All tiles of a square board slide as far as they can in a direction that you say; two equal ones that meet merge
    into one of their sum, each tile once a turn. Then a new tile comes on a random empty cell: a 2, or with
    probability 0.1 a 4. Two such tiles lie there at the start.

    ## Example transcript

    ```
    2048 up to 64: slide the tiles left, down, right or up; equal ones merge. board: 2 - - / - - - / 2 - -
    > right
    - - 2 / - 2 - / - - 2
    > down
    - 2 - / - - - / - 2 4
    > left
    2 - - / - - - / 2 4 2
    > right
    - - 2 / 2 - - / 2 4 2
    > left
    2 - 4 / 2 - - / 2 4 2
    > right
    - 2 4 / - 4 2 / 2 4 2
    ...
    > left
    32 2 2 / 32 4 - / 8 2 4
    > left
    32 4 2 / 32 4 - / 8 2 4
    > down
    - - - / 64 8 2 / 8 2 4. you reach 64.
    ```

    ## Observation

    The board after each move, row by row from the top, rows parted by ``/``; ``-`` is an empty cell.

    ## Action

    Free text with one direction in it: ``left``, ``slide down``, ``swipe right!``, ``n``. Several directions, or none,
    are not understood. Then, and where nothing moves in the direction, a turn goes by and the board stays as it is.

    ## Reward

    The points of the turn, the sum of the tiles that merging made, as a share of the ``target * (log2(target) - 1)``
    points that it takes to make the target out of twos. The target itself is paid with whatever is missing to 1, and
    no more than 1 is paid in all: the return is 1 when the target is reached and the share of the way else.
    What is not understood costs 0.1.

    ## Episode end

    Terminated when the target is reached (``success``) or nothing can move; truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``size`` | 3 | 4 | 3 | rows and columns of the board (3 or 4) |
    | ``target`` | 64 | 256 | 256 | the tile to reach, a power of two from 8 to 2048, on a board of 3 to 512 |
    | ``max_turns`` | 64 | 256 | 256 | truncation: the target (a move adds 2.2 to the sum of the tiles on average) |

    The less room, the harder. All episodes of a level are the same task: what comes is random.

    ## Expert

    A script: expectimax over one new tile, or two where there is little room, with hand-made values of rows
    and columns (room, equal neighbours, order) at the leaves. It reaches the target in 100%, 100% and 85% of the
    episodes at easy, medium and hard, in about 37, 143 and 123 turns; its mean return is 1.00, 1.00 and 0.95. Random
    moves among those that move something reach it in 11%, 8% and 0%; their mean return is 0.55, 0.59 and 0.10.

    ## Source

    2048 by Gabriele Cirulli (2014); the game, with a target and a limit of turns, as in GEM
    (``gem/envs/game_env/game_2048.py``), which pays for each larger tile; what is not understood costs the
    same there. The weights of the expert's values are those of Robert Xiao's ``2048-ai``.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"size": 3, "target": 64},
        "medium": {},
        "hard": {"size": 3},
    }
    max_choices = 4

    def __init__(self, size: int = 4, target: int = 256) -> None:
        if size not in (3, 4):
            raise ValueError(f"size must be 3 or 4, not {size!r}")
        largest = 512 if size == 3 else 2048
        if target not in [1 << power for power in range(3, largest.bit_length())]:
            raise ValueError(f"target must be a power of two from 8 to {largest} for size {size}, not {target!r}")
        self.size, self.target = size, target
        self.max_turns = target
        self._power = target.bit_length() - 1
        self._worth = target * (self._power - 1)

    def reset(self, rng: np.random.Generator) -> str:
        """Lay two tiles."""
        self._rng = rng
        self._board: Board = ((0,) * self.size,) * self.size
        self._points = 0
        self._add_tile()
        self._add_tile()
        rules = "slide the tiles left, down, right or up; equal ones merge."
        return f"2048 up to {self.target}: {rules} board: {self._shown()}"

    def step(self, action: str) -> Turn:
        """Slide."""
        named = direction(action)
        if named is None:
            return Turn("say left, down, right or up.", _MISUNDERSTOOD)
        after, points = slide(self._board, named)
        if after == self._board:
            return Turn(f"nothing moves {named}.")
        self._board = after
        paid = min(self._points, self._worth)
        self._points += points
        if any(self._power in row for row in after):
            return Turn(f"{self._shown()}. you reach {self.target}.", 1 - paid / self._worth, True, self._info(True))
        reward = (min(self._points, self._worth) - paid) / self._worth
        self._add_tile()
        if any(map(self._moves, DIRECTIONS)):
            return Turn(self._shown(), reward)
        return Turn(f"{self._shown()}. nothing can move.", reward, True, self._info(False))

    def valid_actions(self) -> list[str]:
        """The directions in which something moves."""
        return list(filter(self._moves, DIRECTIONS))

    def expert_action(self) -> str:
        """The direction of the highest expected value."""
        return best_direction(self._board, self._power)

    def _moves(self, direction: str) -> bool:
        return slide(self._board, direction)[0] != self._board

    def _info(self, success: bool) -> dict[str, Any]:
        return {"success": success, "points": self._points, "largest": 1 << max(map(max, self._board))}

    def _add_tile(self) -> None:
        empty = [(i, j) for i, row in enumerate(self._board) for j, tile in enumerate(row) if not tile]
        i, j = empty[self._rng.integers(len(empty))]
        tile = 2 if self._rng.random() < FOUR_CHANCE else 1
        row = (*self._board[i][:j], tile, *self._board[i][j + 1 :])
        self._board = (*self._board[:i], row, *self._board[i + 1 :])

    def _shown(self) -> str:
        return " / ".join([" ".join([_TILES[tile] for tile in row]) for row in self._board])
