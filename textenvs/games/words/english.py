"""The shipped list of English words (``scowl.txt``, whose head names its source), and reading one of them."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib.resources import files

from textenvs import parsing

LENGTHS = range(3, 9)
# Words around the one that is meant: "my guess is crane", "how about crane", "the word is cold"; and those around
# even these: "my first guess is crane".
_FILLERS = tuple(
    words.split()
    for words in (
        "about and answer answers can change choose could for from going guess guesses have how into know let letter "
        "letters like maybe might must next pick play please should sure take that the then there think this try turn "
        "want what will with word words would you",
        "fifth final first fourth here last move now opening say second sixth start third use using",
    )
)


@cache
def english_words(length: int) -> tuple[str, ...]:
    """All words of so many letters, roughly the most common first."""
    text = files(__package__).joinpath("scowl.txt").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(word for line in lines for word in line.split() if len(word) == length)


@cache
def _listed(length: int) -> frozenset[str]:
    return frozenset(english_words(length))


def is_listed(word: str) -> bool:
    """Whether a word is in the list."""
    return word in _listed(len(word))


def read_word(text: str, length: int, ignored: Collection[str] = ()) -> str | None:
    """The one word of so many letters that a text names, or spells (``c r a n e``); ``None`` for none or several.

    Words as in *my guess is* do not count beside another, nor ``ignored`` ones, nor unlisted ones beside a listed one.
    """
    if text in _listed(length):
        return text
    said = parsing.words(text)
    if len(said) == length and all(len(word) == 1 for word in said):
        said = ["".join(said)]
    found = list(dict.fromkeys(word for word in said if len(word) == length and word.isalpha()))
    for unlikely in (ignored, *_FILLERS):
        found = [word for word in found if word not in unlikely] or found
    found = [word for word in found if is_listed(word)] or found
    return found[0] if len(found) == 1 else None
