"""Play blackjack against the dealer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from textenvs import parsing
from textenvs.game import Game, Turn

_DECK = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10)  # an ace is 1; as often as it is there, a card is drawn
_HIT = frozenset(("hit", "hits", "draw", "card", "another", "more", "twist", "deal", "h"))
_STICK = frozenset(("stick", "sticks", "stand", "stay", "stop", "hold", "enough", "s"))
_NEGATIONS = frozenset(("no", "not", "never", "don't", "don’t", "dont"))
_MISUNDERSTOOD = -0.1


class Blackjack(Game):
    """TextBlackjack-v0: play hands of blackjack against the dealer.

    ## Description

    You and the dealer get two cards each, of which you see yours and one of the dealer's. You may take more cards (hit)
    until you stick or have more than 21 (bust), which loses. Then the dealer takes cards up to 17 or more. Whoever is
    nearer to 21 without being bust wins. Jack, queen and king count 10, and an ace 11 where that is not too much, else
    1. Cards are drawn with replacement. Rules and dynamics are those of Gymnasium's ``Blackjack-v1``; here an episode
    has several hands.

    ## Example transcript

    ```
    blackjack, 5 hands. hit or stick. above 21 loses, an ace is 11 or 1, the dealer draws to 17. ace and 10 beat any
    other 21. hand 1: you have 10 3, dealer shows 5.
    > stick
    dealer has 5 5 10: you lose. hand 2: you have 10 6, dealer shows 7.
    > hit
    you draw 10 and bust. hand 3: you have 10 ace, dealer shows ace.
    > stick
    dealer has ace 9: you win. hand 4: you have ace 5, dealer shows 10.
    > hit
    you have ace 5 7.
    > hit
    you draw 10 and bust. hand 5: you have 3 4, dealer shows 5.
    > hit
    you have 3 4 10.
    > stick
    dealer has 5 9 3: a draw.
    ```

    ## Observation

    The opening names the rules and the first cards. With ``told="total"`` each text gives your total, whether it has
    an ace that counts 11, and the dealer's card, as Gymnasium does; with ``"hand"`` all your cards, to be added up;
    with ``"card"`` only each new card, to be remembered too. At the end of a hand it tells the outcome and the
    cards of the next hand.

    ## Action

    Free text that says to hit or to stick: ``hit``, ``Hit me!``, ``another card``, ``I stand``, ``stay``. Both, neither
    or a negation is not understood.

    ## Reward

    Of each hand, 1 for a win, -1 for a loss, 0 for a draw. What is not understood costs 0.1 (so that refusing to play
    is worse than playing).

    ## Episode end

    Terminated after the last hand (``success``: more is won than lost); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``hands`` | 5 | 5 | 10 | hands of an episode (1 to 100); Gymnasium has 1 |
    | ``natural`` | no | no | no | whether winning with an ace and a ten as first cards pays 1.5 (not with ``sab``) |
    | ``sab`` | yes | yes | yes | whether these two cards always win, save against the same (as in Sutton and Barto) |
    | ``told`` | total | hand | card | what of your hand a text tells |
    | ``max_turns`` | 60 | 60 | 120 | truncation: 12 a hand |

    All episodes of a level are the same task: what comes is random.

    ## Expert

    Exact: dynamic programming over the total, the ace and the dealer's card (the hands are independent, and the turn
    limit cannot be reached in practice). A hand is worth -0.0431 to it by the default rules, -0.0257 with ``natural``
    alone and -0.0465 with neither, so its mean return is -0.22 at easy and medium and -0.43 at hard; it wins more than
    it loses in 39% of the episodes. Random play has -0.39 a hand and is ahead in 16% of the episodes at easy and
    medium and 7% at hard.

    ## Source

    Gymnasium's ``Blackjack-v1`` (Sutton and Barto, Reinforcement Learning, example 5.1).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"told": "total"},
        "medium": {},
        "hard": {"hands": 10, "told": "card"},
    }
    max_choices = 2

    def __init__(self, hands: int = 5, natural: bool = False, sab: bool = True, told: str = "hand") -> None:
        if not 1 <= hands <= 100:
            raise ValueError(f"hands must be 1 to 100, not {hands!r}")
        if told not in ("total", "hand", "card"):
            raise ValueError(f"told must be 'total', 'hand' or 'card', not {told!r}")
        self.hands, self.natural, self.sab, self.told = hands, natural and not sab, sab, told
        self.max_turns = 12 * hands

    def reset(self, rng: np.random.Generator) -> str:
        """Deal the first hand."""
        self._rng = rng
        self._hand, self._won = 0, 0.0
        natural = " ace and 10 win 1.5." if self.natural else " ace and 10 beat any other 21." if self.sab else ""
        hands = f"{self.hands} hand{'s' if self.hands > 1 else ''}"
        rules = f"hit or stick. above 21 loses, an ace is 11 or 1, the dealer draws to 17.{natural}"
        return f"blackjack, {hands}. {rules} {self._deal()}"

    def step(self, action: str) -> Turn:
        """Take a card, or let the dealer play."""
        said = set(parsing.words(action))
        hits, sticks = bool(said & _HIT), bool(said & _STICK)
        if hits == sticks or said & _NEGATIONS:
            return Turn("say hit or stick.", _MISUNDERSTOOD)
        if sticks:
            while total(self._dealer) < 17:
                self._dealer.append(self._draw())
            reward = self._payoff()
            outcome = "you win" if reward > 0 else "you lose" if reward < 0 else "a draw"
            return self._end(f"dealer has {_shown(self._dealer)}: {outcome}.", reward)
        self._player.append(self._draw())
        drawn = _shown(self._player[-1:])
        if total(self._player) > 21:
            return self._end(f"you draw {drawn} and bust.", -1.0)
        return Turn(f"you draw {drawn}." if self.told == "card" else f"you have {self._told()}.")

    def valid_actions(self) -> list[str]:
        """Hit and stick."""
        return ["hit", "stick"]

    def expert_action(self) -> str:
        """Whichever earns more in expectation."""
        hit = hit_value(sum(self._player), 1 in self._player, self._dealer[0])
        return "hit" if hit > stick_value(total(self._player), self._dealer[0]) else "stick"

    def _payoff(self) -> float:
        if is_natural(self._player) and self.sab and not is_natural(self._dealer):
            return 1.0
        reward = payoff(total(self._player), total(self._dealer))
        return 1.5 if is_natural(self._player) and self.natural and reward == 1 else reward

    def _end(self, text: str, reward: float) -> Turn:
        """The end of a hand, with the next one or the end of the episode."""
        self._won += reward
        if self._hand < self.hands:
            return Turn(f"{text} {self._deal()}", reward)
        return Turn(text, reward, True, {"success": self._won > 0})

    def _deal(self) -> str:
        self._hand += 1
        self._dealer = [self._draw(), self._draw()]
        self._player = [self._draw(), self._draw()]
        return f"hand {self._hand}: you have {self._told()}, dealer shows {_shown(self._dealer[:1])}."

    def _told(self) -> str:
        if self.told != "total":
            return _shown(self._player)
        counted = total(self._player)
        return f"{counted} with a usable ace" if counted > sum(self._player) else str(counted)

    def _draw(self) -> int:
        return int(self._rng.choice(_DECK))


