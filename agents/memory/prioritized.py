"""Prioritized experience replay: steps that surprise are drawn more often."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from agents.memory.packed_replay import PackedReplayBuffer


class SumTree:
    """A binary tree of sums over ``size`` leaves: drawing in proportion to the leaves takes ``log size`` steps."""

    def __init__(self, size: int) -> None:
        self.leaves = 1 << max(size - 1, 1).bit_length()
        self.sums = np.zeros(2 * self.leaves)  # the root is at 1, the children of i at 2 i and 2 i + 1

    @property
    def total(self) -> float:
        """Sum of all leaves."""
        return float(self.sums[1])

    def __getitem__(self, which: np.ndarray) -> np.ndarray:
        return self.sums[self.leaves + which]

    def set(self, which: np.ndarray, values: np.ndarray | float) -> None:
        """Give the leaves ``which`` ``(n,)`` ``values`` ``(n,)``; of a leaf named twice the last counts."""
        nodes = self.leaves + which
        self.sums[nodes] = values
        nodes = np.unique(nodes // 2)
        while nodes[0] >= 1:
            self.sums[nodes] = self.sums[2 * nodes] + self.sums[2 * nodes + 1]
            nodes = np.unique(nodes // 2)

    def find(self, masses: np.ndarray) -> np.ndarray:
        """The leaves ``(n,)`` at which the running sum passes ``masses`` ``(n,)``, each in [0, total)."""
        nodes, masses = np.ones(len(masses), dtype=np.int64), masses.copy()
        while nodes[0] < self.leaves:
            left = self.sums[2 * nodes]
            # rounding may leave a mass that both halves together do not reach: never go where there is nothing
            right = (masses >= left) & (self.sums[2 * nodes + 1] > 0)
            masses -= np.where(right, left, 0.0)
            nodes = 2 * nodes + right
        return nodes - self.leaves


class PrioritizedSamples(NamedTuple):
    """``ReplayBufferSamples`` with what prioritized replay adds.

    Attributes:
        weights: importance weights ``(batch, 1)``, the largest of the batch being 1.
        places: for ``update``, ``(batch,)``.
    """

    observations: Any
    actions: Tensor
    next_observations: Any
    dones: Tensor
    rewards: Tensor
    discounts: Tensor
    weights: Tensor
    places: np.ndarray


class PrioritizedReplayBuffer(PackedReplayBuffer):
    """Proportional prioritized replay (Schaul et al. 2016, "Prioritized Experience Replay", sec. 3.3 and 3.4).

    Step ``i`` is drawn with probability ``p_i^alpha / sum_k p_k^alpha``, ``p_i = |delta_i| + epsilon`` being its last
    TD error, stratified over the batch; a new step has the largest priority so far. The weights
    ``(N P(i))^-beta / max`` make up for it. With ``per_sequence`` the steps of a drawn sequence are drawn by their
    priorities, too, which leaves every ``P(i)`` as it is.

    Args:
        keywords: those of ``PackedReplayBuffer``.
        alpha: how much priorities count; 0 draws uniformly.
        beta: how much is made up for, at first and at the end of training; the learner moves it from one to the other.
        epsilon: keeps every step's priority above zero.
    """

    def __init__(
        self,
        *positional: Any,
        alpha: float = 0.6,
        beta: tuple[float, float] = (0.4, 1.0),
        epsilon: float = 1e-3,
        **keywords: Any,
    ) -> None:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be 0 to 1, not {alpha!r}")
        self.alpha, self.beta, self.epsilon = alpha, (float(beta[0]), float(beta[1])), epsilon
        self.progress = 0.0  # of training, 0 to 1
        super().__init__(*positional, **keywords)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.tree = SumTree(self.buffer_size * self.n_envs)
        self.largest = 1.0

    def add(self, *step: Any) -> None:
        """Add one step of every environment; shapes as in ``ReplayBuffer.add``."""
        self.tree.set(self.pos * self.n_envs + np.arange(self.n_envs), self.largest**self.alpha)
        super().add(*step)

    def sample(self, batch_size: int, env: Any = None) -> PrioritizedSamples:  # type: ignore[override]
        """Draw ``batch_size`` steps by their priorities."""
        steps, rows = self._draw(batch_size)
        places = steps * self.n_envs + rows
        probabilities = self.tree[places] / self.tree.total
        beta = self.beta[0] + (self.beta[1] - self.beta[0]) * self.progress
        weights = (self.size() * self.n_envs * probabilities) ** -beta
        weights = (weights / weights.max()).astype(np.float32)
        drawn = self.at(steps, rows)
        discounts = drawn.discounts
        assert discounts is not None
        return PrioritizedSamples(*drawn[:5], discounts, self.to_torch(weights.reshape(-1, 1)), places)

    def _independent(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        strata = (self.rng.permutation(count) + self.rng.random(count)) / count
        return np.divmod(self.tree.find(strata * self.tree.total), self.n_envs)

    def _along(self, places: np.ndarray, row: int, count: int) -> np.ndarray:
        priorities = self.tree[places * self.n_envs + row]
        return self.rng.choice(places, count, p=priorities / priorities.sum())

    def update(self, places: np.ndarray, errors: np.ndarray) -> None:
        """Give the steps at ``places`` ``(batch,)`` the priorities of their TD errors ``(batch,)``."""
        priorities = np.abs(errors).astype(np.float64) + self.epsilon
        self.largest = max(self.largest, float(priorities.max()))
        self.tree.set(places, priorities**self.alpha)

    def state(self) -> dict[str, Any]:
        """All of it as tensors and JSON text."""
        leaves = self.tree.sums[self.tree.leaves :][: self.size() * self.n_envs]
        priorities = self.to_torch(leaves).cpu()
        return {**super().state(), "priorities": priorities, "largest": self.largest, "progress": self.progress}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a ``state``."""
        super().restore(state)
        priorities = state["priorities"].numpy()
        if len(priorities):
            self.tree.set(np.arange(len(priorities)), priorities)
        self.largest, self.progress = state["largest"], state["progress"]
