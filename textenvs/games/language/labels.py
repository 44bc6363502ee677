"""Reading which label a free text names."""

from __future__ import annotations

from collections.abc import Mapping

from textenvs.parsing import nearest, words


def named_label(text: str, names: Mapping[str, str]) -> str | None:
    """The label that a text names, from all single-word names of labels; ``None`` if it names none, or several.

    Small misspellings do not matter.
    """
    known = tuple(names)
    found = {names[near] for word in words(text) if (near := nearest(word, known)) in names}
    return found.pop() if len(found) == 1 else None
