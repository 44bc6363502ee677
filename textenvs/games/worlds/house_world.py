"""What games of rooms share: rooms, doors, holders and things; what a player saw of them; the reading of commands."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from textenvs.parsing import compass, nearest, words

WAYS = {"north": (-1, 0), "east": (0, 1), "south": (1, 0), "west": (0, -1)}
OPPOSITE = {"north": "south", "east": "west", "south": "north", "west": "east"}
ONE_AT_A_TIME = "one thing at a time."
HELD = "(held)"  # the place of what the player holds
_VERBS = {
    "go": "go walk run head enter travel step move",
    "open": "open",
    "close": "close shut",
    "take": "take get grab pick collect fetch",
    "put": "put place insert set",
    "drop": "drop leave discard",
    "examine": "examine inspect read x check",
    "look": "look l",
    "inventory": "inventory inv i",
}
_MISSPELT = 5  # letters of a word that may be taken for a misspelt verb or direction
_FILLERS = frozenset(words("a an the of some my to in into on onto at from with using through up down off please i"))


class Command(NamedTuple):
    """What an utterance asks for.

    Attributes:
        verb: one of the verbs, or ``None`` if nothing or several things are asked for.
        nouns: the names said, in order; ``""`` for one that could be several.
        way: the point of the compass to go to.
    """

    verb: str | None
    nouns: tuple[str, ...] = ()
    way: str | None = None


def read(text: str, names: Mapping[str, str], verbs: Mapping[str, str], known: Iterable[str] = ()) -> Command:
    """Read a command.

    Args:
        text: any text.
        names: what can be spoken of -> its name; a part will do where only one has it.
        verbs: the game's own verbs, each with its words; those of every house are known.
        known: further words of the game, which are not to be taken for misspelt ones.
    """
    verb_of = {word: verb for verb, forms in {**_VERBS, **verbs}.items() for word in forms.split()}
    forms = [(name, _content(words(spoken))) for spoken, name in names.items()]
    things = {*_FILLERS, *known, *(word for _, form in forms for word in form)}
    doings = {*verb_of, *WAYS}
    several = tuple(sorted(things)), tuple(sorted(things | doings))  # a short word is no misspelt verb or direction
    said = [word if word in doings else nearest(word, several[len(word) >= _MISSPELT]) for word in words(text)]
    if said in (["i"], ["l"]):
        return Command(verb_of[said[0]])
    nouns, rest = _nouns(_content(said), forms, verb_of)
    if nouns and "move" in rest:
        verb_of["move"] = "put"
    asked = list(dict.fromkeys(verb_of[word] for word in rest if word in verb_of))
    if "inventory" in asked:
        return Command("inventory")
    way = compass(" ".join(said))
    if not asked and way:
        return Command("go", nouns, way)
    if len(asked) != 1:
        return Command(None)
    if asked == ["look"] and nouns:
        return Command("examine", nouns)
    return Command(asked[0], nouns, way if asked == ["go"] else None)


def _content(said: Sequence[str]) -> list[str]:
    return [word for word in said if word not in _FILLERS]


def _nouns(
    said: Sequence[str], forms: Sequence[tuple[str, list[str]]], verbs: Container[str]
) -> tuple[tuple[str, ...], list[str]]:
    """The names in an utterance, the longest forms first, and the words that belong to none."""
    nouns: list[str] = []
    rest = []
    at = 0
    while at < len(said):
        whole = [(len(form), name) for name, form in forms if form and said[at : at + len(form)] == form]
        if whole:
            size, name = max(whole)
            nouns.append(name)
            at += size
            continue
        end, near = at, list(forms)
        while (
            end < len(said)
            and said[end] not in verbs
            and (closer := [(name, form) for name, form in near if said[end] in form])
        ):
            end, near = end + 1, closer
        if end == at:
            rest.append(said[at])
            at += 1
            continue
        meant = {name for name, _ in near}
        nouns.append(meant.pop() if len(meant) == 1 else "")
        at = end
    return tuple(nouns), rest


def lay_out(
    names: Sequence[str], rng: np.random.Generator, beside: Mapping[str, Sequence[str]] | None = None
) -> dict[str, dict[str, str]]:
    """Rooms on a grid, joined as a tree: room -> direction -> room.

    Args:
        names: the rooms, the first one to be placed first.
        rng: the generator.
        beside: which rooms each room may be joined to; ``None`` for any.
    """
    while True:
        at = {names[0]: (0, 0)}
        exits: dict[str, dict[str, str]] = {name: {} for name in names}
        for name in names[1:]:
            taken = set(at.values())
            free = [
                (room, way, (row + down, column + right))
                for room, (row, column) in at.items()
                if beside is None or name in beside[room]
                for way, (down, right) in WAYS.items()
                if (row + down, column + right) not in taken
            ]
            if not free:
                break
            room, way, at[name] = free[rng.integers(len(free))]
            exits[room][way], exits[name][OPPOSITE[way]] = name, room
        else:
            return exits


@dataclass
class World:
    """Rooms, what is in them, where the player is and what they saw.

    Attributes:
        exits: room -> direction -> room.
        room: where the player is.
        holders: furniture that holds things -> its room.
        fixtures: furniture that does not -> its room.
        doors: room and direction -> name of the door there.
        openable: doors and holders that can be opened and closed.
        closed: those that are closed now.
        blocked: doors that do not open -> what the exit says of them.
        dark: rooms that must not be entered now.
        place: thing -> its room or holder, or ``HELD``.
        state: thing -> words for what was done to it.
        capacity: how many things can be held.
        seen: rooms and holders that the player saw the inside of.
    """

    exits: dict[str, dict[str, str]]
    room: str
    holders: dict[str, str] = field(default_factory=dict)
    fixtures: dict[str, str] = field(default_factory=dict)
    doors: dict[tuple[str, str], str] = field(default_factory=dict)
    openable: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    blocked: dict[str, str] = field(default_factory=dict)
    dark: set[str] = field(default_factory=set)
    place: dict[str, str] = field(default_factory=dict)
    state: dict[str, list[str]] = field(default_factory=dict)
    capacity: int = 1000
    seen: set[str] = field(default_factory=set)

    # --- what is where ---

    def inside(self, place: str) -> list[str]:
        """The things in a room or a holder, or ``HELD``."""
        return [thing for thing, where in self.place.items() if where == place]

    def held(self) -> list[str]:
        """What the player holds."""
        return self.inside(HELD)

    def full(self) -> bool:
        """Whether no more can be held."""
        return len(self.held()) >= self.capacity

    def here(self, furniture: Mapping[str, str]) -> list[str]:
        """The holders or the fixtures of this room."""
        return [name for name, room in furniture.items() if room == self.room]

    def open_here(self) -> list[str]:
        """The holders of this room that are open."""
        return [holder for holder in self.here(self.holders) if holder not in self.closed]

    def closed_here(self) -> list[str]:
        """What can be opened in this room, doors included."""
        doors = [door for door in self.doors_here().values() if door in self.closed and door not in self.blocked]
        return [*doors, *(holder for holder in self.here(self.holders) if holder in self.closed)]

    def doors_here(self) -> dict[str, str]:
        """Direction -> door of this room."""
        return {way: self.doors[self.room, way] for way in self.exits[self.room] if (self.room, way) in self.doors}

    def visible(self) -> list[str]:
        """The things that can be taken in this room."""
        return [thing for place in (self.room, *self.open_here()) for thing in self.inside(place)]

    def room_of(self, thing: str) -> str:
        """The room that a thing is in."""
        place = self.place[thing]
        return self.room if place == HELD else self.holders.get(place, place)

    def names(self) -> dict[str, str]:
        """All that can be spoken of here -> its name."""
        things = [*self.visible(), *self.held()]
        furniture = [*self.here(self.holders), *self.here(self.fixtures), *self.doors_here().values()]
        plain = {name: name for name in (*self.exits[self.room].values(), *furniture, *things)}
        return plain | {self.label(thing): thing for thing in things}

    # --- what the player reads ---

    def label(self, thing: str) -> str:
        """A thing's name with what was done to it."""
        return " ".join((*self.state.get(thing, ()), thing))

    def labels(self, things: Iterable[str]) -> str:
        """Several things' names, or ``nothing``."""
        return ", ".join(map(self.label, things)) or "nothing"

    def look(self) -> str:
        """Describe this room, which is seen by that."""
        self.seen.update((self.room, *self.open_here()))
        parts = [self.room]
        if fixtures := self.here(self.fixtures):
            parts.append(", ".join(fixtures))
        full = [holder for holder in self.open_here() if self.inside(holder)]
        parts += [f"{holder}: {self.labels(self.inside(holder))}" for holder in full]
        if floor := self.inside(self.room):
            parts.append(f"floor: {self.labels(floor)}")
        if closed := [holder for holder in self.here(self.holders) if holder in self.closed]:
            parts.append(f"closed: {', '.join(closed)}")
        if empty := [holder for holder in self.open_here() if not self.inside(holder)]:
            parts.append(f"empty: {', '.join(empty)}")
        exits = ", ".join(way + self._note(way) for way in WAYS if way in self.exits[self.room])
        return ". ".join([*parts, f"exits: {exits or 'none'}."])

    def _note(self, way: str) -> str:
        door = self.doors.get((self.room, way), "")
        if door in self.blocked:
            return f" ({self.blocked[door]})"
        dark = "dark" if self.exits[self.room][way] in self.dark else ""
        closed = f"{door}, closed" if door in self.closed else ""
        note = ", ".join(part for part in (closed, dark) if part)
        return f" ({note})" if note else ""

    # --- what the player does ---

    def act(self, command: Command) -> str:
        """Do what every house allows, and say what came of it."""
        verb, nouns = command.verb, command.nouns
        if verb == "look":
            return self.look()
        if verb == "inventory":
            return f"you hold {self.labels(self.held())}."
        if verb == "go":
            return self._go(command)
        if verb is None:
            return "that was not understood. say one thing to do, like look, inventory, go, open, take or put."
        if not nouns:
            return f"{verb} what? you see no such thing here."
        if "" in nouns:
            return "which one? say its full name."
        if self.several(nouns):
            return ONE_AT_A_TIME
        if verb == "put" and nouns[0] in self.exits[self.room].values():
            return self._go(command)  # move to the kitchen
        if verb in ("open", "close"):
            return self._turn(verb, nouns[0])
        if verb == "take":
            return self._take(nouns[0])
        if verb in ("put", "drop"):
            return self._put(nouns[0], nouns[1] if len(nouns) > 1 else self.room)
        return self._examine(nouns[0]) if verb == "examine" else f"you cannot {verb} {nouns[0]}."

    def several(self, nouns: Iterable[str]) -> bool:
        """Whether more than one thing is named."""
        return sum(noun in self.place for noun in nouns) > 1

    def leads_to(self, command: Command) -> str | None:
        """The room that a command to go names, by direction, name or door; ``None`` if there is no such exit."""
        exits, doors = self.exits[self.room], self.doors_here()
        if command.way:
            return exits.get(command.way)
        return next((room for way, room in exits.items() if {room, doors.get(way)} & set(command.nouns)), None)

    def _go(self, command: Command) -> str:
        exits, room = self.exits[self.room], self.leads_to(command)
        if room is None:
            return f"you can go {', '.join(way for way in WAYS if way in exits)}."
        door = self.doors.get((self.room, next(way for way in exits if exits[way] == room)), "")
        if door in self.blocked:
            return f"you cannot pass: {self.blocked[door]}."
        if door in self.closed:
            return f"{door} is closed."
        self.room = room
        return self.look()

    def _turn(self, verb: str, name: str) -> str:
        done = "closed" if verb == "close" else "open"
        if name in self.blocked:
            return f"it does not open: {self.blocked[name]}."
        if name not in self.openable:
            return f"you cannot {verb} {name}."
        if (name in self.closed) == (verb == "close"):
            return f"{name} is {done} already."
        if verb == "close":
            self.closed.add(name)
            return f"you close {name}."
        self.closed.remove(name)
        if name not in self.holders:
            return f"you open {name}."
        self.seen.add(name)
        return f"you open {name}: {self.labels(self.inside(name))}."

    def _take(self, name: str) -> str:
        if name not in self.place:
            return "you see no such thing to take."
        if self.place[name] == HELD:
            return f"you hold {name} already."
        if self.full():
            return "your hands are full: put something down first."
        self.place[name] = HELD
        return f"you take {name}."

    def _put(self, name: str, where: str) -> str:
        if name not in self.place:
            return "you hold no such thing."
        if self.place[name] != HELD:
            return f"you do not hold {name}."
        if where in self.closed:
            return f"{where} is closed."
        if where != self.room and where not in self.holders:
            return f"you cannot put things on {where}."
        self.place[name] = where
        return f"you drop {name}." if where == self.room else f"you put {name} on {where}."

    def _examine(self, name: str) -> str:
        if name in self.place:
            return f"it is {self.label(name)}."
        if name in self.closed:
            return f"{name} is closed."
        return f"{name}: {self.labels(self.inside(name))}." if name in self.holders else f"you see {name}."

    # --- what a player who only knows what they saw does next ---

    def knows(self, thing: str) -> bool:
        """Whether the player saw where a thing is."""
        return self.place[thing] == HELD or self.place[thing] in self.seen

    def route(self, wanted: Callable[[str], bool]) -> str | None:
        """The first command on the shortest way to a room that is wanted, through rooms that were seen.

        It is ``""`` where this room is wanted, and ``None`` where no way is known.
        """
        queue: list[tuple[int, int, str, str]] = [(0, 0, self.room, "")]
        pushed, done = 0, set()
        while queue:
            turns, _, room, first = heapq.heappop(queue)
            if wanted(room):
                return first
            if room in done or room not in self.seen:
                continue
            done.add(room)
            for way, beyond in self.exits[room].items():
                door = self.doors.get((room, way), "")
                if door in self.blocked or beyond in self.dark:
                    continue
                closed = door in self.closed
                pushed += 1
                step = first or (f"open {door}" if closed else f"go {way}")
                heapq.heappush(queue, (turns + 1 + closed, pushed, beyond, step))
        return None

    def reach(self, room: str) -> str:
        """A command towards a room, or towards finding it; ``""`` where it is this one."""
        step = self.route(lambda each: each == room and each in self.seen)
        return (self.explore(rooms_only=True) or "") if step is None else step

    def explore(self, rooms_only: bool = False) -> str | None:
        """A command towards the nearest room, or closed holder, that was not looked into; ``None`` if there is none."""

        def unknown(room: str) -> list[str]:
            inside = [name for name, where in self.holders.items() if where == room]
            return [name for name in inside if name not in self.seen and name not in self.blocked]

        step = self.route(lambda room: room not in self.seen or (not rooms_only and bool(unknown(room))))
        return f"open {unknown(self.room)[0]}" if step == "" else step

    def fetch(self, things: Iterable[str]) -> str | None:
        """A command towards taking the nearest of some things that are known; ``None`` if none can be reached."""
        known = [thing for thing in things if self.knows(thing)]
        rooms = {self.room_of(thing) for thing in known}
        step = self.route(lambda room: room in rooms)
        if step != "":
            return step
        thing = next(thing for thing in known if self.room_of(thing) == self.room)
        place = self.place[thing]
        return f"open {place}" if place in self.closed else f"take {thing}"
