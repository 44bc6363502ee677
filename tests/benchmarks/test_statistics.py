"""Statistics are those of Agarwal et al. (2021), by hand and by SciPy."""

import numpy as np
import pytest
from scipy import stats

from benchmarks import statistics
from benchmarks.statistics import (
    interquartile_mean,
    mean,
    optimality_gap,
    paired_difference,
    performance_profile,
    probability_of_improvement,
    run_scores,
)


def runs(**scores: list[float]) -> dict[str, list[np.ndarray]]:
    """Runs of one episode for each score."""
    return {task: [np.array([each]) for each in of_task] for task, of_task in scores.items()}


def drawn(seed: int, shift: float = 0.0, tasks: int = 3, seeds: int = 5) -> dict[int, list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {task: [rng.normal(50 + shift, 20, size=4) for _ in range(seeds)] for task in range(tasks)}


def test_by_hand() -> None:
    eight = np.array([0.0, 10, 20, 30, 40, 50, 60, 1000])
    assert interquartile_mean(eight) == (20 + 30 + 40 + 50) / 4
    assert interquartile_mean(np.array([1.0, 5, 3])) == 3  # a quarter of three runs is none
    assert optimality_gap(np.array([150.0, 50])) == 100 - (100 + 50) / 2
    assert optimality_gap(np.array([100.0, 120])) == 0
    # task a: 3 of 4 pairs won; task b: one tie, one loss
    one, other = runs(a=[10.0, 30], b=[5.0]), runs(a=[20.0, 0], b=[5.0, 6])
    assert probability_of_improvement(one, other).mean == (3 / 4 + 0.5 / 2) / 2
    assert probability_of_improvement(other, one).mean == 1 - (3 / 4 + 0.5 / 2) / 2
    shares, low, high = performance_profile(runs(a=[10.0, 30], b=[50.0, 70]), np.array([0.0, 30, 60, 70]))
    assert shares.tolist() == [1, 0.5, 0.25, 0]
    assert (low <= shares).all() and (shares <= high).all()


def test_episodes_of_a_run_are_averaged_first() -> None:
    of_task = {"a": [np.array([0.0, 100]), np.array([20.0, 40])]}
    assert run_scores(of_task).tolist() == [50, 30]


@pytest.mark.parametrize("seed", range(5))
def test_against_scipy(seed: int) -> None:
    """The library's formulas: SciPy's trimmed mean and Mann-Whitney statistic."""
    one, other = drawn(seed), drawn(seed + 100, 5.0)
    assert interquartile_mean(run_scores(one)) == pytest.approx(stats.trim_mean(run_scores(one), 0.25))
    expected = [
        stats.mannwhitneyu([r.mean() for r in one[task]], [r.mean() for r in other[task]]).statistic / 25
        for task in one
    ]
    assert probability_of_improvement(one, other).mean == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("statistic", [mean, interquartile_mean, optimality_gap])
def test_intervals_cover(statistic: statistics.Callable) -> None:
    """Of a hundred experiments with ten runs, the interval misses the true value in few: the percentile bootstrap of
    ten is a little narrow, so nine in ten are asked for."""
    true = {mean: 50.0, interquartile_mean: 50.0, optimality_gap: 50.0}[statistic]
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(100):
        of_task = {task: [rng.normal(50, 10, size=1) for _ in range(10)] for task in range(4)}
        found = statistics.estimate(of_task, statistic)
        hits += found.low <= true <= found.high
    assert 86 <= hits <= 100


def test_strata_stay_apart() -> None:
    """Runs are drawn within their task: tasks of different but constant scores leave no doubt."""
    found = statistics.estimate(runs(a=[0.0, 0], b=[100.0, 100]), mean)
    assert found == (50, 50, 50)


def test_one_run_is_as_sure_as_its_episodes() -> None:
    rng = np.random.default_rng(0)
    one = {"a": [rng.normal(50, 10, size=100)]}
    found = statistics.estimate(one, mean)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 10 / np.sqrt(100), rel=0.2)


def test_pairing_takes_out_what_instances_share() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(50, 30, size=200)
    one = {"a": [hard + 3 + rng.normal(0, 2, 200)], "b": [hard + 1]}
    other = {"a": [hard, hard + 2], "b": [hard], "c": [hard]}
    found = paired_difference(one, other)
    assert found.mean == pytest.approx((3 - 1 + 1) / 2, abs=0.2)
    assert found.high - found.low < 0.5
    assert paired_difference(other, one).mean == pytest.approx(-found.mean)
    with pytest.raises(ValueError, match="episodes of a"):
        paired_difference({"a": [hard[:10]]}, other)
    with pytest.raises(ValueError, match="no task in common"):
        paired_difference({"z": [hard]}, other)


def test_a_seed_fixes_the_interval() -> None:
    one = drawn(0)
    assert statistics.estimate(one, mean) == statistics.estimate(one, mean)
    assert statistics.estimate(one, mean) != statistics.estimate(one, mean, seed=1)
    with pytest.raises(ValueError, match="no runs"):
        statistics.estimate({"a": []}, mean)
