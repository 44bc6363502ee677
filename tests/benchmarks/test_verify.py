"""A true file passes, and whatever is changed in it is found and named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import storage
from benchmarks.cells import run_cell
from benchmarks.cli import main
from benchmarks.suite import Cell, Suite
from benchmarks.verify import differences
from tests.benchmarks.conftest import GUESS, small_suite


@pytest.fixture(scope="module")
def expert() -> dict[str, Any]:
    return run_cell(next(cell for cell in small_suite(ids=(GUESS,)).cells() if cell.name == "expert"))


def changed(result: dict[str, Any], tamper: Callable[[dict[str, Any], dict[str, Any]], Any]) -> dict[str, Any]:
    copy = json.loads(json.dumps(result))
    tamper(copy, copy["evaluations"]["played"])
    return copy


def thoughts(piece: tuple[Any, ...]) -> dict[str, Any]:
    return {"measure": "Q-value", "turns": [[piece]]}


def test_true_results_pass(learning: Suite, expert: dict[str, Any]) -> None:
    assert differences(json.loads(json.dumps(expert))) == []
    for cell in replace(learning, learners=("dqn", "ppo")).cells():
        assert differences(json.loads(json.dumps(run_cell(cell)))) == []


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda r, e: e["episodes"][0]["rewards"].__setitem__(0, 5.0), "episode 1 earns 1.0 in turn 1, told is 5.0"),
        (lambda r, e: e["summary"].update({"return": 1.0}), "the return is told as 1.0, the episodes give 0."),
        (lambda r, e: e["summary"].update(success=0.5), "the success is told as 0.5, the episodes give 1.0"),
        (lambda r, e: e["summary"].pop("turns"), "the turns is told as None"),
        (lambda r, e: e["episodes"][1].update(success=False), "episode 2 has success True, told is False"),
        (lambda r, e: e["episodes"][1].update(end="truncated"), "episode 2 has end terminated, told is truncated"),
        (lambda r, e: e["episodes"][2].update(heard=1), "episode 3 is answered by the game in other words"),
        (lambda r, e: e["episodes"][2].update(seed=7), "episode 3 has seed 7, instances seed 1 gives"),
        (lambda r, e: e["episodes"][2]["said"].pop(), "episode 3 is not over after"),
        (lambda r, e: e["episodes"][2]["said"].append("8"), "episode 3 ends after"),
        (lambda r, e: e["episodes"].reverse(), "episode 1 has seed"),
        (lambda r, e: e["episodes"].pop(), "there are 5 episodes, the cell asks for 6"),
        (
            lambda r, e: e["transcripts"][1]["messages"][1].update(content="x"),
            "it has another messages",
        ),
        (lambda r, e: e["transcripts"].reverse(), "transcript 1 is not episode 1: it has another episode_seed"),
        (lambda r, e: e["transcripts"][0].update(env="this:Zen"), "transcript 1 is not episode 1: it has another env"),
        (lambda r, e: e["transcripts"][0]["kwargs"].update(game="this:Zen"), "it has another kwargs"),
        (lambda r, e: r["evaluations"].update(best=e), "it was played played, best: a policy plays"),
        (lambda r, e: r["cell"].update(episodes=10**12), "there are 6 episodes, the cell asks for 1000000000000"),
        (lambda r, e: r["cell"].update(name="mine"), "the digest is"),
        (lambda r, e: r["reference"].update(expert=0.1), "scores are made from"),
        (lambda r, e: r.update(status="failed"), "the cell failed"),
        (lambda r, e: r["evaluations"].clear(), "there are no episodes"),
        (lambda r, e: r.pop("evaluations"), "it is not whole: KeyError 'evaluations'"),
        (lambda r, e: e["episodes"].__setitem__(0, None), "it is not whole: TypeError"),
    ],
)
def test_what_was_changed_is_named(expert: dict[str, Any], tamper: Callable[..., Any], message: str) -> None:
    assert message in "\n".join(differences(changed(expert, tamper)))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"episodes": 2}, "suite small has episodes 2, it has 6"),
        ({"instances_seed": 4}, "suite small has instances_seed 4, it has 1"),
        ({"ways": ("sampled",)}, "suite small has ways ('sampled',)"),
        ({"levels": ("hard",)}, "at level easy is not in suite small"),
        ({"env": {"window": 99}}, "suite small plays with {'window': 99}, it with"),
        ({"budget": {"token": 1, "turn": 1, "choice": 1}}, "suite small has a budget of 1 steps there, it has"),
    ],
)
def test_what_is_not_of_the_suite_is_named(learning: Suite, other: dict[str, Any], message: str) -> None:
    suite = replace(learning, name="small")
    result = json.loads(json.dumps(run_cell(suite.cells()[-1])))
    assert differences(result, suite) == []
    assert message in "\n".join(differences(result, replace(suite, **other)))


def test_an_unknown_environment_is_not_imported(expert: dict[str, Any]) -> None:
    def tamper(result: dict[str, Any], _: Any) -> None:
        result["cell"].update(env_id="TextNowhere-v0", imports=["this"])
        result["digest"] = Cell.from_dict(result["cell"]).digest

    assert differences(changed(expert, tamper)) == [
        "no environment 'TextNowhere-v0' is registered: name its module with --imports"
    ]


def test_the_command(played: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.jsonl.xz"
    assert main(["pack", str(played), "--only", "expert", "--out", str(file)]) == 0
    assert main(["verify", str(file), str(played)]) == 0
    out = capsys.readouterr().out
    assert "mine.jsonl.xz: 2 cells, 12 episodes: every figure follows" in out
    assert "6 cells, 36 episodes: every figure follows" in out

    results = list(storage.read(file))
    results[0]["evaluations"]["played"]["summary"]["return"] = 99.0
    storage.write_submission(file, results)
    assert main(["verify", str(file)]) == 1
    out = capsys.readouterr().out
    assert "the return is told as 99.0, the episodes give" in out and "refused, 1 differences" in out

    assert main(["pack", str(played), "--only", "me", "--out", str(file)]) == 2
    assert main(["pack", str(played), "--out", str(tmp_path / "x.zip")]) == 2
    (tmp_path / "broken.jsonl.xz").write_bytes(file.read_bytes()[:100])
    assert main(["verify", str(tmp_path / "broken.jsonl.xz")]) == 2
    assert main(["verify", str(tmp_path / "none.json")]) == 2
    err = capsys.readouterr().err
    for message in ("--only me", ".jsonl.xz", "broken.jsonl.xz", "no results at"):
        assert message in err


def test_a_packed_file_is_the_same_each_time(played: Path, tmp_path: Path) -> None:
    results = list(storage.read(played))
    first = storage.write_submission(tmp_path / "a.jsonl.xz", results).read_bytes()
    assert storage.write_submission(tmp_path / "b.jsonl.xz", reversed(results)).read_bytes() == first
    assert sorted(each["digest"] for each in storage.read(tmp_path / "a.jsonl.xz")) == sorted(
        each["digest"] for each in results
    )


def test_whatever_was_said_can_be_packed(expert: dict[str, Any], tmp_path: Path) -> None:
    odd = changed(expert, lambda r, e: e["episodes"][0]["said"].__setitem__(0, "7\u2028 8\u0085"))
    path = storage.write_submission(tmp_path / "a.jsonl.xz", [odd])
    assert list(storage.read(path)) == [odd]


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda r, e: r.pop("started"), "started of the result is None"),
        (lambda r, e: r.update(evaluations=[1]), r"evaluations of the result is \[1\]"),
        (lambda r, e: r.update(cell=5), "not a cell: 5"),
        (lambda r, e: r["cell"].update(name=5), "its name is 5"),
        (lambda r, e: e.pop("seconds"), "seconds of evaluation 'played' is None"),
        (lambda r, e: e.pop("episodes"), "episodes of evaluation 'played' is None"),
        (lambda r, e: r.update(training={"seconds": 1, "timesteps": 1, "tokens": "lots", "curve": []}), "'lots'"),
        (lambda r, e: e.update(episodes=[[]]), r"a part of episodes of evaluation 'played' is \[\]"),
        (lambda r, e: e["transcripts"][0].update(messages=[7]), "a part of messages of a part of transcripts of"),
        (lambda r, e: e["transcripts"][0]["messages"].pop(), "a transcript of evaluation 'played' has no reward for"),
        (lambda r, e: e["transcripts"][0].update(thoughts=[]), "thoughts of evaluation 'played' is"),
        (lambda r, e: e["transcripts"][0].update(thoughts=thoughts(("7", 0.5))), "is \\['7', 0.5\\]"),
        (lambda r, e: e["transcripts"][0].update(thoughts=thoughts(("7", 0.5, [["8", "x"]]))), "is 'x'"),
    ],
)
def test_what_reports_could_not_tell_is_no_result(
    expert: dict[str, Any], tamper: Callable[..., Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(changed(expert, tamper)), "utf-8")
    with pytest.raises(ValueError, match=rf"a\.json: .*{message}"):
        list(storage.read(path))
