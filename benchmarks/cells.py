"""One cell: train or make the contestant, let it play the test episodes, and tell everything about both."""

from __future__ import annotations

import datetime
import functools
import json
import operator
import time
import traceback
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

import agents
from agents.backbones.loading import model_path
from agents.callbacks import CurveCallback
from agents.evaluation import Evaluation
from agents.learners.table import keywords, learner_row
from agents.players import Player
from benchmarks import contestants, provenance
from benchmarks.contestants import Place
from benchmarks.provenance import digest_of
from benchmarks.suite import Cell
from benchmarks.watching import WatchedPlayer
from textenvs import recording, scores
from textenvs.tokens.spaces import TokenSpace, UtteranceSpace
from textenvs.tokens.tokenizer import load_tokenizer

FORMAT = 1
_POINTS = 40  # of a learning curve
_NUM_ENVS = 32  # played side by side in the evaluation
_REFERENCE_EPISODES = 200  # for an environment whose scores nobody has measured yet


def run_cell(cell: Cell) -> dict[str, Any]:
    """The result of a cell as JSON-able data; a cell that fails has ``status`` "failed" and its ``traceback``."""
    result: dict[str, Any] = {
        "format": FORMAT,
        "digest": cell.digest,
        "cell": asdict(cell),
        "status": "failed",
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    start = time.perf_counter()
    try:
        result["defaults"] = defaults(cell)
        result.update(_play(cell), status="done")
    except Exception:
        result["traceback"] = traceback.format_exc()
    result["seconds"] = round(time.perf_counter() - start, 3)
    return result


def failure(cell: Cell, reason: str) -> dict[str, Any]:
    """The result of a cell whose process is gone."""
    return {
        "format": FORMAT,
        "digest": cell.digest,
        "cell": asdict(cell),
        "status": "failed",
        "versions": provenance.versions(),
        "traceback": reason,
    }


def _play(cell: Cell) -> dict[str, Any]:
    for module in cell.imports:
        import_module(module)
    found: dict[str, Any] = {"reference": reference(cell.env_id, cell.level)}
    if cell.kind == "learner":
        model, found["training"] = _train(cell)
        ways: Mapping[str, Player] = contestants.both_ways(model, cell.name)
    else:
        ways = contestants.make_player(cell.name, Place(cell.env_id, cell.level, cell.seed, cell.env_kwargs))
    found["evaluations"] = {
        way: _evaluate(cell, player) for way, player in ways.items() if way == contestants.AS_PLAYED or way in cell.ways
    }
    return found


def defaults(cell: Cell) -> dict[str, Any]:
    """What a cell's result rests on that the cell does not tell: its learner's keywords where it gives none, as JSON
    has them, and a digest of the weights it starts from, where these lie in a file here.

    Raises:
        ValueError: no such learner.
    """
    found: dict[str, Any] = {}
    kind, _, model = cell.name.partition(":")
    if cell.kind == "learner":
        row = learner_row(cell.learner or cell.name)
        known = {**keywords(row.algorithm), **row.settings(cell.action_level)}
        plain = json.dumps(known, sort_keys=True, default=lambda each: getattr(each, "__qualname__", repr(each)))
        found["keywords"] = json.loads(plain)
    if backbone := cell.backbone or (model if kind == "model" else ""):
        path = Path(model_path(backbone))
        path = path / "model.safetensors" if path.is_dir() else path
        if path.is_file():
            found["weights"] = digest_of(path)
    return found


@cache
def reference(env_id: str, level: str) -> dict[str, float]:
    """Mean returns of random play and of the expert, by which scores are made.

    Raises:
        ValueError: the environment has no expert, or one that plays no better than random.
        KeyError: it is not registered here.
    """
    measured = scores.table().get(env_id, {}).get(level)
    if measured is None:
        try:
            measured = scores.measure(env_id, _REFERENCE_EPISODES)[level]
        except NotImplementedError as error:
            raise ValueError(f"{env_id} cannot be scored, as its expert scores 100: {error}") from error
    return ordered(env_id, level, {player: measured[player]["mean"] for player in ("random", "expert")})


def ordered(env_id: str, level: str, means: dict[str, float]) -> dict[str, float]:
    """The same mean returns, if they make a scale.

    Raises:
        ValueError: the expert is no better than random play.
    """
    if not means["expert"] > means["random"]:
        raise ValueError(
            f"{env_id}, {level}, cannot be scored: random play must lie below the expert, and its mean return is "
            f"{means['random']:g}, the expert's {means['expert']:g}; mend expert_action() or leave this level out"
        )
    return means


@cache
def instances(env_id: str, level: str, seed: int, episodes: int) -> tuple[int, ...]:
    """The episode seeds of the test episodes that ``seed`` stands for: those of ``agents.evaluate``."""
    import gymnasium

    env = gymnasium.make(env_id, level=level, split="test", as_text=True)
    words = np.random.SeedSequence(seed).generate_state(episodes, np.uint64)
    return tuple(env.reset(seed=int(word))[1]["episode_seed"] for word in words)


# --- training ---


def _train(cell: Cell) -> tuple[BaseAlgorithm, dict[str, Any]]:
    env_kwargs = {**cell.env_kwargs, "level": cell.level, "action_level": cell.action_level}
    model = agents.make(
        cell.learner or cell.name,
        cell.env_id,
        cell.backbone,
        seed=cell.seed,
        env_kwargs=env_kwargs,
        **dict(cell.settings),
    )
    curve = TokenCurve(max(1, cell.budget // _POINTS))
    start = time.perf_counter()
    model.learn(cell.budget, callback=curve)
    return model, {
        "seconds": round(time.perf_counter() - start, 3),
        "timesteps": model.num_timesteps,
        "tokens": curve.tokens,
        "parameters": sum(each.numel() for each in model.policy.parameters()),
        "curve": curve.rows(),
    }


class TokenCurve(CurveCallback):
    """The learning curve, with the tokens that were said so far; ``tokens`` counts them at every action level."""

    def __init__(self, every: int) -> None:
        super().__init__(every)
        self.tokens = 0
        self._tokens_at: list[int] = []

    def _on_step(self) -> bool:
        space = self.model.observation_space
        actions = self.locals.get("actions")
        if actions is not None and isinstance(space, TokenSpace):
            seen = self.locals.get("observations", self.model._last_obs)
            rows = self.locals.get("counted", slice(None))  # EpisodicAlgorithm plays rows that it does not learn from
            self.tokens += tokens_of(np.asarray(actions)[rows], np.asarray(seen)[rows], space, self.model.action_space)
        return super()._on_step()

    def _on_rollout_end(self) -> None:
        super()._on_rollout_end()
        self._tokens_at += [self.tokens] * (len(self.points) - len(self._tokens_at))

    def rows(self) -> list[dict[str, Any]]:
        """The points; episodes are counted from the start."""
        episodes = np.cumsum([point.episodes for point in self.points]).tolist()
        return [
            {
                "tokens": tokens,
                "timesteps": point.timesteps,
                "episodes": played,
                "seconds": round(point.seconds, 3),
                "return": point.mean_return,
                "success": point.success,
            }
            for tokens, played, point in zip(self._tokens_at, episodes, self.points, strict=True)
        ]


def tokens_of(actions: np.ndarray, seen: np.ndarray, space: TokenSpace, action_space: Any) -> int:
    """How many tokens a row of actions says, ends included.

    Args:
        actions: ``(rows,)``, or ``(rows, max_utterance_tokens)`` at turn level.
        seen: ``(rows, observation size)``, what they answer.
        space: of the observations.
        action_space: of the actions.
    """
    if isinstance(action_space, UtteranceSpace):
        silent = np.cumsum(np.isin(actions, (space.end_id, space.pad_id)), axis=1) > 0
        return int((~silent).sum() + silent.any(axis=1).sum())
    if not space.max_choices:
        return len(actions)
    chosen = space.choices(seen)[np.arange(len(actions)), actions.reshape(-1)]  # (rows, tokens)
    return int((chosen != space.pad_id).sum()) + len(actions)


# --- evaluation ---


def _evaluate(cell: Cell, player: Player) -> dict[str, Any]:
    watched = WatchedPlayer(player, cell.keep)
    own = {"constrain": True} if cell.env_kwargs.get("constrain") and player.action_level == "token" else {}
    before = contestants.usage(player)
    played = agents.evaluate(
        watched,
        cell.env_id,
        cell.episodes,
        level=cell.level,
        seed=cell.instances_seed,
        num_envs=_NUM_ENVS,
        keep=cell.episodes,
        **own,
    )
    used = {name: count - before.get(name, 0) for name, count in contestants.usage(player).items()}
    recordings = _recordings(cell, player.name, played)
    return {
        "episodes": [compact(each) for each in recordings],
        "summary": summary(recordings),
        "transcripts": [
            {**asdict(each), "thoughts": watched.thoughts(episode)}
            for episode, each in enumerate(recordings[: cell.keep])
        ],
        "tokens": {"said": _tokens_said(watched, recordings), **used},
        "seconds": round(played.seconds, 3),
    }


def _recordings(cell: Cell, name: str, played: Evaluation) -> list[recording.Recording]:
    """The episodes, played again from what was said: so a file is never written that does not replay.

    Raises:
        RuntimeError: an episode came out otherwise the second time.
    """
    found = []
    for episode, transcript in enumerate(played.transcripts):
        said = [text for role, text in transcript if role == "agent"]
        seed = int(played.episode_seeds[episode])
        again = recording.replay(cell.env_id, name, seed, said, level=cell.level, split="test")
        heard = [text for role, text in transcript if role == "env"]
        earned = functools.reduce(operator.add, again.rewards)  # as evaluations do: Python 3.12's ``sum`` is more exact
        if heard != _heard(again) or earned != played.returns[episode]:
            raise RuntimeError(f"{cell.env_id} plays otherwise the second time, in episode {episode} (seed {seed})")
        found.append(again)
    return found


def compact(episode: recording.Recording) -> dict[str, Any]:
    """What is kept of every episode: what replays it, and what a replay has to give."""
    return {
        "seed": episode.episode_seed,
        "said": episode.utterances,
        "rewards": episode.rewards,
        "success": episode.success,
        "end": "terminated" if episode.terminated else "truncated",
        "heard": zlib.crc32("\n".join(_heard(episode)).encode("utf-8", "surrogatepass")),
    }


def summary(episodes: Sequence[recording.Recording]) -> dict[str, float | None]:
    """Mean return, success rate (or ``None``) and mean number of turns."""
    won = [each.success for each in episodes]
    return {
        "return": float(np.mean([sum(each.rewards) for each in episodes])),
        "success": None if None in won else float(np.mean(won)),  # type: ignore[arg-type]
        "turns": float(np.mean([len(each.rewards) for each in episodes])),
    }


def _heard(episode: recording.Recording) -> list[str]:
    return [message["content"] for message in episode.messages if message["role"] == "user"]


def _tokens_said(player: WatchedPlayer, episodes: Sequence[recording.Recording]) -> int:
    tokenizer = player.env_kwargs.get("tokenizer") or load_tokenizer()
    texts = [said for each in episodes for said in each.utterances]
    return sum(len(ids) + 1 for ids in load_tokenizer(tokenizer).encode_batch(texts))
