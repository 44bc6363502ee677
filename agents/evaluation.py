"""How well a player plays: episodes on fixed instances, means with 95% intervals, paired differences."""

from __future__ import annotations

import copy
import inspect
import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from rich.table import Table
from scipy import stats

import textenvs  # noqa: F401  (registers the ids)
from agents.players.base import Player
from textenvs.env import TextEnv
from textenvs.scores import score

METRICS = ("return", "success", "turns", "score")
_CONFIDENCE = 0.95
_RESAMPLES = 9999
_WIDTHS = {"return": 13, "success": 11, "turns": 11, "score": 9}  # of an interval, in characters


class Estimate(NamedTuple):
    """A mean and the ends of its 95% interval."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} [{self.low:{spec}},{self.high:{spec}}]"


@dataclass(frozen=True)
class Evaluation:
    """The episodes that one player played; all arrays are ``(episodes,)``.

    Attributes:
        name: the player's.
        env_id, level, split, seed: what was played; ``seed`` fixes the instances.
        episode_seeds: int64; ``env.reset(options={"episode_seed": n})`` remakes an episode's instance.
        returns: sums of rewards, float64.
        successes: bool, or ``None`` for a game that is not won or lost; of ``pool`` float shares.
        turns: float64.
        scores: float64, 0 for random play and 100 for the expert, or ``None`` where none were measured.
        transcripts: of the first episodes, each a list of ``(role, text)``, the role being ``"env"`` or ``"agent"``.
        seconds: wall time of all episodes.
        usage: tokens and cost of a prompted model, as ``agents.players.Usage`` names them; ``None`` for other players.
    """

    name: str
    env_id: str
    level: str
    split: str
    seed: int
    episode_seeds: NDArray[np.int64]
    returns: NDArray[np.float64]
    successes: NDArray[Any] | None
    turns: NDArray[np.float64]
    scores: NDArray[np.float64] | None
    transcripts: list[list[tuple[str, str]]]
    seconds: float
    usage: dict[str, Any] | None = None

    def metrics(self) -> dict[str, NDArray[Any]]:
        """Those of ``METRICS`` that the game has, each ``(episodes,)``."""
        columns = (self.returns, self.successes, self.turns, self.scores)
        return {name: values for name, values in zip(METRICS, columns, strict=True) if values is not None}

    def summary(self) -> dict[str, Estimate]:
        """Each metric's mean and 95% interval: Wilson's for a success rate, the bootstrap's for the others."""
        return {
            name: rate_interval(values) if values.dtype == np.bool_ else mean_interval(values)
            for name, values in self.metrics().items()
        }

    def to_json(self) -> str:
        """Everything, as JSON text."""
        return json.dumps(vars(self), default=lambda values: values.tolist(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Evaluation:
        """What ``to_json`` wrote."""
        fields = json.loads(text)
        fields["episode_seeds"] = np.array(fields["episode_seeds"], np.int64)
        for name in ("returns", "turns", "scores"):
            fields[name] = None if fields[name] is None else np.array(fields[name], np.float64)
        fields["successes"] = None if fields["successes"] is None else np.array(fields["successes"])
        fields["transcripts"] = [[(role, said) for role, said in transcript] for transcript in fields["transcripts"]]
        return cls(**fields)


def evaluate(
    player: Player,
    env_id: str,
    episodes: int = 200,
    split: str = "test",
    level: str = "medium",
    seed: int = 0,
    num_envs: int = 32,
    progress: bool = False,
    keep: int = 10,
    **env_kwargs: Any,
) -> Evaluation:
    """Let ``player`` play each of the first ``episodes`` instances of ``seed`` once, ``num_envs`` at a time.

    Instance ``i`` depends on ``seed`` and ``i`` alone, so that all players meet the same ones. Every episode that is
    begun counts, so short ones are not favoured. The global torch generator is seeded and afterwards put back.

    Args:
        player: who plays.
        env_id: a registered environment id.
        episodes: how many, at least 2.
        split: ``"test"``, ``"train"`` or ``"all"``.
        level: level of the game.
        seed: fixes the instances and the player's draws from torch's generator.
        num_envs: environments played side by side.
        progress: show a progress bar.
        keep: the first so many transcripts are kept.
        env_kwargs: more keywords of ``gym.make``; with a knob of the game among them there is no score.

    Raises:
        ValueError: fewer than 2 episodes, no environment, or a keyword that the environment refuses.
        TypeError: the environment has no such keyword.
    """
    if episodes < 2:
        raise ValueError(f"episodes must be at least 2 for an interval, not {episodes!r}")
    if num_envs < 1:
        raise ValueError(f"num_envs must be at least 1, not {num_envs!r}")
    keywords = {**getattr(player, "env_kwargs", {}), **env_kwargs, "level": level, "split": split}
    keywords["action_level"] = player.action_level
    rows: list[Any] = [gym.make(env_id, **keywords).unwrapped for _ in range(min(num_envs, episodes))]
    seeds = [int(word) for word in np.random.SeedSequence(seed).generate_state(episodes, np.uint64)]
    episode_seeds, turns = np.zeros(episodes, np.int64), np.zeros(episodes)
    returns = np.zeros(episodes)
    successes: list[bool | None] = [None] * episodes
    transcripts: list[list[tuple[str, str]]] = [[] for _ in range(min(keep, episodes))]

    waiting = iter(track(range(episodes), "episodes", disable=not progress, transient=True))
    playing: list[tuple[int, TextEnv]] = []  # (episode, its row)
    observations: list[np.ndarray] = []

    def begin(row: TextEnv, place: int) -> None:
        """Start the next episode in ``row``, or take the row out and let the last one have its place."""
        episode = next(waiting, None)
        if episode is None:
            last, observation = playing.pop(), observations.pop()
            if place < len(playing):
                playing[place], observations[place] = last, observation
            return
        observation, info = row.reset(seed=seeds[episode])
        episode_seeds[episode] = info["episode_seed"]
        playing[place], observations[place] = (episode, row), observation

    used = copy.copy(getattr(player, "usage", None))
    start = time.perf_counter()
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        torch.manual_seed(seed)
        playing, observations = [(-1, row) for row in rows], [np.zeros(0)] * len(rows)
        for place, row in enumerate(rows):
            begin(row, place)
        while playing:
            actions = player.act([row for _, row in playing], np.stack(observations))
            ended = []
            for place, ((episode, row), action) in enumerate(zip(playing, actions, strict=True)):
                observations[place], reward, terminated, truncated, info = row.step(action)
                returns[episode] += float(reward)
                if terminated or truncated:
                    turns[episode] = info["turns"]
                    successes[episode] = info.get("success")
                    if episode < keep:
                        transcripts[episode] = row.transcript
                    ended.append(place)
            for place in reversed(ended):  # from the back: a row that is moved has been looked at
                begin(playing[place][1], place)
    return Evaluation(
        name=player.name,
        env_id=env_id,
        level=level,
        split=split,
        seed=seed,
        episode_seeds=episode_seeds,
        returns=returns,
        successes=None if None in successes else np.array(successes, np.bool_),
        turns=turns,
        scores=_scores(env_id, level, returns, env_kwargs),
        transcripts=transcripts,
        seconds=time.perf_counter() - start,
        usage=None if used is None else (player.usage - used).to_dict(),  # type: ignore[attr-defined]
    )


def mean_interval(values: Sequence[float] | NDArray[Any]) -> Estimate:
    """The mean with its 95% bootstrap interval, bias-corrected and accelerated (Efron 1987).

    Where that is undefined the percentile interval stands in; of a constant sample the interval is a point.
    """
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return Estimate(mean, mean, mean)
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            found = stats.bootstrap(
                (values,),
                np.mean,
                n_resamples=_RESAMPLES,
                confidence_level=_CONFIDENCE,
                method=method,
                rng=np.random.default_rng(0),
            )
        low, high = map(float, found.confidence_interval)
        if np.isfinite([low, high]).all():
            break
    return Estimate(mean, low, high)


def rate_interval(successes: Sequence[bool] | NDArray[np.bool_]) -> Estimate:
    """A rate with its 95% interval (Wilson 1927)."""
    count, trials = int(np.sum(successes)), len(successes)
    interval = stats.binomtest(count, trials).proportion_ci(_CONFIDENCE, "wilson")
    return Estimate(count / trials, float(interval.low), float(interval.high))


def paired_difference(one: Evaluation, other: Evaluation) -> dict[str, Estimate]:
    """Mean of ``one - other`` over the instances, with its 95% bootstrap interval, for each metric of both.

    Raises:
        ValueError: they were not played on the same instances.
    """
    _require_same_instances([one, other])
    others = other.metrics()
    return {
        name: mean_interval(values.astype(np.float64) - others[name])
        for name, values in one.metrics().items()
        if name in others
    }


def pool(evaluations: Sequence[Evaluation], name: str) -> Evaluation:
    """Several trained players as one: each instance's mean over them, so that intervals are over instances.

    Raises:
        ValueError: they were not played on the same instances.
    """
    _require_same_instances(evaluations)
    first = evaluations[0]

    def mean(field: str) -> Any:
        columns = [getattr(evaluation, field) for evaluation in evaluations]
        return None if any(column is None for column in columns) else np.mean(columns, axis=0)

    means = {field: mean(field) for field in ("returns", "successes", "turns", "scores")}
    seconds = sum(evaluation.seconds for evaluation in evaluations)
    return Evaluation(**{**vars(first), **means, "name": name, "transcripts": [], "seconds": seconds, "usage": None})


def comparison_table(evaluations: Mapping[str, Evaluation], title: str | None = None) -> Table:
    """One row for each evaluation: means with 95% intervals, for ``rich`` to print."""
    table = Table(title=title, caption="mean [95% interval]; score: 0 random, 100 expert")
    # In a narrow terminal an interval goes below its mean; a name stays whole.
    table.add_column("player", no_wrap=True, min_width=max(map(len, evaluations), default=0))
    for metric in METRICS:
        table.add_column(metric, justify="right", min_width=_WIDTHS[metric])
    for name, evaluation in evaluations.items():
        table.add_row(name, *cells(evaluation))
    return table


def cells(evaluation: Evaluation) -> list[str]:
    """What tables show of an evaluation, in the order of ``METRICS``; a dash where the game has no such figure."""
    summary = evaluation.summary()
    digits = {"return": ".2f", "success": ".2f", "turns": ".1f", "score": ".0f"}
    return [format(summary[metric], digits[metric]) if metric in summary else "–" for metric in METRICS]


def _require_same_instances(evaluations: Sequence[Evaluation]) -> None:
    for evaluation in evaluations:
        for name in ("env_id", "level", "split", "episode_seeds"):
            if not np.array_equal(getattr(evaluation, name), getattr(evaluations[0], name)):
                raise ValueError(f"the evaluations differ in {name}: evaluate both with the same arguments")


def _scores(
    env_id: str, level: str, returns: NDArray[np.float64], env_kwargs: Mapping[str, Any]
) -> NDArray[np.float64] | None:
    plain = {name for name in inspect.signature(TextEnv).parameters if name not in ("knobs", "max_turns")}
    if not plain.issuperset(env_kwargs):
        return None
    try:
        return np.array([score(env_id, level, float(ret)) for ret in returns])
    except KeyError:
        return None
