"""The one list of learners, and ``make``, which puts a learner, an environment and a model together."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from agents.memory import PackedRolloutBuffer, TokenReplayBuffer
from agents.policies import TokenActorCriticPolicy, TokenQPolicy
from agents.vec_env import make_vec_env


@dataclass(frozen=True)
class Learner:
    """One row of the table.

    Attributes:
        algorithm: the Stable-Baselines3 class.
        policy: its policy class.
        levels: action levels that it can play, the default first.
        defaults: its keywords where the user gives none.
    """

    algorithm: type[BaseAlgorithm]
    policy: type[Any]
    levels: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)


_ON_POLICY = {"rollout_buffer_class": PackedRolloutBuffer, "gamma": 1.0, "gae_lambda": 0.95}
_OFF_POLICY = {"replay_buffer_class": TokenReplayBuffer, "exploration_initial_eps": 0.0, "exploration_final_eps": 0.0}

LEARNERS: dict[str, Learner] = {
    "a2c": Learner(
        A2C,
        TokenActorCriticPolicy,
        ("token", "turn", "choice"),
        {**_ON_POLICY, "n_steps": 32, "learning_rate": 3e-4, "use_rms_prop": False, "vf_coef": 0.5},
    ),
    "dqn": Learner(
        DQN,
        TokenQPolicy,
        ("choice", "token"),
        {
            **_OFF_POLICY,
            "gamma": 0.99,
            "learning_rate": 5e-4,
            "buffer_size": 20_000,
            "learning_starts": 500,
            "batch_size": 64,
            "train_freq": 4,
            "gradient_steps": 4,
            "target_update_interval": 1000,
        },
    ),
    "ppo": Learner(
        PPO,
        TokenActorCriticPolicy,
        ("token", "turn", "choice"),
        {**_ON_POLICY, "n_steps": 128, "batch_size": 1024, "n_epochs": 2, "learning_rate": 3e-4, "vf_coef": 0.5},
    ),
}


def make(
    learner: str,
    env_id: str,
    backbone: Any = "tiny",
    num_envs: int = 16,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    **overrides: Any,
) -> BaseAlgorithm:
    """A learner on an environment with a model, ready for ``.learn(total_timesteps)``.

    Args:
        learner: a name of ``LEARNERS``: ``"ppo"``, ``"a2c"``, ``"dqn"``.
        env_id: a registered environment id.
        backbone: what ``agents.load_backbone`` takes; a model other than ``"tiny"`` brings its own tokenizer.
        num_envs: environments played side by side.
        seed: seeds the environments, the buffers and the learner.
        env_kwargs: keywords of ``gym.make``; ``action_level`` defaults to the learner's first level.
        overrides: keywords of the Stable-Baselines3 class, in place of the defaults of the table.

    Raises:
        ValueError: unknown learner, or an action level that it cannot play.
        TypeError: unknown keyword; the message suggests the right one.
    """
    if learner not in LEARNERS:
        close = difflib.get_close_matches(learner, LEARNERS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"learner must be one of {sorted(LEARNERS)}, not {learner!r}{hint}")
    row = LEARNERS[learner]
    known = set(inspect.signature(row.algorithm.__init__).parameters) - {"self", "policy", "env"}
    for name in overrides:
        if name not in known:
            close = difflib.get_close_matches(name, known | {"env_kwargs", "num_envs", "backbone"}, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{learner} takes no keyword {name!r}{hint}")
    env_kwargs = {"action_level": row.levels[0], **(env_kwargs or {})}
    if env_kwargs["action_level"] not in row.levels:
        raise ValueError(f"{learner} plays the levels {row.levels}, not {env_kwargs['action_level']!r}")
    tokenizer = {"tokenizer": tokenizer_of(backbone)} if backbone != "tiny" and "tokenizer" not in env_kwargs else {}
    settings = {**row.defaults, **overrides}
    if "rollout_buffer_class" in settings and settings["rollout_buffer_class"] is PackedRolloutBuffer:
        settings["rollout_buffer_kwargs"] = {"seed": seed, **(settings.get("rollout_buffer_kwargs") or {})}
    if settings.get("replay_buffer_class") is TokenReplayBuffer:
        own = {"seed": seed, "gamma": settings["gamma"]}
        settings["replay_buffer_kwargs"] = {**own, **(settings.get("replay_buffer_kwargs") or {})}
    settings["policy_kwargs"] = {"backbone": backbone, **(settings.get("policy_kwargs") or {})}
    envs = make_vec_env(env_id, num_envs=num_envs, seed=seed, **env_kwargs, **tokenizer)
    model = row.algorithm(row.policy, envs, seed=seed, **settings)
    # What agents.save writes and agents.load makes the same learner from.
    model.recipe = {  # type: ignore[attr-defined]
        "learner": learner,
        "env_id": env_id,
        "backbone": backbone,
        "num_envs": num_envs,
        "seed": seed,
        "env_kwargs": env_kwargs,
        "overrides": overrides,
    }
    return model


def tokenizer_of(backbone: Any) -> Any:
    """The tokenizer that belongs to a model given by name, path or GGUF file."""
    from pathlib import Path

    from transformers import AutoTokenizer

    if not isinstance(backbone, str | Path):
        raise ValueError("a model object brings no tokenizer: give env_kwargs={'tokenizer': ...}")
    path = Path(backbone)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise FileNotFoundError(f"no model file {str(backbone)!r}")
        return AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    try:
        return AutoTokenizer.from_pretrained(str(backbone))
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no model {str(backbone)!r} with a tokenizer: give 'tiny' (shipped), an existing folder or .gguf file, "
            "or the name of a Hugging Face model that is cached or can be downloaded"
        ) from error
