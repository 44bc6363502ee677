"""Divide books, hats and balls with a partner who values them differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.dialogue.division import ITEMS, Split, count, read, spell
from textenvs.games.dialogue.partners import PARTNERS, asked, divisions, draw, rest, worth

_UNUSABLE = -0.05
_LONGEST = 12


class Negotiation(Game):
    """TextNegotiation-v0: divide books, hats and balls with a partner who values them differently.

    ## Description

    A pool of books, hats and balls is to be divided. To each side all of it is worth 10 points, but each thing has
    another worth; nothing is worthless to both, and something is worth having for both. You know your values only. The
    partner opens; then you propose in turn until one side accepts, you walk away, or the partner's time is up. In
    points of its own the partner accepts what gives it its demand, and otherwise proposes a share worth at least that
    much: of these the one of least worth to it, then the one with the fewest things. Its demand falls when you propose:

    | partner | first demand | last demand | gives way, if you offer it more than ever before | at any other proposal |
    |---|---|---|---|---|
    | fair | 8 | 4 | by as much more as you offer, up to 3 | by 1 |
    | firm | 9 | 5 | by as much more as you offer, up to 2 | not at all |
    | greedy | 10 | 6 | by 1 | not at all |

    So who asks for too much for too long runs out of time, and who gives a lot at once gets little for it.

    ## Example transcript

    ```
    we divide 2 books, 1 hat and 3 balls. to you a book is worth 2, a hat 0, a ball 2; my values are others. what
    you do not take is mine. no deal, no points. i leave after 8 turns. i take 1 book, 1 hat and 3 balls, you get 1
    book.
    > i take 1 book and 2 balls
    no. i take 1 book and 3 balls, you get 1 book and 1 hat.
    > i take 2 books and 1 ball
    no. i take 3 balls, you get 2 books and 1 hat.
    > i take 2 books and 1 ball
    deal. you have 6 points, i have 6.
    ```

    ## Observation

    The opening gives the pool, your values, the partner's time and its first proposal; each reply gives its next one.
    Which partner it is and what the things are worth to it is for you to find out.

    ## Action

    Free text. A proposal says who gets what: ``i take two books and the hat``, ``you get the balls``, ``the hat for me
    and the rest for you``, ``i give you both balls and keep the rest``, ``everything but one book``. What is not
    mentioned goes to the side that was given nothing. ``deal``, ``ok``, ``i accept`` take the partner's last proposal;
    ``no``, ``that is too little``, ``what do you want?`` only let it repeat that, which takes a turn; ``i walk away``,
    ``goodbye`` end it. A proposal that cannot be (more than there is, or something left open) and other text is not
    understood.

    ``valid_actions`` lists all divisions (at most 30), one of them as ``deal``, and walking away.

    ## Reward

    At a deal your points, divided by the most to which this partner can be brought, so 0 to 1; without a deal 0; -0.05
    for what is not understood, which takes none of the partner's time.

    ## Episode end

    Terminated by a deal, by walking away or when the partner's time is up; truncated after ``max_turns``.
    ``info["success"]`` says whether you got the most there was; ``agreed``, ``points`` and ``partner_points`` come with
    it.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``partner`` | fair | any | any | ``"fair"``, ``"firm"``, ``"greedy"``, or ``"any"`` of them, drawn and not told |
    | ``items`` | 5 | 6 | 7 | most things in a pool of 5 or more (5 to 7) |
    | ``patience`` | 8 | 8 | 5 | your proposals that the partner hears (1 to 12) |
    | ``max_turns`` | 16 | 16 | 10 | truncation: twice the patience |

    A pool has at most 30 divisions, and a partner that cannot be brought to leave you 3 points is not drawn.

    ## Expert

    Exact: dynamic programming over the turns left, the partner's demand and the best offer it had. It knows the
    partner's values and its way of giving way, so it is a bound that no player can beat; its deals are Pareto optimal.
    It always gets the most there is, so its mean return is 1. Random choice has 0.34, 0.29 and 0.27
    at easy, medium and hard, and gets the most in 8%, 8% and 6% of the episodes.

    ## Source

    The task, values and points of Lewis et al. 2017, "Deal or No Deal? End-to-End Learning for Negotiation Dialogues",
    where partners are people or models; the scripted partners and the division by the best possible are this package's
    own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"partner": "fair", "items": 5},
        "medium": {},
        "hard": {"items": 7, "patience": 5},
    }
    max_choices = 31

    def __init__(self, partner: str = "any", items: int = 6, patience: int = 8) -> None:
        if partner != "any" and partner not in PARTNERS:
            raise ValueError(f"partner must be {', '.join(map(repr, PARTNERS))} or 'any', not {partner!r}")
        if not 5 <= items <= 7:
            raise ValueError(f"items must be 5 to 7, not {items!r}")
        if not 1 <= patience <= _LONGEST:
            raise ValueError(f"patience must be 1 to {_LONGEST}, not {patience!r}")
        self.partner, self.items, self.patience = partner, items, patience
        self.max_turns = 2 * patience

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a pool, a partner and both sides' values; the partner opens."""
        names = list(PARTNERS)
        self._kind = names[int(rng.integers(len(names)))] if self.partner == "any" else self.partner
        self._partner = PARTNERS[self._kind]
        self._pool, self._plan = draw(self.items, self._partner, self.patience, rng)
        self._turns, self._demand, self._offered = self.patience, self._partner.opening, 0
        self._best = self._plan.value(self._turns, self._demand, self._offered)
        things = [count(n, name) for n, name in zip(self._pool, ITEMS, strict=True)]
        values = [f"a {name} is worth {v}" for name, v in zip(ITEMS, self._plan.own, strict=True)]
        values[1:] = [value.replace(" is worth", "") for value in values[1:]]
        return (
            f"we divide {things[0]}, {things[1]} and {things[2]}. to you {values[0]}, {values[1]}, {values[2]}; my "
            f"values are others. what you do not take is mine. no deal, no points. {self._left()} {self._counter()}"
        )

    def instance(self) -> str:
        """The pool, both sides' values and the partner."""
        return f"{self._pool} {self._plan.own} {self._plan.theirs} {self._kind}"

    def step(self, action: str) -> Turn:
        """Propose, accept, refuse or leave; the partner answers."""
        act = read(action, self._pool)
        match act.kind:
            case "propose" if act.split is not None:
                return self._propose(act.split)
            case "accept":
                return self._end("deal.", self._standing())
            case "refuse":
                return self._wait()
            case "leave":
                return self._end("no deal. goodbye.", None)
            case _:
                return Turn(act.hint or "say what you take, or deal.", _UNUSABLE)

    def valid_actions(self) -> list[str]:
        """All proposals, the partner's own among them as ``deal``, and the way out."""
        others = [split for split in divisions(self._pool) if split != self._standing()]
        return ["deal", *map(_say, others), "i walk away"]

    def expert_action(self) -> str:
        """The next step to the most that the partner can be brought to leave."""
        split = self._plan.split(self._turns, self._demand, self._offered)
        return "deal" if split == self._standing() else _say(split)

    def _standing(self) -> Split:
        """What the partner offers now."""
        return asked(self._pool, self._plan.theirs, self._demand)

    def _propose(self, split: Split) -> Turn:
        left = worth(rest(self._pool, split), self._plan.theirs)
        if left >= self._demand:
            return self._end("deal.", split)
        self._demand = self._partner.give_way(self._demand, left - self._offered)
        self._offered = max(self._offered, left)
        return self._wait()

    def _wait(self) -> Turn:
        """The partner asks for what it wants, if there is time."""
        self._turns -= 1
        if not self._turns:
            return self._end("no. i have no more time. no deal.", None)
        return Turn(f"no. {self._counter()}{' this is your last turn.' * (self._turns == 1)}")

    def _counter(self) -> str:
        split = self._standing()
        return f"i take {spell(rest(self._pool, split))}, you get {spell(split)}."

    def _left(self) -> str:
        return f"i leave after {count(self.patience, 'turn')}."

    def _end(self, text: str, split: Split | None) -> Turn:
        own = 0 if split is None else worth(split, self._plan.own)
        theirs = 0 if split is None else worth(rest(self._pool, split), self._plan.theirs)
        if split is not None:
            text += f" you have {own} points, i have {theirs}."
        info = {"success": own >= self._best, "agreed": split is not None, "points": own, "partner_points": theirs}
        return Turn(text, own / self._best, True, info)


def _say(split: Split) -> str:
    return f"i take {spell(split)}"
