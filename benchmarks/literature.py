"""``python -m benchmarks literature``: results of the suite ``literature`` beside the published ones of its tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import statistics
from benchmarks.contestants import AS_PLAYED
from benchmarks.standings import Entry, Standings, Task
from benchmarks.statistics import Floats

COMMITTED = Path(__file__).with_name("literature.jsonl.xz")
LEVEL = "easy"
DATA = "imperfect:0.5"  # the player whose episodes are imitated
WAY = "sampled"
LEARNERS = {
    "bc": "BC",
    "filtered_bc": "filtered BC",
    "mc": "MC returns",
    "ilql": "ILQL",
    "ppo": "PPO",
    "online_filtered_bc": "online filtered BC",
}


@dataclass(frozen=True)
class Published:
    """A row of Abdulhai et al. 2023, table 2, in the order of ``LEARNERS``.

    0 is the lowest possible return, 50 the mean of the data, 100 the highest possible.
    """

    task: str
    scores: tuple[float, ...]


LMRL_GYM: dict[str, tuple[Published, ...]] = {
    "TextMaze-v0": (
        Published("Maze, fully observed", (58.2, 68.9, 75.0, 99.9, 79.7, 57.4)),
        Published("Maze, partially observed", (53.1, 50.1, 52.4, 76.3, 42.4, 53.1)),
    ),
    "TextWordle-v0": (Published("Wordle", (79.9, 79.1, 94.9, 97.7, 84.2, 95.2)),),
    "TextChessEndgame-v0": (Published("Chess endgames", (35.1, 17.7, 50.2, 45.8, 77.5, 36.2)),),
    "TextTwentyQuestions-v0": (Published("Twenty questions", (57.1, 77.1, 87.1, 82.9, 72.9, 55.2)),),
    "TextGuessCity-v0": (Published("Guess my city", (30.0, 48.0, 88.0, 75.0, 49.9, 31.6)),),
}
WORLDS = ("TextRobot-v0", "TextTreasure-v0", "TextCooking-v0")


def markdown(standings: Standings) -> str:
    """Both tables.

    Raises:
        ValueError: none of the suite's tasks is among the results.
    """
    tasks = {task.env_id: task for task in standings.tasks if task.level == LEVEL}
    played = [tasks[env_id] for env_id in LMRL_GYM if env_id in tasks]
    worlds = [tasks[env_id] for env_id in WORLDS if env_id in tasks]
    if not played and not worlds:
        raise ValueError(f"the results hold none of {', '.join([*LMRL_GYM, *WORLDS])}: run the suite literature first")
    tables = []
    if played:
        rows = [["task", *LEARNERS.values()], ["---"] * (len(LEARNERS) + 1)]
        for task in played:
            for published in LMRL_GYM[task.env_id]:
                rows.append([f"LMRL-Gym: {published.task}", *map(str, published.scores)])
            normalise = _normalisation(standings, task)
            cells = [_cell(_entry(standings, name, task), task, normalise) for name in LEARNERS]
            rows.append([f"**{task.env_id}**", *cells])
        tables.append(rows)
    if worlds:
        players = {"random": "random", **LEARNERS, DATA: "the data", "expert": "expert"}
        rows = [["task", *players.values()], ["---"] * (len(players) + 1)]
        for task in worlds:
            rows.append([f"**{task.env_id}**", *(_success(_entry(standings, name, task), task) for name in players)])
        tables.append(rows)
    return "\n\n".join("\n".join(f"| {' | '.join(row)} |" for row in table) for table in tables) + "\n"


def _entry(standings: Standings, name: str, task: Task) -> Entry | None:
    """The contestant as it played the task, if it did."""
    return next(
        (
            each
            for each in standings.entries
            if each.name == name and each.way in (WAY, AS_PLAYED) and task in each.results
        ),
        None,
    )


def _returns(entry: Entry, task: Task) -> list[Floats]:
    """Returns of the episodes of each run."""
    return [
        np.array([sum(episode["rewards"]) for episode in each["evaluations"][entry.way]["episodes"]])
        for each in entry.results.get(task, ())
    ]


def _normalisation(standings: Standings, task: Task) -> Callable[[Floats], Floats]:
    """That of LMRL-Gym, with the lowest and the highest return that anybody had in place of the possible ones."""
    returns = [run for entry in standings.entries for run in _returns(entry, task)]
    data = _entry(standings, DATA, task)
    if data is None:
        raise ValueError(f"player {DATA} has not played {task.env_id}: its mean return is 50")
    low, high = (float(bound(np.concatenate(returns))) for bound in (np.min, np.max))
    middle = float(np.concatenate(_returns(data, task)).mean())

    def normalise(mean: Floats) -> Floats:
        return np.interp(mean, [low, middle, high], [0.0, 50.0, 100.0])

    return normalise


def _cell(entry: Entry | None, task: Task, normalise: Callable[[Floats], Floats]) -> str:
    if entry is None:
        return "–"
    found = statistics.estimate({task: _returns(entry, task)}, lambda means: normalise(statistics.mean(means)))
    return f"{found:.0f}"


def _success(entry: Entry | None, task: Task) -> str:
    if entry is None:
        return "–"
    won: Sequence[Floats] = [
        np.array([float(episode["success"]) for episode in each["evaluations"][entry.way]["episodes"]])
        for each in entry.results[task]
    ]
    return f"{statistics.estimate({task: won}, statistics.mean):.2f}"
