"""A small made-up encyclopedia of linked pages, and questions that need several of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from textenvs.parsing import words

FOUND = 3  # titles that a search gives at the most
LEAST_PAGES = 15
TYPES = ("person", "city", "film", "book", "company", "country")
_FILLERS = set(words("a an and at by for from in is it of on or out page the to up was were with"))
_WORD = re.compile("[a-z0-9]+")
_YEARS = (1850, 2020)


class Page(NamedTuple):
    """What is known of one thing: fact -> value, which is the title of another page, or a word or year."""

    title: str
    type: str
    facts: dict[str, str]

    def text(self) -> str:
        """The page as it is read."""
        told = [_facts(self.type)[fact]["told"].format(value) for fact, value in self.facts.items()]
        return f"{self.title}: a {self.type} {', '.join(told)}."

    def kinds(self) -> list[str]:
        """Of what kind the value of each fact is."""
        return [_facts(self.type)[fact]["kind"] for fact in self.facts]


class Question(NamedTuple):
    """A question.

    Attributes:
        text: as it is asked.
        kind: what is asked for: a type of page, ``"year"``, or another kind of word.
        answer: the right answer.
        chains: titles of the pages that have to be read; each page of a chain names the next.
        search: words that find the first page; empty where the question names it.
    """

    text: str
    kind: str
    answer: str
    chains: tuple[tuple[str, ...], ...]
    search: str = ""


class Encyclopedia:
    """Pages by title; what can be asked of them."""

    def __init__(self, pages: int, rng: np.random.Generator) -> None:
        titles = _titles(pages, rng)
        drawn = [Page(title, type, _draw_facts(type, titles, rng)) for type, those in titles.items() for title in those]
        self.pages = {drawn[int(i)].title: drawn[int(i)] for i in rng.permutation(len(drawn))}
        for country, city in zip(titles["country"], titles["city"], strict=False):
            self.pages[country].facts["capital"] = city
            self.pages[city].facts["country"] = country
        self._words = {title: {*_WORD.findall(page.text())} for title, page in self.pages.items()}

    def search(self, text: str) -> list[str]:
        """The titles of the pages that have most words of a text; of equals first those with more in the title."""
        wanted = content(text)
        scores = {title: (len(wanted & those), len(wanted & _in_title(title))) for title, those in self._words.items()}
        return [title for title in sorted(scores, key=scores.__getitem__, reverse=True)[:FOUND] if scores[title][0]]

    def find(self, text: str) -> str | None:
        """The one title that has all words of a text, or more than it."""
        wanted = content(text)
        same = [title for title in self.pages if _in_title(title) == wanted]
        near = same or [title for title in self.pages if wanted and wanted <= _in_title(title)]
        return near[0] if len(near) == 1 else None

    def follow(self, hops: int, described: bool, rng: np.random.Generator) -> Question:
        """What is found by ``hops`` facts from a page that the question names, or describes by two other facts."""
        while True:
            chain, facts = self._walk(hops, rng)
            if not chain:
                continue
            name, search = self._describe(chain[0], facts[0], rng) if described else (chain[0], "")
            kind = _facts(self.pages[chain[-2]].type)[facts[-1]]["kind"]
            if name and (not described or self.search(search)[0] == chain[0]) and chain[-1] not in name:
                text = f"{'who' if kind == 'person' else 'what'} is {self._asked(name, chain, facts)}?"
                return Question(text, kind, chain[-1], (chain[:-1],), search)

    def compare(self, hops: int, rng: np.random.Generator) -> Question:
        """Which of two things, each ``hops`` facts from a page that the question names, came first."""
        while True:
            walks = self._walk(hops, rng), self._walk(hops, rng)
            ends = [self.pages[chain[-1]] for chain, _ in walks if chain and chain[-1] in self.pages]
            if len(ends) < 2 or ends[0].type != ends[1].type or "year" not in ends[0].facts:
                continue
            years = [int(end.facts["year"]) for end in ends]
            if years[0] != years[1] and walks[0][0][0] != walks[1][0][0]:
                one, other = (self._asked(chain[0], chain, facts) for chain, facts in walks)
                answer = ends[years[1] < years[0]]
                first = _shipped()["types"][answer.type]["first"]
                return Question(f"{first}, {one} or {other}?", answer.type, answer.title, (walks[0][0], walks[1][0]))

    def _walk(self, hops: int, rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Titles from a random page on, and the facts that lead from each to the next; empty where they do not go on.

        What the last fact has may be a word, not a title.
        """
        titles = list(self.pages)
        chain, facts = [titles[int(rng.integers(len(titles)))]], []
        for _ in range(hops):
            page = self.pages.get(chain[-1])
            if page is None:
                return (), ()
            facts.append(list(page.facts)[int(rng.integers(len(page.facts)))])
            chain.append(page.facts[facts[-1]])
        return ((*chain,), (*facts,)) if len({*chain}) == len(chain) else ((), ())

    def _asked(self, name: str, chain: tuple[str, ...], facts: tuple[str, ...]) -> str:
        """How the end of a chain is asked for, if its first page is called ``name``."""
        for title, fact in zip(chain, facts, strict=False):
            name = _facts(self.pages[title].type)[fact]["asked"].format(name)
        return name

    def _describe(self, title: str, without: str, rng: np.random.Generator) -> tuple[str, str]:
        """A description of a page by two facts, and the words to search for; empty where it fits others too."""
        page = self.pages[title]
        facts = [fact for fact in page.facts if fact != without]
        facts = [facts[int(i)] for i in sorted(rng.permutation(len(facts))[:2])]
        values = [page.facts[fact] for fact in facts]
        told = [_facts(page.type)[fact]["told"].format(page.facts[fact]) for fact in facts]
        same = [each for each in self.pages.values() if {*values} <= {*each.facts.values()} and each.type == page.type]
        if len(same) > 1 or page.type in ("city", "country"):
            return "", ""
        return f"the {page.type} {' and '.join(told)}", " ".join([page.type, *values])


