"""Repair the spelling and grammar of sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.language.errors import Words, draw_errors, possible_errors, with_errors
from textenvs.games.language.lexicon import english, with_articles
from textenvs.games.language.metrics import gleu
from textenvs.parsing import words

_CHOICES = 8
_MOST_LETTERS = 50  # of a sentence


class Correction(Game):
    """TextCorrection-v0: mend the spelling and the grammar of sentences, and leave alone what is right.

    ## Description

    Sentences with errors are to be corrected, one a turn. A sentence begins with when it happens, which tells the tense
    (``now``, ``yesterday``). The errors are

    | kind | example |
    |---|---|
    | spelling | two inner letters swapped, or one left out or doubled: ``gadren``, ``gaden``, ``gardden`` |
    | verb | ``now the girls walked``, ``these girls walks``, ``yesterday he goed`` |
    | noun | ``two dog``, ``every dogs``, ``two childs`` |
    | article | ``a apple``, ``an dog`` |
    | pronoun | ``him walks``, ``the girl sees he`` |
    | adverb | ``walks quick``, ``is quickly`` |
    | order | ``the dog big`` (adjective after noun) |
    | doubled | ``in in the garden`` |

    all as probable where there is room for them, and set so that one way of mending each is the only one that changes
    no other word.

    ## Example transcript

    ```
    correct the spelling and grammar, changing as little as you can. 1 of 3: yesterday a wolf rich sat peaceful.
    > Yesterday a rich wolf sat peaceful.
    it is: yesterday a rich wolf sat peacefully. 2 of 3: nowadays the nervous doctor moved an gift.
    > nowadays the nervous doctor moves a gift
    right. 3 of 3: currently his beauutiful bats wtach the wells.
    > currently his beautiful bats watch the wells
    right.
    ```

    ## Observation

    Each sentence with its errors; each reply says ``right.`` or gives the right sentence, and the next one.

    ## Action

    The whole corrected sentence, as free text; case and punctuation do not matter. Any text is an answer, save one
    without a word, which is asked for again.

    ## Reward

    For each sentence the share of what the errors cost that the answer wins back, divided by the number of sentences:
    ``(g(answer) - g(given)) / (1 - g(given))``, at least -1, where ``g`` is nltk's sentence GLEU against the right
    sentence (Wu et al. 2016: the least of n-gram precision and recall, up to 4 words). To repeat the sentence earns 0.

    ## Episode end

    Terminated after the last sentence (``success`` if all were right to the word); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``error_rate`` | 0.15 | 0.25 | 0.4 | errors for each word of the right sentence, rounded, at least one |
    | ``least_words`` | 4 | 6 | 7 | the shortest sentence |
    | ``most_words`` | 6 | 8 | 9 | the longest sentence |
    | ``sentences`` | 3 | 3 | 3 | sentences in an episode |
    | ``max_turns`` | 6 | 6 | 6 | truncation: twice ``sentences`` |

    ## Expert

    Exact: it says the sentence as it was before the errors were put in, which is the only one with so few changes that
    the grammar of the sentences admits. Random choice among the valid actions earns 0.14 (easy), 0.22 (medium) and 0.21
    (hard) and hardly ever mends all three sentences.

    ## Source

    Grammar, words and errors are this package's own; the kinds of errors are among those that learners make most (Ng et
    al. 2014, the CoNLL-2014 shared task). The reward is computed by nltk.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"error_rate": 0.15, "least_words": 4, "most_words": 6},
        "medium": {},
        "hard": {"error_rate": 0.4, "least_words": 7, "most_words": 9},
    }
    max_choices = _CHOICES

    def __init__(self, error_rate: float = 0.25, least_words: int = 6, most_words: int = 8, sentences: int = 3) -> None:
        if not 0 <= error_rate <= 0.4:
            raise ValueError(f"error_rate must be 0 to 0.4, not {error_rate!r}")
        if not 3 <= least_words <= 8:
            raise ValueError(f"least_words must be 3 to 8, not {least_words!r}")
        if not least_words + 2 <= most_words <= 10:
            raise ValueError(f"most_words must be least_words + 2 to 10, not {most_words!r}")
        if not 1 <= sentences <= 6:
            raise ValueError(f"sentences must be 1 to 6, not {sentences!r}")
        self.error_rate, self.least_words, self.most_words = error_rate, least_words, most_words
        self.sentences = sentences
        self.max_turns = 2 * sentences

    def reset(self, rng: np.random.Generator) -> str:
        """Write sentences, and what is said instead."""
        self._right: list[str] = []
        self._given: list[str] = []
        self._choices: list[list[str]] = []
        while len(self._right) < self.sentences:
            self._add_sentence(rng)
        self._next = self._hits = 0
        return f"correct the spelling and grammar, changing as little as you can. {self._question()}"

    def instance(self) -> str:
        """The sentences as they are given."""
        return ". ".join(self._given)

    def step(self, action: str) -> Turn:
        """Take the correction of one sentence."""
        answer, right = words(action), self._right[self._next].split()
        if not answer:
            return Turn(f"please correct it. {self._question()}")
        given = gleu(self._given[self._next].split(), right)
        reward = max((gleu(answer, right) - given) / (1 - given), -1.0) / self.sentences
        verdict = "right." if answer == right else f"it is: {self._right[self._next]}."
        self._hits += answer == right
        self._next += 1
        if self._next == self.sentences:
            success = self._hits == self.sentences
            return Turn(verdict, reward, True, {"success": success, "exact": self._hits / self.sentences})
        return Turn(f"{verdict} {self._question()}", reward)

    def valid_actions(self) -> list[str]:
        """The right sentence among ones with some of the errors, or others; in alphabetical order."""
        return list(self._choices[self._next])

    def expert_action(self) -> str:
        """The right sentence."""
        return self._right[self._next]

    def _add_sentence(self, rng: np.random.Generator) -> None:
        sentence = self._write(rng)
        possible, count = possible_errors(sentence), max(round(self.error_rate * len(sentence)), 1)
        errors = draw_errors(possible, count, rng)
        right = with_errors(sentence, [])
        if len(errors) < count or right in self._right:
            return
        fewer = [[error for error in errors if error != mended] for mended in errors]
        other = [draw_errors(possible, count, rng) for _ in range(_CHOICES - 2 - len(errors))]
        said = [with_errors(sentence, some) for some in (errors, *fewer, *other)]
        self._right.append(right)
        self._given.append(said[0])
        self._choices.append(sorted({right, *said}))

    def _write(self, rng: np.random.Generator) -> Words:
        """A sentence with its time first; each word with its symbol."""
        while True:
            tense = ("now", "past")[int(rng.integers(2))]
            parts = [english().write(rng, symbol=f"{symbol}[{tense}]") for symbol in ("When", "Clause")]
            written = [word for part in parts for word in part]
            said = with_articles([word for word, _ in written])
            if self.least_words <= len(said) <= self.most_words and len(" ".join(said)) <= _MOST_LETTERS:
                return list(zip(said, [symbol for _, symbol in written], strict=True))

    def _question(self) -> str:
        return f"{self._next + 1} of {self.sentences}: {self._given[self._next]}."
