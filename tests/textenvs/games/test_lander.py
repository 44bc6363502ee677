from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.control import descent
from textenvs.games.control.descent import CEILING, EDGE, Craft, World
from textenvs.games.control.lander import Lander


def put(game: Lander, craft: tuple[int, ...], left: int) -> Lander:
    """The game with the lander there and this many turns left."""
    game._craft, game._turns = Craft(*craft), game.max_turns - left
    return game


def start(*craft: int, left: int = 30, **knobs: Any) -> Lander:
    game = Lander(**knobs)
    game.reset(np.random.default_rng(0))
    return put(game, craft or game._craft, left)


def searched(game: Lander) -> Callable[[Craft, int], int]:
    """The best return in hundredths that any sequence of admissible commands has, tried out in the game itself."""

    @cache
    def best(craft: Craft, left: int) -> int:
        values = []
        for command in put(game, craft, left).valid_actions():
            turn = put(game, craft, left).step(command)
            after = game._craft
            values.append(round(100 * turn.reward) + (0 if turn.terminated else best(after, left - 1)))
        return max(values)

    return best


def expert_return(game: Lander) -> int:
    total, done = 0, False
    while not done:
        _, reward, done, _ = game.step(game.expert_action())
        total += round(100 * reward)
    return total


@pytest.mark.parametrize("knobs", [{}, {"gravity": 2, "thrust": 3, "pad": 0}, {"gravity": 3, "thrust": 4, "pad": 1}])
def test_the_expert_is_optimal_in_two_dimensions(knobs: dict[str, Any]) -> None:
    game, rng = start(**knobs), np.random.default_rng(0)
    best, returns = searched(game), set()
    for _ in range(60):
        left = int(rng.integers(1, 6))
        craft = Craft(*(int(rng.integers(low, high)) for low, high in ((1, 12), (-1, 6), (-5, 6), (-3, 4), (0, 9))))
        returns.add(expert_return(put(game, craft, left)))
        assert expert_return(put(game, craft, left)) == best(craft, left), (craft, left)
    assert min(returns) <= -100 and max(returns) > 50


@pytest.mark.parametrize("seed", [0, 1])
def test_the_expert_is_optimal_in_whole_flights_of_one_dimension(seed: int) -> None:
    game = Lander(**Lander.levels["easy"])
    game.reset(np.random.default_rng(seed))
    first = game._craft
    best = searched(game)
    value = best(first, 30)
    assert expert_return(put(game, first, 30)) == value > 80
    rng = np.random.default_rng(seed)
    for _ in range(5):  # after mistakes too
        put(game, first, 30)
        done = False
        for mistake in rng.choice(["burn 0", "burn 1", "burn 3", "hm"], 6):
            done = done or game.step(str(mistake)).terminated
        if not done:
            craft, left = game._craft, 30 - game._turns
            assert expert_return(put(game, craft, left)) == best(craft, left)


def test_the_expert_does_the_best_near_the_bounds() -> None:
    for knobs, craft, left in (
        ({}, Craft(79, -3, 38, 3, 6), 4),  # lost whatever one does
        ({}, Craft(78, -1, 38, 1, 6), 5),
        ({}, Craft(9, 4, 39, 1, 6), 4),
        ({}, Craft(6, 5, -40, 0, 4), 5),
        ({"dimensions": 1}, Craft(80, 0, 0, 0, 10), 6),
        ({"dimensions": 1}, Craft(1, -3, 0, 0, 10), 9),
    ):
        game = start(**knobs)  # type: ignore[arg-type]
        assert expert_return(put(game, craft, left)) == searched(game)(craft, left)


def test_no_speed_within_the_bounds_is_above_those_of_the_tables() -> None:
    for gravity, thrust in ((1, 7), (3, 7), (3, 4)):
        world, steps = World(gravity, thrust, False, 0, 30), []
        seen = {(height, falling) for height in range(20, 51) for falling in range(-2, 6)}
        queue = list(seen)
        for height, falling in queue:
            for burn in (0, thrust):
                craft = descent.fly(world, Craft(height, falling, 0, 0, 60), burn, 0)
                if 0 < craft.height <= CEILING and craft[:2] not in seen:
                    seen.add((craft.height, craft.falling))
                    queue.append((craft.height, craft.falling))
        steps = [abs(falling) for _, falling in seen]
        assert 15 < max(steps) <= descent._FAST
    seen = {(place, drift) for place in range(-12, 13) for drift in range(-3, 4)}
    queue = list(seen)
    for place, drift in queue:
        for after in (drift - 1, drift, drift + 1):
            there = place + after, after
            if abs(there[0]) <= EDGE and there not in seen:
                seen.add(there)
                queue.append(there)
    assert 10 < max(abs(drift) for _, drift in seen) <= descent._FAST_ASIDE


@pytest.mark.parametrize("level", Lander.levels)
def test_flights_can_end_safely_on_the_fuel_that_is_given(level: str) -> None:
    game, rng, seen = Lander(**Lander.levels[level]), np.random.default_rng(0), set()
    for _ in range(1000):
        game.reset(rng)
        seen.add(game.instance())
        needed = descent.least_cost(game.world, game._craft, 30)
        assert needed <= game._craft.fuel == min(round(needed * (1 + game.reserve)), 60)
        if len(seen) % 10 == 0:
            assert expert_return(game) == 100 - needed
    assert len(seen) > 950 or (level == "easy" and len(seen) > 230)


