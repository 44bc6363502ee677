"""The learning command measures, keeps and tells what each learner reached; the committed table is of these cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agents.learners import LEARNERS
from agents.players import ExpertPlayer, RandomPlayer
from benchmarks import learning, storage
from benchmarks.cli import main
from benchmarks.learning_cases import CASES, Case
from benchmarks.statistics import crossed

SMALL = {
    "bc, choice": Case("bc", 3000, {"n_starts": 32}, {"high": 4}),
    "ppo, choice": Case("ppo", 16, {"n_steps": 4, "batch_size": 16}, {"high": 4}, backbone="gru"),
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "CASES", SMALL)


def test_every_learner_has_a_case() -> None:
    assert {case.learner for case in CASES.values()} == {*LEARNERS}
    assert all(name.startswith(f"{case.learner}, {case.action_level}") for name, case in CASES.items())


def test_the_committed_table_is_of_these_cases() -> None:
    rows = {row["case"]: row for row in learning.read()}
    assert list(rows) == [name for name in CASES if name in rows]
    for name, row in rows.items():
        assert json.loads(json.dumps(CASES[name].as_json())).items() <= row.items(), f"measure {name} again"
        assert len(row["returns"]) == 3 and row["of_optimum"] == pytest.approx(np.mean(row["returns"]) / row["optimum"])
        near = min(row["returns"]) >= learning.GOAL * row["optimum"]
        assert row["reached"] == (near and max(row["seconds"]) <= learning.SECONDS)


def test_what_was_not_measured_is_named() -> None:
    assert learning.missing([{"case": name} for name in CASES]) == ""
    left_out = learning.missing([{"case": name} for name in [*CASES][1:]])
    assert left_out == f"Not measured yet with these settings: {next(iter(CASES))}."


@pytest.mark.usefixtures("small")
def test_the_command_measures_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "learning.json"
    command = ["learning", "--seeds", "2", "--episodes", "20", "--out", str(out)]
    assert main([*command, "--learners", "ppo"]) == 1, "nobody learns from 16 steps"
    capsys.readouterr()
    assert main([*command, "--learners", "bc"]) == 0
    told = capsys.readouterr().out
    assert "bc, choice: 0." in told and "TextGuessNumber-v0, easy" in told and "reached" in told
    imitator, beginner = learning.read(out)
    assert (imitator["case"], beginner["case"]) == tuple(SMALL)
    case = SMALL["bc, choice"]
    assert imitator["optimum"] == learning.play(case, ExpertPlayer(), 20).returns.mean()
    assert imitator["random"] == learning.play(case, RandomPlayer(), 20).returns.mean() < 0.8 * imitator["optimum"]
    assert len(imitator["returns"]) == len(imitator["seconds"]) == 2 and min(imitator["seconds"]) > 0
    assert imitator["reached"] and min(imitator["returns"]) >= 0.9 * imitator["optimum"]
    assert not beginner["reached"] and "torch" in beginner["machine"]
    mean, low, high = imitator["return"]
    assert low <= mean <= high and mean == pytest.approx(np.mean(imitator["returns"]))
    share = (mean - imitator["random"]) / (imitator["optimum"] - imitator["random"])
    assert imitator["share"][0] == pytest.approx(share)

    page = learning.markdown([imitator], link=True)
    assert "| [bc, choice](bc.md) | TextGuessNumber-v0, easy, high=4 | random weights | 3,000 |" in page
    assert "20 greedy episodes" in learning.notes([imitator], "a command") and "`a command`" in learning.notes(
        [imitator], "a command"
    )


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--learners", "none"], "there is no case for 'none': --learners takes bc, ppo"),
        (["--seeds", "0"], "--seeds must be at least 1, not 0"),
        (["--episodes", "1"], "--episodes must be at least 2, not 1"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["learning", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_committed_table_is_no_cell() -> None:
    assert learning.LEARNING.is_file()
    cells = list(storage.read(storage.COMMITTED))
    assert cells and all("cell" in each for each in cells)


def test_an_interval_over_runs_and_instances_is_wider_than_over_either() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 1)) + rng.normal(size=(1, 40))
    mean, low, high = crossed(values)
    assert mean == pytest.approx(values.mean()) and low < mean < high
    for one in (
        np.broadcast_to(values.mean(axis=0), values.shape),
        np.broadcast_to(values.mean(axis=1)[:, None], values.shape),
    ):
        _, least, most = crossed(one)
        assert 0 < most - least < high - low
    assert crossed(np.full((3, 4), 2.0)) == (2.0, 2.0, 2.0)
