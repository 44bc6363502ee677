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
    """Plays what the model's policy says, also with a shorter window or other numbers of choices than in training.

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
        space: Any = envs[0].observation_space
        own = self.policy.observation_space
        if space != own:
            observations = self._as_trained(observations, space)
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
        try:
            self.policy.observation_space = _with_choices(own, space.max_choices)
            # model.policy, not model: what DQN's own predict adds is exploration that knows no absent choices
            actions, _ = self.policy.predict(observations, deterministic=self.deterministic, **keywords)
        finally:
            self.policy.observation_space = own
        if steps is not None:
            steps.copy_(before)
        return list(actions[: len(envs)])

    def _as_trained(self, observations: np.ndarray, space: TokenSpace) -> np.ndarray:
        """Observations of another ``space`` as the policy reads them: a shorter window or shorter candidates have
        padding behind them, and there may be any number of candidates.

        Raises:
            ValueError: they are longer than those that the policy was trained with.
        """
        own = self.policy.observation_space
        for name in ("window", "max_utterance_tokens") if space.max_choices else ("window",):
            trained, found = getattr(own, name), getattr(space, name)
            if found > trained:
                raise ValueError(
                    f"the policy was trained with {name}={trained} and this environment has {name}={found}: make it "
                    f"with {name}={trained} or less (of agents eval and watch: --env {name}={trained})"
                )
        context = _padded(space.context(observations), own.window, own.pad_id)
        if not space.max_choices:
            return context
        choices = _padded(space.choices(observations), own.max_utterance_tokens, own.pad_id)
        return np.concatenate([context, choices.reshape(len(observations), -1)], axis=1)


def _padded(ids: np.ndarray, width: int, pad_id: int) -> np.ndarray:
    """``ids`` ``(..., tokens)`` with padding behind them, ``(..., width)``."""
    return np.pad(ids, [*[(0, 0)] * (ids.ndim - 1), (0, width - ids.shape[-1])], constant_values=pad_id)


def _with_choices(space: TokenSpace, max_choices: int) -> TokenSpace:
    """The space with another number of candidates."""
    if max_choices == space.max_choices:
        return space
    same = ("window", "vocab_size", "pad_id", "end_id", "special_ids", "max_utterance_tokens")
    return TokenSpace(**{name: getattr(space, name) for name in same}, max_choices=max_choices)
