"""Answer by a rule that changes without notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from textenvs.game import Game, Turn
from textenvs.parsing import number

_SHOWN = 4  # numbers in a round
_HIGHEST = 9
_RULES: Mapping[str, Callable[[tuple[int, ...]], int]] = {
    "the largest": max,
    "the smallest": min,
    "the sum": sum,
    "the first": lambda shown: shown[0],
    "the last": lambda shown: shown[-1],
    "the second largest": lambda shown: sorted(shown)[-2],
    "the largest minus the smallest": lambda shown: max(shown) - min(shown),
    "how many are even": lambda shown: sum(each % 2 == 0 for each in shown),
}
_WORDS = ("bell", "drum", "horn", "lamp", "star")
_SPARE_TURNS = 4
_TRIES = 8


class _Round(NamedTuple):
    """One question.

    Attributes:
        word: the word that is said before the numbers; ``""`` where there is only one rule at a time.
        shown: the numbers.
        answer: what is right.
        stretch: how many switches there were before.
        since: rounds since the last of them, or since the start.
    """

    word: str
    shown: tuple[int, ...]
    answer: int
    stretch: int
    since: int


class Switch(Game):
    """TextSwitch-v0: answer by a rule that changes without notice.

    ## Description

    Continual learning within an episode, which is a long stream of short rounds. In each round you read four numbers
    and answer with the one that the rule in force asks for, such as the largest, the sum or how many are even. The
    rules that can be in force are told, but not which of them is: that has to be found out from the feedback. Every
    ``every`` rounds another one comes into force, and only the feedback tells that too. With several ``words`` the
    numbers come after a word, each word stands for a rule of its own, and its meaning drifts: at a switch each word
    takes another rule with probability ``drift``, at least one word does. The numbers are chosen so that the rules
    differ as far as can be.

    ## Example transcript

    Here with ``rounds=8, every=4, rules=3``, and a player who has to find out.

    ```
    rules: the sum, the last, the first. one of them counts; which one changes now and then, and you have to find out.
    answer each time with a number. numbers: 3 2 4 7.
    > 3
    wrong, 7. numbers: 9 1 6 5.
    > 5
    right. numbers: 3 8 4 7.
    > 7
    right. numbers: 8 7 5 9.
    > 9
    right. numbers: 2 3 6 9.
    > 9
    wrong, 20. numbers: 3 7 5 9.
    > 24
    right. numbers: 9 6 2 1.
    > 18
    right. numbers: 9 8 1 6.
    > 24
    right. 6 of 8 were right.
    ```

    ## Observation

    The opening tells the rules and the first numbers; each reply says whether the answer was right, what had been right
    (unless ``tell`` is off), and the next numbers.

    ## Action

    Free text with a number in digits or words: ``7``, ``it is seven``; the first one counts. Where there is none, the
    round is asked again, which costs a turn.

    The admissible utterances are what any of the eight rules there are would answer.

    ## Reward

    1 / ``rounds`` for each right answer.

    ## Episode end

    Terminated after the last round; truncated after ``max_turns``. Nothing is won or lost: ``regret`` counts the rounds
    that were not answered rightly.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``rounds`` | 20 | 40 | 60 | length of the stream (1 to 1000) |
    | ``every`` | 10 | 10 | 15 | rounds from switch to switch, at most ``rounds``, where nothing ever changes |
    | ``rules`` | 2 | 4 | 6 | rules that can be in force (2 to 8) |
    | ``words`` | 1 | 1 | 2 | rules in force at a time, each with its word where there are several (1 to 5) |
    | ``drift`` | - | - | 0.5 | probability that a word changes its meaning at a switch |
    | ``tell`` | yes | yes | no | whether a wrong answer is corrected |
    | ``max_turns`` | 24 | 44 | 64 | truncation: four more turns than rounds |

    ## Expert

    Exact: it knows the rule in force and always has a return of 1, which no player who has to find it out can reach.
    Regret is read off directly: in rounds it is ``rounds`` times (1 - return); each turn's info has ``right``,
    ``stretch`` (the switches so far) and ``since`` (the rounds since the last one), so that the share of right
    answers for each ``since`` is the curve of adapting. For comparison, a player who keeps the rules that fit all
    feedback, and begins anew when none does, returns 0.92, 0.91 and 0.72 at easy, medium and hard; one who does not
    begin anew 0.47, 0.38 and 0.34. Random play returns 0.18, 0.17 and 0.16.

    ## Source

    The Wisconsin card sorting test (Grant and Berg 1948), in which the rule changes without notice too, and the
    task-switching streams of continual reinforcement learning (Khetarpal et al. 2022), with numbers in the place of
    cards. Rules and words are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"rounds": 20, "rules": 2},
        "medium": {},
        "hard": {"rounds": 60, "every": 15, "rules": 6, "words": 2, "drift": 0.5, "tell": False},
    }
    max_choices = len(_RULES)

    def __init__(
        self,
        rounds: int = 40,
        every: int = 10,
        rules: int = 4,
        words: int = 1,
        drift: float = 1.0,
        tell: bool = True,
    ) -> None:
        if not 1 <= rounds <= 1000:
            raise ValueError(f"rounds must be 1 to 1000, not {rounds!r}")
        if not 1 <= every <= rounds:
            raise ValueError(f"every must be 1 to {rounds}, the number of rounds, not {every!r}")
        if not 2 <= rules <= len(_RULES):
            raise ValueError(f"rules must be 2 to {len(_RULES)}, not {rules!r}")
        if not 1 <= words <= min(len(_WORDS), rules - 1):
            raise ValueError(f"words must be 1 to {min(len(_WORDS), rules - 1)} with {rules} rules, not {words!r}")
        if not 0 <= drift <= 1:
            raise ValueError(f"drift is a probability: it must be 0 to 1, not {drift!r}")
        self.rounds, self.every, self.rules, self.words = rounds, every, rules, words
        self.drift, self.tell = drift, tell
        self.max_turns = rounds + _SPARE_TURNS

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the rules of the episode, which of them counts when, and all rounds."""
        names = list(_RULES)
        self._rules = [names[n] for n in rng.permutation(len(names))[: self.rules].tolist()]
        words = [_WORDS[n] for n in rng.permutation(len(_WORDS))[: self.words].tolist()] if self.words > 1 else [""]
        meant = [self._rules[n] for n in rng.permutation(self.rules)[: self.words].tolist()]
        self._meanings = [dict(zip(words, meant, strict=True))]
        for _ in range((self.rounds - 1) // self.every):
            self._meanings.append(self._drift(self._meanings[-1], rng))
        self._stream = [self._draw(n, words, rng) for n in range(self.rounds)]
        self._at = self._right = 0
        which = "each word stands for one of them" if self.words > 1 else "one of them counts"
        return (
            f"rules: {', '.join(self._rules)}. {which}; which one changes now and then, and you have to find out. "
            f"answer each time with a number. {self._ask()}"
        )

    def instance(self) -> str:
        """What counts when, and the rounds."""
        return f"{self._rules} {self._meanings} {[(each.word, each.shown) for each in self._stream]}"

    def step(self, action: str) -> Turn:
        """Judge an answer and go on."""
        answer = number(action)
        if answer is None:
            return Turn(f"answer with a number. {self._ask()}")
        asked = self._stream[self._at]
        right = answer == asked.answer
        self._at += 1
        self._right += right
        info = {"right": right, "stretch": asked.stretch, "since": asked.since}
        verdict = "right." if right else f"wrong, {asked.answer}." if self.tell else "wrong."
        if self._at < self.rounds:
            return Turn(f"{verdict} {self._ask()}", right / self.rounds, info=info)
        text = f"{verdict} {self._right} of {self.rounds} were right."
        return Turn(text, right / self.rounds, True, {**info, "regret": self.rounds - self._right})

    def valid_actions(self) -> list[str]:
        """What any rule there is, of this episode or not, would answer."""
        shown = self._stream[min(self._at, self.rounds - 1)].shown
        return [str(answer) for answer in sorted({rule(shown) for rule in _RULES.values()})]

    def expert_action(self) -> str:
        """The right answer."""
        return str(self._stream[self._at].answer)

    def _ask(self) -> str:
        asked = self._stream[self._at]
        return f"{asked.word or 'numbers'}: {' '.join(map(str, asked.shown))}."

    def _drift(self, meanings: dict[str, str], rng: np.random.Generator) -> dict[str, str]:
        """Other rules for some of the words, for one at least; no two words mean the same."""
        moving = rng.random(len(meanings)) < self.drift
        moving[rng.integers(len(meanings))] = True
        while True:
            drawn = [self._rules[n] for n in rng.permutation(self.rules)[: self.words].tolist()]
            kept = [rule == old for rule, old in zip(drawn, meanings.values(), strict=True)]
            if not any(kept[n] == moving[n] for n in range(self.words)):
                return dict(zip(meanings, drawn, strict=True))

    def _draw(self, at: int, words: list[str], rng: np.random.Generator) -> _Round:
        """Numbers for which the rules of the episode differ as far as can be."""
        stretch, since = divmod(at, self.every)
        word = words[int(rng.integers(len(words)))]
        best: tuple[int, ...] = ()
        most = 0
        for _ in range(_TRIES):
            shown = tuple((1 + rng.permutation(_HIGHEST)[:_SHOWN]).tolist())
            differ = len({_RULES[rule](shown) for rule in self._rules})
            if differ > most:
                most, best = differ, shown
            if most == self.rules:
                break
        return _Round(word, best, _RULES[self._meanings[stretch][word]](best), stretch, since)
