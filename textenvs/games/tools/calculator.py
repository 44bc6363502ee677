"""Solve word problems with a calculator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.questions.expressions import OPERATIONS, evaluate, last_number, show
from textenvs.games.questions.word_problems import draw_problem
from textenvs.parsing import MAX_CHARACTERS

_CALCULATE = re.compile(r"\b(?:calc|calculate|calculator|compute|evaluate|work out)\b[:\s]*(.*)", re.DOTALL)
_ANSWER = re.compile(r"\banswer\b(.*)", re.DOTALL)
_NUMBER = re.compile(r"(?:[-−] *|(?:minus|negative) )?[0-9][0-9,]*(?:\.[0-9]+)?[.!]?")
_EXPRESSION = re.compile(r"(?:[-+*/x×÷−().,0-9\s=?]|ans)+")
_HELP = "say calc and an expression, or answer and a number."


class Calculator(Game):
    """TextCalculator-v0: solve a word problem of several steps with a calculator.

    ## Description

    One word problem, of which some sentences may be beside the point. ``calc`` works out an expression of any length,
    and ``ans`` stands for what it gave last. The first call is for nothing, so that who finds the whole expression
    pays nothing; each further one has a price. There is one answer.

    ## Example transcript

    ```
    say calc and an expression (once free, then 0.05 each), then answer and a number. sam has 943 toys. finn reads 59
    pages. sam gives 77 to jane. gus has 9 times as many toys as sam. ben has 55 times as many toys as gus. how many
    toys does ben have?
    > calc 943-77
    866.
    > calc ans*9*55
    428670.
    > answer 428670
    right.
    ```

    ## Observation

    The opening has the problem. A call is answered by the value, exact or rounded to six decimals, or by why there is
    none; an answer by whether it was right.

    ## Action

    Free text with ``calc`` (or ``calculate``, ``compute``, ``evaluate``, ``work out``) and an expression of numbers,
    ``ans``, ``+``, ``-``, ``*``, ``/`` and brackets, also in words (``12 times 7``); or ``answer`` and a number, of
    several the last. A number alone is an answer, an expression alone a call. Anything else is not understood.

    Numbers in a calculation may have at most 200 bits, and brackets may be 20 deep.

    ## Reward

    1 for the right answer, else 0; ``cost`` is lost by each call after the first, also by one that cannot be worked
    out, and by each utterance that is not understood.

    ## Episode end

    Terminated by the answer (``success`` if it is right; ``calls`` counts calls); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``steps`` | 2 | 3 | 4 | operations that the answer needs (1 to 4) |
    | ``digits`` | 2 | 3 | 3 | digits of a number at the most (1 to 3); factors and divisors have fewer |
    | ``distractors`` | 0 | 1 | 3 | sentences beside the point |
    | ``cost`` | 0.05 | 0.05 | 0.05 | price of a call after the first |
    | ``max_turns`` | 6 | 8 | 10 | truncation: twice one more than ``steps`` |

    ## Expert

    Exact: it calculates the whole expression in one call and says what that gave, which always earns 1. Where a player
    has wasted calls it pays for another, save in the last turn. Random tokens earn -0.30 (easy), -0.40 (medium) or
    -0.50 (hard) and never succeeded in 1000 episodes.

    ## Source

    Mathematics with tools as in GEM, word problems in the manner of GSM8K (Cobbe et al. 2021), with irrelevant
    sentences as in GSM-IC (Shi et al. 2023); the texts are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"steps": 2, "digits": 2, "distractors": 0},
        "medium": {},
        "hard": {"steps": 4, "distractors": 3},
    }

    def __init__(self, steps: int = 3, digits: int = 3, distractors: int = 1, cost: float = 0.05) -> None:
        if not 1 <= steps <= 4:
            raise ValueError(f"steps must be 1 to 4, not {steps!r}")
        if not 1 <= digits <= 3:
            raise ValueError(f"digits must be 1 to 3, not {digits!r}")
        if not 0 <= distractors <= 3:
            raise ValueError(f"distractors must be 0 to 3, not {distractors!r}")
        if not 0 <= cost <= 0.1:
            raise ValueError(f"cost must be 0 to 0.1, not {cost!r}")
        self.steps, self.digits, self.distractors, self.cost = steps, digits, distractors, cost
        self.max_turns = 2 * (steps + 1)

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a problem."""
        self._problem = draw_problem(self.steps, self.digits, OPERATIONS, rng, self.distractors)
        self._last: Fraction | None = None
        self._calls = self._turns = 0
        price = f" (once free, then {self.cost:g} each)" if self.cost else ""
        return f"say calc and an expression{price}, then answer and a number. {self._problem.text}"

    def instance(self) -> str:
        """The problem."""
        return self._problem.text

    def step(self, action: str) -> Turn:
        """Calculate, or mark the answer."""
        self._turns += 1
        said = action[:MAX_CHARACTERS].lower().strip()
        if call := _CALCULATE.search(said):
            return self._calculate(call[1])
        answer = _ANSWER.search(said)
        if answer or _NUMBER.fullmatch(said):
            number = last_number(answer[1] if answer else said)
            if number is not None:
                right = number == self._problem.answer
                text = "right." if right else f"no, {self._problem.answer}."
                return Turn(text, float(right), True, {"success": right, "calls": self._calls})
        elif _EXPRESSION.fullmatch(said):
            return self._calculate(said)
        return Turn(_HELP, -self.cost)

    def expert_action(self) -> str:
        """The whole expression, then what it gave."""
        if self._last == self._problem.answer or self._turns >= self.max_turns - 1:
            return f"answer {self._problem.answer}"
        return f"calc {self._problem.expression}"

    def _calculate(self, expression: str) -> Turn:
        self._calls += 1
        reward = -self.cost if self._calls > 1 else 0.0
        try:
            self._last = evaluate(expression, self._last)
        except ValueError as error:
            return Turn(f"{error}.", reward)
        return Turn(f"{show(self._last)}.", reward)
