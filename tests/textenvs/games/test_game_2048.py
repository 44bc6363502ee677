from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board import slide_2048
from textenvs.games.board.game_2048 import Game2048

DIRECTIONS = ("left", "down", "right", "up")
Board = list[list[int]]


def tiles(text: str) -> Board:
    """A board as the game shows it, as binary logarithms."""
    return [[0 if tile == "-" else int(tile).bit_length() - 1 for tile in row.split()] for row in text.split("/")]


def fixed(board: Board) -> slide_2048.Board:
    return tuple(map(tuple, board))


def start(text: str, target: int = 64) -> Game2048:
    board = tiles(text)
    game = Game2048(len(board), target)
    game.reset(np.random.default_rng(0))
    game._board = fixed(board)
    return game


def turned(board: Board, times: int) -> Board:
    """A board turned clockwise by quarters."""
    for _ in range(times % 4):
        board = [list(row) for row in zip(*board[::-1], strict=True)]
    return board


def slid(board: Board, direction: str) -> Board:
    """Another implementation: turned so that the tiles go left, each one pushed until it stops."""
    quarters = {"left": 0, "down": 1, "right": 2, "up": 3}[direction]
    board = [row.copy() for row in turned(board, quarters)]
    for row in board:
        merged = [False] * len(row)
        for start in range(len(row)):
            place = start
            while place and row[place] and not row[place - 1]:
                row[place - 1], row[place] = row[place], 0
                place -= 1
            if place and row[place] and row[place - 1] == row[place] and not merged[place - 1]:
                row[place - 1], row[place] = row[place] + 1, 0
                merged[place - 1] = True
    return turned(board, 4 - quarters)


def flat(board: Board) -> list[int]:
    return [tile for row in board for tile in row]


def worth(board: Board) -> int:
    """The points that it takes to make a board's tiles out of twos."""
    return sum((tile - 1) << tile for tile in flat(board) if tile)


def board_value(board: Board) -> float:
    return sum(map(slide_2048._row_value, [*board, *map(list, zip(*board, strict=True))]))


def move_values(board: Board, target: int, depth: int) -> list[float]:
    """Expectimax by plain recursion; -1 where nothing moves."""
    values = []
    for direction in DIRECTIONS:
        after = slid(board, direction)
        if after == board:
            values.append(-1.0)
        elif target in flat(after):
            values.append(slide_2048._WON)
        elif not depth:
            values.append(board_value(after))
        else:
            empty = [(i, j) for i, row in enumerate(after) for j, tile in enumerate(row) if not tile]
            total = 0.0
            for i, j in empty:
                for tile, chance in ((1, 0.9), (2, 0.1)):
                    after[i][j] = tile
                    total += chance * max(0.0, *move_values(after, target, depth - 1))
                after[i][j] = 0
            values.append(total / len(empty))
    return values


@st.composite
def boards(draw: st.DrawFn) -> Board:
    size = draw(st.integers(3, 4))
    return [draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)) for _ in range(size)]


@given(boards())
def test_sliding(board: Board) -> None:
    for direction in DIRECTIONS:
        after, points = slide_2048.slide(fixed(board), direction)
        assert after == fixed(slid(board, direction))
        assert points == worth(after) - worth(board)


@pytest.mark.parametrize(
    ("row", "after", "points"),
    [
        ([1, 1, 1, 1], [2, 2, 0, 0], 8),
        ([1, 1, 2, 0], [2, 2, 0, 0], 4),
        ([1, 1, 1, 0], [2, 1, 0, 0], 4),
        ([0, 3, 0, 3], [4, 0, 0, 0], 16),
        ([1, 2, 1, 2], [1, 2, 1, 2], 0),
    ],
)
def test_sliding_by_hand(row: list[int], after: list[int], points: int) -> None:
    assert slide_2048.slide_row(tuple(row)) == (tuple(after), points)
    assert slide_2048.slide_row(tuple(row[::-1]), backwards=True) == (tuple(after[::-1]), points)


