"""The packed replay buffer keeps what the plain one keeps, in a fraction of the memory."""

import tracemalloc
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import agents
from agents.memory import PackedReplayBuffer, TokenReplayBuffer
from agents.memory.packed import PackedBatch
from agents.memory.sequences import Shared, slid
from agents.players.imperfect import Teacher
from agents.vec_env import TextVecEnv, make_vec_env

Step = tuple[Any, ...]


def steps_of(envs: TextVecEnv, number: int, error: float = 0.5, seed: int = 0) -> list[Step]:
    """``number`` steps of every row as ``ReplayBuffer.add`` takes them, played by a teacher who errs."""
    teacher, rng = Teacher(error), np.random.default_rng(seed)
    envs.seed(seed)
    observations = envs.reset()
    found = []
    for _ in range(number):
        actions = teacher.actions(envs.envs.rows, rng)
        after, rewards, dones, infos = envs.step(actions)
        following = after.copy()
        for row in np.flatnonzero(dones):
            following[row] = infos[row]["terminal_observation"]
        found.append((observations, following, actions, rewards, dones, infos))
        observations = after
    return found


def unpacked(batch: Any, space: Any) -> np.ndarray:
    """The observations that a packed batch stands for."""
    assert isinstance(batch, PackedBatch)
    observations = np.full((len(batch), space.shape[0]), space.pad_id)
    for step, (segment, position) in enumerate(zip(batch.segment, batch.position, strict=True)):
        observations[step, : position + 1] = batch.ids[segment, : position + 1]
    if batch.choices is not None:
        observations[:, space.window :] = batch.choices.flatten(1)
    return observations


GAMES: list[tuple[str, dict[str, Any]]] = [
    ("TextDialogue-v0", {"action_level": "token", "window": 96}),  # slides
    ("TextFrozenLake-v0", {"action_level": "token", "window": 90, "max_turns": 9}),  # an opening of half the window
    ("TextFrozenLake-v0", {"action_level": "token", "window": 40, "max_utterance_tokens": 8}),  # and of more
    ("TextGuessNumber-v0", {"action_level": "choice", "max_turns": 4}),
    ("TextDialogue-v0", {"action_level": "choice", "window": 96}),
]


@pytest.mark.parametrize(("env_id", "keywords"), GAMES)
@pytest.mark.parametrize("buffer_size", [300, 120])
def test_it_hands_out_what_the_plain_buffer_hands_out(env_id: str, keywords: Any, buffer_size: int) -> None:
    envs = make_vec_env(env_id, 3, **keywords)
    spaces = (envs.observation_space, envs.action_space)
    plain = TokenReplayBuffer(buffer_size, *spaces, n_envs=3, gamma=0.9, seed=5)
    packed = PackedReplayBuffer(buffer_size, *spaces, n_envs=3, gamma=0.9, seed=5)
    for number, step in enumerate(steps_of(envs, 95)):
        plain.add(*step)
        packed.add(*step)
        if number % 5 == 4:
            expected, found = plain.sample(40), packed.sample(40)
            window = envs.observation_space.window  # type: ignore[attr-defined]
            ended = expected.dones[:, 0] == 1  # what follows is worth nothing, so nothing but a token is read of it
            expected.next_observations[ended, 1:window] = envs.observation_space.pad_id  # type: ignore[attr-defined]
            for name in ("observations", "next_observations"):
                observations = unpacked(getattr(found, name), envs.observation_space)
                np.testing.assert_array_equal(observations, getattr(expected, name))
            for name in ("actions", "dones", "rewards", "discounts"):
                torch.testing.assert_close(getattr(found, name), getattr(expected, name), check_dtype=False)
    assert packed.full == plain.full == (buffer_size < 285)
    assert plain.timeouts.any() or "max_turns" not in keywords
    held = {*packed.segment[: packed.size()].flat, *packed.next_segment[: packed.size()].flat, *packed._current}
    assert held == set(packed.sequences), "a sequence is forgotten with the last step on it"


@pytest.mark.parametrize("keywords", [{"action_level": "token"}, {"action_level": "choice"}])
def test_q_values_equal_those_of_plain_observations(small_model: str, keywords: Any) -> None:
    env_kwargs = {"window": 128, "tokenizer": "textenvs", **keywords}
    for learner in ("dqn", "qrdqn"):
        model = agents.make(learner, "TextDialogue-v0", small_model, num_envs=3, env_kwargs=env_kwargs)
        buffer: Any = model.replay_buffer  # type: ignore[attr-defined]
        for step in steps_of(model.get_env(), 80):  # type: ignore[arg-type]
            buffer.add(*step)
        network: Any = model.policy.network
        with torch.no_grad():
            for batch in (buffer.sample(50).observations, buffer.sample(50).next_observations):
                packed = network(batch)
                plain = network(torch.as_tensor(unpacked(batch, model.observation_space)))
                torch.testing.assert_close(packed, plain, atol=1e-5, rtol=0)


