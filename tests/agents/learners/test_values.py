"""Value learners against updates computed by hand on three states, and what they share."""

import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from torch import Tensor, nn
from torch.nn import functional

import agents
from agents.learners.ddqn import DDQN, td_targets
from agents.learners.ilql import ILQL, implicit_losses
from agents.learners.sac_discrete import SACDiscrete
from agents.memory import TokenReplayBuffer
from agents.memory.packed import PackedBatch
from agents.memory.prioritized import PrioritizedReplayBuffer, SumTree
from agents.policies.q_network import TokenQNetwork
from tests.agents.conftest import small_settings
from tests.agents.learners.chain import ID, Table, TablePolicy, chain_env, fill, ready
from textenvs.tokens.tokenizer import load_tokenizer

pytestmark = pytest.mark.usefixtures("chain_is_registered")
TOKENIZER = load_tokenizer("textenvs")
GAMMA = 0.5
# Q of online and target network in a, b, c and the end, for go and stop
ONLINE = torch.tensor([[0.1, 0.2], [0.6, 0.3], [0.2, 0.4], [9.0, 9.0]])
TARGET = torch.tensor([[0.5, 0.0], [0.2, 0.8], [0.7, 0.1], [9.0, 9.0]])


class QTable(TablePolicy):
    def make(self, tokenizer: Any) -> None:
        self.q_net, self.q_net_target = Table(tokenizer, 2), Table(tokenizer, 2)
        self.q_net.numbers.data[:], self.q_net_target.numbers.data[:] = ONLINE, TARGET
        self.q_net_target.requires_grad_(False)

    def __init__(self, *positional: Any, dueling: bool = False, **keywords: Any) -> None:
        super().__init__(*positional, **keywords)


def ddqn(**keywords: Any) -> DDQN:
    settings = {"dueling": False, "prioritized": False, "n_steps": 1, "buffer_size": 50, "learning_rate": 1.0}
    settings |= {"gamma": GAMMA, "policy_kwargs": {"tokenizer": TOKENIZER}, "replay_buffer_kwargs": {"gamma": GAMMA}}
    return ready(DDQN(QTable, chain_env(), **{**settings, **keywords}))


@pytest.mark.parametrize(
    ("options", "targets"),
    [
        # go from a, b and c: y = r + gamma max Q'(next), or Q'(next, argmax Q(next)); the end is worth nothing
        ({"double": False}, [0.5 * 0.8, 0.5 * 0.7, 1.0]),
        ({"double": True}, [0.5 * 0.2, 0.5 * 0.1, 1.0]),
        ({"double": True, "n_steps": 2}, [0.25 * 0.1, 0.5 * 1.0, 1.0]),
        ({"double": False, "n_steps": 3}, [0.25 * 1.0, 0.5 * 1.0, 1.0]),
    ],
)
def test_ddqn_updates_as_computed_by_hand(options: dict[str, Any], targets: list[float]) -> None:
    model = ddqn(**options)
    fill(model, ["ggg"])
    model.train(gradient_steps=1, batch_size=3)
    expected = ONLINE.clone()
    for state, target in enumerate(targets):
        error = target - float(ONLINE[state, 0])
        assert abs(error) < 1, "where Huber's loss is quadratic"
        expected[state, 0] += error / 3  # the mean over three steps
    torch.testing.assert_close(model.policy.q_net.numbers.data, expected)


def test_ddqn_weighs_the_errors_of_prioritized_replay() -> None:
    """Two steps, stop in a (Q 0.2, y 0.25) and go in a (Q 0.1, y = 0.1): priorities 3 and 1."""
    model = ddqn(prioritized=True, replay_buffer_kwargs={"gamma": GAMMA, "alpha": 1.0, "epsilon": 0.0})
    fill(model, ["s", "g"])
    buffer: Any = model.replay_buffer
    buffer.tree.set(np.arange(2), np.array([3.0, 1.0]))
    buffer.beta = (0.5, 1.0)
    drawn = []
    sample = buffer.sample
    buffer.sample = lambda batch_size: drawn.append(sample(batch_size)) or drawn[-1]
    model.train(gradient_steps=1, batch_size=4)
    places = drawn[0].places.tolist()
    assert places == [0, 0, 0, 1], "stratified: three quarters of the mass belong to the first"
    # (N P)^-beta: (2 * 3/4)^-0.5 and (2 * 1/4)^-0.5, over the larger
    weight = math.sqrt(0.5 / 1.5)
    np.testing.assert_allclose(drawn[0].weights.flatten().numpy(), [weight] * 3 + [1.0], rtol=1e-6)
    expected = ONLINE.clone()
    errors = [0.25 - 0.2, 0.5 * 0.2 - 0.1]
    expected[0, 1] += 3 * weight * errors[0] / 4
    expected[0, 0] += errors[1] / 4
    torch.testing.assert_close(model.policy.q_net.numbers.data, expected)
    np.testing.assert_allclose(buffer.tree[np.arange(2)], np.abs(errors), atol=1e-6)