def test_the_values_are_those_of_plain_recursion() -> None:
    rng = np.random.default_rng(0)
    for empty, depth in ((7, 1), (7, 1), (5, 1), (4, 2), (2, 2), (1, 3), (0, 3)):
        board = rng.integers(1, 5, 9)
        board[rng.permutation(9)[:empty]] = 0
        rows = board.reshape(3, 3).tolist()
        expected = move_values(rows, 5, depth)
        np.testing.assert_allclose(slide_2048.direction_values(rows, 5, depth), expected, rtol=1e-12)
        best = slide_2048.best_direction(tuple(map(tuple, rows)), 5)
        assert expected[DIRECTIONS.index(best)] == pytest.approx(max(expected), rel=1e-9)


def test_an_episode() -> None:
    game = start("2 2 4 / 4 8 16 / - - -", target=32)
    assert game.max_turns == 32
    assert game.valid_actions() == ["left", "down", "right"]
    assert game.step("up") == ("nothing moves up.", 0.0, False, {})
    assert game.step("hm") == ("say left, down, right or up.", -0.1, False, {})
    turn = game.step("go left")
    assert (turn.reward, turn.terminated) == (4 / 128, False)
    assert turn.text.startswith("4 ") and sorted(flat(tiles(turn.text)))[-5:] == [2, 2, 2, 3, 4]
    game._board = fixed(tiles("16 16 - / - 4 - / - - 4"))
    turn = game.step("right")
    assert turn.text == "- - 32 / - - 4 / - - 4. you reach 32."
    assert turn.reward == 1 - 4 / 128 and turn.terminated
    assert turn.info == {"success": True, "points": 36, "largest": 32}


def test_no_more_than_one_is_paid() -> None:
    game = start("16 16 - / - - - / - - -")
    game._points = game._worth - 2
    assert game.step("left").reward == 2 / (64 * 5)
    game._board = fixed(tiles("32 32 - / - - - / - - -"))
    assert game.step("left")[1:3] == (0.0, True)


def test_the_end_when_nothing_can_move() -> None:
    game = start("4 8 4 / 8 16 8 / - 64 32", target=128)
    turn = game.step("left")
    assert turn.terminated and turn.reward == 0.0
    assert turn.text in ("4 8 4 / 8 16 8 / 64 32 2. nothing can move.", "4 8 4 / 8 16 8 / 64 32 4. nothing can move.")
    assert turn.info == {"success": False, "points": 0, "largest": 64}
    assert game.valid_actions() == []


def test_new_tiles_are_fours_in_one_of_ten_and_come_anywhere() -> None:
    counts, draws = np.zeros((9, 2)), 3000
    for seed in range(draws):
        game = Game2048(3)
        game.reset(np.random.default_rng(seed))
        for place, tile in enumerate(flat(game._board)):
            if tile:
                counts[place, tile - 1] += 1
    assert counts.sum() == 2 * draws
    expected = np.outer(np.ones(9), (0.9, 0.1)) * 2 * draws / 9
    assert (abs(counts - expected) < 5 * np.sqrt(expected)).all()


@pytest.mark.parametrize(("size", "target", "least"), [(3, 64, 0.9), (4, 64, 1.0), (3, 128, 0.8)])
def test_the_expert_reaches_the_target(size: int, target: int, least: float) -> None:
    reached = []
    for seed in range(10):
        game, total = Game2048(size, target), 0.0
        game.reset(np.random.default_rng(seed))
        for _ in range(game.max_turns):
            turn = game.step(game.expert_action())
            total += turn.reward
            if turn.terminated:
                break
        assert turn.terminated and (total == pytest.approx(1) if turn.info["success"] else total < 1)
        reached.append(turn.info["success"])
    assert np.mean(reached) >= least


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start("2 - - / - 4 - / - - -").step(text)
    assert turn.text and turn.reward in (-0.1, 0.0)


@pytest.mark.parametrize("text", ["left", "Slide LEFT!", "west", "swipe to the left", "l"])
def test_directions_that_are_understood(text: str) -> None:
    assert start("- - 8 / - - - / - - -").step(text).text.startswith("8 ")


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"size": 5}, "size must be 3 or 4, not 5"),
        ({"target": 100}, "target must be a power of two from 8 to 2048 for size 4, not 100"),
        ({"size": 3, "target": 1024}, "target must be a power of two from 8 to 512 for size 3, not 1024"),
        ({"target": 4}, "target must be a power of two from 8"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Game2048(**knobs)
