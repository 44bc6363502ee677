"""The guides are followed to the letter: their commands run, and their programs, in an empty folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agents.learners.table import LEARNERS
from textenvs import registration

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS = ("textenvs", "agents", "python")


@pytest.mark.parametrize("name", ["add_a_game", "add_a_learner"])
def test_a_guide_can_be_followed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registration, "_table", dict(registration._table))
    before = dict(LEARNERS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    request.addfinalizer(lambda: (LEARNERS.clear(), LEARNERS.update(before)))
    follow(name)


def test_recorded_episodes_are_learned_as_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    follow("training", "Learn from recorded episodes")


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("A loop of one's own", None),
        ("TorchRL", "torchrl"),
        ("Tianshou", "tianshou"),
        ("TRL", "trl"),
        ("Text in, text out", None),
    ],
)
def test_other_libraries_train_as_told(
    name: str, library: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if library is not None:
        pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    follow("other_libraries", name)


def follow(name: str, section: str | None = None) -> None:
    """Run the commands and programs of a guide, or of one of its sections."""
    guide = DOCS / f"{name}.md"
    told = guide.read_text("utf-8")
    if section is not None:
        told = told.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = BLOCK.findall(told)
    assert blocks, f"{guide.name} has nothing to follow"
    for language, text in blocks:
        if language == "python":
            exec(compile(text, str(guide), "exec"), {"__name__": "guide"})
        else:
            for line in text.splitlines():
                command, *arguments = shlex.split(line)
                assert command in COMMANDS, f"{guide.name} runs {command!r}"
                module = [] if command == "python" else ["-m", command]
                done = subprocess.run([sys.executable, *module, *arguments], capture_output=True, text=True)
                assert done.returncode == 0, done.stdout + done.stderr
