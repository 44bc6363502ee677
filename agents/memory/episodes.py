"""A rollout buffer that holds whole episodes, for learners that need their returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.type_aliases import RolloutBufferSamples
from torch import Tensor

from agents.memory.rollout import PackedRolloutBuffer, _chunks


class EpisodeBuffer(PackedRolloutBuffer):
    """Grows with what is added; only the steps of finished episodes are handed out.

    ``episode`` ``(steps, environments)`` int64 numbers the episodes in the order of ``finish``, -1 elsewhere;
    ``episode_returns`` and ``groups``, each ``(episodes,)``, hold their undiscounted returns, less what ``kl_coef``
    takes, and their start states.
    """

    def reset(self) -> None:
        """Forget all episodes."""
        super().reset()
        self.episode = np.full((self.buffer_size, self.n_envs), -1, dtype=np.int64)
        self.episode_returns = np.zeros(0, dtype=np.float32)
        self.groups = np.zeros(0, dtype=np.int64)
        self._began = np.zeros(self.n_envs, dtype=np.int64)

    def add(self, *step: Any) -> None:
        """Add one step of every environment; shapes as in ``RolloutBuffer.add``."""
        if self.full:
            for name in (*self._PER_STEP, "actions", "turn_ends", "segment", "position", "episode"):
                array = getattr(self, name)
                setattr(self, name, np.concatenate([array, np.full_like(array, -1 if name == "episode" else 0)]))
            self.buffer_size *= 2
        super().add(*step)

    def begin(self, row: int) -> None:
        """The next step of ``row`` is the first of an episode."""
        self._began[row] = self.pos

    def finish(self, row: int, group: int) -> None:
        """The last step of ``row`` was the end of an episode that had started in the state numbered ``group``."""
        steps = slice(self._began[row], self.pos)
        self.episode[steps, row] = len(self.groups)
        self.episode_returns = np.append(self.episode_returns, self.rewards[steps, row].sum())
        self.groups = np.append(self.groups, group)

    def compute_returns_and_advantage(self, last_values: Tensor, dones: np.ndarray) -> None:
        """Discounted returns-to-go, and advantages by generalised advantage estimation inside each episode."""
        for name in (*self._PER_STEP, "actions", "turn_ends", "segment", "position", "episode"):
            setattr(self, name, getattr(self, name)[: self.pos])
        self.buffer_size, self.full = self.pos, True
        super().compute_returns_and_advantage(last_values, dones)
        if self.kl_coef:  # which has been taken off the rewards
            usable = self._usable()
            episode, rewards = self.episode.reshape(-1)[usable], self.rewards.reshape(-1)[usable]
            self.episode_returns = np.bincount(episode, rewards, len(self.groups)).astype(np.float32)

    def _usable(self) -> np.ndarray:
        return np.flatnonzero(self.episode.reshape(-1) >= 0)

    def context(self, step: int) -> np.ndarray:
        """The ids before the action at place ``step`` of the flattened arrays."""
        ids = self._segments[self.segment.reshape(-1)[step]]
        assert ids is not None
        return ids[: self.position.reshape(-1)[step] + 1]

    def episode_batches(self, batch_size: int) -> Iterator[tuple[np.ndarray, RolloutBufferSamples]]:
        """As ``batches``, with all steps of an episode in one batch: where a window slid it has several sequences."""
        lengths = np.bincount(self.episode.reshape(-1)[self._usable()])
        for episodes in _chunks(self.rng.permutation(len(lengths)), lengths, batch_size):
            yield self.steps_of(episodes)

    def steps_of(self, episodes: Sequence[int] | np.ndarray) -> tuple[np.ndarray, RolloutBufferSamples]:
        """The places of all steps of some episodes, and the steps themselves, packed."""
        steps = np.flatnonzero(np.isin(self.episode.reshape(-1), episodes))
        segment = self.segment.reshape(-1)
        steps = steps[np.argsort(segment[steps], kind="stable")]
        chosen, starts = np.unique(segment[steps], return_index=True)
        return steps, self._samples(chosen, np.split(steps, starts[1:]))
