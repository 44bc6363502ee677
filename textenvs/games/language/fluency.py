"""Whether any words are an English sentence, by a generous reading."""

from __future__ import annotations

from functools import lru_cache

from textenvs.games.language.lexicon import article, english

_KNOWN_SHARE = 3 / 4  # of the words have to be known


@lru_cache(maxsize=1024)
def fluency(said: tuple[str, ...]) -> tuple[bool, int]:
    """Whether the words are a sentence, and how many of them can begin one.

    A word that is not in the lexicon can be what its ending allows, if a quarter of the words or fewer are such.
    """
    unknown = int(len(said) * (1 - _KNOWN_SHARE))
    kinds: list[dict[str, str]] = []
    for word, after in zip(said, [*said[1:], ""], strict=True):
        possible = english().kinds(word) if word not in ("a", "an") or word == article(after) else ()
        if not english().kinds(word):
            unknown -= 1
            possible = _guessed(word) if unknown >= 0 else ()
        if "N[sg]" in possible or "Mass" in possible:
            possible = (*possible, "Compound")
        kinds.append(dict.fromkeys(possible, ""))
    readings, furthest = english().read(kinds)
    return bool(readings), furthest


def _guessed(word: str) -> tuple[str, ...]:
    """The kinds that an unknown word can be."""
    if word.endswith("'s"):
        return ("Gen",)
    verbal = {
        "ly": ("Adv",),
        "ing": ("Ving",),
        "ed": ("V[sg,past]", "V[pl,past]", "Ven"),
        "s": ("N[pl]", "V[sg,now]"),
    }
    by_ending = next((kinds for ending, kinds in verbal.items() if word.endswith(ending)), ("V[pl,now]", "Base"))
    return ("N[sg]", "Mass", "Name", "A", *by_ending)
