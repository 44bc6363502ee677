"""Policy gradients that compare episodes from one start state: RLOO, GRPO and their variants."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from agents.learners.episodic import PART, EpisodicAlgorithm
from agents.learners.ranges import require_positive


class GRPO(EpisodicAlgorithm):
    """Group relative policy optimisation (Shao et al. 2024, "DeepSeekMath", sec. 4.1) and its relatives.

    Every step of an episode has the episode's advantage: its return held against those of its group. The loss is
    PPO's clipped one. The variants are options:

    - GRPO as published: the defaults of the class; those of ``agents.make`` learn more from as many tokens.
    - RLOO (Ahmadian et al. 2024, "Back to Basics", eq. 8): ``advantage="leave_one_out"``, one epoch.
    - Dr. GRPO (Liu et al. 2025, "Understanding R1-Zero-Like Training"): ``advantage="mean"``, ``average="constant"``.
    - DAPO (Yu et al. 2025): ``clip_range_high=0.28``, ``average="step"``, ``drop_equal=True``.
    - GSPO (Zheng et al. 2025): ``ratio="episode"``.
    - GiGPO (Feng et al. 2025): ``step_weight=1.0``.

    Args:
        advantage: ``"normalized"`` (return minus the group's mean, over its standard deviation), ``"mean"`` (without
            the division) or ``"leave_one_out"`` (minus the mean of the others).
        ratio: ``"step"``, or ``"episode"`` for the geometric mean over an episode, which then is in one batch.
        average: of the loss: ``"episode"`` (mean over each episode, then over episodes), ``"step"`` (over all steps),
            or ``"constant"`` (sums of episodes over ``max_turns``, the same divisor for long and short ones).
        clip_range, clip_range_high: ratios count from ``1 - clip_range`` to ``1 + clip_range_high``; ``None`` takes
            the same for both.
        kl_coef: weight of the divergence from the starting model, estimated as ``r - log r - 1`` with ``r`` the
            reference's probability over the policy's (Schulman 2020, "Approximating KL divergence", k3).
        step_weight: weight of GiGPO's second advantage, which compares the returns-to-go of steps in the same state.
        drop_equal: leave out groups whose returns are all equal.
        keywords: those of ``EpisodicAlgorithm``.
    """

    unused: ClassVar[tuple[str, ...]] = ("vf_coef", "gae_lambda")

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        group_size: int = 8,
        n_starts: int = 8,
        advantage: str = "normalized",
        ratio: str = "step",
        average: str = "episode",
        clip_range: float = 0.2,
        clip_range_high: float | None = None,
        kl_coef: float = 0.0,
        step_weight: float = 0.0,
        drop_equal: bool = False,
        **keywords: Any,
    ) -> None:
        for name, value, known in (
            ("advantage", advantage, ("normalized", "mean", "leave_one_out")),
            ("ratio", ratio, ("step", "episode")),
            ("average", average, ("episode", "step", "constant")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {known}, not {value!r}")
        require_positive(clip_range=clip_range)
        if clip_range_high is not None:
            require_positive(clip_range_high=clip_range_high)
        if kl_coef < 0:
            raise ValueError(f"kl_coef must be at least 0, not {kl_coef!r}")
        if group_size < 2:
            raise ValueError(f"group_size must be at least 2, to compare episodes, not {group_size!r}")
        self.advantage, self.ratio, self.average = advantage, ratio, average
        self.clip_range = clip_range
        self.clip_range_high = clip_range if clip_range_high is None else clip_range_high
        self.kl_coef, self.step_weight, self.drop_equal = kl_coef, step_weight, drop_equal
        self.reference: Any = None  # agents.make puts a copy of the starting policy there
        super().__init__(policy, env, group_size=group_size, n_starts=n_starts, **keywords)

    @property
    def needs_reference(self) -> bool:
        """Whether ``reference`` must be set."""
        return self.kl_coef > 0

    def train(self) -> None:
        """``n_epochs`` passes over the round."""
        self._update_learning_rate(self.policy.optimizer)
        self.policy.set_training_mode(True)
        buffer = self.rollout_buffer
        advantages = group_advantages(buffer.episode_returns, buffer.groups, self.advantage)
        counts = np.bincount(buffer.groups)
        kept = np.ones(len(advantages), dtype=bool)
        if self.drop_equal:
            kept = group_spread(buffer.episode_returns, buffer.groups) > 0
        episode = buffer.episode.reshape(-1)
        usable = buffer._usable()
        buffer.advantages.reshape(-1)[usable] = advantages[episode[usable]]
        if self.step_weight:
            buffer.advantages.reshape(-1)[usable] += self.step_weight * self._step_advantages(usable)
        lengths = np.bincount(episode[usable], minlength=len(advantages))
        share = {
            "episode": 1.0 / (lengths * max(kept.sum(), 1)),
            "step": np.full(len(lengths), 1.0 / max(lengths[kept].sum(), 1)),
            "constant": np.full(len(lengths), 1.0 / (self._longest() * max(kept.sum(), 1))),
        }[self.average] * kept

        everything = float(share[episode[usable]].sum())
        clipped: list[float] = []
        divergences: list[float] = []

        def loss_of(steps: np.ndarray, samples: Any) -> Tensor:
            which = episode[steps]
            weights = torch.as_tensor(share[which], dtype=torch.float32, device=self.device)
            if self.batch_size is not None:
                # A batch stands for the whole round: its loss is scaled up by what is missing.
                weights = weights * (everything / max(float(share[which].sum()), 1e-12))
            _, log_prob, entropy = self.policy.evaluate_actions(samples.observations, samples.actions)
            log_ratio = log_prob - samples.old_log_prob
            if self.ratio == "episode":
                log_ratio = _episode_mean(log_ratio, torch.as_tensor(which, device=self.device))
            ratios = log_ratio.exp()
            bounded = ratios.clamp(1 - self.clip_range, 1 + self.clip_range_high)
            gain = torch.minimum(ratios * samples.advantages, bounded * samples.advantages)
            clipped.append((ratios != bounded).float().mean().item())
            loss = -(weights * (gain + self.ent_coef * entropy)).sum()
            if self.kl_coef:
                divergence = self._divergence(samples, log_prob)
                divergences.append(((weights * divergence).sum() / weights.sum().clamp(min=1e-12)).item())
                loss = loss + self.kl_coef * (weights * divergence).sum()
            return loss

        # the mean over an episode needs all of it at once
        batches = buffer.episode_batches if self.ratio == "episode" else buffer.batches
        for _ in range(self.n_epochs if kept.any() else 0):
            if self.batch_size is not None:
                for batch in batches(self.batch_size):
                    self.descend(loss_of(*batch))
            else:
                self.descend(loss_of(*part) for part in batches(PART))
            self._n_updates += 1
        self.logger.record("train/clip_fraction", float(np.mean(clipped)) if clipped else 0.0)
        self.logger.record("train/groups", len(counts))
        self.logger.record("train/equal_groups", float((~kept).mean()))
        if divergences:
            self.logger.record("train/kl_to_start", float(np.mean(divergences)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _divergence(self, samples: Any, log_prob: Tensor) -> Tensor:
        with torch.no_grad():
            _, reference, _ = self.reference.evaluate_actions(samples.observations, samples.actions)
        return (reference - log_prob).exp() - (reference - log_prob) - 1

    def _longest(self) -> int:
        """``max_turns`` of the environment."""
        return int(self.env.get_attr("max_turns", 0)[0])  # type: ignore[union-attr]

    def _step_advantages(self, usable: np.ndarray) -> np.ndarray:
        """Returns-to-go held against those of the same group's steps in the same state (GiGPO, eq. 7 and 8)."""
        buffer = self.rollout_buffer
        returns = buffer.returns.reshape(-1)
        same: dict[tuple[int, bytes], list[int]] = defaultdict(list)
        for place, step in enumerate(usable.tolist()):
            group = int(buffer.groups[buffer.episode.reshape(-1)[step]])
            same[group, buffer.context(step).tobytes()].append(place)
        found = np.zeros(len(usable), dtype=np.float32)
        for places in same.values():
            values = returns[usable[places]]
            found[places] = values - values.mean()
            if self.advantage == "normalized" and values.std() > 0:
                found[places] /= values.std()
        return found


