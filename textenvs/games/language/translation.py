"""Translate sentences between English and invented languages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.language import metrics, tongues
from textenvs.games.language.lexicon import draw
from textenvs.games.language.tongues import Language, Phrase, Sentence
from textenvs.parsing import words

_METRICS = {"chrf": metrics.chrf, "bleu": metrics.bleu}
_WAYS = ("foreign", "english")
_SIZES = {"beings": 3, "things": 2, "places": 1, "verbs": 3, "adjectives": 2, "prepositions": 1}  # of a glossary
_CHOICES = 8
_BROKEN = 2  # choices that break a rule


class Translation(Game):
    """TextTranslation-v0: translate into an invented language, or back, by its rules and a glossary.

    ## Description

    The opening gives the grammar of an invented language in a few words and a glossary. Then sentences are to be
    translated, one a turn. Languages differ in the order of subject, verb and object, in the places of adjectives,
    articles, prepositions and places, and in how they mark the plural, the past, a definite noun, an object, and a
    verb or an adjective that agrees with a plural noun: by a suffix (``-ru``), a prefix (``ru-``), or a word before or
    after. In English a noun without ``the`` has ``a`` in the singular and nothing in the plural.

    ## Example transcript

    ```
    translate into this language. order place verb subject object; adjectives after nouns; plural ta-; the pu after the
    phrase; a is not said; past ra after the verb; the plural is next to the stem; prepositions after their phrase.
    words: dog mot, friend pem, queen tor, ring tel, hat nir, garden kis, see nos, know kok, white mem, near tap. 1 of
    3: the white friend saw rings.
    > nos ra pem pu mem tatel
    it is: nos ra pem mem pu tatel. 2 of 3: queens saw a ring near the garden.
    > kis pu tap nos ra tator tel
    right. 3 of 3: a white dog knows hats.
    > kok mot mem tanir
    right.
    ```

    ## Observation

    The opening has the rules, the glossary (of all words that the episode needs) and the first sentence; each reply
    says ``right.`` or gives the right translation, and the next sentence.

    ## Action

    The translation, as free text; case, accents and punctuation do not matter. Any text is an answer, save one without
    a word, which is asked for again.

    ## Reward

    For each sentence the ``metric`` of the answer against the only right translation, divided by the number of
    sentences: sacrebleu's sentence chrF (character 6-grams, beta 2), or its sentence BLEU.

    ## Episode end

    Terminated after the last sentence (``success`` if all were right to the word); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``grammar`` | 1 | 2 | 3 | 1: word order and articles; 2: also plural and past; 3: also case and agreement |
    | ``parts`` | 4 | 4 | 5 | subject, verb, object, and so many of two adjectives and a place that it makes ``parts`` |
    | ``sentences`` | 3 | 3 | 3 | sentences in an episode |
    | ``into`` | foreign | foreign | None | ``"foreign"``, ``"english"``, or ``None`` for either |
    | ``languages`` | 4 | 0 | 0 | how many fixed languages there are; 0 for a new one in each episode |
    | ``metric`` | chrf | chrf | chrf | ``"chrf"`` or ``"bleu"`` |
    | ``max_turns`` | 6 | 6 | 6 | truncation: twice ``sentences`` |

    ## Expert

    Exact: it says the meaning of the sentence by the rules, and every sentence has one right translation. Random choice
    among the valid actions earns 0.47 (easy), 0.49 (medium) and 0.53 (hard) and succeeds in 0.2 % of the episodes;
    repeating what was asked earns 0.09, and the glossary word by word 0.44, 0.29 and 0.28.

    ## Source

    Languages and sentences are this package's own, in the manner of the Rosetta stone problems of the linguistics
    olympiads. The reward is computed by sacrebleu (Post 2018; chrF: Popovic 2015), as for machine translation in RL4LMs
    (Ramamurthy et al. 2023).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"grammar": 1, "languages": 4},
        "medium": {},
        "hard": {"grammar": 3, "parts": 5, "into": None},
    }
    max_choices = _CHOICES

    def __init__(
        self,
        grammar: int = 2,
        parts: int = 4,
        sentences: int = 3,
        into: str | None = "foreign",
        languages: int = 0,
        metric: str = "chrf",
    ) -> None:
        if grammar not in (1, 2, 3):
            raise ValueError(f"grammar must be 1, 2 or 3, not {grammar!r}")
        if not 3 <= parts <= 6:
            raise ValueError(f"parts must be 3 to 6, not {parts!r}")
        if not 1 <= sentences <= 6:
            raise ValueError(f"sentences must be 1 to 6, not {sentences!r}")
        if into not in (*_WAYS, None):
            raise ValueError(f"into must be one of {', '.join(_WAYS)} or None for either, not {into!r}")
        if not 0 <= languages <= 1000:
            raise ValueError(f"languages must be 0 to 1000, not {languages!r}")
        if metric not in _METRICS:
            raise ValueError(f"metric must be one of {', '.join(_METRICS)}, not {metric!r}")
        self.grammar, self.parts, self.sentences = grammar, parts, sentences
        self.into, self.languages, self.metric = into, languages, metric
        self.max_turns = 2 * sentences

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a language, a small vocabulary and sentences of it."""
        self._foreign = (self.into or _WAYS[int(rng.integers(2))]) == "foreign"
        if self.languages:
            self._language = _fixed_language(int(rng.integers(self.languages)), self.grammar)
        else:
            self._language = tongues.draw_language(rng, self.grammar)
        pools = {kind: draw(rng, some, _SIZES[kind]) for kind, some in tongues.vocabulary().items()}
        self._sentences: list[Sentence] = []
        while len(self._sentences) < self.sentences:
            sentence = self._draw_sentence(rng, pools)
            if sentence not in self._sentences:
                self._sentences.append(sentence)
        self._next = self._hits = 0
        used = {word for sentence in self._sentences for word in sentence.words()}
        glossary = ", ".join(
            f"{word} {self._language.words[word]}" for pool in pools.values() for word in pool if word in used
        )
        return (
            f"translate into {'this language' if self._foreign else 'english'}. {self._language.rules()}. "
            f"words: {glossary}. {self._question()}"
        )

    def instance(self) -> str:
        """The language and the sentences."""
        said = ". ".join(self._say(sentence, self._foreign) for sentence in self._sentences)
        return f"{self._language.rules()}: {said}"

    def step(self, action: str) -> Turn:
        """Take the translation of one sentence."""
        answer = " ".join(words(action))
        if not answer:
            return Turn(f"please translate. {self._question()}")
        right = self._answer()
        reward = _METRICS[self.metric](answer, right) / self.sentences
        verdict = "right." if answer == right else f"it is: {right}."
        self._hits += answer == right
        self._next += 1
        if self._next == self.sentences:
            success = self._hits == self.sentences
            return Turn(verdict, reward, True, {"success": success, "exact": self._hits / self.sentences})
        return Turn(f"{verdict} {self._question()}", reward)

    def valid_actions(self) -> list[str]:
        """The right translation among the untranslated sentence, some that break a rule, and some that mean
        something else; in alphabetical order."""
        right = self._sentences[self._next]
        others = self._sentences[self._next + 1 :] + self._sentences[: self._next]
        wrong = [self._say(right, not self._foreign), *[self._say(other, self._foreign) for other in others]]
        if self._foreign:
            broken = dict.fromkeys(language.say(right) for language in _other_rules(self._language))
            wrong = [*[text for text in broken if text != self._answer()][:_BROKEN], *wrong]
        wrong += [self._say(other, self._foreign) for other in _other_meanings(right, others)]
        return sorted(list(dict.fromkeys([self._answer(), *wrong]))[:_CHOICES])

    def expert_action(self) -> str:
        """The right translation."""
        return self._answer()

    def _draw_sentence(self, rng: np.random.Generator, pools: Mapping[str, list[str]]) -> Sentence:
        """A sentence of the words in ``pools``, with as many parts and the grammar that the episode has."""
        rich = self.grammar >= 2
        extras = draw(rng, ["subject", "object", "place"], self.parts - 3)

        def phrase(nouns: list[str], adjective: bool) -> Phrase:
            chosen = draw(rng, pools["adjectives"], 1)[0] if adjective else None
            return Phrase(draw(rng, nouns, 1)[0], rich and bool(rng.integers(2)), bool(rng.integers(2)), chosen)

        subject = phrase(pools["beings"], "subject" in extras)
        others = [noun for noun in (*pools["beings"], *pools["things"]) if noun != subject.noun]
        object_ = phrase(others, "object" in extras)
        verb, past = draw(rng, pools["verbs"], 1)[0], rich and bool(rng.integers(2))
        place = (draw(rng, pools["prepositions"], 1)[0], phrase(pools["places"], False)) if "place" in extras else None
        return Sentence(subject, verb, object_, past, place)

    def _say(self, sentence: Sentence, foreign: bool) -> str:
        return self._language.say(sentence) if foreign else tongues.in_english(sentence)

    def _answer(self) -> str:
        """The right translation of the sentence that was asked last."""
        return self._say(self._sentences[self._next], self._foreign)

    def _question(self) -> str:
        given = self._say(self._sentences[self._next], not self._foreign)
        return f"{self._next + 1} of {self.sentences}: {given}."


def _other_meanings(right: Sentence, others: Sequence[Sentence]) -> Iterator[Sentence]:
    """Sentences that mean something else, some of them with parts of other sentences."""
    subject, object_ = right.subject, right.object
    yield right._replace(subject=object_, object=subject)
    for other in others:
        yield other._replace(object=object_._replace(adjective=other.object.adjective), past=not other.past)
        yield right._replace(verb=other.verb, object=object_._replace(plural=not object_.plural))
    yield right._replace(subject=subject._replace(definite=not subject.definite))
    yield right._replace(object=object_._replace(definite=not object_.definite))


def _other_rules(language: Language) -> Iterator[Language]:
    """Languages in which one rule is another."""
    yield replace(language, order=language.order[::-1])
    yield replace(language, plural=None, verb_plural=None)
    yield replace(language, adjective_first=not language.adjective_first)
    yield replace(language, past=None, case=None)
    yield replace(language, order=language.order[1:] + language.order[:1])
    yield replace(language, place_first=not language.place_first)
    yield replace(language, postpositions=not language.postpositions)


@cache
def _fixed_language(number: int, grammar: int) -> Language:
    return tongues.draw_language(np.random.default_rng([number, grammar]), grammar)
