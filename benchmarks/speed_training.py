"""Stable-Baselines3's own PPO, and DQN and DDQN, with packed buffers and caches against plain ones.

Both sides are the same class with the same model (random, of the size of ``"tiny"``), environments and settings. The
plain side reads every observation anew with ``transformers`` and keeps each one whole.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.buffers import RolloutBuffer

import agents
import textenvs
from agents.backbones import CausalBackbone
from agents.memory import TokenReplayBuffer
from benchmarks.speed_measure import CLOCKS, Comparison, compare, interleaved
from textenvs.game import Game, Turn

_ID = "BenchmarkChatter-v0"
_OPENING = 56  # tokens, about; no two episodes begin alike
# Of the size of "tiny", but random: it hardly ever ends an utterance before the limit, so all are of the same length.
TINY_SIZED = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 320,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "tie_word_embeddings": True,
}


class Chatter(Game):
    """A long opening and short replies, whatever is said."""

    max_turns = 100

    def __init__(self, turns: int = 4) -> None:
        self.turns = turns

    def reset(self, rng: np.random.Generator) -> str:
        """Begin with random digits, a token each."""
        self.left = self.turns
        return " ".join(map(str, rng.integers(10, size=_OPENING // 2)))

    def step(self, action: str) -> Turn:
        """Answer."""
        self.left -= 1
        return Turn("I see.", float(len(action) % 2), self.left == 0)


def turns_of(utterance: int, window: int) -> int:
    """Turns that fill a window: utterances with their replies behind the opening."""
    return max(1, (window - _OPENING) // (utterance + 8))


def by_transformers(model: Any) -> Any:
    """The learner with layers and cache as ``transformers`` has them."""
    for module in model.policy.modules():
        if isinstance(module, CausalBackbone):
            module._decoder = None
    return model


def plain(model: Any) -> Any:
    """The learner without anything of this project's that saves work: ``transformers`` reads every context."""
    for module in by_transformers(model).policy.modules():
        if hasattr(module, "cached"):
            module.cached = False
    return model


def ppo(packed: bool, utterance: int, window: int = 128, num_envs: int = 8, n_steps: int = 64) -> Any:
    """PPO at token level, packed or plain."""
    textenvs.register_game(_ID, Chatter)
    turns = turns_of(utterance, window)
    model = agents.make(
        "ppo",
        _ID,
        backbone=TINY_SIZED,
        num_envs=num_envs,
        env_kwargs={"window": window, "max_utterance_tokens": utterance, "turns": turns},
        n_steps=n_steps,
        batch_size=n_steps * num_envs // 4,
        n_epochs=4,
        learning_rate=1e-5,
        policy_kwargs={"kind": "causal"},
        **({} if packed else {"rollout_buffer_class": RolloutBuffer}),
    )
    return model if packed else plain(model)


def compare_ppo(utterance: int, goal: float, repeats: int, clock: str = "wall", num_envs: int = 8) -> Comparison:
    """A rollout and its four epochs, with utterances of ``utterance`` tokens and a context of 128."""
    sides = {"plain": ppo(False, utterance, num_envs=num_envs), "packed": ppo(True, utterance, num_envs=num_envs)}
    steps = sides["plain"].n_steps * sides["plain"].n_envs
    now = CLOCKS[clock]
    parts: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}

    def round_of(name: str) -> float:
        model, marks = sides[name], []
        train = model.train

        def timed() -> None:
            marks.append(now())
            train()

        model.train = timed
        start = now()
        model.learn(steps, reset_num_timesteps=False)
        end = now()
        model.train = train
        parts[name].append((marks[0] - start, end - marks[0]))
        return end - start

    taken = interleaved({name: lambda name=name: round_of(name) for name in sides}, repeats, clock)  # type: ignore[misc]
    middle = {
        side: [statistics.median(part) for part in zip(*rounds[1:], strict=True)] for side, rounds in parts.items()
    }
    ratios = [slow / fast for slow, fast in zip(middle["plain"], middle["packed"], strict=True)]
    worst = largest_difference(sides["packed"], steps)
    note = (
        f"rollout x{ratios[0]:.1f}, epochs x{ratios[1]:.1f}; cached and packed log-probabilities differ by {worst:.0e}"
    )
    name = f"PPO, rollout and 4 epochs, utterances of {utterance}, {num_envs} environments"
    return compare(taken, "plain", "packed", name, steps, "tokens/s", goal=goal, note=note)


def largest_difference(packed: Any, steps: int) -> float:
    """Largest difference in log-probability between the cached rollout and the packed recomputation of it."""
    worst = 0.0

    def look() -> None:
        nonlocal worst
        with torch.no_grad():
            for batch in packed.rollout_buffer.get(512):
                _, log_prob, _ = packed.policy.evaluate_actions(batch.observations, batch.actions)
                worst = max(worst, float((log_prob - batch.old_log_prob).abs().max()))

    train, packed.train = packed.train, look
    packed.learn(steps, reset_num_timesteps=False)
    packed.train = train
    return worst


def value_learner(learner: str, side: str, utterance: int, replay: int, num_envs: int, window: int = 128) -> Any:
    """DQN or DDQN at token level, with the buffer of one side."""
    textenvs.register_game(_ID, Chatter)
    more: dict[str, Any] = {"prioritized": False} if learner == "ddqn" else {}
    if side != "packed":
        more["replay_buffer_kwargs"] = {"per_sequence": 1}
    model: Any = agents.make(
        learner,
        _ID,
        backbone=TINY_SIZED,
        num_envs=num_envs,
        env_kwargs={
            "window": window,
            "max_utterance_tokens": utterance,
            "action_level": "token",
            "turns": turns_of(utterance, window),
        },
        n_steps=1,  # the plain buffer knows no other
        buffer_size=replay,
        learning_rate=1e-5,
        policy_kwargs={"kind": "causal"},
        **more,
    )
    if side == "plain":
        spaces = (model.observation_space, model.get_env().action_space)
        model.replay_buffer = TokenReplayBuffer(replay, *spaces, n_envs=num_envs, seed=0)
        plain(model)
    model._total_timesteps = 1
    model._setup_learn(1)
    return model


def compare_values(
    learner: str, repeats: int, clock: str = "wall", utterance: int = 16, replay: int = 2000, batch_size: int = 64
) -> list[Comparison]:
    """Updates from replay buffers that hold the same random steps: drawn by sequences, the default, and one by one."""
    names = ("plain", "packed", "one by one")
    sides = {side: value_learner(learner, side, utterance, replay, num_envs=8) for side in names}
    env, rng = sides["plain"].get_env(), np.random.default_rng(0)
    space = env.observation_space
    observations = env.reset()
    for _ in range(replay // env.num_envs):
        actions = rng.integers(8, space.vocab_size, size=env.num_envs)
        after, rewards, dones, infos = env.step(actions)
        following = after.copy()
        for row in np.flatnonzero(dones):
            following[row] = infos[row]["terminal_observation"]
        for model in sides.values():
            model.replay_buffer.add(observations, following, actions, rewards, dones, infos)
        observations = after

    def update(model: Any) -> None:
        model.train(gradient_steps=1, batch_size=batch_size)

    taken = interleaved({name: lambda m=model: update(m) for name, model in sides.items()}, repeats, clock)  # type: ignore[misc]
    title = f"{learner.upper()}, updates of {batch_size} steps, context 128"
    return [
        compare(
            {"plain": taken["plain"], side: taken[side]},
            "plain",
            side,
            title if side == "packed" else f"{title}, drawn one by one",
            1.0,
            "updates/s",
            goal=5.0,
        )
        for side in names[1:]
    ]
