"""The English that the games of this family share: words, their forms, and a grammar of simple sentences."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from textenvs.games.language.grammar import Grammar

_VOWELS = tuple("aeiou")
_LIKE_CONSONANTS = ("one", "eu", "use", "usu", "uni")
_SILENT_H = ("hour", "honest", "honor", "honour", "heir")


def data(name: str) -> str:
    """The text of a file of this family."""
    return files("textenvs.games.language").joinpath(name).read_text(encoding="utf-8")


@cache
def lexicon() -> dict[str, Any]:
    """The shipped word lists."""
    return json.loads(data("lexicon.json"))  # type: ignore[no-any-return]


@cache
def english() -> Grammar:
    """The grammar of simple English; ``english.txt`` explains it."""
    return Grammar(data("english.txt"), _kinds())


def draw(rng: np.random.Generator, pool: Sequence[str], size: int = 1) -> list[str]:
    """Different words, drawn at random; all of them in random order where there are no more than ``size``."""
    return [pool[int(i)] for i in rng.permutation(len(pool))[:size]]


def regular_plural(word: str) -> str:
    """``box`` gives ``boxes``, and ``child`` gives ``childs``."""
    if word.endswith("y") and word[-2] not in _VOWELS:
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh", "o")) else f"{word}s"


def regular_past(verb: str) -> str:
    """``carry`` gives ``carried``, and ``see`` gives ``seed``."""
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return f"{verb[:-1]}ied"
    return f"{verb}d" if verb.endswith("e") else f"{_doubled(verb)}ed"


def plural(noun: str) -> str:
    """``box`` gives ``boxes``, ``child`` gives ``children``."""
    return lexicon()["plurals"].get(noun) or regular_plural(noun)


def singular_verb(verb: str) -> str:
    """``carry`` gives ``carries``."""
    return regular_plural(verb)


def past(verb: str) -> str:
    """``carry`` gives ``carried``, ``see`` gives ``saw``."""
    return _irregular(verb)[0] if _irregular(verb) else regular_past(verb)


def participle(verb: str) -> str:
    """``carry`` gives ``carried``, ``see`` gives ``seen``."""
    return _irregular(verb)[1] if _irregular(verb) else regular_past(verb)


def gerund(verb: str) -> str:
    """``carry`` gives ``carrying``, ``take`` gives ``taking``, ``run`` gives ``running``."""
    if verb.endswith("e") and not verb.endswith("ee"):
        verb = verb[:-1]
    return f"{_doubled(verb)}ing"


def article(word: str) -> str:
    """``a`` or ``an`` before a word."""
    vowel = word.startswith(_VOWELS) and not word.startswith(_LIKE_CONSONANTS)
    return "an" if vowel or word.startswith(_SILENT_H) else "a"


def with_articles(words: Sequence[str]) -> list[str]:
    """The words with ``a`` and ``an`` as the next word wants them."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    return [article(after) if word in ("a", "an") and after else word for word, after in pairs]


def _irregular(verb: str) -> list[str]:
    return lexicon()["irregular"].get(verb, "").split()


def _doubled(verb: str) -> str:
    return verb + verb[-1] if verb in lexicon()["doubling"].split() else verb


def _kinds() -> dict[str, list[str]]:
    """The words of each symbol of the grammar that no rule rewrites."""
    lists = lexicon()
    kinds = {kind: some.split() for kind, some in lists["kinds"].items()}
    for category, some in lists["nouns"].items():
        sort = "anim" if category == "anim" else "thing"
        kinds[f"A.{category}"] = f"{lists['adjectives']['any']} {lists['adjectives'][sort]}".split()
        kinds[f"N.{category}[sg]"] = some.split()
        kinds[f"N.{category}[pl]"] = [plural(noun) for noun in some.split()]
    kinds["A.other"] = lists["adjectives"]["other"].split()
    verbs: dict[str, None] = {}
    for category, some in lists["verbs"].items():
        verbs |= dict.fromkeys(some.split())
        symbol = "Link" if category == "link" else f"V.{category}"
        kinds[f"{symbol}[sg,now]"] = [singular_verb(verb) for verb in some.split()]
        kinds[f"{symbol}[pl,now]"] = some.split()
        for number in ("sg", "pl"):
            kinds[f"{symbol}[{number},past]"] = [past(verb) for verb in some.split()]
    return kinds | {"Base": list(verbs), "Ving": [*map(gerund, verbs)], "Ven": [*map(participle, verbs)]}
