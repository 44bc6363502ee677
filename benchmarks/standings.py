"""From results to standings: contestants, their scores on tasks, and how they compare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.evaluation import Estimate
from benchmarks import statistics, storage
from benchmarks.cells import ordered, reference
from benchmarks.contestants import AS_PLAYED
from benchmarks.statistics import Floats
from benchmarks.suite import WAYS
from textenvs.registration import ids, spec


class Task(NamedTuple):
    """An environment at a level."""

    env_id: str
    level: str

    @property
    def family(self) -> str:
        """The environment's family; ``"other"`` for one that is not registered here."""
        return spec(self.env_id).family if self.env_id in ids() else "other"


@dataclass
class Entry:
    """One contestant, acting one way.

    Attributes:
        name: what reports call the contestant.
        way: ``"greedy"``, ``"sampled"`` or ``"played"``.
        kind: ``"learner"`` or ``"player"``.
        results: task -> the results of its runs, by seed.
    """

    name: str
    way: str
    kind: str
    results: dict[Task, list[dict[str, Any]]] = field(default_factory=dict)

    @cached_property
    def runs(self) -> dict[Task, list[Floats]]:
        """Normalised scores: task -> for each run ``(episodes,)``."""
        return {task: [self._scores(task, each) for each in found] for task, found in self.results.items()}

    def only(self, tasks: Iterable[Task]) -> Entry:
        """The same contestant on these tasks."""
        return Entry(
            self.name, self.way, self.kind, {task: self.results[task] for task in tasks if task in self.results}
        )

    def evaluations(self) -> list[dict[str, Any]]:
        """What was played, of all runs."""
        return [each["evaluations"][self.way] for found in self.results.values() for each in found]

    def success(self) -> float | None:
        """The success rate, averaged over the tasks that can be won; ``None`` where there is none."""
        rates = []
        for found in self.results.values():
            won = [each["evaluations"][self.way]["summary"]["success"] for each in found]
            if None not in won:
                rates.append(np.mean(won))
        return float(np.mean(rates)) if rates else None

    def trained(self, what: str) -> float | None:
        """Mean ``"tokens"``, ``"seconds"`` or ``"parameters"`` of the runs' training; ``None`` for a player."""
        values = [each["training"][what] for found in self.results.values() for each in found if "training" in each]
        return float(np.mean(values)) if values else None

    def tokens(self) -> int:
        """Tokens said in all test episodes, as far as they are known."""
        return sum(each["tokens"].get("completion_tokens", each["tokens"]["said"]) for each in self.evaluations())

    def cost(self) -> float | None:
        """Dollars for all test episodes; ``None`` where the player has no price or does not count its tokens."""
        total, priced = 0.0, False
        for found in self.results.values():
            for each in found:
                tokens, price = each["evaluations"][self.way]["tokens"], each["cell"]["price"]
                if price is not None and "prompt_tokens" in tokens:
                    total += (price[0] * tokens["prompt_tokens"] + price[1] * tokens["completion_tokens"]) / 1e6
                    priced = True
        return total if priced else None

    def _scores(self, task: Task, result: dict[str, Any]) -> Floats:
        scale = scale_of(task, result)
        returns = np.array([sum(each["rewards"]) for each in result["evaluations"][self.way]["episodes"]])
        return 100.0 * (returns - scale["random"]) / (scale["expert"] - scale["random"])


def scale_of(task: Task, result: dict[str, Any]) -> dict[str, float]:
    """The mean returns that have the scores 0 and 100: the result's own where the environment is not registered here.

    Raises:
        ValueError: they make no scale.
    """
    try:
        return reference(*task)
    except KeyError:
        return ordered(*task, result["reference"])


class Place(NamedTuple):
    """A line of the leaderboard; ``tasks`` counts those that the entry has, of ``of_tasks``."""

    entry: Entry
    iqm: Estimate
    mean: Estimate
    gap: Estimate
    tasks: int
    of_tasks: int
    runs: int


@dataclass
class Standings:
    """Everything that reports tell.

    Attributes:
        entries: all contestants in all ways, by name.
        tasks: all tasks, by family.
        failed: results of cells that failed.
        results: those that did not.
    """

    entries: list[Entry]
    tasks: list[Task]
    failed: list[dict[str, Any]]
    results: list[dict[str, Any]]

    @property
    def levels(self) -> list[str]:
        """The levels that were played, in the order of the games."""
        return list(dict.fromkeys(task.level for task in self.tasks))

    @property
    def families(self) -> list[str]:
        """The families that were played."""
        return sorted({task.family for task in self.tasks})

    @property
    def ways(self) -> list[str]:
        """The ways that policies were played."""
        return [way for way in WAYS if any(entry.way == way for entry in self.entries)] or [WAYS[0]]

    def acting(self, way: str) -> list[Entry]:
        """The entries that act this way, with those that have one way only."""
        return [entry for entry in self.entries if entry.way in (way, AS_PLAYED)]

    def where(self, level: str | None = None, family: str | None = None) -> list[Task]:
        """The tasks of a level and family."""
        return [task for task in self.tasks if level in (None, task.level) and family in (None, task.family)]


