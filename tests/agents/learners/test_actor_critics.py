"""AC, TRPO and MaskablePPO: updates by hand, and what their policies promise."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import sb3_contrib
import torch
from stable_baselines3.common.distributions import kl_divergence
from torch import Tensor
from torch.distributions import Categorical

import agents
from agents.learners.actor_critic import AC, losses
from tests.agents.learners.chain import Table, TablePolicy, chain_env

pytestmark = pytest.mark.usefixtures("chain_is_registered")
FAST = {"window": 96, "max_utterance_tokens": 6, "max_turns": 4}


def made(learner: str, model: str, level: str, **overrides: Any) -> Any:
    env_kwargs = {**FAST, "level": "easy", "action_level": level, "tokenizer": "textenvs"}
    return agents.make(learner, "TextFrozenLake-v0", model, num_envs=3, env_kwargs=env_kwargs, **overrides)


def weights(module: torch.nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])


# --- AC ---


class TableActorCritic(TablePolicy):
    def __init__(self, *positional: Any, use_sde: bool = False, **keywords: Any) -> None:
        super().__init__(*positional, **keywords)

    def make(self, tokenizer: Any) -> None:
        self.actor, self.critic = Table(tokenizer, 2), Table(tokenizer)
        with torch.no_grad():
            self.actor.numbers.copy_(torch.tensor([[0.5, 0.0], [1.0, 0.0], [0.0, 0.3], [0.0, 0.0]]))
            self.critic.numbers.copy_(torch.tensor([0.1, 0.4, 0.2, 9.0]))

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        distribution = Categorical(logits=self.actor(obs))
        actions = distribution.sample()
        return actions, self.critic(obs)[:, None], distribution.log_prob(actions)

    def evaluate_actions(self, obs: Any, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        distribution = Categorical(logits=self.actor(obs))
        return self.critic(obs)[:, None], distribution.log_prob(actions.flatten()), distribution.entropy()

    def predict_values(self, obs: Any) -> Tensor:
        return self.critic(obs)[:, None]


def test_ac_by_hand() -> None:
    env = chain_env()
    rate, gamma, vf_coef, steps = 0.5, 0.9, 0.25, 12
    kwargs = {"tokenizer": env.get_attr("tokenizer", 0)[0]}
    settings: dict[str, Any] = {"gamma": gamma, "vf_coef": vf_coef, "max_grad_norm": 1e9, "seed": 0}
    model = AC(TableActorCritic, env, rate, steps, policy_kwargs=kwargs, **settings)
    actor = model.policy.actor.numbers.detach().clone().numpy()
    critic = model.policy.critic.numbers.detach().clone().numpy()
    model.learn(steps)

    # Replay what was done: a, b and c are states 0 to 2; "go" is action 0 and ends with 1 in c, "stop" ends with 0.25.
    state, d_actor, d_critic, ended = 0, np.zeros_like(actor), np.zeros_like(critic), 0
    for action in model.rollout_buffer.actions.flatten().tolist():
        over = action == 1 or state == 2
        reward = 0.25 if action == 1 else float(state == 2)
        following = 0.0 if over else critic[state + 1]
        delta = reward + gamma * following - critic[state]
        d_critic[state] += 2 * vf_coef * delta / steps
        chances = np.exp(actor[state]) / np.exp(actor[state]).sum()
        d_actor[state] += delta * (np.eye(2)[action] - chances) / steps
        state, ended = (0, ended + 1) if over else (state + 1, ended)
    assert ended >= 2 and set(model.rollout_buffer.actions.flatten()) == {0, 1}
    np.testing.assert_allclose(model.policy.actor.numbers.detach().numpy(), actor + rate * d_actor, atol=1e-6)
    np.testing.assert_allclose(model.policy.critic.numbers.detach().numpy(), critic + rate * d_critic, atol=1e-6)


def test_the_actor_does_not_move_the_critic() -> None:
    values, log_prob = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([-1.0, -2.0], requires_grad=True)
    actor_loss, critic_loss = losses(values, log_prob, torch.tensor([2.0, 0.0]))
    assert actor_loss.item() == pytest.approx(-(1 * -1 + -2 * -2) / 2) and critic_loss.item() == pytest.approx(2.5)
    assert torch.autograd.grad(actor_loss, values, allow_unused=True, retain_graph=True) == (None,)


def test_the_target_policy_follows_and_gives_the_targets(small_model: str) -> None:
    model = made("ac", small_model, "choice", n_steps=6, target_tau=0.25, learning_rate=0.05, ent_coef=0.1)
    before, target = weights(model.policy.reader.backbone), model.policy.target
    with torch.no_grad():
        target.critic.bias.fill_(2.0)
    model.learn(18)
    buffer = model.rollout_buffer
    assert buffer.values == pytest.approx(2.0)
    alive = 1 - np.concatenate([buffer.episode_starts[1:], model._last_episode_starts[None]])
    np.testing.assert_allclose(buffer.returns, buffer.rewards + 2.0 * alive, atol=1e-5)
    after = weights(model.policy.reader.backbone)
    assert (after - before).abs().max() > 0.01
    torch.testing.assert_close(weights(target.reader.backbone), 0.75 * before + 0.25 * after)


def test_a_wrong_tau_is_refused(small_model: str) -> None:
    with pytest.raises(ValueError, match="target_tau must be above 0"):
        made("ac", small_model, "choice", target_tau=1.5)


# --- TRPO ---


@pytest.mark.parametrize("level", ["token", "turn", "choice"])
@pytest.mark.parametrize("frozen", [False, True])
def test_trpo_steps_within_its_region(small_model: str, level: str, frozen: bool, monkeypatch: Any) -> None:
    model = made(
        "trpo",
        small_model,
        level,
        n_steps=8,
        cg_max_steps=3,
        normalize_advantage=False,
        policy_kwargs={"frozen": frozen},
    )
    assert isinstance(model, sb3_contrib.TRPO)
    generator = np.random.default_rng(0)
    # Any reward that depends on what is done will do.
    step_wait = model.env.step_wait

    def rewarded() -> Any:
        observations, rewards, dones, infos = step_wait()
        return observations, generator.normal(size=rewards.shape).astype(np.float32), dones, infos

    monkeypatch.setattr(model.env, "step_wait", rewarded)
    before = weights(model.policy.reader.backbone)
    model.learn(24)
    logged = model.logger.name_to_value
    moved = not torch.equal(before, weights(model.policy.reader.backbone))
    assert logged["train/is_line_search_success"] == 1.0
    assert 0 < logged["train/kl_divergence_loss"] < model.target_kl
    assert moved != frozen


@pytest.mark.parametrize("level", ["turn", "choice"])
def test_trpo_multiplies_with_the_stock_hessian(small_model: str, level: str) -> None:
    model = made("trpo", small_model, level, n_steps=8, cg_max_steps=2)
    ours, products = model._compute_actor_grad, []

    def both(kl_div: Tensor, objective: Tensor) -> Any:
        plain = sb3_contrib.TRPO._compute_actor_grad(model, kl_div, objective)
        own = ours(kl_div, objective)
        assert [id(each) for each in own[0]] == [id(each) for each in plain[0]] and own[3] == plain[3]
        torch.testing.assert_close(own[1], plain[1])
        for _ in range(2):
            direction = torch.randn_like(own[1])
            product = model.hessian_vector_product(own[0], own[2], direction)
            stock = sb3_contrib.TRPO.hessian_vector_product(model, plain[0], plain[2], direction)
            assert (product - model.cg_damping * direction).abs().max() > 0
            torch.testing.assert_close(product, stock, atol=1e-5, rtol=1e-4)
            products.append(product)
        return own

    model._compute_actor_grad = both
    model.learn(24)
    assert len(products) == 2


def test_divergence_of_utterances(small_model: str) -> None:
    model = made("trpo", small_model, "turn")
    policy = model.policy
    observations = torch.as_tensor(model.env.reset())
    with torch.no_grad():
        actions, _, _ = policy(observations)
        old = copy.copy(policy.get_distribution(observations))
        first = policy.get_distribution(observations)
        old_log_prob = first.log_prob(actions)
        torch.testing.assert_close(kl_divergence(first, old), torch.zeros(3))
        next(policy.reader.backbone.parameters()).mul_(1.1)
        new = policy.get_distribution(observations)
        assert not torch.allclose(new.log_prob(actions), old_log_prob)
        _, plain, _ = policy.evaluate_actions(observations, actions)
        torch.testing.assert_close(new.log_prob(actions), plain)
        divergence = kl_divergence(new, old)
        for row in range(3):
            tokens = new.distribution.step == row
            p, q = (each.distribution.tokens.logits[tokens].log_softmax(1) for each in (new, old))
            assert divergence[row].item() == pytest.approx((p.exp() * (p - q)).sum().item(), abs=1e-5)
        assert (divergence > 0).all()


def test_trpo_can_take_a_part_of_the_steps(small_model: str) -> None:
    made("trpo", small_model, "choice", n_steps=8, cg_max_steps=2, sub_sampling_factor=2).learn(24)


# --- MaskablePPO ---


@pytest.mark.parametrize("level", ["token", "choice"])
def test_maskable_ppo_does_what_is_admissible(small_model: str, level: str) -> None:
    model = made("maskable_ppo", small_model, level, n_steps=11, batch_size=18)
    model.learn(33)
    buffer, policy = model.rollout_buffer, model.policy
    transcripts = [row.transcript for row in model.env.envs.rows]
    for samples in buffer.get(18):
        actions = samples.actions.long().flatten()
        masks = samples.action_masks
        assert masks[torch.arange(len(actions)), actions].all()
        distribution = policy.get_distribution(samples.observations)
        outside = distribution.distribution.probs.masked_fill(masks, 0.0)
        assert outside.max() == 0
        with torch.no_grad():
            packed = policy.evaluate_actions(samples.observations, samples.actions, action_masks=masks)
        assert all(torch.isfinite(each).all() for each in packed)
    if level == "token":
        assert model.recipe["env_kwargs"]["constrain"] is True and not masks.all()
        said = {text for transcript in transcripts for role, text in transcript if role == "agent"}
        assert said and said <= {"left", "down", "right", "up"}


@pytest.mark.parametrize("level", ["token", "choice"])
def test_masked_rollout_log_probabilities_are_those_of_packed_batches(small_model: str, level: str) -> None:
    model = made("maskable_ppo", small_model, level, n_steps=12, batch_size=36, learning_rate=0.0)
    model.learn(36)
    for samples in model.rollout_buffer.get(36):
        with torch.no_grad():
            values, log_prob, _ = model.policy.evaluate_actions(
                samples.observations, samples.actions, action_masks=samples.action_masks
            )
        torch.testing.assert_close(log_prob, samples.old_log_prob, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(values.flatten(), samples.old_values, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("learner", ["ppo", "maskable_ppo", "trpo"])
@pytest.mark.parametrize("num_envs", [1, 4, 12])
@pytest.mark.filterwarnings("error")
def test_a_rollout_goes_into_equal_batches(small_model: str, learner: str, num_envs: int) -> None:
    """With any number of environments, no batch of the defaults is larger than the rollout or cut short."""
    kwargs: Any = {"backbone": small_model, "env_kwargs": {"tokenizer": "textenvs"}}
    model: Any = agents.make(learner, "TextBandit-v0", num_envs=num_envs, **kwargs)
    rollout = model.n_steps * num_envs
    assert rollout % model.batch_size == 0 and min(rollout, 512) <= model.batch_size <= 1024
    model = agents.make(learner, "TextBandit-v0", num_envs=2, batch_size=64, **kwargs)
    assert model.batch_size == 64
