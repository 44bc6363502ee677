"""Arithmetic expressions: drawn at random, joined, and worked out exactly by an own parser with limits on size."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from textenvs.parsing import MAX_CHARACTERS, number, without_commas

OPERATIONS = "+-*/"
MAX_VALUE = 10**9  # what is drawn stays below
_MAX_NESTING = 20
_MAX_BITS = 200  # of a numerator and a denominator
_PRECEDENCE = {"+": 0, "-": 0, "*": 1, "/": 1}
_NAMES = {
    "plus": "+",
    "minus": "-",
    "times": "*",
    "x": "*",
    "×": "*",
    "divided by": "/",
    "over": "/",
    "÷": "/",
    "−": "-",
}
_NAMED = re.compile(r"\b(?:plus|minus|times|divided by|over)\b|(?<![a-z])x(?![a-z])|[×÷−]")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_SYMBOL = re.compile(rf"{_NUMBER.pattern}|ans\b|\S")
_SPACED = re.compile(r"(^|[=:(]|\b(?:answer|equals|is)\b)\s*- +(?=[0-9.])")  # "= - 5", not "9 - 5" or "so - 5"
_SAID = re.compile(rf"(?:(?<![\w).])-)?(?:{_NUMBER.pattern})")


class Term(NamedTuple):
    """An expression as text, its whole value, and how tightly it is bound: 0 a sum, 1 a product, 2 a number."""

    text: str
    value: int
    level: int = 2


def join(operation: str, left: Term, right: Term) -> Term:
    """Two terms joined, with no more brackets than are needed; a division has to come out even."""
    level = _PRECEDENCE[operation]
    first = f"({left.text})" if left.level < level else left.text
    tight = right.level > level or (right.level == level and operation in "+*")
    second = right.text if tight else f"({right.text})"
    a, b = left.value, right.value
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[operation]
    return Term(f"{first}{operation}{second}", value, level)


def draw_number(digits: int, rng: np.random.Generator) -> Term:
    """A number of ``digits`` digits or one less, 2 or more."""
    fewest = max(int(digits - rng.integers(2)), 1)
    value = int(rng.integers(max(10 ** (fewest - 1), 2), 10**fewest))
    return Term(str(value), value)


def draw_divisor(value: int, rng: np.random.Generator) -> Term | None:
    """A divisor of ``value`` from 2 to 99, smaller than it; ``None`` if it has none."""
    divisors = [divisor for divisor in range(2, min(99, value - 1) + 1) if value % divisor == 0]
    return Term(str(divisor := divisors[int(rng.integers(len(divisors)))]), divisor) if divisors else None


def draw_dividend(digits: int, rng: np.random.Generator) -> Term:
    """A number of at most ``digits`` digits (or two) that has a divisor."""
    divisor = int(rng.integers(2, 10 ** max(digits - 1, 1)))
    quotient = int(rng.integers(2, max((10 ** max(digits, 2) - 1) // divisor, 2) + 1))
    return Term(str(divisor * quotient), divisor * quotient)


def draw_expression(digits: int, operations: str, steps: int, rng: np.random.Generator) -> Term:
    """An expression of ``steps`` operations whose divisions all come out even."""
    while True:
        term = _draw(digits, operations, steps, rng)
        if term is not None and abs(term.value) < MAX_VALUE:
            return term


def _draw(digits: int, operations: str, steps: int, rng: np.random.Generator) -> Term | None:
    if not steps:
        return draw_number(digits, rng)
    operation = operations[int(rng.integers(len(operations)))]
    later = int(rng.integers(steps)) if operation in "+-" else 0  # operations of the right side
    if operation == "/" and steps == 1:
        left: Term | None = draw_dividend(digits, rng)
    else:
        left = _draw(digits, operations, steps - 1 - later, rng)
    if left is None:
        return None
    if operation == "/":
        right = draw_divisor(left.value, rng)
    else:
        right = _draw(max(digits - 1, 1) if operation == "*" else digits, operations, later, rng)
    return right and join(operation, left, right)


def evaluate(text: str, answer: Fraction | None = None) -> Fraction:
    """What an expression comes to; ``ans`` stands for ``answer``.

    Raises:
        ValueError: it is no expression, or too large; the message says which.
    """
    plain = _NAMED.sub(lambda name: _NAMES[name[0]], without_commas(text[:MAX_CHARACTERS].lower()))
    return _Parser(_SYMBOL.findall(plain.rstrip("=?!. \n")), answer).read()


def show(value: Fraction) -> str:
    """A value in digits, rounded to six decimals where it does not come out even."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled = round(abs(value) * 10**6)
    digits = f"{scaled // 10**6}.{scaled % 10**6:06}".rstrip("0").rstrip(".")
    return f"-{digits}" if value < 0 and scaled else digits


def last_number(text: str) -> Fraction | None:
    """The last number in digits that a text has, or without digits the first in words."""
    text = text[:MAX_CHARACTERS].lower().replace("−", "-")
    plain = re.sub(r"\b(?:minus|negative) (?=[0-9])", "-", without_commas(text))
    plain = _SPACED.sub(r"\1 -", plain)
    if said := _SAID.findall(plain):
        return Fraction(said[-1])
    spelled = number(text)
    return None if spelled is None else Fraction(-spelled if re.search(r"\b(?:minus|negative)\b", text) else spelled)


class _Parser:
    """Reads symbols by recursive descent."""

    def __init__(self, symbols: list[str], answer: Fraction | None) -> None:
        self.symbols, self.answer, self.place = symbols, answer, 0

    def read(self) -> Fraction:
        value = self._sum(0)
        if self.place < len(self.symbols):
            raise ValueError("i do not understand that")
        return value

    def _next(self, wanted: str) -> str:
        """The next symbol, if it is one of the characters of ``wanted``; else nothing."""
        if self.place < len(self.symbols) and self.symbols[self.place] in set(wanted):
            self.place += 1
            return self.symbols[self.place - 1]
        return ""

    def _sum(self, nesting: int) -> Fraction:
        value = self._product(nesting)
        while sign := self._next("+-"):
            right = self._product(nesting)
            value = _small(value + right if sign == "+" else value - right)
        return value

    def _product(self, nesting: int) -> Fraction:
        value = self._factor(nesting)
        while sign := self._next("*/"):
            right = self._factor(nesting)
            if sign == "/" and not right:
                raise ValueError("nothing can be divided by 0")
            value = _small(value * right if sign == "*" else value / right)
        return value

    def _factor(self, nesting: int) -> Fraction:
        negative = False
        while sign := self._next("+-"):
            negative ^= sign == "-"
        value = self._atom(nesting)
        return -value if negative else value

    def _atom(self, nesting: int) -> Fraction:
        if self._next("("):
            if nesting == _MAX_NESTING:
                raise ValueError("there are too many brackets")
            value = self._sum(nesting + 1)
            if not self._next(")"):
                raise ValueError("a bracket is not closed")
            return value
        if self.place == len(self.symbols):
            raise ValueError("a number is missing at the end")
        symbol = self.symbols[self.place]
        self.place += 1
        if symbol == "ans" and self.answer is not None:
            return self.answer
        if symbol == "ans":
            raise ValueError("there is no ans yet")
        if not _NUMBER.fullmatch(symbol):
            raise ValueError("i do not understand that")
        return _small(Fraction(symbol))


def _small(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator).bit_length() > _MAX_BITS:
        raise ValueError("that is too large")
    return value
