"""Cells are whole or absent, whatever happens to the processes that play them."""

import functools
import io
import json
import math
import operator
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from rich.console import Console

import agents
from agents.learners import LEARNERS
from benchmarks import storage
from benchmarks.cells import defaults, instances, run_cell, tokens_of
from benchmarks.cli import main
from benchmarks.runner import run
from benchmarks.suite import Cell, Suite
from tests.benchmarks.conftest import BANDIT, GUESS, small_suite
from textenvs import Game, Turn, registration
from textenvs.env import TextEnv
from textenvs.registration import spec

ROOT = Path(__file__).parent.parent.parent


def without_times(result: dict[str, Any]) -> str:
    """A result without what differs from run to run."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items() if name not in ("seconds", "started")}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return json.dumps(plain(result), sort_keys=True)


def results(folder: Path) -> dict[str, dict[str, Any]]:
    return {each["digest"]: each for each in storage.read(folder)}


def test_a_cell_goes_through_json() -> None:
    for cell in small_suite().cells():
        assert Cell.from_dict(json.loads(json.dumps(asdict(cell)))) == cell
    with pytest.raises(ValueError, match="budget"):
        Cell.from_dict({name: value for name, value in asdict(cell).items() if name != "budget"})


def test_rewards_may_be_added_up_more_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sum`` compensates for rounding from Python 3.12 on; returns are added up reward by reward."""
    cell = next(each for each in small_suite().cells() if each.env_id == GUESS and each.name == "random")
    monkeypatch.setattr("benchmarks.cells.sum", math.fsum, raising=False)
    exact = run_cell(cell)
    assert exact["status"] == "done", exact
    rewards = [each["rewards"] for each in exact["evaluations"]["played"]["episodes"]]
    assert any(math.fsum(own) != functools.reduce(operator.add, own) for own in rewards)


def test_the_digest_stands_for_what_is_played() -> None:
    cell = small_suite().cells()[0]
    assert replace(cell, price=(1.0, 2.0)).digest == cell.digest
    assert len({cell.digest, replace(cell, episodes=7).digest, replace(cell, content="x").digest}) == 3


@pytest.mark.parametrize("learner", sorted(LEARNERS))
def test_a_learner_is_trained_and_plays_both_ways(learning: Suite, learner: str) -> None:
    (cell,) = replace(learning, learners=(learner,)).cells()
    result = run_cell(cell)
    assert result["status"] == "done", result.get("traceback")
    assert result["training"]["timesteps"] >= cell.budget
    for last in result["training"]["curve"][-1:]:  # a learner from recorded episodes plays none itself
        assert 0 < last["episodes"] <= last["timesteps"] <= result["training"]["timesteps"]
        assert last["tokens"] >= last["timesteps"]
        assert last["tokens"] == last["timesteps"] or cell.action_level != "token"
    seeds = [*instances(GUESS, "easy", 1, 6)]
    for evaluation in result["evaluations"].values():
        assert [each["seed"] for each in evaluation["episodes"]] == seeds
        assert evaluation["tokens"]["said"] > 0
        assert len(evaluation["transcripts"]) == 2
        for transcript in evaluation["transcripts"]:
            thoughts = transcript["thoughts"]
            assert thoughts["measure"] == {"dqn": "Q-value", "ppo": "log-probability"}.get(learner, thoughts["measure"])
            said = [each["content"] for each in transcript["messages"] if each["role"] == "assistant"]
            assert len(thoughts["turns"]) == len(said)
            for pieces, text in zip(thoughts["turns"], said, strict=True):
                told = "".join(piece[0] for piece in pieces if piece[0] != "<end>")
                assert told == text or "\ufffd" in told + text  # pieces of a character have no text of their own
    greedy, sampled = (result["evaluations"][way] for way in ("greedy", "sampled"))
    if learner == "ppo":
        assert greedy["episodes"] != sampled["episodes"]


def test_greedy_play_says_the_strongest(learning: Suite) -> None:
    (cell,) = replace(learning, learners=("dqn",)).cells()
    for transcript in run_cell(cell)["evaluations"]["greedy"]["transcripts"]:
        for pieces in transcript["thoughts"]["turns"]:
            for _, value, others in pieces:
                assert all(value >= other for _, other in others)


def test_tokens_are_counted_at_each_level() -> None:
    def spaces(action_level: str) -> tuple[Any, Any]:
        env: Any = TextEnv(
            spec(GUESS).entry, level="easy", action_level=action_level, window=64, max_utterance_tokens=4
        )
        observation, _ = env.reset(seed=0)
        return env, np.stack([observation, observation])

    env, seen = spaces("token")
    assert tokens_of(np.array([5, 6]), seen, env.observation_space, env.action_space) == 2
    env, seen = spaces("turn")
    end, pad = env.tokenizer.end_id, env.tokenizer.pad_id
    actions = np.array([[9, 9, end, pad], [9, 9, 9, 9]])
    assert tokens_of(actions, seen, env.observation_space, env.action_space) == 3 + 4
    env, seen = spaces("choice")
    expected = sum(len(env.tokenizer.encode(env.valid_actions()[index])) + 1 for index in (0, 7))
    assert tokens_of(np.array([0, 7]), seen, env.observation_space, env.action_space) == expected


