from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.language.summary import _ASPECTS, _LIMITS, Summary, _news
from textenvs.parsing import words

pytest.importorskip("rouge_score")


def start(seed: int = 0, **knobs: Any) -> Summary:
    game = Summary(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def flood(*asked: str, limit: int = 13) -> Summary:
    """A game about a known flood."""
    game = start(facts=len(asked), limit=limit)
    game._what, game._town, game._day, game._cause = "flood", "redford", "monday", "a weak dam"
    game._number, game._person = "three", "mayor bell"
    game._asked = [aspect for aspect in _ASPECTS if aspect in asked]
    return game


@pytest.mark.parametrize(
    ("asked", "references"),
    [
        (_ASPECTS, ["flood in redford on monday after a weak dam, three hurt, says bell"]),
        (("what", "when", "who"), ["flood on monday, says bell"]),
        (("what",), ["flood"]),
    ],
)
def test_references(asked: tuple[str, ...], references: list[str]) -> None:
    if "where" in asked:
        references = [*references, references[0].replace("flood in", "a flood hit")]
    assert flood(*asked)._references() == references


def test_an_episode() -> None:
    game = flood("what", "where", "how many", limit=7)
    assert game.step("...") == ("please summarise the report in at most 7 words.", 0.0, False, {})
    turn = game.step("A flood hit Redford, 3 hurt!")
    assert (turn.text, turn.terminated) == ("3 of 3 facts kept. it could be: flood in redford, three hurt.", True)
    # Of "a flood hit redford, three hurt": 5 of 6 words, also in order, and 4 of 5 pairs less the two with "three".
    assert turn.info == {"success": True, "facts": 1.0, "rouge": pytest.approx((5 / 6 + 3 / 5 + 5 / 6) / 3)}
    assert turn.reward == pytest.approx((1 + turn.info["rouge"]) / 2)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("flooding in redford", 2),
        ("FLOODED: Redford; three.", 3),
        ("floods 3", 2),
        ("redford redford", 1),
        ("hurt in town", 0),
        ("one two four five six seven eight nine ten eleven twelve redford", 0),  # beyond the limit
        ("one two four five six flood redford", 2),
    ],
)
def test_facts(text: str, kept: int) -> None:
    turn = flood("what", "where", "how many", limit=7).step(text)
    assert turn.info["facts"] == pytest.approx(kept / 3) and turn.info["success"] == (kept == 3)


def test_the_reason_and_the_person() -> None:
    assert flood("what", "why", "who").step("weak dam brings flood, mayor bell says").info["facts"] == 1
    assert flood("what", "why", "who").step("dam brings flood, mayor says").info["facts"] == pytest.approx(1 / 3)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and 0 <= turn.reward <= 1
    assert turn.terminated == bool(words(text))


# --- a second summariser, which knows only what the opening says ---

DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
PATTERNS = {
    "where": r"it happened in (\w+)|(\w+) is the town|people in (\w+) saw",
    "when": rf"\b({DAYS})\b",
    "why": r"it came after ([^.]+)|experts think of (.+?) as the reason|the reason was ([^.]+)",
    "who": r"\w+ (\w+) commented|comment came from \w+ (\w+)",
}


def by_the_opening(opening: str) -> str:
    """A headline of what an opening asks for."""
    asked, report = re.search(r"keep (.*)\. report: (.*)", opening).groups()  # type: ignore[union-attr]
    what = next(name for name in _news()["events"] if name in report.split(".")[0])

    def found(aspect: str) -> str:
        return next(filter(None, re.search(patterns[aspect], report).groups()))  # type: ignore[union-attr]

    lead = _news()["events"][what]["lead"].replace("{town}", r"(\w+) on")
    patterns = PATTERNS | {"where": f"{lead}|{PATTERNS['where']}"}
    asked = asked.split(", ")
    headline = what + (f" in {found('where')}" if "where" in asked else "")
    headline += f" on {found('when')}" if "when" in asked else ""
    headline += f" after {found('why')}" if "why" in asked else ""
    if any(each.startswith("how many") for each in asked):
        told = _news()["events"][what]["told"].replace("{number}", r"(\w+)")
        headline += ", " + _news()["events"][what]["short"].format(number=re.search(told, report)[1])  # type: ignore[index]
    return headline + (f", says {found('who')}" if "who commented" in asked else "")


@pytest.mark.parametrize("level", Summary.levels)
def test_the_expert_is_right_by_a_second_summariser_that_reads_the_opening(level: str) -> None:
    game, seen = Summary(**Summary.levels[level]), set()
    for seed in range(150):
        opening = game.reset(np.random.default_rng(seed))
        assert len(opening.partition("report: ")[2].split(". ")) == game.sentences
        assert game.expert_action() == by_the_opening(opening)
        seen.add(game.instance())
        choices = game.valid_actions()
        assert choices == sorted(set(choices)) and 3 <= len(choices) <= game.max_choices
        assert game.expert_action() in choices and all(len(choice.split()) <= game.limit for choice in choices)
        turn = game.step(game.expert_action())
        assert (turn.reward, turn.info["success"]) == (pytest.approx(1), True)
    assert len(seen) == 150


@pytest.mark.parametrize("aspect", _ASPECTS[1:])
def test_what_is_asked_for_is_named(aspect: str) -> None:
    for seed in range(50):
        game = Summary(facts=2, limit=6)
        opening = game.reset(np.random.default_rng(seed))
        asked = _news()["asked"].get(aspect, _news()["events"][game._what]["asked"])
        assert (f"keep what happened, {asked}. " in opening) == (game._asked == ["what", aspect])


def test_no_reference_is_longer_than_the_least_limit() -> None:
    longest = dict.fromkeys(range(1, 7), 0)
    for facts in longest:
        for seed in range(150):
            game = start(seed, facts=facts, limit=_LIMITS[facts])
            longest[facts] = max(longest[facts], len(words(game.expert_action())))
    assert tuple(longest.values()) == _LIMITS[1:]


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"facts": 7}, "facts must be 1 to 6, not 7"),
        ({"sentences": 3}, "sentences must be facts to 15, not 3"),
        ({"limit": 8}, "limit must be 9 to 30 for 4 facts, not 8"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Summary(**knobs)
