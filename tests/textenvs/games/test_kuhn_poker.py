from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board import kuhn
from textenvs.games.board.kuhn_poker import KuhnPoker

POLICIES = {
    "timid": {"": "..b", "p": "..b", "b": "..b", "pb": "..b"},
    "curious": {"": "..b", "p": "..b", "b": "bbb", "pb": "bbb"},
    "bold": {"": "bbb", "p": "bbb", "b": "..b", "pb": "..b"},
    "wild": {"": "bbb", "p": "bbb", "b": "bbb", "pb": "bbb"},
}  # as the page says: the cards (jack, queen, king) with which each bets or calls
SITUATIONS = (("", "pb"), ("p", "b"))  # of who acts first, and second
Strategy = Callable[[str, int], float]  # the probability of "b" after a history, with a card


def value(strategy: Strategy, opponent: Strategy, seat: int) -> float:
    """The expected chips of a hand for the strategy in a seat, by going through the whole tree."""

    def go(history: str, cards: tuple[int, int]) -> float:
        for ends, payment in (("pp", 1), ("bb", 2), ("pbb", 2)):
            if history == ends:
                return payment if cards[0] > cards[1] else -payment
        if history in ("bp", "pbp"):
            return 1.0 if history == "bp" else -1.0
        mover = len(history) % 2
        p = (strategy if mover == seat else opponent)(history, cards[mover])
        return p * go(history + "b", cards) + (1 - p) * go(history + "p", cards)

    first = sum(go("", (a, b)) for a, b in itertools.permutations(range(3), 2)) / 6
    return -first if seat else first


def opponents() -> dict[str, Strategy]:
    fixed = {name: lambda history, card, by=table: float(by[history][card] == "b") for name, table in POLICIES.items()}
    mixed = {f"equilibrium {alpha:.2f}": equilibrium(alpha) for alpha in (0, 0.2, 1 / 3)}
    return {**fixed, "random": lambda history, card: 0.5, **mixed}


def equilibrium(alpha: float) -> Strategy:
    table = {
        ("", 0): alpha, ("", 1): 0, ("", 2): 3 * alpha, ("pb", 0): 0, ("pb", 1): alpha + 1 / 3, ("pb", 2): 1,
        ("p", 0): 1 / 3, ("p", 1): 0, ("p", 2): 1, ("b", 0): 0, ("b", 1): 1 / 3, ("b", 2): 1,
    }  # fmt: skip
    return lambda history, card: table[history, card]


def best_value(opponent: Strategy, seat: int) -> float:
    """The most that any pure strategy gets, by trying them all."""
    infosets = list(itertools.product(SITUATIONS[seat], range(3)))
    plans = (dict(zip(infosets, bits, strict=True)) for bits in itertools.product((0.0, 1.0), repeat=len(infosets)))
    return max(value(lambda history, card, by=plan: by[history, card], opponent, seat) for plan in plans)


def knobs(name: str) -> dict[str, Any]:
    style, _, alpha = name.partition(" ")
    return {"opponent": style, **({"alpha": {"0.00": 0, "0.20": 0.2, "0.33": 1 / 3}[alpha]} if alpha else {})}


def expert(name: str, seat: int) -> Strategy:
    """What the game's expert does in each situation."""
    game = KuhnPoker(hands=1, **knobs(name))

    def chance(history: str, card: int) -> float:
        game.reset(np.random.default_rng(0))
        game._second, game._history, game._cards = seat, history, [(card, (card + 1) % 3)]
        assert game.expert_action() in game.valid_actions()
        return float(game.expert_action() in ("bet", "call"))

    return chance


@pytest.mark.parametrize("name", opponents())
def test_no_strategy_wins_more_than_the_expert(name: str) -> None:
    opponent = opponents()[name]
    for seat in (0, 1):
        assert value(expert(name, seat), opponent, seat) == pytest.approx(best_value(opponent, seat))


