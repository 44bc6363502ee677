"""The replay buffer of DQN for token sequences: discounts by game turn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from agents.memory.turns import TurnClock
from textenvs.tokens.spaces import TokenSpace


class TokenReplayBuffer(ReplayBuffer):
    """Drop-in ``replay_buffer_class`` for Stable-Baselines3's unmodified DQN.

    A step inside an utterance is not discounted; the step that ends a turn is, by ``gamma``. Sampling draws from the
    buffer's own generator.

    Args:
        gamma: discount of a game turn; give the learner the same one.
        seed: seeds the sampling.
    """

    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        gamma: float = 0.99,
        seed: int = 0,
    ) -> None:
        if not isinstance(observation_space, TokenSpace):
            raise TypeError(f"TokenReplayBuffer needs token observations (TokenSpace), not {observation_space}")
        super().__init__(
            buffer_size,
            observation_space,
            action_space,
            device,
            n_envs=n_envs,
            optimize_memory_usage=optimize_memory_usage,
            handle_timeout_termination=handle_timeout_termination,
        )
        self.gamma = gamma
        self.rng = np.random.default_rng(seed)
        self.discounts = np.full((self.buffer_size, n_envs), gamma, dtype=np.float32)
        self.clock = TurnClock(observation_space, action_space, n_envs)
        self.done = np.ones(n_envs, dtype=bool)

    def add(self, obs: Any, next_obs: Any, action: Any, reward: Any, done: Any, infos: Any) -> None:
        """Add one step of every environment; shapes as in ``ReplayBuffer.add``."""
        ends = self.clock.tick(action.reshape(self.n_envs, self.action_dim), self.done)
        self.done = done.astype(bool)
        self.discounts[self.pos] = np.where(ends, self.gamma, 1.0)
        super().add(obs, next_obs, action, reward, done, infos)

    def sample(self, batch_size: int, env: Any = None) -> ReplayBufferSamples:
        """Draw ``batch_size`` steps uniformly; ``discounts`` is ``(batch, 1)`` float32."""
        rows = self.rng.integers(self.n_envs, size=batch_size)
        if self.full and self.optimize_memory_usage:
            steps = (self.rng.integers(1, self.buffer_size, size=batch_size) + self.pos) % self.buffer_size
        else:
            steps = self.rng.integers(self.buffer_size if self.full else self.pos, size=batch_size)
        following = (steps + 1) % self.buffer_size
        next_observations = (
            self.observations[following, rows] if self.optimize_memory_usage else self.next_observations[steps, rows]
        )
        dones = self.dones[steps, rows] * (1 - self.timeouts[steps, rows])
        return ReplayBufferSamples(
            self.to_torch(self.observations[steps, rows]),
            self.to_torch(self.actions[steps, rows]),
            self.to_torch(next_observations),
            self.to_torch(dones.reshape(-1, 1)),
            self.to_torch(self.rewards[steps, rows].reshape(-1, 1)),
            self.to_torch(self.discounts[steps, rows].reshape(-1, 1)),
        )
