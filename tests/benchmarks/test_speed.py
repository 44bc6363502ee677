"""The speed command: its arithmetic, its table and file, and its manners where something is missing."""

import argparse
import json
from array import array
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu, speed, speed_profile
from benchmarks.speed_decode import generate
from benchmarks.speed_group import reward_of, word_tokenizer
from benchmarks.speed_growth import bytes_of, compare_memory, draw_growth
from benchmarks.speed_measure import Comparison, compare, interleaved, machine
from benchmarks.speed_training import compare_ppo


def test_rounds_are_interleaved_and_the_first_ones_warm_up() -> None:
    calls: list[str] = []
    taken = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b") or 2.0}, repeats=2, warm_up=1)
    assert calls == ["a", "b"] * 3
    assert taken["b"] == [2.0, 2.0] and len(taken["a"]) == 2


def test_a_ratio_is_the_median_over_rounds_with_their_extremes() -> None:
    taken = {"slow": [2.0, 8.0, 3.0], "fast": [1.0, 2.0, 1.0]}
    found = compare(taken, "slow", "fast", "work", 12.0, "tokens/s", goal=3.5)
    assert found.ratio == 3.0 and found.spread == (2.0, 4.0) and found.reached is False
    assert found.values == {"slow": 4.0, "fast": 12.0}


def test_names_are_run_saved_and_left_out_politely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one(args: argparse.Namespace) -> list[Comparison]:
        return [Comparison("one", "other", "s", 2.0, (1.5, 2.5), 1.5)]

    def missing(args: argparse.Namespace) -> list[Comparison]:
        raise ImportError("needs a package")

    monkeypatch.setattr(speed, "COMPARISONS", {"one": (one, "a thing"), "missing": (missing, "another")})
    assert speed.main(["--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "speed.json").read_text())
    assert [row["name"] for row in document["comparisons"]] == ["one"] and document["comparisons"][0]["reached"]
    assert document["machine"]["torch"] == torch.__version__
    assert speed.main(["missing", "--out", str(tmp_path)]) == 1
    with pytest.raises(ValueError, match="unknown comparison 'none'"):
        speed.main(["none"])
    page = tmp_path / "page.md"
    page.write_text("<!-- speed:start -->\nold\n<!-- speed:end -->\nrest\n")
    assert speed.main(["one", "--out", str(tmp_path), "--page", str(page)]) == 0
    text = page.read_text()
    assert "| one | other | 2 (1.5 to 2.5) | 1.5, reached |" in text and "old" not in text and text.endswith("rest\n")
    (tmp_path / "speed.json").unlink()
    page.write_text("no marks")
    with pytest.raises(ValueError, match="lacks the marks"):
        speed.main(["one", "--out", str(tmp_path), "--page", str(page)])
    assert not (tmp_path / "speed.json").exists()  # nothing was measured


def test_the_page_shows_the_committed_measurements() -> None:
    page = (Path(__file__).parents[2] / "docs" / "speed.md").read_text("utf-8")
    assert speed.markdown(json.loads(speed.COMMITTED.read_text("utf-8"))) in page


def test_models_are_asked_for_by_name() -> None:
    args = argparse.Namespace(model=None, repeats=1, clock="wall")
    with pytest.raises(ImportError, match="--model"):
        speed.COMPARISONS["decode"][0](args)


def test_packed_ppo_beats_plain_ppo() -> None:
    found = compare_ppo(16, 15.0, repeats=1, clock="cpu")
    assert found.ratio > 4  # far below what it is, so that a busy machine does not fail it


def test_bytes_are_counted_once() -> None:
    numbers = np.zeros(1000, dtype=np.int32)
    assert 8000 < bytes_of([numbers, numbers, numbers[:10], array("H", [1] * 2000)]) < 8500


def test_replay_of_a_few_thousand_tokens_is_small() -> None:
    found = compare_memory(steps=4000, window=512, num_envs=4)
    assert found.values["packed"] < found.values["whole"] / 20


def test_generation_continues_every_row() -> None:
    from agents.backbones import load_backbone

    backbone = load_backbone("tiny")
    ids = torch.randint(10, 2000, (3, 12))
    torch.manual_seed(0)
    written = generate(backbone, ids, 4)
    assert written.shape == (3, 16) and (written[:, :12] == ids).all()


def test_the_words_of_the_group_game_are_tokens() -> None:
    tokenizer = word_tokenizer()
    assert len(tokenizer) == 1024 and len(tokenizer("w1 w2 w1019")["input_ids"]) == 3
    assert reward_of("w7 w17 w3 w4") == 0.5 and reward_of("") == 0.0


def test_growth_is_drawn(tmp_path: Path) -> None:
    draw_growth({"window": {64: 1.0, 128: 2.0}, "batch": {1: 3.0}, "environments": {1: 3.0}}, tmp_path / "growth.svg")
    assert "<svg" in (tmp_path / "growth.svg").read_text()


def test_without_a_gpu_the_script_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 0
    assert "no GPU" in capsys.readouterr().out


def test_the_gpu_script_measures_on_a_processor_too(tmp_path: Path) -> None:
    small = ["--device", "cpu", "--sizes", "nano", "--rows", "2", "--context", "32", "--new", "4", "--repeats", "1"]
    assert gpu.main([*small, "--array", "100000", "--product", "64", "--out", str(tmp_path / "gpu.json")]) == 0
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert [row[1] for row in rows] == ["decode, batch 2", "decode, batch 2, recorded graph", "packed training"]
    assert all(row[4] > 0 for row in rows)


def test_the_profile_is_of_both_ways(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, small in (("_ROWS", 4), ("_STEPS", 4), ("_BATCH", 16)):
        monkeypatch.setattr(speed_profile, name, small)
    before, after = (speed_profile.measure(each, 1) for each in (True, False))
    assert before.keys() == after.keys() == {"a step of the rollout", "a gradient step"}
    for parts in (*before.values(), *after.values()):
        assert 0 < parts["attention"] + parts["all layers, compiled"] < parts["all of torch"]
    assert before["a step of the rollout"]["drawing"] > 0 == after["a gradient step"]["drawing"]
    assert speed_profile.main(["--rounds", "1"]) == 0
    assert "a gradient step" in capsys.readouterr().out


def test_the_machine_is_described() -> None:
    assert {"processor", "cores", "threads", "torch", "AMX"} <= machine().keys()
