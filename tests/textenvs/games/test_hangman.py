from __future__ import annotations

import math
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.words.english import english_words
from textenvs.games.words.hangman import Hangman


def start(word: str, **knobs: Any) -> Hangman:
    """A game that thinks of ``word``."""
    game = Hangman(**{"length": len(word), "words": len(english_words(len(word))), **knobs})
    game.reset(np.random.default_rng(0))
    game._answer = game._words.index(word)
    return game


def test_an_episode() -> None:
    game = start("banana")
    share = pytest.approx
    assert game.step("a") == ("yes: _ a _ a _ a.", share(1 / 2), False, {})
    assert game.step("is there an E?") == ("not e. lives: 5.", 0.0, False, {})
    assert game.step("e") == ("you said e before.", 0.0, False, {})
    assert game.step("who knows") == ("say one letter.", 0.0, False, {})
    assert game.step("orange") == ("not orange. lives: 4.", 0.0, False, {})
    assert game.step("n") == ("yes: _ a n a n a.", share(1 / 3), False, {})
    assert game.step("b") == ("yes, it is banana.", share(1 / 6), True, {"success": True})


def test_the_whole_word_earns_what_was_hidden() -> None:
    game = start("banana")
    game.step("a")
    assert game.step("it is banana!") == ("yes, it is banana.", pytest.approx(1 / 2), True, {"success": True})


def test_the_last_life() -> None:
    game = start("banana", lives=2)
    assert game.reset(np.random.default_rng(0)) == (
        "guess a word letter by letter: _ _ _ _ _ _. a miss costs one of your 2 lives."
    )
    game._answer = game._words.index("banana")
    game.step("x")
    assert game.step("kidney") == ("not kidney. lives: 0. the word was banana.", 0.0, True, {"success": False})


@pytest.mark.parametrize(
    ("said", "guess"),
    [
        ("E", "e"),
        ("'e'!", "e"),
        ("is there an e?", "e"),
        ("I guess E", "e"),
        ("give me a t", "t"),
        ("a, please", "a"),
        ("is there an a", "a"),
        ("I say a", "a"),
        ("i", "i"),
        ("is it i?", "i"),
        ("t t t", "t"),
        ("banana", "banana"),
        ("I think it is Banana.", "banana"),
        ("b a n a n a", "banana"),
        ("e or t", None),
        ("a or t", None),
        ("the letters a and t", None),
        ("e t", None),
        ("I do not know", None),
        ("bananx", None),
        ("banana orange", None),
        ("7", None),
        ("", None),
    ],
)
def test_reading(said: str, guess: str | None) -> None:
    assert start("banana")._read(said) == guess


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start("banana").step(text)
    assert turn.text and turn.reward == pytest.approx("banana".count(start("banana")._read(text) or "!") / 6)


def best_by_hand(words: list[str], said: str) -> str:
    def merit(letter: str) -> tuple[int, float]:
        looks = Counter("".join(c if c == letter else "_" for c in word) for word in words)
        shares = [n / len(words) for n in looks.values()]
        return sum(letter in word for word in words), round(-sum(share * math.log(share) for share in shares), 6)

    return max((chr(c) for c in range(97, 123) if chr(c) not in said), key=merit)


@pytest.mark.parametrize("word", ["banana", "rhythm"])
def test_the_expert_says_the_letter_that_most_possible_words_have(word: str) -> None:
    game, said = start(word, lives=20), "xa"
    game.step("x")
    game.step("orange")
    game.step("a")
    for _ in range(6):
        view = ["".join(c if c in said else "_" for c in other) for other in game._words]
        possible = [
            other
            for other, look in zip(game._words, view, strict=True)
            if look == view[game._answer] and other != "orange"
        ]
        letter = game.expert_action()
        assert letter == best_by_hand(possible, said)
        said += letter
        if game.step(letter).terminated:
            break


def most(words: tuple[str, ...], lives: int) -> float:
    """The best expected share of letters, by trying every letter everywhere."""

    @cache
    def value(left: tuple[str, ...], said: str, lives: int) -> float:
        if not lives:
            return 0.0
        totals = [0.0]
        for letter in sorted(set("".join(left)) - set(said)):
            parts: dict[str, list[str]] = {}
            for word in left:
                parts.setdefault("".join(c if c == letter else "_" for c in word), []).append(word)
            totals.append(
                sum(
                    len(part) * look.count(letter) / len(look)
                    + value(tuple(part), "".join(sorted(said + letter)), lives - (letter not in look))
                    for look, part in parts.items()
                )
            )
        return max(totals)

    return value(words, "", lives) / len(words)


def test_the_expert_against_the_optimum_on_few_words() -> None:
    ours = best = 0.0
    for length, lives, skip in ((4, 1, 30), (5, 1, 50), (5, 2, 100), (6, 1, 150)):
        game = Hangman(length, lives, 12)
        game._words = english_words(length)[skip : skip + 12]
        for answer in range(12):
            game.reset(np.random.default_rng(0))
            game._answer, turn = answer, None
            while turn is None or not turn.terminated:
                turn = game.step(game.expert_action())
                ours += turn.reward / 12
        best += most(game._words, lives)
    assert 0.93 * best < ours <= best + 1e-9


def test_admissible_letters_are_those_not_said() -> None:
    game = start("banana")
    game.step("b")
    game.step("z")
    assert game.valid_actions() == list("acdefghijklmnopqrstuvwxy")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"length": 2}, "length must be 3 to 8, not 2"),
        ({"lives": 0}, "lives must be 1 to 20, not 0"),
        ({"words": 1}, "words must be 2 to 8098 for words of 6 letters, not 1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hangman(**knobs)