def content(text: str) -> set[str]:
    """The words of a text that say something."""
    return {*words(text)} - _FILLERS


def _in_title(title: str) -> set[str]:
    return {*title.split()} - _FILLERS


def share_out(pages: int) -> dict[str, int]:
    """How many pages of each type there are among as many."""
    shares = {type: spec["share"] for type, spec in _shipped()["types"].items()}
    counts = {type: pages * share // sum(shares.values()) for type, share in shares.items()}
    counts["person"] += pages - sum(counts.values())
    return counts


def kinds(pages: int) -> dict[str, int]:
    """How many different values of each kind there can be."""
    counts = share_out(pages)
    values = dict(counts)
    for type, count in counts.items():
        for spec in _facts(type).values():
            if spec["kind"] not in counts:
                values[spec["kind"]] = values.get(spec["kind"], 0) + count
    return values


def _titles(pages: int, rng: np.random.Generator) -> dict[str, list[str]]:
    """Titles of each type of page; no word but ``the`` is in two of them."""
    shipped = _shipped()

    def shuffled(options: list[str]) -> list[str]:
        return [options[int(i)] for i in rng.permutation(len(options))]

    first, last = shuffled(shipped["first_names"]), shuffled(shipped["last_names"])
    adjectives, nouns = shuffled(shipped["adjectives"]), shuffled(shipped["nouns"])
    stems = shuffled([start + middle for start in shipped["starts"] for middle in shipped["middles"]])
    titles: dict[str, list[str]] = {}
    for type, count in share_out(pages).items():
        for _ in range(count):
            if type == "person":
                title = f"{first.pop()} {last.pop()}"
            elif type in shipped["ends"]:
                title = stems.pop() + shipped["ends"][type][int(rng.integers(len(shipped["ends"][type])))]
            else:
                title = f"the {adjectives.pop()} {nouns.pop()}"
            titles.setdefault(type, []).append(title)
    return titles


def _draw_facts(type: str, titles: Mapping[str, list[str]], rng: np.random.Generator) -> dict[str, str]:
    facts = {}
    for fact, spec in _facts(type).items():
        options = titles.get(spec["kind"]) or _shipped()["words"].get(spec["kind"])
        facts[fact] = options[int(rng.integers(len(options)))] if options else str(rng.integers(*_YEARS))
    return facts


def _facts(type: str) -> dict[str, dict[str, str]]:
    return _shipped()["types"][type]["facts"]  # type: ignore[no-any-return]


@cache
def _shipped() -> dict[str, Any]:
    """The shipped types of pages and words for names."""
    text = files("textenvs.games.questions").joinpath("encyclopedia.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
