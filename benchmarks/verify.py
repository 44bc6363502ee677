"""Hold recorded results against the games: replay every episode and recompute every figure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import textenvs
from benchmarks.cells import compact, instances, reference, summary
from benchmarks.suite import Cell, Suite
from textenvs import recording

_TOLERANCE = 1e-9  # of figures that are sums and means of the same numbers


def differences(result: dict[str, Any], suite: Suite | None = None) -> list[str]:
    """What a result tells otherwise than the games do, a sentence each; nothing for a true one.

    The test episodes must be those of the cell's seed, each must come out of the game as it is told when its
    utterances are said again, and the figures must follow from them. Who said them, and what training took, cannot
    be seen from a file.

    Args:
        result: of a cell, from ``storage.read``.
        suite: the cell must be one of this suite, but for its contestant.
    """
    found: list[str] = []
    try:
        if suite is not None:
            found += _foreign(Cell.from_dict(result["cell"]), suite)
        for each in _differences(result):
            found.append(each)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        found.append(f"it is not whole: {type(error).__name__} {error}")
    return found


def _differences(result: dict[str, Any]) -> Iterator[str]:
    cell = Cell.from_dict(result["cell"])
    if result["digest"] != cell.digest:
        yield f"the digest is {result['digest']}, that of its cell is {cell.digest}"
    if result["status"] != "done":
        yield "the cell failed: leave it out"
        return
    if cell.env_id not in textenvs.ids():  # a stranger's file must not say what is imported here
        yield f"no environment {cell.env_id!r} is registered: name its module with --imports"
        return
    if result["reference"] != reference(cell.env_id, cell.level):
        yield f"scores are made from {result['reference']}, measured is {reference(cell.env_id, cell.level)}"
    if not result["evaluations"]:
        yield "there are no episodes"
    elif set(result["evaluations"]) not in ({"played"}, set(cell.ways)):
        yield f"it was played {', '.join(result['evaluations'])}: a policy plays {', '.join(cell.ways)}, others once"
    for way, evaluation in result["evaluations"].items():
        for found in _of_evaluation(cell, evaluation):
            yield f"{way}, {found}"


def _foreign(cell: Cell, suite: Suite) -> Iterator[str]:
    """What makes a cell none of the suite's, whoever its contestant is."""
    if (cell.env_id, cell.level) not in suite.tasks():
        yield f"{cell.env_id} at level {cell.level} is not in suite {suite.name}"
    for name in ("episodes", "instances_seed", "ways"):
        if getattr(cell, name) != getattr(suite, name):
            yield f"suite {suite.name} has {name} {getattr(suite, name)}, it has {getattr(cell, name)}"
    learns = cell.kind == "learner"
    played = {**cell.env_kwargs, "constrain": 0}  # which goes with some levels only
    if played != {**suite.env, "constrain": 0} and (learns or cell.env_kwargs):  # players of text are given none
        yield f"suite {suite.name} plays with {dict(suite.env)}, it with {dict(cell.env_kwargs)}"
    budget = suite.budget.get(cell.action_level, 0) if learns else 0
    if cell.budget != budget:
        yield f"suite {suite.name} has a budget of {budget} steps there, it has {cell.budget}"


def _of_evaluation(cell: Cell, evaluation: dict[str, Any]) -> Iterator[str]:
    episodes = evaluation["episodes"]
    if len(episodes) != cell.episodes:
        yield f"there are {len(episodes)} episodes, the cell asks for {cell.episodes}"
        return
    seeds = instances(cell.env_id, cell.level, cell.instances_seed, cell.episodes)
    played = []
    for number, (episode, seed) in enumerate(zip(episodes, seeds, strict=True), 1):
        if episode["seed"] != seed:
            yield f"episode {number} has seed {episode['seed']}, instances seed {cell.instances_seed} gives {seed}"
            return
        again = recording.replay(cell.env_id, "", seed, episode["said"], level=cell.level, split="test")
        played.append(again)
        yield from (f"episode {number} {found}" for found in _of_episode(episode, again))
    told, recomputed = evaluation["summary"], summary(played)
    for name, value in recomputed.items():
        if not _same(told.get(name), value):
            yield f"the {name} is told as {told.get(name)}, the episodes give {value}"
    for number, transcript in enumerate(evaluation["transcripts"], 1):
        fields = asdict(played[number - 1]).items()
        if wrong := [name for name, value in fields if name != "player" and transcript[name] != value]:
            yield f"transcript {number} is not episode {number}: it has another {', '.join(wrong)}"


def _of_episode(told: dict[str, Any], again: recording.Recording) -> Iterator[str]:
    found = compact(again)
    if len(told["said"]) != len(found["said"]) or not (again.terminated or again.truncated):
        over = "ends" if again.terminated or again.truncated else "is not over"
        yield f"{over} after {len(found['said'])} turns, told are {len(told['said'])}"
        return
    for turn, (said, value) in enumerate(zip(told["rewards"], found["rewards"], strict=False), 1):
        if said != value:
            yield f"earns {value} in turn {turn}, told is {said}"
            return
    for name, text in (("rewards", "rewards"), ("success", "success"), ("end", "end")):
        if told[name] != found[name]:
            yield f"has {text} {found[name]}, told is {told[name]}"
    if told["heard"] != found["heard"]:
        yield "is answered by the game in other words than were recorded"


def _same(told: Any, value: float | None) -> bool:
    if told is None or value is None:
        return told is value
    return isinstance(told, int | float) and math.isclose(told, value, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
