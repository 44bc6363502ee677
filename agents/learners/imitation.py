"""Learners that imitate: behaviour cloning, filtered behaviour cloning and expert iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from agents.learners.episodic import PART, EpisodicAlgorithm
from agents.players.imperfect import Teacher
from agents.vec_env import TextVecEnv
from textenvs.recording import Recording


class BC(EpisodicAlgorithm):
    """Behaviour cloning (Pomerleau 1988): descends ``-mean log pi(a | s)`` on the episodes of a teacher, or on recorded
    ones.

    Args:
        error: probability that the teacher, the game's expert, says a random admissible utterance instead.
        top: share of each group's episodes that is imitated, those with the highest returns; with ``group_size=1``,
            of all episodes of the round. 1 takes all. Of recorded episodes those of one episode seed are a group, and
            with ``group_size=1`` the whole file is.
        keywords: those of ``EpisodicAlgorithm``.
    """

    unused: ClassVar[tuple[str, ...]] = ("vf_coef", "gamma", "gae_lambda")

    def __init__(self, policy: Any, env: Any, *, error: float = 0.0, top: float = 1.0, **keywords: Any) -> None:
        if not 0 < top <= 1:
            raise ValueError(f"top is a share: it must be above 0 and at most 1, not {top!r}")
        self.top = top
        self.teacher = Teacher(error)
        super().__init__(policy, env, **keywords)

    def act(self, env: TextVecEnv, observations: np.ndarray) -> tuple[np.ndarray, Tensor, Tensor]:
        """The teacher's actions; values and log-probabilities are zero, for nothing here needs them."""
        rows = env.envs.rows
        zeros = torch.zeros(len(rows))
        return self.teacher.actions(rows, self.rollout_buffer.rng), zeros, zeros

    def lessons(self, episodes: Sequence[Recording]) -> list[list[Recording]]:
        """Each of the best episodes by itself."""
        seeds = np.array([each.episode_seed if self.group_size > 1 else 0 for each in episodes])
        kept = best(np.array([sum(each.rewards) for each in episodes]), seeds, self.top)
        return [[episodes[place]] for place in np.flatnonzero(kept).tolist()]

    def train(self) -> None:
        """``n_epochs`` passes over the episodes kept."""
        self._update_learning_rate(self.policy.optimizer)
        self.policy.set_training_mode(True)
        buffer = self.rollout_buffer
        groups = buffer.groups if self.group_size > 1 else np.zeros_like(buffer.groups)
        kept = best(buffer.episode_returns, groups, 1.0 if self.recorded else self.top)
        buffer.episode[~np.isin(buffer.episode, np.flatnonzero(kept))] = -1
        losses: list[float] = []

        def loss_of(samples: Any) -> Tensor:
            _, log_prob, entropy = self.policy.evaluate_actions(samples.observations, samples.actions)
            losses.append(-log_prob.mean().item())
            return -log_prob.mean() - self.ent_coef * entropy.mean()

        everything = len(buffer._usable())
        for _ in range(self.n_epochs):
            if self.batch_size is None:
                self.descend(loss_of(part) * (len(steps) / everything) for steps, part in buffer.batches(PART))
            else:
                for _, samples in buffer.batches(self.batch_size):
                    self.descend(loss_of(samples))
            self._n_updates += 1
        self.logger.record("train/loss", float(np.mean(losses)))
        self.logger.record("train/kept_return", float(buffer.episode_returns[kept].mean()))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


class FilteredBC(BC):
    """Behaviour cloning of the best episodes of a teacher who errs, as in LMRL-Gym (Abdulhai et al. 2023, sec. 5)."""

    def __init__(self, policy: Any, env: Any, *, error: float = 0.5, top: float = 0.25, **keywords: Any) -> None:
        super().__init__(policy, env, error=error, top=top, **keywords)


class ExpertIteration(BC):
    """Samples several episodes from each start state, keeps the best, imitates them, and again (Anthony et al. 2017;
    Gulcehre et al. 2023, "Reinforced Self-Training"; Zelikman et al. 2022, "STaR")."""

    unused: ClassVar[tuple[str, ...]] = (*BC.unused, "error")

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        group_size: int = 8,
        n_starts: int = 8,
        n_epochs: int = 2,
        top: float = 0.25,
        **keywords: Any,
    ) -> None:
        super().__init__(policy, env, group_size=group_size, n_starts=n_starts, n_epochs=n_epochs, top=top, **keywords)

    def act(self, env: TextVecEnv, observations: np.ndarray) -> tuple[np.ndarray, Tensor, Tensor]:
        """The policy's own samples."""
        return EpisodicAlgorithm.act(self, env, observations)


def best(returns: np.ndarray, groups: np.ndarray, top: float) -> np.ndarray:
    """Which episodes ``(episodes,)`` bool are among the ``top`` share of their group, at least one of each; of a group
    whose returns are all equal none is better than another, and all or (below ``top=1``) none are kept, unless that
    leaves nothing at all."""
    kept = np.zeros(len(returns), dtype=bool)
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        if top < 1 and np.ptp(returns[own]) == 0:
            continue
        kept[own[np.argsort(-returns[own], kind="stable")[: max(1, round(top * len(own)))]]] = True
    return kept if kept.any() else np.ones_like(kept)