def test_fifty_times_smaller_than_observations() -> None:
    window, rows = 512, 25
    envs = make_vec_env("TextDialogue-v0", rows, action_level="token", window=window)
    recorded = steps_of(envs, 400)
    plain = TokenReplayBuffer(1, envs.observation_space, envs.action_space)
    a_step = sum(getattr(plain, name).nbytes for name in ("observations", "next_observations", "actions", "rewards"))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    packed = PackedReplayBuffer(100_000, envs.observation_space, envs.action_space, n_envs=rows)
    for _ in range(10):
        for step in recorded:
            packed.add(*step)
        packed.done[:] = True  # the recording begins anew
    bytes_of_all = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert packed.full and packed.size() * rows == 100_000
    ratio = 100_000 * a_step / bytes_of_all
    print(f"{bytes_of_all / 1e6:.1f} MB instead of {100_000 * a_step / 1e6:.1f} MB, a ratio of {ratio:.0f}")
    assert ratio >= 50


def test_steps_on_one_sequence_share_it_and_stay_as_probable() -> None:
    envs = make_vec_env("TextGuessNumber-v0", 2, action_level="token")
    buffer = PackedReplayBuffer(120, envs.observation_space, envs.action_space, n_envs=2, per_sequence=8)
    for step in steps_of(envs, 60):
        buffer.add(*step)
    batch: Any = buffer.sample(64).observations
    assert len(batch) == 64 and len(batch.ids) <= 8
    counts = np.zeros((60, 2))
    for _ in range(3000):
        np.add.at(counts, buffer._draw(40), 1)
    # 1000 draws of each are expected; eight at a time they spread about sqrt(8 * 1000) at most
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(8 * 1000)


def chain(n_steps: int | None, gamma: float = 0.5, **keywords: Any) -> PackedReplayBuffer:
    """Two episodes at choice level with rewards 1 2 4 (terminated) and 8 16 (truncated), then 32 of a running one."""
    space = gym.make("TextGuessNumber-v0", action_level="choice", window=64).unwrapped.observation_space
    buffer = PackedReplayBuffer(100, space, gym.spaces.Discrete(32), gamma=gamma, n_steps=n_steps, **keywords)
    ids = np.full((1, *space.shape), 0, dtype=np.int32)  # type: ignore[misc]
    for index, (reward, done, timeout) in enumerate(
        [
            (1, False, False),
            (2, False, False),
            (4, True, False),
            (8, False, False),
            (16, True, True),
            (32, False, False),
        ]
    ):
        if index in (0, 3, 5):
            ids[:] = 0
            ids[0, :2] = 9, 10 + index
        after = ids.copy()
        after[0, 2 + index] = 20 + index
        after[0, : 2 + index] = np.where(after[0, : 2 + index] == 0, 30, after[0, : 2 + index])
        infos = [{"TimeLimit.truncated": timeout}]
        buffer.add(ids.copy(), after, np.array([index]), np.array([float(reward)]), np.array([done]), infos)
        ids = after
    return buffer


@pytest.mark.parametrize(
    ("n_steps", "returns", "discounts"),
    [
        (1, [1, 2, 4, 8, 16, 32], [0.5] * 6),
        (2, [1 + 1, 2 + 2, 4, 8 + 8, 16, 32], [0.25, 0.25, 0.5, 0.25, 0.5, 0.5]),
        (None, [1 + 1 + 1, 2 + 2, 4, 8 + 8, 16, 32], [0.125, 0.25, 0.5, 0.25, 0.5, 0.5]),
    ],
)
def test_n_step_returns_by_hand(n_steps: int | None, returns: list[float], discounts: list[float]) -> None:
    buffer = chain(n_steps)
    found = buffer.at(np.arange(6), np.zeros(6, dtype=np.int64))
    assert found.rewards.flatten().tolist() == returns
    assert found.discounts is not None and found.discounts.flatten().tolist() == discounts
    # a truncated episode bootstraps, a terminated one does not
    terminated = [False, n_steps != 1, True, False, False, False]
    terminated[0] = n_steps is None
    assert found.dones.flatten().tolist() == [float(each) for each in terminated]
    after = unpacked(found.next_observations, buffer.space)
    last = [0, 1, 2, 3, 4, 5] if n_steps == 1 else [1, 2, 2, 4, 4, 5] if n_steps == 2 else [2, 2, 2, 4, 4, 5]
    for row, index, ended in zip(after, last, terminated, strict=True):
        assert row[0] == 9 and row[2 + index] == (buffer.space.pad_id if ended else 20 + index)
        assert (row[1:] == buffer.space.pad_id).all() == ended, "of what follows an end, one token is read"


