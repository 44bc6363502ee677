"""Nim against an opponent from random to perfect."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, reduce
from operator import xor
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.board.opponents import STALLING, ending, numbered, skill, unusable
from textenvs.parsing import nearest, number, option, words

_COLOURS = ("red", "blue", "green", "white", "black")
_ALL = frozenset(("all", "everything", "whole", "entire", "every"))

Heaps = tuple[int, ...]  # stones of each heap
Move = tuple[int, int]  # which heap, and how many stones


class Nim(Game):
    """TextNim-v0: take stones from heaps so that you, and not the opponent, get the last one.

    ## Description

    There are heaps of stones, each of another colour. You and the opponent take stones in turn, as many as you like
    but at least one, all of one heap. In normal play who takes the last stone of all wins, in misère play who takes it
    loses. You begin, in a random position from which perfect play wins. With probability ``opponent`` the opponent
    makes a perfect move (one that leaves you without a forced win, where there is one), else any move; all moves that
    come into question are as probable.

    ## Example transcript

    ```
    nim: red 6, blue 5, green 4. we take stones in turn, any number of one colour. who takes the last stone of all
    wins. you begin.
    > take 5 red
    i take 1 red: blue 5, green 4.
    > take 1 blue
    i take 1 blue: blue 3, green 4.
    > take 1 green
    i take 2 green: blue 3, green 1.
    > take 2 blue
    i take 1 green: blue 1.
    > take 1 blue
    you take the last stone, you win.
    ```

    ## Observation

    The opening gives the heaps and the rule; each reply says what the opponent took and gives the heaps that are left.

    ## Action

    Free text with a number of stones and a colour: ``take 3 red``, ``two from the blue heap``, ``all of the green
    ones``. Several colours or numbers, a heap that is gone and more stones than there are are not understood.

    ## Reward

    1 for a win, -1 for a loss. An utterance that is no legal move costs 0.1 and leaves the heaps as they are;
    ``max_turns`` leaves room for so many of them that to stall costs more than to lose.

    ## Episode end

    Terminated when the last stone is taken (``success``: you won); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``heaps`` | 3 | 3 | 4 | number of heaps (2 to 5) |
    | ``most`` | 5 | 7 | 7 | the most stones of a heap at the start (2 to 10) |
    | ``opponent`` | 0.25 | 0.5 | 0.9 | probability of a perfect move; ``"random"`` is 0, ``"perfect"`` is 1 |
    | ``misere`` | false | false | true | whether the last stone loses |
    | ``max_turns`` | 19 | 22 | 25 | truncation: half of the most stones there can be, and eleven more |

    There are 113, 301 and 2,101 starts at easy, medium and hard.

    ## Expert

    Exact: it leaves a nim-sum of zero (Bouton 1901), in misère play an odd number of heaps when all that are left are
    single stones, and so wins always. Where a mistake has left it no forced win, it makes the move with the best
    expected result against this opponent. Its mean return is 1 at all levels; random moves have -0.26, -0.47 and
    -0.85 at easy, medium and hard and win 37%, 27% and 7% of the episodes.

    ## Source

    C. L. Bouton, "Nim, a game with a complete mathematical theory" (1901); as in OpenSpiel (``nim``) and TextArena
    (``Nim-v0``), with an opponent of a given skill and random heaps.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"most": 5, "opponent": 0.25},
        "medium": {},
        "hard": {"heaps": 4, "opponent": 0.9, "misere": True},
    }

    def __init__(self, heaps: int = 3, most: int = 7, opponent: float | str = 0.5, misere: bool = False) -> None:
        if not 2 <= heaps <= len(_COLOURS):
            raise ValueError(f"heaps must be 2 to {len(_COLOURS)}, not {heaps!r}")
        if not 2 <= most <= 10:
            raise ValueError(f"most must be 2 to 10, not {most!r}")
        if misere not in (True, False):
            raise ValueError(f"misere must be True or False, not {misere!r}")
        self.heaps, self.most, self.skill, self.misere = heaps, most, skill(opponent), bool(misere)
        self.max_choices = heaps * most
        self.max_turns = (heaps * most + 1) // 2 + STALLING

    def reset(self, rng: np.random.Generator) -> str:
        """Draw heaps from which the player, who begins, can win."""
        self._rng = rng
        self._heaps: Heaps = ()
        while not self._heaps or not won(self._heaps, self.misere):
            self._heaps = tuple(rng.integers(1, self.most + 1, size=self.heaps).tolist())
        self._start = self._heaps
        fate = "loses" if self.misere else "wins"
        return (
            f"nim: {self._shown()}. we take stones in turn, any number of one colour. who takes the last stone of all "
            f"{fate}. you begin."
        )

    def instance(self) -> str:
        """The heaps at the start."""
        return " ".join(map(str, self._start))

    def step(self, action: str) -> Turn:
        """Take stones; the opponent takes some too."""
        named = option(" ".join(nearest(word, _COLOURS) for word in words(action)), _COLOURS)
        there = self._left().get(named or "", 0)
        if named is None or not there:
            return unusable(f"say how many stones of which colour: {', '.join(self._left())}.")
        stones = _stones(action, named, there)
        if stones is None:
            return unusable(f"say how many {named} stones, 1 to {there}.")
        self._heaps = after(self._heaps, (_COLOURS.index(named), stones))
        if not any(self._heaps):
            lost = self.misere
            return ending(f"you take the last stone, you {'lose' if lost else 'win'}.", -1.0 if lost else 1.0)
        heap, stones = self._reply()
        took = f"i take {stones} {_COLOURS[heap]}"
        if any(self._heaps):
            return Turn(f"{took}: {self._shown()}.")
        took = f"{took}, the last {'stone' if stones == 1 else 'stones'}."
        return ending(f"{took} you win.", 1.0) if self.misere else ending(f"{took} you lose.", -1.0)

    def valid_actions(self) -> list[str]:
        """All moves, heap by heap."""
        return [_said(move) for move in moves(self._heaps)]

    def expert_action(self) -> str:
        """A move that keeps the win, or the one with the best expected result against this opponent."""
        return _said(best_move(self._heaps, self.misere, self.skill))

    def _reply(self) -> Move:
        """The opponent moves; what it took."""
        possible = moves(self._heaps)
        move = possible[int(self._rng.choice(len(possible), p=policy(self._heaps, self.misere, self.skill)))]
        self._heaps = after(self._heaps, move)
        return move

    def _shown(self) -> str:
        return ", ".join(f"{colour} {stones}" for colour, stones in self._left().items())

    def _left(self) -> dict[str, int]:
        """The stones of each heap that is left, by its colour."""
        return {colour: stones for colour, stones in zip(_COLOURS, self._heaps, strict=False) if stones}


