"""The one list of learners, and ``make``, which puts a learner, an environment and a model together."""

from __future__ import annotations

import copy
import difflib
import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
from sb3_contrib import QRDQN, MaskablePPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.backbones import from_scratch
from agents.backbones.loading import find_device
from agents.backbones.tokenizers import read_tokenizer
from agents.learners.actor_critic import AC
from agents.learners.ddqn import DDQN
from agents.learners.dpo import DPO
from agents.learners.episodic import EpisodicAlgorithm
from agents.learners.group import GRPO, RLOO
from agents.learners.ilql import ILQL
from agents.learners.imitation import BC, ExpertIteration, FilteredBC
from agents.learners.ranges import require_positive
from agents.learners.recorded import Recorded, fill
from agents.learners.reinforce import REINFORCE
from agents.learners.sac_discrete import SACDiscrete
from agents.learners.trust_region import TRPO
from agents.learners.warm_up import PolicySpace
from agents.memory import PackedMaskableRolloutBuffer, PackedReplayBuffer, PackedRolloutBuffer
from agents.policies import (
    TokenActorCriticPolicy,
    TokenMaskablePolicy,
    TokenQPolicy,
    TokenQuantilePolicy,
    TokenTrustRegionPolicy,
)
from agents.policies.implicit_q import TokenImplicitQPolicy
from agents.policies.masks import MaskedPolicy
from agents.policies.soft_actor_critic import TokenSACPolicy
from agents.vec_env import make_vec_env
from textenvs import scores
from textenvs.env import FORM_KEYWORDS


@dataclass(frozen=True)
class Learner:
    """One row of the table.

    Attributes:
        algorithm: the Stable-Baselines3 class.
        policy: its policy class.
        levels: action levels that it can play, the default first.
        when: when to use it, in a sentence or two.
        defaults: its keywords where the user gives none.
        at: action level -> what stands in place of some of ``defaults`` there.
        masked: whether it holds tokens to the admissible utterances (``constrain=True``) where a game lists them.
        recorded: whether it learns from recorded episodes (``dataset``), too.
    """

    algorithm: type[BaseAlgorithm]
    policy: type[Any]
    levels: tuple[str, ...]
    when: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    at: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    masked: bool = False
    recorded: bool = False

    def settings(self, action_level: str) -> dict[str, Any]:
        """Its keywords at an action level where the user gives none."""
        return {**self.defaults, **self.at.get(action_level, {})}


_ON_POLICY = {"rollout_buffer_class": PackedRolloutBuffer, "gamma": 1.0, "gae_lambda": 0.95}
# Eight steps of a sequence share a pass, which is what an update costs.
_SHARED: dict[str, Any] = {"replay_buffer_kwargs": {"per_sequence": 8}}
# Learning from replay, by the step of all environments.
_REPLAYED: dict[str, Any] = {"learning_rate": 1e-3, "learning_starts": 256, "train_freq": 4, "gradient_steps": 16}
# A token tells less than a turn, and costs less. The weights that rate it can speak, which larger steps unlearn before
# anything is known of returns; and so do targets that see little but their own values.
_REPLAYED_AT = {"learning_rate": 5e-5, "gradient_steps": 4}
_LONG = 32  # tokens whose rewards are summed before a target bootstraps
# Exploration is the policy's: that of DQN and QRDQN knows nothing of absent choices.
_VALUE: dict[str, Any] = {
    **_SHARED,
    **_REPLAYED,
    "exploration_initial_eps": 0.0,
    "exploration_final_eps": 0.0,
    "gamma": 0.99,
    "n_steps": 3,
    "buffer_size": 20_000,
    "batch_size": 64,
    "target_update_interval": 250,
}
_VALUE_AT = {"token": {**_REPLAYED_AT, "n_steps": _LONG, "target_update_interval": 1000}}
_PACKED = {"replay_buffer_class": PackedReplayBuffer}

