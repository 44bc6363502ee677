"""A hundred cities: what is known of them, and how questions about them are read and answered."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from textenvs.parsing import nearest, words

_COMPARED = {*words("near nearer close closer than like far further between")}
_NEGATED = {*words("not isn't doesn't don't aren't no never")}
_ARTICLES = ("the ", "a ")
_DEPTH = 2  # of the expert's search, in questions


class Question(NamedTuple):
    """What an utterance asks.

    Attributes:
        kind: ``"guess"``, ``"ask"`` (openly), ``"confirm"`` (whether a value is right), or empty: not understood.
        attribute: what is asked about; empty for a guess.
        values: the city guessed, or the values of which one is to be confirmed.
    """

    kind: str = ""
    attribute: str = ""
    values: tuple[str, ...] = ()


@cache
def attributes() -> dict[str, dict[str, str]]:
    """Attribute -> its ``question``, how a value is ``told`` and ``denied``, ``none`` and the ``words`` for it."""
    return _shipped()["attributes"]  # type: ignore[no-any-return]


@cache
def cities() -> dict[str, Mapping[str, Any]]:
    """Name -> attribute -> the values that are right (none, one or several)."""
    return {city["name"]: city for city in _shipped()["cities"]}


def read(text: str) -> Question:
    """What a text asks; never raises."""
    said = [nearest(word, _vocabulary()) if len(word) > 4 else word for word in words(text)]
    named, rest = _named(said)
    if {*rest} & _NEGATED:
        return Question()
    about = {_keywords()[word] for word in rest if word in _keywords()}
    if not named:
        return Question("ask", about.pop()) if len(about) == 1 else Question()
    common = set.intersection(*({kind for kind, _ in meanings} for meanings in named))
    common = common & about or common
    if len(common) != 1 or about - common - (about if common == {"name"} else set()):
        return Question()
    kind = common.pop()
    values = tuple(dict.fromkeys(value for meanings in named for meant, value in meanings if meant == kind))
    if kind != "name":
        return Question("confirm", kind, values)
    return Question("guess", "", values) if len(values) == 1 and not {*rest} & _COMPARED else Question()


def answer(city: str, question: Question, hidden: tuple[str, ...]) -> str:
    """What is true of a city; of ``hidden`` attributes values are only confirmed or denied."""
    if question.kind == "guess":
        return f"yes, it is {city}." if question.values[0] == city else f"no, it is not {question.values[0]}."
    attribute = attributes()[question.attribute]
    right = cities()[city][question.attribute]
    if question.kind == "confirm":
        found = [value for value in question.values if value in right]
        if found:
            return f"yes, {attribute['told'].format(_listed(found, 'and'))}"
        return f"no, {attribute['denied'].format(_listed(question.values, 'or'))}"
    if question.attribute in hidden:
        return f"i will not tell its {question.attribute}, only confirm it."
    return attribute["told"].format(_listed(right, "and")) if right else attribute["none"]


@lru_cache(maxsize=1 << 14)
def plan(left: tuple[str, ...], hidden: tuple[str, ...], depth: int = _DEPTH) -> tuple[float, str]:
    """How many more utterances than one it takes to name one of the cities ``left``, and what to say first.

    A search over the open questions and a guess, ``depth`` deep; beyond it the number is estimated.
    """
    count = len(left)
    if count == 1:
        return 0.0, f"is it {left[0]}?"
    if depth == 0:
        return min((count - 1) / 2, 0.6 + math.log(count, 5)), ""
    miss = (count - 1) / count
    best = miss * (1 + plan(left[1:], hidden, depth - 1)[0]), f"is it {left[0]}?"
    for name, attribute in attributes().items():
        groups = defaultdict(list)
        for city in left:
            groups[_told(city, name)].append(city)
        if name not in hidden and len(groups) > 1:
            cost = 1 + sum(len(group) / count * plan(tuple(group), hidden, depth - 1)[0] for group in groups.values())
            best = min(best, (cost, attribute["question"]))
    return best


@cache
def _told(city: str, attribute: str) -> str:
    return answer(city, Question("ask", attribute), ())


def _listed(values: Sequence[str], last: str) -> str:
    return f" {last} ".join(values)


def _named(said: list[str]) -> tuple[list[list[tuple[str, str]]], list[str]]:
    """What each name or value in a text may stand for, the longest at each place, and the other words."""
    named: list[list[tuple[str, str]]] = []
    rest: list[str] = []
    at = 0
    while at < len(said):
        for length in range(min(_longest(), len(said) - at), 0, -1):
            found = _phrases().get(tuple(said[at : at + length]))
            if found:
                named.append(found)
                break
        else:
            length = 1
            rest.append(said[at])
        at += length
    return named, rest


@cache
def _phrases() -> dict[tuple[str, ...], list[tuple[str, str]]]:
    """The words of a name or value -> what they may stand for, as attribute and value."""
    found: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for city in _shipped()["cities"]:
        for form in (city["name"], *city.get("also", ())):
            found[tuple(words(form))].append(("name", city["name"]))
        for attribute in attributes():
            for value in city[attribute]:
                for form in (value, *_shipped()["also"].get(value, ())):
                    phrase = tuple(words(next((form.removeprefix(a) for a in _ARTICLES if form.startswith(a)), form)))
                    if (attribute, value) not in found[phrase]:
                        found[phrase].append((attribute, value))
    return {phrase: meant for phrase, meant in found.items() if phrase not in {(word,) for word in _keywords()}}


@cache
def _longest() -> int:
    return max(map(len, _phrases()))


@cache
def _keywords() -> dict[str, str]:
    return {word: name for name, attribute in attributes().items() for word in attribute["words"].split()}


@cache
def _vocabulary() -> tuple[str, ...]:
    known = {word for phrase in _phrases() for word in phrase} | {*_keywords()} | _NEGATED | _COMPARED
    return tuple(sorted(known))


@cache
def _shipped() -> dict[str, Any]:
    text = files("textenvs.games.dialogue").joinpath("cities.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
