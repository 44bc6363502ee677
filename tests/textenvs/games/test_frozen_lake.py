from __future__ import annotations

import math
import warnings
from functools import cache
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.toy_text.frozen_lake import MAPS as GYMNASIUM_MAPS
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.control import ice
from textenvs.games.control.frozen_lake import _DIRECTIONS, FrozenLake

LAKES = [
    ice.MAPS["4x4"],
    ice.MAPS["8x8"],
    *(ice.random_map(size, np.random.default_rng(size)) for size in (2, 5, 12)),
]


def gymnasium_lake(lake: ice.Map, **keywords: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return gymnasium.make("FrozenLake-v1", desc=list(lake), **keywords).unwrapped


def test_the_maps_are_those_of_gymnasium() -> None:
    assert {name: list(lake) for name, lake in ice.MAPS.items()} == GYMNASIUM_MAPS
    for name, id in (("4x4", "FrozenLake-v1"), ("8x8", "FrozenLake8x8-v1")):
        assert FrozenLake(name).max_turns == gymnasium.spec(id).max_episode_steps


@pytest.mark.parametrize("success_rate", [None, 1 / 3, 0.8, 0.0])
@pytest.mark.parametrize("lake", LAKES, ids=len)
def test_the_transitions_are_those_of_gymnasium(lake: ice.Map, success_rate: float | None) -> None:
    theirs = gymnasium_lake(lake, is_slippery=success_rate is not None, success_rate=success_rate or 0.0)
    expected = np.zeros((len(lake) ** 2, 4, len(lake) ** 2))
    for state, actions in theirs.P.items():
        for action, outcomes in actions.items():
            for probability, after, reward, terminated in outcomes:
                expected[state, action, after] += probability
                tile = lake[after // len(lake)][after % len(lake)]
                assert terminated == (tile in "GH")
                # A state that absorbs pays nothing there; here the episode has ended.
                assert reward == (tile == "G" and state != after)
    np.testing.assert_allclose(
        ice.transitions(lake, 1.0 if success_rate is None else success_rate), expected, atol=1e-12
    )


@pytest.mark.parametrize("knobs", [{}, {"success_rate": 0.8}, {"is_slippery": False}])
def test_steps_follow_the_transitions(knobs: dict[str, Any]) -> None:
    game, rng, draws = FrozenLake(**knobs), np.random.default_rng(0), 2000
    game.reset(rng)
    chances = ice.transitions(game._map, game.success_rate)
    for state in (0, 6, 10, 14):
        for action, name in enumerate(_DIRECTIONS):
            counts = np.zeros(16)
            for _ in range(draws):
                game._row, game._column = divmod(state, 4)
                turn = game.step(name)
                after = game._row * 4 + game._column
                counts[after] += 1
                tile = game._map[game._row][game._column]
                assert (turn.terminated, turn.reward) == (tile in "GH", float(tile == "G"))
            spread = np.sqrt(chances[state, action] * (1 - chances[state, action]) / draws)
            assert (abs(counts / draws - chances[state, action]) <= 5 * spread).all()


@pytest.mark.parametrize("knobs", [{}, {"map_name": "8x8"}, {"success_rate": 0.8}])
def test_the_expert_succeeds_as_often_as_value_iteration_says(knobs: dict[str, Any]) -> None:
    game, rng, episodes, won = FrozenLake(**knobs), np.random.default_rng(1), 400, 0
    for _ in range(episodes):
        game.reset(rng)
        for _ in range(game.max_turns):
            turn = game.step(game.expert_action())
            if turn.terminated:
                break
        won += bool(turn.info.get("success"))
    value = float(ice.action_values(game._map, game.success_rate, game.max_turns)[-1, 0].max())
    assert abs(won / episodes - value) < 4 * math.sqrt(value * (1 - value) / episodes)


def test_the_values_are_those_of_plain_recursion() -> None:
    lake, rate, turns = ice.MAPS["4x4"], 1 / 3, 7
    chances = ice.transitions(lake, rate)
    holes = [tile == "H" for row in lake for tile in row]

    @cache
    def value(state: int, left: int) -> float:
        if state == 15 or holes[state] or not left:
            return float(state == 15)
        return max(
            sum(p * value(after, left - 1) for after, p in enumerate(chances[state, action]) if p)
            for action in range(4)
        )

    ours = ice.action_values(lake, rate, turns)
    for state in (0, 9, 14):
        assert ours[-1, state].max() == pytest.approx(value(state, turns), abs=1e-7)
    assert ice.action_values(lake, rate, 100)[-1, 0].max() == pytest.approx(0.7442, abs=1e-4)  # as the page says
    assert ice.action_values(ice.MAPS["8x8"], rate, 200)[-1, 0].max() == pytest.approx(0.9132, abs=1e-4)


def test_the_expert_takes_the_shortest_way_where_nothing_slips() -> None:
    game = FrozenLake("8x8", is_slippery=False)
    game.reset(np.random.default_rng(0))
    turns = 1
    while not game.step(game.expert_action()).terminated:
        turns += 1
    assert turns == 14


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    game = FrozenLake()
    game.reset(np.random.default_rng(0))
    assert game.step(text).text


def test_what_is_not_understood_costs_a_turn_and_moves_nothing() -> None:
    game = FrozenLake(is_slippery=False)
    assert game.reset(np.random.default_rng(0)) == (
        "frozen lake, not slippery. map: SFFF FHFH FFFH HFFG. you are at row 1 column 1. "
        "left: edge, down: ice, right: ice, up: edge."
    )
    assert game.step("jump") == ("say left, down, right or up.", 0.0, False, {})
    assert game.step("up").text == "you are at row 1 column 1. left: edge, down: ice, right: ice, up: edge."
    assert game.step("down").text == "you are at row 2 column 1. left: edge, down: ice, right: a hole, up: ice."
    assert game.step("right") == ("you fall into a hole.", 0.0, True, {"success": False})


def test_random_maps_can_be_crossed_and_differ() -> None:
    game, rng = FrozenLake(None, size=5), np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        game.reset(rng)
        instance = game.instance()
        assert instance is not None and len(instance.split()) == 5
        assert ice.action_values(tuple(instance.split()), 1.0, 30)[-1, 0].max() > 0.99
        seen.add(instance)
    assert len(seen) > 40
    assert FrozenLake().instance() is None


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"map_name": "5x5"}, "map_name must be one of"),
        ({"size": 1}, "size must be 2 to 12, not 1"),
        ({"success_rate": 1.5}, "success_rate is a probability"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrozenLake(**knobs)