_SPAN = 2.0  # of returns, at most
_NOT_KEYWORDS = ("self", "policy", "env")
_ACTING = ("token", "turn", "choice")
_DISCRETE = ("choice", "token")

_PPO = {**_ON_POLICY, "n_steps": 128, "batch_size": 1024, "n_epochs": 2, "learning_rate": 3e-4, "vf_coef": 0.5}

LEARNERS: dict[str, Learner] = {
    "a2c": Learner(
        A2C,
        TokenActorCriticPolicy,
        _ACTING,
        "The simplest stock actor-critic: one gradient step a rollout. Prefer ppo where steps are dear.",
        {**_ON_POLICY, "n_steps": 32, "learning_rate": 3e-4, "use_rms_prop": False, "vf_coef": 0.5},
    ),
    "ac": Learner(
        AC,
        TokenActorCriticPolicy,
        _ACTING,
        "The textbook's one-step actor-critic: targets with little variance and much bias.",
        # Values that bootstrap from themselves run away, and take the model that they share along.
        {
            "rollout_buffer_class": PackedRolloutBuffer,
            "n_steps": 32,
            "learning_rate": 1.5e-4,
            "ent_coef": 0.001,
            "vf_coef": 1.0,
            "target_tau": 0.01,
        },
    ),
    "bc": Learner(
        BC,
        TokenActorCriticPolicy,
        _ACTING,
        "When a game has an expert, or a model has to learn to speak before anything else. Often the best first step.",
        {"learning_rate": 1e-3, "batch_size": 256},
        recorded=True,
    ),
    "ddqn": Learner(
        DDQN,
        TokenQPolicy,
        _DISCRETE,
        "Q-learning with any mix of Rainbow's parts, to find out which of them help.",
        _VALUE,
        _VALUE_AT,
        recorded=True,
    ),
    "dpo": Learner(
        DPO,
        TokenActorCriticPolicy,
        _ACTING,
        "When episodes can be ranked but rewards not trusted in size: it learns from which of two episodes was better.",
        {"learning_rate": 1.5e-4, "n_starts": 4, "beta": 0.3},
        recorded=True,
    ),
    "dqn": Learner(
        DQN,
        TokenQPolicy,
        _DISCRETE,
        "The stock Q-learner, with replay: good at choice level, where episodes are dear and actions few.",
        {**_VALUE, **_PACKED},
        _VALUE_AT,
        recorded=True,
    ),
    "expert_iteration": Learner(
        ExpertIteration,
        TokenActorCriticPolicy,
        _ACTING,
        "When single episodes succeed by luck and no critic should be trained: it imitates its own best ones.",
        {"learning_rate": 5e-4, "batch_size": 256},
    ),
    "filtered_bc": Learner(
        FilteredBC,
        TokenActorCriticPolicy,
        _ACTING,
        "When demonstrations are of mixed quality: it imitates the best of them.",
        {"learning_rate": 1e-3, "batch_size": 256, "n_starts": 64},
        recorded=True,
    ),
    "grpo": Learner(
        GRPO,
        TokenActorCriticPolicy,
        _ACTING,
        "The usual choice for language models: no critic, groups of episodes from one start, clipped steps.",
        # One pass makes too few steps of the tokens that a round costs; division by a group's spread made it worse.
        {
            "learning_rate": 1.5e-4,
            "n_starts": 16,
            "group_size": 4,
            "n_epochs": 4,
            "clip_range": 0.1,
            "advantage": "mean",
        },
    ),
    "ilql": Learner(
        ILQL,
        TokenImplicitQPolicy,
        ("token", "choice"),
        "When there are transcripts and trying things is dear: offline Q-learning at token level.",
        {**_SHARED, "train_freq": 4},  # four times as many updates play no better, greedily
        {"choice": {"train_freq": 1}},
        recorded=True,
    ),
    "maskable_ppo": Learner(
        MaskablePPO,
        TokenMaskablePolicy,
        ("token", "choice"),
        "When a model does not speak the game's language yet: only admissible tokens are ever said.",
        {**_PPO, "rollout_buffer_class": PackedMaskableRolloutBuffer},
        masked=True,
    ),
    "ppo": Learner(
        PPO,
        TokenActorCriticPolicy,
        _ACTING,
        "The default for learning by doing with a model that speaks already.",
        _PPO,
    ),
    "qrdqn": Learner(
        QRDQN,
        TokenQuantilePolicy,
        _DISCRETE,
        "As dqn, where returns vary widely from episode to episode.",
        {**_VALUE, **_PACKED, "max_grad_norm": 10.0},
        _VALUE_AT,
        recorded=True,
    ),
    "reinforce": Learner(
        REINFORCE,
        TokenActorCriticPolicy,
        _ACTING,
        "The plain policy gradient on whole episodes: few options, unbiased, and strong where episodes are short.",
        {"learning_rate": 3e-4, "n_starts": 32},
    ),
    "rloo": Learner(
        RLOO,
        TokenActorCriticPolicy,
        _ACTING,
        "As grpo with one unclipped step a round: the simplest of the learners by groups.",
        {"learning_rate": 3e-4},
    ),
    "sac_discrete": Learner(
        SACDiscrete,
        TokenSACPolicy,
        _DISCRETE,
        "Off-policy with entropy: where exploration must not die out and replay is wanted.",
        {**_REPLAYED, "replay_buffer_kwargs": {**_SHARED["replay_buffer_kwargs"], "n_steps": 3}},
        {
            "token": {
                **_REPLAYED_AT,
                "replay_buffer_kwargs": {**_SHARED["replay_buffer_kwargs"], "n_steps": _LONG},
                "target_entropy": 0.03,
            }
        },
        recorded=True,
    ),
    "trpo": Learner(
        TRPO,
        TokenTrustRegionPolicy,
        _ACTING,
        "When single steps must not go wrong and their price, many passes over the rollout, does not matter.",
        # A step costs as much as a dozen gradient steps, most of it the conjugate gradient's.
        {
            **_ON_POLICY,
            "n_steps": 64,
            "batch_size": 1024,
            "learning_rate": 1e-3,
            "cg_max_steps": 6,
            "n_critic_updates": 4,
        },
    ),
}


