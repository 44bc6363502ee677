"""Errors of spelling and grammar that can be mended in one way only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from textenvs.games.language.lexicon import english, regular_past, regular_plural

_TELLS_NUMBER = frozenset(["a", "an", "this", "that", "every", "these", "those", "many", "several"])
_COUNTS = _TELLS_NUMBER - {"this", "that", "these", "those"}  # "this dogs" may mean "these dogs" as well
_CASES = {"he": "him", "she": "her", "they": "them", "we": "us"}
_LEAST_LETTERS = 5  # of a word that can be misspelt

Words = Sequence[tuple[str, str]]  # each with its symbol in the grammar


class Error(NamedTuple):
    """A change for the worse.

    Attributes:
        kind: what sort of error it is.
        said: position -> what is said there instead.
        needs: the positions that tell how to mend it, where no other error may be.
    """

    kind: str
    said: dict[int, str]
    needs: frozenset[int]


def possible_errors(words: Words) -> list[Error]:
    """All errors that a sentence can have."""
    return [error for kind in (_spelling, _verb, _noun, _forms, _order) for error in kind(words)]


def draw_errors(possible: Sequence[Error], count: int, rng: np.random.Generator) -> list[Error]:
    """Errors that do not get in each other's way, of kinds that are all as probable; fewer where there is no room."""
    drawn: list[Error] = []
    while possible and len(drawn) < count:
        kinds = sorted({error.kind for error in possible})
        kind = kinds[int(rng.integers(len(kinds)))]
        those = [error for error in possible if error.kind == kind]
        error = those[int(rng.integers(len(those)))]
        if kind == "spelling":
            ((position, word),) = error.said.items()
            error = error._replace(said={position: misspell(word, rng)})
        drawn.append(error)
        possible = [other for other in possible if other.needs.isdisjoint(error.needs)]
    return drawn


def with_errors(words: Words, errors: Sequence[Error]) -> str:
    """What is said instead of the sentence."""
    said = {position: text for error in errors for position, text in error.said.items()}
    return " ".join(said.get(position, word) for position, (word, _) in enumerate(words))


def misspell(word: str, rng: np.random.Generator) -> str:
    """A word with two inner letters swapped, or one left out or doubled, that is like no other known word."""
    inner = range(1, len(word) - 1)
    wrong = [f"{word[:i]}{word[i + 1]}{word[i]}{word[i + 2 :]}" for i in inner[:-1]]
    wrong += [f"{word[:i]}{word[i + 1 :]}" for i in inner] + [f"{word[:i]}{word[i]}{word[i:]}" for i in inner]
    for i in rng.permutation(len(wrong)):
        if _is_clear(wrong[i], word):
            break
    return wrong[i]


def _is_clear(wrong: str, *right: str) -> bool:
    """Whether ``wrong`` is no word, and like no other words than those of ``right``."""
    return not english().kinds(wrong) and _near(wrong) <= set(right)


def _near(word: str) -> set[str]:
    """The known words that a letter left out, put in or changed, or two swapped, make of a word."""
    parts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    gaps = [f"{left}?{right[cut:]}" for left, right in parts for cut in (0, 1)]
    made = [f"{left}{right[1:]}" for left, right in parts]
    made += [f"{left}{right[1]}{right[0]}{right[2:]}" for left, right in parts if len(right) > 1]
    return {near for gap in gaps for near in _with_gaps().get(gap, ())} | {
        near for near in made if english().kinds(near)
    }


@cache
def _with_gaps() -> dict[str, list[str]]:
    """Each known word by its spellings with one letter unknown: ``d?g``."""
    found: dict[str, list[str]] = {}
    for word in english().words():
        for i in range(len(word)):
            found.setdefault(f"{word[:i]}?{word[i + 1 :]}", []).append(word)
    return found


# --- the kinds of errors ---


def _spelling(words: Words) -> Iterator[Error]:
    """``gadren``, ``gaden`` or ``gardden`` for ``garden``; drawn later."""
    for i, (word, _) in enumerate(words):
        if len(word) >= _LEAST_LETTERS:
            yield Error("spelling", {i: word}, frozenset([i]))