def test_two_processes_give_the_same(learning: Suite, tmp_path: Path) -> None:
    cells = replace(learning, learners=("ppo", "dqn"), players=("random",)).cells()
    for jobs, name in ((0, "one"), (1, "two")):
        assert run(cells, tmp_path / name, jobs) == (len(cells), 0)
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert one.keys() == two.keys() == {cell.digest for cell in cells}
    for digest, result in one.items():
        assert without_times(result) == without_times(two[digest])
    assert not list((tmp_path / "two").glob("*.log"))


def test_a_result_of_other_defaults_or_weights_is_not_todays(
    learning: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = replace(learning, learners=("ppo",), players=("random", "model:tiny")).cells()
    played = run_cell(next(cell for cell in cells if cell.name == "random" and cell.seed == 0))
    for cell in cells:
        told = {"digest": cell.digest, "cell": asdict(cell), "defaults": defaults(cell)}
        storage.write_cell(tmp_path, {**played, **told})
    by_name = {cell.name: cell for cell in cells}
    assert "weights" in defaults(by_name["model:tiny"]) and defaults(by_name["random"]) == {}
    assert defaults(by_name["ppo"])["keywords"]["learning_rate"] == LEARNERS["ppo"].defaults["learning_rate"]

    def finished() -> set[str]:
        return {name for name, cell in by_name.items() if storage.finished(tmp_path, cell)}

    assert finished() == {"ppo", "random", "model:tiny"}
    monkeypatch.setitem(LEARNERS, "ppo", replace(LEARNERS["ppo"], defaults={**LEARNERS["ppo"].defaults, "n_epochs": 9}))
    assert finished() == {"random", "model:tiny"}
    monkeypatch.setattr("benchmarks.cells.digest_of", lambda path: "other")
    assert finished() == {"random"}
    monkeypatch.setattr(storage, "instances", lambda *task: [7])  # the game draws its test episodes otherwise now
    assert finished() == set()


class Unscored(Game):
    """Say anything."""

    def reset(self, rng: np.random.Generator) -> str:
        return "speak"

    def step(self, action: str) -> Turn:
        return Turn("heard", 1.0, True)


class Unranked(Unscored):
    """Say anything: nobody is better than another."""

    def expert_action(self) -> str:
        return "hello"


def test_a_game_without_a_scale_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "_table", dict(registration._table))
    monkeypatch.setattr(agents, "make", lambda *_, **__: pytest.fail("it was trained"))
    told = {
        "TextUnscored-v0": "Unscored has no expert player",
        "TextUnranked-v0": "random play must lie below the expert",
    }
    try:
        for env_id, game in (("TextUnscored-v0", Unscored), ("TextUnranked-v0", Unranked)):
            registration.register_game(env_id, game)
            (level,) = game.levels
            cell = Cell("learner", "bc", env_id, level, backbone="tiny", budget=8, action_level="token")
            assert f"ValueError: {env_id}" in (found := run_cell(cell)["traceback"]) and told[env_id] in found
    finally:
        for env_id in told:
            gymnasium.registry.pop(env_id, None)


class Falls:
    """A player who raises in one game, and in another ends its process."""

    name, action_level = "falls", "turn"

    def act(self, envs: Any, observations: Any) -> Any:
        if "number" in envs[0].transcript[0][1]:
            raise ArithmeticError("no good at [b]numbers[/i]")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_failed_cell_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    name = "tests.benchmarks.test_run:Falls"
    cells = small_suite(players=(name, "expert"), seeds=1).cells()
    screen = Console(file=io.StringIO(), width=80)
    assert run(cells, tmp_path, jobs=1, console=screen) == (2, 2)
    reasons = re.findall(r"^failed: \S+\.json: (.*)$", screen.file.getvalue(), re.MULTILINE)  # type: ignore[attr-defined]
    assert sorted(reasons) == [
        "ArithmeticError: no good at [b]numbers[/i]",
        "the process ended with code -9 (a negative one is the signal)",
    ]
    found = {(each["cell"]["name"], each["cell"]["env_id"]): each for each in storage.read(tmp_path)}
    assert "ArithmeticError: no good at" in found[name, GUESS]["traceback"]
    assert "ended with code -9" in found[name, BANDIT]["traceback"]
    assert found["expert", GUESS]["status"] == found["expert", BANDIT]["status"] == "done"
    assert [storage.finished(tmp_path, cell) for cell in cells] == [False, False, True, True]


