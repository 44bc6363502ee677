"""Learning from recorded episodes: reading and proving them, saying them again, filling a replay buffer with them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import cycle
from typing import Any

import gymnasium as gym
import numpy as np

from agents.vec_env import TextVecEnv
from textenvs.env import FORM_KEYWORDS, TextEnv
from textenvs.recording import Recording, UnsayableError, difference, read


class Recorded:
    """The episodes of a file of ``textenvs record``, or of a Minari dataset, as a learner's environments play them.

    Nothing is read before ``episodes`` is asked for. Each episode is then played again in an environment like the
    learner's, and has to come out as it was recorded.

    Args:
        dataset: path of the file, or the id of the Minari dataset.
        env_id: the learner's environment.
        env_kwargs: keywords of its ``gym.make``, action level and tokenizer included.
    """

    def __init__(self, dataset: str, env_id: str, env_kwargs: Mapping[str, Any]) -> None:
        self.dataset, self.env_id, self.env_kwargs = dataset, env_id, dict(env_kwargs)

    @cached_property
    def episodes(self) -> list[Recording]:
        """All of them, in their order; those with an utterance that is not among the choices are left out with a
        warning that counts them (at choice level, and at token level with ``constrain=True``).

        Raises:
            FileNotFoundError: there is no such file or dataset.
            ValueError: there is no episode to learn from, or one is of another environment, was recorded with other
                keywords, does not come out again, or has an utterance that is too long; the message says how to mend
                it.
        """
        env: Any = gym.make(self.env_id, **self.env_kwargs).unwrapped
        found, unsayable = list(read(self.dataset)), []
        if not found:
            raise ValueError(f"{self.dataset} holds no episodes: `textenvs record {self.env_id}` records some")
        for number, each in enumerate(found, 1):
            self._require_same_game(number, each, env)
        self._require_room(found, env)
        kept = []
        for number, each in enumerate(found, 1):
            try:
                wrong = difference(each, env)
            except UnsayableError as error:
                unsayable.append(f"in episode {number} {error}")
                continue
            if wrong is not None:
                self._refuse(number, each, wrong)
            if each.rewards:
                kept.append(each)
        if unsayable:
            text = f"{self.dataset}: {len(unsayable)} of {len(found)} episodes are left out: {unsayable[0]}"
            if not kept:
                raise ValueError(f"{text}; learn from them at another action level, without constrain=True")
            warnings.warn(text, stacklevel=2)
        if not kept:
            raise ValueError(f"{self.dataset} holds no episode in which anything was said")
        return kept

    def steps(self, episodes: Sequence[Recording]) -> list[int]:
        """How many actions each of ``episodes`` has in the learner's environments."""
        if self.env_kwargs["action_level"] != "token":
            return [len(each.rewards) for each in episodes]
        env: Any = gym.make(self.env_id, **self.env_kwargs).unwrapped
        limit = env.max_utterance_tokens  # an utterance that is as long has no end token
        return [sum(min(n + 1, limit) for n in _lengths(each, env)) for each in episodes]

    def _require_room(self, found: Sequence[Recording], env: TextEnv) -> None:
        """Utterances that have to be written must not be cut; those that are chosen have their places anyway."""
        if env.action_level == "choice":
            return
        lengths = [max(_lengths(each, env), default=0) for each in found]
        longest = max(lengths)
        if longest > env.max_utterance_tokens:
            raise ValueError(
                f"{self.dataset}, episode {lengths.index(longest) + 1}: an utterance has {longest} tokens, more than "
                f"max_utterance_tokens={env.max_utterance_tokens}: give env_kwargs={{'max_utterance_tokens': "
                f"{longest}}} (--env max_utterance_tokens={longest}), and a window with room for it"
            )

    def _require_same_game(self, number: int, recording: Recording, env: TextEnv) -> None:
        where = f"{self.dataset}, episode {number}"
        if recording.env != self.env_id:
            raise ValueError(f"{where} is of {recording.env}, the learner plays {self.env_id}: give one of its own")
        own, its = _knobs(self.env_kwargs), _knobs(recording.kwargs)
        for name in sorted({*own, *its}):
            if own.get(name) != its.get(name):
                told = f"{name}={its[name]!r}" if name in its else f"no {name}"
                has = f"{name}={own[name]!r}" if name in own else f"no {name}"
                mend = f"leave {name} out"
                if name in its:
                    mend = f"give env_kwargs={{{name!r}: {its[name]!r}}} (--env {name}={its[name]})"
                raise ValueError(f"{where} was recorded with {told}, the learner has {has}: {mend}")
        env.reset(options={"episode_seed": recording.episode_seed})
        if not env.in_split():
            raise ValueError(
                f"{where} is an instance outside split={env.split!r}: leave it out (textenvs record --split "
                f"{env.split}), or give env_kwargs={{'split': 'all'}} (--env split=all)"
            )

    def _refuse(self, number: int, recording: Recording, wrong: str) -> None:
        """Say what came out otherwise, and why."""
        where = f"{self.dataset}, episode {number}"
        if difference(recording) is None:
            raise ValueError(
                f"{where} comes out again in text, but not through this tokenizer, which changes what is said: "
                f"{wrong}; give another tokenizer"
            )
        raise ValueError(
            f"{where} does not come out again: {wrong}; it was recorded with another version, or changed "
            f"(`textenvs replay {self.dataset}` lists what differs)"
        )