def total(hand: Sequence[int]) -> int:
    """What a hand counts, with an ace as 11 where that is not too much."""
    return _count(sum(hand), 1 in hand)


def is_natural(hand: Sequence[int]) -> bool:
    """Whether a hand is an ace and a ten."""
    return sorted(hand) == [1, 10]


def payoff(player: int, dealer: int) -> float:
    """What it pays (1, 0 or -1) to have stuck at a total."""
    return 1.0 if dealer > 21 or player > dealer else 0.0 if player == dealer else -1.0


@lru_cache(maxsize=1 << 10)
def hit_value(hard: int, ace: bool, showing: int) -> float:
    """What it is worth to take a card: to a hand with this sum, aces being 1, that has an ace or not."""
    return sum(_value(hard + card, ace or card == 1, showing) for card in _DECK) / len(_DECK)


@lru_cache(maxsize=1 << 10)
def stick_value(player: int, showing: int) -> float:
    """What it is worth to stick at a total (as no natural: that one is stuck with anyway)."""
    return _against(player, showing, showing == 1)


def _value(hard: int, ace: bool, showing: int) -> float:
    if hard > 21:
        return -1.0
    return max(hit_value(hard, ace, showing), stick_value(_count(hard, ace), showing))


@lru_cache(maxsize=1 << 10)
def _against(player: int, hard: int, ace: bool) -> float:
    """What a total is worth against a dealer who has this sum, aces being 1, and an ace or not."""
    dealer = _count(hard, ace)
    if dealer >= 17:
        return payoff(player, dealer)
    return sum(_against(player, hard + card, ace or card == 1) for card in _DECK) / len(_DECK)


def _count(hard: int, ace: bool) -> int:
    return hard + 10 if ace and hard <= 11 else hard


def _shown(hand: Sequence[int]) -> str:
    return " ".join("ace" if card == 1 else str(card) for card in hand)
