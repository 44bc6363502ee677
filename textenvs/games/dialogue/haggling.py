"""Haggling over a price: the reading of offers, and the best play against the scripted partner."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate
from math import comb

from textenvs.games.dialogue.stances import stance
from textenvs.parsing import MAX_CHARACTERS, in_digits, without_commas

STRIDE = 3  # steps that the partner goes at most in one turn
_AMOUNT = re.compile(r"(?<![0-9.])([0-9]{1,7}(?:\.[0-9]{1,2})?)[0-9]*(k\b)?")
_NO = r"(?:\b(?:not|never|cannot|cant|dont|wont)|n't)"
_WILLING = "able|afford|agree|even|go|going|have|just|like|possibly|prepared|ready|really|to|up|want|willing|wish"
# What is said before a price that is turned down or asked about, before one that is one only if nothing before it in
# the clause makes it a limit, and after one.
_DENIED = re.compile(
    rf"(?:{_NO}(?: (?:{_WILLING}))*(?: (?!above|below|beyond|exceed|over|past|under)\w+)?"
    r"|\b(?:instead of|rather than)(?: \w+)?|\bwhy(?! not| dont)(?: \w+){0,4}) [$€£]?$"
)
_BEYOND = re.compile(r"\b(?:less than|more than|under|below) [$€£]?$")
_LIMITED = re.compile(rf"(?:{_NO}|\b(?:no|nothing|refuse|unable))\b[^,.;:!?]*$")
_TOO_MUCH = re.compile(
    r"(?: dollars| euros)?(?:'s| is| are| seems| sounds| would be)?"
    r"(?: (?:a bit|a little|far|just|much|really|simply|still|way))* too (?:much|high|low|little|expensive|steep)\b"
    r"|(?: dollars| euros)?(?:'s| is| would be) "
    r"(?:(?:more|less) than (?:i|we|my|it)|(?:\w+ )?(?:high|steep|expensive))\b"
)
_YOURS = re.compile(r"\bis [$€£]?[0-9.]+k?(?: dollars| euros)? (?:really )?(?:the|your|final|firm|fixed|negotiable)\b")


def read_offer(text: str) -> float | str:
    """The price that a text offers, else its ``stance``.

    Of several prices the last one counts, of several in words the first; one that is turned down (``not 50``, ``i
    won't pay 50``, ``instead of 50``, ``50 is too much``, ``less than 50``) or asked about (``why 50?``, ``is 50 your
    last price?``) does not, unless as a limit (``not more than 50``).
    """
    said = without_commas(text[:MAX_CHARACTERS].lower().replace("’", "'"))
    figures = bool(_AMOUNT.search(said))
    told = _YOURS.sub("is it your", said if figures else in_digits(said))
    prices = [(found, float(found[1]) * (1000 if found[2] else 1)) for found in _AMOUNT.finditer(told)]
    if not figures:
        prices = [each for each in prices if each[1] > 1]  # "one" is mostly a pronoun
    offered = [price for found, price in prices if not _turned_down(told[: found.start()], told[found.end() :])]
    if offered:
        return offered[-1 if figures else 0]
    meant = stance(said)
    return "refuse" if meant == "unknown" and (prices or figures) else meant


def _turned_down(before: str, after: str) -> bool:
    """Whether a price between these two is no offer."""
    beyond = _BEYOND.search(before)
    return bool(_DENIED.search(before) or _TOO_MUCH.match(after) or (beyond and not _LIMITED.search(before)))


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
