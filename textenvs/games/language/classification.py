"""Classify a text that is read piece by piece."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.language.labels import named_label
from textenvs.games.language.lexicon import data
from textenvs.parsing import option

_NEUTRAL = 0.4  # share of pieces that tell nothing
_MORE = ("more", "next", "continue", "further", "go on")
_STRENGTHS = ("weak", "strong")
_ERROR_COST = 0.05

Evidence = tuple[tuple[int, int], ...]  # for each label how often its weak and its strong words were read


class Classification(Game):
    """TextClassification-v0: say what a text is about, or pay to read more of it.

    ## Description

    A short text has one of a few labels: the feeling of its writer, its topic, or what a customer wants. It is shown
    piece by piece, the first for nothing; each further one has a price. Four pieces in ten tell nothing. The others
    have a word that is typical of one label: with probability 1/2 a strong word (``goalkeeper``), else a weak one
    (``team``). A strong word is typical of the wrong label with probability ``noise``, a weak one with twice that; all
    wrong labels are as probable, and so are all labels at the start.

    ## Example transcript

    ```
    what is it about: food, music, politics or sport? say one of them, or "read more" for 0.05. text: the party took all
    week. (5 more)
    > read more
    people asked about the building. (4 more)
    > read more
    a picture shows the senator. (3 more)
    > politics
    right.
    ```

    ## Observation

    The opening has the question, the labels and the first piece; each reply to ``read more`` is the next piece and how
    many are left. The last reply tells the label.

    ## Action

    Free text that names exactly one label, also by a synonym (``sports``, ``I am sure: politics!``), or asks for more
    (``read more``, ``next``, ``go on``). Anything else is not understood.

    ## Reward

    1 for the right label, 0 for a wrong one; ``cost`` is lost by each piece that is read after the first, and 0.05 by
    each utterance that is not understood or asks for more when there is none.

    ## Episode end

    Terminated by the first label named (``success`` if it is right); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``task`` | sentiment | None | None | ``"sentiment"``, ``"topic"``, ``"intent"``, or ``None`` for any |
    | ``classes`` | 2 | 4 | 6 | labels to choose from |
    | ``noise`` | 0.05 | 0.1 | 0.2 | probability that a strong word misleads (a weak one: twice that) |
    | ``pieces`` | 4 | 6 | 8 | pieces of the text |
    | ``cost`` | 0.05 | 0.05 | 0.05 | price of a piece |
    | ``max_turns`` | 8 | 12 | 16 | truncation: twice ``pieces`` |

    ## Expert

    Exact: the posterior of the labels by Bayes' rule from the probabilities above, and whether to read on by dynamic
    programming over what can still be read. It knows which words are typical of which label, strong or weak; a player
    has to know English, or to learn it. Mean return and success over 3000 episodes: 0.88 and 0.91 (easy), 0.83 and 0.91
    (medium), 0.74 and 0.87 (hard); at random 0.48 and 0.50, 0.24 and 0.26, 0.15 and 0.16.

    ## Source

    Texts and words are this package's own. Text classification as a game is in NLPGym (Ramamurthy et al. 2020), the
    feelings are Ekman's six, and paying for evidence is Wald's sequential test.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"task": "sentiment", "classes": 2, "noise": 0.05, "pieces": 4},
        "medium": {},
        "hard": {"classes": 6, "noise": 0.2, "pieces": 8},
    }

    def __init__(
        self, task: str | None = None, classes: int = 4, noise: float = 0.1, pieces: int = 6, cost: float = 0.05
    ) -> None:
        if task is not None and task not in _tasks():
            raise ValueError(f"task must be one of {', '.join(_tasks())} or None for any, not {task!r}")
        if not 2 <= classes <= 6:
            raise ValueError(f"classes must be 2 to 6, not {classes!r}")
        if not 0 <= noise < 0.25:
            raise ValueError(f"noise must be 0 to less than 0.25, not {noise!r}")
        if not 1 <= pieces <= 8:
            raise ValueError(f"pieces must be 1 to 8, not {pieces!r}")
        if not 0 <= cost <= 1:
            raise ValueError(f"cost must be 0 to 1, not {cost!r}")
        self.task, self.classes, self.noise, self.pieces, self.cost = task, classes, noise, pieces, cost
        self.max_turns = 2 * pieces
        self.max_choices = classes + 1

    def reset(self, rng: np.random.Generator) -> str:
        """Draw labels, one of them, and a text of it."""
        names = list(_tasks())
        task = _tasks()[self.task or names[int(rng.integers(len(names)))]]
        labels = list(task["labels"])
        self._labels = sorted(labels[int(i)] for i in rng.permutation(len(labels))[: self.classes])
        self._answer = self._labels[int(rng.integers(self.classes))]
        self._names = {name: label for label in self._labels for name in (label, *task["labels"][label]["names"])}
        self._seen, self._turns = 1, 0
        self._text: list[str] = []
        self._cues: list[tuple[int, int] | None] = []  # the label and the strength of each piece's word
        for i in rng.permutation(len(task["pieces"]))[: self.pieces]:
            cue = self._draw_cue(rng)
            some = task["neutral"] if cue is None else task["labels"][self._labels[cue[0]]][_STRENGTHS[cue[1]]]
            self._text.append(task["pieces"][int(i)].format(some[int(rng.integers(len(some)))]))
            self._cues.append(cue)
        return (
            f"{task['question']}: {', '.join(self._labels[:-1])} or {self._labels[-1]}? say one of them, "
            f'or "read more" for {self.cost:g}. text: {self._piece()}'
        )

    def instance(self) -> str:
        """The whole text with its label."""
        return f"{'. '.join(self._text)}: {self._answer} of {', '.join(self._labels)}"

    def step(self, action: str) -> Turn:
        """Read on, or end with a label."""
        self._turns += 1
        named = named_label(action, self._names)
        if named is not None:
            right = named == self._answer
            return Turn("right." if right else f"no, {self._answer}.", float(right), True, {"success": right})
        if not any(option(action, [wish]) for wish in _MORE):
            return Turn(f"please say {', '.join(self._labels)} or read more.", -_ERROR_COST)
        if self._seen == self.pieces:
            return Turn("there is no more. which is it?", -_ERROR_COST)
        self._seen += 1
        return Turn(self._piece(), -self.cost)

    def valid_actions(self) -> list[str]:
        """The labels, and to read more where there is more."""
        return [*self._labels, *(["read more"] if self._seen < self.pieces else [])]

    def expert_action(self) -> str:
        """The most probable label once no more reading pays."""
        evidence: Evidence = ((0, 0),) * self.classes
        for cue in self._cues[: self._seen]:
            if cue is not None:
                evidence = _add(evidence, *cue)
        left = max(min(self.pieces - self._seen, self.max_turns - self._turns - 1), 0)
        stop, read = values(evidence, left, self.noise, self.cost)
        if read > stop + 1e-9:
            return "read more"
        return self._labels[int(np.argmax(np.round(posterior(evidence, self.noise), 9)))]

    def _draw_cue(self, rng: np.random.Generator) -> tuple[int, int] | None:
        """The label that a piece's word is typical of and whether it is strong; ``None`` for a neutral one."""
        if rng.random() < _NEUTRAL:
            return None
        strength, answer = int(rng.integers(2)), self._labels.index(self._answer)
        if rng.random() < _misleads(strength, self.noise):
            answer = (answer + 1 + int(rng.integers(self.classes - 1))) % self.classes
        return answer, strength

    def _piece(self) -> str:
        """The piece read last."""
        left = self.pieces - self._seen
        return f"{self._text[self._seen - 1]}. ({left or 'no'} more)"