def test_beta_moves_from_its_first_to_its_last_value() -> None:
    model = ddqn(prioritized=True, replay_buffer_kwargs={"gamma": GAMMA, "alpha": 1.0, "beta": (0.4, 1.0)})
    fill(model, ["s", "g"])
    buffer: Any = model.replay_buffer
    for remaining, beta in ((1.0, 0.4), (0.5, 0.7), (0.0, 1.0)):
        buffer.tree.set(np.arange(2), np.array([3.0, 1.0]))
        model._current_progress_remaining = remaining
        model.train(gradient_steps=1, batch_size=4)
        buffer.tree.set(np.arange(2), np.array([3.0, 1.0]))
        assert buffer.sample(4).weights.min().item() == pytest.approx((1 / 3) ** beta)


def test_a_sum_tree_draws_in_proportion() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 64, 100):
        tree, leaves = SumTree(size), rng.random(size) * (rng.random(size) < 0.7)
        leaves[0] = 0.3
        tree.set(np.arange(size), rng.random(size))
        tree.set(np.arange(size), leaves)
        assert tree.total == pytest.approx(leaves.sum())
        masses = (np.arange(1000) + 0.5) / 1000 * tree.total
        np.testing.assert_array_equal(tree.find(masses), np.searchsorted(leaves.cumsum(), masses, side="right"))
    tree = SumTree(4)
    tree.set(np.array([0, 1, 2, 3]), np.array([0.5, 0.0, 0.25, 0.0]))
    assert tree.find(np.array([0.0, 0.5, 0.75])).tolist() == [0, 2, 2], "never a leaf of nothing, even at the very end"


def test_new_steps_have_the_largest_priority_and_take_the_place_of_old_ones() -> None:
    model = ddqn(prioritized=True, buffer_size=4, replay_buffer_kwargs={"alpha": 0.5, "epsilon": 0.25})
    buffer: Any = model.replay_buffer
    fill(model, ["ggg"])
    assert buffer.tree[np.arange(4)].tolist() == [1, 1, 1, 0]
    buffer.update(np.array([0, 1]), np.array([-3.75, 0.0]))
    assert buffer.tree[np.arange(3)].tolist() == [2.0, 0.5, 1.0]
    fill(model, ["ss"])
    assert buffer.full and buffer.tree[np.arange(4)].tolist() == [2.0, 0.5, 1.0, 2.0]
    with pytest.raises(ValueError, match="prioritized"):
        ddqn(prioritized=False, replay_buffer_class=PrioritizedReplayBuffer)


@pytest.mark.parametrize("per_sequence", [1, 3])
def test_steps_are_drawn_by_their_priorities(per_sequence: int) -> None:
    model = ddqn(prioritized=True, replay_buffer_kwargs={"alpha": 1.0, "epsilon": 0.0, "per_sequence": per_sequence})
    buffer: Any = model.replay_buffer
    fill(model, ["gggg", "s", "gg"])
    errors = np.array([1.0, 2.0, 0.0, 5.0, 3.0, 4.0, 1.0])
    buffer.update(np.arange(7), errors)
    counts = np.zeros(7)
    for _ in range(4000):
        np.add.at(counts, buffer._draw(16)[0], 1)
    expected = errors / errors.sum()
    np.testing.assert_allclose(counts / counts.sum(), expected, atol=0.02)