def _verb(words: Words) -> Iterator[Error]:
    """``now the girls walked``, ``these girls walks``, ``yesterday he goed``."""
    start, first = 0, True  # the first words tell the tense of the first verb only
    for i, (word, symbol) in enumerate(words):
        if _is(symbol, "Now", "Then", "Time", "That"):
            start = i + 1
        elif _is(symbol, "V", "Be"):
            name, number, tense = symbol[:-1].replace("[", ",").split(",")
            index = english().words_of(symbol).index(word)
            forms = {
                (other, when): english().words_of(f"{name}[{other},{when}]")[index]
                for other in ("sg", "pl")
                for when in ("now", "past")
            }
            needs = frozenset(range(start, i + 1))
            told = words[start][0] in _TELLS_NUMBER or _is(words[start][1], "Pro", "Name", "Num")
            for (other, when), form in forms.items():
                if first and form != word and (when != tense if other == number else when == tense and told):
                    yield Error("verb", {i: form}, needs)
            wrong = regular_past(forms["pl", "now"])
            if name != "Be" and tense == "past" and _is_clear(wrong, word):
                yield Error("verb", {i: wrong}, needs)
            first = False


def _noun(words: Words) -> Iterator[Error]:
    """``two dog``, ``every dogs``, ``two childs``."""
    for i, (word, symbol) in enumerate(words):
        if not _is(symbol, "N"):
            continue
        first = _phrase_start(words, i)
        plural = symbol.endswith("[pl]")
        other = f"{symbol[:-4]}{'[sg]' if plural else '[pl]'}"
        form = english().words_of(other)[english().words_of(symbol).index(word)]
        verb = next((j for j in range(i + 1, len(words)) if _is(words[j][1], "V", "Be")), i)
        needs, wrong = frozenset([*range(first, i + 1), verb]), regular_plural(form)
        if words[first][0] in _COUNTS or _is(words[first][1], "Num"):
            yield Error("noun", {i: form}, needs)
            if plural and _is_clear(wrong, word, form):
                yield Error("noun", {i: wrong}, needs)


def _forms(words: Words) -> Iterator[Error]:
    """``a apple``; ``him walks``; ``walks quick``, ``is quickly``."""
    adverbs, cases = _adverbs(), _CASES | {accusative: nominative for nominative, accusative in _CASES.items()}
    adjectives = {adverb: adjective for adjective, adverb in adverbs.items()}
    for i, (word, symbol) in enumerate(words):
        before = words[i - 1][1] if i else ""
        if _is(symbol, "Art"):
            yield Error("article", {i: "a" if word == "an" else "an"}, frozenset([i, i + 1]))
        elif _is(symbol, "Pro", "ProO"):
            yield Error("pronoun", {i: cases[word]}, frozenset([i]))
        elif _is(symbol, "Adv") and word in adjectives and _is(before, "V"):
            yield Error("adverb", {i: adjectives[word]}, frozenset([i]))
        elif _is(symbol, "A") and word in adverbs and _is(before, "Be"):
            yield Error("adverb", {i: adverbs[word]}, frozenset([i]))


def _order(words: Words) -> Iterator[Error]:
    """``the dog big barks``; ``in in the garden``."""
    for i, (word, symbol) in enumerate(words):
        if _is(symbol, "The", "Art", "P", "To", "Into") and len(english().kinds(word)) == 1:
            yield Error("doubled", {i: f"{word} {word}"}, frozenset([i]))
        elif _is(symbol, "N") and _is(words[i - 1][1], "A"):
            first, adjective = _phrase_start(words, i), words[i - 1][0]
            modified = _is(words[i - 2][1], "Deg") or adjective in _adverbs() or "Adv" in english().kinds(adjective)
            if not modified and not _is(words[first - 1][1], "V", "Be"):
                yield Error("order", {i - 1: word, i: adjective}, frozenset(range(first, i + 1)))


@cache
def _adverbs() -> dict[str, str]:
    """Adjective -> adverb, of those that have one."""
    adjectives = [word for word in english().words() if "A" in english().kinds(word)]
    made = {word: f"{word[:-1]}ily" if word.endswith("y") else f"{word}ly" for word in adjectives}
    return {adjective: adverb for adjective, adverb in made.items() if "Adv" in english().kinds(adverb)}


def _phrase_start(words: Words, noun: int) -> int:
    """Where the phrase of a noun begins."""
    start = noun
    while start and _is(words[start - 1][1], "A", "Deg"):
        start -= 1
    return start - 1 if start and _is(words[start - 1][1], "Det", "The", "Art", "Poss", "Num") else start


def _is(symbol: str, *names: str) -> bool:
    return symbol.partition("[")[0].partition(".")[0] in names
