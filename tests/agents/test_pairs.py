"""Any learner on any environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import agents
import textenvs
from agents.learners.table import LEARNERS
from tests.agents.conftest import small_settings

IDS, NAMES = textenvs.ids(), sorted(LEARNERS)
# In the short run every environment meets a learner and every learner several environments.
SHORT = {(id, NAMES[index % len(NAMES)]) for index, id in enumerate(IDS)}


@pytest.mark.parametrize(
    ("id", "learner"),
    [
        pytest.param(id, learner, marks=() if (id, learner) in SHORT else pytest.mark.slow)
        for id in IDS
        for learner in NAMES
    ],
)
def test_any_learner_runs_on_any_environment(small_model: str, id: str, learner: str) -> None:
    env_kwargs: dict[str, Any] = {"tokenizer": "textenvs", "level": "easy", "window": 256, "max_turns": 3}
    model = agents.make(learner, id, small_model, num_envs=2, env_kwargs=env_kwargs, **small_settings(learner))
    _reward_what_is_done(model.get_env())
    before = [parameter.detach().clone() for parameter in model.policy.parameters()]
    model.learn(40)
    after = list(model.policy.parameters())
    assert all(torch.isfinite(parameter).all() for parameter in after)
    assert model.num_timesteps >= 40
    observations = model.get_env().reset()  # type: ignore[union-attr]
    actions, _ = model.policy.predict(observations, deterministic=True)
    assert all(model.action_space.contains(np.asarray(action)) for action in actions)
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


def _reward_what_is_done(env: Any) -> None:
    """Add to the rewards what depends on the actions: an untrained model hardly ever earns any others."""
    play = env.step_wait

    def step_wait() -> Any:
        extra = np.array([int(np.sum(action)) % 7 for action in env._actions], dtype=np.float32)
        observations, rewards, dones, infos = play()
        return observations, rewards + extra, dones, infos

    env.step_wait = step_wait
