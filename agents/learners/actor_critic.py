"""The one-step actor-critic."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import obs_as_tensor, polyak_update
from torch import Tensor

from agents.learners.ranges import require_positive, require_share
from agents.memory.rollout import PackedRolloutBuffer


class AC(OnPolicyAlgorithm):
    """One-step actor-critic (Sutton and Barto 2018, "Reinforcement Learning", sec. 13.5): a TD(0) critic, and an actor
    that follows its TD error.

    With ``delta_t = r_t + gamma * V(s_t+1) - V(s_t)`` a gradient step descends ``vf_coef * mean delta_t^2 -
    mean delta_t log pi(a_t | s_t)``, where neither ``V(s_t+1)`` nor the ``delta_t`` of the actor has a gradient. Steps
    are batched over the environments and over ``n_steps``; the textbook has one of each, and weighs the actor with
    ``gamma^t``, which is left out here as usual.

    Args:
        policy: an actor-critic policy class.
        env: a ``TextVecEnv``, as ``agents.make_vec_env`` makes it.
        learning_rate: a number, or a function of the remaining progress (1 to 0).
        n_steps: steps of each environment between two gradient steps.
        batch_size: steps of one gradient step; ``None`` takes all of them.
        gamma: discount of a game turn.
        ent_coef: weight of the entropy bonus.
        vf_coef: weight of the critic's loss.
        max_grad_norm: gradients are scaled down to this norm.
        target_tau: ``V(s_t+1)`` is that of a copy of the policy that moves by this share towards it with each gradient
            step; ``None`` takes the policy itself.

    The rest are those of every Stable-Baselines3 learner.
    """

    rollout_buffer: PackedRolloutBuffer
    policy: Any

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        n_steps: int = 16,
        batch_size: int | None = None,
        gamma: float = 1.0,
        ent_coef: float = 0.0,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        target_tau: float | None = None,
        rollout_buffer_class: type[PackedRolloutBuffer] = PackedRolloutBuffer,
        rollout_buffer_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        require_positive(n_steps=n_steps, max_grad_norm=max_grad_norm)
        if target_tau is not None:
            require_share(target_tau=target_tau)
        self.batch_size, self.target_tau = batch_size, target_tau
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            n_steps=n_steps,
            gamma=gamma,
            gae_lambda=0.0,  # the advantage is the TD error, the return its target
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            use_sde=False,
            sde_sample_freq=-1,
            rollout_buffer_class=rollout_buffer_class,
            rollout_buffer_kwargs=rollout_buffer_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.target_tau is not None:
            self.policy.target = copy.deepcopy(self.policy).requires_grad_(False)  # saved with the policy's own weights
            self.policy.target.reader.cached = False  # Polyak averaging changes weights without a trace

    def train(self) -> None:
        """One gradient step a batch of the rollout."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        if self.target_tau is not None:
            self._bootstrap_from_target()
        actor_losses, critic_losses = [], []
        for samples in self.rollout_buffer.get(self.batch_size):
            actions = samples.actions
            values, log_prob, entropy = self.policy.evaluate_actions(samples.observations, actions)
            actor_loss, critic_loss = losses(values.flatten(), log_prob, samples.returns)
            loss = actor_loss + self.vf_coef * critic_loss - self.ent_coef * entropy.mean()
            self.policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            if self.target_tau is not None:
                own = [
                    parameter for name, parameter in self.policy.named_parameters() if not name.startswith("target.")
                ]
                polyak_update(own, self.policy.target.parameters(), self.target_tau)
            actor_losses.append(actor_loss.item())
            critic_losses.append(critic_loss.item())
        self._n_updates += 1
        self.logger.record("train/actor_loss", float(np.mean(actor_losses)))
        self.logger.record("train/critic_loss", float(np.mean(critic_losses)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    @torch.no_grad()
    def _bootstrap_from_target(self) -> None:
        """Compute the TD targets anew, with the values of the target policy."""
        buffer, target = self.rollout_buffer, self.policy.target
        for steps, samples in buffer.batches(self.batch_size):
            buffer.values.reshape(-1)[steps] = target.predict_values(samples.observations).flatten().cpu().numpy()
        last = target.predict_values(obs_as_tensor(self._last_obs, self.device))  # type: ignore[arg-type]
        buffer.estimate(last.flatten(), self._last_episode_starts)  # type: ignore[arg-type]


def losses(values: Tensor, log_prob: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The actor's and the critic's loss from values, log-probabilities and TD targets, each ``(steps,)``."""
    td_errors = targets - values
    return -(td_errors.detach() * log_prob).mean(), td_errors.square().mean()
