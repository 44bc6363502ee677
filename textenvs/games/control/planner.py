"""The shortest way to do one clause of a mission: A* over the true state of the rooms."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Set
from functools import lru_cache
from itertools import count
from typing import NamedTuple

from textenvs.games.control.missions import Clause, happens, where
from textenvs.games.control.rooms import (
    ACTIONS,
    CLOSED,
    LOCKED,
    NOWHERE,
    OPEN,
    State,
    Thing,
    World,
    act,
    ahead,
)

_FAR = 1 << 20
_MOST_STATES = 30_000


@lru_cache(maxsize=4096)
def plan(world: World, state: State, clause: Clause) -> tuple[str, ...] | None:
    """The fewest actions for the next leg of a clause, or ``None`` if the clause cannot be done.

    Where a locked door shuts off what is needed, the legs are to pick up its key, to open it, and what remains. In a
    leg only what it says to pick up or put and what is carried is moved, nothing else is left before a door, and no
    box is opened. Where that cannot work, since something was left in the way, the leg is to pick that up.
    """
    for needed in filter(None, (clause.targets, clause.beside)):
        if not any(where(world, state, number) != NOWHERE or number == state.carried for number in needed):
            return None
    leg = _leg(world, state, clause)
    if leg is None:
        return None
    found = _search(world, state, leg)
    if found is None and (thing := _blocking(world, state, leg)) is not None:
        found = _search(world, state, _Leg(Clause("pick up", (thing,), (), "")))
    return found or _Search(world, state, leg, frozenset(range(len(world.things))), tidy=False).run()


def _search(world: World, state: State, leg: _Leg) -> tuple[str, ...] | None:
    return _Search(world, state, leg, _moved(state, leg.clause), tidy=True).run()


def _moved(state: State, clause: Clause) -> frozenset[int]:
    return frozenset({*(clause.targets if clause.task in ("pick up", "put") else ()), state.carried})


class _Leg(NamedTuple):
    """A clause, and the cell that must be within reach afterwards, without moving anything, if there is one."""

    clause: Clause
    then: int = NOWHERE


def _leg(world: World, state: State, clause: Clause) -> _Leg | None:
    """The clause, or what has to be done before it."""
    locked = [door for door, how in enumerate(state.doors) if how == LOCKED]
    faced = _faced(world, state, _unlocked(world, state))

    def reached(numbers: Iterable[int]) -> bool:
        return any(number == state.carried or where(world, state, number) in faced for number in numbers)

    shut = {len(world.things) + door for door in locked} if clause.task == "open" else set()
    if reached(set(clause.targets) - shut) and (not clause.beside or reached(clause.beside)):
        return _Leg(clause)
    for door in locked:
        cell = world.door_cells[door]
        key = Thing("key", world.doors[door].colour)
        keys = tuple(number for number, thing in enumerate(world.things) if thing == key)
        if cell not in faced or not reached(keys):
            continue
        if state.carried in keys and _is_clear(world, state, cell):
            return _Leg(Clause("open", (len(world.things) + door,), (), ""))
        return _Leg(Clause("pick up", keys, (), ""), cell)
    return None


def _unlocked(world: World, state: State) -> frozenset[int]:
    return world.floor - {cell for cell, how in zip(world.door_cells, state.doors, strict=True) if how == LOCKED}


def _is_clear(world: World, state: State, cell: int) -> bool:
    """Whether the robot can come to face a cell without moving anything."""
    return cell in _faced(world, state, _unlocked(world, state) - set(state.cells))


def _blocking(world: World, state: State, leg: _Leg) -> int | None:
    """The first thing in the way to what a leg needs, on the way with the fewest of them."""
    clause = leg.clause
    floor, moved = _unlocked(world, state), _moved(state, clause)
    things = {cell: thing for thing, cell in enumerate(state.cells) if cell != NOWHERE and thing not in moved}
    needed = [[where(world, state, number) for number in numbers] for numbers in (clause.targets, clause.beside)]
    for goals in (*needed, [leg.then]):
        # The least of what is in the way and of steps decides, so that the choice stays the same on the way there.
        queue: list[tuple[int, int, int, int]] = [(0, 0, state.cell, NOWHERE)]
        seen = set()
        while queue:
            crossed, steps, cell, first = heapq.heappop(queue)
            if cell in seen:
                continue
            seen.add(cell)
            beside = [cell + step for step in (1, world.width, -1, -world.width)]
            if not set(beside).isdisjoint(goals):
                if first != NOWHERE:
                    return first
                break
            for near in beside:
                thing = things.get(near, NOWHERE)
                if near in floor:
                    item = crossed + (thing != NOWHERE), steps + 1, near, thing if first == NOWHERE else first
                    heapq.heappush(queue, item)
    return None


def _faced(world: World, state: State, floor: Set[int]) -> set[int]:
    """The cells that can be faced from some floor, doors that are not locked being open."""
    reached: set[int] = {state.cell}
    faced: set[int] = set()
    stack = [state.cell]
    while stack:
        cell = stack.pop()
        beside = {cell + step for step in (1, world.width, -1, -world.width)}
        faced |= beside
        stack += (beside & floor) - reached
        reached |= beside & floor
    return faced


class _Search:
    """A* with a lower bound that knows walls, doors and the things that stay, but lets the others be walked through."""

    def __init__(self, world: World, start: State, leg: _Leg, movable: frozenset[int], tidy: bool) -> None:
        self.world, self.start, self.then, self.movable = world, start, leg.then, movable
        self.clause = clause = leg.clause
        fixed = {cell for thing, cell in enumerate(start.cells) if thing not in movable}
        self.floor = world.floor - fixed
        self.turns = (1, world.width, -1, -world.width)
        self.doorways = {cell + step for cell in world.door_cells for step in self.turns} if tidy else set()
        self.tables: dict[tuple[tuple[int, ...], int], list[int]] = {}
        self.legs: dict[tuple[tuple[int, ...], int, int], int] = {}
        beside_moves = any(number in movable for number in clause.beside)
        fixed_cells = [] if beside_moves else [where(world, start, number) for number in clause.beside]
        near = {cell + step for cell in fixed_cells if cell != NOWHERE for step in self.turns}
        self.spots = sorted((near & self.floor) - set(world.door_cells))
        self.hopeless = clause.task == "put" and not beside_moves and not self.spots

    def run(self) -> tuple[str, ...] | None:
        """The actions."""
        if self.hopeless:
            return None
        order = count()
        parents: dict[State | None, tuple[State, str]] = {}
        costs = {self.start: 0}
        queue: list[tuple[int, int, int, State | None]] = [(self.bound(self.start), 0, next(order), self.start)]
        while queue and len(costs) < _MOST_STATES:
            total, minus_cost, _, state = heapq.heappop(queue)
            if total >= _FAR:
                return None
            if state is None:
                return self.actions(parents)
            cost = -minus_cost
            if costs[state] < cost:
                continue
            for action, after in self.moves(state):
                if self.is_end(state, action, after):
                    if None not in parents or cost < costs[parents[None][0]]:
                        parents[None] = state, action
                        heapq.heappush(queue, (cost + 1, -cost - 1, next(order), None))
                elif cost + 1 < costs.get(after, _FAR):
                    costs[after] = cost + 1
                    parents[after] = state, action
                    heapq.heappush(queue, (cost + 1 + self.bound(after), -cost - 1, next(order), after))
        return None

    def is_end(self, state: State, action: str, after: State) -> bool:
        """Whether an action ends the leg."""
        ends = happens(self.world, state, action, after, self.clause)
        return ends and (self.then == NOWHERE or _is_clear(self.world, after, self.then))

    def actions(self, parents: dict[State | None, tuple[State, str]]) -> tuple[str, ...]:
        """The way back from the end."""
        state, action = parents[None]
        found = [action]
        while state != self.start:
            state, action = parents[state]
            found.append(action)
        return tuple(reversed(found))

    def moves(self, state: State) -> Iterator[tuple[str, State]]:
        """What may help, and what comes of it: closing a door only helps to open it."""
        front = ahead(self.world, state)
        for action in ACTIONS:
            if action == "pick up" and (front not in state.cells or state.cells.index(front) not in self.movable):
                continue
            if action == "toggle" and not self.may_toggle(state, front):
                continue
            after = act(self.world, state, action)
            untidy = action == "drop" and front in self.doorways
            if after != state and (not untidy or self.is_end(state, action, after)):
                yield action, after

    def may_toggle(self, state: State, front: int) -> bool:
        """Whether the robot is before a door that is shut, or that it has to open."""
        if front not in self.world.door_cells:
            return False
        door = self.world.door_cells.index(front)
        asked = self.clause.task == "open" and door + len(self.world.things) in self.clause.targets
        return asked or state.doors[door] != OPEN

    def bound(self, state: State) -> int:
        """No plan from here is shorter."""
        task, hands = self.clause.task, state.carried
        full = hands != NOWHERE
        places = [(number, where(self.world, state, number)) for number in self.clause.targets]
        cells = [cell for _, cell in places if cell != NOWHERE]
        held = full and hands in self.clause.targets
        if task == "go to":
            return min(self.way(state, cells), 1 if held else _FAR)
        if task == "open":
            things = len(self.world.things)
            return min(
                self.way(state, [cell]) + (2 if state.doors[number - things] == OPEN else 1) for number, cell in places
            )
        if task == "pick up":
            return min(self.way(state, cells) + 1 + full, 2 if held else _FAR)
        put = min(
            (self.way(state, [cell]) + 2 + full + self.shortest_leg(state, cell, self.spots) for cell in cells),
            default=_FAR,
        )
        if held:
            put = min(put, self.way(state, self.spots) + 1 if self.spots else 1)
        return put

    def way(self, state: State, goals: Iterable[int]) -> int:
        """A bound of the actions until the robot faces one of the cells."""
        pose = state.cell * 4 + state.heading
        return min((self.table(state.doors, goal)[pose] for goal in goals), default=_FAR)

    def shortest_leg(self, state: State, cell: int, goals: Iterable[int]) -> int:
        """A bound of the actions from facing one cell to facing one of the others; 0 without any."""
        return min((self.leg(state.doors, cell, goal) for goal in goals), default=0)

    def leg(self, doors: tuple[int, ...], cell: int, goal: int) -> int:
        """The actions from facing one cell to facing another."""
        key = doors, cell, goal
        if key not in self.legs:
            table = self.table(doors, goal)
            self.legs[key] = min(table[(cell - step) * 4 + heading] for heading, step in enumerate(self.turns))
        return self.legs[key]

    def table(self, doors: tuple[int, ...], goal: int) -> list[int]:
        """For each cell and heading (``4 * cell + heading``) the actions until the robot faces ``goal``.

        Things that may be moved are walked through, a closed door costs one action more, a locked one is a wall.
        """
        key = doors, goal
        if key in self.tables:
            return self.tables[key]
        closed = {cell for cell, how in zip(self.world.door_cells, doors, strict=True) if how == CLOSED}
        floor = self.floor - {cell for cell, how in zip(self.world.door_cells, doors, strict=True) if how == LOCKED}
        far = [_FAR] * (4 * self.world.width * self.world.height)
        levels: list[list[int]] = [[4 * (goal - step) + i for i, step in enumerate(self.turns) if goal - step in floor]]
        levels += [[], []]
        cost = 0
        while any(levels):
            for pose in levels[0]:
                if far[pose] <= cost:
                    continue
                far[pose] = cost
                cell, heading = pose >> 2, pose & 3
                levels[1] += (4 * cell + (heading + 1 & 3), 4 * cell + (heading - 1 & 3))
                behind = cell - self.turns[heading]
                if behind in floor:
                    levels[1 + (cell in closed)].append(4 * behind + heading)
            levels = [*levels[1:], []]
            cost += 1
        self.tables[key] = far
        return far
