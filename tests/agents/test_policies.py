"""Packed equals plain, cached equals plain, and the rollout buffer keeps what the plain one keeps."""

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.buffers import RolloutBuffer

import agents
from agents.learners.table import LEARNERS
from agents.policies.reader import ValueHead
from tests.agents.conftest import SMALL_BACKBONES, small_settings
from textenvs.tokens.spaces import TokenSpace

LEVELS = ("token", "turn", "choice")
TOKENIZER = {"tokenizer": "textenvs"}


def ppo(model: Any, level: str, **keywords: Any) -> Any:
    env_kwargs = {**TOKENIZER, "action_level": level, "window": 160, "max_utterance_tokens": 12, "max_turns": 4}
    return agents.make(
        "ppo",
        "TextDialogue-v0",
        backbone=model,
        num_envs=3,
        env_kwargs=env_kwargs,
        n_steps=24,
        batch_size=24,
        **keywords,
    )


@pytest.mark.parametrize("name", ["llama", *SMALL_BACKBONES])
@pytest.mark.parametrize("level", LEVELS)
def test_packed_batches_give_what_plain_observations_give(small_model: str, level: str, name: str) -> None:
    model = ppo(SMALL_BACKBONES.get(name, small_model), level)
    space, policy = model.observation_space, model.policy
    seen: list[tuple[bytes, bytes]] = []
    add = model.rollout_buffer.add

    def spy(obs: np.ndarray, action: np.ndarray, *rest: Any) -> None:
        seen.extend((obs[row].astype(np.int64).tobytes(), action[row].tobytes()) for row in range(len(obs)))
        add(obs, action, *rest)

    model.rollout_buffer.add = spy
    model.learn(24 * 3)

    unpacked: list[tuple[bytes, bytes]] = []
    for samples in model.rollout_buffer.get(24):
        batch = samples.observations
        observations = torch.full((len(batch), space.shape[0]), space.pad_id)
        for step, (segment, position) in enumerate(zip(batch.segment, batch.position, strict=True)):
            observations[step, : position + 1] = batch.ids[segment, : position + 1]
            if batch.choices is not None:
                observations[step, space.window :] = batch.choices[step].flatten()
            action = samples.actions[step] if level == "turn" else samples.actions[step].reshape(1)
            unpacked.append((observations[step].numpy().tobytes(), action.numpy().tobytes()))
        with torch.no_grad():
            packed = policy.evaluate_actions(batch, samples.actions)
            plain = policy.evaluate_actions(observations, samples.actions)
        for packed_result, plain_result in zip(packed, plain, strict=True):
            torch.testing.assert_close(packed_result, plain_result, atol=1e-5, rtol=1e-5)
    assert sorted(unpacked) == sorted(seen)
    assert len(model.rollout_buffer._segments) < len(seen) / 2, "steps of one episode share a sequence"


