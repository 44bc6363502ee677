"""Packed and cached against plain, in one run: ``python -m benchmarks.speed``.

Both sides are Stable-Baselines3's unmodified PPO with the same model, environments and seeds. The plain side uses the
stock rollout buffer and recomputes the whole context at every token; the packed side uses ``PackedRolloutBuffer`` and
the key-value cache. Repeats are interleaved; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.buffers import RolloutBuffer

import agents


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


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--id", default="TextDialogue-v0")
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--utterance", type=int, default=32)
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--n-steps", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
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
