"""Land on the moon, told in words."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.control import descent
from textenvs.games.control.descent import CEILING, EDGE, SOFT, STEADY, TANK, Craft, World
from textenvs.parsing import MAX_CHARACTERS, direction, number, words

_WAYS = ("left", "right")
_SIDES = {"left": -1, "right": 1}
_HEIGHTS, _SPEEDS, _PLACES, _DRIFTS = (20, 50), (-2, 5), (-12, 12), (-3, 3)  # where flights begin
_NOTHING = frozenset(("coast", "wait", "nothing", "no", "none", "off", "fall", "idle"))
_FULL = frozenset(("full", "max", "maximum", "all"))
_SAFE, _LOST, _NOT_UNDERSTOOD = 100, 100 - descent.LOST, -10  # hundredths of a point, as all costs


class Lander(Game):
    """TextLander-v0: land softly on the moon before the fuel is spent.

    ## Description

    Each turn is a second. The main engine burns whole units of fuel: gravity adds to the falling speed and each unit
    takes 1 m/s off. In two dimensions a side thruster may push too, left or right, and changes the drift by 1 m/s for
    one unit of fuel. Then the lander moves by its new speeds, and touches down when its height is 0 or below. That is
    safe at no more than 2 m/s downwards, 1 m/s sideways, and on the pad. Above 80 m, more than 40 m beside the pad, or
    still flying after ``max_turns``, it is lost. An engine gets no more than the fuel that is left, the main engine
    first.

    ## Example transcript

    ```
    land on the moon. each second you fall 1 m/s faster, and 1 m/s slower for each unit of fuel you burn (0 to 3). a
    push left or right takes 1 unit too and adds 1 m/s that way. touch down at 2 m/s or less, drifting 1 m/s or less,
    3 m or less from the pad. you are lost above 80 m, more than 40 m from the pad, or after 30 seconds. height 34 m,
    falling 2 m/s; 6 m right of the pad, drifting right 3 m/s; fuel 20.
    > push left
    height 31 m, falling 3 m/s; 8 m right of the pad, drifting right 2 m/s; fuel 19.
    > burn 0 left
    height 27 m, falling 4 m/s; 9 m right of the pad, drifting right 1 m/s; fuel 18.
    > coast and push left
    height 22 m, falling 5 m/s; 9 m right of the pad, not drifting; fuel 17.
    > burn 0 left
    height 16 m, falling 6 m/s; 8 m right of the pad, drifting left 1 m/s; fuel 16.
    > burn 1
    height 10 m, falling 6 m/s; 7 m right of the pad, drifting left 1 m/s; fuel 15.
    > Burn two units.
    height 5 m, falling 5 m/s; 6 m right of the pad, drifting left 1 m/s; fuel 13.
    > burn 3
    height 2 m, falling 3 m/s; 5 m right of the pad, drifting left 1 m/s; fuel 10.
    > full thrust
    height 1 m, falling 1 m/s; 4 m right of the pad, drifting left 1 m/s; fuel 7.
    > burn 0
    you land safely.
    ```

    ## Observation

    The opening tells the rules; each text tells the height, the place beside the pad, both speeds and the fuel.

    ## Action

    Free text with the units to burn and, in two dimensions, the side to push to: ``burn 2``, ``three left``,
    ``full thrust``, ``coast``, ``push right`` (which burns nothing in the main engine). Anything else is not understood
    and costs a turn in which the lander stays as it is.

    ## Reward

    1 for a safe landing. A hard landing loses 1 and 0.05 for each m/s too fast, 1.5 at most; so does one beside the pad
    or drifting, for each metre and m/s too much. -3 when lost, -0.01 for each unit of fuel, -0.1 for what is not
    understood.

    ## Episode end

    Terminated at touchdown (``success`` if safe) or when lost, at the latest after ``max_turns``, which is a loss too.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``dimensions`` | 1 | 2 | 2 | 1 (up and down) or 2 (also left and right) |
    | ``gravity`` | 1 | 1 | 2 | m/s that a second adds to the falling speed (1 to 3) |
    | ``thrust`` | 3 | 3 | 5 | most units to burn in a turn (``gravity + 1`` to 7) |
    | ``pad`` | - | 3 | 1 | metres beside its middle that are still on the pad (0 to 10) |
    | ``reserve`` | 1.0 | 0.5 | 0.1 | fuel beyond the least that a safe landing needs, as a share of that (0 to 2) |
    | ``max_turns`` | 30 | 30 | 30 | the time |

    Flights begin at 20 to 50 m, from rising at 2 m/s to falling at 5 m/s and, in two dimensions, up to 12 m beside the
    pad and drifting by up to 3 m/s, wherever a safe landing is possible. There are 248 of them at easy and 43,400
    at the other levels.

    ## Expert

    Exact: by dynamic programming over up and down and over sideways, each for every number of turns and share of the
    fuel, and the best sum of the two; after mistakes it still has the best return that is left. Its mean return is
    0.92, 0.89 and 0.83 at easy, medium and hard; it always lands safely. Random commands have -0.93, -2.28 and -2.20
    and land safely in 4%, 0.1% and 0% of the episodes. The tables are made once, in about 0.2 s.

    ## Source

    The text game of Storer (1969), ``LUNAR`` in Ahl's BASIC Computer Games (1978), where the player says how much fuel
    to burn, and Gymnasium's ``LunarLander-v3``, which has side engines and a pad. The dynamics on whole numbers and the
    rewards are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"dimensions": 1, "reserve": 1.0},
        "medium": {},
        "hard": {"gravity": 2, "thrust": 5, "pad": 1, "reserve": 0.1},
    }
    max_turns = 30

    def __init__(
        self, dimensions: int = 2, gravity: int = 1, thrust: int = 3, pad: int = 3, reserve: float = 0.5
    ) -> None:
        if dimensions not in (1, 2):
            raise ValueError(f"dimensions must be 1 or 2, not {dimensions!r}")
        if not 1 <= gravity <= 3:
            raise ValueError(f"gravity must be 1 to 3, not {gravity!r}")
        if not gravity < thrust <= 7:
            raise ValueError(f"thrust must be above gravity, which is {gravity!r}, and at most 7, not {thrust!r}")
        if not 0 <= pad <= 10:
            raise ValueError(f"pad must be 0 to 10, not {pad!r}")
        if not 0 <= reserve <= 2:
            raise ValueError(f"reserve must be 0 to 2, not {reserve!r}")
        self.reserve = reserve
        self.world = World(gravity, thrust, dimensions == 2, pad, self.max_turns)
        sides = ("", " left", " right") if self.world.sideways else ("",)
        self._commands = {
            f"burn {burn}{side}": (burn, _SIDES.get(side.strip(), 0))
            for burn, side in product(range(thrust + 1), sides)
        }
        self.max_choices = len(self._commands)

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a flight that can end safely, and the fuel for it."""
        self._turns = 0
        while True:
            drawn = [int(rng.integers(low, high + 1)) for low, high in (_HEIGHTS, _SPEEDS, _PLACES, _DRIFTS)]
            height, falling, place, drift = drawn if self.world.sideways else (*drawn[:2], 0, 0)
            needed = descent.least_cost(self.world, Craft(height, falling, place, drift, TANK), self.max_turns)
            if needed <= TANK:
                break
        fuel = min(round(needed * (1 + self.reserve)), TANK)
        self._start = self._craft = Craft(height, falling, place, drift, fuel)
        world = self.world
        rules = (
            f"land on the moon. each second you fall {world.gravity} m/s faster, and 1 m/s slower for each unit of "
            f"fuel you burn (0 to {world.thrust})."
        )
        if not world.sideways:
            return (
                f"{rules} touch down at {SOFT} m/s or less. you are lost above {CEILING} m or after {self.max_turns} "
                f"seconds. {self._tell()}"
            )
        return (
            f"{rules} a push left or right takes 1 unit too and adds 1 m/s that way. touch down at {SOFT} m/s or less, "
            f"drifting {STEADY} m/s or less, {world.pad} m or less from the pad. you are lost above {CEILING} m, more "
            f"than {EDGE} m from the pad, or after {self.max_turns} seconds. {self._tell()}"
        )

    def instance(self) -> str:
        """Where the flight begins, and its fuel."""
        return " ".join(map(str, self._start))

    def step(self, action: str) -> Turn:
        """Fly for a second."""
        self._turns += 1
        command = self._read(action)
        if command is None:
            aside = ", and left or right" if self.world.sideways else ""
            return self._fly_on(f"say burn and 0 to {self.world.thrust}{aside}.", _NOT_UNDERSTOOD)
        after = descent.fly(self.world, self._craft, *command)
        burnt, self._craft = self._craft.fuel - after.fuel, after
        if descent.lost(after):
            return Turn("you are lost in space.", (_LOST - burnt) / 100, True, {"success": False})
        if after.height <= 0:
            hard, missed = self._faults(after)
            faults = [f"too fast by {hard} m/s"] * (hard > 0) + ["beside the pad or drifting"] * (missed > 0)
            text = f"you crash: {' and '.join(faults)}." if faults else "you land safely."
            cost = burnt + descent.damage(hard) + descent.damage(missed)
            return Turn(text, (_SAFE - cost) / 100, True, {"success": not faults})
        return self._fly_on(self._tell(), -burnt)

    def valid_actions(self) -> list[str]:
        """What the fuel is enough for."""
        return [text for text, (burn, side) in self._commands.items() if burn + abs(side) <= self._craft.fuel]

    def expert_action(self) -> str:
        """The command whose best continuation costs the least."""
        return min(self.valid_actions(), key=lambda text: self._cost(*self._commands[text]))

    def _cost(self, burn: int, side: int) -> int:
        after = descent.fly(self.world, self._craft, burn, side)
        burnt = self._craft.fuel - after.fuel
        if descent.lost(after):
            return burnt + descent.LOST
        if after.height <= 0:
            return burnt + sum(map(descent.damage, self._faults(after)))
        return burnt + descent.least_cost(self.world, after, self.max_turns - self._turns - 1)

    def _faults(self, craft: Craft) -> tuple[int, int]:
        return descent.hardness(craft.falling), descent.miss(self.world.pad, craft.place, craft.drift)

    def _fly_on(self, text: str, cents: int) -> Turn:
        if self._turns < self.max_turns:
            return Turn(text, cents / 100)
        return Turn("your time is up: you are lost.", (cents + _LOST) / 100, True, {"success": False})

    def _read(self, action: str) -> tuple[int, int] | None:
        """The units to burn and the side to push to that a text names."""
        said = words(action)
        sides = {side for word in said if (side := direction(word)) in _SIDES}
        burn = number(action[:MAX_CHARACTERS].lower().partition("burn")[2])
        if burn is None:
            burn = number(action)
        if burn is None and _FULL.intersection(said):
            burn = self.world.thrust
        if burn is None and (sides or _NOTHING.intersection(said)):
            burn = 0
        if burn is None or not 0 <= burn <= self.world.thrust or len(sides) > self.world.sideways:
            return None
        return burn, sum(_SIDES[side] for side in sides)

    def _tell(self) -> str:
        height, falling, place, drift, fuel = self._craft
        text = f"height {height} m, {'rising' if falling < 0 else 'falling'} {abs(falling)} m/s; "
        if self.world.sideways:
            beside = f"{abs(place)} m {_WAYS[place > 0]} of the pad" if place else "above the pad"
            text += f"{beside}, {f'drifting {_WAYS[drift > 0]} {abs(drift)} m/s' if drift else 'not drifting'}; "
        return f"{text}fuel {fuel}."
