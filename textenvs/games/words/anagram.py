"""Unscramble a word."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np

from textenvs import parsing
from textenvs.game import Game, Turn
from textenvs.games.words.english import english_words, is_listed

_LENGTHS = range(4, 9)
_TRY_COST = 0.1


class Anagram(Game):
    """TextAnagram-v0: find the English word that some letters make.

    ## Description

    The letters of a common English word are shuffled, all of them or all but the first, so that they make no word. Any
    word of the shipped list that uses each of the letters once is right. With ``feedback`` a wrong arrangement is
    answered by those of its letters that stand where they do in the word.

    ## Example transcript

    ```
    unscramble these letters to an english word: o t l n m e. you have 5 tries.
    > lemon
    use each of these letters once: o t l n m e. tries left: 4.
    > melton
    melton is no word. in their place: m _ l t _ n. tries left: 3.
    > molten
    yes, molten.
    ```

    ## Observation

    The opening gives the letters and the number of tries; each reply says what was wrong and how many tries are left.
    After the last one it gives the word.

    ## Action

    Free text with one arrangement of the letters in it, ``listen``, ``is it LISTEN?``, or spelled, ``l-i-s-t-e-n``;
    other words around it do not count, nor the letters as they were given. Without exactly one arrangement the try is
    wasted.

    ## Reward

    For the right word 1 less 0.1 for each try before; else 0.

    ## Episode end

    Terminated with the right word (``success``) or after the last try.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``length`` | 4 | 6 | 8 | letters of the word (4 to 8) |
    | ``tries`` | 6 | 5 | 4 | tries (1 to 10), and ``max_turns`` |
    | ``first`` | true | false | false | whether the first letter is in its place |
    | ``feedback`` | true | true | false | whether letters in their place are told |
    | ``words`` | 800 | 2500 | 5000 | words to draw from: the most common ones of this length |

    An instance is the set of letters, so that a word of the one split is no anagram of a word of the other.

    ## Expert

    Exact: it knows the list and says the most common word that the letters make, so that it always earns 1. Random text
    hardly ever earns anything.

    ## Source

    The ``Anagramania`` of KORGym (Shi et al. 2025), also in GEM, where the first letter is in its place and there is
    one try for 1 or 0; the anagram tasks of GPT-3 (Brown et al. 2020). Words: SCOWL 2020.12.07 (``scowl.txt``,
    ``scowl_copyright.txt``; free to use, copy, modify and distribute with its notices).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"length": 4, "tries": 6, "first": True, "words": 800},
        "medium": {},
        "hard": {"length": 8, "tries": 4, "feedback": False, "words": 5000},
    }

    def __init__(
        self, length: int = 6, tries: int = 5, first: bool = False, feedback: bool = True, words: int = 2500
    ) -> None:
        if length not in _LENGTHS:
            raise ValueError(f"length must be {_LENGTHS[0]} to {_LENGTHS[-1]}, not {length!r}")
        if not 1 <= tries <= 10:
            raise ValueError(f"tries must be 1 to 10, not {tries!r}")
        for name, value in (("first", first), ("feedback", feedback)):
            if value not in (True, False):
                raise ValueError(f"{name} must be True or False, not {value!r}")
        listed = english_words(length)
        if not 2 <= words <= len(listed):
            raise ValueError(f"words must be 2 to {len(listed)} for words of {length} letters, not {words!r}")
        self.length, self.tries, self.first, self.feedback = length, tries, bool(first), bool(feedback)
        self.max_turns = tries
        self._words = listed[:words]

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a word and shuffle its letters until they make none."""
        self._given = self._words[0]
        while is_listed(self._given):
            self._word = self._words[int(rng.integers(len(self._words)))]
            kept = self._word[: self.first]
            self._given = kept + "".join(rng.permutation(list(self._word[self.first :])))
        self._tries = 0
        place = " the first letter is in its place." if self.first else ""
        return (
            f"unscramble these letters to an english word: {' '.join(self._given)}.{place} you have {self.tries} "
            f"{'tries' if self.tries > 1 else 'try'}."
        )

    def instance(self) -> str:
        """The letters."""
        return _key(self._word)

    def step(self, action: str) -> Turn:
        """Compare an arrangement of the letters."""
        self._tries += 1
        said = self._read(action)
        if said is not None and is_listed(said):
            return Turn(f"yes, {said}.", 1 - _TRY_COST * (self._tries - 1), True, {"success": True})
        if said is None:
            told = f"use each of these letters once: {' '.join(self._given)}."
        elif self.feedback:
            told = f"{said} is no word. in their place: {self._placed(said)}."
        else:
            told = f"{said} is no word."
        if self._tries < self.tries:
            return Turn(f"{told} tries left: {self.tries - self._tries}.")
        return Turn(f"{told} no tries left, it was {self._word}.", 0.0, True, {"success": False})

    def expert_action(self) -> str:
        """The most common word of these letters."""
        return _anagrams(self.length)[_key(self._word)]

    def _placed(self, said: str) -> str:
        return " ".join(a if a == b else "_" for a, b in zip(said, self._word, strict=True))

    def _read(self, action: str) -> str | None:
        """The one arrangement of the letters that a text names or spells, other than the given one."""
        said = parsing.words(action)
        runs = ["".join(said[at : at + self.length]) for at in range(len(said)) if len(said[at]) == 1]
        key = _key(self._word)
        found = dict.fromkeys(word for word in [*said, *runs] if len(word) == self.length and _key(word) == key)
        named = [word for word in found if word != self._given] or list(found)
        return named[0] if len(named) == 1 else None


def _key(word: str) -> str:
    return "".join(sorted(word))


@cache
def _anagrams(length: int) -> dict[str, str]:
    """The most common word of each set of letters, sorted."""
    return {_key(word): word for word in reversed(english_words(length))}
