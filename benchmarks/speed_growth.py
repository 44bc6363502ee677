"""What grows with what: bytes of a replay buffer, and time per token."""

from __future__ import annotations

import sys
import time
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import torch

import agents
from agents.backbones import load_backbone
from agents.memory import PackedReplayBuffer
from agents.players.imperfect import Teacher
from benchmarks.speed_decode import generate
from benchmarks.speed_measure import Comparison

WINDOWS = (64, 128, 256, 512, 1024)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
_NEW = 24


def bytes_of(thing: Any, known: set[int] | None = None) -> int:
    """Bytes of an object and all that it holds, whatever is shared counted once."""
    known = set() if known is None else known
    if id(thing) in known or isinstance(thing, type) or callable(thing):
        return 0
    known.add(id(thing))
    if isinstance(thing, np.ndarray):
        return thing.nbytes if thing.base is None else bytes_of(thing.base, known)
    if isinstance(thing, array | bytes | str | int | float):
        return sys.getsizeof(thing)
    total = sys.getsizeof(thing)
    if isinstance(thing, dict):
        return total + sum(bytes_of(each, known) for pair in thing.items() for each in pair)
    if isinstance(thing, list | tuple | set):
        return total + sum(bytes_of(each, known) for each in thing)
    return total + (bytes_of(vars(thing), known) if hasattr(thing, "__dict__") else 0)


def compare_memory(steps: int = 100_000, window: int = 512, num_envs: int = 16) -> Comparison:
    """A replay buffer of ``steps`` tokens of dialogues against one array of as many whole observations (int32)."""
    env = agents.make_vec_env(
        "TextDialogue-v0", num_envs=num_envs, seed=0, window=window, action_level="token", max_utterance_tokens=32
    )
    buffer = PackedReplayBuffer(steps, env.observation_space, env.action_space, n_envs=num_envs)
    teacher, rng = Teacher(error=0.5), np.random.default_rng(0)
    observations = env.reset()
    for _ in range(steps // num_envs):
        actions = teacher.actions(env.envs.rows, rng)
        after, rewards, dones, infos = env.step(actions)
        following = after.copy()
        for row in np.flatnonzero(dones):
            following[row] = infos[row]["terminal_observation"]
        buffer.add(observations, following, actions, rewards, dones, infos)
        observations = after
    skipped = {
        id(each) for each in (buffer.observation_space, buffer.action_space, buffer.space, buffer.rng, buffer.device)
    }
    packed = bytes_of(buffer, skipped)
    whole = steps * window * 4 + sum(getattr(buffer, name).nbytes for name in ("actions", "rewards", "dones"))
    ratio = whole / packed
    return Comparison(
        f"memory, replay of {steps:,} tokens at window {window}",
        "whole observations, once each",
        "bytes a token",
        ratio,
        (ratio, ratio),
        50.0,
        {"whole": whole / steps, "packed": packed / steps},
        "an exact count; with next observations beside them, as Stable-Baselines3 keeps them, twice as much is saved",
    )


@torch.no_grad()
def growth(repeats: int = 3) -> dict[str, dict[int, float]]:
    """Microseconds per token of ``tiny``: generating over windows and batches, and whole rollouts over environments."""
    backbone = load_backbone("tiny")
    found: dict[str, dict[int, float]] = {"window": {}, "batch": {}, "environments": {}}

    def fastest(rows: int, width: int) -> float:
        ids = torch.randint(10, backbone.vocab_size, (rows, width))
        taken = []
        for _ in range(repeats):
            times: list[float] = []
            generate(backbone, ids, _NEW, lambda times=times: times.append(time.perf_counter()))  # type: ignore[misc]
            taken.append((times[-1] - times[0]) / (_NEW - 1) / rows * 1e6)
        return min(taken)

    for window in WINDOWS:
        found["window"][window] = fastest(16, window)
    for rows in BATCHES:
        found["batch"][rows] = fastest(rows, 128)
    for rows in BATCHES:
        model: Any = agents.make(
            "ppo", "TextDialogue-v0", num_envs=rows, env_kwargs={"window": 128}, n_steps=32, batch_size=32 * rows
        )
        model.train = lambda: None
        model.learn(32 * rows)
        taken = []
        for _ in range(repeats):
            start = time.perf_counter()
            model.learn(32 * rows, reset_num_timesteps=False)
            taken.append((time.perf_counter() - start) / (32 * rows) * 1e6)
        found["environments"][rows] = min(taken)
    return found


def draw_growth(found: dict[str, dict[int, float]], path: Path) -> None:
    """Write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(found), figsize=(10, 3.2), constrained_layout=True)
    labels = {
        "window": "tokens of context (batch 16)",
        "batch": "rows (context 128)",
        "environments": "environments (rollout, context 128)",
    }
    for axis, (name, values) in zip(axes, found.items(), strict=True):
        axis.plot(list(values), list(values.values()), marker="o")
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xlabel(labels[name])
        axis.grid(alpha=0.3, which="both")
    axes[0].set_ylabel("microseconds a token")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)
