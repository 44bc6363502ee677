"""Small random tables, and questions that one query answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

import numpy as np

from textenvs.games.tools.database import Row, Table, query

_AGGREGATES = (("avg", "average"), ("max", "highest"), ("min", "lowest"), ("sum", "total"))
_ORDERS = ((" desc", "highest"), ("", "lowest"))
_LEAST_ROWS = 3
_MOST_ROWS = 10  # of the answer

T = TypeVar("T")


class Question(NamedTuple):
    """A question, the query that answers it, and one that may not give the same twice if the answer is to be unique."""

    text: str
    sql: str
    ranking: str = ""


class Task(NamedTuple):
    """A question about tables, others of the same kind, and further tables on which an answer is tried too."""

    question: Question
    others: list[Question]
    shown: tuple[Table, ...]
    hidden: tuple[Table, ...]


def draw_task(tables: int, joins: int, rows: int, grouping: bool, others: int, rng: np.random.Generator) -> Task:
    """A question that needs ``joins`` joins or, if that is more than none, one less."""
    domain = _pick(_shipped()["domains"], rng)[:tables]
    shown = _fill(domain, rows, rng)
    while True:
        hidden = _fill(domain, rows, rng)
        question = _ask(domain, shown, joins, grouping, rng)
        answers = [query(each, question.sql) for each in (shown, hidden)]
        rankings = [query(each, question.ranking) for each in (shown, hidden)] if question.ranking else []
        clear = all(len({*ranking}) == len(ranking) > 1 for ranking in rankings)
        if clear and answers[0] != answers[1] and all(_tells(answer, rows) for answer in answers):
            break
    drawn = [question]
    while len(drawn) <= others:
        other = _ask(domain, shown, joins, grouping, rng)
        if all(other.sql != each.sql for each in drawn):
            drawn.append(other)
    return Task(question, drawn[1:], shown, hidden)


def _tells(answer: list[Row], rows: int) -> bool:
    """Whether an answer has something, and is not all there is."""
    return 0 < len(answer) < min(rows, _MOST_ROWS + 1) and answer != [(0,)] and answer != [(None,)]


def _fill(domain: Sequence[dict[str, Any]], rows: int, rng: np.random.Generator) -> tuple[Table, ...]:
    """Random tables: ``rows`` rows in the first, half as many in each further one; each names rows of the next."""
    counts = [max(rows >> i, _LEAST_ROWS) for i in range(len(domain))]
    keys = [_column(spec["key"][1], count, rng) for spec, count in zip(domain, counts, strict=True)]
    tables = []
    for i, spec in enumerate(domain):
        columns = {spec["key"][0]: keys[i]}
        for name, values in spec["columns"].items():
            columns[name] = _column(values, counts[i], rng) if _numeric(values) else _picks(values, counts[i], rng)
        if i + 1 < len(domain):
            columns[domain[i + 1]["key"][0]] = _picks(keys[i + 1], counts[i], rng)
        tables.append(Table(spec["name"], (*columns,), (*zip(*columns.values(), strict=True),)))
    return tuple(tables)


def _column(values: Any, count: int, rng: np.random.Generator) -> list[Any]:
    """Different values: numbers of a range, or names of a list."""
    every = range(values[0], values[1] + 1) if _numeric(values) else _shipped()["names"][values]
    return [every[int(i)] for i in rng.permutation(len(every))[:count]]


def _ask(
    domain: Sequence[dict[str, Any]], tables: Sequence[Table], joins: int, grouping: bool, rng: np.random.Generator
) -> Question:
    joins = max(joins - int(rng.integers(2)), 0)
    first = int(rng.integers(len(tables) - joins))
    chain = tables[first : first + joins + 1]
    spec, far = domain[first], domain[first + joins]
    whose = "".join(f"{table.name}'s " for table in chain[1:])
    there, where = _condition(far, chain[-1], rng)
    own, owning = there, where
    while own == there:
        own, owning = _condition(spec, chain[0], rng)
    (avg, average), (desc, highest) = _pick(_AGGREGATES, rng), _pick(_ORDERS, rng)
    slots = {
        "things": spec["many"],
        "key": spec["key"][0],
        "source": " natural join ".join(table.name for table in chain),
        "number": _pick([name for name, values in spec["columns"].items() if _numeric(values)], rng),
        "kind": _pick([name for name, values in far["columns"].items() if not _numeric(values)], rng),
        "least": int(rng.integers(1, 4)),
        **{"whose": whose, "there": whose + there, "where": where, "own": own, "owning": owning},
        **{"avg": avg, "average": average, "desc": desc, "highest": highest},
    }
    patterns = [
        each for each in _shipped()["questions"] if joins <= each["most_joins"] and grouping >= each["grouping"]
    ]
    pattern = _pick(patterns, rng)
    return Question(*(pattern.get(part, "").format(**slots) for part in Question._fields))


def _condition(spec: dict[str, Any], table: Table, rng: np.random.Generator) -> tuple[str, str]:
    """A condition on a column of a table, in words and as SQL."""
    name = _pick(list(spec["columns"]), rng)
    value = _pick(table.rows, rng)[table.columns.index(name)]
    if not _numeric(spec["columns"][name]):
        return f"{name} is {value}", f"{name}={value!r}"
    word, sign = _pick((("over", ">"), ("under", "<")), rng)
    return f"{name} is {word} {value}", f"{name}{sign}{value}"


def _pick(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]


def _picks(options: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    return [_pick(options, rng) for _ in range(count)]


def _numeric(values: Any) -> bool:
    """Whether values are a range of numbers, not a list of names or kinds."""
    return isinstance(values[0], int) and len(values) == 2


@cache
def _shipped() -> dict[str, Any]:
    """The shipped names and kinds of tables."""
    text = files("textenvs.games.tools").joinpath("tables.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
