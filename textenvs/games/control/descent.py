"""The flight of ``lander``: its dynamics on whole metres and seconds, and their exact solution.

Up and down and sideways are two motions that share nothing but the fuel and the moment of touching down. So the least
cost of each is tabulated alone for every number of turns and every share of the fuel, and the best flight is the best
sum of the two.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

CEILING, EDGE = 80, 40  # metres above the ground and to either side of the pad: beyond, the lander is lost
TANK = 60  # units of fuel at most
SOFT, STEADY = 2, 1  # metres a second, down and sideways, of a safe touchdown
LOST = 400  # all costs are in hundredths of a point of reward, so that they are whole
_FAULT, _WORSE, _WORST = 100, 5, 150
_FAST, _FAST_ASIDE = 40, 15  # no speed within the bounds is above, as thrust and gravity need way to build it up
_NEVER = 10_000


class World(NamedTuple):
    """What stays as it is in an episode.

    Attributes:
        gravity: what is added to the falling speed each turn.
        thrust: the most units of fuel that the main engine burns in a turn.
        sideways: whether the lander moves sideways too.
        pad: how many metres beside the middle of the pad are still on it.
        turns: turns until the time is up.
    """

    gravity: int
    thrust: int
    sideways: bool
    pad: int
    turns: int


class Craft(NamedTuple):
    """Where the lander is (metres above the ground, right of the pad), its speeds (down, to the right) and its fuel."""

    height: int
    falling: int
    place: int
    drift: int
    fuel: int


def fly(world: World, craft: Craft, burn: int, side: int) -> Craft:
    """One turn; ``side`` is 1 to the right and -1 to the left. The main engine gets what fuel there is first."""
    burn = min(burn, craft.fuel)
    side = side if craft.fuel > burn else 0
    falling, drift = craft.falling + world.gravity - burn, craft.drift + side
    return Craft(craft.height - falling, falling, craft.place + drift, drift, craft.fuel - burn - abs(side))


def lost(craft: Craft) -> bool:
    """Whether the lander is out of bounds."""
    return craft.height > CEILING or abs(craft.place) > EDGE


def hardness(falling: int) -> int:
    """How much faster than softly the lander touches down."""
    return max(0, falling - SOFT)


def miss(pad: int, place: int, drift: int) -> int:
    """Metres beside the pad, and metres a second of drifting too fast."""
    return max(0, abs(place) - pad) + max(0, abs(drift) - STEADY)


def damage(excess: int) -> int:
    """The cost of a hard landing, or of a miss."""
    return min(_FAULT + _WORSE * excess, _WORST) if excess else 0


def least_cost(world: World, craft: Craft, turns: int) -> int:
    """Fuel and damage of the best flight that ends in ``turns`` turns; ``LOST`` where none touches down."""
    if turns < 1 or abs(craft.falling) > _FAST or abs(craft.drift) > _FAST_ASIDE:
        return LOST
    costs = _vertical(world.gravity, world.thrust, world.turns)[
        :turns, _cell(craft.height - 1, craft.falling, _FAST), : craft.fuel + 1
    ]
    if world.sideways:
        cell = _cell(craft.place + EDGE, craft.drift, _FAST_ASIDE)
        aside = _horizontal(world.pad, world.turns)[:turns, cell, : craft.fuel + 1]
        costs = costs.astype(int) + aside[:, ::-1]
    return min(int(costs.min()), LOST)


def _cell(row: int, speed: int, fastest: int) -> int:
    return row * (2 * fastest + 1) + speed + fastest


@lru_cache(maxsize=4)
def _vertical(gravity: int, thrust: int, turns: int) -> np.ndarray:
    """Costs ``(turns, cells, fuel)`` int16 of touching down after so many turns, on no more than that fuel."""
    ends, following = [], []
    for height, speed in product(range(1, CEILING + 1), range(-_FAST, _FAST + 1)):
        after = [speed + gravity - burn for burn in range(thrust + 1)]
        ends.append([damage(hardness(falling)) if height <= falling else _NEVER for falling in after])
        following.append(
            [
                _cell(height - falling - 1, falling, _FAST)
                if 0 < height - falling <= CEILING and abs(falling) <= _FAST
                else -1
                for falling in after
            ]
        )
    return _costs(np.array(ends), np.array(following), range(thrust + 1), turns)


@lru_cache(maxsize=4)
def _horizontal(pad: int, turns: int) -> np.ndarray:
    """Costs ``(turns, cells, fuel)`` int16 of being where one is after so many turns, on no more than that fuel."""
    ends, following = [], []
    for place, speed in product(range(-EDGE, EDGE + 1), range(-_FAST_ASIDE, _FAST_ASIDE + 1)):
        after = [(place + drift, drift) for drift in (speed, speed - 1, speed + 1)]
        inside = [abs(place) <= EDGE and abs(drift) <= _FAST_ASIDE for place, drift in after]
        ends.append(
            [damage(miss(pad, *there)) if within else _NEVER for there, within in zip(after, inside, strict=True)]
        )
        following.append(
            [
                _cell(place + EDGE, drift, _FAST_ASIDE) if within else -1
                for (place, drift), within in zip(after, inside, strict=True)
            ]
        )
    return _costs(np.array(ends), np.array(following), (0, 1, 1), turns)


def _costs(ends: np.ndarray, following: np.ndarray, fuel: range | tuple[int, ...], turns: int) -> np.ndarray:
    """Dynamic programming over the turns until touching down.

    Args:
        ends: cost ``(cells, actions)`` of touching down with this action.
        following: the cell ``(cells, actions)`` that an action leads to in the air, or -1.
        fuel: what each action burns.
        turns: how many turns to look ahead.
    """
    table = np.full((turns, len(ends) + 1, TANK + 1), _NEVER, np.int16)  # the last cell is where -1 leads
    for turn in range(turns):
        for action, burnt in enumerate(fuel):
            after = table[turn - 1, following[:, action], : TANK + 1 - burnt] if turn else ends[:, action, None]
            best = table[turn, :-1, burnt:]
            np.minimum(best, after + burnt, out=best, casting="unsafe")
    return table
