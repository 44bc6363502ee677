from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from tests.textenvs.toys import Toy
from textenvs import recording, registration
from textenvs.cli import main
from textenvs.registration import register_game
from textenvs.scores import random_player

GUESS = "TextGuessNumber-v0"
OPEN = "TextCorrection-v0"  # lists no admissible utterances


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_line_is_a_chat() -> None:
    (episode,) = recording.record(GUESS, "expert", recording.expert_who_errs(), 1, seed=3, level="easy", split="test")
    line = json.loads(episode.to_json())
    roles = [message["role"] for message in line["messages"]]
    assert roles == ["user", *["assistant", "user"] * len(line["rewards"])]
    assert line["messages"][0]["content"] == "i think of a number from 1 to 8. guess it."
    assert line["messages"][1]["content"] == "4"
    assert line["return"] == pytest.approx(1.1 - 0.1 * len(line["rewards"])) and line["success"] is True
    assert line["kwargs"] == {"level": "easy", "split": "test"}
    assert recording.Recording.from_json(episode.to_json()) == episode


def test_the_seed_fixes_the_recording() -> None:
    def lines(seed: int) -> list[str]:
        speak = recording.expert_who_errs(0.5)
        return [each.to_json() for each in recording.record(GUESS, "expert", speak, 5, seed=seed)]

    assert lines(1) == lines(1) != lines(2)


@pytest.mark.parametrize("id", [GUESS, OPEN, "TextDialogue-v0"])
@pytest.mark.parametrize("speak", [recording.expert_who_errs(0.3), random_player])
def test_what_is_recorded_comes_out_again(id: str, speak: recording.Speaker) -> None:
    for episode in recording.record(id, "player", speak, 4, level="hard"):
        assert recording.difference(episode) is None


def test_a_replay_is_the_recording() -> None:
    for episode in recording.record(GUESS, "player", random_player, 4, level="easy"):
        said = [*episode.utterances, "after the end"]
        assert recording.replay(GUESS, "player", episode.episode_seed, said, level="easy") == episode
        part = recording.replay(GUESS, "player", episode.episode_seed, said[:1], level="easy")
        assert part.rewards == episode.rewards[:1] and part.terminated == (len(episode.rewards) == 1)


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (lambda line: line["rewards"].__setitem__(0, 5.0), "turn 1 earns -0.1, recorded was 5.0"),
        (lambda line: line["messages"][2].update(content="warm"), "recorded was 'warm'"),
        (lambda line: line["messages"][0].update(content="hello"), "the opening is"),
        (lambda line: line.update(success=not line["success"]), "the end is"),
        (lambda line: line["rewards"].pop(), "do not fit"),
        (lambda line: line.update(messages=[*line["messages"], *line["messages"][1:3]], rewards=[*line["rewards"], 1]),
         "the episode ended after"),
    ],
)  # fmt: skip
def test_what_was_changed_is_found(tamper: Callable[[dict], object], message: str) -> None:
    (episode,) = recording.record(GUESS, "expert", recording.expert_who_errs(), 1, seed=4, level="easy")
    line = json.loads(episode.to_json())
    assert len(line["rewards"]) > 1
    tamper(line)
    assert message in (recording.difference(recording.Recording.from_json(json.dumps(line))) or "")


def test_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "record", GUESS, "--episodes", "6", "--level", "easy")
    file, dataset = f"recordings/{GUESS}-easy-expert.jsonl", "textenvs/TextGuessNumber/easy-expert-v0"
    assert (code, err) == (0, "") and f"{file}: 6 episodes, mean return 0.8" in out and dataset in out
    code, out, err = run(capsys, "replay", file, dataset)
    assert (code, err) == (0, "") and out.count("6 of 6 episodes came out the same") == 2

    lines = Path(file).read_text("utf-8").splitlines()
    changed = json.loads(lines[2])
    changed["rewards"][0] = 9.0
    Path("changed.jsonl").write_text("\n".join([*lines[:2], json.dumps(changed)]), "utf-8")
    code, out, _ = run(capsys, "replay", "changed.jsonl")
    assert code == 1 and "2 of 3 episodes came out the same" in out and "episode 3: turn 1 earns" in out


