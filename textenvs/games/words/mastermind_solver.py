"""Mastermind's feedback and a code breaker that is near the optimum."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_EVENNESS, _HIT = 0.5, 0.4  # weights against one more possible answer, of even parts and of a guess that may be right
_LATE = 10  # what a guess after the (pegs + 1)-th counts
_BUDGET = 1 << 19  # so many pairs of a guess and a code at most are compared at once
_SEARCHED, _TRIED = 40, 3  # among so many codes at most, so many guesses are tried out

Codes = NDArray[np.int8]
Numbers = NDArray[np.uint16]  # of codes in ``all_codes``


@lru_cache(maxsize=16)
def all_codes(pegs: int, colours: int) -> Codes:
    """All codes ``(colours ** pegs, pegs)`` in numerical order; the colours count from 0."""
    return np.ascontiguousarray(np.indices((colours,) * pegs, np.int8).reshape(pegs, -1).T)


@lru_cache(maxsize=16)
def all_numbers(size: int) -> Numbers:
    """The numbers ``(size,)`` of so many codes."""
    return np.arange(size, dtype=np.uint16)


def feedback(guesses: Codes, codes: Codes, colours: int) -> NDArray[np.int64]:
    """What each code says to each guess, ``(guesses, codes)``: ``black * (pegs + 1) + white``."""
    pegs = guesses.shape[1]
    black = np.zeros((len(guesses), len(codes)), np.int8)
    common = black.copy()
    for peg in range(pegs):
        black += guesses[:, None, peg] == codes[None, :, peg]
    for colour in range(colours):
        common += np.minimum.outer(*((rows == colour).sum(axis=1, dtype=np.int8) for rows in (guesses, codes)))
    return black.astype(np.int64) * pegs + common


@lru_cache(maxsize=1 << 11)
def best_guess(pegs: int, colours: int, left: bytes, used: int) -> int:
    """The number of the code to guess when ``used`` guesses were made and ``left`` (as bytes) are possible."""
    possible = np.frombuffer(left, np.uint16)
    if len(possible) <= 2:
        return int(possible[0])
    if len(possible) > _SEARCHED or len(possible) * colours**pegs > _BUDGET:
        return int(_promising(pegs, colours, possible)[0])
    return _search(pegs, colours, left, used)[1]


@lru_cache(maxsize=1 << 14)
def _search(pegs: int, colours: int, left: bytes, used: int) -> tuple[int, int]:
    """The sum of guesses over the codes left, and the first guess, when only promising guesses are tried."""
    possible = np.frombuffer(left, np.uint16)
    cost = 1 if used <= pegs else _LATE
    if len(possible) == 1:
        return cost, int(possible[0])
    codes, best = all_codes(pegs, colours), (1 << 40, -1)
    for guess in _promising(pegs, colours, possible):
        answers = feedback(codes[guess : guess + 1], codes[possible], colours)[0]
        if (answers == answers[0]).all():  # it tells nothing
            continue
        total = cost * len(possible)
        for answer in np.unique(answers):
            if answer != pegs * (pegs + 1):
                total += _search(pegs, colours, possible[answers == answer].tobytes(), used + 1)[0]
        best = min(best, (total, int(guess)))
    return best


def _promising(pegs: int, colours: int, possible: Numbers) -> Numbers:
    """The guesses that split the codes into the most parts, of nearly equal ones those with more even parts and those
    that may be right; best first, and only one of those that split alike."""
    codes = all_codes(pegs, colours)
    if len(possible) == len(codes):
        guesses = _first_guesses(codes)
    elif len(possible) == 2:
        return possible[:1]
    else:
        guesses = np.arange(len(codes), dtype=np.uint16)
        if len(codes) * len(possible) > _BUDGET:
            guesses = possible[:: -(-(len(possible) ** 2) // _BUDGET)]
    bins = (pegs + 1) ** 2
    answers = feedback(codes[guesses], codes[possible], colours) + bins * np.arange(len(guesses))[:, None]
    sizes = np.bincount(answers.ravel(), minlength=bins * len(guesses)).reshape(-1, bins)
    merit = (sizes > 0).sum(axis=1) - _EVENNESS * (sizes.astype(float) ** 2).sum(axis=1) / len(possible) ** 2
    merit += _HIT * (sizes[:, pegs * (pegs + 1)] > 0)
    order = np.argsort(-merit.round(9), kind="stable")
    _, first = np.unique(merit[order].round(9), return_index=True)
    return guesses[order[np.sort(first)[:_TRIED]]]


def _first_guesses(codes: Codes) -> Numbers:
    """The codes whose colours first occur in order: the first guess may be one of them, as colours are alike."""
    before = np.maximum.accumulate(np.column_stack([np.full(len(codes), -1, np.int8), codes]), axis=1)[:, :-1]
    return np.flatnonzero((codes <= before + 1).all(axis=1)).astype(np.uint16)
