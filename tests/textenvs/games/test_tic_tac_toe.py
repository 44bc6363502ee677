from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board import noughts
from textenvs.games.board.tic_tac_toe import TicTacToe

Squares = tuple[int, ...]  # 1 of x, -1 of o, 0 free
SKILLS = [0.0, 0.4, 1.0]


class Scripted:
    """In place of a generator: the opponent takes these squares (1 to 9), which its policy must admit."""

    def __init__(self, *squares: int) -> None:
        self.squares = list(squares)

    def choice(self, squares: list[int], p: list[float]) -> int:
        square = self.squares.pop(0) - 1
        assert p[squares.index(square)] > 0
        return square


def start(mark: str, *replies: int, opponent: float | str = "random") -> TicTacToe:
    """A game of the player ``mark`` against an opponent who takes these squares."""
    game = TicTacToe(opponent)
    seed = next(seed for seed in range(99) if f"you are {mark}" in game.reset(np.random.default_rng(seed)))
    game.reset(np.random.default_rng(seed))
    game._board, game._rng = noughts.EMPTY, Scripted(*replies)  # type: ignore[assignment]
    if mark == "o":
        game._reply()
    return game


@cache
def result(board: Squares) -> int | None:
    """1 or -1 if x or o has won, 0 for a full board, ``None`` while the game goes on."""
    rows, columns = [board[i : i + 3] for i in (0, 3, 6)], [board[i::3] for i in range(3)]
    sums = [sum(line) for line in (*rows, *columns, board[::4], board[2:7:2])]
    if 3 in sums or -3 in sums:
        return 1 if 3 in sums else -1
    return None if 0 in board else 0


def after(board: Squares, square: int) -> Squares:
    return (*board[:square], 1 - 2 * sum(board), *board[square + 1 :])


def marks(board: Squares) -> str:
    return "".join(".xo"[mark] for mark in board)


@cache
def forced(board: Squares) -> tuple[int, int]:
    """What x can force, and after how many moves, each side playing for the result and then for (or against) time."""
    if (done := result(board)) is not None:
        return done, 0
    sign = 1 - 2 * sum(board)
    outcomes = [forced(after(board, square)) for square in range(9) if not board[square]]
    worth = max(sign * won for won, _ in outcomes)
    times = [time for won, time in outcomes if sign * won == worth]
    return sign * worth, 1 + (min(times) if worth > 0 else max(times))


def opponent_moves(board: Squares, skill: float) -> dict[int, float]:
    squares = [square for square in range(9) if not board[square]]
    best = forced(board)
    perfect = [square for square in squares if forced(after(board, square)) == (best[0], best[1] - 1)]
    return {square: (1 - skill) / len(squares) + skill * (square in perfect) / len(perfect) for square in squares}


@cache
def expected(board: Squares, player: int, skill: float, best: bool) -> float:
    """The player's expected result, with the best moves or with the expert's."""
    if (done := result(board)) is not None:
        return player * done
    if 1 - 2 * sum(board) != player:
        return sum(p * expected(after(board, s), player, skill, best) for s, p in opponent_moves(board, skill).items())
    if best:
        return max(expected(after(board, s), player, skill, best) for s in range(9) if not board[s])
    game = TicTacToe(skill)
    game._board = marks(board)
    return expected(after(board, int(game.expert_action()) - 1), player, skill, best)


@cache
def positions() -> list[Squares]:
    """All that can be reached before the end of a game."""
    found, frontier = set(), [(0,) * 9]
    while frontier:
        board = frontier.pop()
        if board not in found and result(board) is None:
            found.add(board)
            frontier += [after(board, square) for square in range(9) if not board[square]]
    return sorted(found)


@pytest.mark.parametrize("skill", SKILLS)
def test_no_player_has_a_better_expected_result_than_the_expert_from_any_position(skill: float) -> None:
    for board in positions():
        player = 1 - 2 * sum(board)
        ours, theirs = (expected(board, player, skill, best) for best in (False, True))
        assert ours == pytest.approx(theirs, abs=1e-7)


def test_known_values() -> None:
    empty = (0,) * 9
    assert len(positions()) == 4520  # of the 5,478 positions 958 are ends
    assert expected(empty, 1, 0.0, False) == pytest.approx(191 / 192)
    assert forced(empty) == (0, 9)
    returns = {"easy": 0.865, "medium": 0.693, "hard": 0.188}
    for level, value in returns.items():  # as the page says
        skill = TicTacToe(**TicTacToe.levels[level]).skill
        assert sum(expected(empty, player, skill, True) for player in (1, -1)) / 2 == pytest.approx(value, abs=5e-4)


