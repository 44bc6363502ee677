"""Standings as one self-contained page: statistics are made here, ``templates/report.js`` draws and filters them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from agents.evaluation import Estimate
from benchmarks import statistics
from benchmarks.standings import Entry, Standings, Task, compare, leaderboard, scale_of
from textenvs.env import load_game
from textenvs.registration import ids, spec

_TEMPLATES = Path(__file__).parent / "templates"
_THRESHOLDS = np.arange(-20, 125, 5, dtype=np.float64)
_POINTS = 25  # of a learning curve
_ALL = "all"


def html(standings: Standings, title: str = "textenvs benchmark", transcripts: int = 2) -> str:
    """The page.

    Args:
        standings: what it tells.
        title: its heading.
        transcripts: so many episodes of each contestant on each task.

    Raises:
        ValueError: a result holds a number that is not finite, or cannot be scored.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    told = payload(standings, transcripts)
    try:
        data = json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise ValueError(f"the results hold a number that no page can show, NaN or infinity: {error}") from error
    # In a script element only "</script" and "<!--" mean something.
    return environment.get_template("report.html").render(title=title, data=data.replace("<", "\\u003c"))


def payload(standings: Standings, transcripts: int) -> dict[str, Any]:
    """What the page's script draws, as JSON-able data; it names entries and tasks by their places in the lists."""
    entries, tasks = standings.entries, standings.tasks
    place_of = {id(entry): place for place, entry in enumerate(entries)}
    return {
        "made": datetime.date.today().isoformat(),
        "entries": [{"name": entry.name, "way": entry.way, "kind": entry.kind} for entry in entries],
        "tasks": [_about(task) for task in tasks],
        "levels": standings.levels,
        "families": standings.families,
        "ways": standings.ways,
        "thresholds": _THRESHOLDS.tolist(),
        "slices": {
            f"{level or _ALL}|{family or _ALL}|{way}": _slice(standings, level, family, way, place_of)
            for level in _each(standings.levels)
            for family in _each(standings.families)
            for way in standings.ways
            if standings.where(level, family)
        },
        "pairs": {
            f"{level or _ALL}|{way}": _pairs(standings, level, way, place_of)
            for level in _each(standings.levels)
            for way in standings.ways
        },
        "matrix": [_row(entry, tasks) for entry in entries],
        "curves": _curves(standings),
        "transcripts": _transcripts(standings, transcripts),
        "failed": [
            {"name": each["cell"]["name"], "task": [each["cell"]["env_id"], each["cell"]["level"]],
             "seed": each["cell"]["seed"], "traceback": each["traceback"]}
            for each in standings.failed
        ],
        "origin": _origin(standings),
    }  # fmt: skip


def _each(values: Sequence[str]) -> list[str | None]:
    """All together, and each by itself; one value by itself is all of them."""
    return [None, *(values if len(values) > 1 else ())]


def _about(task: Task) -> dict[str, Any]:
    about = ""
    if task.env_id in ids():
        page = load_game(spec(task.env_id).entry).__doc__ or ""
        about = " ".join(page.partition("\n\n")[0].split())
    return {"id": task.env_id, "level": task.level, "family": task.family, "about": about}


def _slice(
    standings: Standings, level: str | None, family: str | None, way: str, place_of: dict[int, int]
) -> dict[str, Any]:
    tasks = standings.where(level, family)
    own = {id(entry): entry for entry in standings.acting(way)}
    names = {(entry.name, entry.way): place_of[key] for key, entry in own.items()}
    rows, profiles = [], {}
    for place in leaderboard(list(own.values()), tasks):
        entry = place.entry
        where = names[entry.name, entry.way]
        rows.append(
            {
                "entry": where,
                "iqm": _numbers(place.iqm),
                "mean": _numbers(place.mean),
                "gap": _numbers(place.gap),
                "success": _rounded(entry.success()),
                "tasks": place.tasks,
                "of": place.of_tasks,
                "runs": place.runs,
                "trained": _rounded(entry.trained("tokens"), 0),
                "seconds": _rounded(entry.trained("seconds"), 1),
                "parameters": _rounded(entry.trained("parameters"), 0),
                "said": entry.tokens(),
                "cost": _rounded(entry.cost(), 4),
            }
        )
        curves = statistics.performance_profile(entry.runs, _THRESHOLDS)
        profiles[where] = [[_rounded(value) for value in curve] for curve in curves]
    return {"rows": rows, "profiles": profiles}


