"""Answer questions about a story."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations, pairwise, product
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.questions.scoring import f1
from textenvs.games.questions.stories import COUNTS, LONGEST_PATH, MOST_HELD, OPPOSITE, draw_story, forms, rule
from textenvs.parsing import compass, nearest, number, words

GROUPS = {"direct": (1, 4, 5, 6, 9, 10, 11, 12, 13, 15, 20), "chained": (2, 3, 7, 8, 14, 16, 17, 18, 19)}
_MISSPELT = 5  # letters that a misspelt word must have to be recognised
_HINTS = {
    "place": "a place",
    "person": "a name",
    "thing": "a thing",
    "things": "things or nothing",
    "yes": "yes, no or maybe",
    "count": "a number",
    "path": "directions, such as north, east",
    "colour": "a colour",
    "animal": "an animal",
    "motive": "how someone felt",
}


class Reading(Game):
    """TextReading-v0: answer questions about a story.

    ## Description

    A generated story of one of the twenty types of bAbI, and a few questions of that type, one after the other. The
    types need: 1 one fact, 2 two facts, 3 three facts, 4 relations of two, 5 relations of three, 6 yes or no, 7
    counting, 8 lists, 9 negation, 10 what may be, 11 pronouns, 12 pairs of people, 13 pronouns for pairs, 14 times, 15
    deduction, 16 induction, 17 positions, 18 sizes, 19 paths, 20 motives. All that is needed stands in the text.

    ## Example transcript

    ```
    read, and answer 3 questions. fred ran to the bathroom. lily walked to the stable. lily took the book there. fred
    went to the kitchen. fred ran to the garden. emily sang a song. lily went to the bathroom. fred ran to the bathroom.
    jason smiled. lily ran to the cellar. fred got the coat there. fred walked to the cellar. where was the coat before
    the cellar?
    > it was in the bathroom
    right. where was the book before the cellar?
    > the stable?
    no, bathroom. where was the book before the bathroom?
    > stable
    right. 2 right.
    ```

    ## Observation

    The opening has the story and the first question; the reply to an answer says whether it was right, and has the next
    question.

    ## Action

    Free text. What counts is which of the possible answers of the question's kind it names, such as places or names:
    ``the kitchen``, ``Mary is in the kitchen.``, ``milk and apple``, ``nope``, ``2``, ``first north, then e``. Small
    misspellings do not matter, and what stands in the question is left out where something else is named. A text that
    names none is not understood; this costs a turn.

    ## Reward

    For each answer its share of 1: half of it for an exact match, and half of it times F1 over what it names. The order
    counts in the match of a path only.

    ## Episode end

    Terminated after the last question (``success`` if all matched exactly; ``right`` counts those); truncated after
    ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``task`` | direct | None | chained | a type, ``"direct"``, ``"chained"`` (all others), or ``None`` for any |
    | ``length`` | 6 | 10 | 14 | sentences of the story; fewer where a type has no more |
    | ``distractors`` | 0 | 2 | 4 | further sentences that tell nothing |
    | ``questions`` | 3 | 3 | 3 | questions; fewer where a story has no more |
    | ``max_turns`` | 6 | 6 | 6 | truncation: twice ``questions`` |

    Types 1, 4, 5, 6, 9, 10, 11, 12, 13, 15 and 20 are ``"direct"``. ``valid_actions()`` offers all answers that such a
    question can have with the names of the story.

    ## Expert

    Exact: it says what the simulated world has. It always earns 1 and succeeds. At random the mean return and success
    over 1000 episodes are 0.27 and 0.02 (easy), 0.25 and 0.03 (medium), 0.25 and 0.02 (hard).

    ## Source

    The twenty types of Weston et al. 2015, "Towards AI-Complete Question Answering" (bAbI), told by this package's own
    generator. Unlike there, all questions follow the whole story, and what types 17 and 20 presuppose is stated.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"task": "direct", "length": 6, "distractors": 0},
        "medium": {},
        "hard": {"task": "chained", "length": 14, "distractors": 4},
    }
    max_choices = 48

    def __init__(
        self, task: int | str | None = None, length: int = 10, distractors: int = 2, questions: int = 3
    ) -> None:
        if task is not None and task not in GROUPS and task not in range(1, 21):
            raise ValueError(f"task must be 1 to 20, {', '.join(map(repr, GROUPS))} or None for any, not {task!r}")
        if not 4 <= length <= 24:
            raise ValueError(f"length must be 4 to 24, not {length!r}")
        if not 0 <= distractors <= 12:
            raise ValueError(f"distractors must be 0 to 12, not {distractors!r}")
        if not 1 <= questions <= 8:
            raise ValueError(f"questions must be 1 to 8, not {questions!r}")
        self.task, self.length, self.distractors, self.questions = task, length, distractors, questions
        self.max_turns = 2 * questions
        self._tasks = tuple(range(1, 21)) if task is None else GROUPS[task] if isinstance(task, str) else (task,)

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a story of one type and its questions."""
        task = self._tasks[int(rng.integers(len(self._tasks)))]
        story = draw_story(task, self.length, self.distractors, self.questions, rng)
        self._told, self._asked = f"{rule(task)} {story.text}".strip(), story.questions
        self._now = self._right = 0
        count = f"{len(self._asked)} questions" if len(self._asked) > 1 else "a question"
        return f"read, and answer {count}. {self._told} {self._asked[0].text}"

    def instance(self) -> str:
        """The story with its questions."""
        return f"{self._told} {' '.join(question.text for question in self._asked)}"

    def step(self, action: str) -> Turn:
        """Mark an answer and ask the next question."""
        text, answer, kind = self._asked[self._now]
        said = named(action, kind)
        if kind != "path":
            said = [each for each in said if each not in named(text, kind)] or said
        if not said:
            return Turn(f"please say {_HINTS[kind]}.")
        right = tuple(said) == answer if kind == "path" else {*said} == {*answer}
        self._now, self._right = self._now + 1, self._right + right
        done = self._now == len(self._asked)
        following = f"{self._right} right." if done else self._asked[self._now].text
        mark = "right." if right else f"no, {', '.join(answer)}."
        info = {"success": self._right == self._now, "right": self._right} if done else {}
        return Turn(f"{mark} {following}", (right + f1(said, answer)) / 2 / len(self._asked), done, info)

    def valid_actions(self) -> list[str]:
        """All that such a question can have for an answer, of what the story names."""
        kind = self._asked[min(self._now, len(self._asked) - 1)].kind
        if kind == "yes":
            return ["yes", "no", "maybe"]
        if kind == "count":
            return list(COUNTS[: MOST_HELD + 1])
        if kind == "path":
            paths = [path for size in range(2, LONGEST_PATH + 1) for path in product(OPPOSITE, repeat=size)]
            return [", ".join(path) for path in paths if all(OPPOSITE[a] != b for a, b in pairwise(path))]
        told = {*re.findall(r"[a-z]+", self._told)}
        names = sorted({name for word, name in forms("thing" if kind == "things" else kind).items() if word in told})
        if kind == "things":
            return ["nothing", *(", ".join(some) for n in range(1, MOST_HELD + 1) for some in combinations(names, n))]
        return names

    def expert_action(self) -> str:
        """The right answer."""
        return ", ".join(self._asked[min(self._now, len(self._asked) - 1)].answer)


def named(text: str, kind: str) -> list[str]:
    """The answers of a kind that a text names, in its order; each once, save for the steps of a path."""
    said = words(text)
    if kind == "path":
        return [way for word in said if (way := compass(word))]
    if kind == "count":
        counts = [0 if word in ("no", "none", "nothing") else number(word) for word in said]
        return list(dict.fromkeys(COUNTS[count] for count in counts if count is not None and count < len(COUNTS)))
    known = forms(kind)
    near = [nearest(word, tuple(known)) if len(word) >= _MISSPELT else word for word in said]
    return list(dict.fromkeys(known[word] for word in near if word in known))
