from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.worlds.maze import Maze, random_maze

SMALL = ("...", ".#.", "..#")


def start(maze: tuple[str, ...], cell: tuple[int, int], goal: tuple[int, int], **knobs: Any) -> Maze:
    game = Maze(**knobs)
    game.reset(np.random.default_rng(0))
    game._map, game._cell, game._goal = maze, cell, goal
    return game


def graph(maze: tuple[str, ...]) -> networkx.Graph:
    """The floor of a maze."""
    grid = networkx.grid_2d_graph(len(maze), len(maze[0]))
    grid.remove_nodes_from([(i, j) for i, j in list(grid) if maze[i][j] == "#"])
    return networkx.relabel_nodes(grid, lambda cell: (cell[0] + 1, cell[1] + 1))


def test_an_episode() -> None:
    game = start(SMALL, (1, 1), (2, 3))
    assert game.step("up") == ("you are at row 1 column 1. walls: left, up.", -1.0, False, {})
    assert game.step("and now?") == ("say left, right, up or down.", -4.0, False, {})
    assert game.step("right") == ("you are at row 1 column 2. walls: up, down.", -1.0, False, {})
    assert game.step("right") == ("you are at row 1 column 3. walls: right, up.", -1.0, False, {})
    assert game.step("down") == ("you reach the goal.", 0.0, True, {"success": True})


def test_the_partial_view_tells_walls_only() -> None:
    game = start(("...", "...", "..."), (1, 2), (3, 3), view="partial")
    assert Maze(view="partial").reset(np.random.default_rng(0)).startswith("you are in a maze. find the goal. walls: ")
    assert game.step("down").text == "no walls."
    assert game.step("left").text == "walls: left."


@pytest.mark.parametrize(
    ("said", "cell"),
    [
        ("RIGHT", (1, 2)),
        ("I walk east!", (1, 2)),
        ("go downwards", (2, 1)),
        ("s", (2, 1)),
        ("left or right", (1, 1)),
        ("sideways", (1, 1)),
    ],
)
def test_reading(said: str, cell: tuple[int, int]) -> None:
    game = start(SMALL, (1, 1), (2, 3))
    game.step(said)
    assert game._cell == cell


def test_the_double_t() -> None:
    game, starts = Maze("double_t"), set()
    rng = np.random.default_rng(0)
    for _ in range(300):
        opening = game.reset(rng)
        assert "#####.#####. the goal is at row 8 column 6. you are at row" in opening
        starts.add(game._start)
    assert len(starts) == 25 and (8, 6) not in starts  # all of LMRL-Gym's maze but the goal
    assert game.instance() is None
    far = networkx.single_source_shortest_path_length(graph(game._map), (8, 6))
    assert far[(1, 1)] == 12 and max(far.values()) == 12


@pytest.mark.parametrize("knobs", [{"maze": "double_t"}, {"size": 3}, {"size": 9, "view": "partial"}, {"size": 15}])
def test_the_expert_takes_a_shortest_way_also_after_mistakes(knobs: dict[str, Any]) -> None:
    game, rng = Maze(**knobs), np.random.default_rng(1)
    for _ in range(20):
        game.reset(rng)
        cells = graph(game._map)
        for mistake in ["", *rng.choice(game.valid_actions(), 3)]:
            game.step(mistake)
            if game._cell == game._goal:
                break
            before = networkx.shortest_path_length(cells, game._cell, game._goal)
            turn = game.step(game.expert_action())
            assert networkx.shortest_path_length(cells, game._cell, game._goal) == before - 1
            assert turn.terminated == (before == 1)
            if turn.terminated:
                break


@pytest.mark.parametrize("size", [3, 7, 15])
def test_random_mazes_are_trees_and_the_goal_is_the_farthest_cell(size: int) -> None:
    game, rng, seen = Maze(size=size), np.random.default_rng(2), set()
    for _ in range(30):
        game.reset(rng)
        cells = graph(game._map)
        assert networkx.is_tree(cells) and len(cells) == 2 * (size // 2 + 1) ** 2 - 1
        far = networkx.single_source_shortest_path_length(cells, game._start)
        assert far[game._goal] == max(far.values()) < game.max_turns
        seen.add(game.instance())
    assert size == 3 or len(seen) == 30


def test_every_small_maze_is_drawn() -> None:
    rng = np.random.default_rng(3)
    assert {random_maze(3, rng) for _ in range(200)} == {  # the four spanning trees of a square
        ("...", ".#.", ".#."),
        ("...", ".##", "..."),
        (".#.", ".#.", "..."),
        ("...", "##.", "..."),
    }


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start(SMALL, (1, 1), (2, 3)).step(text)
    assert turn.text and turn.reward in (-1.0, -4.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"maze": "t"}, "maze must be 'double_t' or 'random', not 't'"),
        ({"size": 8}, "size must be an odd number from 3 to 15, not 8"),
        ({"size": 17}, "size must be an odd number from 3 to 15, not 17"),
        ({"view": "none"}, "view must be 'full' or 'partial', not 'none'"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Maze(**knobs)