@pytest.mark.parametrize("skill", SKILLS)
def test_the_policy_of_the_opponent(skill: float) -> None:
    for board in positions()[::3]:
        chances = noughts.policy(marks(board), skill)
        assert chances == pytest.approx(list(opponent_moves(board, skill).values()))
        assert noughts.free(marks(board)) == list(opponent_moves(board, skill))


def test_the_opponent_moves_by_its_policy() -> None:
    game, counts, draws = TicTacToe(0.6), np.zeros(9), 2000
    game._rng = np.random.default_rng(0)
    for _ in range(draws):
        game._board = "xx.o....o"
        game._board = noughts.play(game._board, 4)
        counts[game._reply() - 1] += 1
    chances = np.zeros(9)
    chances[noughts.free("xx.ox...o")] = noughts.policy("xx.ox...o", 0.6)
    assert (abs(counts / draws - chances) <= 4 * np.sqrt(chances * (1 - chances) / draws)).all()


def test_both_sides_are_drawn() -> None:
    game, rng = TicTacToe(), np.random.default_rng(0)
    openings = [game.reset(rng) for _ in range(200)]
    assert 60 < sum("you are x." in opening for opening in openings) < 140
    assert {opening for opening in openings if "you are x." in opening} == {
        "tic-tac-toe. you are x. board: 123 456 789. take a square."
    }
    assert game.instance() is None


def test_a_win() -> None:
    game = start("x", 4, 7)
    assert game.step("1") == ("i take 4: x23 o56 789.", 0.0, False, {})
    assert game.step("4") == ("4 is taken. say a free square.", -0.1, False, {})
    assert game.step("pass") == ("say one free square, 1 to 9.", -0.1, False, {})
    assert game.step("2") == ("i take 7: xx3 o56 o89.", 0.0, False, {})
    assert game.valid_actions() == ["3", "5", "6", "8", "9"]
    assert game.expert_action() == "3"
    assert game.step("top right") == ("three in a row, you win.", 1.0, True, {"success": True})


def test_a_loss() -> None:
    game = start("o", 1, 5, 9)
    assert game.step("2") == ("i take 5: xo3 4x6 789.", 0.0, False, {})
    assert game.expert_action() == "9"
    assert game.step("3") == ("i take 9. three in a row, you lose.", -1.0, True, {"success": False})


def test_draws() -> None:
    game = start("o", 1, 3, 8, 4, 9)
    for square in ("5", "2", "7", "6"):
        turn = game.step(square)
    assert turn == ("i take 9. a draw.", 0.0, True, {"success": False})
    game = start("x", 5, 2, 7, 6)
    for square in ("1", "3", "8", "4", "9"):
        turn = game.step(square)
    assert turn == ("a draw.", 0.0, True, {"success": False})


def test_to_stall_costs_more_than_to_lose() -> None:
    game = start("o", 1)
    assert sum(game.step("i resign").reward for _ in range(game.max_turns - 4)) < -1


@pytest.mark.parametrize(
    ("text", "square"),
    [
        ("5", 5),
        ("I take square 7!", 7),
        ("square five", 5),
        ("5, yes 5", 5),
        ("the fifth square", 5),
        ("one", 1),
        ("five or six", None),
        ("Top Left", 1),
        ("the upper right corner", 3),
        ("i'll take the one in the middle", 5),
        ("centre", 5),
        ("the midle of the botom row", 8),
        ("left center", 4),
        ("lower-right", 9),
        ("row 1, column 3", 3),
        ("column 1 row 2", 4),
        ("row three, col one", 7),
        ("5 or 6", None),
        ("10", None),
        ("0", None),
        ("row 4 column 1", None),
        ("top", None),
        ("the left one", None),
        ("left or right", None),
        ("", None),
    ],
)
def test_what_is_understood(text: str, square: int | None) -> None:
    game = start("x", 2, opponent="random") if square != 2 else start("x", 1)
    turn = game.step(text)
    if square is None:
        assert turn == ("say one free square, 1 to 9.", -0.1, False, {})
    else:
        assert game._board[square - 1] == "x" and game._board.count("x") == 1


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    game = TicTacToe()
    game.reset(np.random.default_rng(0))
    assert game.step(text).text


def test_names_of_opponents() -> None:
    assert [TicTacToe(name).skill for name in ("random", "perfect", 0.2)] == [0.0, 1.0, 0.2]


@pytest.mark.parametrize("opponent", ["strong", 1.5, -0.1, None])
def test_wrong_opponents(opponent: Any) -> None:
    with pytest.raises(ValueError, match="opponent must be 'random' or 'perfect', or the probability of"):
        TicTacToe(opponent)
