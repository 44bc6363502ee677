"""Invented languages: what can be said, and saying it in English and in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from textenvs.games.language.lexicon import lexicon, past, plural, singular_verb, with_articles

_CONSONANTS = "kptmnlrs"
_SYLLABLES = [f"{consonant}{vowel}" for consonant in _CONSONANTS for vowel in "aeiou"]
_PARTS = ("subject", "verb", "object")


@cache
def vocabulary() -> dict[str, list[str]]:
    """All words that can be said: beings, things, places, verbs, adjectives and prepositions."""
    return {kind: some.split() for kind, some in lexicon()["translation"].items()}


class Phrase(NamedTuple):
    """A noun phrase: ``a big dog``, ``dogs``, ``the dogs``."""

    noun: str
    plural: bool = False
    definite: bool = True
    adjective: str | None = None


class Sentence(NamedTuple):
    """What a sentence means; ``place`` has a preposition and a phrase."""

    subject: Phrase
    verb: str
    object: Phrase
    past: bool = False
    place: tuple[str, Phrase] | None = None

    def words(self) -> list[str]:
        """Its words that a glossary has."""
        phrases = [self.subject, self.object, *([self.place[1]] if self.place else [])]
        named = [word for phrase in phrases for word in (phrase.noun, phrase.adjective) if word]
        return [*named, self.verb, *([self.place[0]] if self.place else [])]


class Marker(NamedTuple):
    """How a grammatical meaning is marked: by a ``suffix``, a ``prefix`` or a word ``before`` or ``after``."""

    form: str
    way: str

    def on(self, text: str) -> str:
        """The text with the marker."""
        return {
            "suffix": f"{text}{self.form}",
            "prefix": f"{self.form}{text}",
            "before": f"{self.form} {text}",
            "after": f"{text} {self.form}",
        }[self.way]

    def told(self, of: str) -> str:
        """The marker in words, as one ``of`` a noun, phrase or verb."""
        return {"suffix": f"-{self.form}", "prefix": f"{self.form}-"}.get(self.way, f"{self.form} {self.way} the {of}")


@dataclass(frozen=True)
class Language:
    """A grammar and a vocabulary; markers that are ``None`` have no counterpart in it.

    Attributes:
        words: English word -> stem.
        order: the order of subject, verb and object.
        adjective_first: whether adjectives come before their nouns.
        article: marks a definite noun, or as a word its phrase.
        plural: marks a plural noun, and its adjective where ``agreement``.
        past: marks a verb of the past.
        case: marks the noun of an object, or as a word its phrase.
        verb_plural: marks a verb with a plural subject.
        agreement: whether adjectives have the plural of their noun.
        place_first: whether a place comes first or last in the sentence.
        postpositions: whether prepositions follow their phrase.
    """

    words: dict[str, str]
    order: tuple[str, ...]
    adjective_first: bool
    article: Marker
    plural: Marker | None = None
    past: Marker | None = None
    case: Marker | None = None
    verb_plural: Marker | None = None
    agreement: bool = False
    place_first: bool = False
    postpositions: bool = False

    def rules(self) -> str:
        """The grammar in plain words."""
        order = ["place", *self.order] if self.place_first else [*self.order, "place"]
        lines = [f"order {' '.join(order)}", f"adjectives {'before' if self.adjective_first else 'after'} nouns"]
        if self.plural:
            lines.append(f"plural {self.plural.told('noun')}{', also on adjectives' if self.agreement else ''}")
        lines.append(f"the {self.article.told('phrase')}; a is not said")
        if self.case:
            lines.append(f"object {self.case.told('phrase')}")
        if self.past:
            lines.append(f"past {self.past.told('verb')}")
        if self.verb_plural:
            lines.append(f"verb of a plural subject {self.verb_plural.told('verb')}")
        if self.case:
            lines.append("from the stem outwards: plural, the, object; past, plural subject")
        elif self.plural:
            lines.append("the plural is next to the stem")
        lines.append(f"prepositions {'after' if self.postpositions else 'before'} their phrase")
        return "; ".join(lines)

    def say(self, sentence: Sentence) -> str:
        """The sentence in this language."""
        verb = self.words[sentence.verb]
        if self.past and sentence.past:
            verb = self.past.on(verb)
        if self.verb_plural and sentence.subject.plural:
            verb = self.verb_plural.on(verb)
        parts = {"subject": self._phrase(sentence.subject), "verb": verb}
        parts["object"] = self._phrase(sentence.object, self.case)
        said = [parts[part] for part in self.order]
        if sentence.place:
            preposition, phrase = sentence.place
            place = [self.words[preposition], self._phrase(phrase)]
            place = place[::-1] if self.postpositions else place
            said = [*place, *said] if self.place_first else [*said, *place]
        return " ".join(said)

    def _phrase(self, phrase: Phrase, case: Marker | None = None) -> str:
        noun, adjective = self.words[phrase.noun], self.words.get(phrase.adjective or "")
        if self.plural and phrase.plural:
            noun = self.plural.on(noun)
            if adjective and self.agreement:
                adjective = self.plural.on(adjective)
        outer = [marker for marker in (self.article if phrase.definite else None, case) if marker]
        for marker in outer:
            if marker.way in ("suffix", "prefix"):
                noun = marker.on(noun)
        said = " ".join(filter(None, (adjective, noun) if self.adjective_first else (noun, adjective)))
        for marker in outer:
            if marker.way in ("before", "after"):
                said = marker.on(said)
        return said


def draw_language(rng: np.random.Generator, grammar: int) -> Language:
    """A random language; ``grammar`` 1 to 3 says how rich it is."""
    english = [word for some in vocabulary().values() for word in some]
    stems = [f"{syllable}{consonant}" for syllable in _SYLLABLES for consonant in _CONSONANTS]
    stems = [stem for stem in stems if stem not in english]
    chosen = [stems[int(i)] for i in rng.permutation(len(stems))[: len(english)]]
    syllables = iter([_SYLLABLES[int(i)] for i in rng.permutation(len(_SYLLABLES))])

    def marker(*ways: str) -> Marker:
        return Marker(next(syllables), ways[int(rng.integers(len(ways)))])

    def coin() -> bool:
        return bool(rng.integers(2))

    affixes, all_ways = ("suffix", "prefix"), ("suffix", "prefix", "before", "after")
    order = tuple(_PARTS[int(i)] for i in rng.permutation(len(_PARTS)))
    words = dict(zip(english, chosen, strict=True))
    language = Language(words, order, coin(), marker("before", "after"), place_first=coin(), postpositions=coin())
    if grammar >= 2:
        article, number, tense = marker(*all_ways), marker(*affixes), marker(*all_ways)
        language = replace(language, article=article, plural=number, past=tense)
    if grammar >= 3:
        case, verbal = marker(*all_ways), marker(*affixes)
        language = replace(language, case=case, verb_plural=verbal, agreement=coin())
    return language


def in_english(sentence: Sentence) -> str:
    """The sentence in English."""
    verb = past(sentence.verb) if sentence.past else sentence.verb
    if not sentence.past and not sentence.subject.plural:
        verb = singular_verb(verb)
    said = [*_english_phrase(sentence.subject), verb, *_english_phrase(sentence.object)]
    if sentence.place:
        said += [sentence.place[0], *_english_phrase(sentence.place[1])]
    return " ".join(with_articles(said))


def _english_phrase(phrase: Phrase) -> list[str]:
    noun = plural(phrase.noun) if phrase.plural else phrase.noun
    article = "the" if phrase.definite else None if phrase.plural else "a"
    return [word for word in (article, phrase.adjective, noun) if word]
