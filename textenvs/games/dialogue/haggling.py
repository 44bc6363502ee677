"""Haggling over a price: the reading of offers, and the best play against the scripted partner."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate
from math import comb

from textenvs.games.dialogue.stances import stance
from textenvs.parsing import MAX_CHARACTERS, number

STRIDE = 3  # steps that the partner goes at most in one turn
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}\b)")
_AMOUNT = re.compile(r"(?<![0-9.])([0-9]{1,7}(?:\.[0-9]{1,2})?)[0-9]*(k\b)?")
_DENIED = re.compile(r"(?:\b(?:not|never|cannot|cant|wont|instead of|rather than)|n't)(?: \w+)? [$€£]?$")


def read_offer(text: str) -> float | str:
    """The price that a text offers, else its ``stance``.

    Of several prices the last one counts; one that is turned down (``not 50``, ``i won't pay 50``, ``instead of 50``)
    does not, unless as a limit (``not more than 50``).
    """
    text = _THOUSANDS.sub("", text[:MAX_CHARACTERS].lower().replace("’", "'"))
    amounts = [
        float(found[1]) * (1000 if found[2] else 1)
        for found in _AMOUNT.finditer(text)
        if not _DENIED.search(text[: found.start()])
    ]
    if amounts:
        return amounts[-1]
    spelled = None if _AMOUNT.search(text) else number(text)
    return spelled if spelled is not None and spelled > 1 else stance(text)  # "one" is mostly a pronoun


@lru_cache(maxsize=512)
def plan(
    spread: int, opening: int, worth: int, firmness: float, patience: int
) -> dict[tuple[int, int], tuple[float, int]]:
    """The best play by dynamic programming, where prices are steps from the player's best one.

    The partner's limit is equally likely any of 0 to ``spread`` below what it asks now: it tells when it has reached
    its limit, and up to then what it does does not depend on it.

    Args:
        spread: the highest limit that the partner may have.
        opening: what it asks at first.
        worth: the player's own limit, above ``spread``.
        firmness: probability that the partner does not answer a step by one of its own.
        patience: see ``break_off``.

    Returns:
        (asked, offered) -> the expected share of the surplus and the price to say next, ``asked`` to accept.
    """
    shares = [0.0, *accumulate(1 / (worth - limit) for limit in range(spread + 1))]
    stays = 1 - break_off(patience, True)
    known: dict[tuple[int, int], tuple[float, int]] = {}
    for asked in range(1, opening + 1):
        limits = min(spread + 1, asked)  # 0 to limits - 1 are possible
        for offered in reversed(range(asked)):
            best = ((worth - asked) * shares[limits] / limits, asked) if asked <= worth else (0.0, offered)
            for price in range(offered + 1, min(asked, worth + 1)):
                total = 0.0
                for steps, chance in enumerate(strides(price - offered, firmness)):
                    after = asked - steps
                    if price >= after:
                        total += chance * (worth - price) * shares[min(price + 1, limits)]
                        total += chance * stays * max(0, limits - price - 1)
                    else:
                        total += chance * stays * max(0, limits - after)
                        total += chance * stays * min(after, limits) * known[after, price][0]
                if total / limits > best[0] + 1e-12:
                    best = total / limits, price
            known[asked, offered] = best
    return known


@lru_cache(maxsize=512)
def strides(raised: int, firmness: float) -> tuple[float, ...]:
    """The probabilities that the partner goes 0, 1, ... steps when the player goes ``raised``."""
    most = min(raised, STRIDE)
    return tuple(comb(most, n) * (1 - firmness) ** n * firmness ** (most - n) for n in range(most + 1))


def break_off(patience: int, raised: bool) -> float:
    """The probability that the partner ends a haggle after an offer that it turns down."""
    return 1 / (2 * patience) if raised else 1 / patience
