from __future__ import annotations

import contextlib
import copy
import re
import shutil
import subprocess
from pathlib import Path as RealPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.tools.file_system import Directory, FileSystem, Refused, show
from textenvs.games.tools.file_tasks import Clue, Task, _shipped, differences, draw_task
from textenvs.games.tools.shell import Shell

TREE: Directory = {
    "docs": {"old": {}, "page": "amber bell"},
    "home": {"song": "page", "map": "wool salt"},
    "row": "tea",
}


def system(tree: Directory = TREE) -> FileSystem:
    return FileSystem(copy.deepcopy(tree))


def start(goal: Directory, clues: list[Any], **knobs: Any) -> Shell:
    game = Shell(**knobs)
    game.reset(np.random.default_rng(0))
    game._task, game._system = Task(TREE, goal, "?", clues), system()
    game._first, game._progress = differences(TREE, goal), 0.0
    return game


# --- the file system ---


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("ls", "docs/, home/, row"),
        ("ls docs/old", "empty"),
        ("ls /row", "/row"),
        ("list the directory home", "map, song"),
        ("LS -la ./docs", "old/, page"),
        ("pwd", "in /"),
        ("cd docs/old/..", "in /docs"),
        ("go to /home", "in /home"),
        ("cat docs/page", "amber bell"),
        ("$ cat ~/home/../row", "tea"),
        ("show me the file row", "tea"),
        ("find page", "/docs/page"),
        ("find . -name page", "/docs/page"),
        ("find /home page", "nothing found"),
        ("find old", "/docs/old"),
        ("grep amber", "/docs/page: amber bell"),
        ("grep -r page .", "/home/song: page"),
        ("grep amb", "nothing found"),
        ("grep salt home/map", "/home/map: wool salt"),
        ("search for the word tea", "/row: tea"),
        ("**`cat row`**.", "tea"),
        ('"cat docs/page."', "amber bell"),
        ("cat 'row'.", "tea"),
        ("'cat' 'row'", "tea"),
        ("ls .", "docs/, home/, row"),
        ("cd docs/..", "in /"),
        ("ls docs/old/.", "empty"),
        ("`rm row`", "ok"),
        ("delete the directory docs", "ok"),
    ],
)
def test_what_commands_print(line: str, reply: str) -> None:
    assert system().run(line) == reply


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "commands are ls"),
        ("tidy up", "commands are ls"),
        ("ls docs home", "say ls"),
        ("ls nowhere", "no such file"),
        ("cd row", "no directory"),
        ("cat docs", "is a directory"),
        ("cat row > x", "say cat"),
        ("rm docs", "say rm -r"),
        ("cp docs x", "say cp -r"),
        ("rm *", "whole names"),
        ("rm home/*.", "whole names"),
        ("rm row; ls", "one command"),
        ("ls && pwd", "one command"),
        ("cat row | grep tea", "one command"),
        ("mv docs docs/old", "into itself"),
        ("mv row row", "into itself"),
        ("mv / docs", "you are in it"),
        ("mv row no/where", "no such directory"),
        ("mv home/song docs/page/x", "no such directory"),
        ("mkdir docs", "taken"),
        ("mkdir a/b", "no such directory"),
        ("mkdir .x", "names have"),
        ("mv docs row", "taken"),
        ("echo hi", "say echo"),
        ("echo hi > docs", "taken"),
        ("echo hi > a > b", "say echo"),
        ("echo hi >> row", "say echo"),
        ("find", "say find"),
    ],
)
def test_what_is_refused_changes_nothing(line: str, reason: str) -> None:
    shell = system()
    with pytest.raises(Refused, match=reason):
        shell.run(line)
    assert shell.root == TREE and shell.here == ()


@pytest.mark.parametrize(
    ("line", "path"), [("mkdir new.", ("new",)), ("**mkdir new**", ("new",)), ("echo a b > /docs/x!", ("docs", "x"))]
)
def test_what_is_written_around_a_command_is_in_no_name(line: str, path: tuple[str, ...]) -> None:
    shell = system()
    assert shell.run(line) == "ok" and shell.node(path) in ({}, "a b")


