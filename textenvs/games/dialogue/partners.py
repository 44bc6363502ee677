"""Partners in a division: what they ask for, how they give way, and the best play against one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from textenvs.games.dialogue.division import Split

TOTAL = 10  # what all things together are worth, to each side
_FEWEST = 5  # things in a pool
_DIVISIONS = 30  # of a pool, at most
_WORTH_WHILE = 3  # a partner that cannot be brought to leave as much is not drawn


class Partner(NamedTuple):
    """How a partner bargains, in points of its own.

    Attributes:
        opening: what it asks for at first.
        least: what it never goes below.
        step: the most that it gives way at once when it is offered more than ever before; else as much as it gained.
        idle: how much it gives way at any other proposal.
    """

    opening: int
    least: int
    step: int
    idle: int

    def give_way(self, demand: int, gain: int) -> int:
        """Its demand after a proposal that offers ``gain`` more than any before."""
        return max(self.least, demand - (min(self.step, gain) if gain > 0 else self.idle))


PARTNERS = {"fair": Partner(8, 4, 3, 1), "firm": Partner(9, 5, 2, 0), "greedy": Partner(10, 6, 1, 0)}


def worth(split: Split, values: Split) -> int:
    """The points of a share."""
    return sum(n * value for n, value in zip(split, values, strict=True))


def rest(pool: Split, split: Split) -> Split:
    """What a share leaves."""
    return tuple(most - n for most, n in zip(pool, split, strict=True))


@cache
def divisions(pool: Split) -> tuple[Split, ...]:
    """All shares of a pool."""
    return tuple(product(*(range(most + 1) for most in pool)))


@cache
def pools(most: int) -> tuple[Split, ...]:
    """The pools of five to ``most`` things, at least one of each, with at most thirty divisions."""
    drawn = product(range(1, most), repeat=3)
    return tuple(pool for pool in drawn if _FEWEST <= sum(pool) <= most and len(divisions(pool)) <= _DIVISIONS)


@cache
def all_values(pool: Split) -> tuple[Split, ...]:
    """The values of the three things by which the pool is worth ten."""
    return tuple(v for v in product(range(TOTAL + 1), repeat=len(pool)) if worth(pool, v) == TOTAL)


def draw_values(pool: Split, rng: np.random.Generator) -> tuple[Split, Split]:
    """Both sides' values: nothing is worthless to both, something is worth having for both."""
    known = all_values(pool)
    while True:
        own, theirs = (known[int(rng.integers(len(known)))] for _ in range(2))
        pairs = list(zip(own, theirs, strict=True))
        if all(a or b for a, b in pairs) and any(a and b for a, b in pairs):
            return own, theirs


@cache
def asked(pool: Split, theirs: Split, demand: int) -> Split:
    """What a partner leaves to the agent when it asks for ``demand``: of its shares worth that much those of least
    worth, of these the smallest one, and the first of these in the order of ``divisions``."""

    def dear(share: Split) -> tuple[int, int]:
        return worth(share, theirs), sum(share)

    return rest(pool, min((s for s in divisions(pool) if worth(s, theirs) >= demand), key=dear))


class Plan:
    """The best play against a partner whose values and way of bargaining are known, by dynamic programming.

    A partner's state is how many of the agent's turns are left, its demand, and the most that it was offered.
    """

    def __init__(self, pool: Split, own: Split, theirs: Split, partner: Partner) -> None:
        self.pool, self.own, self.theirs, self.partner = pool, own, theirs, partner
        best: dict[int, tuple[int, Split]] = {}  # the best share for each worth of what it leaves
        for split in divisions(pool):
            left, mine = worth(rest(pool, split), theirs), worth(split, own)
            if left not in best or mine > best[left][0]:
                best[left] = mine, split
        self._offers = sorted(best.items(), reverse=True)
        self._known: dict[tuple[int, int, int], tuple[int, int, Split]] = {}

    def value(self, turns: int, demand: int, offered: int) -> int:
        """The most points that can still be had."""
        return self._solve(turns, demand, offered)[0] if turns else 0

    def split(self, turns: int, demand: int, offered: int) -> Split:
        """The share to take or to propose now: for the most points, then the fewest turns."""
        return self._solve(turns, demand, offered)[2]

    def _solve(self, turns: int, demand: int, offered: int) -> tuple[int, int, Split]:
        state = turns, demand, offered
        if state not in self._known:
            self._known[state] = max(self._options(*state), key=lambda option: option[:2])
        return self._known[state]

    def _options(self, turns: int, demand: int, offered: int) -> Iterator[tuple[int, int, Split]]:
        for left, (mine, split) in self._offers:
            if left >= demand:
                yield mine, 0, split
            elif turns > 1:
                after = self.partner.give_way(demand, left - offered)
                points, soon, _ = self._solve(turns - 1, after, max(offered, left))
                yield points, soon - 1, split


def draw(most: int, partner: Partner, turns: int, rng: np.random.Generator) -> tuple[Split, Plan]:
    """A pool and the plan of an episode that is worth playing."""
    known = pools(most)
    while True:
        pool = known[int(rng.integers(len(known)))]
        plan = Plan(pool, *draw_values(pool, rng), partner)
        if plan.value(turns, partner.opening, 0) >= _WORTH_WHILE:
            return pool, plan
