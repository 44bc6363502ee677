"""What games share in reading free text: words, numbers, directions, named options, near spellings.

Each function takes any string and looks at its first ``MAX_CHARACTERS`` characters only.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

MAX_CHARACTERS = 300
_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_NUMBER_WORDS = {word: n for n, word in enumerate(_ONES.split())} | {
    word: 10 * n for n, word in enumerate(_TENS.split(), 2)
}
_SPELLED = re.compile(
    r"\b(?:{0})(?:[\s-]+(?:and\s+)?(?:{0}))*\b".format("|".join([*_NUMBER_WORDS, "hundred", "thousand"])), re.I
)
_COMMA = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_DIGITS = re.compile(r"((?:(?<!\S)-)?[0-9]{1,9})[0-9]*")
_TOKEN = re.compile(r"[a-z]+(?:['’][a-z]+)*|[0-9]+")
_SENTENCE = re.compile(r"[^.!?;\n]+\??")
_CLAUSE_END = re.compile(r"[,:]|\b(?:but|so)\b")
_DENYING = frozenset(("no", "not", "never", "cannot", "cant", "dont", "wont", "without", "before"))
_COMPASS = {"left": "west", "down": "south", "right": "east", "up": "north"}
_DIRECTIONS = {
    word: direction
    for direction, compass in _COMPASS.items()
    for name in (direction, compass)
    for word in (name, f"{name}ward", f"{name}wards", name[0])
}


def words(text: str) -> list[str]:
    """Lower-case words and runs of digits; accents are dropped, and an apostrophe belongs to its word."""
    plain = text[:MAX_CHARACTERS].lower()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain)
        plain = "".join(char for char in plain if not unicodedata.combining(char))
    return _TOKEN.findall(plain)


def asserted(text: str) -> list[str]:
    """``words`` of what neither asks nor denies: of ``don't stop, go on. is it far?`` only ``go on``."""
    sentences = _SENTENCE.findall(text[:MAX_CHARACTERS].lower())
    clauses = [clause for each in sentences if not each.endswith("?") for clause in _CLAUSE_END.split(each)]
    return [word for said in map(words, clauses) if not any(map(_denies, said)) for word in said]


def numbers(text: str) -> list[int]:
    """Whole numbers in digits, in order; ``"2, then -1,500"`` gives ``[2, -1500]``; of long ones nine digits count."""
    return [int(digits) for digits in _DIGITS.findall(without_commas(text[:MAX_CHARACTERS]))]


def without_commas(text: str) -> str:
    """``text`` without the commas that set off thousands: ``1,000`` becomes ``1000``."""
    return _COMMA.sub("", text) if "," in text else text


@lru_cache(maxsize=1 << 10)
def number(text: str) -> int | None:
    """The first whole number in a text, in digits if there are any, else in words (``a hundred and five``)."""
    digits = _DIGITS.search(without_commas(text[:MAX_CHARACTERS]))
    return int(digits[1]) if digits else _spelled(words(text))


def in_digits(text: str) -> str:
    """``text`` with the numbers told in words in digits: ``forty two or fifty`` becomes ``42 or 50``."""
    return _SPELLED.sub(lambda found: str(_spelled(words(found[0]))), text)


@lru_cache(maxsize=1 << 10)
def direction(text: str) -> str | None:
    """``"left"``, ``"down"``, ``"right"`` or ``"up"`` if the text names exactly one of them, also as a point of the
    compass or by its first letter (``go west``, ``N``)."""
    named = {_DIRECTIONS[word] for word in words(text) if word in _DIRECTIONS}
    return named.pop() if len(named) == 1 else None


def compass(text: str) -> str | None:
    """``direction`` as ``"west"``, ``"south"``, ``"east"`` or ``"north"``."""
    named = direction(text)
    return _COMPASS[named] if named else None


def option(text: str, options: Iterable[str]) -> str | None:
    """The option that a text names, as a run of whole words whatever the case and punctuation; ``None`` if it names
    none, or several. An option inside a longer named one does not count: ``old house`` in ``the old house inn``."""
    said = f" {' '.join(words(text))} "
    named = {each: f" {' '.join(words(each))} " for each in options}
    named = {each: form for each, form in named.items() if form.strip() and form in said}
    whole = [each for each in named if not any(named[each] in form and form != named[each] for form in named.values())]
    return whole[0] if len(whole) == 1 else None


@lru_cache(maxsize=4096)
def nearest(word: str, vocabulary: tuple[str, ...]) -> str:
    """The word of ``vocabulary`` that ``word`` most probably misspells: same first letter, at least 0.8 alike by
    ``difflib``; ``word`` itself where there is none."""
    near = [known for known in vocabulary if known[:1] == word[:1] and abs(len(known) - len(word)) <= 2]
    return next(iter(difflib.get_close_matches(word, near, n=1, cutoff=0.8)), word)


def mended(word: str, vocabulary: tuple[str, ...]) -> str:
    """``nearest`` for a word of five letters or more, or a plural of four; shorter ones are mostly no misspellings."""
    return nearest(word, vocabulary) if len(word) > 4 or (len(word) == 4 and word.endswith("s")) else word


def _denies(word: str) -> bool:
    return word in _DENYING or word.endswith(("n't", "n’t"))


def _spelled(spoken: list[str]) -> int | None:
    """The first number told in words: ``forty two``, ``a hundred``, ``two thousand three hundred and five``."""
    thousands, rest = 0, None  # what a "thousand" closed, and what was said since
    for word in spoken:
        if word == "hundred" and (0 < rest < 100 if rest is not None else not thousands):
            rest = (rest or 1) * 100
        elif word == "thousand" and not thousands and (rest is None or 0 < rest < 1000):
            thousands, rest = (rest or 1) * 1000, None
        elif word in _NUMBER_WORDS and (rest is None or _continues(rest, _NUMBER_WORDS[word])):
            rest = (rest or 0) + _NUMBER_WORDS[word]
        elif (thousands or rest is not None) and word != "and":
            break
    return thousands + (rest or 0) if thousands or rest is not None else None


def _continues(found: int, part: int) -> bool:
    """Whether ``part`` may be said after ``found`` as a part of it: 40 and 2, 200 and 5, but not 5 and 6."""
    return (found >= 100 and found % 100 == 0) or (found % 100 >= 20 and found % 10 == 0 and 0 < part < 10)
