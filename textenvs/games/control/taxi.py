"""Drive a taxi, told in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.control.streets import STANDARD, chances, drive, expected_moves, outcomes, random_city
from textenvs.parsing import direction, words

_WAYS = ("down", "up", "right", "left")  # in Taxi-v3's order
_PICK_UP, _DROP_OFF = "pick up", "drop off"
_PLACES = ("red", "green", "yellow", "blue")
_ON_BOARD = len(_PLACES)
_PICK = re.compile(
    r"\b(pick(( \w+){0,3}? up)?|pickup|collect|fetch|load|board|(take|get)( \w+){0,2}? (passenger|person|them)( in)?)\b"
)
_DROP = re.compile(
    r"\b(drop(( \w+){0,3}? (off|down))?|dropoff|deliver|unload|release|(put|set|let)( \w+){0,3}? (down|off|out))\b"
)
_ILLEGAL = -10.0


class Taxi(Game):
    """TextTaxi-v0: fetch a passenger with a taxi and bring them where they want to go.

    ## Description

    The city is a grid with walls between some cells and four places: red, green, yellow and blue. A passenger waits at
    one place and wants to go to another; drive there, pick up, drive on and drop off. Driving into a wall or the edge
    leaves you where you are. A passenger may be dropped off at a wrong place too and picked up again. In the rain a
    move that is not blocked goes astray to either side with probability ``1 - rainy_probability``; a fickle passenger
    changes the destination once with probability ``fickle_probability``, at the first move on board. The dynamics are
    those of Gymnasium's ``Taxi-v3``, with rain and fickleness as in ``Taxi-v4``, which mended them.

    ## Example transcript

    ```
    taxi. pick up the passenger and drop them off where they want to go. map with walls | and places red, green, yellow,
    blue: .|.|...|... .|..|..... ...|...|.|. ..|R..... .|G..|...|. .B|..Y|... ......|.. ...|..|..|.; you are at row 5
    column 3. no walls. passenger at blue, wants red.
    > left
    you are at row 5 column 2, green. walls: left. passenger at blue, wants red.
    > down
    you are at row 6 column 2, blue. walls: right. passenger at blue, wants red.
    > pick up
    you are at row 6 column 2, blue. walls: right. passenger on board, wants red.
    > up
    you are at row 5 column 2, green. walls: left. passenger on board, wants red.
    > right
    you are at row 5 column 3. no walls. passenger on board, wants red.
    > up
    you are at row 4 column 3, red. walls: left. passenger on board, wants red.
    > drop off
    you bring the passenger to red.
    ```

    ## Observation

    The opening gives the map row by row (``|`` is a wall, the letters are the places); each text says where you
    are, on which sides you cannot drive on, where the passenger is and where they want to go.

    ## Action

    Free text with a direction (``left``, ``go down``, ``I drive east``, ``n``), or a word for picking up (``pick up``,
    ``Collect the passenger!``) or dropping off (``drop off``, ``deliver``). Several of these, or none, are not
    understood, cost a turn and change nothing.

    ## Reward

    20 for bringing the passenger to the destination, -10 for picking up or dropping off where that is impossible and
    for what is not understood, -1 for anything else.

    ## Episode end

    Terminated when the passenger is brought to the destination (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``map_name`` | 5x5 | None | None | ``"5x5"`` (Gymnasium's), or ``None`` for a random one |
    | ``size`` | - | 8 | 10 | rows and columns of a random map |
    | ``is_rainy`` | no | no | yes | whether moves can go astray |
    | ``rainy_probability`` | - | - | 0.8 | probability of the intended way in the rain |
    | ``fickle_passenger`` | no | no | yes | whether the passenger can change the destination |
    | ``fickle_probability`` | - | - | 0.3 | probability that a fickle passenger does |
    | ``max_turns`` | 200 | 200 | 200 | truncation, as Taxi-v3 |

    Gymnasium's map has 300 instances, those of random maps hardly ever repeat.

    ## Expert

    Exact: the least expected number of moves by value iteration, the turn limit aside, which it does not come near.
    With a fickle passenger on board it weighs the destinations as they may change. Its mean return is 7.8, 7.5 and 0.4
    at easy, medium and hard; it always succeeds. Random choices have -769, -786 and -794 and succeed in 5%, 3% and 1%
    of the episodes.

    ## Source

    Gymnasium's ``Taxi-v3`` and ``Taxi-v4`` (Dietterich 2000), which have no penalty for what is not understood; random
    maps are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"map_name": "5x5"},
        "medium": {},
        "hard": {"size": 10, "is_rainy": True, "fickle_passenger": True},
    }
    max_choices = 6
    max_turns = 200

    def __init__(
        self,
        map_name: str | None = None,
        size: int = 8,
        is_rainy: bool = False,
        rainy_probability: float = 0.8,
        fickle_passenger: bool = False,
        fickle_probability: float = 0.3,
    ) -> None:
        if map_name not in ("5x5", None):
            raise ValueError(f"map_name must be '5x5' or None for a random map, not {map_name!r}")
        if not 3 <= size <= 12:
            raise ValueError(f"size must be 3 to 12, not {size!r}")
        if not 0.5 <= rainy_probability <= 1:
            raise ValueError(f"rainy_probability must be 0.5 to 1, not {rainy_probability!r}")
        if not 0 <= fickle_probability <= 1:
            raise ValueError(f"fickle_probability must be 0 to 1, not {fickle_probability!r}")
        self.map_name, self.size = map_name, size
        self.straight = rainy_probability if is_rainy else 1.0
        self.fickleness = fickle_probability if fickle_passenger else 0.0

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the city, where it is random, the taxi, the passenger and the destination."""
        self._rng = rng
        self._city = STANDARD if self.map_name else random_city(self.size, rng)
        row, column = rng.integers(self._city.size, size=2)
        self._cell = int(row), int(column)
        self._passenger, self._destination = (int(place) for place in rng.permutation(4)[:2])
        self._settled = not self.fickleness  # whether the destination stays as it is for sure
        self._start = f"{self._city} {self._cell} {self._passenger} {self._destination}"
        rain = f" it rains: {1 - self.straight:.0%} of your moves go astray to a side." if self.straight < 1 else ""
        whim = f" with {self.fickleness:.0%} chance they change their mind on the way." if self.fickleness else ""
        return (
            f"taxi. pick up the passenger and drop them off where they want to go.{whim}{rain} map with walls | and "
            f"places red, green, yellow, blue: {self._city}; {self._look()}"
        )

    def instance(self) -> str:
        """The map, and where everyone is and wants to go at the start."""
        return self._start

    def step(self, action: str) -> Turn:
        """Drive, pick up or drop off."""
        command = _read(action)
        if command == _PICK_UP:
            return self._pick_up()
        if command == _DROP_OFF:
            return self._drop_off()
        if command is None:
            return Turn("say down, up, right, left, pick up or drop off.", _ILLEGAL)
        before, way = self._cell, _WAYS.index(command)
        drift = int(self._rng.choice(3, p=chances(self.straight))) if self.straight < 1 else 0
        self._cell = outcomes(self._city, before, way)[drift]
        changed = False
        if self._cell != before and self._passenger == _ON_BOARD and not self._settled:
            self._settled = True
            changed = self._rng.random() < self.fickleness
            if changed:
                self._destination = int(self._rng.choice([i for i in range(4) if i != self._destination]))
        return Turn(f"{'the passenger has another wish. ' if changed else ''}{self._look()}", -1.0)

    def valid_actions(self) -> list[str]:
        """The four directions, picking up and dropping off, wherever the taxi is."""
        return [*_WAYS, _PICK_UP, _DROP_OFF]

    def expert_action(self) -> str:
        """The best action in expectation."""
        aboard = self._passenger == _ON_BOARD
        goal = self._city.places[self._destination if aboard else self._passenger]
        if self._cell == goal:
            return _DROP_OFF if aboard else _PICK_UP
        far = expected_moves(self._city, goal, self.straight)
        if aboard and not self._settled:
            far = self._far_if_fickle(far)
        costs = [self._cost(far, way) for way in range(4)]
        return _WAYS[costs.index(min(costs))]

    def _far_if_fickle(self, far: np.ndarray) -> np.ndarray:
        """``far`` weighed with the distances to the destinations that the passenger may change to."""
        others = [
            expected_moves(self._city, place, self.straight)
            for place in self._city.places
            if place != self._city.places[self._destination]
        ]
        return (1 - self.fickleness) * far + self.fickleness * np.mean(others, axis=0)

    def _cost(self, far: np.ndarray, way: int) -> float:
        """Expected moves to the goal if this way is tried until the taxi has moved."""
        moved = [
            (chance, far[cell])
            for cell, chance in zip(outcomes(self._city, self._cell, way), chances(self.straight), strict=True)
            if cell != self._cell
        ]
        total = sum(chance for chance, _ in moved)
        if not total:
            return float("inf")
        return round((1 + sum(chance * value for chance, value in moved)) / total, 9)  # ties fall alike everywhere

    def _pick_up(self) -> Turn:
        if self._passenger == _ON_BOARD or self._city.places[self._passenger] != self._cell:
            return Turn(f"there is nobody to pick up here. {self._status()}", _ILLEGAL)
        self._passenger = _ON_BOARD
        return Turn(self._look(), -1.0)

    def _drop_off(self) -> Turn:
        if self._passenger != _ON_BOARD:
            return Turn(f"you have no passenger. {self._status()}", _ILLEGAL)
        if self._cell not in self._city.places:
            return Turn("you can drop off at the four places only.", _ILLEGAL)
        self._passenger = self._city.places.index(self._cell)
        if self._passenger == self._destination:
            return Turn(f"you bring the passenger to {_PLACES[self._destination]}.", 20.0, True, {"success": True})
        return Turn(self._look(), -1.0)

    def _look(self) -> str:
        row, column = self._cell
        here = f", {_PLACES[self._city.places.index(self._cell)]}" if self._cell in self._city.places else ""
        walls = [way for i, way in enumerate(_WAYS) if drive(self._city, self._cell, i) == self._cell]
        around = f"walls: {', '.join(walls)}." if walls else "no walls."
        return f"you are at row {row + 1} column {column + 1}{here}. {around} {self._status()}"

    def _status(self) -> str:
        where = "on board" if self._passenger == _ON_BOARD else f"at {_PLACES[self._passenger]}"
        return f"passenger {where}, wants {_PLACES[self._destination]}."


def _read(action: str) -> str | None:
    """The one direction, picking up or dropping off that a text names."""
    said = " ".join(words(action))
    named = []
    for command, phrase in ((_PICK_UP, _PICK), (_DROP_OFF, _DROP)):
        said, found = phrase.subn("", said)
        named += [command] * bool(found)
    named += sorted({way for word in said.split() if (way := direction(word))})
    return named[0] if len(named) == 1 else None
