"""Does every learner learn? ``python -m benchmarks learning`` trains each on a small game whose optimum is known.

A case says which game, model and settings. Its learner trains on one core and then plays episodes of the training split
greedily, from three seeds; random play and the exact expert play the same episodes. The slow tests run the same cases.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import agents
from agents.evaluation import Evaluation, evaluate
from agents.players import ExpertPlayer, Player, PolicyPlayer, RandomPlayer
from benchmarks.learning_cases import CASES, Case
from benchmarks.provenance import machine_line, write_text
from benchmarks.statistics import crossed

LEARNING = Path(__file__).with_name("learning.json")
GOAL = 0.9  # of the optimum, from every seed
SECONDS = 120  # of one core, for one training run
EPISODES = 200
_INSTANCES_SEED = 0


@dataclass(frozen=True)
class Run:
    """One training run: the episodes played after it and its processor seconds."""

    played: Evaluation
    seconds: float


def run_case(case: Case, seed: int, episodes: int = EPISODES) -> Run:
    """Train on one core and play."""
    with _one_thread():
        began = time.process_time()
        model = agents.make(
            case.learner, case.env_id, case.backbone, seed=seed, env_kwargs=case.env_kwargs, **case.settings
        )
        model.learn(case.steps)
        seconds = time.process_time() - began
        return Run(play(case, PolicyPlayer(model), episodes), seconds)


def play(case: Case, player: Player, episodes: int = EPISODES) -> Evaluation:
    """Episodes of the training split, the same ones for every player."""
    return evaluate(player, case.env_id, episodes, "train", case.level, seed=_INSTANCES_SEED, keep=0, **case.knobs)


def measure(name: str, case: Case, seeds: int, episodes: int = EPISODES) -> dict[str, Any]:
    """A row of the table, as JSON-able data.

    ``return`` and ``share`` are means with 95% intervals, for which runs and episodes are drawn anew; ``share`` is 0
    for random play and 1 for the optimum, ``of_optimum`` the plain quotient. ``reached``: every run has ``GOAL`` of the
    optimum and took no longer than ``SECONDS``.
    """
    runs = [run_case(case, seed, episodes) for seed in range(seeds)]
    random, optimum = (
        float(play(case, player, episodes).returns.mean()) for player in (RandomPlayer(), ExpertPlayer())
    )
    returns = np.stack([run.played.returns for run in runs])  # (seeds, episodes)
    seconds = [round(run.seconds, 1) for run in runs]
    means = returns.mean(axis=1)
    return {
        "case": name,
        **case.as_json(),
        "episodes": episodes,
        "random": random,
        "optimum": optimum,
        "returns": means.tolist(),
        "return": list(crossed(returns)),
        "share": list(crossed((returns - random) / (optimum - random))),
        "of_optimum": float(means.mean()) / optimum,
        "seconds": seconds,
        "reached": bool((means >= GOAL * optimum).all() and max(seconds) <= SECONDS),
        "machine": machine_line(),
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def run(learners: Sequence[str] | None, seeds: int, episodes: int, out: Path, console: Console) -> int:
    """Measure the cases of ``learners`` (``None``: all), print a table and write the rows to ``out``.

    Returns:
        0, or 1 where a case missed its goal.

    Raises:
        ValueError: a learner without a case, or numbers that are too small.
    """
    known = sorted({case.learner for case in CASES.values()})
    for name in learners or ():
        if name not in known:
            raise ValueError(f"there is no case for {name!r}: --learners takes {', '.join(known)}")
    if seeds < 1:
        raise ValueError(f"--seeds must be at least 1, not {seeds}")
    if episodes < 2:
        raise ValueError(f"--episodes must be at least 2, not {episodes}")
    rows: list[dict[str, Any]] = []
    for name, case in CASES.items():
        if learners and case.learner not in learners:
            continue
        row = measure(name, case, seeds, episodes)
        rows.append(row)
        told = ", ".join(f"{value:.3f}" for value in row["returns"])
        console.print(f"{name}: {told} of {row['optimum']:.3f}, at most {max(row['seconds']):.0f} s")
        _save(out, row)
    console.print(table(rows))
    console.print(f"{machine_line()}\n{out}")
    return 0 if all(row["reached"] for row in rows) else 1


def _save(path: Path, row: dict[str, Any]) -> None:
    """Put a row into a file in place of an older one of its case, in the order of ``CASES``."""
    rows = {each["case"]: each for each in read(path)} if path.is_file() else {}
    rows[row["case"]] = row
    kept = [rows[name] for name in CASES if name in rows]
    write_text(path, json.dumps({"rows": kept}, indent=1) + "\n")


def read(path: Path = LEARNING) -> list[dict[str, Any]]:
    """The rows that the command wrote; by default those committed with the project."""
    return json.loads(path.read_text("utf-8"))["rows"]


_COLUMNS = ("case", "game", "model", "steps", "random", "optimum", "return", "each seed", "share", "seconds", "")


def cells(row: Mapping[str, Any]) -> list[str]:
    """What a table shows of a row, in the order of ``_COLUMNS``."""
    knobs = "".join(f", {name}={value!r}" for name, value in row["knobs"].items())
    mean, low, high = row["return"]
    share, share_low, share_high = row["share"]
    return [
        row["case"],
        f"{row['env_id']}, {row['level']}{knobs}",
        row["backbone"] if isinstance(row["backbone"], str) else "random weights",
        f"{row['steps']:,}",
        f"{row['random']:.2f}",
        f"{row['optimum']:.2f}",
        f"{mean:.2f} [{low:.2f}, {high:.2f}]",
        ", ".join(f"{value:.2f}" for value in row["returns"]),
        f"{share:.0%} [{share_low:.0%}, {share_high:.0%}]",
        ", ".join(f"{value:.0f}" for value in row["seconds"]),
        "reached" if row["reached"] else "missed",
    ]


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows as a table for the screen."""
    shown = Table(title="Learning", caption="means with 95% intervals; share: 0% random play, 100% the optimum")
    for column in _COLUMNS:
        shown.add_column(column)
    for row in rows:
        shown.add_row(*cells(row))
    return shown


