from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.language.fluency import fluency
from textenvs.games.language.generation import _ADJECTIVES, Generation, _forms, _opposite, _toned
from textenvs.games.language.lexicon import english, lexicon
from textenvs.parsing import words


def start(seed: int = 0, **knobs: Any) -> Generation:
    game = Generation(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def start_with(given_words: str, tone: str = "gloomy", **knobs: Any) -> Generation:
    """A game that wants these words and this tone."""
    game = start(**knobs)
    game._given, game._tone = given_words.split(), tone
    return game


@pytest.mark.parametrize(
    "text",
    [
        "A happy farmer carries a basket of apples to the market.",
        "The sad girl was crying in her bedroom because her dog had died.",
        "The furious king shouted at the guards who slept near the gate.",
        "Gently, the nurse washed the child's hands.",
        "The calm old man sat on a bench reading a newspaper.",
        "Yesterday my friends and I walked to the beach and swam in the cold sea.",
        "The boat was pushed into the water by the strong sailors.",
        "My mother wants me to clean the kitchen.",
        "There were three red apples on the table.",
        "Although the soldier was tired, he marched to the town.",
        "The cruel queen did not listen to the poor people.",
        "The frog jumped near the red tower while the spider walked quietly.",
        "Anna, who is a nurse, feeds the cats.",
        "You should always be polite to your neighbours.",
        "The bear looked very angry.",
        "He sold his old boat for ten gold coins.",
        "She could not find her key.",
        "The zorbling wug carries a basket near the old tower.",
    ],
)
def test_sentences_are_read(text: str) -> None:
    said = tuple(words(text))
    assert fluency(said) == (True, len(said))


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("farmer carry basket market", "farmer"),
        ("the farmer carry a basket", "the farmer"),
        ("a dogs sleeps", "a"),
        ("the the dog sleeps", "the"),
        ("happy dog the runs", "happy dog"),
        ("the dog in the garden", "the dog in the garden"),
        ("i wants cake", "i"),
        ("an dog walks", ""),
        ("an honest dog an hour a useful dog", "an honest dog"),
        ("the zorbling wug blick blick", "the zorbling"),
        ("the dog sleeps the", "the dog sleeps the"),
        ("he have a red hat", "he"),
    ],
)
def test_what_is_no_sentence_is_read_as_far_as_it_can_begin_one(text: str, readable: str) -> None:
    assert fluency(tuple(text.split())) == (False, len(readable.split()))


def test_an_episode() -> None:
    game = start_with("farmer basket carry")
    assert game.step("!") == ("please write a sentence with farmer, basket, carry.", 0.0, False, {})
    # Three of four demands are met, and 2 of 5 words can begin a sentence.
    turn = game.step("A farmer carry sad basket")
    assert turn.reward == pytest.approx(1 * 0.5 * 2 / 5)
    assert turn.text == 'score 0.20. can be read up to "a farmer". try again.' and not turn.terminated
    turn = game.step("The farmer carried the happy girl")
    assert turn.text == "score 0.50. missing: basket. not gloomy."
    assert turn.reward == pytest.approx(2 / 4 - 0.2 - 0.05)
    assert turn.terminated and turn.info == {"success": False, "score": 0.5}


def test_a_worse_try_only_costs() -> None:
    game = start_with("farmer basket carry", tries=3)
    assert game.step("the farmer carried a basket").reward == pytest.approx(3 / 4)
    assert game.step("basket").reward == pytest.approx(-0.05)
    turn = game.step("The lonely farmers were carrying some baskets.")
    assert turn == ("very good.", pytest.approx(1 / 4 - 0.05), True, {"success": True, "score": 1.0})


@pytest.mark.parametrize(
    ("tone", "text", "met"),
    [
        ("gloomy", "the sad farmer carried a basket", True),
        ("gloomy", "the farmer carried a basket sadly", True),
        ("gloomy", "the crying farmer carried a basket", True),
        ("gloomy", "the sad farmer carried a lovely basket", False),
        ("gloomy", "the angry farmer carried a basket", False),
        ("fierce", "the angry farmer carried a basket", True),
        ("gentle", "the calm farmer carried a basket", True),
        ("cheerful", "the farmer carried a basket and laughed", True),
    ],
)
def test_tones(tone: str, text: str, met: bool) -> None:
    assert start_with("farmer basket carry", tone).step(text).reward == pytest.approx(1 if met else 3 / 4)


def test_only_the_first_twenty_words_count() -> None:
    text = f"the sad farmer carried a basket {'and a bell ' * 5}"
    assert len(text.split()) == 21
    assert start_with("farmer basket carry").step(text).reward < 1
    assert start_with("farmer basket carry").step("the sad farmer carried a basket " + "x " * 15).reward < 1


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and 0 <= turn.reward <= 1


@pytest.mark.parametrize("count", range(2, 7))
def test_the_expert_scores_one_and_no_other_choice_does(count: int) -> None:
    seen = set()
    for seed in range(40):
        game = start(seed, words=count)
        assert len(set(game._given)) == count
        seen.add(game.instance())
        choices = game.valid_actions()
        assert choices == sorted(set(choices)) and len(choices) == game.max_choices
        for choice in choices:
            game._best, game._tried = 0.0, 0
            turn = game.step(choice)
            assert turn.info.get("success", False) == (choice == game.expert_action())
        game._best, game._tried = 0.0, 0
        game.step("the dog")
        assert game.step(game.expert_action()).info == {"success": True, "score": 1.0}
    assert len(seen) == 40


def test_tones_are_opposed_and_known() -> None:
    tones = lexicon()["tones"]
    for tone in tones:
        assert _opposite(_opposite(tone)) == tone and _toned(tone).isdisjoint(_toned(_opposite(tone)))
        assert _ADJECTIVES[tone] in tones[tone].split()
        assert all(english().kinds(word) for word in tones[tone].split())


def test_forms() -> None:
    assert {"carry", "carries", "carried", "carrying"} <= _forms("carry")
    assert {"mouse", "mice"} <= _forms("mouse") and {"fly", "flies", "flew", "flown", "flying"} <= _forms("fly")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [({"words": 1}, "words must be 2 to 6, not 1"), ({"tries": 0}, "tries must be 1 to 5, not 0")],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Generation(**knobs)
