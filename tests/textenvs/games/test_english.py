from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.words.english import LENGTHS, english_words, is_listed, read_word


@pytest.mark.parametrize("length", LENGTHS)
def test_the_list(length: int) -> None:
    words = english_words(length)
    assert len(set(words)) == len(words) > 600
    assert all(len(word) == length and word.isascii() and word.isalpha() and word.islower() for word in words)
    assert all(map(is_listed, words)) and not is_listed(length * "x")


def test_common_words_come_first_and_inflections_last() -> None:
    order = english_words(5).index
    assert max(map(order, ("world", "house", "music"))) < min(map(order, ("aback", "lupus", "vapid")))
    assert max(map(order, ("aback", "lupus", "vapid"))) < min(map(order, ("words", "baked", "tries")))


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("CRANE", "crane"),
        ("Is it crane?", "crane"),
        ("I guess crane!", "crane"),
        ("my guess is: 'Crane'", "crane"),
        ("how about crane, please", "crane"),
        ("crane crane", "crane"),
        ("c r a n e", "crane"),
        ("C-R-A-N-E", "crane"),
        ("my first guess is crane", "crane"),
        ("let's start with crane", "crane"),
        ("my third guess: trxne", "trxne"),
        ("about", "about"),
        ("first", "first"),
        ("my guess is Start", "start"),
        ("first or start", None),
        ("trxne", "trxne"),
        ("not trxne but crane", "crane"),
        ("about a guess", None),
        ("crane or slate", None),
        ("cranes", None),
        ("12345", None),
        ("", None),
    ],
)
def test_reading_a_word(said: str, word: str | None) -> None:
    assert read_word(said, 5) == word


def test_ignored_words_count_only_alone() -> None:
    assert read_word("change cold to cord", 4, ["cold"]) == "cord"
    assert read_word("cold", 4, ["cold"]) == "cold"


def test_words_around_a_move() -> None:
    assert read_word("my next move is cold", 4) == "cold"
    assert read_word("I say: gun", 3) == "gun"
    assert read_word("now use", 3) is None


@given(st.text(), st.sampled_from(LENGTHS))
def test_any_text_is_read(text: str, length: int) -> None:
    word = read_word(text, length)
    assert word is None or len(word) == length