def test_td_targets_of_a_vocabulary_hold_to_what_is_admissible() -> None:
    online = torch.tensor([[1.0, 5.0, 2.0]])
    target = torch.tensor([[0.1, 0.2, 0.3]])
    one = torch.ones(1, 1)
    assert td_targets(one, 0 * one, 0.5 * one, target, online).item() == pytest.approx(1 + 0.5 * 0.2)
    online[0, 1] = target[0, 1] = -1e8
    assert td_targets(one, 0 * one, 0.5 * one, target, online).item() == pytest.approx(1 + 0.5 * 0.3)
    assert td_targets(one, one, 0.5 * one, target, online).item() == 1


def q_network(model: str, level: str, **keywords: Any) -> tuple[Any, Tensor]:
    env: Any = gym.make("TextGuessNumber-v0", action_level=level, window=64, max_utterance_tokens=4, level="easy")
    network = TokenQNetwork(env.observation_space, env.action_space, backbone=model, **keywords)
    torch.manual_seed(1)
    nn.init.normal_(network.value.weight)
    return network, torch.as_tensor(env.reset(seed=0)[0])[None]


@pytest.mark.parametrize("level", ["token", "choice"])
def test_dueling_advantages_have_mean_zero_over_what_is_admissible(small_model: str, level: str) -> None:
    network, observation = q_network(small_model, level, dueling=True)
    hidden = network.reader.last_hidden(observation)
    masks = None
    if level == "token":
        masks = torch.zeros(1, network.action_space.n, dtype=torch.bool)
        masks[0, 20:25] = True
    q_values = network(observation, masks)
    present = q_values > -1e7
    assert present.sum() == (5 if level == "token" else 8)
    torch.testing.assert_close(q_values[present].mean(), network.value(hidden)[0, 0])
    if level == "token":
        logits = network.scale * network.reader.token_logits(hidden)[0, 20:25]
        torch.testing.assert_close(q_values[0, 20:25], network.value(hidden)[0, 0] + logits - logits.mean())


def test_without_dueling_a_token_is_worth_its_log_probability_among_the_admissible(small_model: str) -> None:
    network, observation = q_network(small_model, "token", scale=0.3)
    masks = torch.zeros(1, network.action_space.n, dtype=torch.bool)
    masks[0, 20:25] = True
    hidden = network.reader.last_hidden(observation)
    log_probs = network.reader.token_logits(hidden)[0, 20:25].log_softmax(0)
    torch.testing.assert_close(network(observation, masks)[0, 20:25], network.value(hidden)[0, 0] + 0.3 * log_probs)


def test_heads_start_near_each_other_but_not_alike(small_model: str) -> None:
    for level in ("token", "choice"):
        network, observation = q_network(small_model, level, heads=3)
        heads = network.all_heads(observation)[0]
        present = heads[0] > -1e7
        assert (heads[0] - heads[1])[present].abs().max() > 1e-4
        torch.testing.assert_close(network(observation)[0], heads.mean(dim=0))


def test_boltzmann_exploration_draws_in_proportion_to_exp_q_over_temperature(small_model: str) -> None:
    env_kwargs = {"action_level": "choice", "level": "easy", "window": 64, "tokenizer": "textenvs"}
    settings = {"exploration": "softmax", "policy_kwargs": {"temperature": (1.0, 0.5, 4000)}}
    model: Any = agents.make("ddqn", "TextGuessNumber-v0", small_model, 1, env_kwargs=env_kwargs, **settings)
    policy = model.policy
    assert policy.current_temperature() == 1.0
    wanted = torch.linspace(0, 1.4, 8)
    policy.q_net.heads_of = lambda hidden, choices, masks: wanted.expand(len(hidden), 1, 8)
    policy.steps += 10_000
    assert policy.current_temperature() == 0.5
    observations = torch.as_tensor(model.get_env().reset()).expand(8000, -1)
    policy.q_net.reader.last_hidden = lambda obs: torch.zeros(len(obs), 32)
    torch.manual_seed(0)
    drawn = policy._predict(observations, deterministic=False)
    shares = torch.bincount(drawn, minlength=8) / 8000
    assert (shares - (wanted / 0.5).softmax(0)).abs().max() < 0.02  # four standard errors of 8000 draws