def test_what_is_finished_is_not_played_again(tmp_path: Path) -> None:
    cells = small_suite(players=("expert",)).cells()
    assert run(cells[:1], tmp_path, jobs=0) == (1, 0)
    first = tmp_path / cells[0].filename
    (tmp_path / f".{first.name}.abcd").write_text("{")
    content, changed = first.read_bytes(), first.stat().st_mtime_ns
    assert run(cells, tmp_path, jobs=0) == (2, 0)
    assert first.read_bytes() == content and first.stat().st_mtime_ns == changed
    first.write_text(content.decode()[:-20])  # as no write of ours leaves it
    assert run(cells, tmp_path, jobs=0) == (2, 0)
    assert without_times(json.loads(first.read_text())) == without_times(json.loads(content))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock") == sorted(
        cell.filename for cell in cells
    )
    assert run([replace(cell, price=(1.0, 2.0)) for cell in cells], tmp_path, jobs=0) == (2, 0)  # a new price
    assert json.loads(first.read_text())["cell"]["price"] == [1.0, 2.0]
    assert without_times(json.loads(first.read_text())) == without_times(json.loads(content)).replace(
        '"price": null', '"price": [1.0, 2.0]'
    )


SLOW = """
import os, time
count = 0
def say(messages):
    global count
    count += 1
    if count > 8 and not os.path.exists("go"):
        time.sleep(60)
    return "4"
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """``kill -9`` amid the third cell, a second run refused before; the same command then plays the rest, and no worker
    is left.
    """
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "own.toml").write_text(
        f'ids = ["{BANDIT}", "{GUESS}"]\nplayers = ["expert", "slow:say"]\nseeds = 1\nepisodes = 6\n'
    )
    command = [sys.executable, "-m", "benchmarks", "run", "own.toml", "--out", "out", "--jobs", "1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "out").glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    meanwhile = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert meanwhile.returncode and "another run writes into out" in meanwhile.stdout + meanwhile.stderr
    running.send_signal(signal.SIGKILL)
    running.wait()
    finished = results(tmp_path / "out")
    assert len(finished) == 2, "the run must be amid its third cell"
    while time.monotonic() < deadline:
        try:
            os.killpg(running.pid, 0)  # the group lives while a worker does
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("a worker outlived its run")

    (tmp_path / "go").touch()
    again = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 of 4 cells are finished already" in again.stdout and "4 of 4 cells finished, 0 failed" in again.stdout
    after = results(tmp_path / "out")
    assert len(after) == 4 and all(each["status"] == "done" for each in after.values())
    for digest, result in finished.items():
        assert after[digest] == result


def test_cells_on_a_ray_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is an optional extra: pip install 'textenvs[ray]'")
    cells = small_suite(seeds=1).cells()
    assert run(cells, tmp_path / "ray", ray="local") == (4, 0)
    run(cells, tmp_path / "here", jobs=0)
    there, here = results(tmp_path / "ray"), results(tmp_path / "here")
    assert {digest: without_times(each) for digest, each in there.items()} == {
        digest: without_times(each) for digest, each in here.items()
    }


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "smoke", "--players", "expert", "--ids", GUESS, "--episodes", "3", "--jobs", "0"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "1 of 1 cells finished, 0 failed" in out and f"python -m benchmarks report {tmp_path}" in out
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("core", "full", "smoke", "words", "openai:URL#MODEL", "module:function"))
    assert all(name in out for name in LEARNERS)
    assert main(["list", "smoke"]) == 0
    assert "model:tiny" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "cor"], "did you mean 'core'?"),
        (["run", "none.toml"], "none.toml"),
        (["run", "smoke", "--learners", "pppo"], "did you mean 'ppo'?"),
        (["run", "smoke", "--players", "expret"], "did you mean 'expert'?"),
        (["run", "smoke", "--players", "nothing:here"], "No module named 'nothing'"),
        (["run", "smoke", "--players", "json:nothing"], "no 'nothing'"),
        (["run", "smoke", "--players", "hf"], "must be written hf:NAME"),
        (["run", "smoke", "--players", "checkpoint:nowhere"], "no file or folder 'nowhere'"),
        (["run", "smoke", "--ids", "TextGuesNumber-v0"], f"did you mean '{GUESS}'?"),
        (["run", "smoke", "--levels", "eassy"], "level 'eassy'"),
        (["run", "smoke", "--episodes", "1"], "episodes must be an integer of at least 2"),
        (["run", "smoke", "--jobs", "-1"], "--jobs must not be negative"),
        (["run", "smoke", "--budget", "0"], "--budget must be at least 1"),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
