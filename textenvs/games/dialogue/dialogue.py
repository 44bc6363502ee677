"""Task-oriented dialogue: find and book restaurants, hotels and trains for a simulated user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.dialogue.database import Database, ontology
from textenvs.games.dialogue.understanding import Act, Understanding
from textenvs.games.dialogue.user import User, draw_goal

_DOMAINS = ("restaurant", "hotel", "train")
_TURN_COST = 0.02
_ERROR_COST = 0.05
_SHOWN = 3
_NOTHING = "there is no match, what else would you like"
_QUESTIONS = {
    "food": "what food would you like",
    "area": "what area would you like",
    "price": "what price would you like",
    "stars": "how many stars would you like",
    "departure": "where do you leave from",
    "destination": "where do you go to",
    "people": "for how many people",
    "day": "on what day",
    "time": "at what time",
    "nights": "for how many nights",
}


class Dialogue(Game):
    """TextDialogue-v0: book what a simulated user wants, after asking and looking things up.

    ## Description

    You are the assistant. A user wants to book a restaurant, a hotel or a train: they tell some of it at once, hold
    back the
    rest until asked, sometimes correct themselves, sometimes ask for what does not exist and change their goal
    when told so, and give up when their patience is used up. A real SQLite database answers your look-ups. Book an
    entity that
    meets every wish, with every detail right.

    ## Example transcript

    @TRANSCRIPT@

    ## Observation

    One line a turn: ``user: ...`` is the user, ``database: ...`` the answer to a look-up (how many match and the first
    three names).

    ## Action

    Free text of any wording. It is read for keywords, values and names, with synonyms, number words, clock times and
    small
    misspellings; case and punctuation do not matter.

    | to | say something like |
    |---|---|
    | ask for a slot | ``what area would you like``; ``Which part of town?``; ``any price range preference?`` |
    | look up (the user stays silent) | ``look up restaurant food italian``; ``search for cheap Italian places`` |
    | book | ``book golden garden for 4 people on friday``; ``Booked! Golden Garden, four people, Friday 6pm`` |
    | offer | ``how about golden garden?`` (the user says whether it fits) |
    | report failure | ``there is no match, what else would you like``; ``sorry, nothing found`` |

    An utterance that names an entity is an offer, or a booking with a word like *book* or *reserve*; one with a
    word like *look up*, *search* or *find* is a look-up; otherwise words like *no* or *sorry* report failure, and a
    question
    about a slot asks for it. Anything else is not understood.

    ## Reward

    Each turn costs 0.02; a turn that is not understood, asks what was told already, looks up nothing new to any end,
    wrongly reports failure or books wrongly costs 0.05 more. When the last domain is booked right: 1. When the user
    gives up: 0.3 times the share of wishes that the last booking of the running domain met, plus 0.3 for each domain
    done
    before, over the number of domains.

    ## Episode end

    Terminated when everything is booked (``success``) or the user gives up; truncated after ``max_turns``.
    ``info["success"]`` and ``info["constraints_met"]`` (a share) come with the last turn.

    ## Arguments and levels

    | keyword | easy | medium | hard | full | meaning |
    |---|---|---|---|---|---|
    | ``domains`` | restaurant | all three | all three | all three | domains that goals are drawn from |
    | ``goals`` | 1 | 1 | 2 | 3 | domains in one episode |
    | ``constraints`` | 2 | 2 | 3 | 3 | wishes about the entity (a train always has three) |
    | ``booking`` | 1 | 2 | 3 | 3 | details to book (a train has only the number of people) |
    | ``patience`` | 6 | 6 | 4 | 6 | useless turns that the user bears |
    | ``volunteer`` | 0.7 | 0.5 | 0.3 | 0.3 | probability of telling a slot unasked |
    | ``correction`` | 0 | 0.1 | 0.2 | 0.2 | probability of a self-correction |
    | ``goal_change`` | 0 | 0.15 | 0.3 | 0.3 | probability of an impossible first wish |
    | ``noise`` | 0 | 0 | 0.1 | 0.1 | probability of a typing error in a long word |
    | ``max_turns`` | 10 | 14 | 28 | 40 | truncation |

    ## Expert

    A script that asks for what was not told, looks up, reports failure and books the first match, from nothing but
    what was
    said. @EXPERT@

    ## Source

    Agenda-based user: Schatzmann et al. 2007, "Agenda-Based User Simulation for Bootstrapping a POMDP Dialogue System".
    Domains and success as in MultiWOZ (Budzianowski et al. 2018) and PyDial (Ultes et al. 2017); wordings, entities and
    rewards are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"domains": ("restaurant",), "booking": 1, "volunteer": 0.7, "correction": 0.0, "goal_change": 0.0},
        "medium": {},
        "hard": {"goals": 2, "constraints": 3, "booking": 3, "patience": 4, "volunteer": 0.3}
        | {"correction": 0.2, "goal_change": 0.3, "noise": 0.1},
        "full": {"goals": 3, "constraints": 3, "booking": 3, "volunteer": 0.3}
        | {"correction": 0.2, "goal_change": 0.3, "noise": 0.1},
    }
    max_choices = 24

    def __init__(
        self,
        domains: Sequence[str] = _DOMAINS,
        goals: int = 1,
        constraints: int = 2,
        booking: int = 2,
        patience: int = 6,
        volunteer: float = 0.5,
        correction: float = 0.1,
        goal_change: float = 0.15,
        noise: float = 0.0,
    ) -> None:
        if not domains or len(set(domains)) != len(domains) or not set(domains) <= set(_DOMAINS):
            raise ValueError(f"domains must be different ones of {_DOMAINS}, not {domains!r}")
        if not 1 <= goals <= len(domains):
            raise ValueError(f"goals must be 1 to {len(domains)}, the number of domains, not {goals!r}")
        for name, value, least in (("constraints", constraints, 1), ("booking", booking, 1)):
            if not least <= value <= 3:
                raise ValueError(f"{name} must be {least} to 3, not {value!r}")
        if patience < 1:
            raise ValueError(f"patience must be at least 1, not {patience!r}")
        chances = {"volunteer": volunteer, "correction": correction, "goal_change": goal_change, "noise": noise}
        for name, chance in chances.items():
            if not 0 <= chance <= 1:
                raise ValueError(f"{name} is a probability: it must be 0 to 1, not {chance!r}")
        self.domains, self.goals = tuple(domains), goals
        self.constraints, self.booking, self.patience = constraints, booking, patience
        self.volunteer, self.correction = volunteer, correction
        self.goal_change, self.noise = goal_change, noise
        self.max_turns = 2 + 12 * goals if domains != ("restaurant",) else 10
        self._database = Database()
        self._readers = {
            domain: Understanding(
                {**table["constraints"], **table["booking"]}, [entity["name"] for entity in table["entities"]]
            )
            for domain, table in ontology().items()
        }

    def reset(self, rng: np.random.Generator) -> str:
        """Draw the user's goals; the user opens."""
        chosen = [self.domains[i] for i in rng.permutation(len(self.domains))[: self.goals]]
        drawn = [
            draw_goal(d, self.constraints, self.booking, self.goal_change, self.correction, self._database, rng)
            for d in chosen
        ]
        self._instance = "; ".join(map(str, drawn))
        self._user = User(drawn, self.volunteer, self.noise, rng, self.patience)
        self._found: list[str] | None = None
        self._last_met = 0.0
        return self._user.open()

    def instance(self) -> str:
        """The user's goals."""
        return self._instance

    def step(self, action: str) -> Turn:
        """Say something to the user, look something up, or book."""
        act = self._readers[self._user.goal.domain](action)
        if act.kind == "look up":
            return self._look_up(act)
        if act.kind in ("book", "offer"):
            return self._book(act)
        if act.kind == "ask":
            return self._reply(*self._user.answer(act.asked))
        if act.kind == "no match":
            text, useful = self._user.relax()
            self._found = None if useful else self._found
            return self._reply(text, useful)
        return self._reply(self._user.puzzled(), False)

    def _reply(self, text: str, useful: bool, cost: float = 0.0) -> Turn:
        if useful:
            return Turn(text, -_TURN_COST - cost)
        self._user.patience -= 1
        if self._user.patience > 0:
            return Turn(text, -_TURN_COST - _ERROR_COST)
        share = (self._user.current + self._last_met) / len(self._user.goals)
        info = {"success": False, "constraints_met": share}
        return Turn(self._user.farewell(happy=False), 0.3 * share - _TURN_COST - _ERROR_COST, True, info)

    def _look_up(self, act: Act) -> Turn:
        found = self._database.find(self._user.goal.domain, act.slots)
        useful = found[:_SHOWN] != self._found
        self._found = found[:_SHOWN]
        names = f"{len(found)} found: {', '.join(self._found)}" if found else "none found"
        return self._reply(f"database: {names}", useful)

    def _book(self, act: Act) -> Turn:
        user = self._user
        table = ontology()[user.goal.domain]
        entity = next((e for e in table["entities"] if e["name"] == act.name), None)
        if entity is None:
            return self._reply(user.puzzled(), False)
        right, wrong = user.judge(entity, act.slots)
        if act.kind == "offer":
            unmet = [slot for slot in wrong if slot in user.goal.constraints]
            return self._reply(user.complain(unmet), False) if unmet else self._reply("user: yes, book it", True)
        wishes = user.wishes
        self._last_met = 1.0 - len(wrong) / len(wishes)
        if not right:
            return self._reply(user.complain(wrong), False)
        text = user.next_goal()
        if text is not None:
            self._found, self._last_met = None, 0.0
            return Turn(text, -_TURN_COST)
        info = {"success": True, "constraints_met": 1.0}
        return Turn(user.farewell(happy=True), 1.0 - _TURN_COST, True, info)

    def expert_action(self) -> str:
        """Ask, look up, report failure, book."""
        user = self._user
        table = ontology()[user.goal.domain]
        for slot in self._slots(table):
            if slot not in user.heard:
                return _QUESTIONS[slot]
        current = self._database.find(user.goal.domain, self._told(table))[:_SHOWN]
        if self._found is None or self._found != current:
            return self._query(self._told(table))
        return self._booking(self._found[0], self._details(table)) if self._found else _NOTHING

    def valid_actions(self) -> list[str]:
        """Questions, look-ups and bookings that can be made from what was said."""
        user = self._user
        table = ontology()[user.goal.domain]
        told, details = self._told(table), self._details(table)
        actions = {_QUESTIONS[slot] for slot in (*table["constraints"], *table["booking"])}
        actions |= {self._query(told), _NOTHING}
        for slot, value in told.items():
            others = [other for other in table["constraints"][slot] if other not in told.values()]
            actions.add(self._query({s: v for s, v in told.items() if s != slot}))
            actions.add(self._query({**told, slot: others[len(value) % len(others)]}))
        for name in self._found or ():
            actions.add(self._booking(name, details))
        if self._found:
            for slot, value in details.items():
                others = table["booking"][slot]
                actions.add(self._booking(self._found[0], {s: v for s, v in details.items() if s != slot}))
                wrong = others[(others.index(value) + 1) % len(others)]
                actions.add(self._booking(self._found[0], {**details, slot: wrong}))
        return sorted(actions)

    def _slots(self, table: Mapping[str, Any]) -> list[str]:
        """The slots that this level has wishes about; the user may have none about some of them."""
        return [*table["constraints"], *list(table["booking"])[: self.booking]]

    def _told(self, table: Mapping[str, Any]) -> dict[str, str]:
        heard = self._user.heard
        return {slot: heard[slot] for slot in table["constraints"] if heard.get(slot, "any") != "any"}

    def _details(self, table: Mapping[str, Any]) -> dict[str, str]:
        heard = self._user.heard
        return {slot: heard[slot] for slot in table["booking"] if heard.get(slot, "any") != "any"}

    def _query(self, constraints: Mapping[str, str]) -> str:
        words = [f"{slot} {value}" for slot, value in constraints.items()]
        return " ".join(["look up", self._user.goal.domain, *words])

    def _booking(self, name: str, details: Mapping[str, str]) -> str:
        phrases = {"people": "for {} people", "day": "on {}", "time": "at {}", "nights": "for {} nights"}
        return " ".join([f"book {name}", *(phrases[slot].format(value) for slot, value in details.items())])