def make(
    learner: str,
    env_id: str,
    backbone: Any = "tiny",
    num_envs: int = 16,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    dataset: str | os.PathLike[str] | None = None,
    reward_scale: float | None = None,
    **overrides: Any,
) -> BaseAlgorithm:
    """A learner on an environment with a model, ready for ``.learn(total_timesteps)``.

    Args:
        learner: a name of ``LEARNERS``, such as ``"ppo"``, ``"grpo"`` or ``"ddqn"``.
        env_id: a registered environment id.
        backbone: what ``agents.load_backbone`` takes; a model other than ``"tiny"`` brings its own tokenizer.
        num_envs: environments played side by side.
        seed: seeds the environments, the buffers and the learner.
        env_kwargs: keywords of ``gym.make``; ``action_level`` defaults to the learner's first level that the game has.
        dataset: episodes to learn from, a file of ``textenvs record`` or the id of a Minari dataset. ``bc``,
            ``filtered_bc``, ``dpo`` and ``ilql`` learn from them alone; ``dqn``, ``ddqn``, ``qrdqn`` and
            ``sac_discrete`` find them in their replay buffer when they begin to play.
        reward_scale: what the learner's rewards are multiplied by. ``None`` makes them smaller where random play and
            the expert lie more than 2 apart, by as much as brings them 2 apart: a model that also tells values
            unlearns to speak where these are in the hundreds. Returns in logs stay the game's own.
        overrides: keywords of the Stable-Baselines3 class, in place of the defaults of the table; those in
            ``replay_buffer_kwargs`` each in place of its own.

    Raises:
        ValueError: unknown learner or device, an action level that it cannot play, or a dataset that it cannot learn
            from.
        TypeError: unknown keyword; the message suggests the right one.
        FileNotFoundError: there is no such model or dataset.
    """
    if dataset is None:
        return remake(learner, env_id, backbone, num_envs, seed, env_kwargs, None, reward_scale, overrides)
    row = learner_row(learner)
    if not row.recorded:
        able = ", ".join(sorted(name for name, each in LEARNERS.items() if each.recorded))
        raise ValueError(f"{learner} learns from what it does itself: dataset goes with {able}")
    if "error" in overrides:
        raise ValueError("error is a teacher's, and with a dataset there is none: leave it out")
    env_kwargs = _fitting(learner, env_id, env_kwargs or {})
    recorded = Recorded(str(dataset), env_id, {**env_kwargs, **_tokenizer(backbone, env_kwargs)})
    episodes = recorded.episodes
    if issubclass(row.algorithm, OffPolicyAlgorithm):
        overrides = {"learning_starts": 0, **overrides}
        overrides["buffer_size"] = _room(row, env_kwargs["action_level"], recorded.steps(episodes), num_envs, overrides)
    dataset = recorded.dataset
    model: Any = remake(learner, env_id, backbone, num_envs, seed, env_kwargs, dataset, reward_scale, overrides)
    if isinstance(model, EpisodicAlgorithm):
        model.recorded = recorded
        model.lessons(episodes)  # which says so if there are none
    else:
        envs = model.get_env()
        if model.replay_buffer.n_envs != envs.num_envs:
            envs = make_vec_env(env_id, 1, seed, envs.reward_scale, **recorded.env_kwargs)
        if getattr(model.replay_buffer, "masks", None) is not None:
            model.replay_buffer.masks = envs
        fill(model.replay_buffer, envs, episodes)
    return model


