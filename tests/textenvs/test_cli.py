from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from textenvs import ids
from textenvs.cli import main

GUESS = "TextGuessNumber-v0"


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "path", list(sys.path))


def answer(monkeypatch: pytest.MonkeyPatch, lines: list[str], end: type[BaseException] = EOFError) -> None:
    """Type these lines, then leave."""

    def typed() -> Iterator[str]:
        yield from lines
        raise end

    source = typed()
    monkeypatch.setattr("builtins.input", lambda _: next(source))


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(id in out for id in ids())
    assert "0.84" in out and "words" in out and "medium" in out


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", GUESS]) == 0
    out = capsys.readouterr().out
    assert "Example transcript" in out and "## " not in out


@pytest.mark.parametrize("command", ["show", "check", "play"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("TextGuesNumber-v0", f"did you mean '{GUESS}'?"),
        ("textguessnumber", f"did you mean '{GUESS}'?"),
        ("zzz", f"there are {', '.join(ids())}"),
        ("no_such_module:Game", "No module named 'no_such_module'"),
        ("textenvs.game:Gane", "has no attribute 'Gane'"),
        ("textenvs.game:Turn", "must be 'module:Class' or a Game class"),
    ],
)
def test_unknown_games(command: str, name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, name]) == 2
    err = capsys.readouterr().err
    assert message in err and err.startswith("textenvs: error: ") and err.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "play"])
def test_unknown_levels(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, GUESS, "--level", "meduim"]) == 2
    assert "has no level 'meduim': did you mean 'medium'?" in capsys.readouterr().err


def test_new_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "WordHuntCli", "--family", "words"]) == 0
    assert capsys.readouterr().out.split() == ["word_hunt_cli.py", "test_word_hunt_cli.py"]
    assert main(["check", "word_hunt_cli:WordHuntCli", "--level", "easy"]) == 0
    assert "FAILED" not in capsys.readouterr().out
    assert main(["new", "WordHuntCli"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["new", "Word Hunt"]) == 2
    assert "CamelCase" in capsys.readouterr().err
    assert main(["new", "Rich"]) == 2
    assert "a package in use" in capsys.readouterr().err


def test_check_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    main(["new", "BrokenCli"])
    path = tmp_path / "broken_cli.py"
    path.write_text(path.read_text("utf-8").replace("## Source", "## Sauce"), "utf-8")
    assert main(["check", "broken_cli:BrokenCli", "--level", "easy"]) == 1
    assert "the page lacks Source" in capsys.readouterr().out
    (tmp_path / "unreadable_cli.py").write_text("def (")
    assert main(["check", "unreadable_cli:Game"]) == 2
    assert "SyntaxError" in capsys.readouterr().err


def test_play_to_the_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer(monkeypatch, ["help", "/valid", "what?", *map(str, range(1, 9))])
    assert main(["play", GUESS, "--level", "easy", "--seed", "1"]) == 0
    out = capsys.readouterr().out
    assert "Free text with a number in it" in out
    assert "\n7\n8\n" in out
    assert "please say a number from 1 to 8." in out
    assert "won after" in out or "lost after 8 turns" in out


def test_the_seed_fixes_the_episode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(2):
        answer(monkeypatch, ["down", "right", "down"])
        main(["play", "TextFrozenLake-v0", "--seed", "5"])
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_leaving_is_polite(
    end: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, ["what?"], end)
    assert main(["play", GUESS]) == 0
    assert capsys.readouterr().out.endswith("stopped after 1 turn; score -0.10\n")


def test_a_negative_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play", GUESS, "--seed", "-1"]) == 2
    assert "--seed must not be negative" in capsys.readouterr().err


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "textenvs", "show", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
