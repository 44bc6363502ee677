"""Write a sentence with given words in a given tone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.language import lexicon
from textenvs.games.language.fluency import fluency
from textenvs.parsing import words

_FRAMES = (  # role -> the class of its word; verbs after the class of what they take
    {"subject": "anim", "verb": "thing", "object": "thing"},
    {"subject": "anim", "verb": "anim", "object": "anim"},
    {"subject": "anim", "verb": "way", "goal": "place"},
    {"subject": "anim", "verb": "alone", "place": "place"},
)
_SHORT_FRAME = {"subject": "anim", "verb": "alone"}
_ADJECTIVES = {"cheerful": "happy", "gloomy": "sad", "gentle": "gentle", "fierce": "angry"}  # what the expert says
_TRY_COST = 0.05
_UNREADABLE = 0.5  # the grammar score where all but the end can be read
_MOST_WORDS = 20


class Generation(Game):
    """TextGeneration-v0: write a fluent sentence with given words in a given tone.

    ## Description

    A few words are given, and a tone: cheerful, gloomy, gentle or fierce. Write one sentence that has all the words, in
    any form, and the tone. It may be tried again, with a hint at what is wrong. The score of a sentence is the product
    of

    - the share of demands met: each word that is there in some form (``carry``, ``carried``, ``carrying``), and the
      tone, which is met by a word of that tone and none of the opposite one (cheerful and gloomy, gentle and fierce
      are opposites). Each tone has some twenty words (``lexicon.json``).
    - the grammar: 1 for what can be read as an English sentence, else half the share of the words that can begin one.

    The grammar knows about 2500 words and simple statements: articles, numbers, agreement, tenses, auxiliaries,
    negation, passives, infinitives, participles, relative and subordinate clauses, adverbials, coordination. It is
    generous: any verb may have no object, one or two; meaning does not matter; and a quarter of the words may be
    unknown ones, which can be nouns, adjectives, and what their endings allow. It does not know questions, commands and
    contractions.

    ## Example transcript

    ```
    write one sentence with the words field, jump, red, guide. tone: gloomy, as in gloomy, lonely, miserable. 2 tries.
    > The guide jump over a red field.
    score 0.17. not gloomy. can be read up to "the guide jump". try again.
    > The lonely guide jumps over a red field.
    very good.
    ```

    ## Observation

    The opening names the words, the tone with examples, and the number of tries; each reply says what is missing
    and how far the sentence can be read.

    ## Action

    One sentence as free text, of which the first 20 words count; case and punctuation do not matter. One without a word
    is asked for again.

    ## Reward

    By how much the score is above the best before; each try after the first costs 0.05. So the return is the best score
    less that cost.

    ## Episode end

    Terminated by a sentence of score 1 (``success``) or by the last try (``info["score"]`` is the best score);
    truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``words`` | 2 | 4 | 6 | words that the sentence must have |
    | ``tries`` | 2 | 2 | 2 | sentences that may be written |
    | ``max_turns`` | 4 | 4 | 4 | truncation: twice ``tries`` |

    ## Expert

    A script: ``the happy farmer carried a red basket and the girl sang``, with an adjective of the tone, and the
    words at their places. It always has the score 1 at the first try. Random choice among the valid actions earns
    0.48 (easy), 0.47 (medium) and 0.45 (hard) and succeeds in 0.16, 0.16 and 0.15.

    ## Source

    The task is that of CommonGen (Lin et al. 2020), with a tone as in the IMDB task of RL4LMs (Ramamurthy et al. 2023);
    words and grammar are this package's own, and the score is not theirs, which needs human references.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {"easy": {"words": 2}, "medium": {}, "hard": {"words": 6}}
    max_choices = 12

    def __init__(self, words: int = 4, tries: int = 2) -> None:
        if not 2 <= words <= 6:
            raise ValueError(f"words must be 2 to 6, not {words!r}")
        if not 1 <= tries <= 5:
            raise ValueError(f"tries must be 1 to 5, not {tries!r}")
        self.words, self.tries = words, tries
        self.max_turns = 2 * tries

    def reset(self, rng: np.random.Generator) -> str:
        """Draw words that go together, and a tone."""
        frame = dict(_FRAMES[int(rng.integers(len(_FRAMES)))]) if self.words > 2 else dict(_SHORT_FRAME)
        if self.words in (4, 6):
            frame["adjective"] = "any"
        if self.words >= 5:
            frame |= {"second subject": "anim", "second verb": "alone"}
        self._roles: dict[str, str] = {}
        for role, category in frame.items():
            pool = [word for word in _pool(role, category) if word not in self._roles.values()]
            (self._roles[role],) = lexicon.draw(rng, pool)
        tones = lexicon.lexicon()["opposites"]
        (self._tone,) = lexicon.draw(rng, sorted(tones))
        self._given = lexicon.draw(rng, list(self._roles.values()), self.words)
        self._tried, self._best = 0, 0.0
        examples = ", ".join(lexicon.lexicon()["tones"][self._tone].split()[1:4])
        return (
            f"write one sentence with the words {', '.join(self._given)}. tone: {self._tone}, as in {examples}. "
            f"{self.tries} tries."
        )

    def instance(self) -> str:
        """The words and the tone."""
        return f"{self._tone}: {', '.join(sorted(self._given))}"

    def step(self, action: str) -> Turn:
        """Score a sentence."""
        said = words(action)[:_MOST_WORDS]
        if not said:
            return Turn(f"please write a sentence with {', '.join(self._given)}.")
        self._tried += 1
        missing = [word for word in self._given if _forms(word).isdisjoint(said)]
        toned = self._has_tone(self._tone, said) and not self._has_tone(_opposite(self._tone), said)
        readable, furthest = fluency(tuple(said))
        demands = (len(self._given) - len(missing) + toned) / (len(self._given) + 1)
        score = demands if readable else demands * _UNREADABLE * furthest / len(said)
        reward = max(score - self._best, 0.0) - (_TRY_COST if self._tried > 1 else 0.0)
        self._best = max(score, self._best)
        if score == 1:
            return Turn("very good.", reward, True, {"success": True, "score": 1.0})
        hints = [f"score {score:.2f}", *([f"missing: {', '.join(missing)}"] if missing else [])]
        hints += [] if toned else [f"not {self._tone}"]
        if not readable:
            hints.append(f'can be read up to "{" ".join(said[:furthest])}"' if furthest else "cannot be read")
        if self._tried == self.tries:
            return Turn(f"{'. '.join(hints)}.", reward, True, {"success": False, "score": self._best})
        return Turn(f"{'. '.join(hints)}. try again.", reward)

    def valid_actions(self) -> list[str]:
        """The expert's sentence, and ones without tone, in the opposite one, or against the grammar; in alphabetical
        order."""
        found = []
        for tone in (self._tone, _opposite(self._tone), None):
            right = self._sentence(tone, lexicon.past).split()
            bare = [word for word in right if word not in ("a", "an", "the")]
            found += [right, bare, right[::-1], self._sentence(tone, lexicon.gerund).split()]
        return sorted(" ".join(said) for said in found)

    def expert_action(self) -> str:
        """A simple sentence with all the words."""
        return self._sentence(self._tone, lexicon.past)

    def _sentence(self, tone: str | None, form: Callable[[str], str]) -> str:
        """The words at their places, with an adjective of the tone and the verbs in a form."""
        roles, adjective = self._roles, self._roles.get("adjective", "")
        said = f"the {_ADJECTIVES.get(tone or '', '')} {roles['subject']} {form(roles['verb'])}"
        for role, before in (("object", "a"), ("goal", "to the"), ("place", "near the")):
            if role in roles:
                said += f" {before} {adjective} {roles[role]}"
        if "second verb" in roles:
            said += f" and the {roles['second subject']} {form(roles['second verb'])}"
        return " ".join(lexicon.with_articles(said.split()))

    @staticmethod
    def _has_tone(tone: str, said: list[str]) -> bool:
        return not _toned(tone).isdisjoint(said)


def _opposite(tone: str) -> str:
    return lexicon.lexicon()["opposites"][tone]  # type: ignore[no-any-return]


@cache
def _pool(role: str, category: str) -> list[str]:
    """The words that can be given for a role: they have no tone themselves."""
    kind = {"verb": "verbs", "second verb": "verbs", "adjective": "adjectives"}.get(role, "nouns")
    toned = frozenset().union(*map(_toned, lexicon.lexicon()["tones"]))
    return [word for word in lexicon.lexicon()[kind][category].split() if word not in toned]


@cache
def _toned(tone: str) -> frozenset[str]:
    """The words of a tone in all their forms."""
    return frozenset().union(*map(_forms, lexicon.lexicon()["tones"][tone].split()))


@cache
def _forms(word: str) -> frozenset[str]:
    """What a word can be as a noun, a verb or an adjective."""
    made = (lexicon.plural, lexicon.singular_verb, lexicon.past, lexicon.participle, lexicon.gerund)
    return frozenset([word, *[make(word) for make in made]])
