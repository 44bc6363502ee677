from __future__ import annotations

import copy
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.dialogue.bargain import Bargain
from textenvs.games.dialogue.haggling import plan, read_offer


class Fixed:
    """Draws what it is told: the partner's steps, and whether it breaks off."""

    def __init__(self, steps: int = 0, leaves: bool = False) -> None:
        self.steps, self.leaves = steps, leaves

    def choice(self, size: int, p: Any) -> int:
        self.chance = p[self.steps] if self.steps < size else 0.0
        return self.steps

    def random(self) -> float:
        return 0.0 if self.leaves else 1.0


def start(role: str = "buyer", worth: int = 11, limit: int = 3, steps: int = 0, **knobs: Any) -> Bargain:
    """An episode with prices 100, 105, ... (a seller's 170, 165, ...), in which the partner goes ``steps`` a turn."""
    game = Bargain(role, **{"spread": 10, **knobs})
    game.reset(np.random.default_rng(0))
    game._base, game._step = (100, 5) if role == "buyer" else (170, -5)
    game._worth, game._limit, game._thing = worth, limit, "lamp"
    game._rng = Fixed(steps)  # type: ignore[assignment]
    return game


def test_an_episode() -> None:
    game = start(steps=2)
    assert game.valid_actions() == [*(f"i offer {100 + 5 * n}" for n in range(12)), "no", "i walk away"]
    assert game.step("deal") == ("that is more than it is worth to you.", -0.05, False, {})
    assert game.step("i could pay 160") == ("that is more than it is worth to you.", -0.05, False, {})
    assert game.step("how about 110?") == ("no. i can go to 160.", 0.0, False, {})
    assert game.step("well") == ("name a price, or say deal.", -0.05, False, {})
    game._rng.steps = 0  # type: ignore[attr-defined]
    assert game.step("no, that is too much") == ("no. i stay at 160.", 0.0, False, {})
    game._rng.steps = 3  # type: ignore[attr-defined]
    assert game.step("129") == ("no. i can go to 145.", 0.0, False, {})
    assert "deal" in game.valid_actions() and "i offer 145" not in game.valid_actions()
    turn = game.step("then 130")
    assert turn == ("deal at 130. my last price was 115.", 5 / 8, True, {"success": True, "agreed": True})


def test_the_partner_stops_at_its_limit() -> None:
    game = start(limit=9, steps=3)
    assert game.step("115") == ("no. i can go to 155.", 0.0, False, {})
    assert game.step("130") == ("no. 145 is my last price.", 0.0, False, {})
    assert game.step("140") == ("no. 145 is my last price.", 0.0, False, {})
    assert game.step("150") == ("deal at 145. my last price was 145.", 1.0, True, {"success": True, "agreed": True})


def test_the_partner_takes_what_its_next_price_would_not_beat() -> None:
    game = start(limit=9, steps=3)
    game.step("115")
    turn = game.step("145")
    assert turn.text == "deal at 145. my last price was 145." and turn.reward == 1.0
    game = start(limit=0, steps=3)
    game.step("115")
    turn = game.step("140")
    assert turn.text == "deal at 140. my last price was 100."
    assert turn.reward == pytest.approx(3 / 11) and turn.info == {"success": False, "agreed": True}


def test_breaking_off() -> None:
    game = start()
    game._rng.leaves = True  # type: ignore[attr-defined]
    assert game.step("100") == ("no. this leads nowhere. no deal.", 0.0, True, {"success": False, "agreed": False})
    assert start().step("i walk away")[:3] == ("no deal then. goodbye.", 0.0, True)


