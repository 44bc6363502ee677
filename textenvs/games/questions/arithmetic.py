"""Work out sums and word problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.questions.expressions import OPERATIONS, draw_expression, last_number, show
from textenvs.games.questions.word_problems import draw_problem
from textenvs.parsing import words

_PARTIAL = 0.5  # what the share of right digits of a wrong answer is worth
_CHOICES = 10
_WORKING = {"work", "working", "step", "let", "think", "thinking", "note"}


class Arithmetic(Game):
    """TextArithmetic-v0: work out sums and word problems.

    ## Description

    A few problems one after the other: expressions (``12+34*5``) and word problems. Each is answered once. Before an
    answer the player may write lines of working, which are only noted. Products come before sums, and divisions come
    out even; an expression may come to a negative number.

    ## Example transcript

    ```
    4 problems. say the answer as a number. lines that begin with work are only noted, 2 for each. 1: 563+981-350 = ?
    > 1194
    right. 2: rosa has 502 toys. jane has 15 times as many toys as rosa. jane buys 785 more. how many toys does jane
    have?
    > work: 502*15 = 7530
    noted.
    > 8315
    right. 3: finn has 114 plates. finn gives 47 to nora. finn buys 88 more. how many plates does finn have?
    > it is 155
    right. 4: 77-(54+14) = ?
    > 7
    no, 9. 3 right.
    ```

    ## Observation

    The opening has the first problem; the reply to an answer says whether it was right, and has the next problem.

    ## Action

    Free text whose last number is the answer: ``408``, ``it is 1,234.``, ``12*30=360 and 12*4=48, so 408``, ``minus
    five``, ``negative 5``. A line that begins with ``work`` (or ``step``, ``let``, ``think``, ``note``) and does not
    say ``answer`` is working: it is noted, as often as ``working`` allows for each problem. Without a number nothing is
    understood; this costs a turn.

    ## Reward

    For each answer its share of 1: all of it for the right number, else half of it times the share of right digits,
    counted from the right, in the longer of the two numbers (a minus is a digit).

    ## Episode end

    Terminated after the last problem (``success`` if all were right; ``right`` counts them); truncated after
    ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``digits`` | 2 | 3 | 4 | digits of a number at the most; factors and divisors have fewer |
    | ``operations`` | +- | +-* | +-*/ | which there are; + or - has to be among them for several steps |
    | ``steps`` | 1 | 2 | 3 | operations of a problem |
    | ``stories`` | 0.5 | 0.5 | 0.5 | probability of a word problem |
    | ``problems`` | 4 | 4 | 4 | problems of an episode |
    | ``working`` | 2 | 2 | 2 | lines of working for a problem |
    | ``max_turns`` | 12 | 12 | 12 | truncation: ``problems * (working + 1)`` |

    ``valid_actions()`` offers ten numbers for each problem, the right one somewhere in a chain of numbers that differ
    from the one before by one digit.

    ## Expert

    Exact: it says the right number. It always earns 1 and succeeds; any of ``valid_actions()`` at random earns 0.19
    (easy), 0.28 (medium) or 0.32 (hard) and never succeeded in 1000 episodes.

    ## Source

    Sums of several digits as in reasoning-gym, word problems in the manner of GSM8K (Cobbe et al. 2021); the texts are
    this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"digits": 2, "operations": "+-", "steps": 1},
        "medium": {},
        "hard": {"digits": 4, "operations": OPERATIONS, "steps": 3},
    }
    max_choices = _CHOICES

    def __init__(
        self,
        digits: int = 3,
        operations: str = "+-*",
        steps: int = 2,
        stories: float = 0.5,
        problems: int = 4,
        working: int = 2,
    ) -> None:
        if not 1 <= digits <= 5:
            raise ValueError(f"digits must be 1 to 5, not {digits!r}")
        if not operations or not {*operations} <= {*OPERATIONS}:
            raise ValueError(f"operations must be some of {OPERATIONS}, not {operations!r}")
        if not 1 <= steps <= 4:
            raise ValueError(f"steps must be 1 to 4, not {steps!r}")
        if steps > 1 and not {*operations} & {*"+-"}:
            raise ValueError(f"operations must have + or - for several steps, not only {operations!r}")
        if not 0 <= stories <= 1:
            raise ValueError(f"stories is a probability: it must be 0 to 1, not {stories!r}")
        if not 1 <= problems <= 10:
            raise ValueError(f"problems must be 1 to 10, not {problems!r}")
        if not 0 <= working <= 10:
            raise ValueError(f"working must be 0 to 10, not {working!r}")
        self.digits, self.operations, self.steps, self.stories = digits, operations, steps, stories
        self.problems, self.working = problems, working
        self.max_turns = problems * (working + 1)

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the problems."""
        self._asked = [self._draw(rng) for _ in range(self.problems)]
        self._choices = [_choices(answer, rng) for _, answer in self._asked]
        self._now = self._right = self._worked = 0
        working = f" lines that begin with work are only noted, {self.working} for each." if self.working else ""
        count = f"{self.problems} problems" if self.problems > 1 else "one problem"
        return f"{count}. say the answer as a number.{working} {self._problem()}"

    def instance(self) -> str:
        """The problems."""
        return " ".join(text for text, _ in self._asked)

    def step(self, action: str) -> Turn:
        """Note a line of working, or mark an answer."""
        said, spoken = last_number(action), words(action)
        if spoken and spoken[0] in _WORKING and "answer" not in spoken:
            self._worked += 1
            return Turn("noted." if self._worked <= self.working else "no more working here, say the answer.")
        if said is None:
            return Turn("say the answer as a number.")
        answer = self._asked[self._now][1]
        right = said == answer
        earned = 1.0 if right else _PARTIAL * _share_of_digits(show(said), str(answer))
        self._now, self._right, self._worked = self._now + 1, self._right + right, 0
        done = self._now == self.problems
        text = f"{'right' if right else f'no, {answer}'}. {f'{self._right} right.' if done else self._problem()}"
        info = {"success": self._right == self.problems, "right": self._right} if done else {}
        return Turn(text, earned / self.problems, done, info)

    def valid_actions(self) -> list[str]:
        """Ten numbers, among them the right one."""
        return [str(choice) for choice in self._choices[min(self._now, self.problems - 1)]]

    def expert_action(self) -> str:
        """The right number."""
        return str(self._asked[min(self._now, self.problems - 1)][1])

    def _draw(self, rng: np.random.Generator) -> tuple[str, int]:
        if rng.random() < self.stories:
            problem = draw_problem(self.steps, self.digits, self.operations, rng)
            return problem.text, problem.answer
        term = draw_expression(self.digits, self.operations, self.steps, rng)
        return f"{term.text} = ?", term.value

    def _problem(self) -> str:
        return f"{self._now + 1}: {self._asked[self._now][0]}"


def _share_of_digits(said: str, answer: str) -> float:
    """The share of signs that agree, counted from the right, in the longer of two numbers."""
    agreeing = sum(one == other for one, other in zip(reversed(said), reversed(answer), strict=False))
    return agreeing / max(len(said), len(answer))


def _choices(answer: int, rng: np.random.Generator) -> list[int]:
    """Numbers in ascending order, the answer at a random place of a chain in which one digit changes at a time."""
    before = int(rng.integers(_CHOICES))
    chain = {answer}
    for length in (before + 1, _CHOICES):
        end = answer
        while len(chain) < length:
            changed = _change_digit(end, rng)
            if changed not in chain:
                chain.add(end := changed)
    return sorted(chain)


def _change_digit(number: int, rng: np.random.Generator) -> int:
    """The number with one digit changed; it stays as long as it is."""
    digits = [int(digit) for digit in str(abs(number))]
    place = int(rng.integers(len(digits)))
    least = 1 if place == 0 and len(digits) > 1 else 0
    digits[place] = least + int(rng.integers(10 - least))
    changed = int("".join(map(str, digits)))
    return -changed if number < 0 else changed
