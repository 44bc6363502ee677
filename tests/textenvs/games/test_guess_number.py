from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.words.guess_number import GuessNumber


def start(number: int, high: int) -> GuessNumber:
    """A game that thinks of ``number``."""
    game = GuessNumber(high)
    game.reset(np.random.default_rng(0))
    game._number = number
    return game


def guesses(number: int, high: int) -> int:
    """How many guesses the expert needs."""
    game = start(number, high)
    for guess in range(1, high + 1):
        if game.step(game.expert_action()).terminated:
            return guess
    raise AssertionError("the expert does not come to an end")


@cache
def fewest(size: int) -> tuple[int, int]:
    """The least sum (over all numbers) and the least maximum of guesses in an interval of this size."""
    if size == 0:
        return 0, 0
    splits = [(fewest(left), fewest(size - 1 - left)) for left in range(size)]
    return (
        size + min(below[0] + above[0] for below, above in splits),
        1 + min(max(below[1], above[1]) for below, above in splits),
    )


@pytest.mark.parametrize("high", [2, 3, 8, 10, 31, 32, 33, 100])
def test_the_expert_is_optimal_in_expectation_and_in_the_worst_case(high: int) -> None:
    needed = [guesses(number, high) for number in range(1, high + 1)]
    assert (sum(needed), max(needed)) == fewest(high)
    assert max(needed) == high.bit_length() <= GuessNumber(high).max_turns


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start(3, 8).step(text)
    assert turn.text and turn.reward in (-0.1, 1.0)


def test_an_episode() -> None:
    game = start(20, 32)
    assert game.step("is it 16?") == ("higher than 16.", -0.1, False, {})
    assert game.step("what?") == ("please say a number from 1 to 32.", -0.1, False, {})
    assert game.step("twenty four") == ("lower than 24.", -0.1, False, {})
    assert game.expert_action() == "20"
    assert game.step("20") == ("yes, it is 20.", 1.0, True, {"success": True})


def test_useless_guesses_do_not_mislead_the_expert() -> None:
    game = start(20, 32)
    for guess in ("999", "-7", "1", "31", "31", "0"):
        game.step(guess)
    assert game.expert_action() == str((2 + 30) // 2)


@pytest.mark.parametrize("high", [1, 1001])
def test_range_of_high(high: int) -> None:
    with pytest.raises(ValueError, match=f"high must be 2 to 1000, not {high}"):
        GuessNumber(high)
