from __future__ import annotations

import math
import re
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_are

from textenvs.games.control import pole
from textenvs.games.control.cart_pole import CartPole

NOT_UNDERSTOOD: Any = ("say left or right.", -1.0, False, {})


def start(*state: float, **knobs: Any) -> CartPole:
    game = CartPole(**knobs)
    game.reset(np.random.default_rng(0))
    if state:
        game._state = (state[0], state[1], state[2], state[3])
    return game


def balanced(game: CartPole, rng: np.random.Generator) -> tuple[float, bool]:
    """The return of the expert, and whether it succeeds."""
    game.reset(rng)
    total = 0.0
    for _ in range(game.max_turns):
        turn = game.step(game.expert_action())
        total += turn.reward
        if turn.terminated:
            break
    return total, turn.info.get("success", False)


def test_steps_are_those_of_gymnasium_from_any_state() -> None:
    theirs, rng = CartPoleEnv(), np.random.default_rng(0)
    theirs.reset()
    ends = set()
    for _ in range(3000):
        theirs.state = rng.uniform(-1, 1, 4) * (2.5, 3, 0.23, 3)
        theirs.steps_beyond_terminated = None
        before = theirs.state.tolist()
        game = start(*before, hold=1, steps=500)
        action = int(rng.integers(2))
        _, reward, terminated, *_ = theirs.step(action)
        turn = game.step(("left", "right")[action])
        np.testing.assert_allclose(game._state, theirs.state, rtol=1e-12, atol=1e-14)
        assert (turn.reward, turn.terminated) == (reward, terminated)
        ends.add((terminated, turn.text.split()[-1] if terminated else ""))
    assert len(ends) == 3


@pytest.mark.parametrize("hold", [1, 2, 4])
def test_episodes_are_those_of_gymnasium(hold: int) -> None:
    """Both told the same pushes; what a push of several steps pays is what they pay together."""
    theirs, rng = CartPoleEnv(), np.random.default_rng(hold)
    for _ in range(40):
        game = start(hold=hold, steps=100 * hold)
        game.reset(rng)
        theirs.reset()
        theirs.state = np.array(game._state)
        terminated = False
        while not terminated:
            action = int(rng.integers(2))
            paid: list[Any] = []
            for _ in range(hold):
                if not terminated:
                    _, reward, terminated, *_ = theirs.step(action)
                    paid.append(reward)
            turn = game.step(("left", "right")[action])
            np.testing.assert_allclose(game._state, theirs.state, rtol=1e-9, atol=1e-9)
            assert (turn.reward, turn.terminated) == (sum(paid), terminated)


def test_what_is_told_is_the_state_of_gymnasium() -> None:
    game, theirs = start(hold=1, steps=500), CartPoleEnv()
    theirs.reset()
    theirs.state = np.array(game._state)
    for turn in range(200):
        way = game.expert_action()
        text = game.step(way).text
        theirs.step(("left", "right").index(way))
        told = [
            float(number) * {"left": -1, "right": 1, "": 0}[side]
            for number, side in re.findall(r"([\d.]+) (?:cm|degrees)(?:/s)? ?(left|right|)", text)
        ]
        scale = np.array((100, 100, 180 / math.pi, 180 / math.pi))
        assert (abs(told - theirs.state * scale) <= np.array((0.5, 0.5, 0.05, 0.5)) + 1e-6).all(), (turn, text)


def test_the_limits_and_the_start_are_those_of_gymnasium() -> None:
    theirs = CartPoleEnv()
    assert (theirs.x_threshold, theirs.tau) == (pole.FARTHEST, pole.STEP)
    assert pytest.approx(theirs.theta_threshold_radians) == pole.STEEPEST
    assert CartPole(hold=1, steps=500).max_turns == gymnasium.spec("CartPole-v1").max_episode_steps
    starts = []
    for seed in range(500):
        game = CartPole()
        game.reset(np.random.default_rng(seed))
        starts.append(game._state)
        assert game.instance() == " ".join(f"{quantity:.6f}" for quantity in game._state)
    assert -0.05 <= np.min(starts) < -0.049 and 0.049 < np.max(starts) <= 0.05
    assert len(set(starts)) == 500


@pytest.mark.parametrize("hold", [1, 2, 3, 4])
def test_the_regulator_is_that_of_scipy(hold: int) -> None:
    matrix, effect = pole.linear(hold)
    columns, one = effect[:, None], np.array([[pole._PUSH_COST]])
    worth = solve_discrete_are(matrix, columns, pole._COSTS, one)
    expected = np.linalg.solve(one + columns.T @ worth @ columns, columns.T @ worth @ matrix)[0]
    np.testing.assert_allclose(pole.gain(hold), expected, rtol=1e-6)
    small = (1e-4, -2e-4, 1e-4, 2e-4)
    np.testing.assert_allclose(pole.pushed(small, 1e-3, hold), matrix @ small + effect * 1e-3, atol=1e-10)


