"""Learners learn from recorded episodes: batches as from live ones, and a file that is not fit is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents
from agents.cli import main
from agents.learners.dpo import preferences
from agents.learners.table import LEARNERS
from textenvs import recording
from textenvs.recording import Recording
from textenvs.scores import random_player

GUESS = "TextGuessNumber-v0"
OPEN = "TextCorrection-v0"  # lists no admissible utterances
ENV = {"level": "easy", "window": 160, "max_utterance_tokens": 6}
GRU = {"model_type": "gru", "hidden_size": 16, "num_hidden_layers": 1}


def make(learner: str, level: str, dataset: Any, num_envs: int = 3, **keywords: Any) -> Any:
    env_kwargs = {**ENV, "action_level": level, **keywords.pop("env_kwargs", {})}
    id = keywords.pop("id", GUESS)
    return agents.make(learner, id, GRU, num_envs=num_envs, env_kwargs=env_kwargs, dataset=dataset, **keywords)


def played(speak: recording.Speaker, episodes: int, seed: int = 0, id: str = GUESS, **kwargs: Any) -> list[Recording]:
    return list(recording.record(id, "player", speak, episodes, seed, **{"level": "easy", **kwargs}))


@pytest.fixture
def expert(tmp_path: Path) -> Path:
    path = tmp_path / "expert.jsonl"
    recording.write_jsonl(played(recording.expert_who_errs(), 8), path)
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Of each instance an episode of the expert and one of a random player."""
    path = tmp_path / "mixed.jsonl"
    recording.write_jsonl([*played(recording.expert_who_errs(), 8), *played(random_player, 8)], path)
    return path


def steps_of(model: Any) -> list[tuple[bytes, bytes, float]]:
    """What the steps of a round are: context, action and reward, in some order of the episodes."""
    buffer = model.rollout_buffer
    actions, rewards = buffer.actions.reshape(-1, buffer.action_dim), buffer.rewards.reshape(-1)
    return sorted((buffer.context(s).tobytes(), actions[s].tobytes(), float(rewards[s])) for s in buffer._usable())


def round_of(model: Any) -> Any:
    """The model after it has collected one round and learned nothing."""
    model.train = lambda: None
    model.learn(1)
    return model


@pytest.mark.parametrize("level", ["token", "turn", "choice"])
def test_recorded_episodes_make_the_batches_of_live_ones(level: str, tmp_path: Path) -> None:
    live = make("bc", level, None, n_starts=7)
    restart, seeds = live.env.restart, []

    def spy(row: int, episode_seed: int | None = None) -> Any:
        found = restart(row, episode_seed)
        seeds.append(found[1])
        return found

    live.env.restart = spy
    round_of(live)
    episodes = [_of_the_expert(seed) for seed in seeds]
    recording.write_jsonl(episodes, tmp_path / "same.jsonl")
    again = round_of(make("bc", level, tmp_path / "same.jsonl", n_starts=7))
    assert again.num_timesteps == live.num_timesteps > 0
    assert steps_of(again) == steps_of(live)
    for model in (live, again):
        model.rollout_buffer.rng = np.random.default_rng(0)
    if level != "choice":  # the same packed batches, to the last number, once the sequences are in one order
        ids = [sorted(map(bytes, next(m.rollout_buffer.get()).observations.ids.numpy())) for m in (live, again)]
        assert ids[0] == ids[1]


def _of_the_expert(episode_seed: int) -> Recording:
    env: Any = recording._text_env(GUESS, {"level": "easy"})
    env.reset(options={"episode_seed": episode_seed})
    said, ended = [], False
    while not ended:
        said.append(env.expert_action())
        _, _, terminated, truncated, _ = env.step(said[-1])
        ended = terminated or truncated
    return recording.replay(GUESS, "expert", episode_seed, said, level="easy")


