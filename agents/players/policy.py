"""A trained Stable-Baselines3 model as a player."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.policies.masks import MaskedPolicy
from textenvs.env import TextEnv
from textenvs.tokens.spaces import TokenSpace


class PolicyPlayer:
    """Plays what the model's policy says.

    Attributes:
        env_kwargs: keywords of ``gym.make`` that the policy's environments need: tokenizer, window and so on.

    Args:
        model: a learner made by ``agents.make`` or loaded by ``agents.load``.
        deterministic: take the most probable action instead of a sample.
        name: what reports call it.
    """

    def __init__(self, model: BaseAlgorithm, deterministic: bool = True, name: str = "policy") -> None:
        envs, space = model.get_env(), model.observation_space
        if envs is None or not isinstance(space, TokenSpace):
            raise TypeError("a policy plays with the environments that it was made for: use agents.make or agents.load")
        self.policy: Any = model.policy
        self.deterministic = deterministic
        self.name = name
        self.action_level = str(envs.get_attr("action_level", 0)[0])
        self.env_kwargs: dict[str, Any] = {
            "tokenizer": envs.get_attr("tokenizer", 0)[0],
            "window": space.window,
            "max_utterance_tokens": space.max_utterance_tokens,
        }
        self._masked = isinstance(self.policy, MaskedPolicy) and bool(envs.get_attr("constrain", 0)[0])
        if self._masked:
            self.env_kwargs["constrain"] = True
        self._rows = 0

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """The policy's action in each environment."""
        # Always as many rows as there ever were: with another number the key-value cache would start anew.
        self._rows = max(self._rows, len(envs))
        if len(envs) < self._rows:
            filler = np.zeros_like(observations, shape=(self._rows - len(envs), observations.shape[1]))
            filler[:] = self.env_kwargs["tokenizer"].pad_id
            filler[:, 0] = observations[0, 0]
            choices = slice(self.env_kwargs["window"], None)  # something to choose from, or there is nothing to draw
            filler[:, choices] = observations[0, choices]
            observations = np.concatenate([observations, filler])
        keywords: dict[str, Any] = {}
        if self._masked:
            masks = np.ones((len(observations), len(envs[0].action_masks())), dtype=bool)
            for row, env in enumerate(envs):
                masks[row] = env.action_masks()
            keywords["action_masks"] = masks
        steps = getattr(self.policy, "steps", None)  # by which exploration decays: playing is not training
        before = None if steps is None else steps.clone()
        # model.policy, not model: what DQN's own predict adds is exploration that knows no absent choices
        actions, _ = self.policy.predict(observations, deterministic=self.deterministic, **keywords)
        if steps is not None:
            steps.copy_(before)
        return list(actions[: len(envs)])
