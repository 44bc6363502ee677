"""What the games against an opponent share: its skill, the reading of a move's number, unusable utterances, the end."""

from __future__ import annotations

from itertools import pairwise

from textenvs.game import Turn
from textenvs.parsing import number, numbers, words

UNUSABLE_COST = 0.1
STALLING = 11  # turns beyond the longest game: to spend them all on unusable utterances costs more than to lose
_NAMED = {"random": 0.0, "perfect": 1.0}
_FIRST_TO_NINTH = "first second third fourth fifth sixth seventh eighth ninth"
_ORDINALS = {word: n for n, word in enumerate(_FIRST_TO_NINTH.split(), 1)}


def skill(opponent: float | str) -> float:
    """The probability of a perfect move of an opponent that is given by it or by name."""
    share = _NAMED.get(opponent) if isinstance(opponent, str) else opponent
    if share is None or not 0 <= share <= 1:
        names = " or ".join(map(repr, _NAMED))
        raise ValueError(
            f"opponent must be {names}, or the probability of a perfect move from 0 to 1, not {opponent!r}"
        )
    return share


def unusable(text: str) -> Turn:
    """The reply to an utterance that is no legal move; the player is to move still."""
    return Turn(text, -UNUSABLE_COST)


def ending(text: str, result: float) -> Turn:
    """The last turn of a game with a result: 1 is a win, whatever is less is none."""
    return Turn(text, result, True, {"success": result > 0})


def numbered(text: str, noun: str, most: int) -> int | None:
    """The one number from 1 to ``most`` that a text names: in digits, else as in ``third column``, else in words."""
    said = words(text)
    ordinals = {_ORDINALS[word] for word, after in pairwise(said) if word in _ORDINALS and after in (noun, "one")}
    named = set(numbers(text)) or ordinals or {n for word in said if (n := number(word)) is not None}
    return named.pop() if len(named) == 1 and 1 <= min(named) <= most else None
