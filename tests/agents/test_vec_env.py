"""What learners are given of the rewards."""

from pathlib import Path

import numpy as np
import pytest

import agents
from textenvs.scores import table

SMALL = {"env_kwargs": {"level": "easy", "action_level": "choice", "window": 96}, "num_envs": 2}


@pytest.mark.parametrize("given", [None, 0.5])
def test_learners_see_scaled_rewards_and_logs_the_games_own(tmp_path: Path, given: float | None) -> None:
    model = agents.make("ppo", "TextMaze-v0", "gru", reward_scale=given, n_steps=4, batch_size=8, **SMALL)
    measured = table()["TextMaze-v0"]["easy"]
    expected = given or 2 / (measured["expert"]["mean"] - measured["random"]["mean"])
    agents.save(model, tmp_path / "model.pt")
    for each in (model, agents.load(tmp_path / "model.pt")):
        envs = each.get_env()
        assert envs.reward_scale == pytest.approx(expected)
        envs.reset()
        total, dones = np.zeros(2), np.zeros(2, bool)
        while not dones.any():
            _, rewards, dones, infos = envs.step(np.zeros(2, np.int64))
            total += rewards
        for row in np.flatnonzero(dones):
            assert total[row] == pytest.approx(infos[row]["episode"]["r"] * expected, rel=1e-4)
            assert infos[row]["episode"]["r"] < -50


def test_small_returns_are_left_alone() -> None:
    assert agents.make("ppo", "TextGuessNumber-v0", "gru", n_steps=4, batch_size=8, **SMALL).get_env().reward_scale == 1