class SACTable(TablePolicy):
    """Logits, twin critics and a temperature of 0.5."""

    LOGITS = torch.tensor([[0.0, 1.0], [0.5, 0.0], [0.0, 0.0], [0.0, 0.0]])

    def make(self, tokenizer: Any) -> None:
        self.actor = Table(tokenizer, 2)
        self.actor.numbers.data[:] = self.LOGITS
        self.critic, self.critic_target = Table(tokenizer, 2, 2), Table(tokenizer, 2, 2)
        self.critic.numbers.data[:] = torch.stack([ONLINE, ONLINE.flip(1)], dim=1)
        self.critic_target.numbers.data[:] = torch.stack([TARGET, TARGET + 0.1], dim=1)
        self.critic_target.requires_grad_(False)
        for critic in (self.critic, self.critic_target):
            critic.all_heads = critic.forward  # type: ignore[method-assign,assignment]
        self.log_temperature = nn.Parameter(torch.tensor(math.log(0.5)))

    def log_probs(self, obs: Any) -> Tensor:
        return self.actor(obs).log_softmax(dim=1)


def test_sac_updates_as_computed_by_hand() -> None:
    model = SACDiscrete(
        SACTable,
        chain_env(),
        learning_rate=1.0,
        gamma=GAMMA,
        buffer_size=50,
        tau=0.25,
        max_grad_norm=1e9,
        target_entropy=0.5,
        replay_buffer_kwargs={"gamma": GAMMA},
        policy_kwargs={"tokenizer": TOKENIZER},
    )
    ready(model)
    fill(model, ["g", "s"])  # go in a, to b; stop in b, to the end
    model.train(gradient_steps=1, batch_size=2)
    policy: Any = model.policy
    pi = SACTable.LOGITS.softmax(dim=1).double().numpy()
    # V(b) = sum pi (Q' - T log pi) with the lesser of the two targets, which is the first
    value = sum(pi[1, a] * (float(TARGET[1, a]) - 0.5 * math.log(pi[1, a])) for a in range(2))
    critics = torch.stack([ONLINE, ONLINE.flip(1)], dim=1)
    expected = critics.clone()
    for state, action, target in ((0, 0, GAMMA * value), (1, 1, 0.25)):
        for k in range(2):
            expected[state, k, action] += (target - float(critics[state, k, action])) / 2
    torch.testing.assert_close(policy.critic.numbers.data, expected)
    torch.testing.assert_close(
        policy.critic_target.numbers.data, 0.75 * torch.stack([TARGET, TARGET + 0.1], dim=1) + 0.25 * expected
    )
    # d/dlogits of sum pi (T log pi - min Q): pi_j (f_j - sum pi f), with f = T log pi - min Q
    logits, entropies = SACTable.LOGITS.clone(), []
    for state in range(2):
        least = critics[state].amin(dim=0).double().numpy()
        f = 0.5 * np.log(pi[state]) - least
        logits[state] -= torch.as_tensor(pi[state] * (f - (pi[state] * f).sum()) / 2).float()
        entropies.append(-(pi[state] * np.log(pi[state])).sum())
    torch.testing.assert_close(policy.actor.numbers.data, logits)
    lowered = math.log(0.5) - (np.mean(entropies) - 0.5 * math.log(2))
    assert policy.log_temperature.item() == pytest.approx(lowered, abs=1e-5)


class ImplicitTable(nn.Module):
    """Twin Q-values and state values."""

    def __init__(self, tokenizer: Any, q_values: Tensor, values: Tensor) -> None:
        super().__init__()
        self.q, self.v = Table(tokenizer, 2, 2), Table(tokenizer, 1)
        self.q.numbers.data[:], self.v.numbers.data[:] = q_values, values

    def all_heads(self, obs: Any) -> Tensor:
        return self.q(obs)

    def both(self, obs: Any) -> tuple[Tensor, Tensor]:
        return self.q(obs), self.v(obs)


VALUES = torch.tensor([[0.3], [0.5], [0.2], [9.0]])


class ImplicitPolicy(TablePolicy):
    def make(self, tokenizer: Any) -> None:
        self.q_net = ImplicitTable(tokenizer, torch.stack([ONLINE, ONLINE + 0.1], dim=1), VALUES)
        self.q_net_target = ImplicitTable(tokenizer, torch.stack([TARGET, TARGET - 0.1], dim=1), VALUES)
        self.q_net_target.requires_grad_(False)
        self.language_model = Table(tokenizer, 2)

    def log_probs(self, obs: Any) -> Tensor:
        return self.language_model(obs).log_softmax(dim=1)