def test_targets_by_hand(tmp_path: Path) -> None:
    """The number is 1 to 8, and 4, 6 and 7 are said."""
    (first, *_) = (e for seed in range(100) if (e := recording.replay(GUESS, "me", seed, ["4", "6", "7"], level="easy")
                   ).success and len(e.rewards) == 3)  # fmt: skip
    assert first.rewards == [-0.1, -0.1, 1.0]
    path = tmp_path / "one.jsonl"
    recording.write_jsonl([first], path)
    found = {}
    for level in ("token", "turn", "choice"):
        model = round_of(make("bc", level, path, num_envs=2, env_kwargs={"split": "all"}))
        buffer, row = model.rollout_buffer, model.env.envs.rows[0]
        steps = buffer._usable()
        found[level] = buffer.actions.reshape(-1, buffer.action_dim)[steps].tolist()
        rewards = buffer.rewards.reshape(-1)[steps]
        end, pad = row.tokenizer.end_id, row.tokenizer.pad_id
        ids = {said: row.tokenizer.encode(said) for said in ("4", "6", "7")}
        if level == "token":
            assert found[level] == [[i] for said in ("4", "6", "7") for i in (*ids[said], end)]
            assert rewards.tolist() == pytest.approx([0, -0.1, 0, -0.1, 0, 1.0])
        else:
            assert rewards.tolist() == pytest.approx([-0.1, -0.1, 1.0])
        if level == "turn":
            assert found[level] == [[*ids[said], end, *[pad] * 4] for said in ("4", "6", "7")]
        if level == "choice":
            assert found[level] == [[3], [5], [6]]


def test_it_learns_what_the_file_says(tmp_path: Path) -> None:
    """Whatever the game, somebody who always says 3 is imitated."""
    path = tmp_path / "three.jsonl"
    recording.write_jsonl(played(lambda env, rng: "3", 10), path)
    model = make("bc", "choice", path, learning_rate=1e-2)
    model.learn(4000)
    observation = torch.as_tensor(model.env.reset())
    assert model.policy.get_distribution(observation).distribution.probs[:, 2].min() > 0.9


def test_passes_over_the_file_are_whole(expert: Path) -> None:
    model = make("bc", "turn", expert, n_starts=3)
    heard: list[int] = []
    draw = model._draw_lessons

    def spy() -> Any:
        drawn = draw()
        heard.extend(episode.episode_seed for _, episode in reversed(drawn))
        return drawn

    model._draw_lessons = spy
    while len(heard) < 24:
        model.learn(1, reset_num_timesteps=False)
    all_of_them = sorted(each.episode_seed for each in recording.read(expert))
    assert [sorted(heard[start : start + 8]) for start in (0, 8, 16)] == [all_of_them] * 3
    assert heard[:8] != heard[8:16]


def test_filtered_bc_keeps_the_best_of_the_file(mixed: Path) -> None:
    episodes = list(recording.read(mixed))
    model = round_of(make("filtered_bc", "turn", mixed, top=0.25))
    best = sorted((sum(each.rewards) for each in episodes), reverse=True)[:4]
    assert sorted(model.rollout_buffer.episode_returns, reverse=True) == pytest.approx(best)
    each_start = make("bc", "turn", mixed, top=0.5, group_size=2)
    kept = {(e.episode_seed, sum(e.rewards)) for (e,) in each_start.lessons(episodes)}
    for one, other in zip(episodes[:8], episodes[8:], strict=True):
        returns = {sum(one.rewards), sum(other.rewards)}
        if len(returns) == 2:
            assert (one.episode_seed, max(returns)) in kept and (one.episode_seed, min(returns)) not in kept


@pytest.mark.parametrize("level", ["token", "turn", "choice"])
def test_dpo_holds_the_best_against_the_worst(mixed: Path, level: str) -> None:
    episodes = list(recording.read(mixed))
    expected = {
        (max(returns), min(returns))
        for one, other in zip(episodes[:8], episodes[8:], strict=True)
        if len(returns := {round(sum(one.rewards), 3), round(sum(other.rewards), 3)}) == 2
    }
    model = round_of(make("dpo", level, mixed, n_starts=100))
    buffer = model.rollout_buffer
    found = set()
    for group in np.unique(buffer.groups):
        returns = buffer.episode_returns[buffer.groups == group]
        assert len(returns) == 2
        found.add((round(float(returns.max()), 3), round(float(returns.min()), 3)))
    assert found == expected and expected
    model = make("dpo", level, mixed, n_starts=100, learning_rate=3e-3)
    model.learn(10 * len(buffer._usable()))
    buffer = model.rollout_buffer  # of the last round: the policy has come to prefer the better ones
    margins, _ = model._margins(preferences(buffer.episode_returns, buffer.groups))
    assert len(margins) == len(np.unique(buffer.groups)) and margins.mean() > 0.3


