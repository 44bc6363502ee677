"""Find out what is wrong with a customer's device and have it mended."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.dialogue.faults import (
    CHECK_COST,
    FIX_COST,
    IDLE_COST,
    NEEDLESS_VISIT,
    NO,
    UNASKED,
    YES,
    Known,
    Problem,
    best,
)
from textenvs.parsing import asserted, nearest, words

_TECHNICIAN = "send a technician"
_UNITS = 20  # a probability is told in steps of 5%
_MOST_DEFECTS = 3
_EVENNESS = 4.0  # of the probabilities of the causes
_SPARE_TURNS = 4
_FILLERS = {*words("a an the is are it its it's do does did you your can could please try to and of in on for there i")}
_VISIT = {*words("technician escalate repairman engineer mechanic specialist")}


class Support(Game):
    """TextSupport-v0: find the fault of a customer's device by cheap checks and mend it.

    ## Description

    You are the help desk. A customer's device does not work; the opening tells the possible causes with their
    probabilities, how each is mended, and for which causes the right answer to each check is yes. Checks are cheap
    questions to the customer, whose answer is wrong with probability ``noise`` (and stays so when you ask again).
    A fix is work: it mends the device if its cause is the true one. The last cause is a defect that only a technician
    repairs; to send one for any other cause is a needless visit.

    ## Example transcript

    ```
    customer: my television shows no picture. causes and fixes: old channel list 30%: search the channels again; frozen
    system 30%: pull the plug and wait; empty remote 5%: change the batteries; wrong input 30%: choose the other input;
    dead panel 5%: send a technician. checks: is the standby lamp red? yes if empty remote. does the menu appear? yes
    if old channel list or wrong input. do you see no signal written? yes if wrong input. does the button on the set
    work? yes if old channel list, empty remote or wrong input. answers are wrong in 5% of the checks. a check costs
    0.02, a fix 0.2, a needless technician 0.5.
    > does the menu appear?
    customer: no.
    > does the button on the set work?
    customer: no.
    > pull the plug and wait
    customer: done, but it still shows no picture.
    > is the standby lamp red?
    customer: no.
    > send a technician
    the technician repairs the dead panel.
    ```

    ## Observation

    The opening tells all that is known of the device. A reply is the customer's yes or no, whether a fix helped, or
    what the technician finds.

    ## Action

    Free text that has more than half of the words of one check or fix, small misspellings allowed: ``is the menu
    there, does it appear?``, ``please change the batteries``. What is no question may name the cause instead: ``mend
    the wrong input``. ``send a technician`` is also ``escalate`` and the like, but not where that is asked or
    denied. Anything else is not understood.

    ``valid_actions`` lists the checks, the fixes and the technician.

    ## Reward

    1 when the device is mended. A check costs 0.02, a fix 0.2, also the last one; the technician costs 0.2, and 0.5
    more for a needless visit. What is not understood, and a check that was made before, costs 0.1.

    ## Episode end

    Terminated when the device is mended (``success``) or after a needless visit; truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``causes`` | 3 | 5 | 6 | possible causes, the defect among them (3 to 7) |
    | ``checks`` | 2 | 4 | 5 | what the customer can be asked (1 to 6) |
    | ``noise`` | 0 | 0.05 | 0.1 | probability that the answer to a check is wrong |
    | ``max_turns`` | 9 | 13 | 15 | truncation: ``causes`` and ``checks`` and four more |

    There are eight devices, each with seven causes and six checks, of which an episode has some.

    ## Expert

    Exact: backward induction over all that may be found out and the turns left. Its state is sufficient, since an
    answer and a failed fix never change, so no player who does not know the cause has a better expected return. On
    test episodes it has 0.76, 0.70 and 0.67 on average at easy, medium and hard, and mends 100%, 99.6% and 99.6% of
    the devices (rarely a technician is the better bet). Random choice has -0.08, -0.35 and -0.42 and mends half of
    them; trying the fixes by their probability without any check has 0.71, 0.54 and 0.47.

    ## Source

    Troubleshooting a customer's device with checks and fixes as in the telecom domain of tau2-bench (Barres et al.
    2025), as the decision problem of Heckerman, Breese and Rommelse 1995, "Decision-theoretic troubleshooting": causes
    with probabilities, costs of observations and of repairs, and a service call. Devices are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"causes": 3, "checks": 2, "noise": 0.0},
        "medium": {},
        "hard": {"causes": 6, "checks": 5, "noise": 0.1},
    }

    def __init__(self, causes: int = 5, checks: int = 4, noise: float = 0.05) -> None:
        if not 3 <= causes <= 7:
            raise ValueError(f"causes must be 3 to 7, not {causes!r}")
        if not 1 <= checks <= 6:
            raise ValueError(f"checks must be 1 to 6, not {checks!r}")
        if not 0 <= noise < 0.5:
            raise ValueError(f"noise must be at least 0 and below 0.5, not {noise!r}")
        self.causes, self.checks, self.noise = causes, checks, noise
        self.max_choices = causes + checks
        self.max_turns = causes + checks + _SPARE_TURNS

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a device, its possible causes and checks, the cause, and which answers are wrong."""
        self._draw_device(rng)
        units = _draw_units(self.causes, rng)
        signs = tuple(tuple(cause in self._device["checks"][check] for cause in self._causes) for check in self._checks)
        self._problem = Problem(tuple(unit / _UNITS for unit in units), signs, self.noise)
        self._cause = int(rng.choice(self.causes, p=self._problem.priors))
        wrong = rng.random(len(self._checks)) < self.noise
        self._answers = [bool(row[self._cause] ^ flip) for row, flip in zip(signs, wrong, strict=True)]
        self._known = Known((UNASKED,) * len(self._checks), (False,) * (self.causes - 1))
        self._turns = self.max_turns
        return self._opening(units)

    def instance(self) -> str:
        """The device, its causes with their probabilities, the checks, the true cause and the answers."""
        told = [f"{cause} {prior:g}" for cause, prior in zip(self._causes, self._problem.priors, strict=True)]
        return f"{self._device['device']}: {self._causes[self._cause]} of {told}; {self._checks} {self._answers}"

    def step(self, action: str) -> Turn:
        """Ask the customer, have something tried, or send a technician."""
        self._turns -= 1
        kind, number = self._read(action)
        if kind == "check":
            return self._check(number)
        if kind == "fix":
            return self._fix(number)
        return Turn("customer: what do you mean?", -IDLE_COST)

    def valid_actions(self) -> list[str]:
        """The checks, the fixes and the technician."""
        return [*self._checks, *self._fixes]

    def expert_action(self) -> str:
        """The best of them."""
        kind, number = best(self._problem, self._known, max(self._turns, 1))
        return (self._checks if kind == "check" else self._fixes)[number]

    def _draw_device(self, rng: np.random.Generator) -> None:
        """A device with as many causes, and checks that tell some of these from others."""
        while True:
            self._device = _devices()[int(rng.integers(len(_devices())))]
            fixes, checks = self._device["fixes"], self._device["checks"]
            chosen = [list(fixes)[i] for i in rng.permutation(len(fixes))[: self.causes - 1]]
            self._causes = (*chosen, self._device["defect"])
            self._fixes = (*(fixes[cause] for cause in chosen), _TECHNICIAN)
            telling = [check for check, yes in checks.items() if 0 < len({*yes} & {*self._causes}) < self.causes]
            if len(telling) >= self.checks:
                self._checks = tuple(telling[i] for i in rng.permutation(len(telling))[: self.checks])
                return

    def _opening(self, units: Sequence[int]) -> str:
        causes = [
            f"{cause} {unit * 100 // _UNITS}%: {fix}"
            for cause, unit, fix in zip(self._causes, units, self._fixes, strict=True)
        ]
        checks = [
            f"{check} yes if {_either([c for c in self._causes if c in self._device['checks'][check]])}."
            for check in self._checks
        ]
        noise = f" answers are wrong in {self.noise:.0%} of the checks." if self.noise else ""
        return (
            f"customer: my {self._device['device']} {self._device['symptom']}. causes and fixes: {'; '.join(causes)}. "
            f"checks: {' '.join(checks)}{noise} a check costs {CHECK_COST}, a fix {FIX_COST}, a needless technician "
            f"{NEEDLESS_VISIT}."
        )

    def _check(self, number: int) -> Turn:
        again = self._known.answers[number] != UNASKED
        answer = self._answers[number]
        known = [(YES if answer else NO) if i == number else old for i, old in enumerate(self._known.answers)]
        self._known = self._known._replace(answers=tuple(known))
        text = f"customer: {'yes' if answer else 'no'}{', as i said' if again else ''}."
        return Turn(text, -(IDLE_COST if again else CHECK_COST))

    def _fix(self, number: int) -> Turn:
        technician, right = number == self.causes - 1, number == self._cause
        if right:
            text = (
                f"the technician repairs the {self._causes[-1]}."
                if technician
                else "customer: it works now, thank you."
            )
            return Turn(text, 1.0 - FIX_COST, True, {"success": True})
        if technician:
            text = f"the technician only finds: {self._causes[self._cause]}. a needless visit."
            return Turn(text, -NEEDLESS_VISIT - FIX_COST, True, {"success": False})
        tried = tuple(old or i == number for i, old in enumerate(self._known.tried))
        self._known = self._known._replace(tried=tried)
        return Turn(f"customer: done, but it still {self._device['symptom']}.", -FIX_COST)

    def _read(self, text: str) -> tuple[str, int]:
        """``"check"`` or ``"fix"`` and its number; two empty things for what fits none, or several alike."""
        forms = [(("check", i), check) for i, check in enumerate(self._checks)]
        forms += [(("fix", i), fix) for i, fix in enumerate(self._fixes)]
        if "?" not in text:
            forms += [(("fix", i), cause) for i, cause in enumerate(self._causes)]
        content = [(meant, {*words(form)} - _FILLERS) for meant, form in forms]
        vocabulary = tuple(sorted(set().union(*(known for _, known in content)) | _VISIT))
        said, stated = (
            {nearest(word, vocabulary) if len(word) > 3 else word for word in spoken} - _FILLERS
            for spoken in (words(text), asserted(text))
        )
        if said & _VISIT:
            return ("fix", self.causes - 1) if stated & _VISIT else ("", 0)
        scores: dict[tuple[str, int], float] = {}
        for meant, known in content:
            scores[meant] = max(scores.get(meant, 0.0), len(said & known) / len(known))
        top = max(scores.values())
        first = [meant for meant, score in scores.items() if score == top]
        return first[0] if top > 0.5 and len(first) == 1 else ("", 0)


def _draw_units(causes: int, rng: np.random.Generator) -> list[int]:
    """Probabilities in units of 1 / 20, each at least one, that of the defect at most three."""
    defect = int(rng.integers(1, _MOST_DEFECTS + 1))
    weights = rng.dirichlet(np.full(causes - 1, _EVENNESS))
    return [*(1 + rng.multinomial(_UNITS - defect - (causes - 1), weights)).tolist(), defect]


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


@cache
def _devices() -> list[dict[str, Any]]:
    text = files("textenvs.games.dialogue").joinpath("devices.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