class RLOO(GRPO):
    """REINFORCE leave-one-out (Kool et al. 2019; Ahmadian et al. 2024, "Back to Basics", eq. 8): ``GRPO`` with the mean
    of the other episodes as the baseline, unscaled, and one gradient step a round."""

    def __init__(
        self, policy: Any, env: Any, *, advantage: str = "leave_one_out", average: str = "step", **keywords: Any
    ) -> None:
        super().__init__(policy, env, advantage=advantage, average=average, **keywords)


def group_advantages(returns: np.ndarray, groups: np.ndarray, kind: str) -> np.ndarray:
    """Advantages ``(episodes,)`` from returns ``(episodes,)`` and the numbers ``(episodes,)`` of their groups."""
    found = np.zeros(len(returns), dtype=np.float32)
    for group in np.unique(groups):
        own = groups == group
        values = returns[own]
        found[own] = values - values.mean()
        if kind == "leave_one_out" and len(values) > 1:
            found[own] *= len(values) / (len(values) - 1)
        elif kind == "normalized":
            found[own] /= values.std() + 1e-4
    return found


def group_spread(returns: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The range ``(episodes,)`` of the returns in each episode's group."""
    return np.array([np.ptp(returns[groups == group]) for group in groups])


def _episode_mean(values: Tensor, episodes: Tensor) -> Tensor:
    """Each step's mean over the steps of its episode."""
    _, which, counts = episodes.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(counts), device=values.device).index_add(0, which, values)
    return (sums / counts)[which]
