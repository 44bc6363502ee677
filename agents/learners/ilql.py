"""Implicit language Q-learning: offline, from what an imperfect player did."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv, RolloutReturn, Schedule, TrainFreq
from stable_baselines3.common.utils import polyak_update
from torch import Tensor
from torch.nn import functional

from agents.learners.ranges import require_positive, require_share
from agents.memory.packed_replay import PackedReplayBuffer
from agents.players.imperfect import Teacher
from agents.policies.implicit_q import TokenImplicitQPolicy
from agents.vec_env import TextVecEnv

_UPDATES_LOGGED = 100  # between two lines of the log where no episode ends


class ILQL(OffPolicyAlgorithm):
    """Implicit language Q-learning (Snell et al. 2022, "Offline RL for Natural Language Generation with Implicit
    Language Q Learning", sec. 4).

    What is learned from is what a teacher does, the game's expert who errs, or recorded episodes; what the learner
    itself would do is never tried. ``implicit_losses`` has the equations. Acting weighs the words of a model that
    imitates the teacher by their advantage: see ``TokenImplicitQPolicy``, whose ``beta`` is given by ``policy_kwargs``.

    Args:
        policy: ``TokenImplicitQPolicy``.
        env: a ``TextVecEnv``, as ``agents.make_vec_env`` makes it.
        error: probability that the teacher says a random admissible utterance.
        expectile: of the values; above 0.5 they lean to the best actions of the data.
        cql_coef: weight of the term that holds down the values of what is not in the data.
        imitation_coef: weight of the loss of the model that imitates.
        monte_carlo: learn Q from the returns that followed instead of bootstrapping, the baseline of LMRL-Gym
            (Abdulhai et al. 2023, sec. 5).
        tau: share of the values that their targets take over after each gradient step.
        max_grad_norm: gradients are scaled down to this norm.

    The rest are those of every off-policy learner of Stable-Baselines3; a time step is one of the teacher's. With
    recorded episodes nobody plays: time passes as if a teacher did, so that there are as many updates.
    """

    policy: TokenImplicitQPolicy
    offline = False

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str,
        learning_rate: float | Schedule = 5e-4,
        buffer_size: int = 100_000,
        learning_starts: int = 1000,
        batch_size: int = 64,
        tau: float = 0.01,
        gamma: float = 0.99,
        train_freq: int | tuple[int, str] = 1,
        gradient_steps: int = 1,
        error: float = 0.5,
        expectile: float = 0.8,
        cql_coef: float = 0.01,
        imitation_coef: float = 1.0,
        monte_carlo: bool = False,
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
        if not 0 < expectile < 1:
            raise ValueError(f"expectile must be between 0 and 1, not {expectile!r}")
        require_share(tau=tau)
        require_positive(batch_size=batch_size, max_grad_norm=max_grad_norm)
        self.teacher = Teacher(error)
        self.expectile, self.cql_coef, self.imitation_coef = expectile, cql_coef, imitation_coef
        self.max_grad_norm = max_grad_norm
        if monte_carlo:
            replay_buffer_kwargs = {**(replay_buffer_kwargs or {}), "n_steps": None}
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
        if self.env is not None and not isinstance(self.env, TextVecEnv):
            raise TypeError(f"ILQL asks a teacher in every row: it needs agents.make_vec_env(...), not {self.env!r}")
        if _init_setup_model:
            self._setup_model()

    @property
    def utterances(self) -> list[str]:
        """What the teacher is saying in each row."""
        return self.teacher.utterances

    @utterances.setter
    def utterances(self, said: list[str]) -> None:
        self.teacher.utterances = said

    def _sample_action(
        self, learning_starts: int, action_noise: Any = None, n_envs: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """The teacher's actions."""
        rows = self.env.envs.rows  # type: ignore[union-attr]
        actions = self.teacher.actions(rows, self.replay_buffer.rng)  # type: ignore[union-attr]
        return actions, actions

    def hear_only_recordings(self) -> None:
        """Take an empty replay buffer of one row, for recorded episodes one after the other; no teacher is asked."""
        self.offline = True
        old: Any = self.replay_buffer
        keywords = {**self.replay_buffer_kwargs, "n_envs": 1, "device": self.device}
        new = type(old)(self.buffer_size, self.observation_space, old.action_space, **keywords)
        if hasattr(old, "masks"):
            new.masks = old.masks
        self.replay_buffer = new

    def collect_rollouts(self, env: Any, callback: Any, train_freq: TrainFreq, *args: Any, **keywords: Any) -> Any:
        """As the base class; of recorded episodes all are there."""
        if not self.offline:
            return super().collect_rollouts(env, callback, train_freq, *args, **keywords)
        callback.on_rollout_start()
        steps = train_freq.frequency * env.num_envs
        self.num_timesteps += steps
        infos: list[dict[str, Any]] = [{}] * env.num_envs  # what callbacks look for, as well as dones
        dones = np.zeros(env.num_envs, dtype=bool)
        callback.update_locals(locals())
        going_on = callback.on_step()
        self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
        if self._n_updates and self._n_updates % _UPDATES_LOGGED == 0:
            self.dump_logs()
        callback.on_rollout_end()
        return RolloutReturn(steps, 0, going_on)

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """``gradient_steps`` steps of gradient descent."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        policy = self.policy
        figures: list[tuple[float, ...]] = []
        for _ in range(gradient_steps):
            steps: Any = self.replay_buffer.sample(batch_size)  # type: ignore[union-attr]
            q_values, values = policy.q_net.both(steps.observations)
            with torch.no_grad():
                target_q_values = policy.q_net_target.all_heads(steps.observations)
                _, next_values = policy.q_net.both(steps.next_observations)
            losses = implicit_losses(
                q_values,
                values,
                target_q_values,
                steps.actions,
                steps.rewards + steps.discounts * (1 - steps.dones) * next_values,
                self.expectile,
            )
            imitation_loss = functional.nll_loss(policy.log_probs(steps.observations), steps.actions.flatten())
            loss = losses.q + losses.value + self.cql_coef * losses.cql + self.imitation_coef * imitation_loss
            policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), self.max_grad_norm)
            policy.optimizer.step()
            polyak_update(policy.q_net.parameters(), policy.q_net_target.parameters(), self.tau)
            figures.append((*(each.item() for each in losses), imitation_loss.item(), values.mean().item()))
        self._n_updates += gradient_steps
        names = ("q_loss", "value_loss", "cql_loss", "imitation_loss", "value")
        for name, column in zip(names, zip(*figures, strict=True), strict=True):
            self.logger.record(f"train/{name}", float(np.mean(column)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer"], []


class ImplicitLosses(NamedTuple):
    """The three parts of the loss, each a scalar."""

    q: Tensor
    value: Tensor
    cql: Tensor


def implicit_losses(
    q_values: Tensor, values: Tensor, target_q_values: Tensor, actions: Tensor, targets: Tensor, expectile: float
) -> ImplicitLosses:
    """The losses of implicit language Q-learning (Snell et al. 2022, eq. 1 and 2).

    - ``q``: ``sum_k (Q_k(s, a) - y)^2``, ``y = r + gamma (1 - done) V(s')``;
    - ``value``: ``|expectile - 1[u < 0]| u^2``, ``u = min_k Q'_k(s, a) - V(s)``: an upper expectile of Q over the data;
    - ``cql``: ``sum_k log sum_a' exp Q_k(s, a') - Q_k(s, a)``.

    Args:
        q_values: ``Q_k(s, a)``, ``(batch, 2, actions)``.
        values: ``V(s)``, ``(batch, 1)``.
        target_q_values: ``Q'_k(s, a)`` of the target network, ``(batch, 2, actions)``.
        actions: what was done, ``(batch, 1)``.
        targets: ``y``, ``(batch, 1)``.
        expectile: 0 to 1.
    """
    index = actions[:, None].expand(-1, q_values.shape[1], 1)
    taken = q_values.gather(2, index).squeeze(2)  # (batch, 2)
    u = target_q_values.gather(2, index).squeeze(2).amin(dim=1, keepdim=True) - values
    return ImplicitLosses(
        q=(taken - targets).square().sum(dim=1).mean(),
        value=((expectile - (u.detach() < 0).float()).abs() * u.square()).mean(),
        cql=(q_values.logsumexp(dim=2) - taken).sum(dim=1).mean(),
    )
