from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.questions.word_problems import Problem
from textenvs.games.tools.calculator import Calculator

HELP = "say calc and an expression, or answer and a number."


def start(answer: int = 87, **knobs: Any) -> Calculator:
    game = Calculator(**knobs)
    game.reset(np.random.default_rng(0))
    game._problem = Problem("how many?", "12*7+3", answer)
    return game


def test_an_episode() -> None:
    game = start()
    assert game.step("hm") == (HELP, -0.05, False, {})
    assert game.step("calc 12*7") == ("84.", 0.0, False, {})
    assert game.step("calc ans/0") == ("nothing can be divided by 0.", -0.05, False, {})
    assert game.step("calc 1/3") == ("0.333333.", -0.05, False, {})
    assert game.step("ans*3+83") == ("84.", -0.05, False, {})
    assert game.expert_action() == "calc 12*7+3"
    assert game.step("calc ans+3") == ("87.", -0.05, False, {})
    assert game.expert_action() == "answer 87"
    assert game.step("the answer is 87") == ("right.", 1.0, True, {"success": True, "calls": 5})


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("CALC 12 * 7 + 3 =", "87."),
        ("please compute: (1,000 - 1) / 2", "499.5."),
        ("calculate 12 times 7", "84."),
        ("12*7+3", "87."),
        ("(9-4)", "5."),
        ("answer: 86", "no, 87."),
        ("86", "no, 87."),
        ("86.", "no, 87."),
        ("-87", "no, 87."),
        ("- 87", "no, 87."),
        ("negative 87", "no, 87."),
        ("answer - 87", "no, 87."),
        ("87.5", "no, 87."),
        ("answer 12 * 7 is 84, so 87", "right."),
        ("The answer is eighty seven!", "right."),
        ("87", "right."),
        ("answer", HELP),
        ("calc", "a number is missing at the end."),
        ("calc what", "i do not understand that."),
        ("eighty", HELP),
        ("x", "i do not understand that."),
        ("", HELP),
    ],
)
def test_readings(text: str, reply: str) -> None:
    turn = start().step(text)
    assert turn.text == reply
    assert turn.terminated == (reply in ("right.", "no, 87."))
    assert turn.reward == {"right.": 1.0, HELP: -0.05}.get(reply, 0.0)


@given(st.text() | st.text("0123456789+-*/().ans calc"))
def test_any_text_is_answered(text: str) -> None:
    assert start().step(text).text


@pytest.mark.parametrize("level", Calculator.levels)
def test_the_expert_needs_one_call(level: str) -> None:
    game, rng, seen = Calculator(**Calculator.levels[level]), np.random.default_rng(0), set()
    for _ in range(100):
        opening = game.reset(rng)
        first = game.expert_action()
        assert {*re.findall(r"\d+", first)} <= {*re.findall(r"\d+", opening)}
        turns = [game.step(first), game.step(game.expert_action())]
        assert [turn.reward for turn in turns] == [0.0, 1.0] and turns[1].info["success"]
        seen.add(game.instance())
    assert len(seen) == 100


def test_a_wasted_episode_leaves_the_expert_the_last_turn_for_an_answer() -> None:
    game = start()
    for _ in range(game.max_turns - 1):
        assert game.expert_action() == "calc 12*7+3"
        game.step("hm")
    assert game.step(game.expert_action()).info["success"]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"steps": 5}, "steps must be 1 to 4, not 5"),
        ({"digits": 4}, "digits must be 1 to 3, not 4"),
        ({"distractors": -1}, "distractors must be 0 to 3, not -1"),
        ({"cost": 1}, "cost must be 0 to 0.1, not 1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calculator(**knobs)