def test_the_current_directory_stays() -> None:
    shell = system()
    shell.run("cd docs/old")
    for line in ("rm -r /docs", "mv ../../docs /home", "rm -r ."):
        with pytest.raises(Refused, match="you are in it"):
            shell.run(line)
    shell.run("mv ../page .")
    assert shell.root["docs"] == {"old": {"page": "amber bell"}}


def test_there_is_room_for_64() -> None:
    shell = system()
    shell.run("mkdir a")
    with pytest.raises(Refused, match="full"):
        for i in range(20):
            shell.run(f"cp -r /docs /a/{i}")
    with pytest.raises(Refused, match="full"):
        for i in range(20):
            shell.run(f"echo x > /{i}")
    assert sum(1 for _ in shell.walk()) == 64


def real(root: RealPath) -> Directory:
    return {each.name: real(each) if each.is_dir() else each.read_text().strip() for each in root.iterdir()}


@pytest.mark.skipif(not all(map(shutil.which, ("mv", "cp", "rm", "mkdir"))), reason="needs the real commands")
def test_changes_are_those_of_the_real_commands(tmp_path: RealPath) -> None:
    rng, names, done, refused = np.random.default_rng(0), ["a", "b", "c"], 0, 0
    shell = FileSystem({})
    for i in range(400):
        one, other = ("/".join(names[int(n)] for n in rng.integers(3, size=int(rng.integers(1, 4)))) for _ in range(2))
        kinds = (
            "mkdir {0}",
            "mkdir {0}",
            "echo {2} > {0}",
            "mv {0} {1}",
            "cp -r {0} {1}",
            "rm -r {0}",
            "rm {0}",
            "cp {0} {1}",
        )
        line = kinds[int(rng.integers(len(kinds)))].format(one, other, i)
        before = copy.deepcopy(shell.root)
        try:
            shell.run(line)
        except Refused as error:
            assert shell.root == before
            if re.search("taken|full|into itself", str(error)):
                continue  # here the real ones merge directories, or do half of it
            wanted, refused = 1, refused + 1
        else:
            wanted, done = 0, done + 1
        run = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True)
        assert min(run.returncode, 1) == wanted, (line, before, run.stderr)
        assert real(tmp_path) == shell.root, line
    assert done > 40 and refused > 40


# --- the tasks ---


def changes(shell: FileSystem, goal: Directory) -> list[str]:
    """All commands that can bring anything nearer to the goal, and many more."""
    there, wanted = [path for path, _ in shell.walk()], dict(FileSystem(goal).walk())
    targets = sorted(show(path) for path in {(), *there, *wanted})
    lines = [f"{verb} {show(path)} {target}" for verb in ("mv", "cp -r") for path in there for target in targets]
    lines += [f"rm -r {show(path)}" for path in there] + [f"mkdir {show(path)}" for path in wanted]
    return lines + [f"echo {text} > {show(path)}" for path, text in wanted.items() if isinstance(text, str)]


def reached(root: Directory, goal: Directory, commands: int) -> bool:
    """Whether so many commands can reach the goal, by trying all."""
    states = [root]
    for _ in range(commands):
        after: dict[str, Directory] = {}
        for state in states:
            for line in changes(FileSystem(state), goal):
                shell = FileSystem(copy.deepcopy(state))
                with contextlib.suppress(Refused):
                    shell.run(line)
                after[str(sorted(shell.walk(), key=str))] = shell.root
        states = list(after.values())
    return goal in states


def play(game: Shell) -> tuple[list[str], list[str], float, bool]:
    said, told, total, done = [], [], 0.0, False
    while not done and len(said) < 200:
        said.append(game.expert_action())
        text, reward, done, _ = game.step(said[-1])
        told.append(text)
        total += reward
    return said, told, total, done


@pytest.mark.parametrize(("goals", "instances"), [(1, 60), (2, 30)])
def test_no_fewer_changes_reach_the_goal(goals: int, instances: int) -> None:
    game, rng, tried = Shell(goals=goals, depth=1, files=6), np.random.default_rng(goals), 0
    while tried < instances:
        game.reset(rng)
        said, _, _, done = play(game)
        changing = [line for line in said if line.split()[0] in ("mv", "cp", "rm", "mkdir", "echo")]
        assert done
        if len(changing) <= 2:
            assert not reached(game._task.root, game._task.goal, len(changing) - 1)
            tried += 1


