"""Word problems of several steps: what people have, buy, lose, swap and share."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from textenvs.games.questions.expressions import MAX_VALUE, Term, draw_dividend, draw_divisor, draw_number, join


class Problem(NamedTuple):
    """A question, the expression that answers it, and the answer."""

    text: str
    expression: str
    answer: int


class _Tale(NamedTuple):
    """What happened, and what it came to: ``term`` of ``things`` belong to ``person``."""

    sentences: list[str]
    person: str
    things: str
    term: Term


def draw_problem(steps: int, digits: int, operations: str, rng: np.random.Generator, distractors: int = 0) -> Problem:
    """A problem of ``steps`` operations on numbers of up to ``digits`` digits, with sentences beside the point.

    Where it needs two or more steps, half of the problems are about what two people have together, or how many more
    the first of them has. There are no negative numbers on the way, and divisions come out even.
    """
    finals = [final for final in "+-" if final in operations and steps > 1]
    while True:
        teller = _Teller(digits, operations, rng)
        if finals and rng.random() < 0.5:
            problem = teller.compare(steps - 1, finals[int(rng.integers(len(finals)))], distractors)
        else:
            problem = teller.follow(steps, distractors)
        if problem is not None:
            return problem


class _Teller:
    """Tells one problem, in which each name is used once; ``None`` where the numbers drawn forbid it."""

    def __init__(self, digits: int, operations: str, rng: np.random.Generator) -> None:
        self.digits, self.operations, self.rng = digits, operations, rng
        self.names = {kind: [str(name) for name in rng.permutation(_shipped()[kind])] for kind in _NAMES.values()}

    def follow(self, steps: int, distractors: int) -> Problem | None:
        """What someone has in the end."""
        tale = self._tell(steps)
        if tale is None:
            return None
        question = f"how many {tale.things} does {tale.person} have?"
        return Problem(self._text(tale.sentences, distractors, question), tale.term.text, tale.term.value)

    def compare(self, steps: int, final: str, distractors: int) -> Problem | None:
        """What two people have together, or how many more the first of them has."""
        later = int(self.rng.integers(steps + 1))
        one, other = self._tell(steps - later), self._tell(later)
        if one is None or other is None:
            return None
        term = join(final, one.term, other.term)
        if not 0 < term.value < MAX_VALUE:
            return None
        if final == "+":
            question = f"how many things do {one.person} and {other.person} have together?"
        else:
            question = f"how many more things does {one.person} have than {other.person}?"
        return Problem(self._text(one.sentences + other.sentences, distractors, question), term.text, term.value)

    def _tell(self, steps: int) -> _Tale | None:
        """What someone has at first, and ``steps`` operations on it."""
        order = [self.operations[int(i)] for i in self.rng.integers(len(self.operations), size=steps)]
        term = draw_dividend(self.digits, self.rng) if order[:1] == ["/"] else draw_number(self.digits, self.rng)
        person, things = self.names["people"].pop(), self.names["things"].pop()
        sentences = [f"{person} has {term.text} {things}."]
        for operation in order:
            number = self._operand(operation, term.value)
            if number is None:
                return None
            term = join(operation, term, number)
            if not 1 < term.value < MAX_VALUE:
                return None
            new = self._new_names()
            pattern, heir = _pick(_shipped()["steps"][operation], self.rng)
            sentences.append(pattern.format(person=person, things=things, number=number.text, **new))
            person = new[heir] if heir == "other" else person
            things = new[heir] if heir in ("goods", "containers") else things
        return _Tale(sentences, person, things, term)

    def _operand(self, operation: str, value: int) -> Term | None:
        if operation == "/":
            return draw_divisor(value, self.rng)
        return draw_number(max(self.digits - 1, 1) if operation == "*" else self.digits, self.rng)

    def _text(self, sentences: list[str], distractors: int, question: str) -> str:
        for _ in range(distractors):
            number = draw_number(self.digits, self.rng).text
            beside = _pick(_shipped()["distractors"], self.rng).format(number=number, **self._new_names())
            sentences.insert(int(self.rng.integers(1, len(sentences) + 1)), beside)
        return " ".join([*sentences, question])

    def _new_names(self) -> dict[str, str]:
        return {role: self.names[kind].pop() for role, kind in _NAMES.items()}


_NAMES = {"other": "people", "goods": "things", "containers": "containers"}  # role in a sentence -> list of names


def _pick(options: list[Any], rng: np.random.Generator) -> Any:
    return options[int(rng.integers(len(options)))]


@cache
def _shipped() -> dict[str, Any]:
    """The shipped names and sentences."""
    text = files("textenvs.games.questions").joinpath("word_problems.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
