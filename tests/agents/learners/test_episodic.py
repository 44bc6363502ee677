"""Whole episodes, several from one start state, and what REINFORCE, RLOO and GRPO make of their returns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents
from agents.learners.dpo import preferences
from agents.learners.group import group_advantages
from agents.learners.imitation import best
from agents.learners.table import LEARNERS, keywords

SMALL = {"level": "easy", "window": 160, "max_utterance_tokens": 6, "max_turns": 4, "tokenizer": "textenvs"}


def make(learner: str, model: str, level: str = "choice", num_envs: int = 4, **keywords: Any) -> Any:
    env_kwargs = {**SMALL, "action_level": level}
    return agents.make(learner, "TextGuessNumber-v0", model, num_envs=num_envs, env_kwargs=env_kwargs, **keywords)


@pytest.mark.parametrize("level", ["token", "turn", "choice"])
def test_a_round_holds_whole_episodes_of_groups_that_start_alike(small_model: str, level: str) -> None:
    model = make("grpo", small_model, level, n_starts=3, group_size=4, num_envs=5)
    rounds = []

    def train() -> None:
        rounds.append(model.num_timesteps)
        buffer = model.rollout_buffer
        assert len(buffer.groups) == 12 and np.bincount(buffer.groups).tolist() == [4, 4, 4]
        openings: dict[int, set[bytes]] = {0: set(), 1: set(), 2: set()}
        for episode, (group, total) in enumerate(zip(buffer.groups, buffer.episode_returns, strict=True)):
            steps = np.flatnonzero(buffer.episode.reshape(-1) == episode)
            rows = np.unique(steps % 5)
            assert len(rows) == 1, "an episode is played in one row"
            times = steps // 5
            assert times.tolist() == list(range(times[0], times[0] + len(times)))
            assert buffer.episode_starts[times[0], rows[0]] and not buffer.episode_starts[times[1:], rows[0]].any()
            rewards = buffer.rewards[times, rows[0]]
            assert total == pytest.approx(rewards.sum())
            # no discount: the return-to-go of a step is the sum of what follows
            np.testing.assert_allclose(buffer.returns[times, rows[0]], rewards[::-1].cumsum()[::-1], atol=1e-6)
            openings[int(group)].add(buffer.context(int(steps[0])).tobytes())
        assert all(len(found) == 1 for found in openings.values())
        counted = sum(len(indices) for indices, _ in buffer.batches(16))
        assert counted == model.num_timesteps

    model.train = train
    model.learn(1)
    assert rounds == [model.num_timesteps]


def test_group_advantages_by_hand() -> None:
    returns, groups = np.array([1.0, 5.0, 3.0, 7.0]), np.array([0, 1, 0, 1])
    assert group_advantages(returns, groups, "mean").tolist() == [-1, -1, 1, 1]
    assert group_advantages(returns, groups, "leave_one_out").tolist() == [-2, -2, 2, 2]
    np.testing.assert_allclose(group_advantages(returns, groups, "normalized"), [-1, -1, 1, 1], atol=1e-3)
    three = group_advantages(np.array([0.0, 0.0, 3.0]), np.zeros(3, int), "leave_one_out")
    np.testing.assert_allclose(three, [-1.5, -1.5, 3.0])


def test_the_mean_over_an_episode_is_over_all_of_it_where_the_window_slid(small_model: str) -> None:
    env_kwargs = {**SMALL, "window": 32, "max_turns": 8, "action_level": "token"}
    keywords: dict[str, Any] = {"n_starts": 4, "group_size": 2, "ratio": "episode", "batch_size": 16}
    keywords["env_kwargs"] = env_kwargs
    model: Any = agents.make("grpo", "TextGuessNumber-v0", small_model, num_envs=4, **keywords)
    found = []

    def evaluate(batch: Any, actions: Any, inner: Any = model.policy.evaluate_actions) -> Any:
        found.append(len(actions))
        return inner(batch, actions)

    model.policy.evaluate_actions = evaluate
    model.learn(1)
    buffer = model.rollout_buffer
    episode, segment = buffer.episode.reshape(-1), buffer.segment.reshape(-1)
    assert any(len(np.unique(segment[episode == each])) > 1 for each in range(8))
    batches = [steps for steps, _ in buffer.episode_batches(16)]
    assert len(batches) > 1 and len(found) == model.n_epochs * len(batches)
    assert sorted(np.concatenate(batches)) == buffer._usable().tolist()
    of_batches = [set(episode[steps].tolist()) for steps in batches]
    assert sum(map(len, of_batches)) == 8, "an episode is in one batch"


@pytest.mark.parametrize("learner", ["grpo", "gspo", "rloo", "reinforce", "bc"])
def test_a_round_in_parts_gives_the_gradient_of_the_whole(
    small_model: str, learner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_descent = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {}}
    weights, passes = [], []
    for part in (1000, 4):
        for module in ("group", "reinforce", "imitation"):
            monkeypatch.setattr(f"agents.learners.{module}.PART", part)
        options: dict[str, Any] = {"grpo": {"n_epochs": 2}, "gspo": {"n_epochs": 2, "ratio": "episode"}}
        keywords = {**options, "bc": {"batch_size": None}}.get(learner, {})
        name = "grpo" if learner == "gspo" else learner
        model = make(name, small_model, n_starts=8, learning_rate=0.5, policy_kwargs=plain_descent, **keywords)
        evaluate = model.policy.evaluate_actions
        passes.append(0)

        def counted(*given: Any, evaluate: Any = evaluate) -> Any:
            passes[-1] += 1
            return evaluate(*given)

        model.policy.evaluate_actions = counted
        model.learn(1)
        weights.append(torch.cat([each.detach().flatten() for each in model.policy.parameters()]))
    assert passes[1] >= 2 * passes[0]
    torch.testing.assert_close(weights[0], weights[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("baseline", ["none", "mean", "value"])
def test_reinforce_steps_along_the_gradient_of_the_log_probabilities(small_model: str, baseline: str) -> None:
    """Against the sum over single steps, each on its plain observation, with plain gradient descent."""
    plain_descent = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {}}
    model = make(
        "reinforce",
        small_model,
        n_starts=6,
        baseline=baseline,
        normalize_returns=False,
        vf_coef=0.0,
        learning_rate=0.5,
        max_grad_norm=1e9,
        batch_size=7,
        policy_kwargs=plain_descent,
    )
    steps: list[tuple[Any, Any]] = []
    add = model.rollout_buffer.add

    def spy(obs: np.ndarray, action: np.ndarray, *rest: Any) -> None:
        steps.extend((obs[row].copy(), int(action[row])) for row in range(len(obs)))
        add(obs, action, *rest)

    model.rollout_buffer.add = spy
    train = model.train

    def check() -> None:
        buffer = model.rollout_buffer
        usable = buffer._usable()
        returns = buffer.returns.reshape(-1)
        b = {"none": 0.0, "mean": buffer.episode_returns.mean(), "value": 0.0}[baseline]  # the critic starts at zero
        policy = model.policy
        policy.zero_grad()
        for step in usable:
            observation = torch.as_tensor(steps[step][0][None])
            _, log_prob, _ = policy.evaluate_actions(observation, torch.tensor([[steps[step][1]]]))
            (-(float(returns[step]) - float(b)) * log_prob.sum() / len(usable)).backward()
        expected = {n: p.detach() - 0.5 * p.grad for n, p in policy.named_parameters() if p.grad is not None}
        train()
        for name, parameter in policy.named_parameters():
            if name in expected:
                torch.testing.assert_close(parameter.detach(), expected[name], atol=1e-5, rtol=1e-4)

    model.train = check
    model.learn(1)
    assert steps


@pytest.mark.parametrize(
    ("learner", "options"),
    [
        ("reinforce", {"baseline": "mean", "ent_coef": 0.01}),
        ("rloo", {}),
        ("grpo", {"kl_coef": 0.1, "n_epochs": 2, "batch_size": 8}),
        ("grpo", {"advantage": "mean", "average": "constant"}),
        ("grpo", {"clip_range_high": 0.28, "average": "step", "drop_equal": True}),
        ("grpo", {"ratio": "episode"}),
        ("grpo", {"step_weight": 1.0}),
        ("bc", {"error": 0.3}),
        ("filtered_bc", {}),
        ("expert_iteration", {"top": 0.5}),
        ("dpo", {"pairs": 1}),
    ],
)
def test_saved_between_rounds_it_goes_on_exactly(
    small_model: str, learner: str, options: dict[str, Any], tmp_path: Path
) -> None:
    rounds = {"n_starts": 4} if learner in ("reinforce", "bc", "filtered_bc") else {"n_starts": 2, "group_size": 3}
    whole = make(learner, small_model, **rounds, **options)
    whole.learn(1)
    agents.save(whole, tmp_path / "checkpoint.pt")
    before = [parameter.clone() for parameter in whole.policy.parameters()]
    whole.learn(90, reset_num_timesteps=False)
    resumed = agents.load(tmp_path / "checkpoint.pt")
    for one, other in zip(before, resumed.policy.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    resumed.learn(90, reset_num_timesteps=False)
    changed = False
    for old, one, other in zip(before, whole.policy.parameters(), resumed.policy.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
        changed |= not torch.equal(old, one)
    assert changed, "it learned something"


@pytest.mark.parametrize("level", ["token", "turn", "choice"])
def test_bc_descends_the_negative_log_probability_of_what_the_expert_does(small_model: str, level: str) -> None:
    model = make("bc", small_model, level, n_starts=5, n_epochs=2, batch_size=None, learning_rate=0.01)
    losses = []

    def train() -> None:
        buffer = model.rollout_buffer
        assert (buffer.episode_returns > 0.5).all(), "the expert wins"
        samples = next(buffer.batches())[1]
        log_prob = model.policy.evaluate_actions(samples.observations, samples.actions)[1]
        losses.append(float(-log_prob.detach().mean()))
        plain(model)

    plain, model.train = type(model).train, train
    model.learn(150)
    assert losses[-1] < losses[0]


def test_the_best_share_of_each_group() -> None:
    returns, groups = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 5.0]), np.array([0, 0, 0, 0, 1, 1])
    assert best(returns, groups, 0.5).tolist() == [False, False, True, True, False, False]
    assert best(returns, groups, 0.1).tolist() == [False, False, False, True, False, False]
    assert best(returns, groups, 1.0).all()
    assert best(np.ones(3), np.zeros(3, int), 0.5).all(), "where nothing is better, all is kept"


def test_filtered_bc_keeps_the_best_episodes_of_all(small_model: str) -> None:
    model = make("filtered_bc", small_model, n_starts=40, top=0.25, error=0.9)
    train = model.train

    def check() -> None:
        returns = model.rollout_buffer.episode_returns.copy()
        train()
        left = np.unique(model.rollout_buffer.episode)
        left = left[left >= 0]
        assert len(left) == 10 and returns[left].min() >= np.sort(returns)[-10]

    model.train = check
    model.learn(1)


def test_dpo_prefers_the_better_episode_of_a_pair(small_model: str) -> None:
    assert preferences(np.array([1.0, 3.0, 2.0, 4.0, 4.0]), np.array([0, 0, 0, 1, 1])).tolist() == [[1, 0]]
    model = make("dpo", small_model, n_starts=8, group_size=4, n_epochs=3, pairs=4, learning_rate=0.01)
    margins: list[float] = []

    def check() -> None:
        pairs = preferences(model.rollout_buffer.episode_returns, model.rollout_buffer.groups)
        assert len(pairs)
        margins.append(float(model._margins(pairs)[0].detach().mean()))
        plain(model)
        margins.append(float(model._margins(pairs)[0].detach().mean()))
        one, _ = model._margins(pairs[:1])
        torch.testing.assert_close(one[0], model._margins(pairs)[0][0], atol=1e-4, rtol=1e-4)

    plain, model.train = type(model).train, check
    model.learn(1)
    assert margins[0] == pytest.approx(0.0, abs=1e-5), "it starts as its reference"
    assert margins[1] > 0.01


def test_dpo_keeps_its_entropy_where_asked(small_model: str) -> None:
    def entropy(ent_coef: float) -> float:
        model = make("dpo", small_model, n_starts=8, group_size=4, n_epochs=3, learning_rate=0.01, ent_coef=ent_coef)
        model.learn(1)
        observations = torch.as_tensor(model.env.reset())
        with torch.no_grad():
            actions, _, _ = model.policy(observations)
            return float(model.policy.evaluate_actions(observations, actions)[2].mean())

    assert entropy(1.0) > entropy(0.0)


def test_kl_to_the_starting_model_is_taken_off_ppos_rewards(small_model: str) -> None:
    kept = {}
    for kl_coef in (0.0, 0.5):
        env_kwargs = {**SMALL, "action_level": "choice"}
        buffer = {"rollout_buffer_kwargs": {"kl_coef": kl_coef}}
        model = agents.make(
            "ppo",
            "TextGuessNumber-v0",
            small_model,
            num_envs=2,
            env_kwargs=env_kwargs,
            n_steps=8,
            batch_size=16,
            **buffer,  # type: ignore[arg-type]
        )
        model.train = lambda: None  # type: ignore[method-assign]
        with torch.no_grad():  # away from the starting model
            for weight in model.policy.reader.query.parameters():  # type: ignore[union-attr]
                weight.add_(1.0)
        model.learn(16)
        kept[kl_coef] = model.rollout_buffer
    plain, held = kept[0.0], kept[0.5]
    reference = held.reference
    np.testing.assert_array_equal(plain.actions, held.actions)
    for steps, samples in held.batches():
        _, log_prob, _ = reference.evaluate_actions(samples.observations, samples.actions)
        penalty = 0.5 * (samples.old_log_prob - log_prob).numpy()
        expected = plain.rewards.reshape(-1)[steps] - penalty
        np.testing.assert_allclose(held.rewards.reshape(-1)[steps], expected, atol=1e-6)
        assert np.abs(penalty).max() > 0.01


@pytest.mark.parametrize(
    ("learner", "wrong"),
    [
        ("grpo", {"group_size": 1}),
        ("grpo", {"advantage": "best"}),
        ("reinforce", {"baseline": "median"}),
        ("reinforce", {"n_epochs": 2}),
        ("rloo", {"n_starts": 0}),
        ("grpo", {"clip_range": -0.2}),
        ("grpo", {"kl_coef": -0.1}),
        ("bc", {"max_grad_norm": -1.0}),
        ("bc", {"batch_size": 0}),
        ("dpo", {"pairs": 0}),
    ],
)
def test_wrong_options_are_refused(small_model: str, learner: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make(learner, small_model, **wrong)


@pytest.mark.parametrize(
    ("learner", "name"), [("grpo", "vf_coef"), ("dpo", "batch_size"), ("bc", "gamma"), ("expert_iteration", "error")]
)
def test_options_that_would_change_nothing_are_refused(small_model: str, learner: str, name: str) -> None:
    with pytest.raises(TypeError, match=f"takes no keyword '{name}', which it would make no use of"):
        make(learner, small_model, **{name: 0.5})
    assert name not in keywords(LEARNERS[learner].algorithm)


def test_a_penalty_of_the_buffer_counts_in_returns_of_episodes(small_model: str) -> None:
    """With gradients off the reference is the policy itself; a shifted one has to be paid for."""
    returns = {}
    for kl_coef in (0.0, 0.5):
        model = make("grpo", small_model, n_starts=2, group_size=2, rollout_buffer_kwargs={"kl_coef": kl_coef})
        model.train = lambda: None
        if kl_coef:
            with torch.no_grad():
                for parameter in model.rollout_buffer.reference.parameters():
                    parameter.mul_(1.5)
        model.learn(1)
        returns[kl_coef] = model.rollout_buffer
    held, plain = returns[0.5], returns[0.0]
    usable = held._usable()
    sums = np.bincount(held.episode.reshape(-1)[usable], held.rewards.reshape(-1)[usable])
    np.testing.assert_allclose(held.episode_returns, sums, atol=1e-6)
    assert np.abs(held.episode_returns - plain.episode_returns).max() > 0.01


def test_a_penalty_without_a_reference_is_an_error(small_model: str) -> None:
    with pytest.raises(ValueError, match="kl_coef must be at least 0"):
        make("ppo", small_model, n_steps=16, rollout_buffer_kwargs={"kl_coef": -1.0})
    model = make("ppo", small_model, n_steps=16, batch_size=16, rollout_buffer_kwargs={"kl_coef": 0.1})
    model.rollout_buffer.reference = None
    with pytest.raises(ValueError, match="kl_coef needs the policy that it holds to"):
        model.learn(64)


def test_a_teacher_goes_on_with_other_rows(small_model: str, tmp_path: Path) -> None:
    model = make("bc", small_model, num_envs=4)
    model.learn(20)
    model.save(tmp_path / "bc.zip")
    for rows in (2, 8):
        envs = agents.make_vec_env("TextGuessNumber-v0", rows, **model.recipe["env_kwargs"])
        type(model).load(tmp_path / "bc.zip", env=envs).learn(20)


def test_a_constraint_that_binds_nobody_is_told(small_model: str) -> None:
    with pytest.warns(UserWarning, match="ppo says any token.*maskable_ppo"):
        agents.make("ppo", "TextHanoi-v0", small_model, env_kwargs={"tokenizer": "textenvs", "constrain": True})
