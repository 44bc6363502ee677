"""Save, load and export: one file that continues exactly, and a plain Hugging Face folder."""

from __future__ import annotations

import copy
import json
import os
import random
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.backbones import TINY
from agents.backbones.loading import quietly
from agents.backbones.tokenizers import shipped_tokenizer
from agents.learners.table import remake, tokenizer_of
from agents.memory import PackedReplayBuffer

_FORMAT = 1
_REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts", "discounts")


def save(model: BaseAlgorithm, path: str | os.PathLike[str]) -> Path:
    """Write a learner made by ``agents.make`` to one file.

    The file holds weights, optimizer, counters, random states, every environment's state and the replay buffer, and
    takes the place of an older one in one step: an interrupted write leaves the older one whole. Between rollouts, as
    callbacks' ``on_rollout_start`` and after ``learn``, continuing it gives what an uninterrupted run gives.

    Raises:
        ValueError: the learner was not made by ``agents.make``, or its settings cannot be written as JSON.
    """
    recipe = getattr(model, "recipe", None)
    if recipe is None:
        raise ValueError("agents.save needs a learner made by agents.make; others are saved by their own model.save")
    try:
        recipe_text = json.dumps(recipe, default=os.fspath)
    except TypeError as error:
        names = ", ".join(_objects(recipe))
        raise ValueError(
            f"this learner's settings hold an object that cannot be written to a file ({names}: {error}): give models "
            "and tokenizers by name or path, and numbers for functions"
        ) from error
    envs = model.get_env()
    assert envs is not None
    state: dict[str, Any] = {
        "format": _FORMAT,
        "recipe": recipe_text,
        "defaults": json.dumps(model.defaults),  # type: ignore[attr-defined]
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "counters": json.dumps(_counters(model)),
        "episodes": json.dumps([dict(episode) for episode in model.ep_info_buffer or ()]),
        "random": _random_state(model),
        "environments": json.dumps(envs.env_method("snapshot")),
        "returns": torch.as_tensor(envs.returns),  # type: ignore[attr-defined]
    }
    if model._last_obs is not None:
        state["last_obs"] = torch.as_tensor(model._last_obs)
        state["last_episode_starts"] = torch.as_tensor(model._last_episode_starts)
    if isinstance(model, OffPolicyAlgorithm):
        state["replay"] = _replay_state(model.replay_buffer)
    return _write(state, Path(path))


def _objects(settings: dict[str, Any]) -> Iterator[str]:
    """The names of what is neither a path nor plain data."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _objects(value)
            continue
        try:
            json.dumps(value, default=os.fspath)
        except TypeError:
            yield name


def load(path: str | os.PathLike[str], device: str | torch.device | None = None) -> BaseAlgorithm:
    """Read a learner written by ``save``; ``learn(..., reset_num_timesteps=False)`` continues it.

    Only tensors and JSON are read (``weights_only=True``): a stranger's file runs no code.

    Args:
        path: the file.
        device: where it is to compute from now on, such as ``"cpu"``; ``None`` for what it was made with, by default a
            GPU where there is one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not one of ``agents.save``, or was made by a newer version; no such device.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no saved learner at {path}: give the file that agents.save or agents train wrote")
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        found = state["format"]
    except Exception as error:
        raise ValueError(f"{path} is not a learner saved by agents.save: {error}") from error
    if found != _FORMAT:
        raise ValueError(f"{path} has format {found}, this version reads format {_FORMAT}: update textenvs")
    recipe = json.loads(state["recipe"])
    recipe["defaults"] = json.loads(state.get("defaults", "{}"))  # which may be others by now
    if device is not None:
        recipe["overrides"] = {**recipe["overrides"], "device": device}
    model = remake(**{"dataset": None, "reward_scale": 1.0, **recipe})
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(state["optimizer"])
    for name, value in json.loads(state["counters"]).items():
        setattr(model, name, value)
    model.ep_info_buffer = deque(json.loads(state["episodes"]), maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    envs = model.get_env()
    assert envs is not None
    if "last_obs" in state:
        for row, snapshot in zip(envs.envs.rows, json.loads(state["environments"]), strict=True):  # type: ignore[attr-defined]
            row.restore(snapshot)
        envs.returns[:] = state["returns"].numpy()  # type: ignore[attr-defined]
        model._last_obs = state["last_obs"].numpy()
        model._last_episode_starts = state["last_episode_starts"].numpy()
    if "replay" in state:
        _restore_replay(model.replay_buffer, state["replay"])  # type: ignore[attr-defined]
    _restore_random_state(model, state["random"])
    return model


def export(model: BaseAlgorithm, folder: str | os.PathLike[str]) -> Path:
    """Write the language model and its tokenizer as a plain Hugging Face folder; LoRA adapters are merged in.

    ``agents.load_backbone(folder)`` reads it, and so does the class of ``transformers`` that the backbone's
    ``auto_class`` names, for a GRU after ``import agents.backbones``. Heads for values and choices stay behind.

    Raises:
        ValueError: the model was ``frozen`` and what it learned of speaking has no place in such a folder.
    """
    folder = Path(folder)
    policy: Any = model.policy
    reader = policy.reader if hasattr(policy, "reader") else policy.q_net.reader
    write_folder(reader.speaking.model, _tokenizer(model), folder)
    return folder


def write_folder(language_model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model and a tokenizer of ``transformers``, LoRA adapters merged in."""
    if any("lora_" in name for name, _ in language_model.named_parameters()):
        language_model = _merged(language_model)
    with quietly():
        language_model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _tokenizer(model: BaseAlgorithm) -> Any:
    """The environment's tokenizer as one of ``transformers``."""
    from transformers import AutoTokenizer

    recipe = model.recipe  # type: ignore[attr-defined]
    backbone = recipe["backbone"]
    name = recipe["env_kwargs"].get("tokenizer") or ("textenvs" if backbone == TINY else tokenizer_of(backbone))
    if name == "textenvs":
        return shipped_tokenizer()
    return AutoTokenizer.from_pretrained(name) if isinstance(name, str) else name


def _merged(language_model: Any) -> Any:
    """A copy of a model with LoRA layers in which each is a plain layer with the adapter's change added."""
    merged = copy.deepcopy(language_model)
    for name, module in list(merged.named_modules()):
        if hasattr(module, "merge") and hasattr(module, "get_base_layer"):
            module.merge()
            parent = merged.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], module.get_base_layer())
    return merged


