from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.questions.reading import GROUPS, Reading, named
from textenvs.games.questions.scoring import f1
from textenvs.games.questions.stories import Question


def start(*questions: Question, **knobs: Any) -> Reading:
    """A game that asks these questions."""
    game = Reading(**knobs)
    game.reset(np.random.default_rng(0))
    game._asked = list(questions)
    return game


WHERE = Question("where was the milk before the kitchen?", ("garden",), "place")
WHAT = Question("what is mary carrying?", ("apple", "milk"), "things")
HOW = Question("how do you go from the office to the park?", ("north", "west"), "path")


def test_an_episode() -> None:
    game = start(WHERE, WHAT, HOW)
    assert game.step("i do not know") == ("please say a place.", 0.0, False, {})
    third = pytest.approx(1 / 3)
    assert game.step("It was in the garden before the kitchen.") == (f"right. {WHAT.text}", third, False, {})
    turn = game.step("the milk")
    assert turn == (f"no, apple, milk. {HOW.text}", pytest.approx((0 + 2 / 3) / 2 / 3), False, {})
    end = {"success": False, "right": 2}
    assert game.step("go n, then w") == ("right. 2 right.", third, True, end)


def test_the_order_counts_in_paths_only() -> None:
    assert start(WHAT).step("milk and an apple") == ("right. 1 right.", 1.0, True, {"success": True, "right": 1})
    assert start(HOW).step("west, north") == ("no, north, west. 0 right.", 0.5, True, {"success": False, "right": 0})


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("The KITCHEN!", "place", ["kitchen"]),
        ("in the kichen", "place", ["kitchen"]),
        ("the kitchen, or the garden, or the kitchen", "place", ["kitchen", "garden"]),
        ("nowhere", "place", []),
        ("Mary did", "person", ["mary"]),
        ("she fears wolves", "animal", ["wolf"]),
        ("a mouse", "animal", ["mouse"]),
        ("yep", "yes", ["yes"]),
        ("nope", "yes", ["no"]),
        ("perhaps", "yes", ["maybe"]),
        ("2", "count", ["two"]),
        ("three things", "count", ["three"]),
        ("nothing", "count", ["none"]),
        ("12", "count", []),
        ("nothing", "things", ["nothing"]),
        ("the football and milk", "things", ["football", "milk"]),
        ("north, north, e", "path", ["north", "north", "east"]),
        ("because he was hungry", "motive", ["hungry"]),
        ("it is White", "colour", ["white"]),
    ],
)
def test_answers_are_read_out_of_free_text(text: str, kind: str, found: list[str]) -> None:
    assert named(text, kind) == found


@pytest.mark.parametrize(
    ("said", "answer", "score"),
    [
        (["a"], ["a"], 1.0),
        (["a", "b"], ["a"], 2 / 3),
        (["a"], ["a", "b", "c"], 1 / 2),
        (["b"], ["a"], 0.0),
        ([], ["a"], 0.0),
        ([], [], 0.0),
        (["n", "n", "w"], ["n", "w", "w"], 2 / 3),
    ],
)
def test_f1(said: list[str], answer: list[str], score: float) -> None:
    assert f1(said, answer) == pytest.approx(score)
    precision = sum(each in answer for each in said) / max(len(said), 1)
    recall = sum(each in said for each in answer) / max(len(answer), 1)
    if len({*said}) == len(said) and len({*answer}) == len(answer) and precision + recall:
        assert score == pytest.approx(2 * precision * recall / (precision + recall))


@given(st.text(), st.integers(1, 20))
def test_any_text_is_answered(text: str, task: int) -> None:
    game = Reading(task)
    game.reset(np.random.default_rng(0))
    turn = game.step(text)
    assert turn.text and 0 <= turn.reward <= 1 / len(game._asked) + 1e-9


@pytest.mark.parametrize("task", range(1, 21))
@pytest.mark.parametrize("length", [4, 24])
def test_the_expert_is_always_right_and_among_the_choices(task: int, length: int) -> None:
    game, rng, seen = Reading(task, length=length, distractors=12), np.random.default_rng(task), set()
    for _ in range(10):
        opening, total, done = game.reset(rng), 0.0, False
        assert opening.endswith(game._asked[0].text)
        while not done:
            valid = game.valid_actions()
            assert game.expert_action() in valid and len(valid) == len({*valid}) <= game.max_choices
            assert all(named(choice, game._asked[game._now].kind) for choice in valid)
            _, reward, done, info = game.step(game.expert_action())
            total += reward
        assert total == pytest.approx(1) and info["success"]
        seen.add(game.instance())
    assert len(seen) == 10


def test_what_is_presupposed_is_told() -> None:
    rng = np.random.default_rng(0)
    assert "lie on a grid" in Reading(17).reset(rng)
    assert "the tired go to the bedroom" in Reading(20).reset(rng)


def test_the_groups_share_all_types_out_and_each_is_drawn() -> None:
    assert sorted(GROUPS["direct"] + GROUPS["chained"]) == list(range(1, 21))
    kinds = set()
    for seed in range(40):
        game = Reading("direct")
        game.reset(np.random.default_rng(seed))
        kinds |= {question.kind for question in game._asked}
    assert kinds == {"place", "person", "thing", "yes", "animal", "motive"}


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"task": 21}, "task must be 1 to 20, 'direct', 'chained' or None for any, not 21"),
        ({"task": "all"}, "task must be 1 to 20"),
        ({"length": 3}, "length must be 4 to 24, not 3"),
        ({"distractors": 13}, "distractors must be 0 to 12, not 13"),
        ({"questions": 0}, "questions must be 1 to 8, not 0"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Reading(**knobs)