def test_an_episode_in_two_dimensions() -> None:
    game = Lander()
    opening = game.reset(np.random.default_rng(0))
    assert opening.startswith(
        "land on the moon. each second you fall 1 m/s faster, and 1 m/s slower for each unit of fuel you burn (0 to 3)."
        " a push left or right takes 1 unit too and adds 1 m/s that way. touch down at 2 m/s or less, drifting 1 m/s "
        "or less, 3 m or less from the pad. you are lost above 80 m, more than 40 m from the pad, or after 30 seconds. "
        "height "
    )
    put(game, (20, 5, 4, -1, 6), 30)
    assert game.step("Burn two units and push left!") == (
        "height 16 m, falling 4 m/s; 2 m right of the pad, drifting left 2 m/s; fuel 3.",
        -0.03,
        False,
        {},
    )
    assert game.step("sing") == ("say burn and 0 to 3, and left or right.", -0.1, False, {})
    assert game.step("coast").text == "height 11 m, falling 5 m/s; above the pad, drifting left 2 m/s; fuel 3."
    assert game.valid_actions()[-1] == "burn 3"
    assert game.step("burn 3 right") == (
        "height 8 m, falling 3 m/s; 2 m left of the pad, drifting left 2 m/s; fuel 0.",
        -0.03,
        False,
        {},
    )
    assert game.valid_actions() == ["burn 0"]
    assert game.step("burn 3").text.startswith("height 4 m, falling 4 m/s; 4 m left of the pad")
    assert game.step("burn 0") == (
        "you crash: too fast by 3 m/s and beside the pad or drifting.",
        round(1 - (1 + 0.05 * 3) - (1 + 0.05 * (3 + 1)), 2),
        True,
        {"success": False},
    )


def test_an_episode_in_one_dimension() -> None:
    game = start(4, 3, 0, 0, 4, dimensions=1)
    assert game.step("burn 1 left") == ("say burn and 0 to 3.", -0.1, False, {})
    assert game.step("burn 3") == ("height 3 m, falling 1 m/s; fuel 1.", -0.03, False, {})
    assert game.step("burn 3") == ("height 2 m, falling 1 m/s; fuel 0.", -0.01, False, {})
    assert game.step("burn 0") == ("you land safely.", 1.0, True, {"success": True})
    assert put(game, (1, -1, 0, 0, 4), 9).step("burn 2").text == "height 3 m, rising 2 m/s; fuel 2."


def test_the_lander_can_be_lost() -> None:
    assert start(79, -1, 0, 0, 5).step("burn 2") == ("you are lost in space.", -3.02, True, {"success": False})
    assert start(9, 0, -39, -1, 5).step("left") == ("you are lost in space.", -3.01, True, {"success": False})
    late = "your time is up: you are lost."
    assert start(9, 0, 0, 0, 5, left=1).step("burn 1") == (late, -3.01, True, {"success": False})
    assert start(9, 0, 0, 0, 5, left=1).step("what") == (late, -3.1, True, {"success": False})
    assert start(2, 1, 0, 0, 5, left=1).step("0").text == "you land safely."


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("burn 2", "burn 2"),
        ("BURN THREE.", "burn 3"),
        ("2 units, and push to the left", "burn 2 left"),
        ("push right", "burn 0 right"),
        ("thrust 1 east", "burn 1 right"),
        ("push 1 left and burn 2", "burn 2 left"),
        ("coast", "burn 0"),
        ("do nothing", "burn 0"),
        ("no burn", "burn 0"),
        ("full thrust left", "burn 3 left"),
        ("slow down with 1", "burn 1"),
    ],
)
def test_commands_that_are_understood(text: str, command: str) -> None:
    one, other = start(), start()
    assert one.step(text) == other.step(command)
    assert one._craft == other._craft and command in start().valid_actions()


@pytest.mark.parametrize("text", ["", "burn", "burn 4", "burn -1", "burn 2 left and right", "up", "land"])
def test_what_is_not_understood(text: str) -> None:
    game = start()
    before = game._craft
    assert game.step(text) == ("say burn and 0 to 3, and left or right.", -0.1, False, {})
    assert game._craft == before


@given(st.text() | st.lists(st.sampled_from(["burn", "2", "9", "left", "right", "full", "no"])).map(" ".join))
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and -0.1 <= turn.reward <= 0


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"dimensions": 3}, "dimensions must be 1 or 2, not 3"),
        ({"gravity": 0}, "gravity must be 1 to 3, not 0"),
        ({"gravity": 2, "thrust": 2}, "thrust must be above gravity, which is 2, and at most 7, not 2"),
        ({"thrust": 8}, "thrust must be above gravity, which is 1, and at most 7, not 8"),
        ({"pad": 11}, "pad must be 0 to 10, not 11"),
        ({"reserve": -0.1}, "reserve must be 0 to 2, not -0.1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lander(**knobs)
