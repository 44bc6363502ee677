"""Task-oriented dialogue: find and book restaurants, hotels and trains for a simulated user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.dialogue import phrases
from textenvs.games.dialogue.database import Database, ontology
from textenvs.games.dialogue.understanding import Act, Understanding
from textenvs.games.dialogue.user import User, draw_goal

_DOMAINS = ("restaurant", "hotel", "train")
_TURN_COST = 0.02
_ERROR_COST = 0.05
_GIVE_UP_CREDIT = 0.3
_SHOWN = 3


class Dialogue(Game):
    """TextDialogue-v0: book what a simulated user wants, after asking and looking things up.

    ## Description

    You are the assistant. A user wants to book a restaurant, a hotel or a train. They tell some of it at once, hold
    back the rest until asked, sometimes correct themselves, sometimes ask for what does not exist and change their
    mind when told so, and give up when their patience is used up. A real SQLite database, read-only, answers your
    look-ups. Book an entity that meets every wish, with every detail right. An episode with several goals goes through
    one domain after the other.

    ## Example transcript

    ```
    user: i am looking for a hotel, in the south, a 3 star place, for 5 people, for friday
    > what price would you like
    user: i do not care about the price
    > look up hotel area south stars 3
    database: none found
    > there is no match, what else would you like
    user: sorry, i meant 4 stars
    > look up hotel area south stars 4
    database: 3 found: sunny lodge, quiet hotel, silver rooms
    > book sunny lodge for 5 people on friday
    user: great, thank you, goodbye
    ```

    ## Observation

    One line a turn: ``user: ...`` is the user, ``database: ...`` the answer to a look-up (how many match and the first
    three names).

    ## Action

    Free text of any wording, of which the first 300 characters count. It is read for keywords, values and names, with
    synonyms, number words, clock times and small misspellings; case and punctuation do not matter.

    | to | say something like |
    |---|---|
    | ask for a slot | ``what area would you like``; ``Which part of town?``; ``any price range preference?`` |
    | look up (the user stays silent) | ``look up restaurant food italian``; ``search for cheap Italian places`` |
    | book | ``book old house for 4 people on friday at 18:00``; ``Booked! Old House, four people, Friday 6pm`` |
    | offer | ``how about old house?`` (the user says whether it fits) |
    | report failure | ``there is no match, what else would you like``; ``sorry, nothing found`` |
    | greet (tells nothing new) | ``hello, how may i help you`` |

    An utterance that names an entity is an offer, or a booking with a word like *book* or *reserve*; one with a word
    like *look up*, *search* or *find* is a look-up; otherwise words like *no match*, *nothing* or *unfortunately*
    report failure, and a question about a slot asks for it. Anything else is not understood. A restaurant takes
    people, day and time, a hotel people, day and nights, a train only people (its day is a wish like its two ends).

    ``valid_actions`` lists a question for each slot, look-ups and bookings made of what the user said, such ones with a
    slot left out or wrong, and the report of failure.

    ## Reward

    Each turn costs 0.02 divided by the number of goals. 0.05 more is lost by a turn that is not understood or only
    greets, asks what was told already, repeats the last look-up, wrongly reports failure, or offers or books what is
    wrong. When the last domain is booked right: 1. When the user gives up: 0.3 times the share met, that is, goals
    done plus the share of wishes met by the last booking of the running goal, over the number of goals.

    ## Episode end

    Terminated when everything is booked (``success``) or the user gives up; truncated after ``max_turns``.
    ``info["success"]`` and ``info["constraints_met"]`` (the share met) come with the last turn.

    ## Arguments and levels

    | keyword | easy | medium | hard | full | meaning |
    |---|---|---|---|---|---|
    | ``domains`` | restaurant | all three | all three | all three | domains that goals are drawn from |
    | ``goals`` | 1 | 1 | 2 | 3 | domains in one episode |
    | ``constraints`` | 2 | 2 | 3 | 3 | wishes about the entity (a train always has three) |
    | ``booking`` | 1 | 2 | 3 | 3 | details to book (a train has only the number of people) |
    | ``patience`` | 6 | 6 | 4 | 6 | the user gives up at this many useless turns |
    | ``volunteer`` | 0.7 | 0.5 | 0.3 | 0.3 | probability of telling a wish unasked (half as much for a detail) |
    | ``correction`` | 0 | 0.1 | 0.2 | 0.2 | probability of a self-correction |
    | ``goal_change`` | 0 | 0.15 | 0.3 | 0.3 | probability of an impossible first wish, where there is one |
    | ``noise`` | 0 | 0 | 0.1 | 0.1 | probability of a typing error in each word of five letters or more |
    | ``max_turns`` | 10 | 14 | 26 | 38 | truncation (follows from ``domains`` and ``goals``) |

    ## Expert

    A script that asks for what was not told, looks up, reports failure and books the first match, from nothing but
    what was said. It wins every one of 1000 episodes at each level, with mean return 0.93 (easy), 0.91 (medium) and
    0.88 (hard, full), in 3.6, 4.4, 11.8 and 17.7 turns. Random choice among the valid actions has -0.12, -0.17, -0.22
    and -0.32.

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
        domains = tuple(domains)
        if not domains or len(set(domains)) != len(domains) or not set(domains) <= set(_DOMAINS):
            raise ValueError(f"domains must be different ones of {_DOMAINS}, not {domains!r}")
        bounds = {"goals": (goals, len(domains)), "constraints": (constraints, 3), "booking": (booking, 3)}
        for name, (value, most) in bounds.items():
            if not isinstance(value, int | np.integer) or not 1 <= value <= most:
                raise ValueError(f"{name} must be a whole number from 1 to {most}, not {value!r}")
        if patience < 1:
            raise ValueError(f"patience must be at least 1, not {patience!r}")
        chances = {"volunteer": volunteer, "correction": correction, "goal_change": goal_change, "noise": noise}
        for name, chance in chances.items():
            if not 0 <= chance <= 1:
                raise ValueError(f"{name} is a probability: it must be 0 to 1, not {chance!r}")
        self.domains, self.goals = domains, goals
        self.constraints, self.booking, self.patience = constraints, booking, patience
        self.volunteer, self.correction = volunteer, correction
        self.goal_change, self.noise = goal_change, noise
        self.max_turns = 10 if domains == ("restaurant",) else 2 + 12 * goals
        self._turn_cost = _TURN_COST / goals
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
        self._forget()
        return self._user.open()

    def instance(self) -> str:
        """The user's goals."""
        return self._instance

    def step(self, action: str) -> Turn:
        """Say something to the user, look something up, or book."""
        act = self._readers[self._user.goal.domain](action)
        match act.kind:
            case "look up":
                return self._look_up(act)
            case "book" | "offer":
                return self._book(act)
            case "ask":
                return self._reply(*self._user.answer(act.asked))
            case "no match":
                return self._reply(*self._user.relax())
            case "greet":
                return self._reply(self._user.greet(), useful=False)
            case _:
                return self._reply(self._user.puzzled(), useful=False)

    def _forget(self) -> None:
        """Start on a domain: nothing looked up, nothing booked."""
        self._asked: dict[str, str] | None = None
        self._found: list[str] = []
        self._last_met = 0.0

    def _reply(self, text: str, useful: bool) -> Turn:
        if useful:
            return Turn(text, -self._turn_cost)
        self._user.patience -= 1
        cost = self._turn_cost + _ERROR_COST
        if self._user.patience > 0:
            return Turn(text, -cost)
        share = (self._user.current + self._last_met) / len(self._user.goals)
        info = {"success": False, "constraints_met": share}
        return Turn(self._user.farewell(happy=False), _GIVE_UP_CREDIT * share - cost, True, info)

    def _look_up(self, act: Act) -> Turn:
        domain = self._user.goal.domain
        asked = {slot: value for slot, value in act.slots.items() if slot in ontology()[domain]["constraints"]}
        useful = asked != self._asked
        found = self._database.find(domain, asked)
        self._asked, self._found = asked, found[:_SHOWN]
        names = f"{len(found)} found: {', '.join(self._found)}" if found else "none found"
        return self._reply(f"database: {names}", useful)

    def _book(self, act: Act) -> Turn:
        user = self._user
        entities = ontology()[user.goal.domain]["entities"]
        entity = next((entity for entity in entities if entity["name"] == act.name), None)
        if entity is None:
            return self._reply(user.puzzled(), useful=False)
        wrong = user.judge(entity, act.slots)
        if act.kind == "offer":
            unmet = [slot for slot in wrong if slot in user.goal.constraints]
            return self._reply(user.complain(unmet) if unmet else "user: yes, book it", useful=not unmet)
        if wrong:
            self._last_met = 1.0 - len(wrong) / len(user.wishes)
            return self._reply(user.complain(wrong), useful=False)
        text = user.next_goal()
        if text is None:
            info = {"success": True, "constraints_met": 1.0}
            return Turn(user.farewell(happy=True), 1.0 - self._turn_cost, True, info)
        self._forget()
        return Turn(text, -self._turn_cost)

    def expert_action(self) -> str:
        """Ask, look up, report failure, book."""
        user = self._user
        table = ontology()[user.goal.domain]
        for slot in (*table["constraints"], *list(table["booking"])[: self.booking]):
            if slot not in user.heard:
                return phrases.QUESTIONS[slot]
        told = user.told(table["constraints"])
        if self._asked != told:
            return phrases.query(user.goal.domain, told)
        return phrases.booking(self._found[0], user.told(table["booking"])) if self._found else phrases.NO_MATCH

    def valid_actions(self) -> list[str]:
        """Questions, look-ups and bookings that can be made from what was said, right and wrong."""
        user = self._user
        domain, table = user.goal.domain, ontology()[user.goal.domain]
        told, details = user.told(table["constraints"]), user.told(table["booking"])
        actions = {phrases.QUESTIONS[slot] for slot in (*table["constraints"], *table["booking"])}
        actions |= {phrases.query(domain, told), phrases.NO_MATCH}
        for slot, value in told.items():
            others = [other for other in table["constraints"][slot] if other not in told.values()]
            actions.add(phrases.query(domain, {s: v for s, v in told.items() if s != slot}))
            actions.add(phrases.query(domain, {**told, slot: others[len(value) % len(others)]}))
        actions |= {phrases.booking(name, details) for name in self._found}
        for slot, value in details.items() if self._found else ():
            others = table["booking"][slot]
            wrong = others[(others.index(value) + 1) % len(others)]
            actions.add(phrases.booking(self._found[0], {s: v for s, v in details.items() if s != slot}))
            actions.add(phrases.booking(self._found[0], {**details, slot: wrong}))
        return sorted(actions)
