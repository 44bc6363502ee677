from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.language.tagging import _HINTS, _KINDS, _NAMES, Tagging, _names, ambiguous_words, taggings


def start(seed: int = 0, **knobs: Any) -> Tagging:
    game = Tagging(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def start_with(sentence: str, scheme: str = "parts of speech") -> Tagging:
    """A game that asks for the tags of ``sentence``."""
    game = start()
    game._scheme, game._words = scheme, tuple(sentence.split())
    (game._right,) = taggings(scheme, game._words)
    return game


@pytest.mark.parametrize(
    ("sentence", "tags"),
    [
        ("she saw the saw", "pronoun verb determiner noun"),
        ("her cook cooks", "determiner noun verb"),
        ("they watch her", "pronoun verb pronoun"),
        ("every play leaves the town", "determiner noun verb determiner noun"),
        ("a light lamp needs a light", "determiner adjective noun verb determiner noun"),
        ("he said that that dog bites", "pronoun verb conjunction determiner noun verb"),
        ("yesterday two wild ducks flew to the park", "adverb number adjective noun verb preposition determiner noun"),
        ("last week the clean horse ran fast", "adjective noun determiner adjective noun verb adverb"),
    ],
)
def test_parts_of_speech(sentence: str, tags: str) -> None:
    assert taggings("parts of speech", tuple(sentence.split())) == {tuple(tags.split())}


@pytest.mark.parametrize(
    ("sentence", "tags"),
    [
        ("jordan lives in jordan", "person other other place"),
        ("mr ford works for ford", "other person other other company"),
        ("april left georgia in april", "person other place other time"),
        ("apple sells the apple in paris", "company other other other other place"),
        ("rose rose met leo on monday", "person person other person other time"),
    ],
)
def test_entities(sentence: str, tags: str) -> None:
    assert taggings("entities", tuple(sentence.split())) == {tuple(tags.split())}


def test_what_context_does_not_decide_has_several_taggings() -> None:
    assert len(taggings("parts of speech", ("ten", "cooks", "saw", "her", "clocks"))) == 2  # as in "gave her flowers"
    assert len(taggings("entities", ("morgan", "left", "paris"))) == 2


def test_an_episode() -> None:
    game = start_with("she saw the saw")
    assert game.step("it's a pronoun.") == ("right. saw?", 0.25, False, {})
    assert game.step("noun") == ("no, verb. the?", 0.0, False, {})
    tags = "noun, verb, adjective, adverb, determiner, preposition, pronoun, conjunction, number"
    assert game.step("dunno") == (f"please say one of {tags}: the?", 0.0, False, {})
    assert game.expert_action() == "determiner"
    assert game.step("Article!") == ("right. saw?", 0.25, False, {})
    assert game.step("noun") == ("right. 3 of 4 right.", 0.25, True, {"success": False, "accuracy": 0.75})


@pytest.mark.parametrize(
    ("text", "understood"),
    [("NOUN", True), ("a noun, a noun", True), ("nounn", True), ("Nouns.", True), ("noun or verb", False), ("", False)],
)
def test_a_tag_is_understood(text: str, understood: bool) -> None:
    assert start_with("dogs sleep").step(text).text.startswith("right." if understood else "please")


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and not turn.terminated


@pytest.mark.parametrize("level", Tagging.levels)
def test_instances_are_as_the_level_says_and_the_expert_knows_them(level: str) -> None:
    game, seen, schemes = Tagging(**Tagging.levels[level]), set(), set()
    for seed in range(60):
        opening = game.reset(np.random.default_rng(seed))
        assert f"sentence: {' '.join(game._words)}. first word: {game._words[0]}?" in opening
        assert game.least_words <= len(game._words) <= game.most_words
        several = sum(word in ambiguous_words(game._scheme) for word in game._words)
        assert several >= game.ambiguous if game.ambiguous else several == 0
        seen.add(game.instance())
        schemes.add(game._scheme)
        rewards = 0.0
        for _ in game._words:
            turn = game.step(game.expert_action())
            rewards += turn.reward
        assert turn.terminated and turn.info["success"] and rewards == pytest.approx(1)
    assert len(seen) == 60
    assert schemes == (set(_KINDS) if game.tags is None else {game.tags})


def test_names_are_those_of_one_tag() -> None:
    for scheme, kinds in _KINDS.items():
        assert len(_names(scheme)) == sum(1 + len(_NAMES[tag].split()) for tag in kinds)
    assert set(_HINTS) < {tag for kinds in _KINDS.values() for tag in kinds}


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"tags": "colours"}, "tags must be one of parts of speech, entities or None"),
        ({"least_words": 2}, "least_words must be 3 to 12, not 2"),
        ({"most_words": 7}, "most_words must be least_words . 2 to 14, not 7"),
        ({"ambiguous": 4}, "ambiguous must be 0 to half of least_words, not 4"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tagging(**knobs)
