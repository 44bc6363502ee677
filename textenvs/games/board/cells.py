"""How the games on a grid read which cell is meant."""

from __future__ import annotations

import re
from functools import lru_cache

from textenvs import parsing

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_NAMES = ("row|r|line", "column|col|c")
_ROW, _COLUMN = (
    (re.compile(rf"\b(?:{name}) (?:number )?(\d+)\b"), re.compile(rf"\b(\d+) (?:(?:st|nd|rd|th) )?(?:{name})\b"))
    for name in _NAMES
)
_NAMED = ((_ROW[0], _COLUMN[0]), (_ROW[1], _COLUMN[1]), (_ROW[0], _COLUMN[1]), (_ROW[1], _COLUMN[0]))
_BEFORE_CELL = re.compile(r"\b(\d+) (?:at|in|into|on)\b")


@lru_cache(maxsize=1 << 10)
def read_cell(text: str) -> tuple[int, int, tuple[int, ...]] | None:
    """The row and the column that a text names, and the other numbers in it; ``None`` if it names no cell.

    Row and column are told by name (``row 3, column 4``, ``r3c4``, ``7 in the fourth column of row three``) or else are
    the first two numbers, the row first (``3 4``, ``(3,4)=7``, ``7 at 3 4``). Numbers may be words.
    """
    said = " ".join(_digits(word) for word in parsing.words(text))
    if any(len(re.findall(rf"\b(?:{name})\b", said)) > 1 for name in _NAMES):
        return None
    for patterns in _NAMED:
        rows, columns = (pattern.findall(said) for pattern in patterns)
        if len(rows) == len(columns) == 1:
            for pattern in patterns:
                said = pattern.sub("", said)
            return int(rows[0]), int(columns[0]), tuple(_numbers(said))
    others = [int(number) for number in _BEFORE_CELL.findall(said)]
    numbers = _numbers(_BEFORE_CELL.sub("", said))
    if len(numbers) < 2 or any(pattern.search(said) for pattern in (*_ROW, *_COLUMN)):
        return None
    return numbers[0], numbers[1], (*others, *numbers[2:])


def _numbers(said: str) -> list[int]:
    return [int(number) for number in re.findall(r"\b\d{1,9}\b", said)]


def _digits(word: str) -> str:
    """A number word or an ordinal in digits, any other word as it is."""
    number = _ORDINALS.index(word) + 1 if word in _ORDINALS else parsing.number(word)
    return word if number is None else str(number)
