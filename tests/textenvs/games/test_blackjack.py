from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.toy_text import blackjack as theirs
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board import blackjack
from textenvs.games.board.blackjack import Blackjack

RULES = [{"natural": natural, "sab": sab} for natural in (False, True) for sab in (False, True)]


class Shoe(np.random.Generator):
    """A generator that draws given cards."""

    def __init__(self, cards: Sequence[int]) -> None:
        super().__init__(np.random.PCG64(0))
        self.cards = list(cards)

    def choice(self, options: Any, *args: Any, **keywords: Any) -> Any:
        if len(options) != len(theirs.deck):
            return options[0]  # the suit and the face, which Gymnasium draws for its picture
        assert list(options) == theirs.deck
        return self.cards.pop(0)


def opening(*cards: int, **knobs: Any) -> str:
    return Blackjack(**{"hands": 1, **knobs}).reset(Shoe(cards))


def start(*cards: int, **knobs: Any) -> Blackjack:
    """A game that deals these cards: the dealer's two, the player's two, and then as they are drawn."""
    game = Blackjack(**{"hands": 1, **knobs})
    game.reset(Shoe(cards))
    return game


@pytest.mark.parametrize("rules", RULES)
def test_hands_are_those_of_gymnasium(rules: dict[str, bool]) -> None:
    env: Any = gymnasium.make("Blackjack-v1", **rules).unwrapped
    rng = np.random.default_rng(0)
    naturals = [(10, 7, 1, 10), (10, 1, 1, 10), (5, 6, 10, 1), (7, 4, 1, 10)]
    for episode in range(600):
        cards = [int(rng.choice(theirs.deck)) for _ in range(40)]
        cards[:4] = naturals[episode] if episode < len(naturals) else cards[:4]
        plays = rng.random(20) < (0.5 if episode >= 100 else 0.0)
        env._np_random = Shoe(cards)
        observation, _ = env.reset()
        game = start(*cards, **rules)
        for hit in plays:
            player, showing, usable = observation
            assert (blackjack.total(game._player), game._dealer[0]) == (player, showing)
            assert (blackjack.total(game._player) > sum(game._player)) == usable
            observation, reward, terminated, *_ = env.step(int(hit))
            turn = game.step("hit" if hit else "stick")
            assert (turn.reward, turn.terminated) == (reward, terminated)
            if terminated:
                assert turn.info == {"success": reward > 0}
                break
        assert terminated and game._rng.cards == env._np_random.cards  # as many cards were drawn


def test_the_default_rules_are_those_of_gymnasium() -> None:
    spec = gymnasium.spec("Blackjack-v1")
    game = Blackjack()
    assert spec.kwargs == {"natural": game.natural, "sab": game.sab}


@cache
def stick_value(player: int, natural_hand: bool, dealer: tuple[int, ...], natural: bool, sab: bool) -> float:
    """What sticking at a total is worth against a dealer's hand, by Gymnasium's rules and functions."""
    if theirs.sum_hand(dealer) < 17:
        after = (tuple(sorted((*dealer, card))) for card in theirs.deck)
        return sum(stick_value(player, natural_hand, hand, natural, sab) for hand in after) / 13
    if sab and natural_hand and not theirs.is_natural(dealer):
        return 1.0
    reward = theirs.cmp(player, theirs.score(dealer))
    return 1.5 if natural and not sab and natural_hand and reward == 1 else reward


@cache
def values(player: tuple[int, ...], showing: int, natural: bool = False, sab: bool = False) -> tuple[float, float]:
    """What hitting and sticking are worth with a hand (sorted), by Gymnasium's rules and functions."""
    hit = 0.0
    for card in theirs.deck:
        after = tuple(sorted((*player, card)))
        hit += (-1.0 if theirs.is_bust(after) else max(values(after, showing))) / 13
    return hit, stick_value(theirs.sum_hand(player), theirs.is_natural(player), (showing,), natural, sab)


