"""Break a code of digits by black and white pegs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import eq
from typing import Any, ClassVar

import numpy as np

from textenvs import parsing
from textenvs.game import Game, Turn
from textenvs.games.words.mastermind_solver import Numbers, all_codes, all_numbers, best_guess, feedback

_GUESS_COST = 0.1
_CHOICES = 40
_DIGIT = re.compile("[0-9]")


class Mastermind(Game):
    """TextMastermind-v0: break a code of digits by black and white pegs.

    ## Description

    The game hides a code of ``pegs`` digits, each of which is one of ``colours`` and may occur several times. Each
    guess is answered by how many of its digits are right in place (black), and how many more are in the code, but
    elsewhere (white). The code is chance, and what is to be learned is the search: the splits are alike.

    ## Example transcript

    ```
    guess my code: 4 digits from 1 to 6. black: right digit in its place, white: right digit elsewhere.
    > 1123
    0 black, 1 white.
    > 2455
    0 black, 2 white.
    > 4662
    0 black, 2 white.
    > 3546
    2 black, 2 white.
    > 5346
    yes, it is 5346.
    ```

    ## Observation

    The opening states the digits and the answers; each reply gives the two numbers.

    ## Action

    Free text with as many digits as there are pegs: ``1123``, ``1 1 2 3``, ``I guess 1, 1, 2 and 3``, ``one one two
    three``. More or fewer digits, or one out of the range, are not understood.

    The admissible utterances are the expert's guess among 39 random codes.

    ## Reward

    1 for the hit; each guess or misunderstood utterance before it costs 0.1.

    ## Episode end

    Terminated at the hit (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``pegs`` | 3 | 4 | 5 | digits of the code (2 to 5) |
    | ``colours`` | 4 | 6 | 8 | different digits there can be (2 to 9) |
    | ``max_turns`` | 8 | 10 | 12 | truncation: two more than twice the pegs |

    ## Expert

    A script: it guesses the code whose answers split the codes still possible into the most parts (Kooi, 2005), of
    nearly equal ones the one with more even parts, or that is possible itself; where 40 codes or fewer are possible,
    it looks to the end of the game for the best of three such guesses. Over all 1296 codes of medium it needs 4.37
    guesses on average and never more than 5. For comparison, Knuth's minimax needs 4.48 and at most 5, the optimum
    is 4.34. It needs 3.25 guesses at easy (at most 4) and 5.5 at hard (at most 7 in 1000 games). Random play
    succeeds in 22%, 12% and 12% of the episodes.

    ## Source

    Mordecai Meirowitz's board game; as an environment in GEM and TextArena.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"pegs": 3, "colours": 4},
        "medium": {},
        "hard": {"pegs": 5, "colours": 8},
    }
    max_choices = _CHOICES

    def __init__(self, pegs: int = 4, colours: int = 6) -> None:
        if not 2 <= pegs <= 5:
            raise ValueError(f"pegs must be 2 to 5, not {pegs!r}")
        if not 2 <= colours <= 9:
            raise ValueError(f"colours must be 2 to 9, not {colours!r}")
        self.pegs, self.colours = pegs, colours
        self._colours = frozenset("123456789"[:colours])
        self.max_turns = 2 * (pegs + 1)

    def reset(self, rng: np.random.Generator) -> str:
        """Hide a code."""
        size = self.colours**self.pegs
        self._code = self._spell(int(rng.integers(size)))
        self._decoys = rng.integers(size, size=(self.max_turns, _CHOICES - 1))
        self._possible = all_numbers(size)
        self._unread: list[tuple[list[str], int]] = []  # guesses, and what the expert makes of the answers
        self._turns = self._guesses = 0
        return (
            f"guess my code: {self.pegs} digits from 1 to {self.colours}. black: right digit in its place, white: "
            "right digit elsewhere."
        )

    def step(self, action: str) -> Turn:
        """Compare a guess with the code."""
        self._turns += 1
        guess = _read(action)
        if len(guess) != self.pegs or not self._colours.issuperset(guess):
            return Turn(f"say {self.pegs} digits from 1 to {self.colours}.", -_GUESS_COST)
        self._guesses += 1
        rest = self._code
        black = sum(map(eq, guess, rest))
        for digit in guess:
            rest = rest.replace(digit, "", 1)
        white = self.pegs - len(rest) - black
        self._unread.append((guess, black * (self.pegs + 1) + white))
        if black == self.pegs:
            return Turn(f"yes, it is {self._code}.", 1.0, True, {"success": True})
        return Turn(f"{black} black, {white} white.", -_GUESS_COST)

    def valid_actions(self) -> list[str]:
        """The expert's guess among random codes."""
        decoys = self._decoys[min(self._turns, self.max_turns - 1)]
        return sorted({self.expert_action(), *(self._spell(code) for code in decoys)})

    def expert_action(self) -> str:
        """The guess that promises the fewest further guesses."""
        return self._spell(best_guess(self.pegs, self.colours, self._left.tobytes(), self._guesses))

    @property
    def _left(self) -> Numbers:
        """The codes that agree with all answers; brought up to date when asked for, which random play never does."""
        codes = all_codes(self.pegs, self.colours)
        for guess, answer in self._unread:
            answers = feedback(
                np.array([[int(digit) - 1 for digit in guess]], np.int8), codes[self._possible], self.colours
            )[0]
            self._possible = self._possible[answers == answer]
        self._unread.clear()
        return self._possible

    def _spell(self, code: int) -> str:
        return "".join(str(digit + 1) for digit in all_codes(self.pegs, self.colours)[code])


def _read(action: str) -> list[str]:
    """All digits in a text, or without any the numbers in words."""
    if digits := _DIGIT.findall(action[: parsing.MAX_CHARACTERS]):
        return digits
    spoken = (parsing.number(word) for word in parsing.words(action))
    return [str(digit) for digit in spoken if digit is not None]
