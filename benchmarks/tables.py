"""Standings as Markdown, CSV, JSON and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from agents.evaluation import Estimate
from benchmarks import statistics
from benchmarks.contestants import AS_PLAYED
from benchmarks.standings import Entry, Place, Standings, compare, leaderboard

_COLUMNS = ("contestant", "play", "IQM", "mean", "optimality gap", "success", "tasks", "runs", "trained tokens")
_LONG = (
    *("contestant", "kind", "play", "id", "level", "family", "seed", "backbone", "budget", "episodes", "score"),
    *("return", "success", "turns", "trained_tokens", "training_seconds", "evaluation_seconds", "said_tokens"),
)


def markdown(standings: Standings) -> str:
    """The leaderboard and the matrix of scores."""
    tasks = standings.tasks
    matrix = []
    for place in leaderboard(standings.entries, tasks):
        cells = [_score(place.entry, task) for task in tasks]
        matrix.append([_name(place.entry), *("–" if each is None else str(round(each)) for each in cells)])
    names = ("contestant", *(f"{_short(task.env_id)} {task.level}" for task in tasks))
    return f"{_table(_COLUMNS, _leaderboard(standings))}\n{_table(names, matrix)}"


def short(standings: Standings) -> str:
    """The leaderboard in Markdown, in which policies play one way, greedily if they did."""
    places = leaderboard(standings.acting(standings.ways[0]), standings.tasks)
    name, _, *columns = _COLUMNS
    return _table((name, *columns), [[name, *cells] for name, _, *cells in map(_row, places)])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    plain = str.maketrans({"|": "&#124;", "<": "&lt;", "&": "&amp;"})
    return "".join(f"| {' | '.join(each.translate(plain) for each in line)} |\n" for line in lines)


def latex(standings: Standings) -> str:
    """The leaderboard as a ``booktabs`` table."""
    lines = [r"\begin{tabular}{ll" + "r" * (len(_COLUMNS) - 2) + "}", r"\toprule"]
    lines += [" & ".join(_COLUMNS) + r" \\", r"\midrule"]
    for row in _leaderboard(standings):
        lines.append(" & ".join(_escape(each) for each in row) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def comma_separated(standings: Standings) -> str:
    """One line for each contestant, way, task and seed."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_LONG)
    for entry in standings.entries:
        for task, results in entry.results.items():
            for result, scores in zip(results, entry.runs[task], strict=True):
                cell, training = result["cell"], result.get("training", {})
                evaluation = result["evaluations"][entry.way]
                summary = evaluation["summary"]
                success = "" if summary["success"] is None else f"{summary['success']:.4f}"
                row = [entry.name, entry.kind, entry.way, *task, task.family, cell["seed"], cell["backbone"]]
                row += [cell["budget"], len(scores), f"{scores.mean():.4f}", f"{summary['return']:.6g}", success]
                row += [f"{summary['turns']:.4f}", training.get("tokens", ""), training.get("seconds", "")]
                writer.writerow([*row, evaluation["seconds"], evaluation["tokens"]["said"]])
    return file.getvalue()


def as_json(standings: Standings) -> str:
    """Leaderboard, scores by task, and every pair, for programs."""
    places = leaderboard(standings.entries, standings.tasks)
    told: dict[str, Any] = {
        "leaderboard": [
            {
                "contestant": place.entry.name,
                "play": place.entry.way,
                "kind": place.entry.kind,
                "iqm": place.iqm._asdict(),
                "mean": place.mean._asdict(),
                "optimality_gap": place.gap._asdict(),
                "success": place.entry.success(),
                "tasks": place.tasks,
                "of_tasks": place.of_tasks,
                "runs": place.runs,
                "cost": place.entry.cost(),
                "scores": {"/".join(task): _score(place.entry, task) for task in place.entry.results},
            }
            for place in places
        ],
        "pairs": [
            {
                "one": [one.entry.name, one.entry.way],
                "other": [other.entry.name, other.entry.way],
                "probability_of_improvement": pair.improvement._asdict(),
                "paired_difference": pair.difference and pair.difference._asdict(),
                "better": pair.better,
                "equal": pair.equal,
                "worse": pair.worse,
            }
            for one in places
            for other in places
            if one is not other and (pair := compare(one.entry, other.entry)) is not None
        ],
        "failed": [{"cell": each["cell"], "traceback": each["traceback"]} for each in standings.failed],
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


FORMATS = {"csv": comma_separated, "json": as_json, "latex": latex, "md": markdown}


def _leaderboard(standings: Standings) -> list[list[str]]:
    return [_row(place) for place in leaderboard(standings.entries, standings.tasks)]


def _row(place: Place) -> list[str]:
    success, tokens = place.entry.success(), place.entry.trained("tokens")
    return [
        place.entry.name,
        "" if place.entry.way == AS_PLAYED else place.entry.way,
        *(_interval(each) for each in (place.iqm, place.mean, place.gap)),
        "–" if success is None else f"{success:.2f}",
        f"{place.tasks} of {place.of_tasks}" if place.tasks < place.of_tasks else str(place.tasks),
        str(place.runs),
        "" if tokens is None else f"{tokens:,.0f}",
    ]


def _interval(found: Estimate) -> str:
    mean, low, high = map(round, found)  # a whole number has no negative zero
    return f"{mean} [{low}, {high}]"


def _score(entry: Entry, task: Any) -> float | None:
    if task not in entry.runs:
        return None
    return float(statistics.run_scores({task: entry.runs[task]}).mean())


def _name(entry: Entry) -> str:
    return entry.name if entry.way == AS_PLAYED else f"{entry.name}, {entry.way}"


def _short(env_id: str) -> str:
    return env_id.removeprefix("Text").removesuffix("-v0")


def _escape(text: str) -> str:
    special: dict[str, str | int | None] = {each: rf"\{each}" for each in "&%_#${}"}
    special |= {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "–": "--"}
    return text.translate(str.maketrans(special))
