from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.questions.arithmetic import Arithmetic
from textenvs.games.questions.expressions import evaluate


def start(*answers: int, **knobs: Any) -> Arithmetic:
    """A game with problems of these answers."""
    game = Arithmetic(problems=len(answers), **knobs)
    game.reset(np.random.default_rng(0))
    game._asked = [(f"{answer}+0 = ?", answer) for answer in answers]
    return game


def test_an_episode() -> None:
    game = start(408, -12)
    assert game.step("work: 12*30=360, 12*4=48") == ("noted.", 0.0, False, {})
    assert game.step("what?") == ("say the answer as a number.", 0.0, False, {})
    assert game.step("Working on it") == ("noted.", 0.0, False, {})
    assert game.step("think 360+48") == ("no more working here, say the answer.", 0.0, False, {})
    assert game.step("so it is 408") == ("right. 2: -12+0 = ?", 0.5, False, {})
    assert game.step("work 5").text == "noted."
    wrong = game.step("12")
    assert wrong == ("no, -12. 1 right.", pytest.approx(0.5 * 0.5 * 2 / 3), True, {"success": False, "right": 1})


def test_success_needs_all_right() -> None:
    game = start(7, 8)
    game.step("7")
    assert game.step("work done, the answer is 8") == ("right. 2 right.", 0.5, True, {"success": True, "right": 2})


@pytest.mark.parametrize(
    ("answer", "said", "share"),
    [
        (408, "408", 2.0),
        (408, "418", 2 / 3),
        (408, "508", 2 / 3),
        (408, "4080", 0.0),
        (408, "8", 1 / 3),
        (408, "1408", 3 / 4),
        (-5, "5", 1 / 2),
        (5, "-5", 1 / 2),
        (408, "twelve", 0.0),
        (12, "twelve", 2.0),
        (1234, "1,234", 2.0),
        (408, "408.0", 2.0),
        (408, "408.5", 0.0),
        (5, "1234567895", 1 / 10),
    ],
)
def test_partial_credit_by_digit(answer: int, said: str, share: float) -> None:
    turn = start(answer).step(said)
    assert turn.reward == pytest.approx(share / 2)
    assert turn.info["success"] == (share == 2)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start(3, 4).step(text)
    assert turn.text and 0 <= turn.reward <= 0.5 and not turn.terminated


@pytest.mark.parametrize("level", Arithmetic.levels)
def test_the_expert_is_always_right_and_its_sums_are_those_of_the_text(level: str) -> None:
    game, rng, seen = Arithmetic(**Arithmetic.levels[level]), np.random.default_rng(1), set()
    for _ in range(50):
        text, total, done = game.reset(rng), 0.0, False
        while not done:
            asked = text.split(": ", 1)[1].removesuffix(" = ?")
            if not asked.endswith("?"):
                assert game.expert_action() == str(evaluate(asked))
            text, reward, done, info = game.step(game.expert_action())
            total += reward
        assert total == pytest.approx(1) and info["success"]
        seen.add(game.instance())
    assert len(seen) == 50


def test_the_right_choice_is_anywhere_in_a_chain_of_small_changes() -> None:
    game, rng, places = Arithmetic(digits=4, steps=1, stories=0), np.random.default_rng(0), np.zeros(10)
    for _ in range(300):
        game.reset(rng)
        choices = game.valid_actions()
        assert len(set(choices)) == 10 and choices == sorted(choices, key=int)
        for choice in choices:
            assert any(
                sum(a != b for a, b in zip(choice, other, strict=True)) == 1
                for other in choices
                if len(other) == len(choice) and other != choice
            )
        places[choices.index(game.expert_action())] += 1
    assert places.min() >= 10 and places.max() <= 60


def test_stories_are_told_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    assert "how many" not in Arithmetic(stories=0).reset(rng)
    assert "how many" in Arithmetic(stories=1).reset(rng)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"digits": 0}, "digits must be 1 to 5, not 0"),
        ({"operations": "+^"}, r"operations must be some of \+-\*/, not '\+\^'"),
        ({"operations": ""}, "operations must be some of"),
        ({"operations": "*"}, r"operations must have \+ or - for several steps"),
        ({"steps": 5}, "steps must be 1 to 4, not 5"),
        ({"stories": 2}, "stories is a probability"),
        ({"problems": 0}, "problems must be 1 to 10, not 0"),
        ({"working": -1}, "working must be 0 to 10, not -1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Arithmetic(**knobs)
