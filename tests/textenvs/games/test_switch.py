from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.continual.switch import Switch


def answer(rule: str, shown: list[int]) -> int:
    """What a rule asks for, worked out in another way."""
    order = np.sort(shown)
    return int(
        {
            "the largest": order[-1],
            "the smallest": order[0],
            "the sum": np.sum(shown),
            "the first": shown[0],
            "the last": shown[3],
            "the second largest": order[2],
            "the largest minus the smallest": np.ptp(shown),
            "how many are even": sum(str(n)[-1] in "02468" for n in shown),
        }[rule]
    )


def parts(text: str) -> tuple[str, list[int]]:
    """The word and the numbers at the end of an opening or a reply."""
    found = re.search(r"(\w+): (\d(?: \d)*)\.$", text)
    assert found, text
    return found[1], [int(n) for n in found[2].split()]


def eliminating(game: Switch, seed: int, begins_anew: bool = True) -> tuple[float, dict[int, list[bool]]]:
    """Return, and right answers by rounds since a switch, of a player who reads the texts only: it keeps the rules that
    fit all feedback and answers as most of them do."""
    text = game.reset(np.random.default_rng(seed))
    rules = text.removeprefix("rules: ").split(".")[0].split(", ")
    kept: dict[str, list[str]] = defaultdict(lambda: list(rules))
    curve: dict[int, list[bool]] = defaultdict(list)
    total, turn = 0.0, None
    while turn is None or not turn.terminated:
        word, shown = parts(text)
        answers = [answer(rule, shown) for rule in kept[word]]
        said = max(sorted(set(answers)), key=answers.count)
        turn = game.step(str(said))
        text, total = turn.text, total + turn.reward
        curve[turn.info["since"]].append(turn.info["right"])
        truth = said if text.startswith("right") else None
        if told := re.match(r"wrong, (\d+)", text):
            truth = int(told[1])
        fits = [r for r in rules if (answer(r, shown) == truth if truth is not None else answer(r, shown) != said)]
        kept[word] = [r for r in kept[word] if r in fits] or (fits if begins_anew else kept[word])
    return total, curve


def test_an_episode() -> None:
    game = Switch(rounds=8, every=4, rules=3)
    assert game.reset(np.random.default_rng(0)) == (
        "rules: the sum, the last, the first. one of them counts; which one changes now and then, and you have to find "
        "out. answer each time with a number. numbers: 3 2 4 7."
    )
    assert game.step("hm") == ("answer with a number. numbers: 3 2 4 7.", 0.0, False, {})
    assert game.step("3") == ("wrong, 7. numbers: 9 1 6 5.", 0.0, False, {"right": False, "stretch": 0, "since": 0})
    assert game.step("Five, I think.") == (
        "right. numbers: 3 8 4 7.",
        1 / 8,
        False,
        {"right": True, "stretch": 0, "since": 1},
    )
    game.step("7")
    game.step("9")
    assert game.step("9") == ("wrong, 20. numbers: 3 7 5 9.", 0.0, False, {"right": False, "stretch": 1, "since": 0})
    assert game.step("twenty-four").text == "right. numbers: 9 6 2 1."
    game.step("18")
    assert game.step("24") == (
        "right. 6 of 8 were right.",
        1 / 8,
        True,
        {"right": True, "stretch": 1, "since": 3, "regret": 2},
    )


def test_untold_answers_and_words() -> None:
    game = Switch(rounds=6, every=6, rules=3, words=2, tell=False)
    opening = game.reset(np.random.default_rng(1))
    assert "each word stands for one of them" in opening and parts(opening)[0] in game._meanings[0]
    assert game.step("-1").text.startswith("wrong. ")


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_the_expert_follows_the_rule_in_force(level: str) -> None:
    game = Switch(**Switch.levels[level])
    for seed in range(10):
        text, total, turn = game.reset(np.random.default_rng(seed)), 0.0, None
        while turn is None or not turn.terminated:
            word, shown = parts(text)
            at = game._at // game.every
            meaning = game._meanings[at]["" if word == "numbers" else word]
            assert game.expert_action() == str(answer(meaning, shown))
            assert game.expert_action() in game.valid_actions()
            turn = game.step(game.expert_action())
            text, total = turn.text, total + turn.reward
        assert total == pytest.approx(1) and turn.info["regret"] == 0


