"""Wordle's feedback and a near-optimal guesser."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

GREY, YELLOW, GREEN = range(3)
_EVENNESS, _HIT = 0.5, 0.4  # weights against one more possible answer, of even parts and of a guess that may be right


@lru_cache(maxsize=1 << 12)
def letters(words: tuple[str, ...]) -> NDArray[np.uint8]:
    """ASCII codes ``(words, letters)`` of words of equal length."""
    return np.array([list(word.encode()) for word in words], np.uint8)


def feedback(guesses: NDArray[np.uint8], answers: NDArray[np.uint8]) -> NDArray[np.int16]:
    """What each answer says to each guess, ``(guesses, answers)``: colours as digits to base 3, the first one highest.

    A letter is yellow as often as the answer has it beyond the green ones, from left to right.
    """
    length = guesses.shape[1]
    guess, answer = guesses.T[:, :, None], answers.T[:, None, :]
    green = [guess[i] == answer[i] for i in range(length)]
    code = np.zeros((len(guesses), len(answers)), np.int16)
    for i in range(length):
        spare = np.zeros(code.shape, np.int8)  # of this letter: in the answer, less those used up to the left
        for j in range(length):
            spare += (answer[j] == guess[i]) & ~green[j]
            if j < i:
                spare -= (guess[j] == guess[i]) & ~green[j]
        code = 3 * code + np.where(green[i], GREEN, np.where(spare > 0, YELLOW, GREY)).astype(np.int16)
    return code


def coloured(guess: str, answer: str) -> list[int]:
    """``feedback`` of one guess and one answer, a colour for each letter."""
    found, spare = [], []
    for said, letter in zip(guess, answer, strict=True):
        if said == letter:
            found.append(GREEN)
        else:
            found.append(GREY)
            spare.append(letter)
    for i, said in enumerate(guess):
        if said in spare and found[i] == GREY:
            found[i] = YELLOW
            spare.remove(said)
    return found


@lru_cache(maxsize=8)
def _table(words: tuple[str, ...]) -> NDArray[np.int16]:
    matrix = letters(words)
    return np.concatenate([feedback(matrix[i : i + 64], matrix) for i in range(0, len(words), 64)])


@lru_cache(maxsize=1 << 14)
def best_guess(words: tuple[str, ...], left: bytes) -> str:
    """The word that splits the words still possible (``left``, a bool array's bytes) into the most parts."""
    possible = np.flatnonzero(np.frombuffer(left, np.bool_))
    if len(possible) <= 2:
        return words[possible[0]]
    codes = _table(words)[:, possible].astype(np.int64)
    bins = 3 ** len(words[0])
    scores = np.concatenate([_splits(codes[i : i + 512], bins) for i in range(0, len(words), 512)])
    scores[possible] += _HIT
    return words[int(scores.argmax())]


def _splits(codes: NDArray[np.int64], bins: int) -> NDArray[np.float64]:
    """How many parts each row of codes makes; less for parts of uneven sizes."""
    rows, columns = codes.shape
    sizes = np.bincount((codes + bins * np.arange(rows)[:, None]).ravel(), minlength=rows * bins).reshape(rows, bins)
    return (sizes > 0).sum(axis=1) - _EVENNESS * (sizes.astype(float) ** 2).sum(axis=1) / columns**2
