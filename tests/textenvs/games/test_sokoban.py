from __future__ import annotations

from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.control.sokoban import Sokoban
from textenvs.games.control.sokoban_levels import Level, draw_level
from textenvs.games.control.sokoban_solver import solve

MOVES = {"left": (0, -1), "down": (1, 0), "right": (0, 1), "up": (-1, 0)}
TWO = "____ _#_X _OX_ ##PO"


def start(picture: str) -> Sokoban:
    """A game at a map as the game itself draws it."""
    rows = picture.split()
    size = len(rows) + 2
    marks = {(i + 1) * size + j + 1: mark for i, row in enumerate(rows) for j, mark in enumerate(row)}
    boxes = frozenset(cell for cell, mark in marks.items() if mark in "X*")
    game = Sokoban(size, len(boxes), 1)
    game._level = Level(
        size,
        frozenset(cell for cell, mark in marks.items() if mark != "#"),
        frozenset(cell for cell, mark in marks.items() if mark in "OS*"),
        boxes,
        next(cell for cell, mark in marks.items() if mark in "PS"),
    )
    game._boxes, game._player = game._level.boxes, game._level.player
    assert game.instance() == picture
    return game


def pushed(picture: str, move: str) -> str:
    """The map after a move, worked out on its letters."""
    rows = [list(row) for row in picture.split()]
    at = next((i, j) for i, row in enumerate(rows) for j, mark in enumerate(row) if mark in "PS")
    cells = [(at[0] + n * MOVES[move][0], at[1] + n * MOVES[move][1]) for n in range(3)]
    line = [rows[i][j] if 0 <= i < len(rows) and 0 <= j < len(rows[0]) else "#" for i, j in cells]
    if line[1] == "#" or (line[1] in "X*" and line[2] in "#X*"):
        return picture
    ground = ["O" if mark in "OS*" else "_" for mark in line]
    new = [ground[0], "S" if ground[1] == "O" else "P"]
    if line[1] in "X*":
        new.append("*" if ground[2] == "O" else "X")
    for (i, j), mark in zip(cells, new, strict=False):
        rows[i][j] = mark
    return " ".join("".join(row) for row in rows)


def fewest(picture: str) -> int | None:
    """The fewest moves by breadth-first search over maps."""
    seen, level, moves = {picture}, [picture], 0
    while level:
        moves += 1
        level = sorted({pushed(each, move) for each in level for move in MOVES} - seen)
        seen |= set(level)
        if any("X" not in each for each in level):
            return moves
    return None


def test_an_episode() -> None:
    game = start(TWO)
    assert game.step("go left") == ("blocked. map: ____ _#_X _OX_ ##PO", -0.1, False, {})
    assert game.step("onwards") == ("say left, down, right or up.", -0.1, False, {})
    assert game.step("east").text == "map: ____ _#_X _OX_ ##_S"
    assert game.step("push up").text == "map: ____ _#_X _OXP ##_O"
    assert game.step("LEFT") == ("map: ____ _#_X _*P_ ##_O", 0.9, False, {})
    assert game.step("left") == ("map: ____ _#_X XS__ ##_O", -1.1, False, {})
    game = start("____ _#__ _*PX ##_O")
    for move in ("up", "up", "right"):
        game.step(move)
    assert game._draw(game._boxes, game._player) == "___P _#__ _*_X ##_O"
    assert game.step("down").reward == -0.1
    assert game.step("down") == ("solved.", pytest.approx(10.9), True, {"success": True})


@pytest.mark.parametrize(
    ("said", "moved"), [("UP", True), ("I go north!", True), ("n", True), ("up or down", False), ("push", False)]
)
def test_reading(said: str, moved: bool) -> None:
    game = start("OX_ ___ _P_")
    game.step(said)
    assert game._draw(game._boxes, game._player) == ("OX_ _P_ ___" if moved else "OX_ ___ _P_")


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_moves_and_rewards_are_those_of_the_letters(level: str) -> None:
    game, rng = Sokoban(**Sokoban.levels[level]), np.random.default_rng(0)
    for _ in range(8):
        game.reset(rng)
        picture = str(game.instance())
        for move in rng.choice(list(MOVES), 60):
            after = pushed(picture, move)
            turn = game.step(move)
            solved = "X" not in after
            assert turn.reward == pytest.approx(-0.1 + after.count("*") - picture.count("*") + 10 * solved)
            if solved:
                assert turn.terminated
                break
            assert turn.text == f"{'blocked. ' if after == picture else ''}map: {after}"
            picture = after