def test_dpo_needs_two_episodes_of_one_instance(expert: Path) -> None:
    with pytest.raises(ValueError, match="the same episode_seed and different returns"):
        make("dpo", "turn", expert)


def transitions(model: Any, steps: int) -> list[tuple[Any, ...]]:
    """The first ``steps`` of row 0 of a replay buffer, as what a learner gets of them."""
    found = model.replay_buffer.at(np.arange(steps), np.zeros(steps, dtype=np.int64))
    contexts = []
    for batch in (found.observations, found.next_observations):
        places = zip(batch.segment.tolist(), batch.position.tolist(), strict=True)
        contexts.append([bytes(batch.ids[segment, : position + 1].numpy()) for segment, position in places])
    columns = (found.actions, found.rewards, found.dones, found.discounts)
    return list(zip(*contexts, *(column.flatten().tolist() for column in columns), strict=True))


@pytest.mark.parametrize("level", ["token", "choice"])
def test_ilql_gets_the_transitions_that_a_live_teacher_makes(level: str, tmp_path: Path) -> None:
    live = make("ilql", level, None, num_envs=1, error=0.0, learning_starts=10_000)
    step, seeds = live.env.step_wait, []

    def spy() -> Any:
        seeds.append(live.env.envs.rows[0]._episode_seed)
        return step()

    live.env.step_wait = spy
    live.learn(60)
    whole = list(dict.fromkeys(seeds))[:-1]  # the last may be cut
    episodes = [_of_the_expert(seed) for seed in whole]
    recording.write_jsonl(episodes, tmp_path / "same.jsonl")
    again = make("ilql", level, tmp_path / "same.jsonl", num_envs=4)
    steps = again.replay_buffer.size()
    assert again.replay_buffer.n_envs == 1 and 0 < steps == len([s for s in seeds if s in set(whole)])
    assert transitions(again, steps) == transitions(live, steps)


def test_ilql_plays_nothing_and_learns(mixed: Path) -> None:
    model = make("ilql", "choice", mixed, num_envs=4)
    model.env.step_async = None  # nobody acts
    before = model.replay_buffer.size()
    model.learn(40)
    assert (model.num_timesteps, model._n_updates, model.replay_buffer.size()) == (40, 10, before)


def test_monte_carlo_returns_are_those_recorded(mixed: Path) -> None:
    model = make("ilql", "choice", mixed, monte_carlo=True, gamma=1.0)
    expected = [sum(each.rewards[turn:]) for each in recording.read(mixed) for turn in range(len(each.rewards))]
    size = model.replay_buffer.size()
    found = model.replay_buffer.at(np.arange(size), np.zeros(size, dtype=np.int64))
    assert found.rewards.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("learner", [name for name, row in LEARNERS.items() if row.recorded and "dqn" in name])
@pytest.mark.parametrize("level", ["token", "choice"])
def test_other_value_learners_find_the_episodes_in_their_buffer(learner: str, level: str, mixed: Path) -> None:
    options = {"constrain": True} if level == "token" else {}
    model = make(learner, level, mixed, num_envs=3, batch_size=8, env_kwargs=options)
    buffer = model.replay_buffer
    returns, ends = [], []
    for row in range(3):
        total = 0.0
        for step in range(buffer.size()):
            total += float(buffer.rewards[step, row])
            if buffer.dones[step, row]:
                returns.append(round(total, 4))
                ends.append(bool(buffer.timeouts[step, row]))
                total = 0.0
    recorded = [(round(sum(e.rewards), 4), e.truncated) for e in recording.read(mixed)]
    missing = list(recorded)
    for pair in zip(returns, ends, strict=True):
        if pair in missing:
            missing.remove(pair)
        assert pair in recorded
    assert not missing
    before = buffer.size()
    model.learn(30)
    assert model._n_updates > 0 and buffer.size() > before