def test_n_step_returns_end_where_an_episode_is_given_up() -> None:
    """A reset from outside, as by a second ``learn``, ends an episode without ``done``."""
    buffer = chain(n_steps=3)
    ids = np.zeros((1, *buffer.space.shape), dtype=np.int32)  # type: ignore[misc]
    ids[0, :2] = 9, 99
    after = ids.copy()
    after[0, 2] = 5
    buffer.add(ids, after, np.array([0]), np.array([100.0]), np.array([False]), [{}])
    assert buffer.at(np.array([5]), np.array([0])).rewards.item() == 32


def test_discounts_are_by_turn() -> None:
    envs = make_vec_env("TextDialogue-v0", 2, action_level="token")
    buffer = PackedReplayBuffer(200, envs.observation_space, envs.action_space, n_envs=2, n_steps=4, gamma=0.5)
    recorded = steps_of(envs, 60)
    for step in recorded:
        buffer.add(*step)
    end = envs.observation_space.end_id  # type: ignore[attr-defined]
    for place in range(50):
        found = buffer.at(np.array([place]), np.array([0]))
        discount, total = 1.0, 0.0
        for _, _, actions, rewards, dones, _ in recorded[place : place + 4]:
            total += discount * rewards[0]
            discount *= 0.5 if actions[0] == end else 1.0
            if dones[0]:
                break
        assert found.rewards.item() == pytest.approx(total)
        assert found.discounts is not None and found.discounts.item() == discount


def test_admissible_tokens_are_kept_for_every_step() -> None:
    envs = make_vec_env("TextHanoi-v0", 3, action_level="token", constrain=True, level="easy", max_turns=4)
    buffer = PackedReplayBuffer(90, envs.observation_space, envs.action_space, n_envs=3, seed=1)
    buffer.masks = envs
    envs.seed(0)
    observations, rng, teacher = envs.reset(), np.random.default_rng(0), Teacher(0.5)
    seen: list[tuple[np.ndarray, np.ndarray]] = []
    truncated = 0
    for _ in range(60):
        masks = envs.action_masks().copy()
        actions = teacher.actions(envs.envs.rows, rng)
        assert masks[np.arange(3), actions].all()
        after, rewards, dones, infos = envs.step(actions)
        following, next_masks = after.copy(), envs.action_masks().copy()
        for row in np.flatnonzero(dones):
            following[row], next_masks[row] = infos[row]["terminal_observation"], infos[row]["terminal_mask"]
            truncated += infos[row]["TimeLimit.truncated"]
        buffer.add(observations, following, actions, rewards, dones, infos)
        seen.append((masks, next_masks))
        observations = after
    assert truncated
    ordinary = envs.envs.rows[0]._ordinary
    steps, rows = np.divmod(np.arange(90), 3)
    found: Any = buffer.at(steps, rows)
    for place, (step, row) in enumerate(zip(steps, rows, strict=True)):
        kept = seen[step + 30 if step < 30 and step + 30 < 60 else step]
        for masks, expected in zip((found.observations.masks, found.next_observations.masks), kept, strict=True):
            np.testing.assert_array_equal(masks[place].numpy() & ordinary, expected[row])
    assert len(buffer.shared.values) < 20, "equal lists are kept once"


def test_how_a_window_slid_is_found() -> None:
    opening, tail = list(range(100, 110)), list(range(40))
    old = np.array(opening + tail)
    for new in (opening + tail[7:] + [1, 2, 3], opening[3:] + tail[9:] + [77], opening + tail, [5, 6, 7], opening):
        a, b, c, known = slid(old, np.array(new))
        assert [*old[a:b], *old[c:], *new[known:]] == new
    assert slid(old, np.array(opening + tail[7:] + [1]))[3] == 43
    assert slid(old, np.array(opening[3:] + tail[9:] + [77]))[3] == 38


def test_shared_lists_are_forgotten_with_their_last_use() -> None:
    shared = Shared(100)
    one, same, other = shared.hold(np.array([1, 2])), shared.hold(np.array([1, 2])), shared.hold(np.array([3]))
    assert one == same != other and shared[one].tolist() == [1, 2]
    shared.release(one)
    assert shared[one].tolist() == [1, 2]
    shared.release(one)
    assert set(shared.values) == {other}


def test_what_it_cannot_do_is_refused() -> None:
    envs = make_vec_env("TextGuessNumber-v0", 1, action_level="token")
    spaces = (envs.observation_space, envs.action_space)
    with pytest.raises(TypeError, match="TokenSpace"):
        PackedReplayBuffer(10, gym.spaces.Box(0, 1, (2,)), envs.action_space)
    for wrong in ({"n_steps": 0}, {"per_sequence": 0}, {"optimize_memory_usage": True}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            PackedReplayBuffer(10, *spaces, **wrong)  # type: ignore[arg-type]
