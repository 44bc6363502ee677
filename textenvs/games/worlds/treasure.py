"""Collect a coin at the end of a chain of rooms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.parsing import compass, words

_OPPOSITE = {"north": "south", "east": "west", "south": "north", "west": "east"}
_COLOURS = ["red", "blue", "green", "white", "black", "grey", "brown", "yellow", "pink"]
_KINDS = ["hall", "attic", "cellar", "study", "chapel", "library", "kitchen", "studio", "pantry", "vault"]
_TAKE = {"take", "get", "grab", "pick", "collect", "fetch"}


class Treasure(Game):
    """TextTreasure-v0: collect the coin at the end of a chain of rooms.

    ## Description

    A chain of rooms leads from where you are to a room with a coin; in modes 2 and 3 each room of the chain also has
    one or two exits to dead ends. Each room has its own name, by which it can be known again. Rooms are joined as in a
    dream: whoever goes north comes back by going south, but the whole need not fit on a flat map.

    ## Example transcript

    ```
    find the coin and take it. green studio. exits: east, west.
    > go west
    green hall. exits: north, east, west.
    > go north
    blue study. exits: east, south, west.
    > go west
    pink attic. exits: north, east, west.
    > go west
    red library. exits: north, east, south.
    > go north
    yellow study. exits: north, east, south.
    > go east
    brown studio. exits: east, south, west.
    > go east
    grey library. exits: north, east, west.
    > go north
    grey hall. exits: north, east, south.
    > go east
    green library. a coin lies here. exits: north, west.
    > take coin
    you take the coin.
    ```

    ## Observation

    The opening states the task; each text names the room and its exits, and the coin where it is.

    ## Action

    Free text with one direction (``go north``, ``e``, ``I walk to the west``), a word for taking and ``coin`` (``take
    coin``, ``Grab the coin!``), or ``look``. Anything else is not understood and costs a turn, as does an exit that
    does not exist.

    ## Reward

    1 for taking the coin, else 0.

    ## Episode end

    Terminated when the coin is taken (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``length`` | 10 | 10 | 20 | rooms of the chain, the first and the last included (2 to 30) |
    | ``mode`` | 1 | 2 | 3 | every room of the chain has ``mode - 1`` dead ends beside it |
    | ``max_turns`` | 50 | 50 | 100 | truncation: five a room of the chain, at least 50 |

    ## Expert

    Exact: the shortest way by breadth-first search, ``length`` turns. It knows the map, which a player has to explore,
    and so is a bound that no player can beat where there are dead ends. It always succeeds. Random play succeeds
    in 5%, 2% and 0% of the episodes.

    ## Source

    The coin collector of TextWorld (Côté et al. 2018) with the modes, the reward, the five actions and, up to ten
    rooms, the turn limit of Yuan et al. 2018, "Counting to Explore and Generalize in Text-based Games". Names of rooms
    are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"mode": 1},
        "medium": {},
        "hard": {"length": 20, "mode": 3},
    }
    max_choices = 5

    def __init__(self, length: int = 10, mode: int = 2) -> None:
        if not 2 <= length <= 30:
            raise ValueError(f"length must be 2 to 30, not {length!r}")
        if mode not in (1, 2, 3):
            raise ValueError(f"mode must be 1, 2 or 3, not {mode!r}")
        self.length, self.mode = length, mode
        self.max_turns = max(50, 5 * length)

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the rooms, the chain first, and stand in the first one."""
        total = self.length * self.mode
        names = [f"{colour} {kind}" for colour in _COLOURS for kind in _KINDS]
        self._names = [names[i] for i in rng.permutation(len(names))[:total]]
        self._exits: list[dict[str, int]] = [{} for _ in range(total)]
        for room in range(1, total):
            self._join(room - 1 if room < self.length else room % self.length, room, rng)
        self._toward = _toward(self._exits, self.length - 1)
        self._room = 0
        return f"find the coin and take it. {self._look()}"

    def instance(self) -> str:
        """The rooms with their exits."""
        return " ".join(f"{name} {exits}" for name, exits in zip(self._names, self._exits, strict=True))

    def step(self, action: str) -> Turn:
        """Go, take or look."""
        said, way = set(words(action)), compass(action)
        if said & _TAKE and "coin" in said:
            if self._room == self.length - 1:
                return Turn("you take the coin.", 1.0, True, {"success": True})
            return Turn("there is no coin here.")
        if way:
            if way not in self._exits[self._room]:
                return Turn(f"there is no exit {way}.")
            self._room = self._exits[self._room][way]
            return Turn(self._look())
        return Turn(self._look() if "look" in said else "say a direction to go, or take coin.")

    def valid_actions(self) -> list[str]:
        """The four directions and taking the coin, wherever the player is."""
        return [*(f"go {way}" for way in _OPPOSITE), "take coin"]

    def expert_action(self) -> str:
        """The next step of the shortest way."""
        return "take coin" if self._room == self.length - 1 else f"go {self._toward[self._room]}"

    def _join(self, room: int, new: int, rng: np.random.Generator) -> None:
        """Join a new room to one by any free exit of it."""
        free = [way for way in _OPPOSITE if way not in self._exits[room]]
        way = free[rng.integers(len(free))]
        self._exits[room][way] = new
        self._exits[new][_OPPOSITE[way]] = room

    def _look(self) -> str:
        exits = ", ".join(way for way in _OPPOSITE if way in self._exits[self._room])
        coin = " a coin lies here." if self._room == self.length - 1 else ""
        return f"{self._names[self._room]}.{coin} exits: {exits}."


def _toward(exits: list[dict[str, int]], goal: int) -> dict[int, str]:
    """The first direction of a shortest way from each other room to a goal, by breadth-first search."""
    toward: dict[int, str] = {}
    queue = [goal]
    for room in queue:
        for way, neighbour in exits[room].items():
            if neighbour != goal and neighbour not in toward:
                toward[neighbour] = _OPPOSITE[way]
                queue.append(neighbour)
    return toward