def test_the_value_of_the_game() -> None:
    for alpha in (0, 0.1, 0.2, 1 / 3):
        assert best_value(equilibrium(alpha), 0) == pytest.approx(-1 / 18)
        assert best_value(equilibrium(alpha), 1) == pytest.approx(1 / 18)
        assert value(equilibrium(alpha), equilibrium(0), 0) == pytest.approx(-1 / 18)


@pytest.mark.parametrize("name", opponents())
def test_the_opponent_plays_its_policy(name: str) -> None:
    game = KuhnPoker(hands=1, **knobs(name))
    game.reset(np.random.default_rng(0))
    for situation in ("", "p", "b", "pb"):
        for card in range(3):
            assert game._policy.chance(situation, card) == pytest.approx(opponents()[name](situation, card))
    draws, rng = 900, np.random.default_rng(1)
    seat = value_seen = 0.0
    for _ in range(draws):  # and so plays of random moves against it have their expected result
        game.reset(rng)
        seat += game._second
        done = False
        while not done:
            turn = game.step(game.valid_actions()[int(rng.integers(2))])
            value_seen, done = value_seen + turn.reward, turn.terminated
    coin = opponents()["random"]
    expected = sum(value(coin, opponents()[name], seat) for seat in (0, 1)) / 2
    assert value_seen / draws == pytest.approx(expected, abs=4 * 1.6 / math.sqrt(draws))
    assert 0.4 < seat / draws < 0.6


def test_the_expected_returns_at_the_levels() -> None:
    def mean(names: list[str], strategy: Callable[[str, int], Strategy]) -> float:
        pairs = list(itertools.product(names, (0, 1)))
        return sum(value(strategy(name, seat), opponents()[name], seat) for name, seat in pairs) / len(pairs)

    coin = opponents()["random"]
    assert mean(list(POLICIES), expert) == pytest.approx(0.354, abs=5e-4)  # as the page says
    assert mean(list(POLICIES), lambda *_: coin) == pytest.approx(-0.208, abs=5e-4)
    assert mean(["equilibrium 0.20"], expert) == pytest.approx(0, abs=1e-9)
    assert mean(["equilibrium 0.20"], lambda *_: coin) == pytest.approx(-0.144, abs=5e-4)


def start(style: str, second: int, *cards: tuple[int, int], **more: Any) -> tuple[KuhnPoker, str]:
    """A game with these cards (the player's, the opponent's), and the text of its first hand."""
    game = KuhnPoker(hands=len(cards), opponent=style, **more)
    game.reset(np.random.default_rng(0))
    game._second, game._cards = second, list(cards)
    return game, game._deal()


def test_an_episode() -> None:
    game, text = start("curious", 0, (0, 2), (1, 0), (2, 1), (1, 2))
    assert text == "hand 1: you have the jack. check or bet?" and game.valid_actions() == ["check", "bet"]
    assert game.step("check") == ("i bet. fold or call?", 0.0, False, {})
    assert game.step("check or bet") == ("say fold or call.", -0.1, False, {})
    assert game.step("fold") == ("you lose 1. hand 2: you have the queen. i check. check or bet?", -0.25, False, {})
    assert game.step("call") == ("say check or bet.", -0.1, False, {})
    turn = game.step("bet")
    assert turn == ("i call. i have the jack. you win 2. hand 3: you have the king. check or bet?", 0.5, False, {})
    turn = game.step("check")
    assert turn == (
        "i check. i have the queen. you win 1. hand 4: you have the queen. i bet. fold or call?", 0.25, False, {}
    )  # fmt: skip
    assert game.step("call") == (
        "i have the king. you lose 2. in all you won nothing.", -0.5, True, {"success": False, "chips": 0}
    )  # fmt: skip


def test_ends() -> None:
    game, _ = start("timid", 0, (0, 1))
    assert game.step("bet") == ("i fold. you win 1. in all you won 1.", 1.0, True, {"success": True, "chips": 1})
    game, text = start("wild", 1, (0, 1))
    assert text == "hand 1: you have the jack. i bet. fold or call?"
    turn = game.step("call")
    assert turn == ("i have the queen. you lose 2. in all you lost 2.", -2.0, True, {"success": False, "chips": -2})