@pytest.mark.parametrize("hold", [1, 2, 3, 4])
@pytest.mark.parametrize("verbosity", ["numbers", "words"])
def test_the_expert_balances_the_pole_to_the_end(hold: int, verbosity: str) -> None:
    steps = 480 // hold * hold
    game, rng = CartPole(hold, steps, verbosity), np.random.default_rng(hold)
    for _ in range(8):
        assert balanced(game, rng) == (steps, True)


def test_the_expert_bears_the_noise_of_hard() -> None:
    game, rng = CartPole(**CartPole.levels["hard"]), np.random.default_rng(1)
    assert sum(balanced(game, rng)[1] for _ in range(30)) >= 29


def test_the_expert_knows_no_more_than_what_is_told() -> None:
    one, other = (start(0.0, 0.0, 0.01 + 1e-4 * i, 0.0, verbosity="words") for i in range(2))
    for _ in range(10):
        way = one.expert_action()
        assert other.expert_action() == way
        same = one.step(way).text == other.step(way).text
        assert one._state != other._state
        if not same:
            break
        assert one._expert.guess == other._expert.guess


def test_the_expert_recovers_from_wrong_pushes() -> None:
    game, rng, saved = CartPole(2, 300), np.random.default_rng(0), 0
    for _ in range(10):
        game.reset(rng)
        for wrong in ("left", "right")[int(rng.integers(2))], "what?":
            game.step(wrong)
        saved += all(not game.step(game.expert_action()).terminated for _ in range(140))
    assert saved == 10


def test_an_episode() -> None:
    game = CartPole()
    opening = game.reset(np.random.default_rng(3))
    assert opening.startswith(
        "balance the pole on the cart: push left or right. a push lasts 0.08 seconds. over when the pole leans more "
        "than 12 degrees or the cart is more than 240 cm from the middle. cart "
    )
    game._state = (0.1, 0.0, -0.1, 0.0)
    assert game.step("dance") == NOT_UNDERSTOOD
    assert game._state == (0.1, 0.0, -0.1, 0.0)
    assert game.step("Push left!") == (
        "cart 8 cm right, moving 77 cm/s left; pole 3.9 degrees left, turning 60 degrees/s right.",
        4.0,
        False,
        {},
    )
    game._state = (0.0, 0.0, 0.2, 1.0)
    assert game.step("left") == ("the pole falls to the right.", 1.0, True, {"success": False})
    game._state = (-2.39, -1.0, 0.0, 0.0)
    assert game.step("right") == ("the cart leaves the track to the left.", 1.0, True, {"success": False})


def test_success_is_told_when_all_steps_are_done() -> None:
    game = CartPole(4, 12)
    game.reset(np.random.default_rng(0))
    assert [game.step(game.expert_action()).info for _ in range(3)] == [{}, {}, {"success": True}]
    game.reset(np.random.default_rng(0))
    game.step("hm")
    assert [game.step(game.expert_action()).info for _ in range(2)] == [{}, {}]


def test_words() -> None:
    game = start(-0.9, 0.05, 0.1, -1.0, verbosity="words")
    assert game._tell() == "cart far to the left, at rest; pole leaning right, turning left."
    game._state = (0.05, -3.0, math.radians(-11.9), 3.0)
    assert game._tell() == "cart in the middle, rolling fast left; pole leaning far left, turning fast right."
    game._state = (2.0, 0.3, 0.001, 0.2)
    assert game._tell() == "cart almost at the right end, rolling slowly right; pole upright, turning slowly right."


def test_noise_is_a_share_of_the_scales() -> None:
    game = start(0.0, 0.0, 0.0, 0.0, noise=0.1)
    told = []
    for _ in range(2000):
        position, speed, angle, spin = re.findall(r"([\d.]+) (?:cm|degrees)|\b0\b", game._tell())
        told.append([float(value or 0) for value in (position, speed, angle, spin)])
    spread = np.sqrt(np.mean(np.square(told), axis=0))
    np.testing.assert_allclose(spread, (24, 10, 1.2, 5.73), rtol=0.08)


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("LEFT", "left"),
        ("push the cart to the right.", "right"),
        ("go west", "left"),
        ("r?", "right"),
        ("It leans left, so I push right", "right"),
        ("push it left because the pole leans left", "left"),
        ("left or right", None),
        ("push left and push right", "right"),
        ("up", None),
        ("", None),
        ("no push", None),
    ],
)
def test_reading(text: str, way: str | None) -> None:
    one, other = start(), start()
    assert one.step(text) == (NOT_UNDERSTOOD if way is None else other.step(way))


@given(st.text() | st.lists(st.sampled_from(["push", "left", "right", "the", "up"])).map(" ".join))
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and turn.reward in (-1.0, 4.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"hold": 0}, "hold must be 1 to 4, not 0"),
        ({"hold": 5, "steps": 500}, "hold must be 1 to 4, not 5"),
        ({"hold": 3}, "steps must be a multiple of hold, which is 3, not 200"),
        ({"steps": 0}, "steps must be a multiple of hold, which is 4, not 0"),
        ({"verbosity": "prose"}, "verbosity must be 'numbers' or 'words', not 'prose'"),
        ({"noise": -0.1}, "noise must be 0 to 1, not -0.1"),
        ({"noise": float("nan")}, "noise must be 0 to 1, not nan"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CartPole(**knobs)
