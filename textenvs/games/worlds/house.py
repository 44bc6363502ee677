"""Household tasks: find things, clean, heat, cool, examine and place them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, NamedTuple

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.worlds.house_world import HELD, ONE_AT_A_TIME, WAYS, World, lay_out, read
from textenvs.parsing import words

TASKS = (
    "pick_and_place",
    "look_at_obj_in_light",
    "pick_clean_then_place",
    "pick_heat_then_place",
    "pick_cool_then_place",
    "pick_two_obj_and_place",
)
_DEVICES = {"clean": "sink", "heat": "microwave", "cool": "fridge"}
_STATES = {"clean": "clean", "heat": "hot", "cool": "cold"}
_LAMP = "desk lamp"
_WORDINGS = {
    "pick_and_place": ("put some {} on {}", "find some {} and put it on {}"),
    "look_at_obj_in_light": (f"look at {{}} under the {_LAMP}", f"examine the {{}} with the {_LAMP}"),
    "pick_clean_then_place": ("put a clean {} on {}", "clean some {} and put it on {}"),
    "pick_heat_then_place": ("put a hot {} on {}", "heat some {} and put it on {}"),
    "pick_cool_then_place": ("put a cold {} on {}", "cool some {} and put it on {}"),
    "pick_two_obj_and_place": ("put two {} on the same {}", "find two {} and put both on the same {}"),
}
_VERBS = {
    "clean": "clean wash rinse",
    "heat": "heat warm cook",
    "cool": "cool chill",
    "use": "use turn switch light toggle",
}


class Task(NamedTuple):
    """One of ``TASKS``, the kind of thing it is about, the kind of furniture to put it on."""

    name: str
    thing: str
    target: str

    @property
    def treatment(self) -> str:
        """``clean``, ``heat`` or ``cool``, or ``""``."""
        return next((verb for verb in _DEVICES if f"_{verb}_" in self.name), "")


class House(Game):
    """TextHouse-v0: do a household task in a house of several rooms.

    ## Description

    One of ALFWorld's six tasks: put a thing on (or in) a piece of furniture of some kind, maybe after cleaning it at a
    sink, heating it with the microwave or cooling it with the fridge; put two of a kind on the same piece; or look at a
    thing under the desk lamp. Things lie on furniture and in cabinets, drawers and the like, which are closed at first.
    You can hold one thing.

    ## Example transcript

    ```
    your task: put a clean mug on counter. you can hold one thing. bathroom. closed: cabinet 5, cabinet 6. empty:
    sink 2, bathtub, towel rack. exits: east, west.
    > open cabinet 5
    you open cabinet 5: nothing.
    > open cabinet 6
    you open cabinet 6: plate, pot.
    > go west
    kitchen. counter: ladle. sink 1: apple. closed: fridge, microwave, cabinet 1, cabinet 2, cabinet 3, drawer 1,
    drawer 2. empty: table. exits: north, east.
    > open fridge
    you open fridge: egg.
    > open microwave
    you open microwave: nothing.
    > open cabinet 1
    you open cabinet 1: nothing.
    > open cabinet 2
    you open cabinet 2: mug 1, mug 2, soap.
    > take mug 1
    you take mug 1.
    > clean mug 1 with sink 1
    you clean mug 1 with sink 1.
    > put mug 1 on counter
    you put mug 1 on counter. the task is done.
    ```

    ## Observation

    The opening states the task and, as each room does when you enter it, what there is in your room: things on
    furniture, closed and empty furniture, exits. Replies say what came of a command. Furniture and things of which
    there are several have numbers. Names tell what was done: ``clean apple``.

    ## Action

    Free text with one command. Case, articles and small misspellings do not matter, but for verbs and directions
    misspelt in fewer than five letters, and a part of a name will do where it is clear what is meant.

    | to | say something like |
    |---|---|
    | move | ``go north``; ``n``; ``walk to the kitchen`` (from the room beside it) |
    | open, close | ``open drawer 1``; ``close fridge`` |
    | take, put | ``take apple``; ``put apple on table``; ``move apple to table`` |
    | treat what you hold | ``clean apple with sink``; ``heat apple with microwave``; ``cool apple with fridge`` |
    | light the lamp | ``use desk lamp``; ``turn on the lamp`` |
    | see | ``look``; ``inventory``; ``examine shelf`` |

    ## Reward

    1 when the task is done, else 0.

    ## Episode end

    Terminated when the task is done (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``tasks`` | the first | all six | all but the first | which are drawn: ``TASKS`` or some of them, see below |
    | ``rooms`` | 3 | 4 | 6 | rooms (2 to 6); kitchen and bedroom are always there |
    | ``things`` | 10 | 14 | 20 | things in the house (4 to 30) |
    | ``max_turns`` | 50 | 50 | 50 | truncation, as in ALFWorld |

    The tasks are ``pick_and_place``, ``look_at_obj_in_light``, ``pick_clean_then_place``, ``pick_heat_then_place``,
    ``pick_cool_then_place`` and ``pick_two_obj_and_place``.

    ## Expert

    Exact in success: a planner that does the task in every episode, in 8, 11 and 15 turns on average. It knows only
    what was read: it looks into room after room until it knows a thing and a place that will do, and goes the shortest
    ways that it knows. Random play succeeds in 10%, 6% and 3% of the episodes.

    ## Source

    The task types of ALFWorld (Shridhar et al. 2021) and ALFRED, with their conditions, commands, reward and turn
    limit. There one room is searched piece by piece of furniture; here several rooms are, and what lies open in a room
    is seen at once. Rooms, furniture and things are this package's own (``house.json``).

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"tasks": TASKS[:1], "rooms": 3, "things": 10},
        "medium": {},
        "hard": {"tasks": TASKS[1:], "rooms": 6, "things": 20},
    }
    max_turns = 50

    def __init__(self, tasks: Sequence[str] = TASKS, rooms: int = 4, things: int = 14) -> None:
        tasks = tuple(tasks)
        if not tasks or not set(tasks) <= set(TASKS):
            raise ValueError(f"tasks must be some of {TASKS}, not {tasks!r}")
        if not 2 <= rooms <= len(_data()["rooms"]):
            raise ValueError(f"rooms must be 2 to {len(_data()['rooms'])}, not {rooms!r}")
        if not 4 <= things <= 30:
            raise ValueError(f"things must be 4 to 30, not {things!r}")
        self.tasks, self.rooms, self.things = tasks, rooms, things
        self.max_choices = 14 + max(things, 13)

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a house, a task and where things are."""
        data = _data()
        kitchen, bedroom, *others = data["rooms"]
        more = [others[i] for i in rng.permutation(len(others))[: self.rooms - 2]]
        rooms = [each for each in data["rooms"] if each in (kitchen, bedroom, *more)]
        furniture = [(kind, room) for room in rooms for kind in data["rooms"][room]]
        names = _numbered([kind for kind, _ in furniture])
        self._kinds = {name: kind for name, (kind, _) in zip(names, furniture, strict=True)}
        world = self._world = World(
            lay_out([rooms[i] for i in rng.permutation(self.rooms)], rng),
            rooms[rng.integers(self.rooms)],
            holders={name: room for name, (_, room) in zip(names, furniture, strict=True)},
            fixtures={_LAMP: data["lamp"]},
            openable={name for name, kind in self._kinds.items() if kind in data["openable"]},
            capacity=1,
        )
        world.closed = set(world.openable)
        self._lit = False
        self._task = self._draw_task(rng)
        self._place_things(rng)
        wording = _WORDINGS[self._task.name][rng.integers(2)].format(self._task.thing, self._task.target)
        where = ", ".join(f"{thing} {place}" for thing, place in world.place.items())
        self._instance = f"{wording}. {world.room} {world.exits} {where}"
        return f"your task: {wording}. you can hold one thing. {world.look()}"

    def instance(self) -> str:
        """The task, the house and what is where."""
        return self._instance

    def step(self, action: str) -> Turn:
        """Do one thing."""
        world = self._world
        command = read(action, world.names(), _VERBS, _things())
        if command.verb in _DEVICES and command.nouns and "" not in command.nouns:
            reply = self._treat(command.verb, command.nouns)
        elif _LAMP in command.nouns and command.verb in ("use", "examine"):
            self._lit = "off" not in words(action)
            reply = f"{_LAMP} is {'on' if self._lit else 'off'}."
        elif command.verb == "use":
            reply = "you cannot use that."
        else:
            reply = world.act(command)
        if self._done():
            return Turn(f"{reply} the task is done.", 1.0, True, {"success": True})
        return Turn(reply)

    def valid_actions(self) -> list[str]:
        """What can be done here, helpful or not."""
        world = self._world
        actions = [f"go {way}" for way in WAYS if way in world.exits[world.room]]
        actions += [f"open {name}" for name in world.closed_here()]
        for thing in world.held():
            actions += [f"put {thing} on {name}" for name in world.open_here()]
            for verb, state in _STATES.items():
                if state not in world.state.get(thing, ()):
                    actions += [f"{verb} {thing} with {device}" for device in self._here(_DEVICES[verb])]
        if not world.full():
            actions += [f"take {thing}" for thing in world.visible()]
        actions += [f"use {fixture}" for fixture in world.here(world.fixtures)]
        return [*actions, "look", "inventory"]

    def expert_action(self) -> str:
        """The next thing to do for the task, of what is known."""
        world, task = self._world, self._task
        held = next(iter(world.held()), None)
        if held is None:
            return world.fetch(self._wanted()) or world.explore() or "look"
        if self._kinds[held] != task.thing:
            return f"put {held} on {world.open_here()[0]}"
        if not task.target:
            return world.reach(world.fixtures[_LAMP]) or f"use {_LAMP}"
        if task.treatment and _STATES[task.treatment] not in world.state.get(held, ()):
            devices = self._of_kind(_DEVICES[task.treatment])
            return self._towards(devices) or f"{task.treatment} {held} with {self._here(_DEVICES[task.treatment])[0]}"
        targets = self._begun() or self._of_kind(task.target)
        step = self._towards(targets)
        if step:
            return step
        target = next(name for name in targets if world.holders[name] == world.room)
        return f"open {target}" if target in world.closed else f"put {held} on {target}"

    def _wanted(self) -> list[str]:
        """The things that would further the task in the player's hand."""
        things = [thing for thing in self._world.place if self._kinds[thing] == self._task.thing]
        return [thing for thing in things if self._world.place[thing] not in self._begun()]

    def _begun(self) -> list[str]:
        """Where the player knows that one of two things is, as the task wants."""
        if self._task.name != "pick_two_obj_and_place":
            return []
        inside = [self._world.place[thing] for thing in self._of_kind(self._task.thing)]
        return [name for name in self._of_kind(self._task.target) if name in inside and name in self._world.seen][:1]

    def _towards(self, furniture: Sequence[str]) -> str:
        """A command towards the nearest of some furniture; ``""`` where one is here."""
        world = self._world
        rooms = {world.holders[name] for name in furniture} & world.seen
        step = world.route(lambda room: room in rooms)
        return (world.explore(rooms_only=True) or "") if step is None else step

    def _of_kind(self, kind: str) -> list[str]:
        return [name for name, each in self._kinds.items() if each == kind]

    def _here(self, kind: str) -> list[str]:
        return [name for name in self._world.here(self._world.holders) if self._kinds[name] == kind]

    def _treat(self, verb: str, nouns: Sequence[str]) -> str:
        world, thing, devices = self._world, nouns[0], self._here(_DEVICES[verb])
        if world.several(nouns):
            return ONE_AT_A_TIME
        if world.place.get(thing) != HELD:
            return f"you do not hold {thing}."
        if not devices:
            return f"there is no {_DEVICES[verb]} here."
        device = nouns[1] if len(nouns) > 1 else devices[0]
        if device not in devices:
            return f"you can {verb} things with {devices[0]}."
        undone = {"heat": "cold", "cool": "hot"}.get(verb)
        kept = [state for state in world.state.get(thing, ()) if state not in (undone, _STATES[verb])]
        world.state[thing] = [*kept, _STATES[verb]]
        return f"you {verb} {thing} with {device}."

    def _done(self) -> bool:
        world, task = self._world, self._task
        things = self._of_kind(task.thing)
        if not task.target:
            return (
                self._lit and world.room == world.fixtures[_LAMP] and any(world.place[each] == HELD for each in things)
            )
        if task.treatment:
            things = [thing for thing in things if _STATES[task.treatment] in world.state.get(thing, ())]
        counts = Counter(world.place[thing] for thing in things)
        return max(counts[name] for name in self._of_kind(task.target)) >= (1 + (task.name == TASKS[-1]))

    # --- the start ---

    def _draw_task(self, rng: np.random.Generator) -> Task:
        name = self.tasks[rng.integers(len(self.tasks))]
        plain = Task(name, "", "")
        kinds = set(self._kinds.values())
        use = plain.treatment or ("light" if name == "look_at_obj_in_light" else "")
        tasks = []
        for thing, (uses, places) in _things().items():
            if use and use not in uses:
                continue
            if use == "light":
                tasks += [Task(name, thing, "")] if kinds & set(places) else []
                continue
            targets = [place for place in places if place in kinds and place != _DEVICES.get(plain.treatment)]
            tasks += [Task(name, thing, target) for target in targets if kinds & (set(places) - {target})]
        return tasks[rng.integers(len(tasks))]

    def _place_things(self, rng: np.random.Generator) -> None:
        """Place one or two, or for two two or three, of the task's thing, not where they should go; then others."""
        task, facts = self._task, _things()
        furniture = dict(self._kinds)
        usual = {kind: [name for name in furniture if furniture[name] in facts[kind].places] for kind in facts}
        usual[task.thing] = [name for name in usual[task.thing] if furniture[name] != task.target]
        others = [kind for kind in facts if usual[kind] and kind != task.thing]
        few = int(rng.integers(1, 3)) + (task.name == TASKS[-1])
        kinds = [task.thing] * few + [others[rng.integers(len(others))] for _ in range(self.things - few)]
        kinds = [kinds[i] for i in rng.permutation(len(kinds))]
        for name, kind in zip(_numbered(kinds), kinds, strict=True):
            self._kinds[name] = kind
            self._world.place[name] = usual[kind][rng.integers(len(usual[kind]))]


class Thing(NamedTuple):
    """What a thing can be used for, and the kinds of furniture where it is found."""

    tasks: tuple[str, ...]
    places: tuple[str, ...]


def _numbered(kinds: Iterable[str]) -> list[str]:
    """Names: a kind itself if there is one of it, else with a number."""
    kinds = list(kinds)
    count, total = Counter[str](), Counter(kinds)
    names = []
    for kind in kinds:
        count[kind] += 1
        names.append(f"{kind} {count[kind]}" if total[kind] > 1 else kind)
    return names


@cache
def _data() -> dict[str, Any]:
    return json.loads(files("textenvs.games.worlds").joinpath("house.json").read_text("utf-8"))


@cache
def _things() -> dict[str, Thing]:
    groups = _data()["things"]
    return {name: Thing(tuple(group["tasks"]), tuple(group["places"])) for group in groups for name in group["names"]}
