"""A small fixed suite gives the committed scores again, within their intervals.

After a change that is meant to move them, ``docs/benchmarks.md`` says how to make the file anew.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import statistics, storage
from benchmarks.cells import instances, reference, run_cell
from benchmarks.standings import arrange
from benchmarks.suite import Cell, load_suite
from benchmarks.verify import differences

COMMITTED = list(storage.read(Path(__file__).with_name("smoke.jsonl.xz")))
_SUBMITTED = ("hf:SmolLM2-135M-Instruct.Q4_1.gguf",)  # rows of players that the suite does not name
_LONG = 8  # seconds; cells above it are left to the long tests


def scores(result: dict[str, Any]) -> dict[str, np.ndarray]:
    """The scores of a result's episodes, by way."""
    return {entry.way: next(iter(entry.runs.values()))[0] for entry in arrange([result]).entries}


def name(result: dict[str, Any]) -> str:
    return f"{result['cell']['name']}-{result['cell']['env_id']}"


@pytest.mark.parametrize(
    "committed",
    [
        pytest.param(each, id=name(each), marks=[pytest.mark.slow] if each["seconds"] > _LONG else [])
        for each in COMMITTED
    ],
)
def test_scores_come_out_again(committed: dict[str, Any]) -> None:
    again = run_cell(Cell.from_dict(committed["cell"]))
    assert again["status"] == "done", again["traceback"]
    before, after = scores(committed), scores(again)
    assert before.keys() == after.keys()
    for way, episodes in before.items():
        found = statistics.estimate({"": [episodes]}, statistics.mean)
        mean = after[way].mean()
        assert found.low - 1e-9 <= mean <= found.high + 1e-9, f"{way}: {mean:.1f}, committed is {found:.1f}"


def test_the_committed_file_is_that_of_the_suite() -> None:
    assert {each["digest"] for each in COMMITTED} == {cell.digest for cell in load_suite("smoke").cells()}
    assert all(differences(each) == [] for each in COMMITTED)


def test_the_intervals_tell_players_apart() -> None:
    """So a score that moves from one player's to another's is seen."""
    for env_id in load_suite("smoke").ids:
        of = {each["cell"]["name"]: scores(each) for each in COMMITTED if each["cell"]["env_id"] == env_id}
        random, expert = (
            statistics.estimate({"": [of[who]["played"]]}, statistics.mean) for who in ("random", "expert")
        )
        assert random.high < expert.low


def test_committed_results_verify() -> None:
    """Those that ship with the package, by a sample: ``python -m benchmarks verify benchmarks/results`` checks all."""
    results = list(storage.read(storage.COMMITTED))
    core = load_suite("core")
    suite = replace(core, players=(*core.players, *_SUBMITTED))
    assert {each["digest"] for each in results} == {cell.digest for cell in suite.cells()}
    for each in results:  # what costs no replay holds for all of them
        cell = Cell.from_dict(each["cell"])
        assert each["reference"] == reference(cell.env_id, cell.level), name(each)
        seeds = instances(cell.env_id, cell.level, cell.instances_seed, cell.episodes)
        for evaluation in each["evaluations"].values():
            assert tuple(episode["seed"] for episode in evaluation["episodes"]) == seeds, name(each)
    for each in results[:: max(1, len(results) // 6)]:
        assert differences(each, load_suite("core")) == [], name(each)
