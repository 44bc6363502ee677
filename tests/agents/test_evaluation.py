"""Evaluations are paired and unbiased, and their intervals are right."""

import dataclasses
import io
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from rich.console import Console

import agents
from agents.evaluation import (
    Evaluation,
    comparison_table,
    evaluate,
    mean_interval,
    paired_difference,
    pool,
    rate_interval,
)
from agents.players import ExpertPlayer, ImperfectPlayer, PolicyPlayer, RandomPlayer
from textenvs.scores import table

ID = "TextDialogue-v0"


class Recorder(ExpertPlayer):
    """The expert, who notes which episode each action belongs to."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def act(self, envs: Sequence[Any], observations: np.ndarray) -> Sequence[Any]:
        assert len(envs) == len(observations)
        self.seen += [env.snapshot()["episode_seed"] for env in envs if len(env.transcript) == 1]
        return super().act(envs, observations)


@pytest.fixture(scope="module")
def both() -> tuple[Evaluation, Evaluation]:
    """The expert and the random player on the same 40 episodes."""
    return evaluate(ExpertPlayer(), ID, 40, num_envs=7), evaluate(RandomPlayer(), ID, 40, num_envs=16)


def test_every_instance_is_played_once_whatever_the_number_of_rows() -> None:
    found = []
    for num_envs in (1, 7, 50):
        player = Recorder()
        result = evaluate(player, ID, 30, num_envs=num_envs)
        assert sorted(player.seen) == sorted(result.episode_seeds.tolist())
        assert len(set(player.seen)) == 30
        found.append(result)
    for result in found[1:]:
        for name, values in result.metrics().items():
            np.testing.assert_array_equal(values, found[0].metrics()[name])
        assert result.transcripts == found[0].transcripts


def test_players_meet_the_same_instances(both: tuple[Evaluation, Evaluation]) -> None:
    expert, random = both
    np.testing.assert_array_equal(expert.episode_seeds, random.episode_seeds)
    assert [one[0] for one in expert.transcripts] == [other[0] for other in random.transcripts]
    longer = evaluate(ExpertPlayer(), ID, 50)
    np.testing.assert_array_equal(longer.episode_seeds[:40], expert.episode_seeds)
    np.testing.assert_array_equal(longer.returns[:40], expert.returns)
    other_seed = evaluate(ExpertPlayer(), ID, 40, seed=1)
    assert not set(other_seed.episode_seeds) & set(expert.episode_seeds)


def test_figures_are_those_of_playing_by_hand(both: tuple[Evaluation, Evaluation]) -> None:
    expert, _ = both
    env: Any = gym.make(ID, split="test").unwrapped
    for episode in (0, 17):
        env.reset(options={"episode_seed": int(expert.episode_seeds[episode])})
        total, ended = 0.0, False
        while not ended:
            _, reward, terminated, truncated, info = env.step(env.expert_action())
            total += reward
            ended = terminated or truncated
        assert expert.returns[episode] == pytest.approx(total)
        assert expert.turns[episode] == info["turns"]
        assert expert.successes is not None and expert.successes[episode] == info["success"]
        if episode < len(expert.transcripts):
            assert expert.transcripts[episode] == env.transcript


def test_scores_place_random_at_0_and_the_expert_at_100(both: tuple[Evaluation, Evaluation]) -> None:
    measured = table()[ID]["medium"]
    low, high = measured["random"]["mean"], measured["expert"]["mean"]
    for result in both:
        assert result.scores is not None
        np.testing.assert_allclose(result.scores, 100 * (result.returns - low) / (high - low))
    assert evaluate(ExpertPlayer(), ID, 2, volunteer=1.0).scores is None, "another game than the measured one"
    assert evaluate(ExpertPlayer(), ID, 2, window=256).scores is not None


def test_wilson_interval_equals_published_values() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
    for count, trials, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = rate_interval([True] * count + [False] * (trials - count))
        assert found.mean == count / trials
        assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_bootstrap_interval_agrees_with_theory() -> None:
    sample = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    found = mean_interval(sample)
    half = 1.96 * sample.std(ddof=1) / 20
    assert found.mean == pytest.approx(sample.mean())
    assert found.low == pytest.approx(sample.mean() - half, abs=0.03)
    assert found.high == pytest.approx(sample.mean() + half, abs=0.03)
    assert mean_interval(sample) == found, "the same each time"


def test_bootstrap_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(150):
        found = mean_interval(rng.exponential(size=60))
        inside += found.low <= 1.0 <= found.high
    assert inside >= 130  # of 142.5 expected; fewer than 130 would be a coverage below 0.91


@pytest.mark.filterwarnings("error")
def test_degenerate_samples_have_finite_intervals() -> None:
    assert mean_interval([0.5] * 10) == (0.5, 0.5, 0.5)
    for sample in ([0.0, 1.0], [0.0] * 199 + [1.0], [1.0] * 9 + [-1.0]):
        found = mean_interval(sample)
        assert np.isfinite(found).all() and found.low <= found.mean <= found.high
    assert rate_interval([True] * 5).high == pytest.approx(1.0)


def test_paired_difference_is_sharper_than_two_intervals(both: tuple[Evaluation, Evaluation]) -> None:
    expert, random = both
    found = paired_difference(expert, random)
    assert found["return"].mean == pytest.approx((expert.returns - random.returns).mean())
    assert found["success"].low > 0
    noise = np.random.default_rng(0).normal(0.1, 0.01, 40)
    better = dataclasses.replace(random, returns=random.returns + noise)
    difference, alone = paired_difference(better, random)["return"], better.summary()["return"]
    assert difference.low > 0.09 and difference.high - difference.low < 0.1 * (alone.high - alone.low)
    with pytest.raises(ValueError, match="differ in episode_seeds"):
        paired_difference(expert, evaluate(ExpertPlayer(), ID, 40, seed=1))


def test_pool_averages_each_instance(both: tuple[Evaluation, Evaluation]) -> None:
    expert, random = both
    pooled = pool([expert, random], "both")
    np.testing.assert_allclose(pooled.returns, (expert.returns + random.returns) / 2)
    summary = pooled.summary()
    assert pooled.name == "both"
    assert summary["success"].mean == pytest.approx(
        (expert.summary()["success"][0] + random.summary()["success"][0]) / 2
    )


def test_json_comes_back_the_same(both: tuple[Evaluation, Evaluation]) -> None:
    for result in (*both, pool(both, "both"), evaluate(ExpertPlayer(), ID, 2, volunteer=1.0)):
        again = Evaluation.from_json(result.to_json())
        assert again.summary() == result.summary()
        for field in dataclasses.fields(Evaluation):
            one, other = getattr(again, field.name), getattr(result, field.name)
            assert np.array_equal(one, other) if isinstance(other, np.ndarray) else one == other
            assert not isinstance(other, np.ndarray) or one.dtype == other.dtype


def test_sampled_policies_repeat_and_leave_the_generator_alone(small_model: str) -> None:
    env_kwargs = {"tokenizer": "textenvs", "action_level": "token", "window": 160, "max_utterance_tokens": 6}
    model = agents.make("ppo", ID, small_model, num_envs=2, env_kwargs=env_kwargs, n_steps=16, batch_size=32)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    results = [evaluate(PolicyPlayer(model, False), ID, 6, num_envs=4) for _ in range(2)]
    assert torch.equal(torch.rand(3), expected)
    assert results[0].transcripts == results[1].transcripts
    assert all(len(transcript) > 1 for transcript in results[0].transcripts)


def test_table_shows_every_player_in_any_width(both: tuple[Evaluation, Evaluation]) -> None:
    names = ("the expert, who knows the rules by heart", "random")
    for width in (80, 160):
        console = Console(file=io.StringIO(), width=width)
        console.print(comparison_table(dict(zip(names, both, strict=True))))
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        assert all(name in shown for name in names) and "…" not in shown


def test_too_few_episodes_and_misspelt_keywords_are_errors() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        evaluate(ExpertPlayer(), ID, 1)
    with pytest.raises(ValueError, match="num_envs must be at least 1"):
        evaluate(ExpertPlayer(), ID, 4, num_envs=0)
    with pytest.raises(TypeError, match="did you mean 'volunteer'"):
        evaluate(ImperfectPlayer(), ID, 2, volunter=1.0)
