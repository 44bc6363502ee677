"""A text adventure: rooms, treasures, locked doors, other obstacles, darkness and a score."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, NamedTuple

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.worlds.house_world import HELD, ONE_AT_A_TIME, OPPOSITE, WAYS, World, lay_out, read

_LAMP = "lamp"
_GATE_POINTS, _LAMP_POINTS, _TREASURE_POINTS = 5, 5, 10
_HIDDEN = 0.4  # share of things that lie in something closed
_VERBS = {
    "unlock": "unlock",
    "give": "give feed offer show hand pay",
    "use": "use dig clear chop cut climb tie melt burn",
    "light": "light ignite turn switch",
    "score": "score points",
}


class Gate(NamedTuple):
    """An obstacle at an exit of a room, and the thing that removes it."""

    name: str
    verb: str
    item: str
    note: str
    room: str


class Quest(Game):
    """TextQuest-v0: explore a dark old place, get past its obstacles and gather its treasures.

    ## Description

    A text adventure of the parser kind. Treasures lie about, some in things to be opened. Some exits are barred by
    locked doors, creatures or other obstacles: the right thing brought to each (a key, a loaf, a shovel) opens it and
    is used up. Part of the place may be dark: whoever enters it without a lit lamp in hand falls to death. Each
    obstacle can be reached with what lies before it.

    ## Example transcript

    ```
    explore, get past obstacles and take the treasures: 20 points. study. floor: bone, brass key. exits: south.
    > take bone
    you take bone.
    > go south
    mill. closed: chest. exits: north, east (growling, hungry dog).
    > give bone to dog
    the way past dog is free. score 5 of 20.
    > open chest
    you open chest: rope.
    > take rope
    you take rope.
    > go east
    attic. exits: north (chasm to climb down), west.
    > use rope on chasm
    the way past chasm is free. score 10 of 20.
    > go north
    temple. exits: east, south.
    > go east
    forge. floor: ruby ring. exits: east, west.
    > take ruby ring
    you take ruby ring. score 20 of 20. you did it all.
    ```

    ## Observation

    The opening states the task and the points there are, and then, as each room does when you enter it, what there is
    in your room, and its exits with what bars them. Replies say what came of a command, and the score when it rises.

    ## Action

    Free text with one command. Case, articles and small misspellings do not matter, but for verbs and directions
    misspelt in fewer than five letters, and a part of a name will do where it is clear what is meant.

    | to | say something like |
    |---|---|
    | move | ``go north``; ``n``; ``walk to the library`` (from the room beside it) |
    | open, close | ``open chest`` |
    | take, drop | ``take gold crown``; ``drop loaf`` |
    | unlock | ``unlock iron door with iron key``; ``unlock iron door`` |
    | get past a creature | ``give loaf to troll``; ``feed the troll with the loaf`` |
    | get past something else | ``use shovel on rubble``; ``dig through rubble with shovel`` |
    | light the lamp in your hand | ``light lamp``; ``turn on the lamp`` |
    | see | ``look``; ``inventory``; ``examine chest``; ``score`` |

    ## Reward

    The points of the score: 10 for each treasure when first taken, 5 for each obstacle that is opened, 5 for lighting
    the lamp for the first time, where there is one.

    ## Episode end

    Terminated when all points are scored (``success``) or you fall in the dark; truncated after ``max_turns``.
    ``info["score"]`` and ``info["max_score"]`` give the points.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``rooms`` | 6 | 9 | 16 | rooms (3 to 24) |
    | ``puzzles`` | 2 | 3 | 5 | barred exits (0 to 8, less than ``rooms - 1``) |
    | ``treasures`` | 1 | 2 | 4 | treasures (1 to 8) |
    | ``dark`` | no | yes | yes | whether some of the rooms are dark |
    | ``max_turns`` | 50 | 76 | 136 | truncation: eight a room and two a treasure |

    ## Expert

    Exact in points: a planner that scores all of them in every episode (20, 40 and 70), in 13, 27 and 54 turns on
    average. It knows which thing helps where, but the place only as far as it was read: it takes what is useful,
    removes what it can, and explores the nearest of what is left. Random play scores 5, 6 and 7 points and all of them
    in 5%, 0% and 0% of the episodes.

    ## Source

    The parser adventures of Jericho (Hausknecht et al. 2020) in kind: commands, inventory, locks, darkness, points for
    treasures and for progress. The places, puzzles and words (``quest.json``) are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"rooms": 6, "puzzles": 2, "treasures": 1, "dark": False},
        "medium": {},
        "hard": {"rooms": 16, "puzzles": 5, "treasures": 4},
    }

    def __init__(self, rooms: int = 9, puzzles: int = 3, treasures: int = 2, dark: bool = True) -> None:
        if not 3 <= rooms <= 24:
            raise ValueError(f"rooms must be 3 to 24, not {rooms!r}")
        if not 0 <= puzzles <= min(8, rooms - 2):
            raise ValueError(f"puzzles must be 0 to {min(8, rooms - 2)} in {rooms} rooms, not {puzzles!r}")
        if not 1 <= treasures <= 8:
            raise ValueError(f"treasures must be 1 to 8, not {treasures!r}")
        self.rooms, self.puzzles, self.treasures, self.dark = rooms, puzzles, treasures, bool(dark)
        self.max_score = _GATE_POINTS * puzzles + _TREASURE_POINTS * treasures + _LAMP_POINTS * self.dark
        self.max_turns = 8 * rooms + 2 * treasures
        self._junk = puzzles // 2
        self.max_choices = 9 + treasures + (puzzles + self._junk + self.dark) * max(1, min(4, puzzles))

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a place, what bars its ways, and where things are."""
        rooms = [_data()["rooms"][i] for i in rng.permutation(len(_data()["rooms"]))[: self.rooms]]
        world = self._world = World(lay_out(rooms, rng), rooms[0])
        self._draw(rooms, rng)
        self._points = {thing: _TREASURE_POINTS for thing in world.place if thing in _data()["treasures"]}
        self._points |= dict.fromkeys(self._gates, _GATE_POINTS)
        if self.dark:
            self._points[_LAMP] = _LAMP_POINTS
        self._score = 0
        where = ", ".join(f"{thing} {place}" for thing, place in world.place.items())
        gates = [*self._gates.values()]
        self._instance = f"{world.room} {world.exits} {world.holders} {where} {gates} dark {sorted(self._dark)}"
        warning = " never walk into the dark without a lit lamp." if self.dark else ""
        task = f"explore, get past obstacles and take the treasures: {self.max_score} points."
        return f"{task}{warning} {world.look()}"

    def instance(self) -> str:
        """The place, what bars its ways, and where things are."""
        return self._instance

    def step(self, action: str) -> Turn:
        """Do one thing."""
        world = self._world
        command = read(action, world.names(), _VERBS, _known())
        verb, nouns = command.verb, command.nouns
        if verb == "score":
            return Turn(f"your score is {self._score} of {self.max_score}.")
        if verb == "go" and (beyond := world.leads_to(command)) in world.dark:
            return self._end(f"you fall into a pit in the dark {beyond}, to your death.", 0.0, False)
        if _LAMP in nouns and (verb == "light" or (verb == "use" and len(nouns) == 1)):
            return self._light()
        if verb == "drop" and _LAMP in nouns and world.room in self._dark and world.place[_LAMP] == HELD:
            return Turn("you would stand in the dark.")
        gate = next((self._gates[noun] for noun in nouns if noun in world.blocked), None)
        if verb in ("unlock", "give", "use") or (verb == "open" and gate and len(nouns) > 1):
            return self._open(gate, verb, [noun for noun in nouns if noun in world.place])
        reply = world.act(command)
        self._set_dark()
        taken = verb == "take" and nouns and nouns[0] in _data()["treasures"] and nouns[0] in world.held()
        return self._reward(reply, nouns[0]) if taken else Turn(reply)

    def valid_actions(self) -> list[str]:
        """What can be done here, helpful or not."""
        world = self._world
        actions = [f"go {way}" for way in WAYS if way in world.exits[world.room]]
        actions += [f"open {name}" for name in world.closed_here()]
        actions += [f"take {thing}" for thing in world.visible()]
        tools = [thing for thing in world.held() if thing not in _data()["treasures"]]
        gates = [self._gates[name] for name in world.doors_here().values()]
        actions += [_use(gate, tool) for gate in gates for tool in tools]
        if _LAMP in tools and not world.state.get(_LAMP):
            actions.append(f"light {_LAMP}")
        return [*actions, "look", "inventory"]

    def expert_action(self) -> str:
        """The next thing to do for the score, of what is known."""
        world = self._world
        held = world.held()
        if _LAMP in held and not world.state.get(_LAMP):
            return f"light {_LAMP}"
        ready = [gate for gate in self._gates.values() if gate.item in held and gate.room in world.seen]
        here = [gate for gate in ready if gate.room == world.room]
        if here:
            return _use(here[0], here[0].item)
        useful = {*self._points, *(gate.item for gate in self._gates.values()), *([_LAMP] if self.dark else [])}
        step = world.fetch(thing for thing in world.place if thing in useful and thing not in held)
        if step is None:
            rooms = {gate.room for gate in ready}
            step = world.route(lambda room: room in rooms)
        return step or world.explore() or "look"

    # --- what a command does ---

    def _reward(self, text: str, what: str) -> Turn:
        """Score what was not scored before; the end if nothing is left."""
        points = self._points.pop(what, 0)
        self._score += points
        if points:
            text = f"{text} score {self._score} of {self.max_score}."
        if not self._points:
            return self._end(f"{text} you did it all.", float(points), True)
        return Turn(text, float(points))

    def _end(self, text: str, reward: float, success: bool) -> Turn:
        return Turn(text, reward, True, {"success": success, "score": self._score, "max_score": self.max_score})

    def _light(self) -> Turn:
        world = self._world
        if world.place[_LAMP] != HELD:
            return Turn("you do not hold the lamp.")
        world.state[_LAMP] = ["lit"]
        self._set_dark()
        return self._reward("the lamp is lit.", _LAMP)

    def _set_dark(self) -> None:
        """Nothing is dark to the one with a lit lamp in hand."""
        world = self._world
        lit = world.state.get(_LAMP) and world.place[_LAMP] == HELD
        world.dark = set() if lit else set(self._dark)

    def _open(self, gate: Gate | None, verb: str, tools: Sequence[str]) -> Turn:
        world = self._world
        if gate is None:
            return Turn("that is of no use here.")
        if len(tools) > 1:
            return Turn(ONE_AT_A_TIME)
        if not tools and verb == "unlock" and gate.item in world.held():
            tools = [gate.item]
        if not tools:
            return Turn(f"{verb} what for {gate.name}?" if verb == "give" else f"{verb} {gate.name} with what?")
        if world.place[tools[0]] != HELD:
            return Turn(f"you do not hold {tools[0]}.")
        if tools[0] != gate.item:
            return Turn(f"{tools[0]} does not help with {gate.name}.")
        del world.place[gate.item], self._gates[gate.name], world.blocked[gate.name]
        world.doors = {where: door for where, door in world.doors.items() if door != gate.name}
        return self._reward(f"the way past {gate.name} is free.", gate.name)

    # --- the start ---

    def _draw(self, rooms: list[str], rng: np.random.Generator) -> None:
        """Bar some ways, each by what can be removed with something that lies before it, and place all things."""
        world, data = self._world, _data()
        entries = _entries(world.exits, rooms[0])
        barred = [rooms[1:][i] for i in rng.permutation(len(rooms) - 1)[: self.puzzles + self.dark]]
        beyond = {room: _beyond(world.exits, entries, room, ()) for room in barred}
        dark_entry = min(barred, key=lambda room: len(beyond[room])) if self.dark else ""
        self._dark = set(beyond[dark_entry]) if dark_entry else set()
        kinds = [data["gates"][i] for i in rng.permutation(len(data["gates"]))]
        self._gates = {}
        items = {dark_entry: _LAMP}
        for room, kind in zip([room for room in barred if room != dark_entry], kinds, strict=False):
            parent, way = entries[room]
            gate = Gate(kind["name"], kind["verb"], kind["item"], kind["note"], parent)
            self._gates[gate.name] = gate
            items[room] = gate.item
            world.blocked[gate.name] = gate.note
            world.doors[parent, way] = world.doors[room, OPPOSITE[way]] = gate.name
        regions = [_beyond(world.exits, entries, rooms[0], barred)]
        place = {}
        left = list(barred)
        while left:
            reached = [room for region in regions for room in region]
            ready = [room for room in left if entries[room][0] in reached]
            room = ready[rng.integers(len(ready))]
            near = regions[-1] if rng.random() < 0.5 else reached
            place[items[room]] = near[rng.integers(len(near))]
            regions.append(_beyond(world.exits, entries, room, barred))
            left.remove(room)
        names = [data["treasures"][i] for i in rng.permutation(len(data["treasures"]))[: self.treasures]]
        for number, treasure in enumerate(names):
            region = regions[-1 - number % len(regions)]
            place[treasure] = region[rng.integers(len(region))]
        for kind in kinds[self.puzzles :][: self._junk]:
            place[kind["item"]] = rooms[rng.integers(len(rooms))]
        holders = [data["holders"][i] for i in rng.permutation(len(data["holders"]))]
        for thing, room in [list(place.items())[i] for i in rng.permutation(len(place))]:
            world.place[thing] = room
            if rng.random() < _HIDDEN and holders:
                holder = next((name for name, where in world.holders.items() if where == room), None) or holders.pop()
                world.holders[holder] = room
                world.place[thing] = holder
        world.openable = set(world.holders)
        world.closed = set(world.holders)
        world.dark = set(self._dark)


def _use(gate: Gate, tool: str) -> str:
    """The command to try a thing on an obstacle."""
    if gate.verb == "give":
        return f"give {tool} to {gate.name}"
    return f"unlock {gate.name} with {tool}" if gate.verb == "unlock" else f"use {tool} on {gate.name}"


def _entries(exits: Mapping[str, Mapping[str, str]], start: str) -> dict[str, tuple[str, str]]:
    """For each other room the room before it on the way from the start, and the direction there."""
    entries: dict[str, tuple[str, str]] = {}
    queue = [start]
    for room in queue:
        for way, other in exits[room].items():
            if other != start and other not in entries:
                entries[other] = room, way
                queue.append(other)
    return entries


def _beyond(
    exits: Mapping[str, Mapping[str, str]], entries: Mapping[str, tuple[str, str]], room: str, barred: Sequence[str]
) -> list[str]:
    """A room and those behind it that can be reached without entering a barred one."""
    region = [room]
    for each in region:
        others = exits[each].values()
        region += [other for other in others if other not in barred and entries.get(other, ("",))[0] == each]
    return region


@cache
def _data() -> dict[str, Any]:
    return json.loads(files("textenvs.games.worlds").joinpath("quest.json").read_text("utf-8"))


@cache
def _known() -> tuple[str, ...]:
    data = _data()
    names = [
        *data["rooms"],
        *data["treasures"],
        *data["holders"],
        *(gate[key] for gate in data["gates"] for key in ("name", "item")),
    ]
    return tuple(sorted({word for name in (*names, _LAMP) for word in name.split()}))
