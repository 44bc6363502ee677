from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.decisions.mountain import Mountain


class DeepSea:
    """The dynamics of bsuite's deep sea: row and column go from 0, action ``up[row, column]`` goes right."""

    def __init__(self, up: np.ndarray) -> None:
        self.up, self.size, self.row, self.column = up, len(up), 0, 0

    def step(self, action: int) -> tuple[float, bool]:
        right = action == self.up[self.row, self.column]
        reward = 1.0 if right and self.column == self.size - 1 else 0.0
        if right:
            reward -= 0.01 / self.size
        self.column = min(max(self.column + (1 if right else -1), 0), self.size - 1)
        self.row += 1
        return reward, self.row == self.size


@pytest.mark.parametrize("level", Mountain.levels)
def test_the_dynamics_are_those_of_deep_sea(level: str) -> None:
    game, rng, summits = Mountain(**Mountain.levels[level]), np.random.default_rng(0), 0
    for _ in range(150):
        game.reset(rng)
        reference = DeepSea(game._up)
        climber = rng.random()
        done = False
        while not done:
            action = int(rng.integers(2))
            if rng.random() < climber**0.2:  # so that some get far, or to the summit
                action = int(game._up[game._hour, game._height])
            turn = game.step(game.valid_actions()[action])
            reward, done = reference.step(action)
            assert turn.reward == pytest.approx(reward) and turn.terminated == done
            summits += reward > 0.5
            assert done or (game._hour, game._height) == (reference.row, reference.column)
        assert turn.info == {"success": reward > 0.5}
    assert summits > 5


def best_return(game: Mountain) -> dict[tuple[int, int], tuple[float, ...]]:
    """The best expected return from each place by way down and up, by backward induction."""
    size, fail = game.size, 1 / game.size if game.wind else 0.0

    @cache
    def value(row: int, column: int) -> float:
        return 0.0 if row == size else max(values(row, column))

    @cache
    def values(row: int, column: int) -> tuple[float, float]:
        down = value(row + 1, max(column - 1, 0))
        up = (1 - fail) * value(row + 1, min(column + 1, size - 1)) + fail * value(row + 1, column)
        return down, up - 0.01 / size + (column == size - 1)

    return {(row, column): values(row, column) for row in range(size) for column in range(row + 1)}


@pytest.mark.parametrize("wind", [False, True])
@pytest.mark.parametrize("knobs", [{"size": 2}, {"size": 5, "mapping": None}, {"size": 10}, {"size": 12, "mapping": 7}])
def test_no_player_has_a_better_expected_return_than_the_expert_at_any_place(knobs: dict[str, Any], wind: bool) -> None:
    game = Mountain(**knobs, wind=wind)
    game.reset(np.random.default_rng(0))
    table = best_return(game)
    for (game._hour, game._height), values in table.items():
        action = game.valid_actions().index(game.expert_action())
        climbs = int(action == game._up[game._hour, game._height])
        assert values[climbs] == pytest.approx(max(values))
    if not wind:
        assert max(table[0, 0]) == pytest.approx(0.99)


def test_wind() -> None:
    game, rng, returns, stopped = Mountain(4, wind=True), np.random.default_rng(0), [], 0
    assert "only the summit pays. wind may stop a climb. hour 1" in game.reset(rng)
    for _ in range(3000):
        game.reset(rng)
        total, done = 0.0, False
        while not done:
            turn = game.step(game.expert_action())
            stopped += turn.text.startswith("the wind stops you.")
            total, done = total + turn.reward, turn.terminated
        returns.append(total)
    expected = max(best_return(game)[0, 0])
    assert expected == pytest.approx(0.75**3, abs=0.01)
    assert np.mean(returns) == pytest.approx(expected, abs=4 * np.std(returns) / 3000**0.5)
    assert 0.9 < np.std(returns) < 1.2  # the noise of the ends
    assert stopped / 3000 == pytest.approx(1 - 0.75**3, abs=0.06)


def test_the_mapping() -> None:
    one, same, other = Mountain(mapping=3), Mountain(mapping=3), Mountain(mapping=4)
    assert (one._up == same._up).all() and (one._up != other._up).any()
    assert 0.3 < Mountain(50)._up.mean() < 0.7
    assert (Mountain(mapping=None)._up == 1).all()
    for size in (10, 20):  # neither trail is the one to take
        ways = [Mountain(size)._up[i, i] for i in range(size)]
        assert 0.3 * size <= sum(ways) <= 0.7 * size
    assert one.instance() is None


def test_an_episode() -> None:
    game = Mountain(3, mapping=None)
    assert game.reset(np.random.default_rng(0)) == (
        "a mountain: the summit is at height 3, night falls in 3 hours. in each hour you go up or down by 1. a climb "
        "costs a little, only the summit pays. hour 1, height 0. down or up?"
    )
    cost = 0.01 / 3
    assert game.step("up") == ("you climb. hour 2, height 1. down or up?", -cost, False, {})
    assert game.step("sideways") == ("say down or up.", -0.01, False, {})
    assert game.step("down") == ("you go down. hour 3, height 0. down or up?", 0.0, False, {})
    assert game.expert_action() == "down"
    assert game.step("up") == ("you climb. night falls at height 1.", -cost, True, {"success": False})
    game.reset(np.random.default_rng(0))
    assert game.step("down").text == "you stay at the foot. hour 2, height 0. down or up?"
    game.reset(np.random.default_rng(0))
    game.step("up"), game.step("up")
    assert game.step("up") == ("you climb to the summit.", pytest.approx(1 - cost), True, {"success": True})


def test_the_opening_does_not_tell_which_trail_leads_up() -> None:
    openings = {Mountain(mapping=seed).reset(np.random.default_rng(0)) for seed in range(20)}
    assert openings == {
        "a mountain: the summit is at height 10, night falls in 10 hours. in each hour one of two trails, left and "
        "right, leads up by 1, the other down; which one depends on the place. a climb costs a little, only the summit "
        "pays. hour 1, height 0. left or right?"
    }


@pytest.mark.parametrize("level", Mountain.levels)
def test_to_stall_costs_more_than_to_climb_in_vain(level: str) -> None:
    game = Mountain(**Mountain.levels[level])
    game.reset(np.random.default_rng(0))
    assert sum(game.step("hm").reward for _ in range(game.max_turns)) < -0.01


@pytest.mark.parametrize(
    ("text", "trail", "way"),
    [
        ("left", "left", None),
        ("I take the RIGHT trail.", "right", None),
        ("go west", "left", None),
        ("e", "right", None),
        ("up", None, "up"),
        ("Climb!", None, "up"),
        ("ascend", None, "up"),
        ("clim higher", None, "up"),
        ("let's go downwards", None, "down"),
        ("descend", None, "down"),
        ("left or right", None, None),
        ("up and down", None, None),
        ("", None, None),
        ("stay", None, None),
    ],
)
def test_what_is_understood(text: str, trail: str | None, way: str | None) -> None:
    for mapping, meant in ((5, trail), (None, way)):
        game = Mountain(mapping=mapping)
        game.reset(np.random.default_rng(0))
        assert game._read(text) == meant
        assert (game.step(text).reward == -0.01) == (meant is None)
        assert game._hour == (meant is not None)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    game = Mountain()
    game.reset(np.random.default_rng(0))
    assert game.step(text).text


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"size": 1}, "size must be 2 to 100, not 1"),
        ({"mapping": -1}, "mapping must be a seed from 0 on, or None, not -1"),
        ({"wind": "yes"}, "wind must be True or False, not 'yes'"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mountain(**knobs)