def _counters(model: BaseAlgorithm) -> dict[str, Any]:
    names = ("num_timesteps", "_total_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining")
    counters = {name: getattr(model, name) for name in names if hasattr(model, name)}
    # DQN, DQN, REINFORCE, ILQL, learners from recorded episodes
    for name in ("_n_calls", "exploration_rate", "running_mean", "utterances", "to_come"):
        if hasattr(model, name):
            counters[name] = getattr(model, name)
    return counters


def _buffer(model: BaseAlgorithm) -> Any:
    return getattr(model, "rollout_buffer", None) or getattr(model, "replay_buffer", None)


def _random_state(model: BaseAlgorithm) -> dict[str, Any]:
    kind, keys, position, has_gauss, cached = np.random.get_state()
    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": json.dumps([kind, np.asarray(keys).tolist(), position, has_gauss, cached]),
        "python": json.dumps([version, list(internal), gauss]),
    }
    if model.device.type != "cpu":  # which draws from a generator of its own
        state[model.device.type] = torch.get_device_module(model.device).get_rng_state()
    buffer = _buffer(model)
    if hasattr(buffer, "rng"):
        state["buffer"] = json.dumps(buffer.rng.bit_generator.state)
    if hasattr(buffer, "clock"):
        state["clock"] = torch.as_tensor(buffer.clock.spoken)
    return state


def _restore_random_state(model: BaseAlgorithm, state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    np.random.set_state(tuple(json.loads(state["numpy"])))
    version, internal, gauss = json.loads(state["python"])
    random.setstate((version, tuple(internal), gauss))
    if model.device.type in state:
        torch.get_device_module(model.device).set_rng_state(state[model.device.type])
    buffer = _buffer(model)
    if "buffer" in state:
        buffer.rng.bit_generator.state = json.loads(state["buffer"])
    if "clock" in state:
        buffer.clock.spoken[:] = state["clock"].numpy()


def _replay_state(buffer: Any) -> dict[str, Any]:
    if isinstance(buffer, PackedReplayBuffer):
        return buffer.state()
    filled = buffer.buffer_size if buffer.full else buffer.pos
    # clone: torch.save would write the whole array behind a slice
    arrays = {
        name: torch.as_tensor(getattr(buffer, name)[:filled]).clone() for name in _REPLAY if hasattr(buffer, name)
    }
    return {"pos": buffer.pos, "full": buffer.full, "done": torch.as_tensor(buffer.done), **arrays}


def _restore_replay(buffer: Any, state: dict[str, Any]) -> None:
    if isinstance(buffer, PackedReplayBuffer):
        buffer.restore(state)
        return
    buffer.pos, buffer.full = state["pos"], state["full"]
    buffer.done[:] = state["done"].numpy()
    for name in _REPLAY:
        if name in state:
            getattr(buffer, name)[: len(state[name])] = state[name].numpy()


def _write(state: dict[str, Any], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
