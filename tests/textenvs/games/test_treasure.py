from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.worlds.treasure import _OPPOSITE, Treasure


def start(seed: int = 0, **knobs: Any) -> Treasure:
    game = Treasure(**knobs)
    game.reset(np.random.default_rng(seed))
    return game


def rooms(game: Treasure) -> networkx.Graph:
    """Which rooms are joined."""
    return networkx.Graph([(room, other) for room, exits in enumerate(game._exits) for other in exits.values()])


def small() -> Treasure:
    """A hall with a study north of it, where the coin is, and a cellar east of it."""
    game = start(length=2, mode=1)
    game._names, game._exits = ["hall", "study", "cellar"], [{"north": 1, "east": 2}, {"south": 0}, {"west": 0}]
    game._toward = {0: "north", 2: "west"}
    return game


def test_an_episode() -> None:
    game = small()
    assert game.step("go east") == ("cellar. exits: west.", 0.0, False, {})
    assert game.step("go east") == ("there is no exit east.", 0.0, False, {})
    assert game.step("take coin") == ("there is no coin here.", 0.0, False, {})
    assert game.step("dance") == ("say a direction to go, or take coin.", 0.0, False, {})
    assert game.expert_action() == "go west"
    assert game.step("go west") == ("hall. exits: north, east.", 0.0, False, {})
    assert game.step("go north") == ("study. a coin lies here. exits: south.", 0.0, False, {})
    assert game.step("look").text == "study. a coin lies here. exits: south."
    assert game.step("take coin") == ("you take the coin.", 1.0, True, {"success": True})


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("NORTH", "study. a coin lies here. exits: south."),
        ("I walk to the east.", "cellar. exits: west."),
        ("take the east exit", "cellar. exits: west."),
        ("n", "study. a coin lies here. exits: south."),
        ("Look around", "hall. exits: north, east."),
        ("please grab that coin!", "there is no coin here."),
        ("north or east", "say a direction to go, or take coin."),
        ("coin", "say a direction to go, or take coin."),
    ],
)
def test_reading(said: str, reply: str) -> None:
    assert small().step(said).text == reply


@pytest.mark.parametrize("mode", [1, 2, 3])
@pytest.mark.parametrize("length", [2, 7, 30])
def test_a_chain_with_dead_ends(length: int, mode: int) -> None:
    game, seen = Treasure(length, mode), set()
    rng = np.random.default_rng(length)
    for _ in range(10):
        game.reset(rng)
        joined = rooms(game)
        assert networkx.is_tree(joined) and len(joined) == length * mode
        chain = networkx.shortest_path(joined, 0, length - 1)
        assert chain == list(range(length))
        for room in chain:
            beside = set(joined[room]) - set(chain)
            assert len(beside) == mode - 1 and all(joined.degree[end] == 1 for end in beside)
        for room, exits in enumerate(game._exits):
            assert all(game._exits[other][_OPPOSITE[way]] == room for way, other in exits.items())
        assert len(set(game._names)) == length * mode
        seen.add(game.instance())
    assert len(seen) == 10


@pytest.mark.parametrize("mode", [1, 3])
def test_the_expert_takes_a_shortest_way_also_after_mistakes(mode: int) -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        game = start(seed, length=8, mode=mode)
        far = networkx.single_source_shortest_path_length(rooms(game), 7)
        for mistake in rng.choice(game.valid_actions()[:4], 8):
            game.step(mistake)
        left = far[game._room]
        for turns in range(left + 1):
            assert far[game._room] == left - turns
            turn = game.step(game.expert_action())
        assert turn == ("you take the coin.", 1.0, True, {"success": True})


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = small().step(text)
    assert turn.text and turn.reward == 0.0 and not turn.terminated


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"length": 1}, "length must be 2 to 30, not 1"),
        ({"length": 31}, "length must be 2 to 30, not 31"),
        ({"mode": 4}, "mode must be 1, 2 or 3, not 4"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Treasure(**knobs)
