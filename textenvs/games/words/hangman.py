"""Guess a word letter by letter before the lives are gone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from string import ascii_lowercase
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from textenvs import parsing
from textenvs.game import Game, Turn
from textenvs.games.words.english import LENGTHS, english_words, is_listed, read_word


class Hangman(Game):
    """TextHangman-v0: guess a word letter by letter before your lives are gone.

    ## Description

    The game thinks of an English word and shows how many letters it has. You say letters: one that is in the word is
    shown wherever it occurs, another one costs a life. The whole word can be guessed too, at the same cost.

    ## Example transcript

    ```
    guess a word letter by letter: _ _ _ _ _ _. a miss costs one of your 6 lives.
    > e
    yes: _ _ e _ _ _.
    > r
    yes: _ r e _ _ _.
    > a
    yes: _ r e a _ _.
    > y
    yes: _ r e a _ y.
    > c
    not c. lives: 5.
    > d
    not d. lives: 4.
    > f
    yes: f r e a _ y.
    > k
    yes, it is freaky.
    ```

    ## Observation

    The opening gives the length and the lives; a hit is answered by the word as far as it is known, a miss by the
    lives left.

    ## Action

    Free text with one letter, ``e``, ``Is there an E?``, ``I say t``, or with an English word of the right length in
    it, ``banana``, ``is it banana?``. Several letters or words, and words that are not in the shipped list, are not
    understood and cost a turn but no life; so does saying something again.

    ## Reward

    The share of the letters of the word that the turn brought to light, so that the return is the share found: 1 for
    the whole word.

    ## Episode end

    Terminated when the word is found (``success``) or the lives are gone; truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``length`` | 8 | 6 | 5 | letters of the word (3 to 8) |
    | ``lives`` | 8 | 6 | 5 | misses that end the episode (1 to 20) |
    | ``words`` | 4000 | 4000 | 3000 | words that can be the answer: the most common ones of this length |
    | ``max_turns`` | 26 | 26 | 26 | truncation: as many as there are letters |

    Short words are harder, as they give less to go by.

    ## Expert

    A script: of the words still possible it says the letter that most of them have, and of equal ones the letter whose
    places tell most (entropy). It finds 100%, 97% and 82% of the letters at easy, medium and hard and the whole word in
    100%, 93% and 64% of the episodes; random letters find 40%, 28% and 22%, and hardly ever a word.

    ## Source

    The game as in GEM and TextArena. Words: SCOWL 2020.12.07 (``scowl.txt``, ``scowl_copyright.txt``; free to use,
    copy, modify and distribute with its notices).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"length": 8, "lives": 8},
        "medium": {},
        "hard": {"length": 5, "lives": 5, "words": 3000},
    }
    max_turns = 26
    max_choices = 26

    def __init__(self, length: int = 6, lives: int = 6, words: int = 4000) -> None:
        if length not in LENGTHS:
            raise ValueError(f"length must be {LENGTHS[0]} to {LENGTHS[-1]}, not {length!r}")
        if not 1 <= lives <= 20:
            raise ValueError(f"lives must be 1 to 20, not {lives!r}")
        listed = english_words(length)
        if not 2 <= words <= len(listed):
            raise ValueError(f"words must be 2 to {len(listed)} for words of {length} letters, not {words!r}")
        self.length, self.lives = length, lives
        self._words = listed[:words]

    def reset(self, rng: np.random.Generator) -> str:
        """Think of a word."""
        self._answer = int(rng.integers(len(self._words)))
        self._possible = np.ones(len(self._words), np.bool_)
        self._unread: list[str] = []
        self._lives = self.lives
        self._said: list[str] = []
        return f"guess a word letter by letter: {self._shown()}. a miss costs one of your {self.lives} lives."

    def instance(self) -> str:
        """The word."""
        return self._words[self._answer]

    def step(self, action: str) -> Turn:
        """Look for a letter, or compare a word."""
        word, guess = self._words[self._answer], self._read(action)
        if guess is None:
            return Turn("say one letter.")
        if guess in self._said:
            return Turn(f"you said {guess} before.")
        hidden = self._hidden()
        self._said.append(guess)
        self._unread.append(guess)
        if guess == word or (guess in word and not self._hidden()):
            return Turn(f"yes, it is {word}.", hidden / self.length, True, {"success": True})
        if guess in word:
            return Turn(f"yes: {self._shown()}.", (hidden - self._hidden()) / self.length)
        self._lives -= 1
        if self._lives:
            return Turn(f"not {guess}. lives: {self._lives}.")
        return Turn(f"not {guess}. lives: 0. the word was {word}.", 0.0, True, {"success": False})

    def valid_actions(self) -> list[str]:
        """The letters that were not said."""
        return [letter for letter in ascii_lowercase if letter not in self._said]

    def expert_action(self) -> str:
        """The letter that most of the possible words have."""
        return best_letter(self._words, self._left.tobytes(), "".join(sorted(set(ascii_lowercase) & set(self._said))))

    def _shown(self) -> str:
        return " ".join(letter if letter in self._said else "_" for letter in self._words[self._answer])

    def _hidden(self) -> int:
        return sum(letter not in self._said for letter in self._words[self._answer])

    @property
    def _left(self) -> NDArray[np.bool_]:
        """Which words agree with the answer on all guesses; brought up to date when asked for, as no step does."""
        for guess in self._unread:
            if len(guess) == 1:
                places = _places(self._words)[ascii_lowercase.index(guess)]
                self._possible &= places == places[self._answer]
            elif guess in self._words:
                self._possible[self._words.index(guess)] = guess == self._words[self._answer]
        self._unread.clear()
        return self._possible

    def _read(self, action: str) -> str | None:
        """The one letter in a text, or else the one listed word."""
        said = parsing.words(action)
        letters = [word for word in said if len(word) == 1 and word.isalpha()]
        spelled = len(letters) == len(said)
        if not spelled:  # "i say a t": neither the pronoun nor the article is meant
            letters = letters[said[0] == "i" :]
            if said[-1] != "a" and not {"and", "or"} & set(said):
                letters = [letter for letter in letters if letter != "a"] or letters
        if len(set(letters)) == 1:
            return letters[0]
        word = read_word(action, self.length) if spelled or not letters else None
        return word if word and is_listed(word) else None


@lru_cache(maxsize=16)
def _places(words: tuple[str, ...]) -> NDArray[np.int64]:
    """``(26, words)``: the places of each letter in each word, as bits."""
    letters = np.array([list(word.encode()) for word in words]) - ord("a")
    bits = 1 << np.arange(letters.shape[1])
    return np.stack([((letters == letter) * bits).sum(axis=1) for letter in range(26)])


@lru_cache(maxsize=1 << 14)
def best_letter(words: tuple[str, ...], left: bytes, said: str) -> str:
    """The letter, not yet said, that is in most of the words left; of equal ones that of highest entropy."""
    places = _places(words)[:, np.frombuffer(left, np.bool_)]

    def merit(letter: str) -> tuple[int, float]:
        row = places[ascii_lowercase.index(letter)]
        sizes = np.bincount(row)
        sizes = sizes[sizes > 0]
        return int((row > 0).sum()), round(-float(sizes @ np.log(sizes)), 9)

    return max((letter for letter in ascii_lowercase if letter not in said), key=merit)
