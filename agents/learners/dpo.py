"""Direct preference optimisation on pairs of episodes from one start state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agents.learners.episodic import EpisodicAlgorithm
from agents.learners.ranges import require_positive
from textenvs.recording import Recording


class DPO(EpisodicAlgorithm):
    """Prefers the better of two episodes from the same start state (Rafailov et al. 2023, "Direct Preference
    Optimization", eq. 7; sampled from the policy itself as in Guo et al. 2024, "Direct Language Model Alignment from
    Online AI Feedback").

    Each group's best episode is held against its worst (of recorded episodes, those with the same episode seed are a
    group); groups whose returns are all equal teach nothing. An episode's log-probability is the sum over its steps:
    over the agent's own words, not the environment's.

    Args:
        beta: how closely to stay to the starting policy.
        pairs: pairs of one gradient step.
        keywords: those of ``EpisodicAlgorithm``.
    """

    needs_reference = True
    unused: ClassVar[tuple[str, ...]] = ("batch_size", "vf_coef", "gamma", "gae_lambda")

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        group_size: int = 4,
        n_starts: int = 16,
        beta: float = 0.1,
        pairs: int = 8,
        **keywords: Any,
    ) -> None:
        if group_size < 2:
            raise ValueError(f"group_size must be at least 2, to have pairs, not {group_size!r}")
        require_positive(beta=beta, pairs=pairs)
        self.beta, self.pairs = beta, pairs
        self.reference: Any = None  # agents.make puts a copy of the starting policy there
        super().__init__(policy, env, group_size=group_size, n_starts=n_starts, **keywords)

    def lessons(self, episodes: Sequence[Recording]) -> list[list[Recording]]:
        """The best and the worst of each episode seed."""
        returns = np.array([sum(each.rewards) for each in episodes])
        pairs = preferences(returns, np.array([each.episode_seed for each in episodes]))
        if not len(pairs):
            raise ValueError(
                "no two recorded episodes have the same episode_seed and different returns, so that none is better "
                "than another: record two players with the same --seed and join their files"
            )
        return [[episodes[place] for place in pair] for pair in pairs]

    def train(self) -> None:
        """``n_epochs`` passes over the pairs."""
        self._update_learning_rate(self.policy.optimizer)
        self.policy.set_training_mode(True)
        buffer = self.rollout_buffer
        preferred = preferences(buffer.episode_returns, buffer.groups)
        losses: list[float] = []
        right: list[float] = []
        for _ in range(self.n_epochs):
            for start in range(0, len(preferred), self.pairs):
                pairs = preferred[start : start + self.pairs]
                margins, entropy = self._margins(pairs)
                loss = -functional.logsigmoid(self.beta * margins).mean()
                self.descend(loss - self.ent_coef * entropy)
                losses.append(loss.item())
                right.append((margins > 0).float().mean().item())
            preferred = preferred[buffer.rng.permutation(len(preferred))]
            self._n_updates += 1
        self.logger.record("train/pairs", len(preferred))
        if losses:
            self.logger.record("train/loss", float(np.mean(losses)))
            self.logger.record("train/accuracy", float(np.mean(right)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _margins(self, pairs: np.ndarray) -> tuple[Tensor, Tensor]:
        """How much more the policy than the reference prefers the first of ``pairs`` ``(pairs, 2)``, ``(pairs,)``; and
        the policy's mean entropy in their steps, a scalar."""
        buffer = self.rollout_buffer
        steps, samples = buffer.steps_of(pairs.flatten().tolist())
        _, log_prob, entropy = self.policy.evaluate_actions(samples.observations, samples.actions)
        with torch.no_grad():
            _, reference, _ = self.reference.evaluate_actions(samples.observations, samples.actions)
        place = {int(episode): index for index, episode in enumerate(pairs.flatten())}
        which = torch.tensor([place[int(e)] for e in buffer.episode.reshape(-1)[steps]], device=log_prob.device)
        sums = torch.zeros(pairs.size, device=log_prob.device).index_add(0, which, log_prob - reference)
        return sums[0::2] - sums[1::2], entropy.mean()


def preferences(returns: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """``(pairs, 2)``: the best and the worst episode of each group, where they differ."""
    pairs = []
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        best, worst = own[returns[own].argmax()], own[returns[own].argmin()]
        if returns[best] > returns[worst]:
            pairs.append((best, worst))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
