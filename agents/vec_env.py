"""Token environments as a Stable-Baselines3 ``VecEnv``, over the vector environment that tokenizes in batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn

from textenvs.vector import TextVectorEnv


class TextVecEnv(VecEnv):
    """Stable-Baselines3's view of a :class:`textenvs.vector.TextVectorEnv` that restarts rows in the same step.

    ``infos`` of a row that has ended hold ``"episode"`` (return ``r``, length in turns ``l``, seconds ``t``),
    ``"terminal_observation"``, ``"TimeLimit.truncated"`` and the game's own last info, such as ``"success"``; those
    of other rows are empty. Where tokens are constrained, ``"terminal_mask"`` is what could be done in it.

    Args:
        envs: the rows.
        reward_scale: what rewards are multiplied by; the returns in ``infos`` are the game's own.

    Attributes:
        masks_before: ``action_masks()`` as it was before the last step, or ``None`` where nobody had asked.
    """

    def __init__(self, envs: TextVectorEnv, reward_scale: float = 1.0) -> None:
        if envs.metadata.get("autoreset_mode") != AutoresetMode.SAME_STEP:
            raise ValueError("TextVecEnv needs autoreset_mode=AutoresetMode.SAME_STEP: use agents.make_vec_env")
        self.envs, self.reward_scale = envs, reward_scale
        self.returns = np.zeros(envs.num_envs)
        self.started = time.perf_counter()
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self._actions: np.ndarray | None = None
        self._moving: np.ndarray | None = None
        self.masks_before: np.ndarray | None = None
        self._masks: np.ndarray | None = None
        self._seed: int | None = None

    def reset(self) -> VecEnvObs:
        """Start a new episode in every row; uses the seed of ``seed()`` once."""
        observations, _ = self.envs.reset(seed=self._seed)
        self._seed = None
        self._masks = None
        self.returns[:] = 0.0
        return np.array(observations)

    def restart(self, row: int, episode_seed: int | None = None) -> tuple[np.ndarray, int]:
        """Start an episode in one row, the one of ``episode_seed`` or a new one.

        Returns:
            Its first observation ``(observation size,)`` and its episode seed.
        """
        chosen = np.arange(self.num_envs) == row
        options = {"reset_mask": chosen, "episode_seed": [episode_seed if here else None for here in chosen]}
        observations, infos = self.envs.reset(options=options)
        self.returns[row] = 0.0
        self._masks = None
        return observations[row], int(infos["episode_seed"][row])

    def step_async(self, actions: np.ndarray, moving: np.ndarray | None = None) -> None:
        """Take the actions of the next ``step_wait``, and which rows it moves, ``(rows,)`` bool; ``None`` is all."""
        self._actions, self._moving = actions, moving

    def step_wait(self) -> VecEnvStepReturn:
        """Play one step in every row."""
        observations, rewards, terminated, truncated, batch = self.envs.step(self._actions, self._moving)
        self.masks_before, self._masks = self._masks, None
        self.returns += rewards
        dones = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(dones):
            final = {key: values[row] for key, values in batch["final_info"].items() if not key.startswith("_")}
            infos[row] = final
            final["terminal_observation"] = batch["final_obs"][row]
            if "final_mask" in batch:
                final["terminal_mask"] = batch["final_mask"][row]
            final["TimeLimit.truncated"] = bool(truncated[row] and not terminated[row])
            seconds = round(time.perf_counter() - self.started, 6)
            final["episode"] = {"r": float(self.returns[row]), "l": int(final["turns"]), "t": seconds}
            self.returns[row] = 0.0
        return np.array(observations), (rewards * self.reward_scale).astype(np.float32), dones, infos

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed row ``i`` with ``seed + i`` at the next reset."""
        self._seed = seed
        return [None if seed is None else seed + row for row in range(self.num_envs)]

    def close(self) -> None:
        """Close the rows."""
        self.envs.close()

    def action_masks(self) -> np.ndarray:
        """``(rows, actions)`` bool: what may be done now, as sb3-contrib's MaskablePPO asks for."""
        if self._masks is None:
            self._masks = self.envs.action_masks()
        return self._masks

    def observed(self) -> np.ndarray:
        """``(rows, observation size)``: what is seen now."""
        return self.envs._observations()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the chosen rows."""
        return [getattr(row, attr_name) for row in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the chosen rows."""
        for row in self._chosen(indices):
            setattr(row, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the chosen rows."""
        return [getattr(row, method_name)(*args, **kwargs) for row in self._chosen(indices)]

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Rows are never wrapped, and they monitor themselves."""
        from stable_baselines3.common.monitor import Monitor

        return [wrapper_class is Monitor for _ in self._chosen(indices)]

    def _chosen(self, indices: VecEnvIndices) -> list[Any]:
        return [self.envs.rows[row] for row in self._get_indices(indices)]


def make_vec_env(
    env_id: str, num_envs: int = 16, seed: int | None = None, reward_scale: float = 1.0, **env_kwargs: Any
) -> TextVecEnv:
    """``num_envs`` rows of ``gym.make(env_id, **env_kwargs)`` for a Stable-Baselines3 learner.

    Args:
        env_id: a registered id, such as ``"TextDialogue-v0"``.
        num_envs: number of rows, which are played and tokenized together.
        seed: row ``i`` is seeded with ``seed + i``.
        reward_scale: what rewards are multiplied by; the returns in ``infos`` are the game's own.
        env_kwargs: keywords of ``gym.make``.
    """
    import textenvs  # noqa: F401  (registers the ids)

    envs = gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **env_kwargs)
    rows = TextVecEnv(envs, reward_scale)  # type: ignore[arg-type]
    rows.seed(seed)
    return rows