def posterior(evidence: Evidence, noise: float) -> list[float]:
    """The probability of each label."""
    likelihoods = [1.0] * len(evidence)
    for typical, counts in enumerate(evidence):
        for strength, count in enumerate(counts):
            wrong = _misleads(strength, noise)
            for label in range(len(evidence)):
                likelihoods[label] *= (1 - wrong if label == typical else wrong / (len(evidence) - 1)) ** count
    return [likelihood / sum(likelihoods) for likelihood in likelihoods]


def values(evidence: Evidence, left: int, noise: float, cost: float) -> tuple[float, float]:
    """What naming a label now earns, and what reading on does, with ``left`` pieces that can be read."""
    return _values(tuple(sorted(evidence)), left, noise, cost)  # the labels are alike


@lru_cache(maxsize=1 << 16)
def _values(evidence: Evidence, left: int, noise: float, cost: float) -> tuple[float, float]:
    chances = posterior(evidence, noise)
    if not left:
        return max(chances), -np.inf
    read = _NEUTRAL * max(values(evidence, left - 1, noise, cost)) - cost
    for typical, chance in enumerate(chances):
        for strength in range(2):
            wrong = _misleads(strength, noise)
            probability = chance * (1 - wrong) + (1 - chance) * wrong / (len(chances) - 1)
            if probability:
                after = _add(evidence, typical, strength)
                read += (1 - _NEUTRAL) / 2 * probability * max(values(after, left - 1, noise, cost))
    return max(chances), read


def _misleads(strength: int, noise: float) -> float:
    """The probability that a weak (0) or strong (1) word is typical of a wrong label."""
    return noise if strength else 2 * noise


def _add(evidence: Evidence, label: int, strength: int) -> Evidence:
    """The evidence with one word more."""
    weak, strong = evidence[label]
    more = (weak, strong + 1) if strength else (weak + 1, strong)
    return (*evidence[:label], more, *evidence[label + 1 :])


@cache
def _tasks() -> dict[str, Any]:
    """The shipped questions, labels and words."""
    return json.loads(data("cues.json"))  # type: ignore[no-any-return]
