"""Push boxes onto targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.control.sokoban_levels import draw_level, steps
from textenvs.games.control.sokoban_solver import solve
from textenvs.parsing import direction

_MOVES = ("left", "down", "right", "up")
_STEP, _ON_TARGET, _DONE = -0.1, 1.0, 10.0


class Sokoban(Game):
    """TextSokoban-v0: push the boxes of a room onto its targets.

    ## Description

    You walk through a room of walls and boxes, one cell a turn. Walking into a box pushes it one cell on, unless a wall
    or another box is behind it; boxes cannot be pulled, so that a box in a corner is lost. When each target has a box
    on it, the level is solved. Levels are random: a walk digs the room, the boxes start on the targets and are pulled
    away at random, so that pushing them back solves the level; no box starts on a target.

    ## Example transcript

    ```
    push the boxes X onto the targets O. P is you, _ floor, # wall, * a box on a target, S you on a target; walls are
    around the map. map: ____ _#_X _OX_ ##PO
    > right
    map: ____ _#_X _OX_ ##_S
    > up
    map: ____ _#_X _OXP ##_O
    > left
    map: ____ _#_X _*P_ ##_O
    > up
    map: ____ _#PX _*__ ##_O
    > up
    map: __P_ _#_X _*__ ##_O
    > right
    map: ___P _#_X _*__ ##_O
    > down
    map: ____ _#_P _*_X ##_O
    > down
    solved.
    ```

    ## Observation

    The opening explains the marks; it and each reply give the map row by row, without the walls around it. A move that
    changes nothing is said to be blocked.

    ## Action

    Free text with one direction in it: ``left``, ``push down``, ``I go east``, ``n``. Several directions, or none, are
    not understood.

    ## Reward

    -0.1 for each turn, also for what is blocked or not understood; 1 for a box that comes onto a target, -1 for one
    that leaves it; 10 for solving the level.

    ## Episode end

    Terminated when the level is solved (``success``); truncated after ``max_turns``, also where a box is lost.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``size`` | 6 | 6 | 7 | rows and columns (5 to 8), the walls around the room included |
    | ``boxes`` | 1 | 2 | 3 | boxes and targets (1 to 3; 2 in a room of size 5) |
    | ``moves`` | 5 | 8 | 12 | least moves that the level needs (1 to 5 for each box) |
    | ``max_turns`` | 60 | 90 | 120 | truncation: 30 and 30 for each box |

    ## Expert

    Exact: A* over pushes for the fewest moves, which is also the highest return; a box that could reach no target even
    if it were alone ends a branch. It needs 7, 11 and 16 moves on average, always succeeds and returns 10.2, 10.9 and
    11.4 at easy, medium and hard. Random play returns -4.8, -7.9 and -11.1 and succeeds in 9%, 5% and 1.5% of the
    episodes. Where the level cannot be solved any more the expert says left.

    ## Source

    Rules, rewards and the way that levels are made are those of gym-sokoban (Schrader 2018), after Racanière et al.
    2017, "Imagination-augmented agents for deep reinforcement learning", with random pulls in the place of its search
    for the farthest ones. RAGEN has it in words: the four moves and rooms of size 6 are as there.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"boxes": 1, "moves": 5},
        "medium": {},
        "hard": {"size": 7, "boxes": 3, "moves": 12},
    }
    max_choices = 4

    def __init__(self, size: int = 6, boxes: int = 2, moves: int = 8) -> None:
        if not 5 <= size <= 8:
            raise ValueError(f"size must be 5 to 8, not {size!r}")
        if not 1 <= boxes <= min(3, size - 3):
            raise ValueError(f"boxes must be 1 to {min(3, size - 3)} in a room of size {size}, not {boxes!r}")
        if not 1 <= moves <= 5 * boxes:
            raise ValueError(f"moves must be 1 to {5 * boxes} with {boxes} boxes, not {moves!r}")
        self.size, self.boxes, self.moves = size, boxes, moves
        self.max_turns = 30 + 30 * boxes

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a room, and pull its boxes away from their targets."""
        while True:
            self._level = level = draw_level(self.size, self.boxes, rng)
            if len(solve(self.size, level.floor, level.targets, level.boxes, level.player) or ()) >= self.moves:
                break
        self._boxes, self._player = self._level.boxes, self._level.player
        return (
            "push the boxes X onto the targets O. P is you, _ floor, # wall, * a box on a target, S you on a target; "
            f"walls are around the map. {self._look()}"
        )

    def instance(self) -> str:
        """The map at the start."""
        return self._draw(self._level.boxes, self._level.player)

    def step(self, action: str) -> Turn:
        """Walk or push one cell."""
        named = direction(action)
        if named is None:
            return Turn("say left, down, right or up.", _STEP)
        step = steps(self.size)[named]
        ahead, beyond = self._player + step, self._player + 2 * step
        pushes = ahead in self._boxes
        if ahead not in self._level.floor or (pushes and (beyond in self._boxes or beyond not in self._level.floor)):
            return Turn(f"blocked. {self._look()}", _STEP)
        before = len(self._boxes & self._level.targets)
        if pushes:
            self._boxes = self._boxes - {ahead} | {beyond}
        self._player = ahead
        reward = _STEP + _ON_TARGET * (len(self._boxes & self._level.targets) - before)
        if self._boxes == self._level.targets:
            return Turn("solved.", reward + _DONE, True, {"success": True})
        return Turn(self._look(), reward)

    def valid_actions(self) -> list[str]:
        """The four directions."""
        return list(_MOVES)

    def expert_action(self) -> str:
        """The first of the fewest moves that solve the level."""
        level = self._level
        return (solve(self.size, level.floor, level.targets, self._boxes, self._player) or _MOVES)[0]

    def _look(self) -> str:
        return f"map: {self._draw(self._boxes, self._player)}"

    def _draw(self, boxes: frozenset[int], player: int) -> str:
        """The rows without the walls around them."""
        inner = range(1, self.size - 1)
        return " ".join("".join(self._mark(i * self.size + j, boxes, player) for j in inner) for i in inner)

    def _mark(self, cell: int, boxes: frozenset[int], player: int) -> str:
        target = cell in self._level.targets
        if cell == player:
            return "S" if target else "P"
        if cell in boxes:
            return "*" if target else "X"
        if cell not in self._level.floor:
            return "#"
        return "O" if target else "_"
