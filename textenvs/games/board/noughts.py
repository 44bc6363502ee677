"""Noughts and crosses: rules, perfect play, and the best play against an opponent that is perfect only now and then."""

from __future__ import annotations

from functools import cache, lru_cache

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
EMPTY = "." * 9
_DISCOUNT = 1 - 1e-9  # small enough to cost no point, and large enough that the sooner of equally sure wins is best

Board = str  # nine of "x", "o" and ".", row by row; x begins


def free(board: Board) -> list[int]:
    """The free squares, 0 to 8."""
    return [square for square, mark in enumerate(board) if mark == "."]


def mover(board: Board) -> str:
    """Whose turn it is."""
    return "xo"[board.count("x") - board.count("o")]


def play(board: Board, square: int) -> Board:
    """The board after the mover takes a square."""
    return board[:square] + mover(board) + board[square + 1 :]


def won(board: Board) -> bool:
    """Whether somebody (who can only have moved last) has three in a row."""
    return any(board[a] == board[b] == board[c] != "." for a, b, c in LINES)


@cache
def value(board: Board) -> int:
    """The mover's result under perfect play: 0 for a draw, else the larger the more squares are free at the end."""
    if won(board):
        return -1 - len(free(board))
    return max((-value(play(board, square)) for square in free(board)), default=0)


def policy(board: Board, skill: float) -> list[float]:
    """The probabilities of the opponent's moves to the ``free`` squares.

    With probability ``skill`` it takes one of the perfect moves, which win as soon or lose as late as can be, and else
    any; all that come into question are as probable.
    """
    squares = free(board)
    worths = [-value(play(board, square)) for square in squares]
    best = max(worths)
    return [(1 - skill) / len(squares) + skill * (worth == best) / worths.count(best) for worth in worths]


def best_square(board: Board, skill: float) -> int:
    """The square with the best expected result for the mover against an opponent of this skill."""
    return max(free(board), key=lambda square: round(_replied(play(board, square), skill), 12))


@lru_cache(maxsize=1 << 15)
def outlook(board: Board, skill: float) -> float:
    """The expected result, -1 to 1 and slightly discounted, of the best play for the mover against such an opponent."""
    if won(board):
        return -1.0
    return _DISCOUNT * max((_replied(play(board, square), skill) for square in free(board)), default=0.0)


@lru_cache(maxsize=1 << 15)
def _replied(board: Board, skill: float) -> float:
    """The player's expected result where the opponent is the mover."""
    squares = free(board)
    if won(board) or not squares:
        return float(won(board))
    chances = policy(board, skill)
    return sum(p * outlook(play(board, square), skill) for p, square in zip(chances, squares, strict=True))
