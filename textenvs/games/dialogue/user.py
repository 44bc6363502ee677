"""An agenda-based user (Schatzmann et al. 2007): has a goal, tells it bit by bit, corrects itself, and may give up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from textenvs.games.dialogue.database import Database, ontology

_SAY = {
    "food": ("{} food", "something {}"),
    "area": ("in the {}", "the {} of town"),
    "price": ("{} price", "something {}"),
    "stars": ("{} stars", "a {} star place"),
    "departure": ("from {}", "leaving from {}"),
    "destination": ("to {}", "going to {}"),
    "people": ("for {} people", "{} people"),
    "day": ("on {}", "for {}"),
    "time": ("at {}", "for {}"),
    "nights": ("for {} nights", "{} nights"),
}
_OPEN = ("i need a {}", "i am looking for a {}", "can you find a {}", "please book a {}")
_NEXT = ("great. i also need a {}", "thanks. now i want a {}")
_CHANGE = ("sorry, i meant {}", "i changed my mind, {}", "no wait, {}")
_ANY = ("any {} is fine", "i do not care about the {}")
_FAREWELL = ("great, thank you, goodbye", "perfect, that is all, thanks")
_GIVE_UP = "this takes too long, goodbye"
_PUZZLED = ("sorry, i do not understand", "what do you mean")


@dataclass
class Goal:
    """What the user wants in one domain.

    Attributes:
        domain: ``"restaurant"``, ``"hotel"`` or ``"train"``.
        constraints: slot -> value that the entity must have.
        booking: slot -> value of the details to book.
        change: slot and old value which the user says first and takes back later, or ``None``.
        blocked: the old value has no match in the database, so that only a look-up can show it.
    """

    domain: str
    constraints: dict[str, str]
    booking: dict[str, str]
    change: tuple[str, str] | None = None
    blocked: bool = False

    def __str__(self) -> str:
        parts = [f"{slot}={value}" for slot, value in {**self.constraints, **self.booking}.items()]
        return f"{self.domain}({', '.join(parts)}; first {self.change})"


def draw_goal(
    domain: str,
    constraints: int,
    booking: int,
    goal_change: float,
    correction: float,
    database: Database,
    rng: np.random.Generator,
) -> Goal:
    """A goal that the database can satisfy, made from a shipped entity."""
    table = ontology()[domain]
    entity = table["entities"][rng.integers(len(table["entities"]))]
    slots = list(table["constraints"])
    if domain != "train":  # without both ends and the day a train is no choice
        slots = [slots[i] for i in sorted(rng.permutation(len(slots))[:constraints])]
    wanted = {slot: entity[slot] for slot in slots}
    details = list(table["booking"])[:booking]
    booked = {slot: str(rng.choice(table["booking"][slot])) for slot in details}
    goal = Goal(domain, wanted, booked)
    blocked = rng.random() < goal_change
    if blocked or rng.random() < correction:
        options = [
            (slot, value)
            for slot in slots
            for value in table["constraints"][slot]
            if value != wanted[slot] and bool(database.find(domain, {**wanted, slot: value})) != blocked
        ]
        if domain == "train":
            options = [(s, v) for s, v in options if v not in (wanted["departure"], wanted["destination"])]
        if options:
            goal.change = options[rng.integers(len(options))]
            goal.blocked = blocked
    return goal


@dataclass
class User:
    """The user's side of one conversation.

    Attributes:
        goals: what is wanted, one domain after the other.
        volunteer: probability of telling each further slot unasked.
        noise: probability of a typing error in each word.
        rng: the episode's generator.
        patience: useless turns that the user bears.
        heard: slot -> value that the user has told about the running domain, ``"any"`` where there is no wish.
    """

    goals: Sequence[Goal]
    volunteer: float
    noise: float
    rng: np.random.Generator
    patience: int
    heard: dict[str, str] = field(default_factory=dict)
    current: int = 0

    @property
    def goal(self) -> Goal:
        """The goal of the running domain."""
        return self.goals[self.current]

    @property
    def wishes(self) -> dict[str, str]:
        """Every slot of the running goal."""
        return {**self.goal.constraints, **self.goal.booking}

    def told(self, slots: Iterable[str]) -> dict[str, str]:
        """The wishes that the user has uttered about ``slots``."""
        return {slot: self.heard[slot] for slot in slots if self.heard.get(slot, "any") != "any"}

    def open(self, first: bool = True) -> str:
        """Name the domain and volunteer some slots."""
        self.heard.clear()
        intro = self._pick(_OPEN if first else _NEXT).format(self.goal.domain)
        told = [slot for slot in self.goal.constraints if self.rng.random() < self.volunteer]
        told += [slot for slot in self.goal.booking if self.rng.random() < self.volunteer / 2]
        return self._utter([intro, *(self._tell(slot) for slot in told)])

    def answer(self, asked: Sequence[str]) -> tuple[str, bool]:
        """Reply to a question; the flag says whether it told anything new."""
        change = self._take_back(by_look_up=False)
        useful = bool(change) or any(slot not in self.heard for slot in asked)
        parts = [change] if change else []
        parts += [self._tell(slot) for slot in asked]
        untold = [slot for slot in self.wishes if slot not in self.heard]
        if untold and self.rng.random() < self.volunteer:
            parts.append(self._tell(untold[self.rng.integers(len(untold))]))
        return self._utter(parts), useful

    def relax(self) -> tuple[str, bool]:
        """Reply to "there is no match"; the flag says whether the user had asked for the impossible."""
        change = self._take_back(by_look_up=True)
        if change:
            return self._utter([change]), True
        return self._utter(["there must be one", *(self._tell(slot) for slot in self.goal.constraints)]), False

    def judge(self, entity: Mapping[str, str], details: Mapping[str, str]) -> list[str]:
        """The slots in which a booking is wrong."""
        wrong = [slot for slot, value in self.goal.constraints.items() if entity[slot] != value]
        wrong += [slot for slot, value in self.goal.booking.items() if details.get(slot) != value]
        return wrong

    def complain(self, wrong: Sequence[str]) -> str:
        """Say what a booking got wrong."""
        change = self._take_back(by_look_up=True)
        lead = [change] if change else ["that is wrong"]
        return self._utter([*lead, *(self._tell(slot) for slot in wrong[:2])])

    def greet(self) -> str:
        """The reply to a greeting: say again what kind of place is wanted."""
        return self._utter(["hello", self._pick(_OPEN).format(self.goal.domain)])

    def puzzled(self) -> str:
        """The reply to what makes no sense."""
        return self._utter([self._pick(_PUZZLED)])

    def next_goal(self) -> str | None:
        """Go on to the next domain; ``None`` when all are done."""
        if self.current + 1 == len(self.goals):
            return None
        self.current += 1
        return self.open(first=False)

    def farewell(self, happy: bool) -> str:
        """The last words."""
        return f"user: {self._pick(_FAREWELL) if happy else _GIVE_UP}"

    def _take_back(self, by_look_up: bool) -> str | None:
        change = self.goal.change
        if change is None or (self.goal.blocked and not by_look_up):
            return None
        slot = change[0]
        if self.heard.get(slot) != change[1]:
            return None
        self.goal.change = None
        return self._pick(_CHANGE).format(self._tell(slot))

    def _tell(self, slot: str) -> str:
        value = self.wishes.get(slot)
        if value is None:
            self.heard[slot] = "any"
            return self._pick(_ANY).format(slot)
        if self.goal.change is not None and self.goal.change[0] == slot:
            value = self.goal.change[1]
        self.heard[slot] = value
        return self._pick(_SAY[slot]).format(value)

    def _pick(self, phrases: Sequence[str]) -> str:
        return phrases[int(self.rng.integers(len(phrases)))]

    def _utter(self, parts: Sequence[str]) -> str:
        text = ", ".join(dict.fromkeys(parts))
        if self.noise:
            text = " ".join(self._misspell(word) for word in text.split(" "))
        return f"user: {text}"

    def _misspell(self, word: str) -> str:
        if len(word) < 5 or not word.isalpha() or self.rng.random() >= self.noise:
            return word
        at = int(self.rng.integers(1, len(word) - 2))
        swapped = word[at + 1] + word[at]
        return word[:at] + swapped + word[at + 2 :]