@pytest.mark.parametrize("level", Shell.levels)
def test_the_expert_looks_for_what_it_does_not_know_and_for_nothing_else(level: str) -> None:
    game, rng, seen = Shell(**Shell.levels[level]), np.random.default_rng(0), set()
    for _ in range(150):
        opening = game.reset(rng)
        goals = opening.split(". you are in")[0].split("; ")
        known = ("write", "delete the directory") if game.depth == 1 else ("write",)
        looks = sum(1 + 2 * ("named in" in goal) for goal in goals if not goal.startswith(known))
        changes = sum(1 + goal.startswith("make") for goal in goals)
        said, told, total, done = play(game)
        assert done and len(said) == looks + changes <= game.max_turns
        assert total == pytest.approx(1 - game.cost * len(said))
        for i, line in enumerate(said):
            if line.split()[0] in ("mv", "cp", "rm", "cat"):
                path = next(word for word in line.split()[1:] if word != "-r")
                found = any(path in text.rstrip(".").replace(":", "").split(" ") for text in told[:i])
                assert found or (game.depth == 1 and line.startswith("rm -r")), said
        seen.add(game.instance())
    assert len(seen) == 150


@pytest.mark.parametrize("seed", range(12))
def test_the_expert_mends_what_went_wrong(seed: int) -> None:
    game, rng = Shell(goals=3, depth=2), np.random.default_rng(seed)
    game.reset(rng)
    for _ in range(8):
        lines = [*changes(game._system, game._task.goal), *(f"cd {show(path)}" for path, _ in game._system.walk())]
        if game.step(lines[int(rng.integers(len(lines)))]).terminated:
            return
    said, _, _, done = play(game)
    assert done, said


def test_all_kinds_of_goals_and_clues_are_drawn() -> None:
    rng = np.random.default_rng(0)
    texts = " ; ".join(draw_task(3, 2, 9, True, rng).text for _ in range(60))
    for told in (
        "delete the directory",
        "copy ",
        "make the directory",
        "move ",
        "rename ",
        "write ",
        "named in",
        "the word",
    ):
        assert told in texts
    words = [word for those in _shipped().values() for word in those]
    assert len({*words}) == len(words)


def test_an_episode() -> None:
    goal: Directory = {
        "docs": {"old": {"row": "tea"}},
        "home": {"song": "page", "map": "wool salt", "page": "amber bell"},
    }
    game = start(goal, [("amber bell", Clue("page", note="song")), ("tea", Clue("row"))])
    assert game._first == 4
    assert game.step("please tidy up").reward == -0.02
    assert game.step("find row") == ("/row.", -0.02, False, {})
    assert game.step("mv row docs").reward == -0.02  # gone from where it was, but one more in a wrong place
    assert game.step("mv docs/row /docs/old").reward == pytest.approx(0.5 - 0.02)
    assert game.expert_action() == "find song"
    game.step("find song")
    assert game.expert_action() == "cat /home/song"
    game.step("cat home/song")
    assert game.expert_action() == "find page"
    game.step("ls docs")
    assert game.expert_action() == "mv /docs/page /home"
    assert game.step("rm -r home").reward == pytest.approx(-0.5 - 0.02)
    assert game.step("mkdir home").text == "ok."
    assert game.step("echo page > home/song").text == "ok."
    assert game.step("echo wool salt > home/map").reward == pytest.approx(0.25 - 0.02)
    assert game.step("mv docs/page home") == ("ok. done.", pytest.approx(0.5 - 0.02), True, {"success": True})


@given(st.text() | st.text().map("mv {}".format) | st.text().map("echo {} > x".format))
def test_any_text_is_answered(text: str) -> None:
    game = start({}, [])
    assert game.step(text).text and game.expert_action()


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"goals": 4}, "goals must be 1 to 3, not 4"),
        ({"depth": 0}, "depth must be 1 to 3, not 0"),
        ({"files": 5}, "files must be 6 to 12, not 5"),
        ({"cost": 1}, "cost must be 0 to 0.1, not 1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shell(**knobs)
