"""The demo writes one self-contained report, or nothing."""

import argparse
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.evaluation import evaluate
from agents.players import ExpertPlayer, RandomPlayer
from benchmarks import demo

VOID = {"meta", "img", "br", "source"}
SMALL = ["--timesteps", "256", "--episodes", "3", "--seeds", "2", "--level", "easy", "--seed", "4"]


class Checker(HTMLParser):
    """Holds a page against being well formed, and collects the addresses in it."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout of 256 tokens."""
    monkeypatch.setattr(demo, "PPO", {**demo.PPO, "num_envs": 4, "n_steps": 64, "batch_size": 128})


def test_report_is_whole_and_self_contained(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert demo.main([*SMALL, "--out", str(out)]) == 0
    assert str(out / "report.html") in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "results.json", "tiny-4", "tiny-5"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

    html = (out / "report.html").read_text("utf-8")
    checker = Checker()
    checker.feed(html)
    assert checker.open == [] and len(checker.addresses) == 4
    assert all(address.startswith("data:image/svg+xml;base64,") for address in checker.addresses)
    assert not re.search(r"url\(|@import|<script|<link", html)
    names = [
        *("random", "tiny before, sampled", "tiny before, greedy", "expert"),
        *(
            f"tiny after, {way}, {which}"
            for way in ("sampled", "greedy")
            for which in ("seed 4", "seed 5", "all seeds")
        ),
    ]
    assert all(f"<td>{name}</td>" in html for name in names)
    assert "drawn at random from all test episodes" in html
    assert "--timesteps 256 --episodes 3" in html

    results = json.loads((out / "results.json").read_text("utf-8"))
    assert sorted(row["name"] for row in results["rows"]) == sorted(names)
    assert [run["seed"] for run in results["runs"]] == [4, 5]
    seeds = [tuple(episodes["episode_seeds"]) for episodes in results["episodes"]]
    assert len(set(seeds)) == 1 and len(seeds[0]) == 3


def test_an_interrupted_demo_leaves_what_was_there(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("old")

    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "report", stop)
    assert demo.main([*SMALL[:4], "--out", str(tmp_path / "out")]) == 130
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "report.html"]
    assert (tmp_path / "out" / "report.html").read_text() == "old"


def test_pairs_say_how_they_were_chosen() -> None:
    lost, won = (evaluate(player, demo.ENV_ID, 12, keep=12) for player in (RandomPlayer(), ExpertPlayer()))
    assert lost.successes is not None
    found = demo.pairs(lost, won, np.random.default_rng(0))
    assert len(found) == 3
    for pair in found[:2]:
        assert not pair["sides"][0]["won"] and pair["sides"][1]["won"]
        assert pair["note"].startswith(f"picked: one of {int((~lost.successes).sum())} of 12")
    assert "random" in found[2]["note"]
    for pair in found:
        one, other = (side["lines"][0] for side in pair["sides"])
        assert one == other, "the same user opens both"
    assert len(demo.pairs(won, won, np.random.default_rng(0))) == 1


def test_readme_gets_the_table_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- demo:start -->\nold\n<!-- demo:end -->\nb\n")
    monkeypatch.setattr(demo, "_README", readme)
    rows = [evaluate(ExpertPlayer(), demo.ENV_ID, 3)]
    demo.update_readme(rows, argparse.Namespace(given=["--seeds", "1", "--out", "a folder"], episodes=3, level="easy"))
    text = readme.read_text()
    assert text.startswith("a\n<!-- demo:start -->\n`python -m benchmarks.demo --seeds 1`")
    assert text.endswith("<!-- demo:end -->\nb\n") and "old" not in text and "| expert | 0." in text


@pytest.mark.parametrize("wrong", [["--episodes", "1"], ["--seeds", "0"], ["--level", "hardest"]])
def test_wrong_arguments_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        demo.main(wrong)
    assert stopped.value.code == 2 and wrong[0] in capsys.readouterr().err
