"""Missions in BabyAI's language: what they say, how they are drawn, when they are done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from textenvs.games.control.rooms import NOWHERE, OPEN, State, Thing, World, ahead

TASKS = ("go to", "pick up", "open", "put")
_NO_COLOUR = 0.25  # probability that a thing is named without its colour
_TRIES = 200


class Clause(NamedTuple):
    """One thing to do.

    Attributes:
        task: one of ``TASKS``.
        targets: the things or doors meant, any of which will do; door ``i`` has the number ``len(things) + i``.
        beside: for ``put``, what to put the target next to.
        text: how it is said.
    """

    task: str
    targets: tuple[int, ...]
    beside: tuple[int, ...]
    text: str


class Mission(NamedTuple):
    """All that is to do: the clauses of ``first`` in any order, then those of ``then`` in any order."""

    first: tuple[Clause, ...]
    then: tuple[Clause, ...]
    text: str


def where(world: World, state: State, number: int) -> int:
    """The cell of a thing or door."""
    things = len(world.things)
    return state.cells[number] if number < things else world.door_cells[number - things]


def happens(world: World, before: State, action: str, after: State, clause: Clause) -> bool:
    """Whether an action does what a clause says, as BabyAI's verifier has it."""
    front = ahead(world, after)
    if clause.task == "go to":
        return front in [where(world, after, number) for number in clause.targets]
    if clause.task == "open":
        door = world.door_cells.index(front) if front in world.door_cells else NOWHERE
        opened = action == "toggle" and door != NOWHERE and after.doors[door] == OPEN
        return opened and door + len(world.things) in clause.targets
    if clause.task == "pick up":
        return before.carried != after.carried and after.carried in clause.targets
    dropped = before.carried != NOWHERE and after.carried == NOWHERE and before.carried in clause.targets
    return dropped and any(next_to(world, front, where(world, after, number)) for number in clause.beside)


def next_to(world: World, cell: int, other: int) -> bool:
    """Whether two cells share a side."""
    return other != NOWHERE and abs(cell - other) in (1, world.width)


def to_do(mission: Mission, done: frozenset[Clause]) -> list[Clause]:
    """The clauses that count now."""
    return [each for each in mission.first if each not in done] or [each for each in mission.then if each not in done]


def progress(
    world: World, before: State, action: str, after: State, mission: Mission, done: frozenset[Clause]
) -> frozenset[Clause]:
    """The clauses that are done after an action; one that completes ``first`` may count for ``then`` too."""
    for _ in range(2):
        done |= {clause for clause in to_do(mission, done) if happens(world, before, action, after, clause)}
    return done


def draw_mission(
    world: World, state: State, tasks: Sequence[str], clauses: int, rng: np.random.Generator
) -> Mission | None:
    """A mission of 1 to ``clauses`` clauses, or ``None`` where none was found."""
    number = 1 + int(rng.integers(clauses))
    parts: list[Clause] = []
    for _ in range(_TRIES):
        clause = _draw_clause(world, state, tasks, rng)
        if clause is not None and not any(_overlap(clause, part) for part in parts):
            parts.append(clause)
        if len(parts) == number:
            split = 1 + int(rng.integers(min(2, number)))
            first, then = tuple(parts[:split]), tuple(parts[split:])
            return Mission(first, then, _say(first, then, after=bool(rng.integers(2))))
    return None


def _overlap(clause: Clause, other: Clause) -> bool:
    """Whether one action may do both: who opens a door has gone to it."""
    alike = clause.task == other.task or {clause.task, other.task} == {"go to", "open"}
    return alike and not set(clause.targets).isdisjoint(other.targets)


def _say(first: Sequence[Clause], then: Sequence[Clause], after: bool) -> str:
    one, other = (" and ".join(clause.text for clause in part) for part in (first, then))
    if not then:
        return one
    return f"{other} after you {one}" if after else f"{one}, then {other}"


def _draw_clause(world: World, state: State, tasks: Sequence[str], rng: np.random.Generator) -> Clause | None:
    """A clause, or ``None`` if the draw was no good: no door to open, or things that are together already."""
    task = tasks[int(rng.integers(len(tasks)))]
    things = range(len(world.things))
    doors = range(len(things), len(things) + len(world.doors))
    candidates = {"go to": [*things, *doors], "open": [*doors]}.get(task, [*things])
    if not candidates:
        return None
    targets, named = _describe(world, candidates, rng)
    if task != "put":
        return Clause(task, targets, (), f"{task} {named}")
    beside, other = _describe(world, [*things, *doors], rng)
    cells = [(state.cells[one], where(world, state, two)) for one in targets for two in beside]
    if set(targets) & set(beside) or any(next_to(world, *pair) for pair in cells):
        return None
    return Clause(task, targets, beside, f"put {named} next to {other}")


def _describe(world: World, candidates: Sequence[int], rng: np.random.Generator) -> tuple[tuple[int, ...], str]:
    """Everything that fits the words for a random candidate, and the words."""
    everything: list[Thing] = [*world.things, *world.doors]
    kind, colour = everything[candidates[int(rng.integers(len(candidates)))]]
    named = f"{colour} {kind}"
    if rng.random() < _NO_COLOUR:
        named = kind
    fitting = tuple(
        n for n, each in enumerate(everything) if each.kind == kind and (named == kind or each[1] == colour)
    )
    return fitting, f"{'the' if len(fitting) == 1 else 'a'} {named}"
