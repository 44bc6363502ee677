"""Finding one of many objects by questions whose answers may be wrong: beliefs, and what to ask next."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from textenvs.games.dialogue.objects import table

EXACT = 12  # objects up to which the best question is searched for
_TINY = 1e-12


@cache
def fewest(most: int) -> NDArray[np.float64]:
    """``(most + 1,)``: the fewest questions on average before the guess that finds one of n equally likely objects.

    No player does with fewer, whatever the table: it is the optimum where any subset could be asked for.
    """
    cost = np.zeros(most + 1)
    for n in range(2, most + 1):
        sizes = np.arange(1, n // 2 + 1)
        split = 1 + ((sizes * cost[sizes] + (n - sizes) * cost[n - sizes]) / n).min()
        cost[n] = min((n - 1) / n * (1 + cost[n - 1]), split)
    return cost


def believe(prior: NDArray[np.float64], told: Mapping[int, bool], noise: float) -> NDArray[np.float64]:
    """``(objects,)``: the probabilities after the answers ``told`` of attributes, each wrong with probability
    ``noise``."""
    belief = prior.copy()
    for attribute, answer in told.items():
        belief *= np.where(table().holds[attribute] == answer, 1 - noise, noise)
    return belief / belief.sum()


def _entropy(belief: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits along the last axis."""
    logs = np.log2(belief, out=np.zeros_like(belief), where=belief > 0)
    return -(belief * logs).sum(axis=-1)


def _still(belief: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """About how many questions a belief ``(..., objects)`` still takes: those of as many equally likely objects as it
    has the entropy of, more if a noisy answer tells less than a bit."""
    costs = fewest(belief.shape[-1])
    told = 1 + noise * math.log2(noise) + (1 - noise) * math.log2(1 - noise) if noise else 1.0
    return np.interp(2 ** _entropy(belief), np.arange(len(costs)), costs) / told


def best_question(belief: NDArray[np.float64], asked: Collection[int], noise: float) -> int:
    """What to ask next: an attribute's index, or ``guess(i)`` for object ``i``.

    The optimum where the answers are right and at most ``EXACT`` objects are left, else the question after which the
    fewest are to be expected by ``_still``.
    """
    possible = np.flatnonzero(belief)
    if not noise and len(possible) <= EXACT:
        return search(tuple(possible.tolist()))[1]
    holds, top, others = table().holds, int(belief.argmax()), belief.copy()
    others[top] = 0.0
    left = others.sum()
    unasked = np.array([i for i in range(len(holds)) if i not in asked], np.int64)
    if left <= _TINY or not len(unasked):
        return guess(top)
    kept = np.where(holds[unasked], 1 - noise, noise) * belief  # (attributes, objects)
    costs = np.ones(len(unasked))
    for part in (kept, belief - kept):
        chance = part.sum(axis=1)
        costs += chance * _still(part / np.maximum(chance, _TINY)[:, None], noise)
    best = int(np.round(costs, 9).argmin())
    return int(unasked[best]) if costs[best] < left * (1 + float(_still(others / left, noise))) - _TINY else guess(top)


def guess(index: int) -> int:
    """How ``best_question`` names a guess; ``guess(guess(i))`` is ``i``."""
    return -1 - index


@lru_cache(maxsize=1 << 16)
def search(possible: tuple[int, ...]) -> tuple[float, int]:
    """The fewest questions on average before the right guess, by which of equally likely objects, and the first one.

    Branch and bound: ``fewest`` says what a question can lead to at best.
    """
    size, bound = len(possible), fewest(len(possible))
    if size == 1:
        return 0.0, guess(possible[0])
    columns = table().holds[:, possible]
    known: dict[bytes, int] = {}
    for index, column in enumerate(columns):
        known.setdefault((column ^ column[0]).tobytes(), index)  # a question and its contrary split alike
    options = []
    for index in known.values():
        yes = int(columns[index].sum())
        if 0 < yes < size:
            options.append((1 + (yes * bound[yes] + (size - yes) * bound[size - yes]) / size, index))
    options += [((size - 1) / size * (1 + bound[size - 1]), guess(index)) for index in possible]
    best = math.inf, guess(possible[0])
    for least, question in sorted(options):
        if least >= best[0] - _TINY:
            break
        best = min(best, (_cost(possible, question), question))
    return best


def _cost(possible: tuple[int, ...], question: int) -> float:
    """The questions on average that follow from asking ``question`` first."""
    size = len(possible)
    if question < 0:
        rest = tuple(i for i in possible if i != guess(question))
        return (size - 1) / size * (1 + search(rest)[0])
    holds = table().holds[question]
    parts = [tuple(i for i in possible if holds[i] == answer) for answer in (True, False)]
    return 1 + sum(len(part) * search(part)[0] for part in parts) / size
