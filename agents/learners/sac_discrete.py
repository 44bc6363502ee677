"""Soft actor-critic for tokens and choices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import polyak_update
from torch import Tensor

from agents.learners.ranges import require_positive, require_share
from agents.memory.packed_replay import PackedReplayBuffer
from agents.policies.reader import MASKED
from agents.policies.soft_actor_critic import TokenSACPolicy, expectation


class SACDiscrete(OffPolicyAlgorithm):
    """Soft actor-critic with discrete actions (Christodoulou 2019, "Soft Actor-Critic for Discrete Action Settings").

    All expectations over actions are exact sums over what is present or admissible:

    - critics: ``Q_k(s, a)`` towards ``r + gamma (1 - done) V(s')``, where
      ``V(s) = sum_a pi(a|s) (min_k Q'_k(s, a) - T log pi(a|s))``;
    - actor: descends ``sum_a pi(a|s) (T log pi(a|s) - min_k Q_k(s, a))``;
    - temperature ``T``: rises where the entropy is below its target, ``target_entropy * log(number of actions in s)``.

    Args:
        policy: ``TokenSACPolicy``.
        target_entropy: share of the largest possible entropy that the temperature aims at. The paper's 0.98 keeps a
            language model babbling.
        learn_temperature: whether the temperature moves at all.
        tau: share of the critics that their targets take over after each gradient step.
        max_grad_norm: gradients are scaled down to this norm.

    The rest are those of every off-policy learner of Stable-Baselines3.
    """

    policy: TokenSACPolicy

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        buffer_size: int = 20_000,
        learning_starts: int = 500,
        batch_size: int = 64,
        tau: float = 0.01,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        target_entropy: float = 0.3,
        learn_temperature: bool = True,
        max_grad_norm: float = 1.0,
        replay_buffer_class: type[PackedReplayBuffer] | None = PackedReplayBuffer,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if not 0 <= target_entropy <= 1:
            raise ValueError(f"target_entropy is a share: it must be 0 to 1, not {target_entropy!r}")
        require_share(tau=tau)
        require_positive(batch_size=batch_size, max_grad_norm=max_grad_norm)
        self.target_entropy, self.learn_temperature = target_entropy, learn_temperature
        self.max_grad_norm = max_grad_norm
        super().__init__(
            policy,
            env,
            learning_rate,
            buffer_size,
            learning_starts,
            batch_size,
            tau,
            gamma,
            train_freq,
            gradient_steps,
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs=replay_buffer_kwargs,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
            sde_support=False,
            supported_action_spaces=(spaces.Discrete,),
        )
        if _init_setup_model:
            self._setup_model()

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """``gradient_steps`` steps of gradient descent, each on critics, actor and temperature together."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        for group in self.policy.optimizer.param_groups:
            group["lr"] *= group.get("share", 1.0)
        figures: dict[str, list[float]] = {"critic_loss": [], "actor_loss": [], "temperature": [], "entropy": []}
        policy = self.policy
        for _ in range(gradient_steps):
            steps: Any = self.replay_buffer.sample(batch_size)  # type: ignore[union-attr]
            temperature = policy.log_temperature.exp().detach()
            with torch.no_grad():
                next_log_probs = policy.log_probs(steps.next_observations)
                next_q_values = policy.critic_target.all_heads(steps.next_observations).amin(dim=1)
                targets = soft_targets(
                    steps.rewards, steps.dones, steps.discounts, next_log_probs, next_q_values, temperature
                )
            q_values = policy.critic.all_heads(steps.observations)  # (batch, 2, actions)
            taken = q_values.gather(2, steps.actions[:, None].expand(-1, 2, 1)).squeeze(2)
            critic_loss = 0.5 * (taken - targets).square().sum(dim=1).mean()
            log_probs = policy.log_probs(steps.observations)
            least = q_values.detach().amin(dim=1)
            actor_loss = expectation(log_probs, temperature * log_probs - least).mean()
            entropy = -expectation(log_probs, log_probs).detach()
            admissible = (log_probs > MASKED / 2).sum(dim=1)
            surplus = entropy - self.target_entropy * admissible.log()
            loss = critic_loss + actor_loss
            if self.learn_temperature:
                loss = loss + policy.log_temperature * surplus.mean()
            policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
            policy.optimizer.step()
            polyak_update(policy.critic.parameters(), policy.critic_target.parameters(), self.tau)
            found = (critic_loss, actor_loss, temperature, entropy.mean())
            for kept, figure in zip(figures.values(), found, strict=True):
                kept.append(figure.item())
        self._n_updates += gradient_steps
        for name, values in figures.items():
            self.logger.record(f"train/{name}", float(np.mean(values)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer"], []


def soft_targets(
    rewards: Tensor,
    dones: Tensor,
    discounts: Tensor,
    next_log_probs: Tensor,
    next_q_values: Tensor,
    temperature: Tensor,
) -> Tensor:
    """``r + gamma (1 - done) sum_a pi(a|s') (Q'(s', a) - T log pi(a|s'))``, ``(batch, 1)``.

    Args:
        rewards: ``(batch, 1)``.
        dones: 1 where the episode terminated, ``(batch, 1)``.
        discounts: of what follows, ``(batch, 1)``.
        next_log_probs: ``log pi(a|s')`` ``(batch, actions)``.
        next_q_values: the lesser of the target critics' ``Q'(s', a)``, ``(batch, actions)``.
        temperature: ``T``, a scalar.
    """
    next_values = expectation(next_log_probs, next_q_values - temperature * next_log_probs)
    return rewards + discounts * (1 - dones) * next_values[:, None]
