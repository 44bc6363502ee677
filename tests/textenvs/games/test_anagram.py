from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.words.anagram import Anagram
from textenvs.games.words.english import english_words


def start(word: str, given: str, **knobs: Any) -> Anagram:
    """A game with this word and arrangement of its letters."""
    game = Anagram(**{"length": len(word), "words": 2, **knobs})
    game.reset(np.random.default_rng(0))
    game._word, game._given = word, given
    return game


def test_an_episode() -> None:
    game = start("listen", "tsleni", tries=5)
    assert game.step("tinsle?") == ("tinsle is no word. in their place: _ i _ _ _ _. tries left: 4.", 0.0, False, {})
    assert game.step("frogs") == ("use each of these letters once: t s l e n i. tries left: 3.", 0.0, False, {})
    assert game.step("I say: SILENT!") == ("yes, silent.", 0.8, True, {"success": True})


def test_a_lost_episode() -> None:
    game = start("levy", "lyev", tries=2, feedback=False)
    assert game.step("veyl") == ("veyl is no word. tries left: 1.", 0.0, False, {})
    assert game.step("vyel") == ("vyel is no word. no tries left, it was levy.", 0.0, True, {"success": False})


def test_the_opening() -> None:
    game, rng = Anagram(4, 1, first=True, words=800), np.random.default_rng(0)
    for _ in range(200):
        opening = game.reset(rng)
        assert game._given[0] == game._word[0]
        shown = " ".join(game._given)
        assert opening == (
            f"unscramble these letters to an english word: {shown}. the first letter is in its place. you have 1 try."
        )
    assert Anagram().reset(rng).endswith(". you have 5 tries.")


@pytest.mark.parametrize("level", Anagram.levels)
def test_the_expert_says_a_word_of_the_list_at_once_also_after_mistakes(level: str) -> None:
    game, rng, seen = Anagram(**Anagram.levels[level]), np.random.default_rng(1), set()
    listed = english_words(game.length)
    common = set(listed[: {"easy": 800, "medium": 2500, "hard": 5000}[level]])  # as the page says
    for episode in range(1000):
        game.reset(rng)
        assert game._word in common and game._given not in listed
        assert sorted(game._given) == sorted(game._word) and game.instance() == "".join(sorted(game._word))
        if episode % 2:
            assert not game.step("hm").terminated
        answer = game.expert_action()
        alike = [word for word in listed if sorted(word) == sorted(game._given)] if episode < 50 else [answer]
        assert answer == alike[0]
        turn = game.step(answer)
        assert turn.reward == pytest.approx(0.9 if episode % 2 else 1.0) and turn.info == {"success": True}
        seen.add(game.instance())
    assert len(seen) > (500 if level == "easy" else 750)


@pytest.mark.parametrize("level", Anagram.levels)
def test_every_word_of_the_list_that_the_letters_make_is_right_and_nothing_else(level: str) -> None:
    game = Anagram(**Anagram.levels[level])
    listed, rng = set(english_words(game.length)), np.random.default_rng(2)
    right = wrong = 0
    for _ in range(12):
        game.reset(rng)
        for letters in itertools.islice(itertools.permutations(game._word), 24):
            said, game._tries = "".join(letters), 0
            turn = game.step(said)
            assert turn.terminated == (said in listed) == (turn.reward == 1)
            right, wrong = right + turn.terminated, wrong + (not turn.terminated)
    assert right >= 12 and wrong > 200


def test_any_word_can_be_drawn_and_scrambled() -> None:
    for first in (False, True):
        for word in english_words(4)[:800]:
            rest = {word[:first] + "".join(p) for p in itertools.permutations(word[first:])}
            assert rest - set(english_words(4)), word


@pytest.mark.parametrize(
    ("word", "given", "said", "shown"),
    [
        ("molten", "otlnme", "melton", "m _ l t _ n"),
        ("eels", "sele", "esle", "e _ l _"),
        ("eels", "sele", "sele", "_ e l _"),
    ],
)
def test_feedback(word: str, given: str, said: str, shown: str) -> None:
    assert start(word, given).step(said).text == f"{said} is no word. in their place: {shown}. tries left: 4."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listen", "listen"),
        ("Is it LISTEN?", "listen"),
        ("l-i-s-t-e-n", "listen"),
        ("i guess l i s t e n", "listen"),
        ("L I S T E N", "listen"),
        ("tsleni is listen", "listen"),
        ("tsleni", "tsleni"),
        ("listen, yes, listen", "listen"),
        ("listen or silent", None),
        ("listens", None),
        ("list", None),
        ("little", None),
        ("l i s t e", None),
        ("", None),
    ],
)
def test_what_is_understood(text: str, said: str | None) -> None:
    assert start("listen", "tsleni")._read(text) == said


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    game = Anagram()
    game.reset(np.random.default_rng(0))
    assert game.step(text).text


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"length": 3}, "length must be 4 to 8, not 3"),
        ({"tries": 0}, "tries must be 1 to 10, not 0"),
        ({"first": "yes"}, "first must be True or False, not 'yes'"),
        ({"feedback": None}, "feedback must be True or False, not None"),
        ({"length": 4, "words": 9999}, "words must be 2 to 2524 for words of 4 letters, not 9999"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Anagram(**knobs)