@pytest.mark.parametrize("name", ["llama", *SMALL_BACKBONES])
@pytest.mark.parametrize("level", LEVELS)
def test_rollout_log_probabilities_are_those_of_teacher_forcing(small_model: str, level: str, name: str) -> None:
    model = ppo(SMALL_BACKBONES.get(name, small_model), level)
    env = model.get_env()
    obs = env.reset()
    for _ in range(12):
        tensor = torch.as_tensor(obs)
        with torch.no_grad():
            actions, values, log_probs = model.policy(tensor)
            again_values, again_log_probs, _ = model.policy.evaluate_actions(tensor, actions.reshape(3, -1))
        torch.testing.assert_close(log_probs, again_log_probs, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(values, again_values, atol=1e-5, rtol=1e-5)
        obs, *_ = env.step(actions.numpy())


@pytest.mark.parametrize("name", ["llama", *SMALL_BACKBONES])
def test_a_last_observation_is_read_on_from_its_row_and_gives_the_same(small_model: str, name: str) -> None:
    """Episodes are cut off, so that the value of their end is asked for, a single one of three rows."""
    model = ppo(SMALL_BACKBONES.get(name, small_model), "token")
    policy, reader = model.policy, model.policy.reader
    torch.nn.init.normal_(policy.critic.weight)
    predict_values, states, found, whole = policy.predict_values, reader.backbone.states, [], []

    def both(observations: Any) -> Any:
        if len(observations) > 1:
            return predict_values(observations)
        reader.cached = False
        plain = predict_values(observations)
        reader.cached, reader.backbone.states = True, lambda *given: whole.append(given) or states(*given)
        found.append((plain, predict_values(observations)))
        reader.backbone.states = states
        return found[-1][1]

    policy.predict_values = both
    model.learn(24 * 3 * 2)
    assert found and len(whole) == (len(found) if name in ("bert", "xlnet") else 0)
    for plain, cached in found:
        torch.testing.assert_close(cached, plain, atol=1e-5, rtol=1e-5)


def test_advantages_equal_the_plain_buffer_when_discounting_by_token(small_model: str) -> None:
    model = ppo(small_model, "token", gamma=0.9, rollout_buffer_kwargs={"discount": "token"})
    packed = model.rollout_buffer
    plain = RolloutBuffer(24, model.observation_space, model.action_space, "cpu", gae_lambda=0.95, gamma=0.9, n_envs=3)
    add = packed.add

    def both(*step: Any) -> None:
        add(*step)
        plain.add(*step)

    packed.add = both
    finish = packed.compute_returns_and_advantage

    def finish_both(**last: Any) -> None:
        finish(**last)
        plain.compute_returns_and_advantage(**last)
        np.testing.assert_allclose(packed.advantages, plain.advantages, atol=1e-5)
        np.testing.assert_allclose(packed.returns, plain.returns, atol=1e-5)

    packed.compute_returns_and_advantage = finish_both
    model.learn(24 * 3)
    assert plain.full


def test_discounts_by_turn_are_hand_computed(small_model: str) -> None:
    """Two turns of two tokens: only the steps that end a turn are discounted."""
    model = ppo(small_model, "token", gamma=0.5)
    buffer, space = model.rollout_buffer, model.observation_space
    assert isinstance(space, TokenSpace)
    buffer.buffer_size, buffer.n_envs = 4, 1
    buffer.clock.spoken = np.zeros(1, dtype=np.int64)
    buffer.gae_lambda = 1.0
    buffer.reset()
    ids = np.full((1, space.shape[0]), space.pad_id)
    ids[0, :3] = 9
    for step, (token, reward) in enumerate([(20, 0.0), (space.end_id, 1.0), (20, 0.0), (space.end_id, 2.0)]):
        buffer.add(ids, np.array([[token]]), np.array([reward]), np.array([step == 0]), torch.zeros(1), torch.zeros(1))
        ids[0, 3 + step] = token
    buffer.compute_returns_and_advantage(torch.tensor([4.0]), np.array([False]))
    # last: 2 + 0.5 * 4; then unchanged inside the turn; then 1 + 0.5 * 4; unchanged
    np.testing.assert_allclose(buffer.returns[:, 0], [3.0, 3.0, 4.0, 4.0])


@pytest.mark.parametrize(
    ("learner", "level"), [(name, level) for name, row in LEARNERS.items() for level in row.levels]
)
def test_every_learner_trains_at_each_of_its_levels(learner: str, level: str) -> None:
    env_kwargs = {**TOKENIZER, "action_level": level, "window": 160, "max_utterance_tokens": 12, "max_turns": 3}
    settings = small_settings(learner)
    model = agents.make(learner, "TextDialogue-v0", "tiny", num_envs=2, env_kwargs=env_kwargs, **settings)
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    model.learn(96)
    changed = [name for name, tensor in model.policy.state_dict().items() if not torch.equal(tensor, before[name])]
    assert any("backbone" in name for name in changed)
    obs = model.get_env().reset()
    first = model.predict(obs, deterministic=True)[0]
    np.testing.assert_array_equal(first, model.predict(obs, deterministic=True)[0])


@pytest.mark.parametrize("name", SMALL_BACKBONES)
@pytest.mark.parametrize(
    ("learner", "level"),
    [*((name, "choice") for name in LEARNERS), ("bc", "token"), ("dqn", "token"), ("grpo", "turn")],
)
def test_every_learner_trains_every_kind_of_backbone(learner: str, level: str, name: str) -> None:
    env_kwargs = {"level": "easy", "action_level": level, "window": 160, "max_utterance_tokens": 6, "max_turns": 4}
    settings = small_settings(learner)
    model = agents.make(
        learner, "TextGuessNumber-v0", SMALL_BACKBONES[name], num_envs=2, env_kwargs=env_kwargs, **settings
    )
    before = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
    model.learn(64)
    changed = [name for name, tensor in model.policy.state_dict().items() if not torch.equal(tensor, before[name])]
    assert any("backbone" in name for name in changed)


def test_absent_choices_are_never_taken(small_model: str) -> None:
    env_kwargs = {**TOKENIZER, "action_level": "choice", "window": 160, "max_utterance_tokens": 32}
    for learner in ("ppo", "dqn"):
        model = agents.make(learner, "TextDialogue-v0", small_model, num_envs=4, env_kwargs=env_kwargs)
        env = model.get_env()
        obs = env.reset()
        for _ in range(30):
            action = model.policy.predict(obs, deterministic=False)[0]
            assert env.action_masks()[np.arange(4), action].all()
            obs, *_ = env.step(action)


def test_a_learner_may_have_other_defaults_at_a_level(small_model: str) -> None:
    def made(level: str, **keywords: Any) -> Any:
        env_kwargs = {**TOKENIZER, "level": "easy", "action_level": level, "window": 96}
        return agents.make("dqn", "TextGuessNumber-v0", small_model, 2, env_kwargs=env_kwargs, **keywords)

    row = LEARNERS["dqn"]
    assert made("choice").gradient_steps == row.defaults["gradient_steps"] == 16
    assert made("token").gradient_steps == row.at["token"]["gradient_steps"] == 4
    assert made("token", gradient_steps=2).gradient_steps == 2
    assert made("token").batch_size == row.defaults["batch_size"]


def test_misspelt_names_are_errors_that_suggest_the_right_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'ppo'"):
        agents.make("ppoo", "TextDialogue-v0")
    with pytest.raises(TypeError, match="did you mean 'learning_rate'"):
        agents.make("ppo", "TextDialogue-v0", learning_rat=1e-3)
    with pytest.raises(ValueError, match="plays the levels"):
        agents.make("dqn", "TextDialogue-v0", env_kwargs={"action_level": "turn"})
    with pytest.raises(FileNotFoundError, match="no model"):
        agents.make("ppo", "TextDialogue-v0", backbone="no/such/folder")


@pytest.mark.parametrize("width", [16, 128, 576, 4096])
def test_a_step_moves_the_values_of_a_wide_model_no_further(width: int) -> None:
    head = ValueHead(width, 1)
    hidden = torch.where(torch.arange(width) % 2 == 0, 1.0, -1.0)[None]
    assert head(hidden).item() == 0.0
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    (-head(hidden).sum()).backward()
    optimizer.step()
    assert head(hidden).item() == pytest.approx(1e-3 * (min(width, 128) + 1), rel=1e-3)
