"""Label the words of a sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.language.grammar import Grammar
from textenvs.games.language.labels import named_label
from textenvs.games.language.lexicon import data, english, with_articles

_KINDS = {
    "parts of speech": {
        "noun": "N Name Time Mass",
        "verb": "V Link Be Base Ving Ven Modal Do Have",
        "adjective": "A Last",
        "adverb": "Adv Now Then Not Deg There",
        "determiner": "The Art Det Poss",
        "preposition": "P To Into",
        "pronoun": "Pro ProO Rel",
        "conjunction": "Conj Sub That",
        "number": "Num",
    },
    "entities": {"person": "First Last", "place": "Place", "company": "Company", "time": "Day Month", "other": "Thing"},
}
_NAMES = {
    "noun": "nouns nn name",
    "verb": "verbs vb",
    "adjective": "adjectives adj",
    "adverb": "adverbs adv",
    "determiner": "determiners det article possessive",
    "preposition": "prepositions prep",
    "pronoun": "pronouns pron",
    "conjunction": "conjunctions conj connective",
    "number": "numbers num numeral",
    "person": "persons people per human",
    "place": "places location loc city country",
    "company": "companies organisation organization org firm",
    "time": "times date day month",
    "other": "others none nothing thing",
}
_HINTS = {"adverb": "also now, yesterday, very", "determiner": "also my, many", "other": "also mr, last"}


class Tagging(Game):
    """TextTagging-v0: label a sentence word by word, by parts of speech or by what its names stand for.

    ## Description

    The whole sentence is shown, then its words are asked for one after the other. Many words can have several tags: in
    ``she saw the saw`` the same word is a verb and a noun, and ``jordan`` is a person or a place. Only one tagging
    makes the sentence grammatical.

    ## Example transcript

    ```
    tag each word as noun, verb, adjective, adverb (also now, yesterday, very), determiner (also my, many), preposition,
    pronoun, conjunction, number. sentence: he saw the cool saw politely. first word: he?
    > pronoun
    right. saw?
    > verb
    right. the?
    > determiner
    right. cool?
    > adjective
    right. saw?
    > noun
    right. politely?
    > adverb
    right. 6 of 6 right.
    ```

    ## Observation

    The opening lists the tags, the sentence and its first word; each reply tells the right tag of the word before and
    asks for the next word.

    ## Action

    Free text that names exactly one tag: ``noun``, ``it is a verb``, ``adj``, ``Location``; small misspellings do not
    matter. Anything else is not understood and the word is asked for again.

    ## Reward

    Each right tag earns 1 over the number of words; the sum is the accuracy.

    ## Episode end

    Terminated after the last word (``success`` if all tags are right; ``info["accuracy"]`` is the share of right ones);
    truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``tags`` | parts of speech | parts of speech | None | ``"parts of speech"``, ``"entities"``, ``None`` for either |
    | ``least_words`` | 4 | 6 | 9 | the shortest sentence |
    | ``most_words`` | 6 | 9 | 13 | the longest sentence |
    | ``ambiguous`` | 0 | 3 | 4 | words that can have several tags: none for 0, else at least so many |
    | ``max_turns`` | 12 | 18 | 26 | truncation: twice ``most_words`` |

    ## Expert

    Exact: it reads the sentence with the grammar (all readings, by a memoised top-down parser), and only sentences
    that have a single tagging are asked. It is always right. Random play is right in 0.12 (easy), 0.11 (medium) and
    0.16 (hard) of the words and never in all; the most frequent tag of each word in 0.93 and 0.88 of the words of
    medium and hard, and in all words of 0.53 and 0.28 of the sentences.

    ## Source

    Grammar, words and sentences are this package's own. The parts of speech are those of Universal Dependencies (nouns
    and names in one, auxiliaries being verbs), the entities those of CoNLL-2003 with times; tagging word by word as a
    game is in NLPGym (Ramamurthy et al. 2020).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"least_words": 4, "most_words": 6, "ambiguous": 0},
        "medium": {},
        "hard": {"tags": None, "least_words": 9, "most_words": 13, "ambiguous": 4},
    }

    def __init__(
        self, tags: str | None = "parts of speech", least_words: int = 6, most_words: int = 9, ambiguous: int = 3
    ) -> None:
        if tags is not None and tags not in _KINDS:
            raise ValueError(f"tags must be one of {', '.join(_KINDS)} or None for either, not {tags!r}")
        if not 3 <= least_words <= 12:
            raise ValueError(f"least_words must be 3 to 12, not {least_words!r}")
        if not least_words + 2 <= most_words <= 14:
            raise ValueError(f"most_words must be least_words + 2 to 14, not {most_words!r}")
        if not 0 <= ambiguous <= least_words // 2:
            raise ValueError(f"ambiguous must be 0 to half of least_words, not {ambiguous!r}")
        self.tags, self.least_words, self.most_words, self.ambiguous = tags, least_words, most_words, ambiguous
        self.max_turns = 2 * most_words
        self.max_choices = max(len(kinds) for kinds in _KINDS.values())

    def reset(self, rng: np.random.Generator) -> str:
        """Write a sentence that has one tagging only."""
        self._scheme = self.tags or list(_KINDS)[int(rng.integers(len(_KINDS)))]
        self._words = self._draw_sentence(rng)
        (self._right,) = taggings(self._scheme, self._words)
        self._next = self._hits = 0
        tags = ", ".join(f"{tag} ({_HINTS[tag]})" if tag in _HINTS else tag for tag in self.valid_actions())
        return f"tag each word as {tags}. sentence: {' '.join(self._words)}. first word: {self._words[0]}?"

    def instance(self) -> str:
        """The sentence and what to tag."""
        return f"{self._scheme}: {' '.join(self._words)}"

    def step(self, action: str) -> Turn:
        """Take the tag of one word."""
        tag = named_label(action, _names(self._scheme))
        if tag is None:
            return Turn(f"please say one of {', '.join(self.valid_actions())}: {self._words[self._next]}?")
        hit = tag == self._right[self._next]
        verdict = "right." if hit else f"no, {self._right[self._next]}."
        self._hits += hit
        self._next += 1
        reward = hit / len(self._words)
        if self._next < len(self._words):
            return Turn(f"{verdict} {self._words[self._next]}?", reward)
        info = {"success": self._hits == len(self._words), "accuracy": self._hits / len(self._words)}
        return Turn(f"{verdict} {self._hits} of {len(self._words)} right.", reward, True, info)

    def valid_actions(self) -> list[str]:
        """The tags."""
        return list(_KINDS[self._scheme])

    def expert_action(self) -> str:
        """The tag of the word in the only reading."""
        (tags,) = taggings(self._scheme, self._words)
        return tags[self._next]

    def _draw_sentence(self, rng: np.random.Generator) -> tuple[str, ...]:
        """The words of a sentence that has one tagging only."""
        ambiguous = ambiguous_words(self._scheme)
        favoured = ambiguous if self.ambiguous else frozenset()
        while True:
            words = tuple(with_articles([word for word, _ in _grammar(self._scheme).write(rng, favoured)]))
            several = sum(word in ambiguous for word in words)
            enough = several >= self.ambiguous if self.ambiguous else not several
            fits = self.least_words <= len(words) <= self.most_words
            if fits and enough and len(taggings(self._scheme, words)) == 1:
                return words


@cache
def ambiguous_words(scheme: str) -> frozenset[str]:
    """The words that can have several tags."""
    return frozenset(word for word in _grammar(scheme).words() if len(set(_tags(scheme, word).values())) > 1)


@lru_cache(maxsize=256)
def taggings(scheme: str, words: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    """All tags that the words of a sentence can have together."""
    return frozenset(_grammar(scheme).read([_tags(scheme, word) for word in words])[0])


@cache
def _names(scheme: str) -> dict[str, str]:
    """Name -> tag."""
    return {name: tag for tag in _KINDS[scheme] for name in (tag, *_NAMES[tag].split())}


@cache
def _tags(scheme: str, word: str) -> dict[str, str]:
    """The tag of a word as each kind that it can be."""
    by_kind = {kind: tag for tag, kinds in _KINDS[scheme].items() for kind in kinds.split()}
    return {kind: by_kind.get(kind.partition("[")[0], "other") for kind in _grammar(scheme).kinds(word)}


@cache
def _grammar(scheme: str) -> Grammar:
    if scheme == "parts of speech":
        return english()
    return Grammar(data("news.txt"), {kind: some.split() for kind, some in json.loads(data("names.json")).items()})
