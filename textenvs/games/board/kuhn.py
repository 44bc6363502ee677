"""Kuhn poker: rules, ways to play it, and the best response to each.

A history is the moves of a hand so far, as in OpenSpiel: ``p`` is to check or fold, ``b`` is to bet or call. Cards are
0 (jack), 1 (queen) and 2 (king).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

CARDS = ("jack", "queen", "king")
ENDS = frozenset(("pp", "bp", "bb", "pbp", "pbb"))

Chances = tuple[float, float, float]  # by card


class Policy(NamedTuple):
    """How likely a player is to bet or to call in each situation, by card.

    Attributes:
        first: to bet as the first to act.
        checked: to bet after the other's check.
        facing: to call the bet of the other, who acted first.
        trapped: to call the bet that followed one's own check.
    """

    first: Chances
    checked: Chances
    facing: Chances
    trapped: Chances

    def chance(self, history: str, card: int) -> float:
        """The probability of ``b`` after a history."""
        return self[("", "p", "b", "pb").index(history)][card]


def equilibrium(alpha: float) -> Policy:
    """Kuhn's equilibrium: of the first player's, one for each ``alpha`` from 0 to 1/3; the second's is the only one."""
    return Policy((alpha, 0, 3 * alpha), (1 / 3, 0, 1), (0, 1 / 3, 1), (0, alpha + 1 / 3, 1))


def result(history: str, first: int, second: int) -> int:
    """The chips that the first player has won at the end of a hand, with these two cards."""
    if history == "bp":
        return 1
    if history == "pbp":
        return -1
    return (1 + (history != "pp")) * (1 if first > second else -1)


@lru_cache(maxsize=4096)
def best_move(history: str, card: int, opponent: Policy) -> str:
    """The move of the best response to an opponent's policy; ``p`` where both are as good."""
    return max("pb", key=lambda move: round(_worth(history, move, card, opponent), 12))


def _worth(history: str, move: str, card: int, opponent: Policy) -> float:
    """The expected chips after a move, summed over the cards that the opponent may hold (not normalised)."""
    seat = len(history) % 2
    others = [other for other in range(len(CARDS)) if other != card]
    return sum(
        _reach(history, other, opponent) * _outlook(history + move, seat, card, other, opponent) for other in others
    )


def _reach(history: str, other: int, opponent: Policy) -> float:
    """How likely an opponent with this card, whose move was the last one, is to have moved as it did."""
    reach = 1.0
    for at in range(len(history) - 1, -1, -2):
        bets = opponent.chance(history[:at], other)
        reach *= bets if history[at] == "b" else 1 - bets
    return reach


def _outlook(history: str, seat: int, card: int, other: int, opponent: Policy) -> float:
    """The expected chips of the best response from here on, where the cards are known to us but not to it."""
    if history in ENDS:
        return -result(history, other, card) if seat else result(history, card, other)
    if len(history) % 2 == seat:
        return _outlook(history + best_move(history, card, opponent), seat, card, other, opponent)
    bets = opponent.chance(history, other)
    return sum(
        chance * _outlook(history + move, seat, card, other, opponent)
        for move, chance in (("p", 1 - bets), ("b", bets))
        if chance
    )
