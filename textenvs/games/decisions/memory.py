"""Remember what was told until it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from textenvs.game import Game, Turn
from textenvs.parsing import nearest, number, option, words


class _Kind(NamedTuple):
    """A kind of fact: how it is told and asked, what its values are called, and the values."""

    told: str
    asked: str
    called: str
    values: tuple[str, ...]


_KINDS = (
    _Kind(
        "{} likes {}.",
        "which colour does {} like?",
        "colour",
        ("black", "blue", "brown", "gold", "green", "grey", "orange", "pink", "purple", "red", "white", "yellow"),
    ),
    _Kind(
        "{} lives in {}.",
        "where does {} live?",
        "city",
        ("athens", "berlin", "cairo", "delhi", "lima", "london", "madrid", "oslo", "paris", "rome", "tokyo", "vienna"),
    ),
    _Kind(
        "{} has a {}.",
        "which animal does {} have?",
        "animal",
        ("bird", "cat", "cow", "dog", "duck", "fish", "goat", "horse", "mouse", "pig", "rabbit", "snake"),
    ),
    _Kind("{} is in room {}.", "in which room is {}?", "number", tuple(str(n) for n in range(11, 23))),
)
_PEOPLE = [
    *("adam", "anna", "ben", "carl", "clara", "david", "emma", "eva", "hugo", "ida"),
    *("jack", "lena", "leo", "lucy", "maria", "nina", "oscar", "paul", "sara", "tom"),
]
_WORDS = ("bread", "chair", "clock", "door", "lamp", "paper", "river", "shoe", "spoon", "stone", "table", "window")
_SUMS = tuple(str(n) for n in range(2, 13))
_SPARE_TURNS = 4
_TASK_COST = 0.02


class _Task(NamedTuple):
    """Something simple to say between the facts and the questions."""

    text: str
    answer: str
    answers: tuple[str, ...]


class Memory(Game):
    """TextMemory-v0: remember facts about people until they are asked for.

    ## Description

    First the game tells ``facts`` facts, one a turn: what colour a person likes, where the person lives, which animal
    the person has or in which room the person is. Then it gives ``delay`` small tasks, such as to repeat a word or to
    add two numbers. At last it asks for ``questions`` of the facts. No fact is told twice, and none in the opening,
    so that a window that is too short loses them.

    ## Example transcript

    ```
    remember 2 facts: i will ask for them later. say ok to go on.
    > ok
    nina is in room 22.
    > ok
    hugo is in room 13.
    > ok
    say clock.
    > clock
    what is 5 plus 2?
    > 7
    say door.
    > door
    in which room is hugo?
    > 13
    right. in which room is nina?
    > 22
    right. 2 of 2 recalled.
    ```

    ## Observation

    The opening says how many facts there are; then comes a fact, a task or a question at a time. Each answer to a
    question is said to be right or wrong, without the right one. A missed task is said to be missed.

    ## Action

    Free text. Whatever is said to the opening and to a fact, the game goes on. For a task and a question the text has
    to name one word of the kind asked for (``red``, ``I think it's Red.``, small misspellings allowed), or a number
    (``12``, ``room twelve``; for a sum the largest counts, as in ``5 plus 2 is 7``). A question answered by no such
    word, or by several, is asked again, which costs a turn.

    The admissible utterances are ``ok``, and for a task or a question all twelve words of the kind (eleven sums).

    ## Reward

    1 / ``questions`` for each right answer to a question; each missed task costs 0.02.

    ## Episode end

    Terminated after the last question (``success``: all answers were right; ``recalled`` is their share); truncated
    after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``facts`` | 2 | 5 | 12 | facts told (1 to 40) |
    | ``delay`` | 2 | 8 | 30 | tasks between the last fact and the first question (0 to 500) |
    | ``questions`` | 1 | 2 | 4 | facts asked for, at most as many as are told |
    | ``max_turns`` | 10 | 20 | 51 | truncation: the turns needed and four more |

    ## Expert

    Exact: it remembers everything and always has a return of 1. Random play returns 0.03, -0.07 and -0.46 on
    average at easy, medium and hard and succeeds in 7%, 0.3% and 0% of the episodes.

    ## Source

    The memory length and memory size experiments of bsuite (Osband et al. 2020), with words in the place of bits and
    with several facts of which some are asked for, as in the key-value retrieval of RULER (Hsieh et al. 2024). Names
    and words are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"facts": 2, "delay": 2, "questions": 1},
        "medium": {},
        "hard": {"facts": 12, "delay": 30, "questions": 4},
    }
    max_choices = 12

    def __init__(self, facts: int = 5, delay: int = 8, questions: int = 2) -> None:
        if not 1 <= facts <= 40:
            raise ValueError(f"facts must be 1 to 40, not {facts!r}")
        if not 0 <= delay <= 500:
            raise ValueError(f"delay must be 0 to 500, not {delay!r}")
        if not 1 <= questions <= facts:
            raise ValueError(f"questions must be 1 to {facts}, the number of facts, not {questions!r}")
        self.facts, self.delay, self.questions = facts, delay, questions
        self.max_turns = 1 + facts + delay + questions + _SPARE_TURNS

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the facts, the tasks and which facts are asked for."""
        about = rng.permutation(len(_PEOPLE) * len(_KINDS))[: self.facts]
        told, asked = [], []
        for each in about.tolist():
            person, kind = _PEOPLE[each // len(_KINDS)], _KINDS[each % len(_KINDS)]
            value = kind.values[int(rng.integers(len(kind.values)))]
            told.append(kind.told.format(person, value))
            asked.append(_Task(kind.asked.format(person), value, kind.values))
        self._told = told
        tasks = [_task(rng) for _ in range(self.delay)]
        self._asked = tasks + [asked[i] for i in rng.permutation(self.facts)[: self.questions].tolist()]
        self._said = 0  # of the facts
        self._at = -1  # in the list of what is asked
        self._recalled = 0
        plural = "s" if self.facts > 1 else ""
        return f"remember {self.facts} fact{plural}: i will ask for them later. say ok to go on."

    def instance(self) -> str:
        """The facts and the questions."""
        return " ".join([*self._told, *(task.text for task in self._asked[self.delay :])])

    def step(self, action: str) -> Turn:
        """Tell the next fact, or judge what is said to a task or question and go on."""
        if self._said < self.facts:
            self._said += 1
            return Turn(self._told[self._said - 1])
        if self._at < 0:
            return self._go_on("", 0.0)
        task = self._asked[self._at]
        answer = _read(action, task.answers)
        if self._at < self.delay:
            return self._go_on("", 0.0) if answer == task.answer else self._go_on("missed. ", -_TASK_COST)
        if answer is None:
            return Turn(f"say one {self._called(task)}. {task.text}")
        if answer != task.answer:
            return self._go_on("wrong. ", 0.0)
        self._recalled += 1
        return self._go_on("right. ", 1 / self.questions)

    def valid_actions(self) -> list[str]:
        """``ok``, or all answers of the kind asked for."""
        return ["ok"] if self._at < 0 else list(self._asked[self._at].answers)

    def expert_action(self) -> str:
        """What was told."""
        return "ok" if self._at < 0 else self._asked[self._at].answer

    def _go_on(self, verdict: str, reward: float) -> Turn:
        if self._at + 1 < len(self._asked):
            self._at += 1
            return Turn(verdict + self._asked[self._at].text, reward)
        info = {"success": self._recalled == self.questions, "recalled": self._recalled / self.questions}
        return Turn(f"{verdict}{self._recalled} of {self.questions} recalled.", reward, True, info)

    def _called(self, task: _Task) -> str:
        return next(kind.called for kind in _KINDS if kind.values == task.answers)


def _task(rng: np.random.Generator) -> _Task:
    """To repeat a word or to add two numbers."""
    if rng.integers(2):
        word = _WORDS[int(rng.integers(len(_WORDS)))]
        return _Task(f"say {word}.", word, _WORDS)
    one, other = rng.integers(1, 7, size=2).tolist()
    return _Task(f"what is {one} plus {other}?", str(one + other), _SUMS)


def _read(text: str, answers: tuple[str, ...]) -> str | None:
    """The one answer that a text names; of numbers any, and of those with a sum the sum, the largest."""
    if answers[0].isdigit():
        several = (number(word) for word in words(text)) if answers == _SUMS else (number(text),)
        named = max((each for each in several if each is not None), default=None)
        return None if named is None else str(named)
    return option(" ".join(nearest(word, answers) for word in words(text)), answers)
