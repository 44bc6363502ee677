"""Packed and cached against plain, in one run: ``python -m benchmarks.speed [--learner ppo|dqn|ddqn]``.

All sides are the same learner with the same model, environments and seeds. Repeats are interleaved; the ratio is that
of the medians.

- ``ppo``: Stable-Baselines3's unmodified PPO. The plain side uses the stock rollout buffer and recomputes the whole
  context at every token; the packed side uses ``PackedRolloutBuffer`` and the key-value cache.
- ``dqn`` (unmodified) and ``ddqn`` (double and dueling): updates from a replay buffer that holds the same steps. The
  plain side keeps whole observations; the packed ones keep every token once, and draw each step independently or
  ``--per-sequence`` steps from each drawn sequence.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.buffers import RolloutBuffer

import agents
from agents.memory import TokenReplayBuffer
from agents.players.imperfect import Teacher


def learner(packed: bool, options: argparse.Namespace) -> Any:
    """PPO at token level on ``options.id``, packed or plain."""
    plain: dict[str, Any] = {"rollout_buffer_class": RolloutBuffer}
    model = agents.make(
        "ppo",
        options.id,
        num_envs=options.num_envs,
        env_kwargs={"window": options.window, "max_utterance_tokens": options.utterance},
        n_steps=options.n_steps,
        batch_size=options.n_steps * options.num_envs // 4,
        n_epochs=4,
        learning_rate=1e-5,
        **({} if packed else plain),
    )
    model.policy.reader.cached = packed
    return model


def seconds(model: Any, steps: int) -> tuple[float, float]:
    """Seconds of one rollout and of its four epochs."""
    marks: list[float] = []
    train = model.train

    def timed() -> None:
        marks.append(time.perf_counter())
        train()

    model.train = timed
    start = time.perf_counter()
    model.learn(steps, reset_num_timesteps=False)
    model.train = train
    return marks[0] - start, time.perf_counter() - marks[0]


def largest_difference(packed: Any, options: argparse.Namespace) -> float:
    """Largest difference in log-probability between the cached rollout and the packed recomputation of it."""
    packed.policy.optimizer.zero_grad()
    saved = {name: tensor.clone() for name, tensor in packed.policy.state_dict().items()}
    worst = 0.0

    def compare() -> None:
        nonlocal worst
        with torch.no_grad():
            for batch in packed.rollout_buffer.get(512):
                _, log_prob, _ = packed.policy.evaluate_actions(batch.observations, batch.actions)
                worst = max(worst, float((log_prob - batch.old_log_prob).abs().max()))

    train, packed.train = packed.train, compare
    packed.learn(options.n_steps * options.num_envs, reset_num_timesteps=False)
    packed.train = train
    packed.policy.load_state_dict(saved)
    return worst


def fill(models: list[Any], steps: int) -> None:
    """Give all ``models`` the same ``steps`` steps of an expert who errs."""
    env, teacher, rng = models[0].get_env(), Teacher(error=0.5), np.random.default_rng(0)
    observations = env.reset()
    for _ in range(steps // env.num_envs):
        actions = teacher.actions(env.envs.rows, rng)
        after, rewards, dones, infos = env.step(actions)
        following = after.copy()
        for row in np.flatnonzero(dones):
            following[row] = infos[row]["terminal_observation"]
        for model in models:
            model.replay_buffer.add(observations, following, actions, rewards, dones, infos)
        observations = after


def value_learner(side: str, options: argparse.Namespace) -> Any:
    """DQN or DDQN at token level on ``options.id``, with the buffer of one side."""
    more = {"prioritized": False, "n_steps": 1} if options.learner == "ddqn" else {}
    model: Any = agents.make(
        options.learner,
        options.id,
        num_envs=options.num_envs,
        env_kwargs={"window": options.window, "max_utterance_tokens": options.utterance, "action_level": "token"},
        buffer_size=options.replay,
        learning_rate=1e-5,
        replay_buffer_kwargs={"per_sequence": options.per_sequence if side == "packed, shared" else 1},
        **more,
    )
    if side == "plain":
        spaces = (model.observation_space, model.get_env().action_space)
        model.replay_buffer = TokenReplayBuffer(options.replay, *spaces, n_envs=options.num_envs, seed=0)
    model._total_timesteps = 1
    model._setup_learn(1)
    return model


def compare_updates(options: argparse.Namespace, console: Console) -> None:
    """Measure updates from replay and print the table."""
    sides = {side: value_learner(side, options) for side in ("plain", "packed", "packed, shared")}
    fill(list(sides.values()), options.replay)
    buffers = [sides[side].replay_buffer for side in ("plain", "packed")]
    network = sides["plain"].q_net
    with torch.no_grad():
        plain, packed = (network(buffer.sample(options.batch_size).observations) for buffer in buffers)
        likely = plain > -1e7
        worst = float((plain - packed)[likely].abs().max())
    times: dict[str, list[float]] = {side: [] for side in sides}
    for repeat in range(options.repeats + 1):
        for side, model in sides.items():
            start = time.perf_counter()
            model.train(gradient_steps=options.updates, batch_size=options.batch_size)
            if repeat:  # the first round warms up
                times[side].append(time.perf_counter() - start)
    threads = torch.get_num_threads()
    title = f"{options.learner}, {options.batch_size} steps an update, window {options.window}, {threads} threads"
    table = Table(title=title)
    for column in ("", "updates/s", "steps/s", "ratio"):
        table.add_column(column, justify="right")
    medians = {side: statistics.median(taken) / options.updates for side, taken in times.items()}
    for side, seconds_each in medians.items():
        ratio = medians["plain"] / seconds_each
        table.add_row(side, f"{1 / seconds_each:.2f}", f"{options.batch_size / seconds_each:,.0f}", f"{ratio:.1f}")
    console.print(table)
    console.print(f"largest difference in Q-value: {worst:.1e}")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--learner", default="ppo", choices=("ppo", "dqn", "ddqn"))
    parser.add_argument("--id", default="TextDialogue-v0")
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--utterance", type=int, default=32)
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--n-steps", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--replay", type=int, default=8000, help="steps in the replay buffer")
    parser.add_argument("--batch-size", type=int, default=64, help="steps of an update from replay")
    parser.add_argument("--updates", type=int, default=4, help="from replay, in a round")
    parser.add_argument("--per-sequence", type=int, default=16, help="steps that share a sequence")
    options = parser.parse_args()
    if options.learner != "ppo":
        compare_updates(options, Console())
        return
    steps = options.n_steps * options.num_envs
    sides = {"plain": learner(False, options), "packed": learner(True, options)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for repeat in range(options.repeats + 1):
        for name, model in sides.items():
            taken = seconds(model, steps)
            if repeat:  # the first round warms up
                times[name].append(taken)
    median = {name: [statistics.median(part) for part in zip(*rounds, strict=True)] for name, rounds in times.items()}
    table = Table(title=f"PPO, {steps} tokens a round, window {options.window}, {torch.get_num_threads()} threads")
    for column in ("", "rollout tokens/s", "4 epochs tokens/s", "together tokens/s"):
        table.add_column(column, justify="right")
    for name, (rollout, train) in median.items():
        figures = (steps / rollout, 4 * steps / train, steps / (rollout + train))
        table.add_row(name, *(f"{figure:,.0f}" for figure in figures))
    ratios = [plain / fast for plain, fast in zip(median["plain"], median["packed"], strict=True)]
    table.add_row("ratio", *(f"{ratio:.1f}" for ratio in (*ratios, sum(median["plain"]) / sum(median["packed"]))))
    console = Console()
    console.print(table)
    console.print(f"largest difference in log-probability: {largest_difference(sides['packed'], options):.1e}")


if __name__ == "__main__":
    main()
