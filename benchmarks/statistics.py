"""Statistics of few runs on many tasks (Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the
Statistical Precipice").

The definitions are those of the paper and of its library ``rliable``, which is not used: it brings pandas, seaborn and
arch along, and takes only contestants that ran every task equally often. A contestant's results are ``Runs``: for
each task a list of runs, each an array ``(episodes,)`` of normalised scores. The score of a run is its mean.

Intervals hold 95% and are percentiles of a stratified bootstrap: tasks are fixed, and within each task runs are drawn
anew. Where a task has one run only, as a player that does not learn, the episodes of that run are drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluation import Estimate

Floats = NDArray[np.float64]
Runs = Mapping[Any, Sequence[Floats]]

TARGET = 100.0  # the score of an expert
_RESAMPLES = 2000
_TAIL = 0.025


def interquartile_mean(scores: Floats) -> Floats:
    """The mean of the middle half of ``(..., runs)``: a quarter of the runs is left out at each end."""
    ordered = np.sort(scores, axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def mean(scores: Floats) -> Floats:
    """The mean of ``(..., runs)``."""
    return scores.mean(axis=-1)


def optimality_gap(scores: Floats) -> Floats:
    """By how much ``(..., runs)`` fall short of the expert on average; what is above it does not make up for it."""
    return TARGET - np.minimum(scores, TARGET).mean(axis=-1)


def run_scores(runs: Runs) -> Floats:
    """The score of every run of every task, ``(runs,)``."""
    return np.array([run.mean() for of_task in runs.values() for run in of_task], np.float64)


def resample(runs: Runs, rng: np.random.Generator, resamples: int = _RESAMPLES) -> Floats:
    """Bootstrap samples of ``run_scores``, ``(resamples, runs)``."""
    return np.concatenate([_resample_task(of_task, rng, resamples) for of_task in runs.values()], axis=1)


def estimate(runs: Runs, statistic: Callable[[Floats], Floats], seed: int = 0) -> Estimate:
    """A statistic of all runs with its interval.

    Raises:
        ValueError: there are no runs.
    """
    if not any(map(len, runs.values())):
        raise ValueError("there are no runs to make a statistic of")
    value = float(statistic(run_scores(runs)))
    return _with_interval(value, statistic(resample(runs, np.random.default_rng(seed))))


def probability_of_improvement(one: Runs, other: Runs, seed: int = 0) -> Estimate:
    """The probability that a run of ``one`` beats a run of ``other`` on a task, averaged over the tasks of both.

    A tie counts half: the Mann-Whitney statistic.

    Raises:
        ValueError: they have no task in common.
    """
    tasks = _common(one, other)
    rng = np.random.default_rng(seed)
    values, samples = 0.0, np.zeros(_RESAMPLES)
    for task in tasks:
        left, right = (np.array([run.mean() for run in each[task]]) for each in (one, other))
        values += float(_wins(left[None], right[None])[0]) / len(tasks)
        drawn = [_resample_task(each[task], rng, _RESAMPLES) for each in (one, other)]
        samples += _wins(*drawn) / len(tasks)
    return _with_interval(values, samples)


def performance_profile(runs: Runs, thresholds: Floats, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """The share of runs that score above each threshold, and the ends of its pointwise interval."""
    scores = run_scores(runs)
    drawn = resample(runs, np.random.default_rng(seed))
    shares = np.array([(drawn > threshold).mean(axis=1) for threshold in thresholds])  # (thresholds, resamples)
    low, high = np.quantile(shares, (_TAIL, 1 - _TAIL), axis=1)
    return (scores > thresholds[:, None]).mean(axis=1), low, high


def paired_difference(one: Runs, other: Runs, seed: int = 0) -> Estimate:
    """Mean of ``one - other`` on the same episodes, averaged over the tasks of both.

    Each episode counts with its mean over a contestant's runs. Episodes are drawn anew within each task, so the
    interval is about instances and not about training again.

    Raises:
        ValueError: they have no task in common, or not the same number of episodes there.
    """
    rng = np.random.default_rng(seed)
    value, samples = 0.0, np.zeros(_RESAMPLES)
    tasks = _common(one, other)
    for task in tasks:
        differences = episode_differences(one, other, task)
        value += float(differences.mean()) / len(tasks)
        samples += _resample_task([differences], rng, _RESAMPLES)[:, 0] / len(tasks)
    return _with_interval(value, samples)


def crossed(values: Floats, seed: int = 0) -> Estimate:
    """The mean of ``(runs, episodes)`` that were played on the same instances, with its interval.

    Both runs and instances are drawn anew, so it is about training again and about other instances. Of three runs,
    or of few different instances, it says little more than their range.
    """
    rng = np.random.default_rng(seed)
    runs, episodes = values.shape
    samples = np.zeros(_RESAMPLES)
    for index in range(_RESAMPLES):
        rows = rng.integers(runs, size=(runs, 1))
        samples[index] = values[rows, rng.integers(episodes, size=episodes)].mean()
    return _with_interval(float(values.mean()), samples)


def episode_differences(one: Runs, other: Runs, task: Any) -> Floats:
    """``one - other`` in each episode of a task, ``(episodes,)``, each averaged over its runs."""
    sizes = {len(run) for each in (one, other) for run in each[task]}
    if len(sizes) > 1:
        raise ValueError(f"the contestants played {sorted(sizes)} episodes of {task}: only the same ones can be paired")
    left, right = (np.mean(np.stack(each[task]), axis=0) for each in (one, other))
    return left - right


def _common(one: Runs, other: Runs) -> list[Any]:
    tasks = [task for task in one if task in other]
    if not tasks:
        raise ValueError("the contestants have no task in common")
    return tasks


def _wins(left: Floats, right: Floats) -> Floats:
    """``(samples, runs)`` each: the share of pairs in which left is above right, ties counting half, ``(samples,)``."""
    pairs = left[:, :, None] - right[:, None, :]
    return ((pairs > 0) + 0.5 * (pairs == 0)).mean(axis=(1, 2))


def _resample_task(of_task: Sequence[Floats], rng: np.random.Generator, resamples: int) -> Floats:
    """``(resamples, runs)`` scores of one task."""
    if len(of_task) > 1:
        scores = np.array([run.mean() for run in of_task])
        return scores[rng.integers(len(scores), size=(resamples, len(scores)))]
    (episodes,) = of_task
    return episodes[rng.integers(len(episodes), size=(resamples, len(episodes)))].mean(axis=1, keepdims=True)


def _with_interval(value: float, samples: Floats) -> Estimate:
    low, high = np.quantile(samples, (_TAIL, 1 - _TAIL))
    return Estimate(value, float(low), float(high))
