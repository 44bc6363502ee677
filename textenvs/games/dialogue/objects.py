"""The shipped table of objects and attributes, and the reading of questions about them."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from textenvs.parsing import nearest, words


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# what a question may say besides what it is about
_FILLERS = _set(
    "is it a an the do does did can could would will should has have having are was were be been being you your i me "
    "my we one some any something anything thing object item that this which of in on at for to from with by into "
    "inside as than use used using useful make made usually typically often mostly mainly generally normally commonly "
    "sometimes considered kind type sort there ever also just so then ok okay well please tell know think thinking "
    "answer its it's they them their these those find found get got live lives need really actually maybe perhaps "
    "or out right if and"
)
_GUESS = _set(
    "is it a an the i guess think say that my answer are you thinking of could be this it's its so ok then maybe "
    "perhaps was they these and what about some kind type sort"
)
_NOT = frozenset(("not", "never", "cannot"))
_SHORT = 4  # letters of a word that is not taken for a misspelling


class Table(NamedTuple):
    """What is known.

    Attributes:
        objects: the names.
        questions: one for each attribute.
        holds: ``(attributes, objects)``, bool.
    """

    objects: tuple[str, ...]
    questions: tuple[str, ...]
    holds: NDArray[np.bool_]


class Question(NamedTuple):
    """A question that was understood.

    Attributes:
        kind: ``"attribute"``, ``"guess"`` or ``"unknown"``.
        which: the attribute, or the object.
        negated: whether it asks for the contrary of the attribute.
    """

    kind: str
    which: int = -1
    negated: bool = False


@cache
def _content() -> Any:
    return json.loads(files("textenvs.games.dialogue").joinpath("objects.json").read_text("utf-8"))


@cache
def table() -> Table:
    """The table; an object has the attributes of its group and its own, without those marked ``-``."""
    content = _content()
    attributes = list(content["attributes"])
    own: dict[str, set[str]] = {}
    for group, members in content["objects"].items():
        for name, listed in members.items():
            lacks = {word[1:] for word in listed.split() if word.startswith("-")}
            own[name] = ({*group.split(), *listed.split()} - lacks) & set(attributes)
    holds = np.array([[attribute in has for has in own.values()] for attribute in attributes])
    questions = tuple(entry[0] for entry in content["attributes"].values())
    return Table(tuple(own), questions, holds)


@cache
def guesses() -> tuple[str, ...]:
    """How each object is guessed."""
    bare = frozenset(_content()["bare"])
    articles = ["" if name in bare else "an " if name[0] in "aeiou" else "a " for name in table().objects]
    return tuple(f"is it {article}{name}?" for article, name in zip(articles, table().objects, strict=True))


def read(text: str) -> Question:
    """The one thing that ``text`` asks: exact up to order, filling words, plurals and small misspellings."""
    said = words(text)
    question = _understand(said)
    if question.kind == "unknown" and said:
        mended = [word if len(word) <= _SHORT or word in _FILLERS else nearest(word, _vocabulary()) for word in said]
        question = _understand(mended) if mended != said else question
    return question


def _understand(said: list[str]) -> Question:
    names = _names()
    for start in range(len(said)):
        named = names.get(tuple(map(_stem, said[start:])))
        if named is not None and _GUESS.issuperset(said[:start]):
            return Question("guess", named)
    negated = bool(said) and any(word in _NOT or (i and word.endswith("n't")) for i, word in enumerate(said))
    asked = _core([word for word in said if word not in _NOT and not word.endswith("n't")])
    for phrase, flip in ((asked, negated), (asked | {"not"} if negated else asked, False)):
        if (known := _phrases().get(phrase)) is not None:
            return Question("attribute", known[0], known[1] != flip)
    return Question("unknown")


def _stem(word: str) -> str:
    """Without the ``s`` of a plural or of a verb."""
    return word[:-1] if len(word) > 3 and word[-1] == "s" and word[-2] != "s" else word


def _core(said: list[str]) -> frozenset[str]:
    """The words that say something."""
    return frozenset(_stem(word) for word in said if word not in _FILLERS)


@cache
def _phrases() -> dict[frozenset[str], tuple[int, bool]]:
    """Core words -> the attribute that they ask for, and whether for its contrary."""
    known: dict[frozenset[str], tuple[int, bool]] = {}
    for index, (question, *forms) in enumerate(_content()["attributes"].values()):
        known[_core(words(question))] = index, False
        for contrary, phrases in enumerate(forms):
            for phrase in phrases.split(","):
                known.setdefault(_core(words(phrase)), (index, bool(contrary)))
    known.pop(frozenset(), None)
    return known


@cache
def _names() -> dict[tuple[str, ...], int]:
    """Stems of a name or another name -> the object."""
    others: dict[str, str] = _content()["names"]
    known = {}
    for index, name in enumerate(table().objects):
        for each in [name, *others.get(name, "").split(",")]:
            if each.strip():
                known[tuple(map(_stem, words(each)))] = index
    return known


@cache
def _vocabulary() -> tuple[str, ...]:
    known = {word for phrase in _phrases() for word in phrase} | {word for name in _names() for word in name}
    return tuple(sorted({*known, *_FILLERS}))