def test_a_recording_that_breaks_off_counts_as_truncated(tmp_path: Path) -> None:
    whole = next(each for each in played(recording.expert_who_errs(), 20) if len(each.rewards) > 2)
    part = recording.replay(GUESS, "me", whole.episode_seed, whole.utterances[:2], level="easy")
    path = tmp_path / "part.jsonl"
    recording.write_jsonl([part, whole], path)
    buffer = make("ilql", "choice", path).replay_buffer
    assert buffer.dones[:, 0].tolist() == [False, True, *[False] * (len(whole.rewards) - 1), True]
    assert buffer.timeouts[:2, 0].tolist() == [False, True]
    assert buffer.at(np.array([1]), np.array([0])).dones.item() == 0
    for level in ("token", "turn", "choice"):
        rounds = round_of(make("bc", level, path, num_envs=2)).rollout_buffer
        totals = sorted(float(total) for total in rounds.episode_returns)
        assert totals == pytest.approx(sorted(sum(each.rewards) for each in (part, whole)))


def test_what_is_not_among_the_choices_is_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "free.jsonl"
    good, bad = played(recording.expert_who_errs(), 3), played(lambda env, rng: "it is four", 2)
    recording.write_jsonl([*good, *bad], path)
    with pytest.warns(UserWarning, match="2 of 5 episodes are left out: in episode 4 'it is four' in turn 1"):
        model = make("bc", "choice", path)
    assert [each for (each,) in model.lessons(model.recorded.episodes)] == good
    with pytest.warns(UserWarning, match="2 of 5"):
        make("ilql", "token", path, env_kwargs={"constrain": True})
    assert len(make("bc", "turn", path).recorded.episodes) == 5
    recording.write_jsonl(bad, path)
    with pytest.raises(ValueError, match=r"2 of 2 episodes are left out: .*at another action level"):
        make("bc", "choice", path)


@pytest.mark.parametrize(
    ("changes", "keywords", "message"),
    [
        ({}, {"id": "TextBandit-v0"}, "episode 1 is of TextGuessNumber-v0, the learner plays TextBandit-v0"),
        ({}, {"env_kwargs": {"level": "hard"}}, r"level='easy', the learner has level='hard': .*--env level=easy"),
        ({}, {"env_kwargs": {"high": 9}}, "recorded with no high, the learner has high=9: leave high out"),
        ({"rewards": [0.5]}, {}, "episode 1 does not come out again: .*another version, or changed"),
        ({"episode_seed": 1}, {}, "does not come out again"),
        ({}, {"env_kwargs": {"max_utterance_tokens": 2}}, "has 3 tokens, more than max_utterance_tokens=2: give env_"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    changes: dict[str, Any], keywords: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "file.jsonl"
    (episode,) = played(lambda env, rng: "is it 5", 1)
    recording.write_jsonl([dataclasses.replace(episode, **changes)], path)
    with pytest.raises(ValueError, match=message):
        make("bc", "turn", path, **keywords)


def test_a_test_episode_is_learned_from_if_that_is_asked_for(tmp_path: Path) -> None:
    path, id = tmp_path / "test.jsonl", "TextNim-v0"
    recording.write_jsonl(played(recording.expert_who_errs(), 2, id=id, split="test"), path)
    with pytest.raises(ValueError, match=r"outside split='train': leave it out .*give env_kwargs={'split': 'all'}"):
        make("bc", "turn", path, id=id)
    assert len(make("bc", "turn", path, id=id, env_kwargs={"split": "all"}).recorded.episodes) == 2


def test_a_tokenizer_that_changes_what_is_said_is_named(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "[END]": 2, "4": 3, "2": 4}, unk_token="[UNK]"))
    words.normalizer, words.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]", eos_token="[END]", bos_token="[END]"
    )
    path = tmp_path / "eight.jsonl"
    recording.write_jsonl(played(lambda env, rng: "8", 4), path)
    with pytest.raises(ValueError, match="comes out again in text, but not through this tokenizer"):
        make("bc", "turn", path, env_kwargs={"tokenizer": tokenizer})