def markdown(rows: Sequence[Mapping[str, Any]], link: bool = False) -> str:
    """The rows as a table for a page.

    Args:
        rows: of ``read``.
        link: whether cases link to their learner's page.
    """
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    for row in rows:
        first, *rest = cells(row)
        if link:
            first = f"[{first}]({row['learner']}.md)"
        lines.append(f"| {' | '.join([first, *rest])} |")
    return "\n".join(lines)


def missing(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence that names the cases that no row is of; empty where there are none."""
    measured = {row["case"] for row in rows}
    names = [name for name in CASES if name not in measured]
    return f"Not measured yet with these settings: {'; '.join(names)}." if names else ""


def notes(rows: Sequence[Mapping[str, Any]], command: str) -> str:
    """What a reader has to know of such a table: how it was measured, by which command and on what."""
    seeds = max(len(row["returns"]) for row in rows)
    machines = "; ".join(sorted({row["machine"] for row in rows}))
    above = (
        " The expert does not use which instances are kept for testing, so a learner can have a little more than the "
        "optimum."
    )
    return (
        f"Mean return of {rows[0]['episodes']} greedy episodes of the training split after training from {seeds} "
        "seeds, with the 95% interval over seeds and episodes, and that of each seed; the share of the way from random "
        "play to the optimum, which the game's exact expert plays; processor seconds of each training run on one core. "
        f"Reached: from every seed {GOAL:.0%} of the optimum within {SECONDS} seconds. Measured by `{command}` on "
        f"{machines}.{above if any(max(row['returns']) > row['optimum'] for row in rows) else ''}"
    )