def test_selling_is_buying_in_the_mirror() -> None:
    rng = np.random.default_rng(0)
    opening = Bargain("seller").reset(rng)
    assert opening.startswith("you sell me your ") and "my highest price is one of " in opening
    buyer, seller = start(steps=1), start("seller", steps=1)
    for place in (1, 3, 3, 6, 8):
        one, other = (game.step(f"i offer {game._price(place)}") for game in (buyer, seller))
        assert one[1:] == other[1:] and (buyer._asked, buyer._offered) == (seller._asked, seller._offered)
        assert buyer.expert_action().split()[0] == seller.expert_action().split()[0]
    assert start("seller").step("i want 110") == ("that is less than it is worth to you.", -0.05, False, {})
    seller = start("seller", limit=0, steps=3)
    assert seller.step("168") == ("no. i can go to 115.", 0.0, False, {})
    assert seller._offered == 0  # 168 counts as 170


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("45", 45),
        ("how about 45 dollars", 45),
        ("I'd pay $45.50!", 45.5),
        ("i could go to forty", 40),
        ("a hundred and twenty, and not a cent more", 120),
        ("no, 30 is my last word", 30),
        ("1,200 is fine", 1200),
        ("2k", 2000),
        ("not 50 but 45", 45),
        ("45 instead of 50", 45),
        ("i can't do 50, 45 works", 45),
        ("i can't go higher than 45", 45),
        ("not more than 45", 45),
        ("my offer was 40, now 45", 45),
        ("deal at 45", 45),
        ("deal", "accept"),
        ("ok, i’ll take it", "accept"),
        ("this one is nice, sold!", "accept"),
        ("no problem", "accept"),
        ("i won't pay 50", "refuse"),
        ("i'd pay 45, not a cent more than that", 45),
        ("i can't go over 45", 45),
        ("i don't want to pay more than 45", 45),
        ("no less than 45", 45),
        ("why don't we say 45?", 45),
        ("is 45 ok?", 45),
        ("45 is more than fair", 45),
        ("50 is too much, 45", 45),
        ("400 is too much", "refuse"),
        ("your $400 is way too high", "refuse"),
        ("no, 400 is more than i can pay", "refuse"),
        ("400 is steep", "refuse"),
        ("forty is too much", "refuse"),
        ("i can't pay forty, thirty-five?", 35),
        ("forty for the two of them", 40),
        ("is forty your last price?", "refuse"),
        ("just this one", "unknown"),
        ("1,000k", 1_000_000),
        ("why 400?", "refuse"),
        ("is 400 your last price?", "refuse"),
        ("i don't want to pay 400", "refuse"),
        ("i am not willing to go to 400", "refuse"),
        ("less than 400, please", "refuse"),
        ("i can't pay that, less than 400 please", "refuse"),
        ("good morning", "refuse"),
        ("is that your best deal?", "refuse"),
        ("that's too expensive", "refuse"),
        ("what is your best price?", "refuse"),
        ("can you go lower", "refuse"),
        ("forget it, bye", "leave"),
        ("lorem ipsum", "unknown"),
    ],
)
def test_reading(said: str, meant: float | str) -> None:
    assert read_offer(said) == meant


def value_by_trying(game: Bargain, weights: dict[int, Fraction], turns: int, known: dict[Any, Fraction]) -> Fraction:
    """The best expected return over all ways to play for ``turns``, by playing the game itself with every limit and
    every draw, and keeping apart only what a player can read."""
    total = sum(weights.values())
    key = game._asked, game._offered, tuple(sorted((r, w / total) for r, w in weights.items())), turns
    if key not in known:
        known[key] = max(try_action(game, action, weights, turns, known) for action in game.valid_actions()) / total
    return known[key] * total


