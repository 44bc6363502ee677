"""REINFORCE (Williams 1992) with returns-to-go, baselines and an entropy bonus."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from agents.learners.episodic import PART, EpisodicAlgorithm

_DECAY = 0.9  # of the running mean, each round


class REINFORCE(EpisodicAlgorithm):
    """Monte-Carlo policy gradient: ascends ``mean over steps of A * grad log pi(a | s)``, ``A = G - b``.

    ``G`` is the return-to-go. Williams 1992, "Simple statistical gradient-following algorithms for connectionist
    reinforcement learning", eq. 11; Sutton & Barto 2018, sec. 13.4 for the learned baseline.

    Args:
        baseline: ``"value"`` (learned, ``b = V(s)``), ``"mean"`` (running mean of episodes' returns) or ``"none"``.
        normalize_returns: give the advantages of each round mean 0 and standard deviation 1.
        keywords: those of ``EpisodicAlgorithm``; ``n_epochs`` must be 1.
    """

    def __init__(
        self, policy: Any, env: Any, *, baseline: str = "value", normalize_returns: bool = True, **keywords: Any
    ) -> None:
        if baseline not in ("value", "mean", "none"):
            raise ValueError(f"baseline must be 'value', 'mean' or 'none', not {baseline!r}")
        keywords = {"vf_coef": 0.5 if baseline == "value" else 0.0, **keywords}
        if keywords.get("n_epochs", 1) != 1:
            raise ValueError("REINFORCE is on-policy: n_epochs must be 1; use ppo to learn from a round more than once")
        self.baseline, self.normalize_returns = baseline, normalize_returns
        self.running_mean: float | None = None
        super().__init__(policy, env, **keywords)

    def train(self) -> None:
        """One step along the gradient of the whole round, summed up batch by batch."""
        self._update_learning_rate(self.policy.optimizer)
        self.policy.set_training_mode(True)
        buffer = self.rollout_buffer
        usable = buffer._usable()
        returns = buffer.returns.reshape(-1)[usable]
        if self.baseline == "value":
            advantages = buffer.advantages.reshape(-1)[usable]
        elif self.baseline == "mean":
            mean = float(buffer.episode_returns.mean())
            self.running_mean = mean if self.running_mean is None else self.running_mean
            advantages = returns - self.running_mean
            self.running_mean += (1 - _DECAY) * (mean - self.running_mean)
        else:
            advantages = returns.copy()
        if self.normalize_returns:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        buffer.advantages.reshape(-1)[usable] = advantages

        figures: list[tuple[float, float, float]] = []

        def loss_of(steps: np.ndarray, samples: Any) -> Tensor:
            values, log_prob, entropy = self.policy.evaluate_actions(samples.observations, samples.actions)
            policy_loss = -(samples.advantages * log_prob).mean()
            value_loss = functional.mse_loss(values.flatten(), samples.returns)
            figures.append((policy_loss.item(), value_loss.item(), entropy.mean().item()))
            loss = policy_loss + self.vf_coef * value_loss - self.ent_coef * entropy.mean()
            return loss * (len(steps) / len(usable))

        self.descend(loss_of(*part) for part in buffer.batches(self.batch_size or PART))
        self._n_updates += 1
        for name, value in zip(("policy_loss", "value_loss", "entropy"), np.mean(figures, axis=0), strict=True):
            self.logger.record(f"train/{name}", float(value))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
