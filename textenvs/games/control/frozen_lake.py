"""Cross a frozen lake, told in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn

_DIRECTIONS = ("left", "down", "right", "up")  # in FrozenLake-v1's order: neighbours in it are 90 degrees apart
_MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))
_SYNONYMS = {"west": "left", "south": "down", "east": "right", "north": "up"} | {
    letter: direction for direction in _DIRECTIONS for letter in direction[0]
}
_TILES = {"S": "ice", "F": "ice", "H": "a hole", "G": "the goal"}
_MAPS = {
    "4x4": ("SFFF", "FHFH", "FFFH", "HFFG"),
    "8x8": ("SFFFFFFF", "FFFFFFFF", "FFFHFFFF", "FFFFFHFF", "FFFHFFFF", "FHHFFFHF", "FHFFHFHF", "FFFHFFFG"),
}
_FROZEN = 0.8  # share of ice in random maps
_MAX_CHARACTERS = 300

Map = tuple[str, ...]


class FrozenLake(Game):
    """TextFrozenLake-v0: walk over slippery ice to the goal without falling into a hole.

    ## Description

    The lake is a grid of ice and holes; you start in the upper left corner, the goal is in the lower right one. On slippery ice a
    step goes the intended way with probability ``success_rate`` and else to either side of it. Walking into the
    edge leaves you where you are. The dynamics are those of Gymnasium's ``FrozenLake-v1``.

    ## Example transcript

    ```
    frozen lake, not slippery. map: SFFF FHFH FFFH HFFG. you are at row 1 column 1. left: edge, down: ice, right: ice, up: edge.
    > down
    you are at row 2 column 1. left: edge, down: ice, right: a hole, up: ice.
    > right
    you fall into a hole.
    ```

    ## Observation

    The opening gives the map row by row (``S`` start, ``F`` ice, ``H`` hole, ``G`` goal); each reply says where you are and what lies
    around you.

    ## Action

    Free text with one direction in it: ``left``, ``go down``, ``i walk east``, ``n``. Several directions, or none, are not understood
    and cost a turn.

    ## Reward

    1 at the goal, else 0.

    ## Episode end

    Terminated at the goal (``success``) or in a hole; truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``map_name`` | None | 4x4 | None | ``"4x4"``, ``"8x8"`` (Gymnasium's), or ``None`` for a random solvable one |
    | ``size`` | 4 | - | 8 | rows and columns of a random map |
    | ``is_slippery`` | no | yes | yes | whether steps can go astray |
    | ``success_rate`` | - | 1/3 | 0.8 | probability of the intended way on slippery ice |
    | ``max_turns`` | 100 | 100 | 200 | truncation, as FrozenLake-v1 and FrozenLake8x8-v1 |

    ## Expert

    Exact: value iteration over the turns that are left, so it is optimal for the truncated episode too.

    ## Source

    Gymnasium's ``FrozenLake-v1``; in words also in GEM and RAGEN.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"map_name": None, "is_slippery": False},
        "medium": {},
        "hard": {"map_name": None, "size": 8, "success_rate": 0.8},
    }
    max_choices = 4

    def __init__(
        self,
        map_name: str | None = "4x4",
        size: int = 4,
        is_slippery: bool = True,
        success_rate: float = 1 / 3,
    ) -> None:
        if map_name is not None and map_name not in _MAPS:
            raise ValueError(f"map_name must be one of {sorted(_MAPS)} or None for a random map, not {map_name!r}")
        if not 2 <= size <= 12:
            raise ValueError(f"size must be 2 to 12, not {size!r}")
        if not 0 <= success_rate <= 1:
            raise ValueError(f"success_rate is a probability: it must be 0 to 1, not {success_rate!r}")
        self.map_name, self.size = map_name, size
        self.success_rate = success_rate if is_slippery else 1.0
        side = size if map_name is None else len(_MAPS[map_name])
        self.max_turns = 100 if side <= 4 else 200

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a map, where it is random; stand at the start."""
        self._rng = rng
        self._map = _MAPS[self.map_name] if self.map_name else random_map(self.size, rng)
        self._row = self._column = self._turns = 0
        ice = "not slippery" if self.success_rate == 1 else "slippery"
        return f"frozen lake, {ice}. map: {' '.join(self._map)}. {self._look()}"

    def instance(self) -> str | None:
        """The map, where it is random."""
        return None if self.map_name else " ".join(self._map)

    def step(self, action: str) -> Turn:
        """Walk one step."""
        self._turns += 1
        direction = _read(action)
        if direction is None:
            return Turn("say left, down, right or up.")
        side = (1 - self.success_rate) / 2
        drift = int(self._rng.choice((-1, 0, 1), p=(side, self.success_rate, side))) if side else 0
        way = (_DIRECTIONS.index(direction) + drift) % 4
        self._row, self._column = _walk(self._map, self._row, self._column, way)
        tile = self._map[self._row][self._column]
        if tile == "G":
            return Turn("you reach the goal.", 1.0, True, {"success": True})
        if tile == "H":
            return Turn("you fall into a hole.", 0.0, True, {"success": False})
        return Turn(self._look())

    def valid_actions(self) -> list[str]:
        """The four directions."""
        return list(_DIRECTIONS)

    def expert_action(self) -> str:
        """The direction that most probably leads to the goal in the turns that are left."""
        values = action_values(self._map, self.success_rate, self.max_turns)
        left = min(max(self.max_turns - self._turns, 1), self.max_turns)
        state = self._row * len(self._map[0]) + self._column
        return _DIRECTIONS[int(values[left - 1, state].argmax())]

    def _look(self) -> str:
        around = []
        for name, (down, right) in zip(_DIRECTIONS, _MOVES, strict=True):
            row, column = self._row + down, self._column + right
            inside = 0 <= row < len(self._map) and 0 <= column < len(self._map[0])
            around.append(f"{name}: {_TILES[self._map[row][column]] if inside else 'edge'}")
        return f"you are at row {self._row + 1} column {self._column + 1}. {', '.join(around)}."


def _read(text: str) -> str | None:
    words = re.findall(r"[a-z]+", text[:_MAX_CHARACTERS].lower())
    named = {_SYNONYMS.get(word, word) for word in words} & set(_DIRECTIONS)
    return named.pop() if len(named) == 1 else None


def _walk(lake: Map, row: int, column: int, way: int) -> tuple[int, int]:
    down, right = _MOVES[way]
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
            place = _walk(lake, row, column, way)
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
                for drift, probability in ((-1, (1 - success_rate) / 2), (0, success_rate), (1, (1 - success_rate) / 2)):
                    to_row, to_column = _walk(lake, row, column, (action + drift) % 4)
                    result[state, action, to_row * columns + to_column] += probability
    return result


@lru_cache(maxsize=256)
def action_values(lake: Map, success_rate: float, turns: int) -> np.ndarray:
    """Probability of reaching the goal, ``(turns, states, actions)`` float64; entry ``[n - 1]`` with ``n`` turns left."""
    chances = transitions(lake, success_rate)
    goal = np.array([tile == "G" for row in lake for tile in row])
    values = goal.astype(float)
    result = np.empty((turns, *chances.shape[:2]))
    for left in range(turns):
        result[left] = chances @ values
        values = np.where(goal, 1.0, result[left].max(axis=1))
    return result
