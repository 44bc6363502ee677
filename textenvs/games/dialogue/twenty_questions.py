"""Find out by yes/no questions which object is meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from textenvs.game import Game, Turn
from textenvs.games.dialogue.inquiry import believe, best_question, guess
from textenvs.games.dialogue.objects import guesses, read, table

_TURNS = 20
_LISTED = 16  # objects that an opening can name
_ASKED, _GUESSED = 20, 10  # attributes and objects among the choices, at most, besides the expert's


class TwentyQuestions(Game):
    """TextTwentyQuestions-v0: find out which object is meant, with twenty yes/no questions.

    ## Description

    The game thinks of one of 338 everyday objects, from dog to lighthouse, of which it knows 87 attributes. You ask
    yes/no questions about it, and guess it. With ``noise`` an answer about an attribute may be wrong; it is drawn once
    for the episode, so that asking again does not help. The answer to a guess is always right.

    ## Example transcript

    ```
    i think of an object. find it with at most 20 yes/no questions.
    > is it found in most homes?
    no.
    > is it made by people?
    no.
    > is it alive?
    no.
    > is it a plant or part of a plant?
    yes.
    > is it a fruit?
    no.
    > is it often green?
    no.
    > does it grow under the ground?
    no.
    > is it a tomato?
    yes, it is: tomato.
    ```

    ## Observation

    ``yes.`` or ``no.``; the opening names the objects in question if they are few, and tells how many answers are
    wrong.

    ## Action

    Free text with one question about an attribute, ``is it alive?``, ``can you eat it?``, ``does it live in water?``,
    ``is it bigger than a person``, or one guess, ``is it a dog?``, ``i guess it's a bike``, ``sofa``. The words that
    say something must be those of a phrase that the game knows, about six for each attribute, in any order, whatever
    the filling words, plurals and small misspellings. A contrary, ``is it not alive?``, ``is it natural?``, is
    answered accordingly. Other text gets ``ask one simple yes/no question.`` and counts as a question.

    ``valid_actions`` lists 20 attributes that were not asked for and 10 objects, drawn for the episode, the best guess
    and the expert's question, in alphabetical order.

    ## Reward

    -1 for each question or wrong guess, 0 for the right guess.

    ## Episode end

    Terminated when the object is guessed (``success``) or the twenty questions are used up.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``objects`` | 12 | all | all | objects in question: 2 to 16, named in the opening, or ``"all"`` of them |
    | ``noise`` | 0 | 0 | 0.05 | probability that an answer about an attribute is wrong (below 0.5) |
    | ``max_turns`` | 20 | 20 | 20 | truncation; the game itself ends there |

    With all objects in question there are 338 instances, one for each.

    ## Expert

    A script that knows the table and holds a Bayesian belief. While answers are right and at most 12 objects are left,
    thus always at easy, it is exact: a branch and bound search for the fewest questions on average. Else it asks the
    question after which the fewest are to be expected, where a belief is taken to need as many as the best possible
    table would need for as many equally likely objects as it has the entropy of. Its mean return is -3.04, -8.32 and
    -11.0 at easy, medium and hard, and it finds 100%, 100% and 90% of the objects. At medium it averages -8.49 over all
    338, where no player, whatever the table, could have more than -7.86. Random choice has -14.4, -19.7 and -19.7 and
    finds 50%, 5% and 3%.

    ## Source

    The game and rewards of Twenty Questions in LMRL-Gym (Abdulhai et al. 2023), where a language model answers; the
    objects and attributes (``objects.json``) are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"objects": 12},
        "medium": {},
        "hard": {"noise": 0.05},
    }
    max_turns = _TURNS
    max_choices = _ASKED + _GUESSED + 2

    def __init__(self, objects: int | str = "all", noise: float = 0.0) -> None:
        if objects != "all" and not (isinstance(objects, int) and 2 <= objects <= _LISTED):
            raise ValueError(f"objects must be 2 to {_LISTED} or 'all', not {objects!r}")
        if not 0 <= noise < 0.5:
            raise ValueError(f"noise must be at least 0 and less than 0.5, not {noise!r}")
        self.objects, self.noise = objects, noise

    def reset(self, rng: np.random.Generator) -> str:
        """Think of an object, and of which answers will be wrong."""
        known = len(table().objects)
        size = known if self.objects == "all" else int(self.objects)
        self._candidates = np.sort(rng.permutation(known)[:size])
        self._answer = int(self._candidates[rng.integers(size)])
        self._wrong = rng.random(len(table().questions)) < self.noise
        self._ways = rng.permutation(len(table().questions))
        self._decoys = rng.permutation(self._candidates)
        self._prior = np.bincount(self._candidates, minlength=known) / size
        self._told: dict[int, bool] = {}
        self._missed: list[int] = []
        self._turns = 0
        listed = ", ".join(table().objects[i] for i in self._candidates) if self.objects != "all" else ""
        what = f"i think of one of these: {listed}." if listed else "i think of an object."
        doubt = f" about one answer in {round(1 / self.noise)} is wrong." if self.noise else ""
        return f"{what} find it with at most {_TURNS} yes/no questions.{doubt}"

    def instance(self) -> str:
        """The object, and those that it may be where they are told."""
        answer = table().objects[self._answer]
        return answer if self.objects == "all" else f"{answer} of {' '.join(map(str, self._candidates))}"

    def step(self, action: str) -> Turn:
        """Answer a question."""
        self._turns += 1
        asked = read(action)
        name = table().objects[self._answer]
        if asked.kind == "guess" and asked.which == self._answer:
            return Turn(f"yes, it is: {name}.", 0.0, True, {"success": True})
        if asked.kind == "guess":
            self._missed.append(asked.which)
            text = "no."
        elif asked.kind == "attribute":
            holds = bool(table().holds[asked.which, self._answer] != self._wrong[asked.which])
            self._told[asked.which] = holds
            text = "yes." if holds != asked.negated else "no."
        else:
            text = "ask one simple yes/no question."
        if self._turns < _TURNS:
            return Turn(text, -1.0)
        return Turn(f"{text} that was the last question. it was: {name}.", -1.0, True, {"success": False})

    def valid_actions(self) -> list[str]:
        """The expert's question and its best guess, among others that were drawn for the episode."""
        asked = [i for i in self._ways.tolist() if i not in self._told][:_ASKED]
        named = [i for i in self._decoys.tolist() if i not in self._missed][:_GUESSED]
        lines = {table().questions[i] for i in asked} | {guesses()[i] for i in named}
        return sorted(lines | {self.expert_action(), guesses()[int(self._belief().argmax())]})

    def expert_action(self) -> str:
        """The question after which the fewest are to be expected."""
        belief = self._belief()
        if self._turns >= _TURNS - 1:
            return guesses()[int(belief.argmax())]
        best = best_question(belief, self._told, self.noise)
        return table().questions[best] if best >= 0 else guesses()[guess(best)]

    def _belief(self) -> NDArray[np.float64]:
        prior = self._prior.copy()
        prior[self._missed] = 0.0
        return believe(prior, self._told, self.noise)
