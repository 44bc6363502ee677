"""Guess a word from coloured letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from textenvs.game import Game, Turn
from textenvs.games.words.english import english_words, is_listed, read_word
from textenvs.games.words.wordle_solver import GREEN, GREY, YELLOW, best_guess, coloured, feedback, letters

_COLOURS = {GREY: " grey", YELLOW: " yellow", GREEN: " green"}
_TRIES = 6
_NAMED = 30  # so many words or fewer are named in the opening
_COMMON = 2300  # from so many words they are drawn
_CHOICES = 20


class Wordle(Game):
    """TextWordle-v0: guess a word in six tries from coloured letters.

    ## Description

    The game thinks of a word. Each guess has to be an English word of the same length; its letters are coloured green
    (in the right place), yellow (elsewhere in the word) or grey (not in the word, or not once more). A letter is green
    or yellow together no more often than the word has it.

    ## Example transcript

    ```
    guess a word of 5 letters in 6 tries. green: in the right place, yellow: elsewhere in the word, grey: not in it.
    > slate
    s green, l green, a grey, t grey, e grey.
    > chunk
    c grey, h grey, u grey, n grey, k grey.
    > slyly
    s green, l green, y grey, l grey, y green.
    > slimy
    yes, it is slimy.
    ```

    ## Observation

    The opening states the length and the colours; where there are 30 words or fewer to guess from, it names them. Each
    reply gives the letters of the guess with their colours.

    ## Action

    Free text with one English word of the right length in it: ``crane``, ``Is it CRANE?``, ``c r a n e``. Words around
    it such as *guess* or *about* do not count where there is another. Any word of the shipped list can be guessed, not
    only those that can be the answer. Several words, or one that is not listed, are refused, which takes up a try as
    in LMRL-Gym.

    The admissible utterances are the words named in the opening; where none are named, the expert's guess among 19
    random words.

    ## Reward

    0 for the hit, -1 for each other turn, as in LMRL-Gym.

    ## Episode end

    Terminated at the hit (``success``) or with the sixth guess; truncated after ``max_turns``, when the sixth try is
    not understood.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``length`` | 5 | 5 | 4 | letters: 4, 5 or 6 |
    | ``words`` | 25 | 2300 | 2500 | words that can be the answer: the most common ones; up to 30 are drawn and named |
    | ``max_turns`` | 6 | 6 | 6 | truncation |

    There can be 2 to 3000 words (2524 of four letters). Short words are harder to guess, as more of them differ in one
    letter only.

    ## Expert

    A script: of the words to guess from, the one whose colours split the words still possible into the most parts;
    between nearly equal ones, the more even parts and a possible answer are preferred. Over all 2300 words of medium it
    needs 3.45 guesses on average and never more than 6; the optimum on the original game's 2315 words is 3.42. It
    needs 2.2 at easy and 4.3 at hard, where it succeeds in 98.6% of the episodes. Random play succeeds in 22%, 8%
    and 5%.

    ## Source

    LMRL-Gym's Wordle (Abdulhai et al., 2023); also in GEM and TextArena. Words: SCOWL 2020.12.07
    (``scowl.txt``, ``scowl_copyright.txt``; free to use, copy, modify and distribute with its notices).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"words": 25},
        "medium": {},
        "hard": {"length": 4, "words": 2500},
    }
    max_turns = _TRIES

    def __init__(self, words: int = 2300, length: int = 5) -> None:
        if length not in (4, 5, 6):
            raise ValueError(f"length must be 4, 5 or 6, not {length!r}")
        listed = english_words(length)
        most = min(len(listed), 3000)
        if not 2 <= words <= most:
            raise ValueError(f"words must be 2 to {most} for words of {length} letters, not {words!r}")
        self.words, self.length = words, length
        self.max_choices = words if words <= _NAMED else _CHOICES
        self._words = listed[:words]

    def reset(self, rng: np.random.Generator) -> str:
        """Think of a word."""
        if self.words <= _NAMED:
            self._words = tuple(
                sorted(rng.choice(english_words(self.length)[:_COMMON], self.words, replace=False).tolist())
            )
        self._answer = int(rng.integers(self.words))
        self._decoys = rng.integers(self.words, size=(_TRIES, _CHOICES - 1))
        self._possible = np.ones(self.words, np.bool_)
        self._unread: list[str] = []
        self._tries = 0
        named = f" it is one of {', '.join(self._words)}." if self.words <= _NAMED else ""
        return (
            f"guess a word of {self.length} letters in {_TRIES} tries. green: in the right place, yellow: elsewhere in "
            f"the word, grey: not in it.{named}"
        )

    def instance(self) -> str:
        """The word, and those named."""
        word = self._words[self._answer]
        return f"{word} of {' '.join(self._words)}" if self.words <= _NAMED else word

    def step(self, action: str) -> Turn:
        """Colour a guess."""
        self._tries += 1
        guess = read_word(action, self.length)
        if guess is None:
            return Turn(f"say one word of {self.length} letters.", -1.0)
        if not is_listed(guess):
            return Turn(f"{guess} is not in my list. say another word.", -1.0)
        word = self._words[self._answer]
        if guess == word:
            return Turn(f"yes, it is {word}.", 0.0, True, {"success": True})
        self._unread.append(guess)
        told = [letter + _COLOURS[colour] for letter, colour in zip(guess, coloured(guess, word), strict=True)]
        reply = f"{', '.join(told)}."
        if self._tries < _TRIES:
            return Turn(reply, -1.0)
        return Turn(f"{reply} the word was {word}.", -1.0, True, {"success": False})

    def valid_actions(self) -> list[str]:
        """The words named in the opening, or the expert's guess among random words."""
        if self.words <= _NAMED:
            return list(self._words)
        decoys = (self._words[i] for i in self._decoys[min(self._tries, _TRIES - 1)])
        return sorted({self.expert_action(), *decoys})

    def expert_action(self) -> str:
        """The word that tells most about the words still possible; one of them in the last try."""
        if self._tries >= _TRIES - 1:
            return self._words[int(self._left.argmax())]
        return best_guess(self._words, self._left.tobytes())

    @property
    def _left(self) -> NDArray[np.bool_]:
        """Which words agree with all answers; brought up to date when asked for, which a player's step does not."""
        for guess in self._unread:
            codes = feedback(letters((guess,)), letters(self._words))[0]
            self._possible &= codes == codes[self._answer]
        self._unread.clear()
        return self._possible
