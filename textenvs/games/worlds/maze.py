"""Find the way out of a maze."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.parsing import direction

_MOVES = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
_DOUBLE_T = (".....#.....", *3 * ("##.#####.##",), "##.......##", *3 * ("#####.#####",))
_DOUBLE_T_GOAL = (8, 6)
_MISUNDERSTOOD = -4.0

Cell = tuple[int, int]  # row and column, from 1


class Maze(Game):
    """TextMaze-v0: walk through a maze to its goal in as few steps as you can.

    ## Description

    You stand in a maze and walk to its goal, one cell a turn; walking into a wall leaves you where you are. The maze
    is LMRL-Gym's double T, where the goal lies at the foot and you start anywhere, or a random one without loops,
    where the goal is the cell farthest from a random start. With the full view you have the map and read where you are;
    with the partial view you only read which walls are beside you.

    ## Example transcript

    ```
    maze: .....#..... ##.#####.## ##.#####.## ##.#####.## ##.......## #####.##### #####.##### #####.#####. the goal
    is at row 8 column 6. you are at row 5 column 3. walls: left, down.
    > right
    you are at row 5 column 4. walls: up, down.
    > right
    you are at row 5 column 5. walls: up, down.
    > right
    you are at row 5 column 6. walls: up.
    > down
    you are at row 6 column 6. walls: left, right.
    > down
    you are at row 7 column 6. walls: left, right.
    > down
    you reach the goal.
    ```

    ## Observation

    With the full view the opening gives the map row by row (``.`` floor, ``#`` wall, walls around it) and the goal;
    each reply says where you are and which walls are beside you. With the partial view there are only the walls.

    ## Action

    Free text with one direction in it: ``left``, ``go down``, ``I walk east``, ``n``. Several directions, or none, are
    not understood.

    ## Reward

    -1 for each step, also into a wall; 0 for the one that reaches the goal; -4 for what is not understood.

    ## Episode end

    Terminated at the goal (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``maze`` | double_t | random | random | ``"double_t"`` (always the same one) or ``"random"`` |
    | ``size`` | - | 7 | 9 | rows and columns of a random maze, odd, without the walls around it |
    | ``view`` | full | full | partial | ``"full"`` or ``"partial"`` |
    | ``max_turns`` | 100 | 100 | 100 | truncation, as in LMRL-Gym; ``size`` squared for random mazes beyond 10 |

    ## Expert

    Exact: breadth-first search for the shortest way. It knows the map and its place also with the partial view, so
    that there it is a bound that no player can beat. Its mean return is -7, -18 and -29; it always succeeds. Random
    play has -87, -99.5 and -99.9 and succeeds in 23%, 2% and 1% of the episodes.

    ## Source

    The maze of LMRL-Gym (Abdulhai et al. 2023), fully and partially observed, with its double T, rewards and turn
    limit. There the player does not get the map of the double T, which is always the same.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"maze": "double_t"},
        "medium": {},
        "hard": {"size": 9, "view": "partial"},
    }
    max_choices = 4

    def __init__(self, maze: str = "random", size: int = 7, view: str = "full") -> None:
        if maze not in ("double_t", "random"):
            raise ValueError(f"maze must be 'double_t' or 'random', not {maze!r}")
        if not (3 <= size <= 15 and size % 2):
            raise ValueError(f"size must be an odd number from 3 to 15, not {size!r}")
        if view not in ("full", "partial"):
            raise ValueError(f"view must be 'full' or 'partial', not {view!r}")
        self.maze, self.size, self.view = maze, size, view
        self.max_turns = max(100, size**2) if maze == "random" else 100

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a start, and a maze and its goal where they are random."""
        self._map = _DOUBLE_T if self.maze == "double_t" else random_maze(self.size, rng)
        cells = [cell for cell in _floor(self._map) if self.maze == "random" or cell != _DOUBLE_T_GOAL]
        self._start = self._cell = cells[rng.integers(len(cells))]
        far = distances(self._map, self._start)
        self._goal = max(cells, key=lambda cell: far[cell]) if self.maze == "random" else _DOUBLE_T_GOAL
        if self.view == "partial":
            return f"you are in a maze. find the goal. {self._look()}"
        row, column = self._goal
        return f"maze: {' '.join(self._map)}. the goal is at row {row} column {column}. {self._look()}"

    def instance(self) -> str | None:
        """The map and the two ends of the way, where they are random."""
        return None if self.maze == "double_t" else f"{' '.join(self._map)} {self._start} {self._goal}"

    def step(self, action: str) -> Turn:
        """Walk one step."""
        named = direction(action)
        if named is None:
            return Turn("say left, right, up or down.", _MISUNDERSTOOD)
        self._cell = _walk(self._map, self._cell, named)
        if self._cell == self._goal:
            return Turn("you reach the goal.", 0.0, True, {"success": True})
        return Turn(self._look(), -1.0)

    def valid_actions(self) -> list[str]:
        """The four directions."""
        return list(_MOVES)

    def expert_action(self) -> str:
        """The direction of the shortest way."""
        far = distances(self._map, self._goal)
        return min(_MOVES, key=lambda move: far[_walk(self._map, self._cell, move)])

    def _look(self) -> str:
        walls = [move for move in _MOVES if _walk(self._map, self._cell, move) == self._cell]
        around = f"walls: {', '.join(walls)}." if walls else "no walls."
        return around if self.view == "partial" else f"you are at row {self._cell[0]} column {self._cell[1]}. {around}"


def random_maze(size: int, rng: np.random.Generator) -> tuple[str, ...]:
    """A maze without loops, its floor grown cell by cell from a random one (depth first)."""
    tiles = [["#"] * size for _ in range(size)]
    path = [(2 * int(rng.integers(size // 2 + 1)), 2 * int(rng.integers(size // 2 + 1)))]
    tiles[path[0][0]][path[0][1]] = "."
    while path:
        row, column = path[-1]
        closed = [
            (down, right)
            for down, right in _MOVES.values()
            if 0 <= row + 2 * down < size and 0 <= column + 2 * right < size
            if tiles[row + 2 * down][column + 2 * right] == "#"
        ]
        if not closed:
            path.pop()
            continue
        down, right = closed[rng.integers(len(closed))]
        tiles[row + down][column + right] = tiles[row + 2 * down][column + 2 * right] = "."
        path.append((row + 2 * down, column + 2 * right))
    return tuple("".join(row) for row in tiles)


@lru_cache(maxsize=256)
def distances(maze: tuple[str, ...], goal: Cell) -> dict[Cell, int]:
    """How many steps each cell is from a goal, by breadth-first search."""
    far = {goal: 0}
    queue = [goal]
    for cell in queue:
        for move in _MOVES:
            neighbour = _walk(maze, cell, move)
            if neighbour not in far:
                far[neighbour] = far[cell] + 1
                queue.append(neighbour)
    return far


def _walk(maze: tuple[str, ...], cell: Cell, move: str) -> Cell:
    """Where a step leads; a wall stops it."""
    row, column = cell[0] + _MOVES[move][0], cell[1] + _MOVES[move][1]
    inside = 1 <= row <= len(maze) and 1 <= column <= len(maze[0])
    return (row, column) if inside and maze[row - 1][column - 1] == "." else cell


def _floor(maze: tuple[str, ...]) -> list[Cell]:
    return [(i, j) for i, row in enumerate(maze, 1) for j, tile in enumerate(row, 1) if tile == "."]
