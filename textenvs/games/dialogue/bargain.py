"""Haggle over a price with a partner whose limit is hidden."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.dialogue.haggling import break_off, plan, read_offer, strides

_ROLES = ("buyer", "seller")
_MARGIN = 4  # steps from the highest possible limit to the opening price
_UNUSABLE = -0.05
_STEPS = (1, 2, 5, 10, 20)
_THINGS = (
    ("book", "mug", "poster", "toy car", "plant", "scarf", "puzzle", "vase"),
    ("lamp", "backpack", "kettle", "radio", "chessboard", "blanket", "mirror", "helmet"),
    ("chair", "skateboard", "guitar", "tent", "printer", "drill", "rug", "suitcase"),
    ("bike", "desk", "phone", "camera", "armchair", "keyboard", "bookcase", "sewing machine"),
    ("sofa", "laptop", "piano", "fridge", "kayak", "scooter", "wardrobe", "telescope"),
)


class Bargain(Game):
    """TextBargain-v0: haggle over a price with a partner whose limit is hidden.

    ## Description

    You buy something, or sell it, and haggle over the price. You know what it is worth to you; the partner names a
    price, and the opening tells the range in which its limit lies, each step of it equally likely. You name prices in
    turn. The partner answers each step by which you outdo your best offer so far (up to three a turn) by a step of its
    own, each with probability 1 - ``stubbornness``, but never goes beyond its limit, and takes your price if its own
    new one would be no better for it. It says so when it has reached its limit. After an offer that it turns down it
    breaks off with probability 1 / ``patience``, or half of that if you outdid yourself. So steps are given for steps,
    time is short, and a bold start is worth more than a fair one.

    ## Example transcript

    ```
    you sell me your lamp. it is worth 28 to you. my highest price is one of 36 to 60, in steps of 2. i offer 28.
    your price?
    > i offer 54
    no. i can go to 30.
    > i offer 48
    no. i can go to 34.
    > i offer 42
    no. i stay at 34.
    > i offer 38
    deal at 38. my last price was 50.
    ```

    ## Observation

    The opening gives your role, what the thing is worth to you, the range of the partner's limit and its first price;
    each reply its price now.

    ## Action

    Free text. A price is an offer: ``45``, ``how about 45 dollars?``, ``i could go to forty``, ``no, 1,200 is my last
    word``, ``not more than 45``; of several the last one counts, but not one that is turned down (``not 50 but 45``,
    ``i won't pay 50``, ``50 is too much``) or asked about (``why 50?``). A price between two steps counts as the one
    better for you; one that meets the partner's counts as a yes.
    ``deal``, ``ok``, ``i'll take it`` accept the partner's price; ``no``, ``that is too much`` or a question let it
    answer without an offer; ``i walk away``, ``goodbye`` end it. A price worse than what the thing is worth to you, and
    other text, are refused.

    ``valid_actions`` lists the prices between your best one and the partner's, ``deal``, ``no`` and walking away.

    ## Reward

    At a deal the share of the surplus that is yours: how much better the price is than what the thing is worth to you,
    divided by how much better the partner's limit is; so 0 to 1. Without a deal 0; -0.05 for what is refused, which is
    not held against you otherwise.

    ## Episode end

    Terminated by a deal or when one side breaks off; truncated after ``max_turns``. ``info["success"]`` says whether
    you got at least half of the surplus, ``info["agreed"]`` whether there is a deal.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``role`` | buyer | any | any | ``"buyer"``, ``"seller"``, or ``"any"`` of them |
    | ``spread`` | 8 | 12 | 16 | steps in the range of the partner's limit (2 to 16) |
    | ``stubbornness`` | 0.2 | 0.4 | 0.6 | probability that the partner does not answer a step (0 to below 1) |
    | ``patience`` | 20 | 10 | 6 | the partner breaks off once in as many offers (1 to 100), as told above |
    | ``max_turns`` | 30 | 30 | 30 | truncation |

    The partner's first price is four steps from the range, and what the thing is worth to you lies between.

    ## Expert

    Exact: dynamic programming over the partner's price and your best offer, with the limit unknown to it as it is to
    you, so no player has a better expected return. (It leaves ``max_turns`` out of account, which only matters to who
    wastes ten turns.) Its mean return is 0.58, 0.50 and 0.33 at easy, medium and hard, and it gets at least half of the
    surplus in 61%, 47% and 28% of the episodes; random choice has 0.14, 0.09 and 0.04, and 11%, 5% and 2%.

    ## Source

    The task of CraigslistBargain (He et al. 2018, "Decoupling Strategy and Generation in Negotiation Dialogues"), where
    partners are people and the reward of the reinforcement learner is the margin over the midpoint; the scripted
    partner and the share of the surplus are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"role": "buyer", "spread": 8, "stubbornness": 0.2, "patience": 20},
        "medium": {},
        "hard": {"spread": 16, "stubbornness": 0.6, "patience": 6},
    }
    max_turns = 30
    max_choices = 23

    def __init__(self, role: str = "any", spread: int = 12, stubbornness: float = 0.4, patience: int = 10) -> None:
        if role != "any" and role not in _ROLES:
            raise ValueError(f"role must be 'buyer', 'seller' or 'any', not {role!r}")
        if not 2 <= spread <= 16:
            raise ValueError(f"spread must be 2 to 16, not {spread!r}")
        if not 0 <= stubbornness < 1:
            raise ValueError(f"stubbornness must be at least 0 and less than 1, not {stubbornness!r}")
        if not 1 <= patience <= 100:
            raise ValueError(f"patience must be 1 to 100, not {patience!r}")
        self.role, self.spread, self.stubbornness, self.patience = role, spread, stubbornness, patience

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a thing, its prices and the partner's limit; the partner names a price."""
        self._rng = rng
        self._buys = self.role == "buyer" or (self.role == "any" and rng.integers(2) == 0)
        size = int(rng.integers(len(_STEPS)))
        self._thing = _THINGS[size][int(rng.integers(len(_THINGS[size])))]
        self._opening = self.spread + _MARGIN
        self._step = _STEPS[size] if self._buys else -_STEPS[size]
        lowest = int(rng.integers(8, 30)) * _STEPS[size]
        self._base = lowest if self._buys else lowest + self._opening * _STEPS[size]
        self._limit = int(rng.integers(self.spread + 1))
        self._worth = self.spread + int(rng.integers(1, _MARGIN + 1))
        self._asked, self._offered = self._opening, 0
        limits = sorted((self._price(0), self._price(self.spread)))
        told = f"worth {self._price(self._worth)} to you. my {{}} price is one of {limits[0]} to {limits[1]}"
        if self._buys:
            deed, told, says = "you buy my", told.format("lowest"), "i ask"
        else:
            deed, told, says = "you sell me your", told.format("highest"), "i offer"
        steps = f"in steps of {abs(self._step)}"
        return f"{deed} {self._thing}. it is {told}, {steps}. {says} {self._price(self._asked)}. your price?"

    def instance(self) -> str:
        """The thing, its prices and your limit; the partner's is not told."""
        return f"{self._thing} {self._base} {self._step} {self._worth}"

    def step(self, action: str) -> Turn:
        """Name a price, accept, refuse or leave; the partner answers."""
        said = read_offer(action)
        if isinstance(said, float | int):
            place = self._place(said)
            if place >= self._asked <= self._worth:
                return self._deal(self._asked)
            return self._own_limit() if place > self._worth else self._answer(place)
        match said:
            case "accept":
                return self._deal(self._asked) if self._asked <= self._worth else self._own_limit()
            case "refuse":
                return self._answer(self._offered)
            case "leave":
                return self._no_deal("no deal then. goodbye.")
            case _:
                return Turn("name a price, or say deal.", _UNUSABLE)

    def valid_actions(self) -> list[str]:
        """The prices between the best one and the partner's, within your limit; yes, no and the way out."""
        prices = [self._say(place) for place in range(min(self._asked, self._worth + 1))]
        return [*["deal"][: self._asked <= self._worth], *prices, "no", "i walk away"]

    def expert_action(self) -> str:
        """The price with the highest expected share of the surplus."""
        if self._asked == self._limit:  # the partner said so
            return "deal"
        best = plan(self.spread, self._opening, self._worth, self.stubbornness, self.patience)
        value, place = best[self._asked, self._offered]
        if not value:
            return "i walk away"
        return "deal" if place == self._asked else self._say(place)

    def _price(self, place: int) -> int:
        return self._base + self._step * place

    def _place(self, price: float) -> int:
        """The steps from your best price; what lies between two counts as the better one for you."""
        return math.floor((price - self._base) / self._step)

    def _say(self, place: int) -> str:
        return f"i offer {self._price(place)}"

    def _answer(self, place: int) -> Turn:
        """The partner goes towards you as far as it will, and takes your price if it then is as good."""
        raised = max(0, place - self._offered)
        chances = strides(raised, self.stubbornness)
        steps = int(self._rng.choice(len(chances), p=chances))
        leaves = self._rng.random() < break_off(self.patience, raised > 0)
        before = self._asked
        self._asked = max(self._limit, before - steps)
        self._offered = max(self._offered, place)
        if self._offered >= self._asked and place == self._offered:
            return self._deal(place)
        if leaves:
            return self._no_deal("no. this leads nowhere. no deal.")
        price = self._price(self._asked)
        if self._asked == self._limit:
            return Turn(f"no. {price} is my last price.")
        return Turn(f"no. i stay at {price}." if self._asked == before else f"no. i can go to {price}.")

    def _own_limit(self) -> Turn:
        compared = "more" if self._buys else "less"
        return Turn(f"that is {compared} than it is worth to you.", _UNUSABLE)

    def _deal(self, place: int) -> Turn:
        share = (self._worth - place) / (self._worth - self._limit)
        text = f"deal at {self._price(place)}. my last price was {self._price(self._limit)}."
        return Turn(text, share, True, {"success": share >= 0.5, "agreed": True})

    def _no_deal(self, text: str) -> Turn:
        return Turn(text, 0.0, True, {"success": False, "agreed": False})