def test_only_learners_that_can_take_a_dataset_do(expert: Path, tmp_path: Path) -> None:
    for learner in ("ppo", "grpo", "expert_iteration"):
        with pytest.raises(ValueError, match=f"{learner} learns from what it does itself: dataset goes with bc, ddqn"):
            agents.make(learner, GUESS, GRU, dataset=expert)
    with pytest.raises(FileNotFoundError, match="no file and no Minari dataset"):
        make("bc", "turn", "nothing.jsonl")
    with pytest.raises(ValueError, match="buffer_size=5 is too small for the recorded episodes: give at least"):
        make("ilql", "choice", expert, buffer_size=5)
    with pytest.raises(ValueError, match="error is a teacher's, and with a dataset there is none"):
        make("bc", "turn", expert, error=0.5)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(ValueError, match="holds no episodes"):
        make("bc", "turn", tmp_path / "empty.jsonl")


@pytest.mark.parametrize("id", [GUESS, OPEN])
def test_a_minari_dataset_is_the_file(id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    episodes = played(random_player, 3, id=id)
    recording.write_minari(episodes, "textenvs/mine-v0")
    assert list(recording.read("textenvs/mine-v0")) == episodes
    room = {"max_utterance_tokens": 64, "window": 512}
    model = make("bc", "turn", "textenvs/mine-v0", id=id, env_kwargs=room)
    assert model.recorded.episodes == episodes


@pytest.mark.parametrize(("learner", "level"), [("bc", "turn"), ("ilql", "choice"), ("dqn", "choice")])
def test_saved_learners_go_on_exactly(learner: str, level: str, mixed: Path, tmp_path: Path) -> None:
    small = {"n_starts": 3} if learner == "bc" else {"batch_size": 8}

    def run(stops: bool) -> Any:
        model = make(learner, level, mixed, num_envs=2, **small)
        model.learn(20)
        if stops:
            agents.save(model, tmp_path / "model.pt")
            model = agents.load(tmp_path / "model.pt")
        total = model.num_timesteps + 30
        model.learn(total - model.num_timesteps, reset_num_timesteps=False)
        return model.policy.state_dict()

    whole, resumed = run(False), run(True)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    mixed.unlink()  # who only plays needs no file
    assert agents.load(tmp_path / "model.pt").recipe["dataset"] == str(mixed)  # type: ignore[attr-defined]


def test_the_command(expert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = ["--backbone", json.dumps(GRU), "--eval-episodes", "0", "--out", str(out), "--num-envs", "2"]
    command = ["train", "bc", GUESS, "--dataset", str(expert), "--timesteps", "20", *options]
    assert main(command) == 2
    assert "level='easy', the learner has level='medium'" in capsys.readouterr().err and not out.exists()
    assert main([*command, "--level", "easy"]) == 0, capsys.readouterr().err
    assert agents.load(out / "checkpoint.pt").recipe["dataset"] == str(expert)  # type: ignore[attr-defined]
    again = [*command, "--level", "easy", "--resume", "--timesteps", "60"]
    other = [each if each != str(expert) else "other.jsonl" for each in again]
    capsys.readouterr()
    assert main(other) == 2 and f"made with --dataset {str(expert)!r}" in capsys.readouterr().err
    assert main(again) == 0, capsys.readouterr().err
    assert main(["train", "ppo", GUESS, "--dataset", str(expert), "--out", str(tmp_path / "x")]) == 2
    assert "dataset goes with" in capsys.readouterr().err
    assert main(["train", "bc", GUESS, "--set", f"dataset={expert}", "--out", str(tmp_path / "x")]) == 2
    assert "use --dataset" in capsys.readouterr().err