@pytest.mark.parametrize(
    ("knobs", "few"),
    [
        ({"rules": 2}, False),
        ({"words": 3, "rules": 4, "drift": 0.0}, True),
        ({"words": 2, "rules": 6, "drift": 0.5}, False),
        ({"words": 5, "rules": 8, "drift": 1.0}, False),
    ],
)
def test_each_switch_changes_what_it_should(knobs: dict[str, Any], few: bool) -> None:
    game, moved = Switch(rounds=100, every=5, **knobs), []
    for seed in range(5):
        game.reset(np.random.default_rng(seed))
        assert len(game._meanings) == 20
        for before, after in zip(game._meanings, game._meanings[1:], strict=False):
            assert before.keys() == after.keys() and len(set(after.values())) == len(after)
            assert set(after.values()) <= set(game._rules)
            moved.append(sum(before[word] != after[word] for word in before))
        assert [each.since for each in game._stream] == 20 * [0, 1, 2, 3, 4]
    assert min(moved) >= 1
    if few:
        assert max(moved) == 1
    elif knobs.get("drift", 1.0) == 1:
        assert min(moved) == game.words


def test_nothing_changes_where_no_switch_is_due() -> None:
    game = Switch(rounds=12, every=12)
    game.reset(np.random.default_rng(0))
    assert len(game._meanings) == 1 and {each.stretch for each in game._stream} == {0}


@pytest.mark.parametrize(("level", "least", "stuck"), [("easy", 0.88, 0.6), ("medium", 0.87, 0.5), ("hard", 0.62, 0.5)])
def test_adapting_pays_and_can_be_done_from_the_texts(level: str, least: float, stuck: float) -> None:
    game = Switch(**Switch.levels[level])
    played = [eliminating(game, seed) for seed in range(25)]
    assert np.mean([total for total, _ in played]) > least
    assert np.mean([eliminating(game, seed, begins_anew=False)[0] for seed in range(25)]) < stuck
    early, late = (np.mean([right for _, curve in played for right in curve[n]]) for n in (0, game.every - 1))
    assert early < 0.5 and late > 0.9


def test_the_rules_differ_for_the_numbers_shown() -> None:
    game = Switch(rules=4)
    differ = []
    for seed in range(20):
        game.reset(np.random.default_rng(seed))
        for each in game._stream:
            assert len(set(each.shown)) == 4 and all(1 <= n <= 9 for n in each.shown)
            differ.append(len({answer(rule, list(each.shown)) for rule in game._rules}))
    assert np.mean(np.array(differ) == 4) > 0.8


@pytest.mark.parametrize(
    ("said", "right"),
    [("7", True), ("it is SEVEN!", True), ("7 or 3", True), ("3 or 7", False), ("-7", False), ("3", False)],
)
def test_reading(said: str, right: bool) -> None:
    game = Switch(rounds=8, every=4, rules=3)
    game.reset(np.random.default_rng(0))  # the right answer is 7
    assert game.step(said).info["right"] is right


GAME = Switch(rounds=1000, every=10)
GAME.reset(np.random.default_rng(0))


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert GAME.step(text).text


def test_an_episode_is_fixed_by_its_seed_and_they_differ() -> None:
    game, seen = Switch(**Switch.levels["easy"]), set()
    for seed in range(100):
        game.reset(np.random.default_rng(seed))
        seen.add(game.instance())
    again = Switch(**Switch.levels["easy"])
    again.reset(np.random.default_rng(99))
    assert again.instance() == game.instance() and len(seen) == 100


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"rounds": 0}, "rounds must be 1 to 1000, not 0"),
        ({"every": 41}, "every must be 1 to 40, the number of rounds, not 41"),
        ({"rules": 9}, "rules must be 2 to 8, not 9"),
        ({"words": 4}, "words must be 1 to 3 with 4 rules, not 4"),
        ({"drift": 2}, "drift is a probability: it must be 0 to 1, not 2"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Switch(**knobs)
