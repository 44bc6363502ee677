from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs import parsing


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42", 42),
        ("is it 42?", 42),
        ("forty two", 42),
        ("Forty-Two!", 42),
        ("I guess 7!", 7),
        ("seven", 7),
        ("5, or else 9", 5),
        ("one of my guesses is 12", 12),
        ("five and six", 5),
        ("a hundred", 100),
        ("one hundred and five", 105),
        ("one thousand", 1000),
        ("two thousand five hundred", 2500),
        ("one thousand two hundred and thirty four", 1234),
        ("one hundred thousand", 100_000),
        ("twelve hundred and five", 1205),
        ("a hundred, a hundred", 100),
        ("1,000", 1000),
        ("1,00", 1),
        ("-5", -5),
        ("guess-5", 5),
        ("12345678901", 123456789),
        ("", None),
        ("!?😀", None),
        ("٣", None),
        ("higher", None),
    ],
)
def test_first_number(text: str, number: int | None) -> None:
    assert parsing.number(text) == number


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("left", "left"),
        ("Go left!", "left"),
        ("west", "left"),
        ("l", "left"),
        ("i'd walk northwards", "up"),
        ("let's go down", "down"),
        ("I’d say 'right'", "right"),
        ("s", "down"),
        ("right, right", "right"),
        ("left or right", None),
        ("let's wait", None),
        ("", None),
    ],
)
def test_one_direction(text: str, direction: str | None) -> None:
    assert parsing.direction(text) == direction


def test_compass_names_the_same_direction() -> None:
    assert [parsing.compass(text) for text in ("left", "go down", "East!", "n", "left right")] == [
        "west",
        "south",
        "east",
        "north",
        None,
    ]


def test_all_numbers_in_digits() -> None:
    assert parsing.numbers("from 2 to -5, or 3-4") == [2, -5, 3, 4]
    assert parsing.numbers("forty two") == []
    assert parsing.numbers("12,345,678 and 3,4 and 1,2345") == [12_345_678, 3, 4, 1, 2345]
    assert parsing.numbers("12345678901 2") == [123456789, 2]


def test_numbers_in_words_become_digits() -> None:
    assert parsing.in_digits("Forty-two or fifty: a hundred and five of them") == "42 or 50: a 105 of them"
    assert parsing.in_digits("someone often said the eleventh") == "someone often said the eleventh"


def test_words_drop_accents_and_keep_apostrophes() -> None:
    assert parsing.words("Let’s GO to the café, 12x") == ["let’s", "go", "to", "the", "cafe", "12", "x"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I take the Red Key!", "red key"),
        ("red  key", "red key"),
        ("key", "key"),
        ("the redkey", None),
        ("key or red key", "red key"),
        ("lamp and key", None),
        ("", None),
    ],
)
def test_the_option_named(text: str, found: str | None) -> None:
    assert parsing.option(text, ["key", "red key", "lamp"]) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Stop now.", "stop now"),
        ("don't stop, go on", "go on"),
        ("no luck. stop", "stop"),
        ("it isn’t far but stop", "stop"),
        ("shall we stop here, or there?", ""),
        ("never stop before noon", ""),
        ("is it far? stop!", "stop"),
    ],
)
def test_what_neither_asks_nor_denies(text: str, said: str) -> None:
    assert parsing.asserted(text) == said.split()


def test_near_spellings() -> None:
    known = ("monday", "sunday", "italian")
    assert parsing.nearest("mondya", known) == "monday"
    assert parsing.nearest("itlaian", known) == "italian"
    assert parsing.nearest("banana", known) == "banana"


def test_short_words_are_no_misspellings() -> None:
    known = ("east", "net", "oak", "paper")
    assert [parsing.mended(word, known) for word in ("eat", "next", "ok", "nets", "papr", "pape")] == [
        *("eat", "next", "ok", "net", "papr", "pape")
    ]
    assert parsing.mended("papre", known) == "paper"


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    for read in (parsing.words, parsing.asserted, parsing.numbers, parsing.number, parsing.direction, parsing.compass):
        read(text)
    parsing.in_digits(text)
    parsing.option(text, ["key", "red key"])