@pytest.mark.parametrize("monte_carlo", [False, True])
def test_ilql_updates_as_computed_by_hand(monte_carlo: bool) -> None:
    model = ILQL(
        ImplicitPolicy,
        chain_env(),
        learning_rate=1.0,
        gamma=GAMMA,
        buffer_size=50,
        tau=0.25,
        expectile=0.8,
        cql_coef=0.1,
        imitation_coef=0.5,
        monte_carlo=monte_carlo,
        max_grad_norm=1e9,
        replay_buffer_kwargs={"gamma": GAMMA},
        policy_kwargs={"tokenizer": TOKENIZER},
    )
    ready(model)
    fill(model, ["gs"])  # go in a, to b; stop in b, with 0.25
    model.train(gradient_steps=1, batch_size=2)
    policy: Any = model.policy
    steps = ((0, 0, GAMMA * 0.25 if monte_carlo else GAMMA * 0.5), (1, 1, 0.25))
    q_values = torch.stack([ONLINE, ONLINE + 0.1], dim=1)
    q_expected, v_expected, lm_expected = q_values.clone(), VALUES.clone(), torch.zeros(4, 2)
    for state, action, target in steps:
        for k in range(2):
            softmax = q_values[state, k].softmax(0)
            q_expected[state, k] -= 0.1 * softmax / 2
            q_expected[state, k, action] -= (2 * (float(q_values[state, k, action]) - target) - 0.1) / 2
        u = float(TARGET[state, action]) - 0.1 - float(VALUES[state])  # the second target is the lesser
        v_expected[state] += (0.8 if u > 0 else 0.2) * 2 * u / 2
        lm_expected[state, action] += 0.5 * 0.5 / 2
        lm_expected[state, 1 - action] -= 0.5 * 0.5 / 2
    torch.testing.assert_close(policy.q_net.q.numbers.data, q_expected)
    torch.testing.assert_close(policy.q_net.v.numbers.data, v_expected)
    torch.testing.assert_close(policy.language_model.numbers.data, lm_expected)
    target_expected = 0.75 * torch.stack([TARGET, TARGET - 0.1], dim=1) + 0.25 * q_expected
    torch.testing.assert_close(policy.q_net_target.q.numbers.data, target_expected)