def try_action(game: Bargain, action: str, weights: dict[int, Fraction], turns: int, known: Any) -> Fraction:
    best = Fraction(0)
    told: dict[str, dict[int, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    after: dict[str, Bargain] = {}
    for limit, weight in weights.items():
        for steps in range(4):
            for leaves in (False, True):
                other = copy.copy(game)
                other._limit, other._rng = limit, Fixed(steps, leaves)  # type: ignore[assignment]
                raised = other._offered
                turn = other.step(action)
                drawn = getattr(other._rng, "chance", None)
                chance = weight * (Fraction(drawn).limit_denominator(10**6) if drawn is not None else Fraction(1, 4))
                hazard = Fraction(1, game.patience * (2 if other._offered > raised else 1))
                chance *= (hazard if leaves else 1 - hazard) if drawn is not None else Fraction(1, 2)
                if turn.terminated:
                    best += chance * Fraction(turn.reward).limit_denominator(10**6)
                elif chance:
                    told[turn.text][limit] += chance
                    after[turn.text] = other
    if turns > 1:
        best += sum((value_by_trying(after[text], told[text], turns - 1, known) for text in told), Fraction(0))
    return best


@pytest.mark.parametrize(("spread", "worth"), [(2, 3), (2, 6), (3, 5)])
def test_the_expert_has_the_best_expected_return_of_all_ways_to_play(spread: int, worth: int) -> None:
    game = Bargain("buyer", spread, stubbornness=0.5, patience=4)
    game.reset(np.random.default_rng(0))
    game._base, game._step, game._worth = 100, 5, worth
    prior = {limit: Fraction(1, spread + 1) for limit in range(spread + 1)}
    known: dict[Any, Fraction] = {}
    for raises in ([], [1], [0, 2]):  # also after mistakes
        other = copy.copy(game)
        other._limit, other._rng = 0, Fixed(0)  # type: ignore[assignment]
        for place in raises:
            other.step(f"i offer {other._price(place)}")
        exact = value_by_trying(other, prior, 7, known)
        planned = plan(spread, spread + 4, worth, 0.5, 4)[other._asked, other._offered][0]
        assert planned == pytest.approx(float(exact), abs=1e-6)


def test_the_expert_leaves_where_nothing_can_be_had() -> None:
    game = start(worth=11)
    assert game.step("155").text == "no. i stay at 170."
    assert game.expert_action() == "i walk away"


@pytest.mark.parametrize("level", Bargain.levels)
def test_the_expert_earns_what_the_plan_promises(level: str) -> None:
    game, rng = Bargain(**Bargain.levels[level]), np.random.default_rng(1)
    gains, seen = [], set()
    for _ in range(1500):
        opening = game.reset(rng)
        assert len(opening.split()) < 45
        seen.add(game.instance())
        promised = plan(game.spread, game._opening, game._worth, game.stubbornness, game.patience)[game._opening, 0][0]
        turn, turns = game.step(game.expert_action()), 1
        while not turn.terminated:
            assert game.expert_action() in game.valid_actions() and len(game.valid_actions()) <= game.max_choices
            turn, turns = game.step(game.expert_action()), turns + 1
        assert turns <= game._opening
        gains.append(turn.reward - promised)
    assert abs(np.mean(gains)) < 4 * np.std(gains) / len(gains) ** 0.5
    assert len(seen) > 1200


def test_how_often_the_partner_goes_along_and_breaks_off() -> None:
    game, rng = Bargain(stubbornness=0.3, patience=10, spread=16), np.random.default_rng(2)
    steps, ends = [], []
    for episode in range(3000):
        game.reset(rng)
        game._limit = 0
        turn = game.step(f"i offer {game._price(2 if episode % 2 else 0)}")
        ends.append(turn.terminated)
        steps.append(game._opening - game._asked)
    assert np.mean(steps[1::2]) == pytest.approx(1.4, abs=0.06) and max(steps[::2]) == 0
    assert np.mean(ends[1::2]) == pytest.approx(0.05, abs=0.02)
    assert np.mean(ends[::2]) == pytest.approx(0.1, abs=0.03)


@given(st.text() | st.from_regex(r"(no|ok|i offer|not)? ?\$?[0-9]{0,40}(\.[0-9]*)? ?k?"))
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and -0.05 <= turn.reward <= 1


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"role": "thief"}, "role must be 'buyer', 'seller' or 'any', not 'thief'"),
        ({"spread": 1}, "spread must be 2 to 16, not 1"),
        ({"spread": 17}, "spread must be 2 to 16, not 17"),
        ({"stubbornness": 1.0}, "stubbornness must be at least 0 and less than 1, not 1.0"),
        ({"patience": 0}, "patience must be 1 to 100, not 0"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bargain(**knobs)