class Reciter:
    """Says in each row what was said in a recorded episode.

    Args:
        rows: how many rows there are.
    """

    def __init__(self, rows: int) -> None:
        self._coming: list[list[str]] = [[] for _ in range(rows)]  # in each row, the last one first
        self._saying: list[str | None] = [None] * rows

    def begin(self, row: int, recording: Recording) -> None:
        """``row`` is at the start of a recorded episode."""
        self._coming[row] = recording.utterances[::-1]

    def actions(self, rows: Sequence[TextEnv]) -> np.ndarray:
        """An action for each row, in their own action space; one that has nothing to say gets any."""
        actions = []
        for index, row in enumerate(rows):
            if not row.writing:
                self._saying[index] = self._coming[index].pop() if self._coming[index] else None
            said = self._saying[index]
            actions.append(0 if said is None and row.action_level == "choice" else row.encode(said or ""))
        return np.array(actions)

    def silent(self, rows: Sequence[TextEnv]) -> np.ndarray:
        """Which rows have said all, ``(rows,)`` bool: there a recording ends, whether the episode does or not."""
        return np.array([not coming and not row.writing for coming, row in zip(self._coming, rows, strict=True)])


def fill(buffer: Any, envs: TextVecEnv, episodes: Sequence[Recording]) -> None:
    """Put the steps of ``episodes`` into a replay buffer with as many rows as ``envs``.

    With one row they are there once, in their order. With more, rows that are done begin again at the first episode
    until the last row is, for a step of the buffer has all rows. A recording that breaks off counts as truncated.
    """
    count, masked = envs.num_envs, getattr(buffer, "masks", None) is not None
    reciter, waiting, again = Reciter(count), list(episodes[::-1]), cycle(episodes)
    first_time = np.zeros(count, dtype=bool)
    observations = np.zeros((count, *envs.observation_space.shape), np.int32)  # type: ignore[misc]
    fresh = list(range(count))
    while True:
        for row in fresh:
            first_time[row] = bool(waiting)
            episode = waiting.pop() if waiting else next(again)
            observations[row], _ = envs.restart(row, episode.episode_seed)
            reciter.begin(row, episode)
        if not first_time.any():
            break
        if masked:
            envs.action_masks()  # which the next step keeps as those before it
        actions = reciter.actions(envs.envs.rows)
        after, rewards, dones, infos = envs.step(actions)
        after, next_observations = np.array(after), np.array(after)
        broken_off = reciter.silent(envs.envs.rows) & ~dones
        for row in np.flatnonzero(dones).tolist():
            next_observations[row] = infos[row]["terminal_observation"]
        for row in np.flatnonzero(broken_off).tolist():
            infos[row]["TimeLimit.truncated"] = True
            if masked:
                infos[row]["terminal_mask"] = envs.action_masks()[row]
        buffer.add(observations, next_observations, actions, rewards, dones | broken_off, infos)
        observations = after
        fresh = np.flatnonzero(dones | broken_off).tolist()
    buffer.done[:] = True  # what rows were repeating is broken off


def _lengths(recording: Recording, env: TextEnv) -> list[int]:
    return [len(ids) for ids in env.tokenizer.encode_batch(recording.utterances)]


def _knobs(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords that make an episode of its seed, as JSON knows them."""
    own = {name: value for name, value in kwargs.items() if name not in (*FORM_KEYWORDS, "split")}
    given = {"level": "medium", **own}
    return json.loads(json.dumps(given, default=str))
