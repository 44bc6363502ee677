from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.words.mastermind import Mastermind, _read


def number(code: str, colours: int) -> int:
    """The place of a code in numerical order."""
    return sum((int(digit) - 1) * colours**place for place, digit in enumerate(reversed(code)))


def start(code: str, colours: int = 6) -> Mastermind:
    """A game that hides ``code``."""
    game = Mastermind(len(code), colours)
    game.reset(np.random.default_rng(0))
    game._code = code
    return game


def plain_feedback(guess: str, code: str) -> str:
    black = sum(a == b for a, b in zip(guess, code, strict=True))
    common = (Counter(guess) & Counter(code)).total()
    return f"{black} black, {common - black} white."


def guesses(game: Mastermind) -> int:
    """How many guesses the expert needs."""
    for guess in range(1, game.max_turns + 1):
        if game.step(game.expert_action()).terminated:
            return guess
    raise AssertionError("the expert does not come to an end")


@pytest.mark.parametrize(
    ("guess", "code", "answer"),
    [
        ("1122", "3456", "0 black, 0 white."),
        ("1122", "2211", "0 black, 4 white."),
        ("1122", "1212", "2 black, 2 white."),
        ("1112", "1221", "1 black, 2 white."),
        ("6543", "3453", "1 black, 2 white."),
    ],
)
def test_answers_by_hand(guess: str, code: str, answer: str) -> None:
    assert start(code).step(guess).text == plain_feedback(guess, code) == answer


@given(st.data(), st.integers(2, 5), st.integers(2, 9))
def test_answers_by_the_book(data: st.DataObject, pegs: int, colours: int) -> None:
    codes = st.text("123456789"[:colours], min_size=pegs, max_size=pegs)
    guess, code = data.draw(codes), data.draw(codes)
    expected = plain_feedback(guess, code) if guess != code else f"yes, it is {code}."
    game = Mastermind(pegs, colours)
    game.reset(np.random.default_rng(0))
    game._code = code
    assert game.step(guess).text == expected
    assert number(code, colours) in game._left


def test_an_episode() -> None:
    game = start("5346")
    assert game.step("1 1 2 3") == ("0 black, 1 white.", -0.1, False, {})
    assert game.step("1 2 3") == ("say 4 digits from 1 to 6.", -0.1, False, {})
    assert game.step("1237") == ("say 4 digits from 1 to 6.", -0.1, False, {})
    assert game.step("five three four six") == ("yes, it is 5346.", 1.0, True, {"success": True})


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("1123", ["1", "1", "2", "3"]),
        ("I guess 1, 1, 2 and 3!", ["1", "1", "2", "3"]),
        ("1-1-2-3", ["1", "1", "2", "3"]),
        ("One one two THREE", ["1", "1", "2", "3"]),
        ("nothing", []),
        ("", []),
    ],
)
def test_reading(said: str, digits: list[int]) -> None:
    assert _read(said) == digits


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start("5346").step(text)
    assert turn.text and turn.reward in (-0.1, 1.0)


def test_the_expert_breaks_all_codes_of_the_board_game_within_five_guesses() -> None:
    game, needed = Mastermind(), []
    for code in range(6**4):
        game.reset(np.random.default_rng(0))
        game._code = game._spell(code)
        needed.append(guesses(game))
    assert max(needed) == 5
    assert 5625 <= sum(needed) < 5670  # the optimum is 5625 (Koyama and Lai, 1993), Knuth's minimax needs 5801


def fewest(pegs: int, colours: int) -> int:
    """The least sum of guesses over all codes, by trying every guess everywhere."""
    codes = tuple("".join(map(str, digits)) for digits in product(range(colours), repeat=pegs))

    @cache
    def total(left: tuple[str, ...]) -> int:
        if len(left) == 1:
            return 1
        sums = []
        for guess in codes:
            parts: dict[str, list[str]] = {}
            for code in left:
                parts.setdefault(plain_feedback(guess, code), []).append(code)
            if len(parts) > 1:
                sums.append(len(left) + sum(total(tuple(part)) for part in parts.values() if part != [guess]))
        return min(sums)

    return total(codes)


@pytest.mark.parametrize(("pegs", "colours"), [(2, 3), (2, 4), (3, 2), (2, 5)])
def test_the_expert_is_near_the_optimum_on_few_codes(pegs: int, colours: int) -> None:
    game, ours = Mastermind(pegs, colours), 0
    for code in range(colours**pegs):
        game.reset(np.random.default_rng(0))
        game._code = game._spell(code)
        ours += guesses(game)
    assert fewest(pegs, colours) <= ours <= 1.02 * fewest(pegs, colours)


def test_the_expert_uses_all_answers_also_to_useless_guesses() -> None:
    game = start("5346")
    for guess in ("1111", "what?", "1111", "5555"):
        game.step(guess)
    possible = ["".join(code) for code in product("123456", repeat=4) if "1" not in code and code.count("5") == 1]
    assert [game._spell(code) for code in game._left] == possible
    assert guesses(game) <= 5


def test_choices_are_the_experts_guess_among_others() -> None:
    game = start("53461", 8)
    for _ in range(3):
        choices = game.valid_actions()
        assert game.expert_action() in choices and 30 < len(choices) <= game.max_choices
        assert choices == sorted(set(choices)) == game.valid_actions()
        assert all(len(_read(choice)) == 5 and max(_read(choice)) <= "8" for choice in choices)
        game.step("12345")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"pegs": 6}, "pegs must be 2 to 5, not 6"),
        ({"colours": 1}, "colours must be 2 to 9, not 1"),
        ({"colours": 10}, "colours must be 2 to 9, not 10"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mastermind(**knobs)
