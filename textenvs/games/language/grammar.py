"""Feature grammars: writing random sentences, and reading any."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from itertools import product

import numpy as np

Rules = dict[str, list[tuple[int, tuple[str, ...]]]]
Span = tuple[int, tuple[str, ...]]  # where it ends, and the tags of its words
_NAME = re.compile(r"(?<=[\[,.])\w+")
_TRIES = 4  # for a favoured word
_CLASS = re.compile(r"\.\w+")


def parse_rules(text: str) -> Rules:
    """Symbol -> weights and right-hand sides, from the notation that ``english.txt`` explains."""
    values: dict[str, list[str]] = {}
    rules: Rules = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if "->" in line:
            left, _, right = line.partition("->")
            for alternative in right.split("|"):
                weight, *symbols = alternative.split()
                for chosen in product(*[(symbol[:-1], "") if symbol[-1] == "?" else (symbol,) for symbol in symbols]):
                    _add(rules, values, int(weight), " ".join([left, *chosen]))
        elif "=" in line:
            name, _, those = line.partition("=")
            values[name.strip()] = those.split()
    return rules


def _add(rules: Rules, values: Mapping[str, list[str]], weight: int, rule: str) -> None:
    """Add a rule, its left side being the first symbol, for all values of its variables."""
    names = sorted(set(_NAME.findall(rule)) & set(values))
    for chosen in product(*(values[name] for name in names)):
        bound = dict(zip(names, chosen, strict=True))
        left, *right = re.sub(_NAME, lambda name: bound.get(name[0], name[0]), rule).split()  # noqa: B023
        rules.setdefault(left, []).append((weight, tuple(right)))


class Grammar:
    """Writes with the rules that have a weight, minding the classes of words; reads with all rules and any classes.

    Args:
        rules: the text of the rules; they must not be left-recursive. A symbol in lower case is that word itself.
        words: the words of each symbol that no rule rewrites.
    """

    def __init__(self, rules: str, words: Mapping[str, Sequence[str]]) -> None:
        self._words = {symbol: tuple(some) for symbol, some in words.items()}
        self._written: dict[str, tuple[tuple[str, ...], ...]] = {}
        self._read: dict[str, tuple[tuple[str, ...], ...]] = {}
        read: dict[str, dict[tuple[str, ...], None]] = {}
        for left, alternatives in parse_rules(rules).items():
            self._written[left] = tuple(right for weight, right in alternatives for _ in range(weight))
            for _, right in alternatives:
                read.setdefault(_plain(left), {})[tuple(map(_plain, right))] = None
        self._read = {left: tuple(rights) for left, rights in read.items()}
        self._kinds: dict[str, tuple[str, ...]] = {}
        used = {part for rights in self._read.values() for right in rights for part in right}
        self._words |= {word: (word,) for word in sorted(used) if word.islower()}
        for symbol, some in self._words.items():
            for word in some:
                self._kinds[word] = tuple(dict.fromkeys((*self._kinds.get(word, ()), _plain(symbol))))
        self._first: dict[str, frozenset[str]] = {}
        self._nullable: dict[str, bool] = {}
        for symbol in self._read:
            self._starts(symbol)

    def words(self) -> list[str]:
        """All known words."""
        return list(self._kinds)

    def words_of(self, symbol: str) -> tuple[str, ...]:
        """The words that a symbol can be written as; those of the forms of a word are in the same order."""
        return self._words[symbol]

    def kinds(self, word: str) -> tuple[str, ...]:
        """The kinds of word that it can be; none for an unknown one."""
        return self._kinds.get(word, ())

    def write(
        self, rng: np.random.Generator, favoured: Container[str] = (), symbol: str = "S"
    ) -> list[tuple[str, str]]:
        """A random sentence: its words and their symbols. Some words can be favoured over others of their kind."""
        if symbol in self._words:
            some = self._words[symbol]
            for _ in range(_TRIES):
                word = some[int(rng.integers(len(some)))]
                if word in favoured:
                    break
            return [(word, symbol)]
        rights = self._written[symbol]
        right = rights[int(rng.integers(len(rights)))]
        return [word for part in right for word in self.write(rng, favoured, part)]

    def read(self, kinds: Sequence[Mapping[str, str]], symbol: str = "S") -> tuple[set[tuple[str, ...]], int]:
        """All tags that a sentence can have, and how many of its words can begin a sentence.

        Args:
            kinds: for each word its possible kinds and the tag that each gives.
            symbol: what to read it as.
        """
        furthest = 0
        seen: dict[tuple[str, int], set[Span]] = {}

        def spans(symbol: str, start: int) -> set[Span]:
            nonlocal furthest
            here = kinds[start] if start < len(kinds) else {}
            if symbol not in self._read:
                if symbol not in here:
                    return set()
                furthest = max(furthest, start + 1)
                return {(start + 1, (here[symbol],))}
            if not self._nullable[symbol] and self._first[symbol].isdisjoint(here):
                return set()
            if (symbol, start) in seen:
                return seen[symbol, start]
            found: set[Span] = set()
            for right in self._read[symbol]:
                so_far: set[Span] = {(start, ())}
                for part in right:
                    so_far = {(to, (*tags, *more)) for end, tags in so_far for to, more in spans(part, end)}
                    if not so_far:
                        break
                found |= so_far
            seen[symbol, start] = found
            return found

        whole = {tags for end, tags in spans(symbol, 0) if end == len(kinds)}
        return whole, furthest

    def _starts(self, symbol: str) -> tuple[frozenset[str], bool]:
        """The kinds of word that ``symbol`` can begin with, and whether it can be empty."""
        if symbol not in self._read:
            return frozenset([symbol]), False
        if symbol not in self._first:
            first: set[str] = set()
            nullable = False
            for right in self._read[symbol]:
                for part in right:
                    begins, empty = self._starts(part)
                    first |= begins
                    if not empty:
                        break
                else:
                    nullable = True
            self._first[symbol], self._nullable[symbol] = frozenset(first), nullable
        return self._first[symbol], self._nullable[symbol]


def _plain(symbol: str) -> str:
    """A symbol without its class."""
    return _CLASS.sub("", symbol)