def safe_hands(hand: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """All hands of two cards or more, sorted, that are not bust."""
    for card in range(hand[-1] if hand else 1, 11):
        if sum(hand) + card <= 21:
            if hand:
                yield (*hand, card)
            yield from safe_hands((*hand, card))


@pytest.mark.parametrize("rules", RULES)
def test_the_expert_is_optimal_by_the_rules_of_gymnasium(rules: dict[str, bool]) -> None:
    checked = 0
    for hand in safe_hands():
        for showing in range(1, 11):
            if any(rules.values()) and not theirs.is_natural(hand):
                continue
            game = start(showing, 5, 10, 10, **rules)
            game._player = list(hand)
            hit, stick = values(hand, showing, **rules)
            assert game.expert_action() == ("hit" if hit > stick else "stick")
            checked += 1
            if not any(rules.values()):
                assert blackjack.hit_value(sum(hand), 1 in hand, showing) == pytest.approx(hit, abs=1e-12)
                assert blackjack.stick_value(theirs.sum_hand(hand), showing) == pytest.approx(stick, abs=1e-12)
    assert checked == 10 if any(rules.values()) else checked > 10_000


@pytest.mark.parametrize(("rules", "value"), [*zip(RULES, (-0.0465, -0.0431, -0.0257, -0.0431), strict=True)])
def test_what_a_hand_is_worth(rules: dict[str, bool], value: float) -> None:
    worth = sum(max(values(tuple(sorted(hand)), showing, **rules)) for *hand, showing in product(theirs.deck, repeat=3))
    assert worth / 13**3 == pytest.approx(value, abs=1e-4)  # as the page says


def test_the_expert_earns_what_it_should() -> None:
    game, rng, hands, won = Blackjack(100, told="card"), np.random.default_rng(0), 10_000, 0.0
    for _ in range(hands // 100):
        game.reset(rng)
        terminated = False
        while not terminated:
            _, reward, terminated, _ = game.step(game.expert_action())
            won += reward
    assert abs(won / hands + 0.0431) < 4 * 0.95 / hands**0.5


def test_an_episode_of_two_hands() -> None:
    game = Blackjack(2)
    assert game.reset(Shoe((9, 8, 10, 1, 10, 6, 5, 10, 10))) == (
        "blackjack, 2 hands. hit or stick. above 21 loses, an ace is 11 or 1, the dealer draws to 17. "
        "ace and 10 beat any other 21. hand 1: you have 10 ace, dealer shows 9."
    )
    assert game.max_turns == 24
    assert game.step("hm") == ("say hit or stick.", -0.1, False, {})
    assert game.step("stand") == (
        "dealer has 9 8: you win. hand 2: you have 5 10, dealer shows 10.",
        1.0,
        False,
        {},
    )
    assert game.step("hit me") == ("you draw 10 and bust.", -1.0, True, {"success": False})


def test_what_is_told() -> None:
    for told, first, then in (
        ("total", "you have 17 with a usable ace, dealer shows ace.", "you have 17."),
        ("hand", "you have ace 6, dealer shows ace.", "you have ace 6 10."),
        ("card", "you have ace 6, dealer shows ace.", "you draw 10."),
    ):
        assert opening(1, 9, 1, 6, told=told).endswith(first)
        game = start(1, 9, 1, 6, 10, told=told)
        assert game.step("hit").text == then
        assert game.step("stick") == ("dealer has ace 9: you lose.", -1.0, True, {"success": False})
    assert "ace and 10 win 1.5" in opening(1, 9, 1, 6, natural=True, sab=False)
    assert "ace and 10 beat any other 21" in opening(1, 9, 1, 6, natural=True, sab=True)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        *((text, 0.0) for text in ("hit", "Hit me!", "another card please", "I draw", "one more", "H")),
        *((text, 1.0) for text in ("stick", "I'll STAND.", "stay", "hold", "stop", "enough", "s")),
        *((text, -0.1) for text in ("", "hit or stick?", "no more", "don't hit", "don’t stand", "21")),
    ],
)
def test_what_is_understood(text: str, reward: float) -> None:
    assert start(10, 7, 10, 9, 2).step(text).reward == reward


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start(10, 7, 10, 9, 2).step(text)
    assert turn.text and turn.reward in (-0.1, 0.0, 1.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"hands": 0}, "hands must be 1 to 100, not 0"),
        ({"told": "sum"}, "told must be 'total', 'hand' or 'card', not 'sum'"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Blackjack(**knobs)
