"""Teach a pupil whose knowledge shows only in exercises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.dialogue.pupil import TURN_COST, Pupil, model, plan
from textenvs.parsing import asserted, nearest, words

_SUBJECTS = {
    "arithmetic": "counting adding subtracting multiplying dividing",
    "chess": "pieces captures forks pins endings",
    "cooking": "chopping frying baking sauces menus",
    "drawing": "lines shapes shading perspective portraits",
    "french": "sounds nouns verbs tenses letters",
    "music": "rhythm notes scales chords harmony",
    "programming": "variables conditions loops functions recursion",
    "swimming": "floating breathing gliding crawling diving",
}
_NEEDS = 0.75  # probability that a skill needs an earlier one
_KNOWN, _EXPLAIN, _EXERCISE = (0.2, 0.35, 0.5), (0.3, 0.4, 0.5), (0.2, 0.3)
_SLIP, _GUESS = (0.05, 0.1), (0.05, 0.1, 0.2)
_NONSENSE_COST = 0.05
_VERBS = {
    word: kind
    for kind, said in {
        "explain": "explain explanation teach show lecture demonstrate introduce",
        "exercise": "exercise exercises practice practise drill problem task quiz ask try train check",
        "test": "test exam examination finish end stop done",
    }.items()
    for word in said.split()
}


class Tutor(Game):
    """TextTutor-v0: teach a pupil skills that build on each other, in little time.

    ## Description

    You teach a pupil a few skills, some of which need an earlier one. What the pupil knows is hidden: it shows in
    exercises, but known skills are sometimes failed and unknown ones sometimes guessed. An explanation may teach the
    skill and shows nothing; an exercise shows something and may teach the skill too. Nothing is learned of a skill
    whose need is unknown, and nothing is forgotten. The lesson ends with a test that you give, or when time is up.

    ## Example transcript

    ```
    teach a pupil chess: pieces, forks (needs pieces), endings (needs forks). each is known at first in 50%, if what it
    needs is. then an explanation teaches it in 30%, an exercise in 30%. a known skill is solved in 95% of the
    exercises, an unknown one in 10%. you have 6 turns, each costs 0.015; a test ends the lesson.
    > exercise pieces
    the pupil solves pieces.
    > exercise forks
    the pupil fails forks.
    > exercise forks
    the pupil solves forks.
    > explain endings
    you explain endings.
    > exercise endings
    the pupil fails endings.
    > explain endings
    you explain endings. test: the pupil knows pieces and forks, 2 of 3 skills; at first 1.
    ```

    ## Observation

    The opening tells the skills and all probabilities; a reply is how the pupil did. Only the test, which is without
    error, tells what the pupil knows.

    ## Action

    Free text with one skill and a word for what to do, small misspellings allowed: ``explain forks``, ``please teach
    it the pieces``; ``exercise forks``, ``a quiz on forks``; or ``test``, ``finish the lesson``. A test that is asked
    about or denied (``are we done?``, ``no test yet``) and anything else is not understood.

    ``valid_actions`` lists an explanation of each skill, an exercise on each, and the test.

    ## Reward

    In the end the learning gain: the share of the skills that the pupil knows less the share that it knew at first.
    Each turn but the one that gives the test costs 0.015, and 0.05 more if it was not understood.

    ## Episode end

    Terminated by the test, which is taken anyway after ``turns`` of them. ``success``: the pupil knows all skills;
    ``gain`` is the learning gain.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``skills`` | 2 | 3 | 5 | skills to teach (1 to 5) |
    | ``turns`` | 6 | 6 | 20 | length of the lesson, and ``max_turns`` |

    Subject, skills, needs, probabilities and the pupil's knowledge are drawn for each episode.

    ## Expert

    Exact at easy and medium: it keeps the probability of all that the pupil may know (Bayesian knowledge tracing) and
    searches all that may happen in the rest of the lesson. At hard a script: it searches two turns ahead, reckons with
    explanations beyond, and is exact for the last few turns; at easy and medium this script would be as good, as far
    as a thousand episodes tell. The mean return is 0.46, 0.34 and 0.43 at easy, medium and hard, and 71%, 39% and 64%
    of the pupils know everything in the end; not every pupil can learn all in time. Random choice has 0.16, 0.09 and
    0.05, and 30%, 14% and 6%; to give the test at once, 0.

    ## Source

    Corbett and Anderson 1995, "Knowledge tracing: modeling the acquisition of procedural knowledge", for the pupil;
    teaching as a partially observable decision problem as in Rafferty et al. 2011, "Faster teaching by POMDP
    planning". Prerequisites, probabilities and rewards are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"skills": 2, "turns": 6},
        "medium": {},
        "hard": {"skills": 5, "turns": 20},
    }

    def __init__(self, skills: int = 3, turns: int = 6) -> None:
        if not 1 <= skills <= 5:
            raise ValueError(f"skills must be 1 to 5, not {skills!r}")
        if not 1 <= turns <= 100:
            raise ValueError(f"turns must be 1 to 100, not {turns!r}")
        self.skills, self.max_turns = skills, turns
        self.max_choices = 2 * skills + 1

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a subject, which skill needs which, how the pupil learns, and what it knows."""
        self._rng = rng
        self._subject = list(_SUBJECTS)[int(rng.integers(len(_SUBJECTS)))]
        names = _SUBJECTS[self._subject].split()
        self._names = tuple(names[i] for i in sorted(rng.permutation(len(names))[: self.skills]))
        needs = tuple(int(rng.integers(i)) if i and rng.random() < _NEEDS else -1 for i in range(self.skills))
        drawn = [float(rng.choice(options)) for options in (_KNOWN, _EXPLAIN, _EXERCISE, _SLIP, _GUESS)]
        self._pupil = Pupil(needs, *drawn)
        self._model = model(self._pupil)
        self._belief = self._model.start
        self._first = self._state = self._model.states[int(rng.choice(len(self._model.states), p=self._belief))]
        self._left = self.max_turns
        return self._opening()

    def instance(self) -> str:
        """The subject, the pupil and what it knows at first."""
        return f"{self._subject}: {' '.join(self._names)}; {tuple(self._pupil)}; {self._first}"

    def step(self, action: str) -> Turn:
        """Explain a skill, give an exercise on it, or end with the test."""
        kind, skill = self._read(action)
        if kind == "test":
            return self._test("")
        if kind == "explain":
            self._teach(skill, 0)
            return self._go_on(f"you explain {self._names[skill]}.", TURN_COST)
        if kind == "exercise":
            solves = self._rng.random() < (1 - self._pupil.slip if self._knows(skill) else self._pupil.guess)
            self._teach(skill, 1 if solves else 2)
            return self._go_on(f"the pupil {'solves' if solves else 'fails'} {self._names[skill]}.", TURN_COST)
        return self._go_on("say explain or exercise and one skill, or test.", TURN_COST + _NONSENSE_COST)

    def valid_actions(self) -> list[str]:
        """An explanation of each skill, an exercise on each, and the test."""
        return [*(f"explain {name}" for name in self._names), *(f"exercise {name}" for name in self._names), "test"]

    def expert_action(self) -> str:
        """What is best to do, given what was seen."""
        kind, skill = plan(self._pupil, self._belief, max(self._left, 1))
        return "test" if kind == "test" else f"{kind} {self._names[skill]}"

    def _opening(self) -> str:
        pupil = self._pupil
        skills = [
            name if need < 0 else f"{name} (needs {self._names[need]})"
            for name, need in zip(self._names, pupil.needs, strict=True)
        ]
        return (
            f"teach a pupil {self._subject}: {', '.join(skills)}. each is known at first in {pupil.known:.0%}, if what "
            f"it needs is. then an explanation teaches it in {pupil.explain:.0%}, an exercise in {pupil.exercise:.0%}. "
            f"a known skill is solved in {1 - pupil.slip:.0%} of the exercises, an unknown one in {pupil.guess:.0%}. "
            f"you have {self.max_turns} turns, each costs {TURN_COST}; a test ends the lesson."
        )

    def _knows(self, skill: int) -> bool:
        return bool(self._state >> skill & 1)

    def _teach(self, skill: int, row: int) -> None:
        """What an explanation (row 0) or a solved or failed exercise (1, 2) does to the pupil, and tells of it."""
        need = self._pupil.needs[skill]
        ready = need < 0 or self._knows(need)
        if self._rng.random() < (self._pupil.exercise if row else self._pupil.explain) and ready:
            self._state |= 1 << skill
        belief = self._belief @ self._model.steps[3 * skill + row]
        self._belief = belief / belief.sum()

    def _go_on(self, text: str, cost: float) -> Turn:
        self._left -= 1
        return Turn(text, -cost) if self._left else self._test(f"{text} ", cost)

    def _test(self, text: str, cost: float = 0.0) -> Turn:
        known = [name for skill, name in enumerate(self._names) if self._knows(skill)]
        gain = (len(known) - self._first.bit_count()) / self.skills
        told = f"the pupil knows {' and '.join(known) or 'nothing'}, {len(known)} of {self.skills} skills"
        text = f"{text}test: {told}; at first {self._first.bit_count()}."
        return Turn(text, gain - cost, True, {"success": len(known) == self.skills, "gain": gain})

    def _read(self, text: str) -> tuple[str, int]:
        """What to do and with which skill; two empty things for what is not understood."""
        vocabulary = (*self._names, *_VERBS)
        said, stated = (
            [nearest(word, vocabulary) if len(word) > 4 else word for word in spoken]
            for spoken in (words(text), asserted(text))
        )
        kinds = {_VERBS[word] for word in said if word in _VERBS}
        named = [name for name in self._names if name in said]
        if not named:
            ends = kinds == {"test"} and any(_VERBS.get(word) == "test" for word in stated)
            return ("test", 0) if ends else ("", 0)
        kinds = kinds - {"test"} or ({"exercise"} if kinds else set())
        return (kinds.pop(), self._names.index(named[0])) if len(kinds) == len(named) == 1 else ("", 0)
