from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.decisions.bandit import _STORIES, Bandit

NAMES = ("red", "pink", "blue")


def start(best: int = 0, **knobs: Any) -> Bandit:
    """Three slot machines."""
    game = Bandit(**{"arms": 3, **knobs})
    game.reset(np.random.default_rng(0))
    game._story, game._names, game._best = _STORIES[0], NAMES[: game.arms], best
    return game


def bayes_value(arms: int, gap: float, pulls: int, follow: bool) -> float:
    """The expected sum of payments, by enumerating all histories: the optimum's, or of following the expert."""
    good, bad = (1 + gap) / 2, (1 - gap) / 2
    game = start(arms=arms, gap=gap, pulls=pulls) if arms <= 3 else Bandit(arms, gap, pulls)
    game.reset(np.random.default_rng(0))

    @cache
    def value(pulled: tuple[int, ...], paid: tuple[int, ...]) -> float:
        if sum(pulled) == pulls:
            return 0.0
        weights = []
        for best in range(arms):
            chances = [good if arm == best else bad for arm in range(arms)]
            weights.append(
                np.prod([p**won * (1 - p) ** (n - won) for p, n, won in zip(chances, pulled, paid, strict=True)])
            )
        belief = np.array(weights) / sum(weights)
        options = range(arms)
        if follow:
            game._pulled, game._paid = list(pulled), list(paid)
            options = [game._names.index(game.expert_action())]
        results = []
        for arm in options:
            chance = belief[arm] * good + (1 - belief[arm]) * bad
            more = tuple(n + (i == arm) for i, n in enumerate(pulled))
            won = tuple(n + (i == arm) for i, n in enumerate(paid))
            results.append(chance * (1 + value(more, won)) + (1 - chance) * value(more, paid))
        return max(results)

    return float(value((0,) * arms, (0,) * arms))


@pytest.mark.parametrize(("arms", "gap", "pulls"), [(2, 0.6, 9), (3, 0.2, 6), (3, 0.5, 6), (4, 0.5, 5), (5, 0.9, 4)])
def test_the_expert_is_optimal(arms: int, gap: float, pulls: int) -> None:
    best = bayes_value(arms, gap, pulls, follow=False)
    assert bayes_value(arms, gap, pulls, follow=True) == pytest.approx(best, abs=1e-12)
    assert best > pulls * ((1 + gap) / 2 + (arms - 1) * (1 - gap) / 2) / arms + 0.01  # what chance gives


def test_an_episode_where_the_best_arm_always_pays() -> None:
    game = start(best=1, gap=1.0, pulls=4)
    assert game.expert_action() == "red"
    assert game.step("the red machine") == ("it pays nothing.", 0.0, False, {})
    assert game.expert_action() == "pink"
    assert game.step("Pink!") == ("it pays a coin.", 1.0, False, {})
    assert game.step("whatever") == ("name one slot machine: red, pink, blue.", 0.0, False, {})
    assert game.expert_action() == "pink"
    end = "it pays a coin. that was the last try: 2 of 4 were good."
    assert game.step("pink") == (end, 1.0, True, {"best": 0.5})


@pytest.mark.parametrize("best", [0, 1])
def test_arms_pay_as_often_as_told(best: int) -> None:
    game, draws = start(best=best, gap=0.2, pulls=200), 4000
    paid = 0.0
    for _ in range(draws):
        game._turns = 0
        paid += game.step("red").reward
    chance = 0.6 if best == 0 else 0.4
    assert abs(paid / draws - chance) < 5 * np.sqrt(chance * (1 - chance) / draws)


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("red", 0),
        ("I'd like the PINK one, please.", 1),
        ("blu", 2),
        ("back to blue from ret", 2),
        ("2", 1),
        ("machine number three", 2),
        ("the pink one or the red one", None),
        ("4", None),
        ("0", None),
        ("", None),
        ("hired", None),
        ("let me read that again", None),
        ("i try the pinkk one", 1),
    ],
)
def test_reading(text: str, arm: int | None) -> None:
    game = start()
    game.step(text)
    assert game._pulled == [int(arm == i) for i in range(3)]


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and turn.reward in (0.0, 1.0) and not turn.terminated


def test_opening_and_names() -> None:
    game, rng = Bandit(), np.random.default_rng(0)
    instances, stories = set(), set()
    for _ in range(500):
        opening = game.reset(rng)
        assert "one is good in 75% of the tries, each other in 25%. you have 20 tries." in opening
        assert f": {', '.join(game.valid_actions())}." in opening and len(set(game.valid_actions())) == 4
        instances.add(game.instance())
        stories.add(game._story.one)
    assert len(instances) > 480 and len(stories) == len(_STORIES)
    for story in _STORIES:
        names = story.names.split()
        assert len(names) == len(set(names)) >= 10
        assert not set(names) & set(f"{story.one} {story.paid} {story.unpaid}".split())


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"arms": 1}, "arms must be 2 to 10, not 1"),
        ({"arms": 11}, "arms must be 2 to 10, not 11"),
        ({"gap": 0}, "gap must be above 0 and at most 1, not 0"),
        ({"gap": 1.5}, "gap must be above 0 and at most 1, not 1.5"),
        ({"pulls": 0}, "pulls must be 1 to 200, not 0"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bandit(**knobs)