def moves(heaps: Heaps) -> list[Move]:
    """All legal moves, heap by heap."""
    return [(heap, taken) for heap, stones in enumerate(heaps) for taken in range(1, stones + 1)]


def after(heaps: Heaps, move: Move) -> Heaps:
    """The heaps after a move."""
    heap, taken = move
    return (*heaps[:heap], heaps[heap] - taken, *heaps[heap + 1 :])


def won(heaps: Heaps, misere: bool) -> bool:
    """Whether the mover can force a win."""
    if max(heaps) > 1:
        return reduce(xor, heaps) != 0
    return sum(heaps) % 2 != misere


def policy(heaps: Heaps, misere: bool, skill: float) -> list[float]:
    """The probabilities of the opponent's ``moves``: one that keeps a win with probability ``skill``, else any."""
    keeps = [not won(after(heaps, move), misere) for move in moves(heaps)]
    if not any(keeps):
        return [1 / len(keeps)] * len(keeps)
    return [(1 - skill) / len(keeps) + skill * kept / sum(keeps) for kept in keeps]


def best_move(heaps: Heaps, misere: bool, skill: float) -> Move:
    """The move with the best expected result against an opponent of this skill; the first of equally good ones."""
    return max(moves(heaps), key=lambda move: round(_replied(_sorted(after(heaps, move)), misere, skill), 12))


@lru_cache(maxsize=1 << 15)
def outlook(heaps: Heaps, misere: bool, skill: float) -> float:
    """The expected result, -1 to 1, of the best play for the mover against such an opponent."""
    if won(heaps, misere):
        return 1.0
    return max((_replied(_sorted(after(heaps, move)), misere, skill) for move in moves(heaps)), default=-1.0)


@lru_cache(maxsize=1 << 15)
def _replied(heaps: Heaps, misere: bool, skill: float) -> float:
    """The player's expected result where the opponent is to move."""
    if not won(heaps, misere):
        return 1.0
    if not any(heaps):  # in misère play the player took the last stone
        return -1.0
    chances = policy(heaps, misere, skill)
    replies = [_sorted(after(heaps, move)) for move in moves(heaps)]
    return sum(p * outlook(reply, misere, skill) for p, reply in zip(chances, replies, strict=True) if p)


def _sorted(heaps: Heaps) -> Heaps:
    """The same position whatever the order of its heaps, so that it is looked at once."""
    return tuple(sorted(heaps))


def _said(move: Move) -> str:
    return f"take {move[1]} {_COLOURS[move[0]]}"


def _stones(action: str, colour: str, there: int) -> int | None:
    """How many stones of a heap of so many an utterance names."""
    plain = action.lower().replace(f"{colour} one", colour)  # "two of the red one" names no other number
    named = numbered(plain, "stone", there)
    if _ALL.isdisjoint(words(plain)):
        return named
    return there if named == there or number(plain) is None else None
