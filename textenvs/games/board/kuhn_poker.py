"""Kuhn poker against opponents of several styles."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.board import kuhn
from textenvs.games.board.opponents import STALLING, unusable
from textenvs.parsing import nearest, words

_NEVER, _ALWAYS, _KING = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 0.0, 1.0)
_STYLES = {  # the policy, and how the opponent tells it
    "timid": (kuhn.Policy(_KING, _KING, _KING, _KING), "i bet and call with the king only"),
    "curious": (kuhn.Policy(_KING, _KING, _ALWAYS, _ALWAYS), "i bet with the king only, and always call"),
    "bold": (kuhn.Policy(_ALWAYS, _ALWAYS, _KING, _KING), "i always bet, and call with the king only"),
    "wild": (kuhn.Policy(_ALWAYS, _ALWAYS, _ALWAYS, _ALWAYS), "i always bet and call"),
    "random": (kuhn.Policy(*4 * ((0.5, 0.5, 0.5),)), "i toss a coin to bet or call"),
}
_DRAWN = ("timid", "curious", "bold", "wild")
_OPPONENTS = ("any", *_STYLES, "equilibrium")
# What is said for "p" and "b" where there is no bet yet, and where there is one; the first is the one to say.
_UNBET = {"p": ("check", "pass", "knock"), "b": ("bet", "raise")}
_BET = {"p": ("fold", "pass", "drop", "quit"), "b": ("call", "bet", "match", "pay")}
_WORDS = tuple(dict.fromkeys(word for moves in (_UNBET, _BET) for names in moves.values() for word in names))
_MENDED = tuple(word for word in _WORDS if len(word) > 3 and word != "quit")  # "best" and "quite" are no moves
_REFERRING = frozenset(("the", "this", "that", "your"))  # "i fold to your bet" names one move
_NEGATIONS = frozenset(("no", "not", "don't", "don’t", "dont", "never", "won't", "won’t"))


class KuhnPoker(Game):
    """TextKuhnPoker-v0: win chips at poker with three cards against an opponent of some style.

    ## Description

    In each hand you and the opponent pay 1 chip and get one of three cards, jack, queen and king. The one who acts
    first checks or bets 1 more chip. After a check the other may check too, or bet; who faces a bet calls it with 1
    chip or folds and loses the hand. If nobody folds the higher card wins. You act first in every other hand. The
    opponent has one way to play in all hands of an episode:

    | ``opponent`` | it bets with | it calls with |
    |---|---|---|
    | ``"timid"`` | the king | the king |
    | ``"curious"`` | the king | any card |
    | ``"bold"`` | any card | the king |
    | ``"wild"`` | any card | any card |
    | ``"random"`` | any card, half of the times | any card, half of the times |
    | ``"equilibrium"`` | what Kuhn's equilibrium with ``alpha`` says | the same |
    | ``"any"`` | one of the first four, drawn for each episode | |

    ## Example transcript

    ```
    kuhn poker, 6 hands. each pays 1 chip and gets a jack, queen or king; the higher card wins. a bet is 1 chip. i
    bet with the king only, and always call. hand 1: you have the jack. i check. check or bet?
    > check
    i have the queen. you lose 1. hand 2: you have the king. check or bet?
    > bet
    i call. i have the jack. you win 2. hand 3: you have the queen. i check. check or bet?
    > bet
    i call. i have the jack. you win 2. hand 4: you have the king. check or bet?
    > bet
    i call. i have the jack. you win 2. hand 5: you have the king. i check. check or bet?
    > bet
    i call. i have the queen. you win 2. hand 6: you have the king. check or bet?
    > bet
    i call. i have the queen. you win 2. in all you won 9.
    ```

    ## Observation

    The opening gives the rules and, where it is ``told``, how the opponent plays. Each hand gives your card and what
    the opponent does first; its end tells who won how many chips, and the opponent's card unless somebody folded.

    ## Action

    Free text with a move in it: ``check`` or ``bet`` where there is no bet, ``fold`` or ``call`` where there is one
    (``pass`` and ``bet`` are understood there too, as OpenSpiel calls them). Both, neither and ``not`` beside one are
    not understood.

    ## Reward

    At the end of each hand the chips won (1 or 2) or lost, divided by ``hands``: the return is the mean of chips per
    hand. An utterance that is no move costs 0.1 and leaves the hand as it is.

    ## Episode end

    Terminated after the last hand (``success``: more chips won than lost; ``chips`` is the difference); truncated after
    ``max_turns``, which leaves room for so many useless utterances that to stall costs more than to fold all hands.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``hands`` | 6 | 12 | 12 | hands of an episode (1 to 50) |
    | ``opponent`` | any | any | equilibrium | see above |
    | ``told`` | true | false | false | whether the opening says how the opponent plays |
    | ``alpha`` | - | - | 0.2 | of the equilibrium: how often the opponent bets a jack as the first to act (0 to 1/3) |
    | ``max_turns`` | 23 | 35 | 35 | truncation: two for each hand, and eleven more |

    ## Expert

    Exact: the best response to the opponent's policy, which it knows also where it is not told, so that there it is a
    bound of what can be expected. Its expected return is 0.354 at easy and medium and 0 at hard; random moves have
    -0.208 and -0.144. In 2,000 episodes it ended up with more chips in 67%, 76% and 44%, random moves in 35%, 30% and
    33%.

    ## Source

    H. W. Kuhn, "A simplified two-person poker" (1950), with the rules and payments of OpenSpiel's ``kuhn_poker``; its
    value is -1/18 for who acts first. TextArena's ``KuhnPoker-v0`` plays several hands too.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"hands": 6, "told": True},
        "medium": {},
        "hard": {"opponent": "equilibrium"},
    }
    max_choices = 2

    def __init__(self, hands: int = 12, opponent: str = "any", told: bool = False, alpha: float = 0.2) -> None:
        if not 1 <= hands <= 50:
            raise ValueError(f"hands must be 1 to 50, not {hands!r}")
        if opponent not in _OPPONENTS:
            raise ValueError(f"opponent must be one of {', '.join(map(repr, _OPPONENTS))}, not {opponent!r}")
        if told not in (True, False):
            raise ValueError(f"told must be True or False, not {told!r}")
        if not 0 <= alpha <= 1 / 3:
            raise ValueError(f"alpha must be 0 to 1/3, not {alpha!r}")
        self.hands, self.opponent, self.told, self.alpha = hands, opponent, bool(told), alpha
        self.max_turns = 2 * hands + STALLING

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the opponent, who acts first, and the cards of all hands."""
        self._rng = rng
        self._style = _DRAWN[int(rng.integers(len(_DRAWN)))] if self.opponent == "any" else self.opponent
        if self._style == "equilibrium":
            self._policy, told = kuhn.equilibrium(self.alpha), f"i play kuhn's equilibrium with alpha {self.alpha:.3g}"
        else:
            self._policy, told = _STYLES[self._style]
        self._second = int(rng.integers(2))  # whether the player acts second in the first hand
        self._cards = [tuple(rng.permutation(len(kuhn.CARDS))[:2].tolist()) for _ in range(self.hands)]
        self._hand = self._chips = 0
        rules = "each pays 1 chip and gets a jack, queen or king; the higher card wins. a bet is 1 chip."
        return f"kuhn poker, {self.hands} hands. {rules} {told + '. ' if self.told else ''}{self._deal()}"

    def instance(self) -> str:
        """The opponent, who acts first, and the cards."""
        return f"{self._style} {self._second} {' '.join(f'{mine}{other}' for mine, other in self._cards)}"

    def step(self, action: str) -> Turn:
        """Make a move; the opponent makes its own, and the next hand is dealt where this one is over."""
        move = _read(action, self._moves())
        if move is None:
            return unusable(f"say {' or '.join(self.valid_actions())}.")
        self._history += move
        told = self._reply()
        if self._history not in kuhn.ENDS:
            return Turn(f"{told}{self._asked()}")
        chips = self._settle()
        told += "" if self._history.endswith("bp") else f"i have the {kuhn.CARDS[self._cards[self._hand][1]]}. "
        told += f"you {'win' if chips > 0 else 'lose'} {abs(chips)}."
        self._hand += 1
        if self._hand < self.hands:
            return Turn(f"{told} {self._deal()}", chips / self.hands)
        outcome = f"{'won' if self._chips > 0 else 'lost'} {abs(self._chips)}" if self._chips else "won nothing"
        info = {"success": self._chips > 0, "chips": self._chips}
        return Turn(f"{told} in all you {outcome}.", chips / self.hands, True, info)

    def valid_actions(self) -> list[str]:
        """The two moves."""
        return [said[0] for said in self._moves().values()]

    def expert_action(self) -> str:
        """The move of the best response."""
        mine, _ = self._cards[self._hand]
        return self._moves()[kuhn.best_move(self._history, mine, self._policy)][0]

    def _deal(self) -> str:
        """Begin a hand: its text up to the player's first move."""
        self._history = ""
        mine, _ = self._cards[self._hand]
        return f"hand {self._hand + 1}: you have the {kuhn.CARDS[mine]}. {self._reply()}{self._asked()}"

    def _reply(self) -> str:
        """The opponent's move, where it has one, and its text."""
        if self._history in kuhn.ENDS or self._is_second() == len(self._history) % 2:
            return ""
        said = self._moves()
        bets = self._rng.random() < self._policy.chance(self._history, self._cards[self._hand][1])
        self._history += "b" if bets else "p"
        return f"i {said['b' if bets else 'p'][0]}. "

    def _settle(self) -> int:
        """The chips that the player wins in this hand, which is over."""
        mine, other = self._cards[self._hand]
        second = self._is_second()
        chips = -kuhn.result(self._history, other, mine) if second else kuhn.result(self._history, mine, other)
        self._chips += chips
        return chips

    def _is_second(self) -> int:
        return (self._second + self._hand) % 2

    def _moves(self) -> Mapping[str, tuple[str, ...]]:
        return _BET if self._history.endswith("b") else _UNBET

    def _asked(self) -> str:
        return f"{' or '.join(self.valid_actions())}?"


def _read(action: str, moves: Mapping[str, tuple[str, ...]]) -> str | None:
    """The one move that an utterance names, as ``p`` or ``b``."""
    said = words(action)
    if not _NEGATIONS.isdisjoint(said):
        return None
    spoken = [
        word if word in _WORDS else nearest(word, _MENDED)
        for before, word in pairwise(["", *said])
        if before not in _REFERRING
    ]
    named = {next((move for move, names in moves.items() if word in names), None) for word in spoken if word in _WORDS}
    return named.pop() if len(named) == 1 else None
