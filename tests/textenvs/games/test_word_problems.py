from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from textenvs.games.questions.expressions import evaluate
from textenvs.games.questions.word_problems import draw_problem

_BESIDE = re.compile(r"\w+ (reads \d+ pages|walks \d+ miles|lives at number \d+|would like \d+ \w+)")
_HAS = re.compile(r"(?P<who>\w+) has (?P<n>\d+) (?P<what>\w+)")
_TIMES = re.compile(r"(?P<who>\w+) has (?P<n>\d+) times as many (?P<what>\w+) as (?P<of>\w+)")
_MORE = (re.compile(r"(?P<who>\w+) \w+ (?P<n>\d+) more"), re.compile(r"\w+ gives (?P<who>\w+) (?P<n>\d+) more"))
_LESS = (
    re.compile(r"(?P<who>\w+) \w+ (?P<n>\d+)( to \w+)?"),
    re.compile(r"\w+ takes (?P<n>\d+) from (?P<who>\w+)"),
)
_SWAPS = re.compile(r"(?P<who>\w+) swaps each for (?P<n>\d+) (?P<what>\w+)")
_PACKS = re.compile(r"(?P<who>\w+) packs them all in (?P<what>\w+) of (?P<n>\d+)")
_SHARES = re.compile(r"(?P<of>\w+) shares them all equally among (?P<n>\d+) friends; (?P<who>\w+) is one of them")


def read(text: str) -> Fraction:
    """The answer, read off the sentences alone."""
    *sentences, question = re.split(r"[.?] ?", text)[:-1]
    held: dict[str, tuple[Fraction, str]] = {}
    for sentence in sentences:
        patterns = (_BESIDE, _HAS, _TIMES, *_MORE, *_LESS, _SWAPS, _PACKS, _SHARES)
        pattern = next(pattern for pattern in patterns if pattern.fullmatch(sentence))
        if pattern is _BESIDE:
            continue
        found = pattern.fullmatch(sentence).groupdict()
        number, who = int(found["n"]), found["who"]
        amount, what = held.get(found.get("of") or who, (Fraction(0), ""))
        if pattern is _HAS:
            assert who not in held
        what = found.get("what") or what
        change = {_HAS: number, _TIMES: amount * number, _SWAPS: amount * number}
        change |= {_PACKS: amount / number, _SHARES: amount / number}
        change |= dict.fromkeys(_MORE, amount + number) | dict.fromkeys(_LESS, amount - number)
        held[who] = Fraction(change[pattern]), what
        assert held[who][0] > 0 and held[who][0].denominator == 1
    if match := re.fullmatch(r"how many things do (\w+) and (\w+) have together", question):
        return held[match[1]][0] + held[match[2]][0]
    if match := re.fullmatch(r"how many more things does (\w+) have than (\w+)", question):
        return held[match[1]][0] - held[match[2]][0]
    match = re.fullmatch(r"how many (\w+) does (\w+) have", question)
    assert match is not None and held[match[2]][1] == match[1]
    return held[match[2]][0]


@pytest.mark.parametrize(
    ("steps", "digits", "operations", "distractors"),
    [(1, 2, "+-", 0), (1, 1, "/", 0), (1, 2, "*", 1), (2, 3, "+-*", 0), (3, 4, "+-*/", 1), (5, 3, "+-*/", 3)],
)
def test_the_answer_is_what_the_sentences_say(steps: int, digits: int, operations: str, distractors: int) -> None:
    rng = np.random.default_rng(steps)
    for _ in range(300):
        problem = draw_problem(steps, digits, operations, rng, distractors)
        assert problem.answer == read(problem.text) == evaluate(problem.expression)
        signs = re.findall(r"[-+*/]", problem.expression)
        assert len(signs) == steps and {*signs} <= {*operations}
        assert len(re.findall(r"[.?]", problem.text)) == steps + 2 + distractors


def test_every_kind_of_sentence_and_question_is_told() -> None:
    rng = np.random.default_rng(0)
    told = " ".join(draw_problem(4, 3, "+-*/", rng, 2).text for _ in range(300))
    verbs = {"buys", "finds", "wins", "gives", "loses", "sells", "takes", "swaps", "has", "packs", "shares"}
    assert {*told.split()} >= verbs | {"times", "reads", "walks", "lives", "would"}
    for question in ("have together?", " more things does ", "how many "):
        assert question in told