def load(paths: Sequence[Path], baselines: bool = True) -> Standings:
    """The standings of all results in files and folders.

    Args:
        paths: of results; none takes the committed ones.
        baselines: add the committed results on the tasks of ``paths``.

    Raises:
        ValueError: a file that holds no results, or nothing but failed cells.
    """
    results: dict[str, dict[str, Any]] = {}
    paths = paths or [storage.COMMITTED]
    for path in paths:
        for each in storage.read(path):
            results.setdefault(each["digest"], each)
    tasks = {_task(each) for each in results.values()}
    if baselines and storage.COMMITTED.is_dir() and storage.COMMITTED not in [path.resolve() for path in paths]:
        for each in storage.read(storage.COMMITTED):
            if _task(each) in tasks:
                results.setdefault(each["digest"], each)
    return arrange(list(results.values()))


def arrange(results: Sequence[dict[str, Any]]) -> Standings:
    """The standings of results.

    Where a contestant has several results for the same task and seed, the latest counts.

    Raises:
        ValueError: no cell has finished.
    """
    done = [each for each in results if each["status"] == "done"]
    if not done:
        raise ValueError("no cell has finished: there is nothing to report")
    latest: dict[tuple[str, Task, int], dict[str, Any]] = {}
    for label, each in zip(_labels(done), done, strict=True):
        key = (label, _task(each), each["cell"]["seed"])
        if key not in latest or each["started"] > latest[key]["started"]:
            latest[key] = each
    entries: dict[tuple[str, str], Entry] = {}
    for (label, task, _), each in sorted(latest.items(), key=lambda item: item[0]):
        for way in each["evaluations"]:
            entry = entries.setdefault((label, way), Entry(label, way, each["cell"]["kind"]))
            entry.results.setdefault(task, []).append(each)
    order = {level: place for place, level in enumerate(("easy", "medium", "hard"))}
    tasks = sorted({task for _, task, _ in latest}, key=lambda each: (order.get(each.level, 3), each.family, *each))
    failed = [each for each in results if each["status"] != "done"]
    return Standings(list(entries.values()), tasks, failed, list(latest.values()))


def leaderboard(entries: Sequence[Entry], tasks: Sequence[Task]) -> list[Place]:
    """The entries on these tasks: those that have all of them first, then by interquartile mean."""
    places = []
    for entry in entries:
        own = entry.only(tasks)
        if own.results:
            iqm, mean, gap = (
                statistics.estimate(own.runs, each)
                for each in (statistics.interquartile_mean, statistics.mean, statistics.optimality_gap)
            )
            runs = sum(map(len, own.results.values()))
            places.append(Place(own, iqm, mean, gap, len(own.results), len(tasks), runs))
    return sorted(places, key=lambda place: (-place.tasks, -place.iqm.mean, place.entry.name))


class Pair(NamedTuple):
    """One entry against another on the tasks of both.

    ``better``, ``equal`` and ``worse`` are shares of the episodes; ``difference`` is ``None`` where the two did not
    play the same ones.
    """

    improvement: Estimate
    difference: Estimate | None
    better: float
    equal: float
    worse: float
    tasks: int


def compare(one: Entry, other: Entry) -> Pair | None:
    """One entry against another; ``None`` where they have no task in common."""
    common = [task for task in one.results if task in other.results]
    if not common:
        return None
    improvement = statistics.probability_of_improvement(one.runs, other.runs)
    if any(len(_instances(one, task) | _instances(other, task)) > 1 for task in common):
        return Pair(improvement, None, 0.0, 0.0, 0.0, len(common))
    signs = [np.sign(statistics.episode_differences(one.runs, other.runs, task)) for task in common]
    better, equal, worse = (float(np.mean([(each == sign).mean() for each in signs])) for sign in (1, 0, -1))
    difference = statistics.paired_difference(one.runs, other.runs)
    return Pair(improvement, difference, better, equal, worse, len(common))


def _instances(entry: Entry, task: Task) -> set[tuple[int, ...]]:
    return {
        tuple(episode["seed"] for episode in each["evaluations"][entry.way]["episodes"]) for each in entry.results[task]
    }


# What tells contestants of one name apart, as it stands in a cell.
_TELLING = ["kind", "learner", "action_level", "backbone", "settings"]
_TELLING += ["content", "env_kwargs", "budget", "episodes", "instances_seed"]


def _task(result: dict[str, Any]) -> Task:
    return Task(result["cell"]["env_id"], result["cell"]["level"])


def _labels(results: Sequence[dict[str, Any]]) -> list[str]:
    """What to call each result's contestant: its name, and what else it takes to tell it from others of that name."""
    labels = [each["cell"]["name"] for each in results]
    for name in _TELLING:
        seen: dict[tuple[str, Task, int], set[str]] = {}
        values = [json.dumps(each["cell"][name], sort_keys=True) for each in results]
        for label, each, value in zip(labels, results, values, strict=True):
            seen.setdefault((label, _task(each), each["cell"]["seed"]), set()).add(value)
        ambiguous = {label for (label, _, _), found in seen.items() if len(found) > 1}
        plain = [_plain(name, each["cell"][name]) for each in results]
        if len({*zip(plain, values, strict=True)}) > len({*plain}):  # two folders of one name, say
            plain = [str(each["cell"][name]) for each in results]
        labels = [f"{old}, {new}" if old in ambiguous and new else old for old, new in zip(labels, plain, strict=True)]
    return labels


def _plain(name: str, value: Any) -> str:
    if name == "backbone":
        return Path(value).name
    if name == "budget":
        return f"{value:,} steps" if value else ""
    if name in ("episodes", "instances_seed"):
        return f"{name} {value}"
    return " ".join(f"{key}={each}" for key, each in value.items()) if isinstance(value, dict) else value
