"""What learners share that play whole episodes, several from each start state, before they learn from them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor

from agents.learners.ranges import require_positive
from agents.learners.recorded import Reciter, Recorded
from agents.memory.episodes import EpisodeBuffer
from agents.vec_env import TextVecEnv
from textenvs.recording import Recording

_FIRST_SIZE = 64  # steps of each row that the buffer has room for before it grows
PART = 512  # steps: a pass over many more is no faster and needs more memory


class EpisodicAlgorithm(OnPolicyAlgorithm):
    """Collects ``n_starts * group_size`` whole episodes, then calls ``train``.

    The ``group_size`` episodes of a group begin in the same state (the environment's episode seed). A row that has no
    episode left to play stands still until the last one ends.

    With ``recorded`` episodes a round plays those again: the next ``n_starts`` lessons, in passes over all lessons,
    each in an order of its own.

    Args:
        policy: an actor-critic policy class.
        env: a ``TextVecEnv``, as ``agents.make_vec_env`` makes it.
        learning_rate: a number, or a function of the remaining progress (1 to 0).
        n_starts: start states of one round.
        group_size: episodes from each of them.
        n_epochs: passes over the episodes.
        batch_size: steps of one gradient step; ``None`` takes all of them, in parts whose gradients are added up.
        gamma: discount of a game turn.
        gae_lambda: of generalised advantage estimation; 1 gives returns-to-go.
        ent_coef: weight of the entropy bonus.
        vf_coef: weight of the value loss.
        max_grad_norm: gradients are scaled down to this norm.
        rollout_buffer_kwargs: keywords of ``EpisodeBuffer``, such as ``kl_coef`` and ``seed``.

    The rest are those of every Stable-Baselines3 learner.
    """

    rollout_buffer: EpisodeBuffer
    policy: Any
    unused: ClassVar[tuple[str, ...]] = ()  # keywords that change nothing in a learner: agents.make refuses them
    recorded: Recorded | None = None  # agents.make puts the episodes of ``dataset`` there

    def __init__(
        self,
        policy: Any,
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        n_starts: int = 16,
        group_size: int = 1,
        n_epochs: int = 1,
        batch_size: int | None = None,
        gamma: float = 1.0,
        gae_lambda: float = 1.0,
        ent_coef: float = 0.0,
        vf_coef: float = 0.0,
        max_grad_norm: float = 0.5,
        rollout_buffer_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        require_positive(n_starts=n_starts, group_size=group_size, n_epochs=n_epochs, max_grad_norm=max_grad_norm)
        if batch_size is not None:
            require_positive(batch_size=batch_size)
        self.n_starts, self.group_size, self.n_epochs = n_starts, group_size, n_epochs
        self.batch_size = batch_size
        self.to_come: list[int] = []  # of this pass over the lessons, the next one last
        self._lessons: list[list[Recording]] = []
        super().__init__(
            policy,
            env,
            learning_rate=learning_rate,
            n_steps=_FIRST_SIZE,
            gamma=gamma,
            gae_lambda=gae_lambda,
            ent_coef=ent_coef,
            vf_coef=vf_coef,
            max_grad_norm=max_grad_norm,
            use_sde=False,
            sde_sample_freq=-1,
            rollout_buffer_class=EpisodeBuffer,
            rollout_buffer_kwargs=rollout_buffer_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )
        if self.env is not None and not isinstance(self.env, TextVecEnv):
            raise TypeError(f"{type(self).__name__} restarts rows: it needs agents.make_vec_env(...), not {self.env!r}")

    def act(self, env: TextVecEnv, observations: np.ndarray) -> tuple[np.ndarray, Tensor, Tensor]:
        """Actions ``(rows, *action shape)`` to play, and their values and log-probabilities ``(rows,)``."""
        with torch.no_grad():
            actions, values, log_probs = self.policy(torch.as_tensor(observations, device=self.device))
        return actions.cpu().numpy(), values, log_probs

    def lessons(self, episodes: Sequence[Recording]) -> list[list[Recording]]:
        """What is to be learned from recorded ``episodes``: those that are repeated, in groups that belong together."""
        raise TypeError(f"{type(self).__name__} learns from its own episodes, not from recorded ones")

    def _draw_lessons(self) -> list[tuple[int, Recording]]:
        """The (group, episode) of one round of recorded episodes, the first one last."""
        assert self.recorded is not None
        if not self._lessons:
            self._lessons = self.lessons(self.recorded.episodes)
            self.to_come = [place for place in self.to_come if place < len(self._lessons)]  # of a saved learner
        drawn: list[tuple[int, Recording]] = []
        for group in range(min(self.n_starts, len(self._lessons))):
            if not self.to_come:
                self.to_come = self.rollout_buffer.rng.permutation(len(self._lessons)).tolist()
            drawn += [(group, episode) for episode in self._lessons[self.to_come.pop()]]
        return drawn[::-1]

    def collect_rollouts(  # type: ignore[override]
        self, env: TextVecEnv, callback: Any, rollout_buffer: EpisodeBuffer, n_rollout_steps: int
    ) -> bool:
        """Play the episodes of one round; false where a callback stops it."""
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        group = [-1] * env.num_envs  # that each row's episode belongs to, -1 for one that does not count
        waiting: list[tuple[int, int]] = []  # (group, episode seed)
        reciter, lessons = Reciter(env.num_envs), self._draw_lessons() if self.recorded else []
        begun = self.n_starts if self.recorded else 0
        fresh = list(range(env.num_envs))
        observations = np.array(self._last_obs)
        starts = np.ones(env.num_envs, dtype=bool)
        while True:
            for row in fresh:
                rollout_buffer.begin(row)
                if waiting:
                    group[row], episode_seed = waiting.pop()
                    observations[row], _ = env.restart(row, episode_seed)
                elif lessons:
                    group[row], lesson = lessons.pop()
                    observations[row], _ = env.restart(row, lesson.episode_seed)
                    reciter.begin(row, lesson)
                elif begun < self.n_starts:
                    observations[row], episode_seed = env.restart(row)
                    waiting = [(begun, episode_seed)] * (self.group_size - 1)
                    group[row], begun = begun, begun + 1
                else:
                    group[row] = -1
            if max(group) < 0:
                break
            if self.recorded:
                actions = reciter.actions(env.envs.rows)
                values = log_probs = torch.zeros(env.num_envs)  # those who learn from recordings need neither
            else:
                actions, values, log_probs = self.act(env, observations)
            counted = np.array(group) >= 0
            env.step_async(actions, counted)
            after, rewards, dones, infos = env.step_wait()
            ends = dones | (reciter.silent(env.envs.rows) & counted) if self.recorded else dones  # it may break off
            self.num_timesteps += int(counted.sum())
            self._update_info_buffer(infos, dones)
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            if self.vf_coef:
                self._bootstrap(rewards, infos)
            rollout_buffer.add(observations, actions, rewards, starts, values, log_probs)
            observations, starts = np.array(after), ends
            fresh = np.flatnonzero(ends).tolist()
            for row in fresh:
                rollout_buffer.finish(row, group[row])
        self._last_obs, self._last_episode_starts = observations, np.ones(env.num_envs, dtype=bool)
        ended = np.ones(env.num_envs, dtype=bool)
        rollout_buffer.compute_returns_and_advantage(torch.zeros(env.num_envs), ended)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _bootstrap(self, rewards: np.ndarray, infos: list[dict[str, Any]]) -> None:
        """Add the value of what a truncated episode would have gone on with, in place."""
        for row, info in enumerate(infos):
            if info.get("TimeLimit.truncated", False):
                observation = torch.as_tensor(info["terminal_observation"][None], device=self.device)
                with torch.no_grad():
                    rewards[row] += self.gamma * float(self.policy.predict_values(observation))

    def descend(self, loss: Tensor | Iterable[Tensor]) -> None:
        """One gradient step; of several parts of a loss each is computed when those before it are forgotten."""
        self.policy.optimizer.zero_grad()
        for part in [loss] if isinstance(loss, Tensor) else loss:
            part.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()

    @abstractmethod
    def train(self) -> None:
        """Learn from ``rollout_buffer``."""
