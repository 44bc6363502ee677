"""Rooms with doors, keys, balls and boxes, and the robot in them: the dynamics and the view of Minigrid.

A cell is a number, ``row * width + column``; walls stand around and between the rooms.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

ACTIONS = ("turn left", "turn right", "go forward", "pick up", "drop", "toggle")
COLOURS = ("blue", "green", "grey", "purple", "red", "yellow")
KINDS = ("ball", "box", "key")
OPEN, CLOSED, LOCKED = range(3)
_DOOR_STATES = ("an open", "a closed", "a locked")
NOWHERE = -1  # the cell of a thing that is carried or gone; and what empty hands carry
_SIGHT = 6  # cells ahead
_SIDE = 3  # cells to either side
_TRIES = 1000

_Room = tuple[int, int]  # row and column
_Wall = tuple[_Room, _Room]  # between two rooms


class Thing(NamedTuple):
    """Something to name in a mission."""

    kind: str
    colour: str


class World(NamedTuple):
    """What stays as it is.

    Attributes:
        width: columns of the grid, walls included.
        height: its rows.
        floor: the cells without a wall; those of doors are among them.
        things: what can be carried.
        doors: the doors.
        door_cells: where they are.
    """

    width: int
    height: int
    floor: frozenset[int]
    things: tuple[Thing, ...]
    doors: tuple[Thing, ...]
    door_cells: tuple[int, ...]


class State(NamedTuple):
    """What changes.

    Attributes:
        cell: where the robot stands.
        heading: where it looks: 0 right, 1 down, 2 left, 3 up.
        carried: the thing that it carries, or ``NOWHERE``.
        cells: the cell of each thing, or ``NOWHERE``.
        doors: ``OPEN``, ``CLOSED`` or ``LOCKED`` for each door.
    """

    cell: int
    heading: int
    carried: int
    cells: tuple[int, ...]
    doors: tuple[int, ...]


def ahead(world: World, state: State) -> int:
    """The cell in front of the robot."""
    return state.cell + (1, world.width, -1, -world.width)[state.heading]


def act(world: World, state: State, action: str) -> State:
    """The state after one of ``ACTIONS``; the same where the action has no effect."""
    if action in ("turn left", "turn right"):
        return state._replace(heading=(state.heading + (1 if action == "turn right" else -1)) % 4)
    front = ahead(world, state)
    thing = state.cells.index(front) if front in state.cells else NOWHERE
    door = world.door_cells.index(front) if front in world.door_cells else NOWHERE
    if action == "toggle":
        return _toggle(world, state, thing, door)
    if action == "pick up":
        taken = thing != NOWHERE and state.carried == NOWHERE
        return state._replace(carried=thing, cells=_put(state.cells, thing, NOWHERE)) if taken else state
    free = front in world.floor and thing == NOWHERE
    if action == "drop":
        dropped = free and door == NOWHERE and state.carried != NOWHERE
        return state._replace(carried=NOWHERE, cells=_put(state.cells, state.carried, front)) if dropped else state
    passes = free and (door == NOWHERE or state.doors[door] == OPEN)
    return state._replace(cell=front) if passes else state


def _toggle(world: World, state: State, thing: int, door: int) -> State:
    if door != NOWHERE:
        if state.doors[door] == LOCKED and not has_key(world, state, door):
            return state
        return state._replace(doors=_put(state.doors, door, CLOSED if state.doors[door] == OPEN else OPEN))
    if thing != NOWHERE and world.things[thing].kind == "box":
        return state._replace(cells=_put(state.cells, thing, NOWHERE))
    return state


def has_key(world: World, state: State, door: int) -> bool:
    """Whether the robot carries the key of a door."""
    return state.carried != NOWHERE and world.things[state.carried] == Thing("key", world.doors[door].colour)


def _put(values: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    return (*values[:place], value, *values[place + 1 :])


def describe(world: World, state: State) -> str:
    """What the robot carries and sees, in the order of BabyAI-Text: walls, then things from left to right."""
    view = look(world, state)
    seen = []
    for side, forward, way in ((0, 1, "forward"), (-1, 0, "left"), (1, 0, "right")):
        line = [(n, view.get((n * side, n * forward), "")) for n in range(1, _SIGHT + 1)]
        steps, nearest = next(((n, what) for n, what in line if what), (0, ""))
        if nearest == "a wall":
            seen.append(f"a wall {_steps(steps, way)}")
    for side, forward in product(range(-_SIDE, _SIDE + 1), range(_SIGHT, -1, -1)):
        what = view.get((side, forward), "")
        if what in ("", "a wall") or side == forward == 0:
            continue
        ways = [(abs(side), "left" if side < 0 else "right"), (forward, "forward")]
        seen.append(f"{what} {' and '.join(_steps(n, way) for n, way in ways if n)}")
    carried = "" if state.carried == NOWHERE else f"you carry a {_named(world.things[state.carried])}. "
    return f"{carried}you see {', '.join(seen) or 'nothing'}."


def look(world: World, state: State) -> dict[tuple[int, int], str]:
    """What is in each cell that the robot sees, by its steps to the right and forward; ``""`` is empty floor.

    It sees seven cells wide and seven deep, its own row included. From row to row light goes on from each lit cell
    that lets it pass to the next cell at its side and to those ahead of both, first rightwards, then leftwards.
    Walls and doors that are not open stop it.
    """
    view: dict[tuple[int, int], str] = {(0, 0): _content(world, state, 0, 0)}
    for forward in range(_SIGHT + 1):
        for sweep in (1, -1):
            for side in range(-_SIDE * sweep, _SIDE * sweep, sweep):
                if not _lets_pass(view.get((side, forward), "a wall")):
                    continue
                lit = [(side + sweep, forward)]
                if forward < _SIGHT:
                    lit += [(side + sweep, forward + 1), (side, forward + 1)]
                for place in lit:
                    if place not in view:
                        view[place] = _content(world, state, *place)
    return view


def _content(world: World, state: State, side: int, forward: int) -> str:
    """What is so many steps to the right and forward of the robot."""
    down, right = ((0, 1), (1, 0), (0, -1), (-1, 0))[state.heading]
    row = state.cell // world.width + forward * down + side * right
    column = state.cell % world.width + forward * right - side * down
    cell = row * world.width + column
    if not (0 <= row < world.height and 0 <= column < world.width and cell in world.floor):
        return "a wall"
    if cell in world.door_cells:
        door = world.door_cells.index(cell)
        return f"{_DOOR_STATES[state.doors[door]]} {_named(world.doors[door])}"
    return f"a {_named(world.things[state.cells.index(cell)])}" if cell in state.cells else ""


def _lets_pass(what: str) -> bool:
    return what != "a wall" and not what.startswith(("a closed", "a locked"))


def _named(thing: Thing) -> str:
    return f"{thing.colour} {thing.kind}"


def _steps(n: int, way: str) -> str:
    return f"{n} step{'s' if n > 1 else ''} {way}"


def draw_world(
    rows: int, columns: int, room_size: int, things: int, locked: float, rng: np.random.Generator
) -> tuple[World, State]:
    """Rooms as BabyAI makes them, with everything within reach though nothing be moved.

    Args:
        rows: rows of rooms.
        columns: columns of rooms.
        room_size: cells along a room, walls included.
        things: how many keys, balls and boxes, without the key of a locked room.
        locked: probability that a room is locked; its key lies in another one.
        rng: generator.
    """
    for _ in range(_TRIES):
        drawn = _try_world(rows, columns, room_size, things, rng.random() < locked, rng)
        if drawn is not None and _all_in_reach(*drawn):
            return drawn
    raise ValueError(f"{things} things do not fit into {rows * columns} rooms of size {room_size}: take fewer")


def _try_world(
    rows: int, columns: int, room_size: int, things: int, locked: bool, rng: np.random.Generator
) -> tuple[World, State] | None:
    pitch, width = room_size - 1, columns * (room_size - 1) + 1
    rooms = {
        (i, j): [(i * pitch + 1 + r) * width + j * pitch + 1 + c for r in range(pitch - 1) for c in range(pitch - 1)]
        for i in range(rows)
        for j in range(columns)
    }
    walls = [((i, j), (i, j + 1)) for i in range(rows) for j in range(columns - 1)]
    walls += [((i, j), (i + 1, j)) for i in range(rows - 1) for j in range(columns)]
    walls = [walls[n] for n in rng.permutation(len(walls))]
    doors = []
    shut = None
    if locked and walls:
        doors.append(walls[0])
        shut = walls[0][int(rng.integers(2))]
    doors += _connect(list(rooms), [wall for wall in walls if shut not in wall], shut)
    if len(_reached(doors, (0, 0))) < len(rooms):
        return None
    door_cells = tuple(_door_cell(door, pitch, width, rng) for door in doors)
    colours = tuple(Thing("door", COLOURS[rng.integers(len(COLOURS))]) for _ in doors)
    held = [Thing(KINDS[rng.integers(len(KINDS))], COLOURS[rng.integers(len(COLOURS))]) for _ in range(things)]
    inside = [cell for room in rooms.values() for cell in room]
    open_cells = [cell for name, room in rooms.items() if name != shut for cell in room]
    doorways = {cell + step for cell in door_cells for step in (1, width, -1, -width)}
    free = [cell for cell in inside if cell not in doorways]
    cells = [free[n] for n in rng.permutation(len(free))[:things]]
    if shut:
        held.append(Thing("key", colours[0].colour))
        cells.append(open_cells[rng.integers(len(open_cells))])
    start = open_cells[rng.integers(len(open_cells))]
    world = World(width, rows * pitch + 1, frozenset([*inside, *door_cells]), tuple(held), colours, door_cells)
    states = tuple(LOCKED if shut and n == 0 else CLOSED for n in range(len(doors)))
    state = State(start, int(rng.integers(4)), NOWHERE, tuple(cells), states)
    apart = len({*cells, start}) == len(held) + 1
    return (world, state) if apart and ahead(world, state) not in [*cells, *door_cells] else None


def _connect(rooms: list[_Room], walls: list[_Wall], shut: _Room | None) -> list[_Wall]:
    """Walls, in their order, that get a door, until all rooms but the locked one are connected."""
    first = next(room for room in rooms if room != shut)
    wanted = len(rooms) - (shut is not None)
    doors: list[_Wall] = []
    for wall in walls:
        if len(_reached(doors, first)) == wanted:
            break
        doors.append(wall)
    return doors


def _reached(doors: list[_Wall], start: _Room) -> set[_Room]:
    reached = {start}
    for _ in doors:
        reached |= {room for door in doors if reached & set(door) for room in door}
    return reached


def _door_cell(door: _Wall, pitch: int, width: int, rng: np.random.Generator) -> int:
    (i, j), (_, right) = door
    along = 1 + int(rng.integers(pitch - 1))
    row, column = (i * pitch + along, right * pitch) if right > j else ((i + 1) * pitch, j * pitch + along)
    return row * width + column


def _all_in_reach(world: World, state: State) -> bool:
    """Whether the robot can come to face each thing and door, doors being open and nothing moved."""
    blocked = set(state.cells)
    reached, faced = {state.cell}, set()
    stack = [state.cell]
    while stack:
        cell = stack.pop()
        for step in (1, world.width, -1, -world.width):
            faced.add(cell + step)
            if cell + step in world.floor and cell + step not in blocked | reached:
                reached.add(cell + step)
                stack.append(cell + step)
    return faced >= blocked | set(world.door_cells)