def test_implicit_values_lean_to_the_better_actions_of_the_data() -> None:
    """The minimiser over two equally frequent actions of values 0 and 1 is the expectile itself."""
    q_values = torch.zeros(2, 2, 2)
    q_values[:, :, 1] = 1.0
    actions, value = torch.tensor([[0], [1]]), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([value], lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        implicit_losses(q_values, value.expand(2, 1), q_values, actions, torch.zeros(2, 1), 0.9).value.backward()
        optimizer.step()
    assert value.item() == pytest.approx(0.9, abs=1e-3)


def test_ilql_acts_by_log_probability_plus_beta_times_advantage(small_model: str) -> None:
    env_kwargs = {"action_level": "token", "level": "easy", "window": 64, "tokenizer": "textenvs"}
    model: Any = agents.make(
        "ilql", "TextGuessNumber-v0", small_model, 2, env_kwargs=env_kwargs, policy_kwargs={"beta": 3.0}
    )
    policy, observations = model.policy, torch.as_tensor(model.get_env().reset())
    nn.init.normal_(policy.q_net.moves.weight)
    nn.init.normal_(policy.q_net.state_value.weight)
    with torch.no_grad():
        imitated = functional.log_softmax(
            policy.language_model.token_logits(policy.reader.last_hidden(observations)), 1
        )
        q_values, values = policy.q_net.both(observations)
        wanted = imitated + 3.0 * (torch.minimum(q_values[:, 0], q_values[:, 1]) - values)
        assert policy._predict(observations, deterministic=True).tolist() == wanted.argmax(dim=1).tolist()
    assert (wanted.argmax(dim=1) != imitated.argmax(dim=1)).any()


def test_quantiles_learn_a_distribution(small_model: str) -> None:
    """Of returns 0 and 4, equally frequent. A quantile x of share t below 1 has t * 1 = (1 - t) x by Huber's loss."""
    env_kwargs = {"action_level": "choice", "window": 48, "max_utterance_tokens": 4, "tokenizer": "textenvs"}
    settings = {"learning_starts": 0, "learning_rate": 1e-2, "policy_kwargs": {"n_quantiles": 4}}
    model: Any = agents.make("qrdqn", ID, small_model, 2, env_kwargs=env_kwargs, **settings)
    ready(model)
    observations = model.get_env().reset()
    ends = np.array([True, True])
    for _ in range(20):
        model.replay_buffer.add(observations, observations, np.array([1, 1]), np.array([0.0, 4.0]), ends, [{}, {}])
    model.train(gradient_steps=300, batch_size=32)
    with torch.no_grad():
        quantiles = model.policy.quantile_net(torch.as_tensor(observations))[0, :, 1].sort().values
    expected = torch.tensor([1 / 7, 3 / 5, 4 - 3 / 5, 4 - 1 / 7])
    torch.testing.assert_close(quantiles, expected, atol=0.3, rtol=0)


@pytest.mark.parametrize(
    ("learner", "options"),
    [
        ("dqn", {}),
        ("ddqn", {}),
        ("ddqn", {"prioritized": False, "double": False, "dueling": False, "n_steps": 1}),
        ("qrdqn", {"n_steps": 2}),
        ("sac_discrete", {}),
        ("ilql", {"monte_carlo": True}),
        ("ilql", {}),
    ],
)
@pytest.mark.parametrize("constrain", [False, True])
def test_saved_it_goes_on_exactly_with_its_replay(
    small_model: str, learner: str, options: dict[str, Any], constrain: bool, tmp_path: Path
) -> None:
    env_kwargs = {"action_level": "token", "level": "easy", "window": 90, "max_turns": 3, "tokenizer": "textenvs"}
    env_kwargs |= {"constrain": constrain, "max_utterance_tokens": 6}
    settings = {**small_settings(learner), "buffer_size": 60, "train_freq": 4, **options}
    whole: Any = agents.make(learner, "TextHanoi-v0", small_model, 2, 3, env_kwargs, **settings)
    whole.learn(84)  # past the buffer's end, within an utterance
    agents.save(whole, tmp_path / "checkpoint.pt")
    resumed: Any = agents.load(tmp_path / "checkpoint.pt")
    torch.rand(3), np.random.rand(3)
    one, other = whole.replay_buffer.state(), resumed.replay_buffer.state()
    assert one.keys() == other.keys() and (not constrain or len(whole.replay_buffer.shared.values))
    for name, value in one.items():
        assert torch.equal(value, other[name]) if isinstance(value, Tensor) else value == other[name], name
    agents.save(whole, tmp_path / "checkpoint.pt")
    resumed = agents.load(tmp_path / "checkpoint.pt")
    before = [parameter.clone() for parameter in whole.policy.parameters()]
    random = torch.get_rng_state(), np.random.get_state()
    whole.learn(64, reset_num_timesteps=False)
    torch.set_rng_state(random[0])
    np.random.set_state(random[1])
    resumed.learn(64, reset_num_timesteps=False)
    changed = False
    for old, mine, its in zip(before, whole.policy.parameters(), resumed.policy.parameters(), strict=True):
        torch.testing.assert_close(mine, its, atol=0, rtol=0)
        changed |= not torch.equal(old, mine)
    assert changed


@pytest.mark.parametrize("learner", ["dqn", "ddqn", "qrdqn", "sac_discrete", "ilql"])
def test_constrained_tokens_are_always_admissible(small_model: str, learner: str) -> None:
    """While collecting, the warm-up included, in targets, and when a player plays."""
    env_kwargs = {"action_level": "token", "level": "easy", "window": 90, "constrain": True, "tokenizer": "textenvs"}
    settings = {**small_settings(learner), "train_freq": 4}
    if learner in ("dqn", "ddqn", "qrdqn"):
        settings["n_steps"] = 1  # returns of whole episodes would never look at what may be said next
    model: Any = agents.make(learner, "TextHanoi-v0", small_model, 3, env_kwargs=env_kwargs, **settings)
    env = model.get_env()
    step = env.step_async

    def check(actions: np.ndarray) -> None:
        assert env.action_masks()[np.arange(3), actions].all()
        step(actions)

    env.step_async = check
    model.learn(90)
    env.step_async = step
    sample = model.replay_buffer.sample(20)
    batch, going_on = sample.next_observations, sample.dones[:, 0] == 0
    assert isinstance(batch, PackedBatch) and batch.masks is not None
    network = getattr(model.policy, "q_net", None) or getattr(model.policy, "critic", None) or model.policy.network
    with torch.no_grad():
        values = network.all_heads(batch)
    assert (values.amax(dim=1)[~batch.masks] < -1e7).all() and batch.masks[going_on].sum(dim=1).max() < 2000
    assert batch.masks.sum(dim=1).median() < 10
    assert (values.argmax(dim=2)[:, 0][:, None] == batch.masks.nonzero()[:, 1]).any(dim=1).all()
    player = agents.players.PolicyPlayer(model, deterministic=False)
    result = agents.evaluate(player, "TextHanoi-v0", 4, level="easy", num_envs=2)
    said = [text for transcript in result.transcripts for role, text in transcript if role == "agent"]
    assert said and all(len(text.split()) == 3 and text.split()[1] == "to" for text in said)


def test_what_is_admissible_elsewhere_has_to_be_told(small_model: str) -> None:
    env_kwargs = {"action_level": "token", "level": "easy", "window": 90, "constrain": True, "tokenizer": "textenvs"}
    model: Any = agents.make("dqn", "TextHanoi-v0", small_model, 2, env_kwargs=env_kwargs, **small_settings("dqn"))
    other = agents.make_vec_env("TextHanoi-v0", 2, seed=9, **env_kwargs)
    observations = other.reset()
    masks = other.action_masks()
    actions, _ = model.policy.predict(observations, deterministic=True, action_masks=masks)
    assert masks[np.arange(2), actions].all()
    with pytest.raises(ValueError, match="action_masks"):
        model.policy.predict(observations, deterministic=True)
    own = model.get_env()
    seen = own.reset()
    actions, _ = model.policy.predict(seen, deterministic=True)
    assert own.action_masks()[np.arange(2), actions].all()


def test_a_fixed_epsilon_is_one_number(small_model: str) -> None:
    options = {"env_kwargs": {"tokenizer": "textenvs", "level": "easy"}, "policy_kwargs": {"epsilon": 0.2}}
    policy: Any = agents.make("dqn", "TextGuessNumber-v0", small_model, 1, **options).policy
    policy.steps += 1000
    assert policy.current_epsilon() == 0.2


@pytest.mark.parametrize("learner", ["dqn", "ddqn", "qrdqn", "sac_discrete", "ilql"])
def test_stable_baselines_zip_and_replay_load(small_model: str, learner: str, tmp_path: Path) -> None:
    env_kwargs = {"action_level": "token", "level": "easy", "window": 90, "constrain": True, "tokenizer": "textenvs"}
    model: Any = agents.make(learner, "TextHanoi-v0", small_model, 2, 0, env_kwargs, **small_settings(learner))
    model.learn(40)
    model.save(tmp_path / "model.zip")
    model.save_replay_buffer(tmp_path / "replay.pkl")
    loaded = type(model).load(tmp_path / "model.zip")
    loaded.load_replay_buffer(tmp_path / "replay.pkl")
    assert loaded.replay_buffer.size() == model.replay_buffer.size() and loaded.replay_buffer.masks is None
    observations, masks = model.get_env().reset(), model.get_env().action_masks()
    actions = [each.policy.predict(observations, deterministic=True, action_masks=masks)[0] for each in (model, loaded)]
    np.testing.assert_array_equal(*actions)


def test_warm_up_steps_are_the_policys_own(small_model: str) -> None:
    env_kwargs = {"action_level": "choice", "level": "easy", "window": 90, "tokenizer": "textenvs"}
    model: Any = agents.make("dqn", "TextHanoi-v0", small_model, 3, env_kwargs=env_kwargs, learning_starts=10_000)
    env, step = model.get_env(), model.get_env().step_async

    def check(actions: np.ndarray) -> None:
        assert env.action_masks()[np.arange(3), actions].all()
        step(actions)

    env.step_async = check
    model.learn(60)
    assert int(model.policy.steps) == 60


def test_a_model_given_as_an_object_is_not_shared_with_its_target(small_model: str) -> None:
    from transformers import AutoModelForCausalLM

    env_kwargs = {"action_level": "token", "level": "easy", "window": 64, "tokenizer": "textenvs"}
    for learner in ("dqn", "sac_discrete", "ilql"):
        given = AutoModelForCausalLM.from_pretrained(small_model)
        settings = {**small_settings(learner), "tau": 0.5}
        model: Any = agents.make(learner, "TextGuessNumber-v0", given, 2, env_kwargs=env_kwargs, **settings)
        parts = [module for name, module in model.policy.named_modules() if name.endswith("backbone")]
        assert len({id(part) for part in parts}) == len(parts) >= 2
        places = [parameter.data_ptr() for part in parts for parameter in part.parameters()]
        assert len(set(places)) == len(places)


@pytest.mark.parametrize("learner", ["dqn", "qrdqn"])
@pytest.mark.parametrize("buffer", [TokenReplayBuffer, ReplayBuffer])
def test_the_stock_learners_take_a_plain_replay_buffer(small_model: str, learner: str, buffer: Any) -> None:
    keywords = {**small_settings(learner), "replay_buffer_class": buffer, "gamma": 0.9}
    env_kwargs = {"tokenizer": "textenvs", "window": 64, "level": "easy", "max_utterance_tokens": 4}
    model: Any = agents.make(learner, "TextGuessNumber-v0", small_model, 2, env_kwargs=env_kwargs, **keywords)
    model.learn(40)
    assert type(model.replay_buffer) is buffer and model._n_updates > 0
    assert getattr(model.replay_buffer, "gamma", 0.9) == 0.9


@pytest.mark.parametrize(
    ("learner", "wrong", "message"),
    [
        ("dqn", {"n_steps": 3}, "knows no n_steps"),
        ("dqn", {"env_kwargs": {"constrain": True, "action_level": "token"}}, "constrain=True needs a Packed"),
        ("sac_discrete", {}, "sac_discrete needs a Packed"),
        ("ddqn", {}, "ddqn needs a Packed"),
    ],
)
def test_what_a_plain_replay_buffer_cannot_do_is_refused(
    small_model: str, learner: str, wrong: dict[str, Any], message: str
) -> None:
    wrong = {"replay_buffer_class": TokenReplayBuffer, **wrong}
    env_kwargs = {"tokenizer": "textenvs", **wrong.pop("env_kwargs", {})}
    with pytest.raises(ValueError, match=message):
        agents.make(learner, "TextGuessNumber-v0", small_model, 1, env_kwargs=env_kwargs, **wrong)


@pytest.mark.parametrize(
    ("learner", "wrong"),
    [
        ("ilql", {"expectile": 1.0}),
        ("sac_discrete", {"target_entropy": 2.0}),
        ("ddqn", {"exploration": "greedy"}),
        ("ddqn", {"replay_buffer_kwargs": {"alpha": 2.0}}),
        ("dqn", {"n_steps": 0}),
        ("dqn", {"reward_scale": 0.0}),
        ("dqn", {"policy_kwargs": {"value_rate": 0.0}}),
        ("dqn", {"policy_kwargs": {"temperature": 0}}),
        ("dqn", {"policy_kwargs": {"temperature": (0.1, 0.0, 10)}}),
        ("dqn", {"policy_kwargs": {"epsilon": (3, 3, 10)}}),
        ("dqn", {"policy_kwargs": {"epsilon": (0.3, 0.1)}}),
        ("sac_discrete", {"tau": 5.0}),
        ("sac_discrete", {"policy_kwargs": {"temperature": 0}}),
        ("ilql", {"tau": -1.0}),
        ("ilql", {"batch_size": 0}),
    ],
)
def test_wrong_options_are_refused(small_model: str, learner: str, wrong: dict[str, Any]) -> None:
    (name, value), *_ = wrong.items()
    name = next(iter(value)) if isinstance(value, dict) else name
    with pytest.raises(ValueError, match=name):
        agents.make(learner, "TextGuessNumber-v0", small_model, 1, env_kwargs={"tokenizer": "textenvs"}, **wrong)


def test_rollouts_of_whole_episodes_are_of_one_environment(small_model: str) -> None:
    env_kwargs = {"tokenizer": "textenvs", "level": "easy"}
    with pytest.raises(ValueError, match="needs num_envs=1, not 2"):
        agents.make("dqn", "TextBandit-v0", small_model, 2, env_kwargs=env_kwargs, train_freq=(1, "episode"))
    model = agents.make("dqn", "TextBandit-v0", small_model, 1, env_kwargs=env_kwargs, train_freq=(1, "episode"))
    model.learn(30)
    assert model.num_timesteps == 40  # two episodes of 20 turns
