"""Cross a frozen lake, told in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.control.ice import MAPS, MOVES, action_values, random_map, walk
from textenvs.parsing import direction

_DIRECTIONS = ("left", "down", "right", "up")  # in FrozenLake-v1's order
_TILES = {"S": "ice", "F": "ice", "H": "a hole", "G": "the goal"}


class FrozenLake(Game):
    """TextFrozenLake-v0: walk over slippery ice to the goal without falling into a hole.

    ## Description

    The lake is a grid of ice and holes; you start in the upper left corner, the goal is in the lower right one. On
    slippery ice a step goes the intended way with probability ``success_rate`` and else to either side of it, both
    being as probable. Walking into the edge leaves you where you are. The dynamics are those of Gymnasium's
    ``FrozenLake-v1``.

    ## Example transcript

    ```
    frozen lake, slippery. map: SFFF FHFH FFFH HFFG. you are at row 1 column 1. left: edge, down: ice, right: ice, up:
    edge.
    > down
    you are at row 2 column 1. left: edge, down: ice, right: a hole, up: ice.
    > right
    you fall into a hole.
    ```

    ## Observation

    The opening gives the map row by row (``S`` start, ``F`` ice, ``H`` hole, ``G`` goal); each reply says where you are
    and what lies around you.

    ## Action

    Free text with one direction in it: ``left``, ``go down``, ``I walk east``, ``n``. Several directions, or none, are
    not understood and cost a turn.

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

    Exact: value iteration over the turns that are left, so it is optimal for the truncated episode too; of
    equally safe ways it takes the shortest (a discount of 1e-9 a turn). At a success rate of 1/3 it succeeds with
    probability 0.74 on the 4x4 map and 0.91 on the 8x8 map; where nothing slips, always.

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
        if map_name is not None and map_name not in MAPS:
            raise ValueError(f"map_name must be one of {sorted(MAPS)} or None for a random map, not {map_name!r}")
        if not 2 <= size <= 12:
            raise ValueError(f"size must be 2 to 12, not {size!r}")
        if not 0 <= success_rate <= 1:
            raise ValueError(f"success_rate is a probability: it must be 0 to 1, not {success_rate!r}")
        self.map_name, self.size = map_name, size
        self.success_rate = success_rate if is_slippery else 1.0
        side = size if map_name is None else len(MAPS[map_name])
        self.max_turns = 100 if side <= 4 else 200

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a map, where it is random; stand at the start."""
        self._rng = rng
        self._map = MAPS[self.map_name] if self.map_name else random_map(self.size, rng)
        self._row = self._column = self._turns = 0
        ice = "not slippery" if self.success_rate == 1 else "slippery"
        return f"frozen lake, {ice}. map: {' '.join(self._map)}. {self._look()}"

    def instance(self) -> str | None:
        """The map, where it is random."""
        return None if self.map_name else " ".join(self._map)

    def step(self, action: str) -> Turn:
        """Walk one step."""
        self._turns += 1
        named = direction(action)
        if named is None:
            return Turn("say left, down, right or up.")
        side = (1 - self.success_rate) / 2
        drift = int(self._rng.choice((-1, 0, 1), p=(side, self.success_rate, side))) if side else 0
        way = (_DIRECTIONS.index(named) + drift) % 4
        self._row, self._column = walk(self._map, self._row, self._column, way)
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
        return _DIRECTIONS[int(values[left - 1, state].round(12).argmax())]  # rounded: ties fall alike on any machine

    def _look(self) -> str:
        around = []
        for name, (down, right) in zip(_DIRECTIONS, MOVES, strict=True):
            row, column = self._row + down, self._column + right
            inside = 0 <= row < len(self._map) and 0 <= column < len(self._map[0])
            around.append(f"{name}: {_TILES[self._map[row][column]] if inside else 'edge'}")
        return f"you are at row {self._row + 1} column {self._column + 1}. {', '.join(around)}."
