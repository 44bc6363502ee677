from __future__ import annotations

import ast
import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.questions.expressions import draw_expression, evaluate, last_number, show

_PYTHON = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def by_python(text: str) -> Fraction:
    """The value by Python's own grammar."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return _PYTHON[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand) if isinstance(node.op, ast.USub) else value(node.operand)
        assert isinstance(node, ast.Constant)
        return Fraction(str(node.value))

    return value(ast.parse(text.strip(), mode="eval").body)


expressions = st.recursive(
    st.integers(0, 999).map(str) | st.decimals(0, 99, places=2).map(str),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", " - ", "*", " /", "-"]), inner).map("".join)
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"-{text}")
    ),
    max_leaves=8,
)


@given(expressions)
def test_the_parser_agrees_with_that_of_python(text: str) -> None:
    try:
        expected = by_python(text)
    except ZeroDivisionError:
        with pytest.raises(ValueError, match="divided by 0"):
            evaluate(text)
    else:
        assert evaluate(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12*7+3", 87),
        ("2 x (3 + 4) = ?", 14),
        ("7 times 8 minus 6", 50),
        ("Twelve", None),
        ("9 divided by 2", Fraction(9, 2)),
        ("1,234 + 1", 1235),
        ("--3", 3),
        ("ans*2", 20),
        (".5+.25", Fraction(3, 4)),
        ("6÷4−1", Fraction(1, 2)),
    ],
)
def test_readings(text: str, value: Fraction | None) -> None:
    if value is None:
        with pytest.raises(ValueError, match="do not understand"):
            evaluate(text)
    else:
        assert evaluate(text, Fraction(10)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing at the end"),
        ("3+", "missing at the end"),
        ("(3", "not closed"),
        ("3 4", "do not understand"),
        ("2**9", "do not understand"),
        ("__import__('os')", "do not understand"),
        ("ans+1", "no ans yet"),
        ("1/(2-2)", "divided by 0"),
        ("9" * 100, "too large"),
        ("99999999*" * 30 + "1", "too large"),
        ("(" * 299, "too many brackets"),
        ("1/7" + "/7" * 100, "too large"),
        ("²", "do not understand"),
    ],
)
def test_what_cannot_be_worked_out(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    last_number(text)
    try:
        show(evaluate(text))
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("value", "text"),
    [(Fraction(87), "87"), (Fraction(-7, 2), "-3.5"), (Fraction(1, 3), "0.333333"), (Fraction(-1, 10**9), "0")],
)
def test_show(value: Fraction, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("408", 408),
        ("It is 1,234.", 1234),
        ("12*30=360, so -5!", -5),
        ("12-7=5", 5),
        ("9-4", 4),
        ("minus 5", -5),
        ("minus forty two", -42),
        ("negative 518580", -518580),
        ("it is negative five", -5),
        ("- 518,580", -518580),
        ("9 - 14 = - 5", -5),
        ("the answer is - 5.", -5),
        ("14 - 5", 5),
        ("so - 5", 5),
        ("two hundred and six", 206),
        ("=-8", -8),
        ("2.50", Fraction(5, 2)),
        ("1234567890123", 1234567890123),
        ("no idea", None),
        ("−3", -3),
    ],
)
def test_last_number(text: str, number: Fraction | None) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize("operations", ["+", "+-", "+*", "-/", "+-*/"])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_drawn_expressions(operations: str, steps: int) -> None:
    rng = np.random.default_rng(steps)
    for _ in range(100):
        term = draw_expression(3, operations, steps, rng)
        signs = term.text.replace("(", "").replace(")", "")
        assert by_python(term.text) == term.value
        assert sum(signs.count(sign) for sign in operations) == steps == sum(not each.isdigit() for each in signs)
        assert all(2 <= int(number) <= 999 for number in signs.translate(str.maketrans("+-*/", "    ")).split())


def test_no_brackets_are_needless() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        text = draw_expression(2, "+-*/", 3, rng).text
        for start in [place for place, sign in enumerate(text) if sign == "("]:
            depth, end = 1, start
            while depth:
                end += 1
                depth += {"(": 1, ")": -1}.get(text[end], 0)
            without = text[:start] + text[start + 1 : end] + text[end + 1 :]
            assert ast.dump(ast.parse(without)) != ast.dump(ast.parse(text))
