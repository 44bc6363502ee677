"""Turn one word into another, one letter at a time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from textenvs.game import Game, Turn
from textenvs.games.words.english import english_words, is_listed, read_word

_FARTHEST = {3: 6, 4: 10, 5: 16}  # distances by length that many pairs of words have
_STEP_COST = 0.1


class WordLadder(Game):
    """TextWordLadder-v0: turn one word into another, one letter at a time.

    ## Description

    You have a word and are told a goal. In each step you change one letter, so that there is an English word again.
    The two words are common ones, and the words between are any of the shipped list.

    ## Example transcript

    ```
    turn pull into wand by changing one letter at a time into another word. fewest steps: 5.
    > bull
    you have bull.
    > ball
    you have ball.
    > bald
    you have bald.
    > band
    you have band.
    > wand
    wand is the goal.
    ```

    ## Observation

    The opening names the two words and how many steps are needed; each reply names the word you have.

    ## Action

    Free text with the next word in it: ``cord``, ``cold -> cord``, ``I say: CORD!``. Words around it such as *change*
    or *to* do not count, nor does the word you have. A word that is not listed, or that differs in more than one
    letter, is refused and costs a turn.

    The admissible utterances are all listed words that differ from yours in one letter.

    ## Reward

    At the goal 1 less 0.1 for each turn beyond the fewest steps; else 0.

    ## Episode end

    Terminated at the goal (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``length`` | 3 | 4 | 5 | letters of the words (3, 4 or 5) |
    | ``distance`` | 3 | 5 | 8 | the fewest steps to the goal (1 to 6, 10 or 16 for the three lengths) |
    | ``max_turns`` | 12 | 14 | 17 | truncation: nine more than the fewest steps |

    ## Expert

    Exact: a shortest way by breadth-first search over the list, so that it always earns 1. Random steps
    reach the goal in 1% of the episodes at easy, and hardly ever at medium and hard.

    ## Source

    Lewis Carroll's Doublets (1879); as an environment in TextArena. Words: SCOWL 2020.12.07 (``scowl.txt``,
    ``scowl_copyright.txt``; free to use, copy, modify and distribute with its notices).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"length": 3, "distance": 3},
        "medium": {},
        "hard": {"length": 5, "distance": 8},
    }

    def __init__(self, length: int = 4, distance: int = 5) -> None:
        if length not in _FARTHEST:
            raise ValueError(f"length must be 3, 4 or 5, not {length!r}")
        if not 1 <= distance <= _FARTHEST[length]:
            raise ValueError(
                f"distance must be 1 to {_FARTHEST[length]} for words of {length} letters, not {distance!r}"
            )
        self.length, self.distance = length, distance
        self.max_turns = distance + 9
        self.max_choices = neighbours(length).shape[1]

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a goal, and a word at the distance from it."""
        words = english_words(self.length)
        common = len(words) // 2
        starts = np.array([])
        while not len(starts):
            self._goal = int(rng.integers(common))
            starts = np.flatnonzero(distances(self.length, self._goal)[:common] == self.distance)
        self._start = self._word = int(rng.choice(starts))
        self._turns = 0
        return (
            f"turn {words[self._word]} into {words[self._goal]} by changing one letter at a time into another word. "
            f"fewest steps: {self.distance}."
        )

    def instance(self) -> str:
        """The two words."""
        words = english_words(self.length)
        return f"{words[self._start]} to {words[self._goal]}"

    def step(self, action: str) -> Turn:
        """Change a letter."""
        self._turns += 1
        words = english_words(self.length)
        here = words[self._word]
        word = read_word(action, self.length, ignored=(here,))
        if word is None:
            return Turn(f"say one word of {self.length} letters.")
        if not is_listed(word):
            return Turn(f"{word} is not in my list. you have {here}.")
        if sum(a != b for a, b in zip(word, here, strict=True)) != 1:
            return Turn(f"{word} is not {here} with one letter changed.")
        self._word = words.index(word)
        if self._word == self._goal:
            reward = 1 - _STEP_COST * (self._turns - self.distance)
            return Turn(f"{word} is the goal.", reward, True, {"success": True})
        return Turn(f"you have {word}.")

    def valid_actions(self) -> list[str]:
        """All words one letter away."""
        words = english_words(self.length)
        return sorted(words[i] for i in self._next())

    def expert_action(self) -> str:
        """The most common of the words that are nearer to the goal."""
        far = distances(self.length, self._goal)
        return english_words(self.length)[min(self._next(), key=lambda i: (far[i], i))]

    def _next(self) -> list[int]:
        row = neighbours(self.length)[self._word]
        return row[row >= 0].tolist()


@cache
def neighbours(length: int) -> NDArray[np.int64]:
    """For each word those one letter away, ``(words, most)``, in the order of the list and filled up with -1."""
    words = english_words(length)
    alike: dict[str, list[int]] = {}  # words by what they are without one letter
    gaps = [[f"{word[:place]}_{word[place + 1 :]}" for place in range(length)] for word in words]
    for number, patterns in enumerate(gaps):
        for pattern in patterns:
            alike.setdefault(pattern, []).append(number)
    rows = [sorted({i for gap in patterns for i in alike[gap]} - {number}) for number, patterns in enumerate(gaps)]
    most = max(map(len, rows))
    return np.array([row + [-1] * (most - len(row)) for row in rows])


@lru_cache(maxsize=4096)
def distances(length: int, goal: int) -> NDArray[np.int16]:
    """The fewest steps from each word to a goal, -1 where there is no way."""
    graph = neighbours(length)
    result = np.full(len(graph), -1, np.int16)
    frontier, steps = np.array([goal]), 0
    while len(frontier):
        result[frontier] = steps
        frontier, steps = np.unique(graph[frontier]), steps + 1
        frontier = frontier[frontier >= 0]
        frontier = frontier[result[frontier] < 0]
    return result