def test_the_opening() -> None:
    rules = "each pays 1 chip and gets a jack, queen or king; the higher card wins. a bet is 1 chip."
    opening = KuhnPoker(opponent="bold").reset(np.random.default_rng(0))
    assert opening.startswith(f"kuhn poker, 12 hands. {rules} hand 1: you have the ")
    told = {KuhnPoker(hands=2, told=True).reset(np.random.default_rng(seed)).split(". ")[3] for seed in range(40)}
    assert told == {
        "i bet and call with the king only",
        "i bet with the king only, and always call",
        "i always bet, and call with the king only",
        "i always bet and call",
    }
    opening = KuhnPoker(opponent="equilibrium", told=True).reset(np.random.default_rng(0))
    assert "i play kuhn's equilibrium with alpha 0.2. hand 1" in opening


@pytest.mark.parametrize("level", KuhnPoker.levels)
def test_episodes_differ_and_seats_alternate(level: str) -> None:
    game, rng = KuhnPoker(**KuhnPoker.levels[level]), np.random.default_rng(0)
    seen = set()
    for _ in range(1000):
        game.reset(rng)
        seen.add(game.instance())
        assert len(game._cards) == game.hands and all(mine != other for mine, other in game._cards)
    assert len(seen) > 990
    seats = []
    for game._hand in range(4):
        seats.append(game._is_second())
    assert seats in ([0, 1, 0, 1], [1, 0, 1, 0])


@pytest.mark.parametrize("level", KuhnPoker.levels)
def test_to_stall_costs_more_than_to_fold(level: str) -> None:
    game = KuhnPoker(**KuhnPoker.levels[level])
    game.reset(np.random.default_rng(0))
    assert sum(game.step("i think").reward for _ in range(game.max_turns - 2 * game.hands)) < -1


@pytest.mark.parametrize(
    ("text", "unbet", "bet"),
    [
        ("check", "p", None),
        ("I check.", "p", None),
        ("BET!", "b", "b"),
        ("i'll raise", "b", None),
        ("pass", "p", "p"),
        ("chek", "p", None),
        ("my best play is to check", "p", None),
        ("i will be quite bold and bet", "b", "b"),
        ("let it be", None, None),
        ("i play", None, None),
        ("fold", None, "p"),
        ("i am going to call", None, "b"),
        ("i pay", None, "b"),
        ("check, no, bet", None, None),
        ("bet or pass", None, None),
        ("check or bet", None, None),
        ("i fold to your bet", None, "p"),
        ("call the bet", None, "b"),
        ("i don't bet", None, None),
        ("do not fold", None, None),
        ("", None, None),
        ("jack", None, None),
    ],
)
def test_what_is_understood(text: str, unbet: str | None, bet: str | None) -> None:
    for second, expected in ((0, unbet), (1, bet)):
        game, _ = start("wild", second, (2, 1))
        before = game._history
        turn = game.step(text)
        assert game._history[len(before) :][:1] == (expected or "")
        assert (turn.reward == -0.1) == (expected is None)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    game = KuhnPoker()
    game.reset(np.random.default_rng(0))
    assert game.step(text).text


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"hands": 0}, "hands must be 1 to 50, not 0"),
        ({"opponent": "good"}, "opponent must be one of 'any', 'timid', 'curious', .*, not 'good'"),
        ({"told": "yes"}, "told must be True or False, not 'yes'"),
        ({"alpha": 0.5}, "alpha must be 0 to 1/3, not 0.5"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KuhnPoker(**knobs)


def test_rules_of_a_hand() -> None:
    assert {history for n in (2, 3) for history in map("".join, itertools.product("pb", repeat=n))} >= kuhn.ENDS
    assert [kuhn.result(end, 2, 0) for end in ("pp", "bp", "bb", "pbp", "pbb")] == [1, 1, 2, -1, 2]
    assert [kuhn.result(end, 0, 1) for end in ("pp", "bp", "bb", "pbp", "pbb")] == [-1, 1, -2, -1, -2]
