from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.game import Turn
from textenvs.games.decisions.memory import _KINDS, _PEOPLE, _SUMS, _WORDS, Memory, _read, _Task

TOLD = {"likes": "colour", "lives in": "live", "has a": "animal", "is in room": "room"}


def start(**knobs: Any) -> Memory:
    """Two facts, one task and two questions."""
    game = Memory(**{"facts": 2, "delay": 1, "questions": 2, **knobs})
    game.reset(np.random.default_rng(0))
    if not knobs:
        game._told = ["anna likes red.", "tom is in room 12."]
        game._asked = [
            _Task("say lamp.", "lamp", _WORDS),
            _Task("in which room is tom?", "12", _KINDS[3].values),
            _Task("which colour does anna like?", "red", _KINDS[0].values),
        ]
    return game


def say(game: Memory, *texts: str) -> list[Turn]:
    return [game.step(text) for text in texts]


def test_an_episode() -> None:
    game = start()
    assert say(game, "ok", "go on", "", "Lamp!", "room twelve", "it's red, i think") == [
        ("anna likes red.", 0.0, False, {}),
        ("tom is in room 12.", 0.0, False, {}),
        ("say lamp.", 0.0, False, {}),
        ("in which room is tom?", 0.0, False, {}),
        ("right. which colour does anna like?", 0.5, False, {}),
        ("right. 2 of 2 recalled.", 0.5, True, {"success": True, "recalled": 1.0}),
    ]


def test_mistakes() -> None:
    game = start()
    assert say(game, "ok", "ok", "ok", "no", "no idea", "21", "red or blue", "rad", "rde", "gren") == [
        ("anna likes red.", 0.0, False, {}),
        ("tom is in room 12.", 0.0, False, {}),
        ("say lamp.", 0.0, False, {}),
        ("missed. in which room is tom?", -0.02, False, {}),
        ("say one number. in which room is tom?", 0.0, False, {}),
        ("wrong. which colour does anna like?", 0.0, False, {}),
        ("say one colour. which colour does anna like?", 0.0, False, {}),
        ("say one colour. which colour does anna like?", 0.0, False, {}),
        ("say one colour. which colour does anna like?", 0.0, False, {}),
        ("wrong. 0 of 2 recalled.", 0.0, True, {"success": False, "recalled": 0.0}),
    ]


def player(text: str, known: dict[tuple[str, str], str]) -> str:
    """A player of its own that only reads what the game says."""
    if fact := re.fullmatch(r"(\w+) (likes|lives in|has a|is in room) (\w+)\.", text):
        known[fact[1], TOLD[fact[2]]] = fact[3]
    if task := re.search(r"say (\w+)\.$", text):
        return task[1]
    if task := re.search(r"what is (\d+) plus (\d+)\?", text):
        return str(int(task[1]) + int(task[2]))
    if text.endswith("?"):
        said = set(re.findall(r"\w+", text))
        return next(value for (person, kind), value in known.items() if {person, kind} <= said)
    return "ok"


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_the_expert_says_what_a_reader_would(level: str) -> None:
    game, rng = Memory(**Memory.levels[level]), np.random.default_rng(0)
    needed = 1 + game.facts + game.delay + game.questions
    for _ in range(30):
        text, known, total = game.reset(rng), dict[tuple[str, str], str](), 0.0
        for turn in range(1, needed + 1):
            said = "ok" if turn == 1 else player(text, known)
            if text.endswith("?") or re.search(r"say (?!ok)\w+\.$", text):
                assert said == game.expert_action()
                assert said in game.valid_actions()
            text, reward, terminated, info = game.step(said)
            total += reward
            assert terminated == (turn == needed)
        assert total == pytest.approx(1.0) and info == {"success": True, "recalled": 1.0}
    assert game.max_turns == needed + 4


def test_facts_and_questions_are_distinct_and_many() -> None:
    game, rng = Memory(), np.random.default_rng(0)
    instances = set()
    for _ in range(300):
        opening = game.reset(rng)
        assert not any(person in opening for person in _PEOPLE)
        assert len({told.split()[0] + told.split()[1] for told in game._told}) == 5
        assert len({task.text for task in game._asked[game.delay :]}) == 2
        instances.add(game.instance())
    assert len(instances) == 300


def test_every_admissible_utterance_is_understood_as_itself() -> None:
    for answers in (_WORDS, _SUMS, *(kind.values for kind in _KINDS)):
        assert len(set(answers)) == len(answers) <= Memory.max_choices
        assert [_read(answer, answers) for answer in answers] == list(answers)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("She lives in PARIS.", "paris"),
        ("vienna!", "vienna"),
        ("berln", "berlin"),
        ("paris or rome", None),
        ("parish priest", "paris"),
        ("romeo", "rome"),
        ("nowhere", None),
    ],
)
def test_reading(text: str, answer: str | None) -> None:
    assert _read(text, _KINDS[1].values) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("7", "7"),
        ("it is seven", "7"),
        ("5 plus 2 is 7", "7"),
        ("five plus two is seven", "7"),
        ("7 is 5+2", "7"),
        ("room?", None),
    ],
)
def test_reading_a_sum(text: str, answer: str | None) -> None:
    assert _read(text, _SUMS) == answer


@given(st.lists(st.text(), max_size=8))
def test_any_text_is_answered(texts: list[str]) -> None:
    game = start(delay=2)
    for text in texts:
        turn = game.step(text)
        assert turn.text
        if turn.terminated:
            break


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"facts": 0}, "facts must be 1 to 40, not 0"),
        ({"facts": 41}, "facts must be 1 to 40, not 41"),
        ({"delay": -1}, "delay must be 0 to 500, not -1"),
        ({"questions": 0}, "questions must be 1 to 5, the number of facts, not 0"),
        ({"facts": 2, "questions": 3}, "questions must be 1 to 2, the number of facts, not 3"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Memory(**knobs)