def _pairs(standings: Standings, level: str | None, way: str, place_of: dict[int, int]) -> list[list[Any]]:
    """``[entry, other, improvement, difference or null, better, equal, worse, tasks]`` of each two entries."""
    tasks = standings.where(level)
    own = [(place_of[id(entry)], entry.only(tasks)) for entry in standings.acting(way)]
    found = []
    for place, one in own:
        for against, other in own:
            pair = compare(one, other) if place < against else None  # the page turns it round
            if pair is not None:
                difference = None if pair.difference is None else _numbers(pair.difference)
                shares = [_rounded(each) for each in (pair.better, pair.equal, pair.worse)]
                found.append([place, against, _numbers(pair.improvement, 3), difference, *shares, pair.tasks])
    return found


def _row(entry: Entry, tasks: Sequence[Task]) -> list[list[Any] | None]:
    """``[score's estimate, success, return, runs]`` of each task."""
    row: list[list[Any] | None] = []
    for task in tasks:
        if task not in entry.results:
            row.append(None)
            continue
        summaries = [each["evaluations"][entry.way]["summary"] for each in entry.results[task]]
        won = [each["success"] for each in summaries]
        success = None if None in won else _rounded(np.mean(won))
        score = statistics.estimate({task: entry.runs[task]}, statistics.mean)
        mean_return = _rounded(np.mean([each["return"] for each in summaries]))
        row.append([_numbers(score), success, mean_return, len(summaries)])
    return row


def _curves(standings: Standings) -> list[list[dict[str, Any]]]:
    """For each task the curves of all runs: ``points`` are ``[tokens, episodes, seconds, score, success]``."""
    found: dict[Task, dict[tuple[str, int], dict[str, Any]]] = {task: {} for task in standings.tasks}
    for entry in standings.entries:
        for task, results in entry.results.items():
            scale = scale_of(task, results[0])
            for each in results:
                curve = each.get("training", {}).get("curve")
                if curve:
                    which = np.unique(np.linspace(0, len(curve) - 1, _POINTS).round().astype(int))
                    found[task][entry.name, each["cell"]["seed"]] = {
                        "name": entry.name,
                        "seed": each["cell"]["seed"],
                        "points": [_point(curve[int(place)], scale) for place in which],
                    }
    return [list(found[task].values()) for task in standings.tasks]


def _point(point: dict[str, Any], scale: dict[str, float]) -> list[float | None]:
    score = 100 * (point["return"] - scale["random"]) / (scale["expert"] - scale["random"])
    success = _rounded(point["success"])
    return [point["tokens"], point["episodes"], _rounded(point["seconds"], 1), _rounded(score, 1), success]


def _transcripts(standings: Standings, number: int) -> list[dict[str, Any]]:
    """The first episodes of each entry's first run on each task."""
    found = []
    for place, entry in enumerate(standings.entries):
        for task, results in entry.results.items():
            evaluation = results[0]["evaluations"][entry.way]
            for episode, (each, scores) in enumerate(
                zip(evaluation["transcripts"][:number], entry.runs[task][0], strict=False)
            ):
                found.append(
                    {
                        "entry": place,
                        "task": standings.tasks.index(task),
                        "episode": episode,
                        "seed": results[0]["cell"]["seed"],
                        "score": _rounded(scores, 0),
                        "success": each["success"],
                        "ended": each["terminated"],
                        "said": [message["content"] for message in each["messages"]],
                        "rewards": each["rewards"],
                        "thoughts": each["thoughts"],
                    }
                )
    return found


def _origin(standings: Standings) -> dict[str, Any]:
    """Where the results come from, each kind of thing once."""
    results = standings.results
    machines = [each.get("machine", {}) for each in results]
    cells = [each["cell"] for each in results]
    return {
        "cells": len(results),
        "failed": len(standings.failed),
        "hours": round(sum(each.get("seconds", 0) for each in results) / 3600, 2),
        "from": min(each["started"] for each in results)[:10],
        "to": max(each["started"] for each in results)[:10],
        "machines": sorted({f"{each.get('processor')}, {each.get('cores')} cores" for each in machines}),
        "versions": sorted({", ".join(f"{k} {v}" for k, v in each["versions"].items()) for each in results}),
        "episodes": sorted({each["episodes"] for each in cells}),
        "instances": sorted({each["instances_seed"] for each in cells}),
        "seeds": sorted({each["seed"] for each in cells}),
    }


def _numbers(found: Estimate, digits: int = 1) -> list[float]:
    return [round(each, digits) + 0.0 for each in found]


def _rounded(value: Any, digits: int = 3) -> float | None:
    return None if value is None else round(float(value), digits) + 0.0
