from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.words.english import is_listed, read_word
from textenvs.games.words.wordle import Wordle
from textenvs.games.words.wordle_solver import best_guess, coloured, feedback, letters


def start(word: str, **knobs: Any) -> Wordle:
    """A game that thinks of ``word``."""
    game = Wordle(**knobs)
    game.reset(np.random.default_rng(0))
    game._answer = game._words.index(word)
    return game


def guesses(game: Wordle) -> int | None:
    """How many guesses the expert needs, if it succeeds."""
    for guess in range(1, 7):
        turn = game.step(game.expert_action())
        if turn.terminated:
            return guess if turn.info["success"] else None
    raise AssertionError("the sixth guess does not end the game")


def plain_feedback(guess: str, answer: str) -> str:
    """By the book: first the greens, then the yellows as long as there are such letters left."""
    marks, pool = ["b"] * len(guess), list(answer)
    for i, letter in enumerate(guess):
        if answer[i] == letter:
            marks[i] = "g"
            pool.remove(letter)
    for i, letter in enumerate(guess):
        if marks[i] == "b" and letter in pool:
            marks[i] = "y"
            pool.remove(letter)
    return "".join(marks)


def our_feedback(guess: str, answer: str) -> str:
    found = coloured(guess, answer)
    code = sum(colour * 3**place for place, colour in enumerate(reversed(found)))
    assert feedback(letters((guess,)), letters((answer,))) == code
    return "".join("byg"[colour] for colour in found)


@pytest.mark.parametrize(
    ("guess", "answer", "marks"),
    [
        ("crane", "crane", "ggggg"),
        ("speed", "abide", "bbyby"),
        ("speed", "erase", "ybyyb"),
        ("speed", "steal", "gbgbb"),
        ("speed", "crepe", "bygyb"),
        ("level", "hello", "ygbby"),
        ("allow", "label", "yyybb"),
    ],
)
def test_feedback_by_hand(guess: str, answer: str, marks: str) -> None:
    assert our_feedback(guess, answer) == plain_feedback(guess, answer) == marks


@given(st.integers(4, 6).flatmap(lambda n: st.tuples(*2 * [st.text("abc", min_size=n, max_size=n)])))
def test_feedback_by_the_book(pair: tuple[str, str]) -> None:
    assert our_feedback(*pair) == plain_feedback(*pair)


def test_an_episode() -> None:
    game = start("crane")
    assert game.step("trace") == ("t grey, r green, a green, c yellow, e green.", -1.0, False, {})
    assert game.step("trxce") == ("trxce is not in my list. say another word.", -1.0, False, {})
    assert game.step("what?") == ("say one word of 5 letters.", -1.0, False, {})
    assert game.step("I guess CRANE!") == ("yes, it is crane.", 0.0, True, {"success": True})


def test_the_sixth_guess_is_the_last() -> None:
    game = start("crane")
    for _ in range(5):
        assert not game.step("trace").terminated
    assert game.step("slate") == (
        "s grey, l grey, a green, t grey, e green. the word was crane.",
        -1.0,
        True,
        {"success": False},
    )


def test_few_words_are_named_and_drawn_anew() -> None:
    game, rng, seen = Wordle(25), np.random.default_rng(0), set()
    for _ in range(20):
        opening = game.reset(rng)
        named = opening.split("one of ")[1].strip(".").split(", ")
        assert game.valid_actions() == named == sorted(set(named)) and len(named) == 25
        assert game._words[game._answer] in named
        seen.add(game.instance())
    assert len(seen) == 20


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start("slate").step(text)
    assert turn.text and turn.reward == -1.0


def test_the_expert_on_the_whole_list() -> None:
    words = Wordle()._words
    needed = []

    def play(left: np.ndarray, guesses: int) -> None:
        guess = best_guess(words, left.tobytes())
        codes = feedback(letters((guess,)), letters(words))[0]
        for code in np.unique(codes[left]).tolist():
            if code == 3**5 - 1:
                needed.append(guesses)
            else:
                play(left & (codes == code), guesses + 1)

    play(np.ones(len(words), np.bool_), 1)
    assert len(needed) == 2300 and max(needed) == 6
    assert 3.42 < np.mean(needed) < 3.46  # 3.42 is the optimum on the original game's list


def fewest(words: tuple[str, ...]) -> int:
    """The least sum of guesses over all words, if only they may be guessed."""
    answers = {(guess, word): plain_feedback(guess, word) for guess in words for word in words}

    @cache
    def total(left: tuple[str, ...]) -> int:
        if len(left) == 1:
            return 1
        sums = []
        for guess in words:
            parts: dict[str, list[str]] = {}
            for word in left:
                parts.setdefault(answers[guess, word], []).append(word)
            if len(parts) > 1:
                sums.append(len(left) + sum(total(tuple(p)) for f, p in parts.items() if f != len(guess) * "g"))
        return min(sums)

    return total(words)


def test_the_expert_against_the_optimum_on_few_words() -> None:
    rng, ours, best = np.random.default_rng(0), 0, 0
    for length in (4, 5, 6):
        for _ in range(4):
            game = Wordle(16, length)
            game.reset(rng)
            for game._answer in range(16):
                game._left[:], game._tries = True, 0
                ours += guesses(game) or 7
            best += fewest(game._words)
    assert best <= ours < 1.02 * best


def test_the_expert_uses_all_it_was_told_and_hits_in_the_last_try_if_it_can() -> None:
    game = start("crane")
    for guess in ("fuzzy", "nonsense", "crate"):
        game.step(guess)
    possible = [
        word
        for word in game._words
        if plain_feedback("fuzzy", word) == "bbbbb" and plain_feedback("crate", word) == "gggbg"
    ]
    assert [word for word, left in zip(game._words, game._left, strict=True) if left] == possible
    game.step("nonsense")
    game.step("nonsense")
    assert game.expert_action() == possible[0]


def test_choices_are_the_experts_guess_among_others() -> None:
    game = start("crane")
    for _ in range(6):
        choices = game.valid_actions()
        assert len(choices) in (19, 20) and game.expert_action() in choices
        assert choices == sorted(set(choices)) == game.valid_actions()
        assert all(read_word(choice, 5) == choice and is_listed(choice) for choice in choices)
        game.step("trace")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"length": 3}, "length must be 4, 5 or 6, not 3"),
        ({"words": 1}, "words must be 2 to 3000 for words of 5 letters, not 1"),
        ({"words": 3000, "length": 4}, "words must be 2 to 2524 for words of 4 letters, not 3000"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Wordle(**knobs)