def test_a_minari_dataset() -> None:
    minari = pytest.importorskip("minari")
    episodes = list(recording.record(OPEN, "random", random_player, 3))
    recording.write_minari(episodes, "textenvs/Correction/random-v0")
    dataset = minari.load_dataset("textenvs/Correction/random-v0")
    env = dataset.recover_environment()
    assert dataset.total_episodes == 3 and dataset.spec.total_steps == sum(len(each.rewards) for each in episodes)
    assert dataset.storage.metadata["ref_max_score"] == pytest.approx(1.0, abs=0.05)
    for recorded, episode in zip(dataset.iterate_episodes(), episodes, strict=True):
        assert recorded.observations.shape == (len(episode.rewards) + 1, *env.observation_space.shape)
        assert all(env.action_space.contains(action) for action in recorded.actions)
        np.testing.assert_array_equal(recorded.rewards, episode.rewards)
    assert list(recording.minari_differences("textenvs/Correction/random-v0")) == [None] * 3
    with pytest.raises(ValueError, match="exists"):
        recording.write_minari(episodes, "textenvs/Correction/random-v0")
    with pytest.raises(ValueError, match="at least one episode"):
        recording.write_minari([], "textenvs/Correction/none-v0")


def test_a_game_that_only_this_process_knows_becomes_no_dataset() -> None:
    minari = pytest.importorskip("minari")

    class Local(Toy):
        pass

    register_game("TextLocal-v0", Local)
    try:
        episodes = list(recording.record("TextLocal-v0", "random", random_player, 1))
        with pytest.raises(ValueError, match="module of its own"):
            recording.write_minari(episodes, "local-v0")
    finally:
        gymnasium.registry.pop("TextLocal-v0")
        registration._table.pop("TextLocal-v0")
    assert minari.list_local_datasets() == {}


@pytest.mark.parametrize("dataset", ["foo", "ns/foo", "a b-v0", "../x-v0", "/x-v0"])
def test_an_id_that_is_none_leaves_nothing(dataset: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("minari")
    code, _, err = run(capsys, "record", GUESS, "--episodes", "1", "--minari", dataset)
    assert code == 2 and "the id of a Minari dataset must be like" in err
    assert [*tmp_path.iterdir()] == []


def test_a_dataset_that_exists_is_found_before_anything_is_played(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("minari")
    file = Path(f"recordings/{GUESS}-medium-expert.jsonl")
    assert run(capsys, "record", GUESS, "--episodes", "1")[0] == 0
    first = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o644
    code, _, err = run(capsys, "record", GUESS, "--episodes", "1", "--seed", "7")
    assert code == 2 and "exists" in err and file.read_bytes() == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("record", "TextGuesNumber-v0"), f"did you mean '{GUESS}'?"),
        (("record", GUESS, "--level", "meduim"), "did you mean 'medium'?"),
        (("record", GUESS, "--episodes", "0"), "--episodes must be at least 1"),
        (("record", GUESS, "--seed", "-1"), "--seed must not be negative"),
        (("record", GUESS, "--error", "2"), "error is a probability"),
        (("record", GUESS, "--error", "0.1", "--player", "random"), "--error goes with --player expert"),
        (("record", GUESS, "--episodes", "1", "--no-minari", "--out", "/dev/null/x"), "/dev/null"),
        (("replay", "nothing.jsonl"), "nothing.jsonl"),
        (("list", "--family", "word"), "did you mean 'words'?"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2 and message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"env": "TextMine-v0"}, "TextMine"),
        ({"kwargs": {"lvl": "easy"}}, "unexpected keyword argument 'lvl'"),
        ({"kwargs": {"level": "none"}}, "level must be 'easy'"),
        ({"kwargs": 3}, "line 1: not a recorded episode: its kwargs is 3"),
        ({"rewards": None}, "line 1: not a recorded episode: its rewards is None"),
    ],
)
def test_a_recording_that_cannot_be_played(
    changed: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    episode = next(recording.record(GUESS, "random", random_player, 1))
    Path("odd.jsonl").write_text(json.dumps({**json.loads(episode.to_json()), **changed}))
    code, _, err = run(capsys, "replay", "odd.jsonl")
    assert code == 2 and err.startswith("textenvs: error: odd.jsonl") and message in err


@pytest.mark.parametrize("line", ["{", "[]", '{"env": "x"}'])
def test_a_file_that_is_no_recording(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.jsonl").write_text(line)
    code, _, err = run(capsys, "replay", "broken.jsonl")
    assert code == 2 and "line 1: not a recorded episode" in err


def test_an_interrupted_recording_leaves_the_last_one(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("kept.jsonl")
    path.write_text("before")

    def interrupted() -> recording.Recording:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recording.write_jsonl((interrupted() for _ in range(1)), path)
    assert path.read_text() == "before" and [file.name for file in Path().iterdir()] == ["kept.jsonl"]