def remake(
    learner: str,
    env_id: str,
    backbone: Any,
    num_envs: int,
    seed: int,
    env_kwargs: Mapping[str, Any] | None,
    dataset: str | None,
    reward_scale: float | None,
    overrides: Mapping[str, Any],
    defaults: Mapping[str, Any] | None = None,
) -> BaseAlgorithm:
    """What ``make`` makes, from its ``recipe``: the dataset is not read before it is learned from, and the replay
    buffer is empty. ``defaults`` are those that the recipe was written with, in place of today's."""
    row = learner_row(learner)
    known = keywords(row.algorithm)
    for name in overrides:
        if name not in known:
            close = difflib.get_close_matches(name, [*known, "env_kwargs", "num_envs", "backbone", "dataset"], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            hint = ", which it would make no use of" if name in getattr(row.algorithm, "unused", ()) else hint
            raise TypeError(f"{learner} takes no keyword {name!r}{hint}")
    if "device" in overrides:
        find_device(overrides["device"])
        overrides = {**overrides, "device": str(overrides["device"])}  # which a file can hold
    env_kwargs = _fitting(learner, env_id, env_kwargs or {})
    tokenizer = _tokenizer(backbone, env_kwargs)
    defaults = {**row.settings(env_kwargs["action_level"]), **(defaults or {})}
    settings = {**defaults, **overrides}
    if isinstance(settings.get("train_freq"), list):  # of a saved recipe
        settings["train_freq"] = tuple(settings["train_freq"])
    if isinstance(settings.get("train_freq"), tuple) and settings["train_freq"][1:] == ("episode",) and num_envs > 1:
        raise ValueError(f"train_freq={settings['train_freq']} needs num_envs=1, not {num_envs}")
    own_buffer = settings.get("rollout_buffer_class")
    if (own_buffer and issubclass(own_buffer, PackedRolloutBuffer)) or issubclass(row.algorithm, EpisodicAlgorithm):
        settings["rollout_buffer_kwargs"] = {"seed": seed, **(settings.get("rollout_buffer_kwargs") or {})}
    if issubclass(row.algorithm, OffPolicyAlgorithm):
        own = {"seed": seed, "gamma": settings.get("gamma", 0.99)}
        if row.algorithm in (DQN, QRDQN) and "n_steps" in settings:  # which they only hand on to a buffer of their own
            own["n_steps"] = settings.pop("n_steps")
        given = overrides.get("replay_buffer_kwargs") or {}
        own |= defaults.get("replay_buffer_kwargs", {})
        buffer = overrides.get("replay_buffer_class")
        if buffer is not None and not issubclass(buffer, PackedReplayBuffer):
            if row.algorithm not in (DQN, QRDQN) or env_kwargs.get("constrain"):
                who = f"{learner} with constrain=True" if env_kwargs.get("constrain") else learner
                raise ValueError(f"{who} needs a PackedReplayBuffer: leave replay_buffer_class={buffer.__name__} out")
            if overrides.get("n_steps", 1) != 1 and "n_steps" not in keywords(buffer):
                raise ValueError(f"{buffer.__name__} knows no n_steps: leave it out, or take PackedReplayBuffer")
            own = {name: value for name, value in own.items() if name in keywords(buffer)}  # of the defaults
        settings["replay_buffer_kwargs"] = {**own, **given}
    of_policy = {**defaults.get("policy_kwargs", {}), **(overrides.get("policy_kwargs") or {})}
    settings["policy_kwargs"] = {"backbone": backbone, **of_policy}
    scale = _reward_scale(env_id, env_kwargs.get("level", "medium")) if reward_scale is None else reward_scale
    require_positive(reward_scale=scale)
    envs = make_vec_env(env_id, num_envs, seed, scale, **env_kwargs, **tokenizer)
    if "rollout_buffer_class" in defaults and "batch_size" in defaults.keys() - overrides.keys():
        settings["batch_size"] = _even(settings["n_steps"] * num_envs, settings["batch_size"])
    model = row.algorithm(row.policy, envs, seed=seed, **settings)
    if isinstance(model, OffPolicyAlgorithm):
        model.action_space = PolicySpace(model.action_space, model)  # type: ignore[arg-type]
        if env_kwargs.get("constrain"):
            assert isinstance(model.policy, MaskedPolicy)
            model.policy.mask_source = model.replay_buffer.masks = envs  # type: ignore[union-attr]
    if dataset is not None and isinstance(model, EpisodicAlgorithm):
        model.recorded = Recorded(dataset, env_id, {**env_kwargs, **tokenizer})
    if dataset is not None and isinstance(model, ILQL):
        model.hear_only_recordings()
    for holder in (model, getattr(model, "rollout_buffer", None)):
        if getattr(holder, "needs_reference", False):
            holder.reference = copy.deepcopy(model.policy).requires_grad_(False)  # type: ignore[union-attr]
    reading = {"backbone", "kind", "lora", "dtype", "frozen"}
    resolved = {name: value for name, value in getattr(model.policy, "settings", {}).items() if name not in reading}
    # What agents.save writes and agents.load makes the same learner from.
    model.defaults = {  # type: ignore[attr-defined]
        **{name: value for name, value in defaults.items() if not isinstance(value, type)},
        "policy_kwargs": resolved,
    }
    model.recipe = {  # type: ignore[attr-defined]
        "learner": learner,
        "env_id": env_id,
        "backbone": backbone,
        "num_envs": num_envs,
        "seed": seed,
        "env_kwargs": env_kwargs,
        "dataset": dataset,
        "reward_scale": scale,
        "overrides": dict(overrides),
    }
    return model


def learner_row(learner: str) -> Learner:
    """The row of the table.

    Raises:
        ValueError: there is none; the message suggests the right name.
    """
    if learner not in LEARNERS:
        close = difflib.get_close_matches(learner, LEARNERS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"learner must be one of {sorted(LEARNERS)}, not {learner!r}{hint}")
    return LEARNERS[learner]


def _reward_scale(env_id: str, level: str) -> float:
    """What brings random play and the expert at most ``_SPAN`` apart; 1 for a game that nobody has measured."""
    measured = scores.table().get(env_id, {}).get(level)
    if measured is None:
        return 1.0
    return min(1.0, _SPAN / abs(measured["expert"]["mean"] - measured["random"]["mean"]))


def _tokenizer(backbone: Any, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword of environments that a model brings along."""
    return {} if backbone == "tiny" or "tokenizer" in env_kwargs else {"tokenizer": tokenizer_of(backbone)}


def _room(row: Learner, action_level: str, steps: Sequence[int], num_envs: int, overrides: Mapping[str, Any]) -> int:
    """The ``buffer_size`` in which recorded episodes of so many ``steps`` have room."""
    needed = sum(steps)
    if row.algorithm is not ILQL:  # rows end one after the other: see fill
        needed += num_envs * max(steps)
    given = overrides.get("buffer_size")
    if given is not None and given < needed:
        raise ValueError(f"buffer_size={given} is too small for the recorded episodes: give at least {needed}")
    default = row.settings(action_level).get("buffer_size", keywords(row.algorithm)["buffer_size"])
    return needed if row.algorithm is ILQL else max(needed, given or default)


def _even(rollout: int, batch: int) -> int:
    """The size of a batch of at most ``batch`` steps, by which a rollout goes into equal parts if few do it."""
    if rollout < 2:
        return batch  # the learner says that such a rollout is too short
    fewest = -(-rollout // batch)
    parts = next((parts for parts in range(fewest, 2 * fewest) if rollout % parts == 0), fewest)
    return -(-rollout // parts)


def _fitting(learner: str, env_id: str, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """``env_kwargs`` with the action level and the constraint that fit a learner and a game, if they are not given."""
    row, fitting = LEARNERS[learner], dict(env_kwargs)
    knobs = {name: value for name, value in env_kwargs.items() if name not in FORM_KEYWORDS}
    game = gym.make(env_id, as_text=True, **knobs).unwrapped.game  # type: ignore[attr-defined]
    if "action_level" not in fitting:
        fitting["action_level"] = next(level for level in row.levels if level != "choice" or game.max_choices)
    if fitting["action_level"] not in row.levels:
        raise ValueError(f"{learner} plays the levels {row.levels}, not {fitting['action_level']!r}")
    if fitting.get("constrain") and not issubclass(row.policy, MaskedPolicy):
        able = ", ".join(sorted(name for name, each in LEARNERS.items() if issubclass(each.policy, MaskedPolicy)))
        warnings.warn(f"{learner} says any token, with constrain=True, too: it binds only {able}", stacklevel=3)
    if row.masked and fitting["action_level"] == "token" and game.max_choices:
        fitting.setdefault("constrain", True)
    return fitting


def keywords(algorithm: type[BaseAlgorithm]) -> dict[str, Any]:
    """The keywords that a class takes, those that it hands on to its base classes included, with their defaults."""
    known: dict[str, Any] = {}
    for base in algorithm.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters  # type: ignore[misc]
            own = {name: each.default for name, each in parameters.items() if each.kind is not each.VAR_KEYWORD}
            known = {**own, **known}
            if len(own) == len(parameters):
                break
    hidden = (*_NOT_KEYWORDS, *getattr(algorithm, "unused", ()))
    return {name: default for name, default in known.items() if not name.startswith("_") and name not in hidden}


def tokenizer_of(backbone: Any) -> Any:
    """The tokenizer that belongs to a model given by name, path or GGUF file; the shipped one for a model from
    scratch."""
    from pathlib import Path

    from transformers import AutoTokenizer

    if from_scratch(backbone):
        return "textenvs"
    if not isinstance(backbone, str | Path):
        raise ValueError("a model object brings no tokenizer: give env_kwargs={'tokenizer': ...}")
    path = Path(backbone)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise FileNotFoundError(f"no model file {str(backbone)!r}")
        return AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)
    try:
        return read_tokenizer(str(backbone))
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"no model {str(backbone)!r} with a tokenizer: give 'tiny' (shipped), an existing folder or .gguf file, "
            "or the name of a Hugging Face model that is cached or can be downloaded"
        ) from error
