"""What the games against an opponent share: how skilled it is, and what an unusable utterance costs."""

from __future__ import annotations

from textenvs.game import Turn

UNUSABLE_COST = 0.1
STALLING = 11  # turns beyond the longest game: to spend them all on unusable utterances costs more than to lose
_NAMED = {"random": 0.0, "perfect": 1.0}


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
