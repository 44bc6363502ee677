"""Guess a number by higher and lower."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.parsing import number

_GUESS_COST = 0.1


class GuessNumber(Game):
    """TextGuessNumber-v0: find a hidden number from "higher" and "lower".

    ## Description

    The game thinks of a number from 1 to ``high``. Each guess is answered by whether the number is higher or lower.

    The number is chance, and what is to be learned is the search: the splits are alike. Were some numbers kept for
    testing, learning would be to never guess them.

    ## Example transcript

    ```
    i think of a number from 1 to 32. guess it.
    > 16
    higher than 16.
    > 24
    lower than 24.
    > 20
    yes, it is 20.
    ```

    ## Observation

    The opening names the range; each reply says ``higher than N.`` or ``lower than N.``

    ## Action

    Free text with a number in it: ``42``, ``is it 42?``, ``I guess forty two!``. The first number in digits counts, or
    without digits the first in words. A number out of the range is answered like any other guess. Without a number
    nothing is understood.

    ## Reward

    1 for the hit; each guess or misunderstood utterance before it costs 0.1.

    ## Episode end

    Terminated at the hit (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``high`` | 8 | 32 | 100 | the largest number |
    | ``max_turns`` | 8 | 14 | 16 | truncation |

    ## Expert

    Exact: bisection, which is optimal in expectation and in the worst case for a uniform number (Knuth, The Art of
    Computer Programming vol. 3, sec. 6.2.1): at most ``floor(log2(high)) + 1`` guesses.

    ## Source

    The game as in GEM (``gem/envs/game_env/guess_the_number.py``).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"high": 8},
        "medium": {},
        "hard": {"high": 100},
    }

    def __init__(self, high: int = 32) -> None:
        if not 2 <= high <= 1000:
            raise ValueError(f"high must be 2 to 1000, not {high!r}")
        self.high = high
        self.max_choices = high
        self.max_turns = 2 * (high.bit_length() + 1) if high > 8 else 8  # about twice what the expert needs

    def reset(self, rng: np.random.Generator) -> str:
        """Think of a number."""
        self._number = int(rng.integers(1, self.high + 1))
        self._least, self._most = 1, self.high
        return f"i think of a number from 1 to {self.high}. guess it."

    def step(self, action: str) -> Turn:
        """Compare a guess with the number."""
        guess = number(action)
        if guess is None:
            return Turn(f"please say a number from 1 to {self.high}.", -_GUESS_COST)
        if guess == self._number:
            return Turn(f"yes, it is {guess}.", 1.0, True, {"success": True})
        if guess < self._number:
            if guess >= self._least:
                self._least = guess + 1
            return Turn(f"higher than {guess}.", -_GUESS_COST)
        if guess <= self._most:
            self._most = guess - 1
        return Turn(f"lower than {guess}.", -_GUESS_COST)

    def valid_actions(self) -> list[str]:
        """All numbers of the range."""
        return [str(number) for number in range(1, self.high + 1)]

    def expert_action(self) -> str:
        """The middle of what is left."""
        return str((self._least + self._most) // 2)