@pytest.mark.parametrize("knobs", [{"boxes": 1, "moves": 5}, {"size": 5, "boxes": 2}, {}])
def test_the_expert_needs_the_fewest_moves_also_after_mistakes(knobs: dict[str, Any]) -> None:
    game, rng, solved = Sokoban(**knobs), np.random.default_rng(1), 0
    for _ in range(12):
        game.reset(rng)
        for mistake in [None, *rng.choice(list(MOVES), 2)]:
            if mistake is not None and game.step(mistake).terminated:
                break
            picture = game._draw(game._boxes, game._player)
            best = fewest(picture)
            level = game._level
            found = solve(level.size, level.floor, level.targets, game._boxes, game._player)
            assert (None if found is None else len(found)) == best
            solved += best is not None
    assert solved > 12
    game.reset(rng)
    turns, best = 1, fewest(str(game.instance()))
    while not game.step(game.expert_action()).terminated:
        turns += 1
    assert turns == best >= game.moves


@pytest.mark.parametrize("picture", ["X__ _P_ __O", "XX_ _P_ OO_", "_XX_ O_XP O___ O___"])
def test_lost_boxes(picture: str) -> None:
    game = start(picture)
    level = game._level
    assert fewest(picture) is None
    assert solve(level.size, level.floor, level.targets, game._boxes, game._player) is None
    assert game.expert_action() == "left"


@pytest.mark.parametrize(("size", "boxes"), [(5, 2), (6, 1), (7, 3), (8, 3)])
def test_rooms_hang_together(size: int, boxes: int) -> None:
    rng, seen = np.random.default_rng(2), set()
    for _ in range(30):
        level = draw_level(size, boxes, rng)
        grid = networkx.Graph()
        grid.add_nodes_from(level.floor)
        grid.add_edges_from((a, a + step) for a in level.floor for step in (1, size) if a + step in level.floor)
        assert networkx.is_connected(grid)
        assert all(0 < cell // size < size - 1 and 0 < cell % size < size - 1 for cell in level.floor)
        assert len(level.boxes) == len(level.targets) == boxes and level.boxes | level.targets <= level.floor
        assert not level.boxes & level.targets and level.player in level.floor - level.boxes
        assert solve(size, level.floor, level.targets, level.boxes, level.player) is not None
        seen.add(level)
    assert len(seen) > 25


@pytest.mark.parametrize("level", ["easy", "medium", "hard"])
def test_levels_are_as_hard_as_asked_and_differ(level: str) -> None:
    game, rng, seen = Sokoban(**Sokoban.levels[level]), np.random.default_rng(3), set()
    for _ in range(60):
        opening = game.reset(rng)
        assert opening.endswith(f"map: {game.instance()}") and len(opening.split()) < 60
        seen.add(game.instance())
        solution = solve(game.size, game._level.floor, game._level.targets, game._boxes, game._player)
        assert solution is not None and game.moves <= len(solution) < game.max_turns
    assert len(seen) > 50


GAME = start(TWO)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = GAME.step(text)
    assert turn.text and turn.reward < 11


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"size": 4}, "size must be 5 to 8, not 4"),
        ({"size": 9}, "size must be 5 to 8, not 9"),
        ({"boxes": 4}, "boxes must be 1 to 3 in a room of size 6, not 4"),
        ({"size": 5, "boxes": 3}, "boxes must be 1 to 2 in a room of size 5, not 3"),
        ({"moves": 11}, "moves must be 1 to 10 with 2 boxes, not 11"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sokoban(**knobs)
