"""Find the best of several arms while earning, told as a story."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from textenvs.game import Game, Turn
from textenvs.parsing import mended, nearest, number, option, words


class _Story(NamedTuple):
    """What the arms are called: ``one`` of them, the reply when it pays and when not, and names to draw from."""

    one: str
    paid: str
    unpaid: str
    names: str


_STORIES = (
    _Story(
        "slot machine",
        "it pays a coin.",
        "it pays nothing.",
        "amber black blue green grey indigo orange pink red silver violet white",
    ),
    _Story(
        "restaurant",
        "the meal is good.",
        "the meal is bad.",
        "basil cactus dragon falcon garden harbour lantern mill palace rose tower windmill",
    ),
    _Story(
        "lake",
        "you catch a fish.",
        "you catch nothing.",
        "bear crow deer eagle fox goose heron moose otter raven swan wolf",
    ),
    _Story(
        "advert",
        "a visitor clicks.",
        "nobody clicks.",
        "bicycle camera guitar jacket kettle laptop mirror pillow scarf teapot umbrella watch",
    ),
)
_MOST_ARMS = 10


class Bandit(Game):
    """TextBandit-v0: earn as much as possible from arms of which one pays best.

    ## Description

    A Bernoulli bandit told as a story of slot machines, restaurants, lakes or adverts. One of the arms is the best: it
    pays with probability (1 + ``gap``) / 2, each of the others with (1 - ``gap``) / 2. Which one it is, the story and
    the names of the arms are drawn in every episode.

    ## Example transcript

    ```
    3 adverts: mirror, scarf, bicycle. one is good in 80% of the tries, each other in 20%. you have 6 tries. which
    advert?
    > mirror
    nobody clicks.
    > scarf
    a visitor clicks.
    > scarf
    a visitor clicks.
    > scarf
    a visitor clicks.
    > scarf
    a visitor clicks.
    > scarf
    a visitor clicks. that was the last try: 5 of 6 were good.
    ```

    ## Observation

    The opening names the arms, both probabilities and how many pulls there are; each reply says whether the arm paid,
    the last one also how often an arm paid in all.

    ## Action

    Free text with the name of one arm in it, small misspellings allowed (``red``, ``I try the lantern``), in a sentence
    those of five letters or more, or without a name its number in the order of the opening (``2``, ``the number two``).
    Anything else, such as two names, uses up a pull and pays nothing.

    ## Reward

    1 when the arm pays, else 0.

    ## Episode end

    Terminated after the last pull. There is no success; ``best`` in the last turn's info is the share of the pulls that
    went to the best arm.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``arms`` | 2 | 4 | 5 | how many arms (2 to 10) |
    | ``gap`` | 0.6 | 0.5 | 0.2 | how much more often the best arm pays; the smaller, the more noise |
    | ``pulls`` | 20 | 20 | 40 | turns of an episode, and ``max_turns`` |

    ## Expert

    Exact: the arm whose payments most exceed its failures, the first of equal ones. That is the arm most probably
    the best, and for one better arm among equal others such a player is optimal over any number of pulls (Feldman
    1962 for two arms; Rodman 1978, "On the many-armed bandit problem", for more). On test episodes it earns 15.0,
    12.2 and 19.7 on average at easy, medium and hard; random play 9.8, 7.3 and 17.8.

    ## Source

    Krishnamurthy et al. 2024, "Can large language models explore in-context?": medium has the arms and the gap of their
    easy instance, hard those of their hard one, with fewer pulls (theirs are 100) and with the probabilities told. The
    stories are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"arms": 2, "gap": 0.6},
        "medium": {},
        "hard": {"arms": 5, "gap": 0.2, "pulls": 40},
    }

    def __init__(self, arms: int = 4, gap: float = 0.5, pulls: int = 20) -> None:
        if not 2 <= arms <= _MOST_ARMS:
            raise ValueError(f"arms must be 2 to {_MOST_ARMS}, not {arms!r}")
        if not 0 < gap <= 1:
            raise ValueError(f"gap must be above 0 and at most 1, not {gap!r}")
        if not 1 <= pulls <= 200:
            raise ValueError(f"pulls must be 1 to 200, not {pulls!r}")
        self.arms, self.gap, self.pulls = arms, gap, pulls
        self.max_choices, self.max_turns = arms, pulls

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a story, names and the best arm."""
        self._rng = rng
        self._story = _STORIES[int(rng.integers(len(_STORIES)))]
        self._names = tuple(rng.permutation(self._story.names.split())[: self.arms].tolist())
        self._best = int(rng.integers(self.arms))
        self._pulled = [0] * self.arms
        self._paid = [0] * self.arms
        self._turns = 0
        others = "the other" if self.arms == 2 else "each other"
        return (
            f"{self.arms} {self._story.one}s: {', '.join(self._names)}. one is good in {self._chance(1):g}% of the "
            f"tries, {others} in {self._chance(-1):g}%. you have {self.pulls} tries. which {self._story.one}?"
        )

    def instance(self) -> str:
        """The arms; nothing tells at first which is best."""
        return f"{self._story.one}s {' '.join(self._names)}"

    def step(self, action: str) -> Turn:
        """Pull an arm."""
        self._turns += 1
        arm = self._read(action)
        if arm is None:
            return self._reply(f"name one {self._story.one}: {', '.join(self._names)}.", paid=False)
        paid = bool(self._rng.random() < self._chance(1 if arm == self._best else -1) / 100)
        self._pulled[arm] += 1
        self._paid[arm] += paid
        return self._reply(self._story.paid if paid else self._story.unpaid, paid)

    def valid_actions(self) -> list[str]:
        """The names of the arms."""
        return list(self._names)

    def expert_action(self) -> str:
        """The arm that is most probably the best."""
        leads = [2 * paid - pulled for paid, pulled in zip(self._paid, self._pulled, strict=True)]
        return self._names[leads.index(max(leads))]

    def _chance(self, sign: int) -> float:
        """In percent, of the best arm (1) or another (-1)."""
        return 50 * (1 + sign * self.gap)

    def _read(self, text: str) -> int | None:
        said = words(text)
        mend = mended if len(said) > 1 else nearest
        named = option(" ".join(mend(word, self._names) for word in said), self._names)
        if named is not None:
            return self._names.index(named)
        place = None if any(name in said for name in self._names) else number(text)
        return place - 1 if place is not None and 1 <= place <= self.arms else None

    def _reply(self, text: str, paid: bool) -> Turn:
        if self._turns < self.pulls:
            return Turn(text, float(paid))
        text = f"{text} that was the last try: {sum(self._paid)} of {self.pulls} were good."
        return Turn(text, float(paid), True, {"best": self._pulled[self._best] / self.pulls})
