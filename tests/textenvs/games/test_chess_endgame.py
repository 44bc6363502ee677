from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textenvs.games.board.mates import mates

chess = pytest.importorskip("chess")

from textenvs.games.board.chess_endgame import ChessEndgame  # noqa: E402

# Positions of king and rook against king, the lone king to move, up to rotation and reflection, that are drawn or lost
# in 0, 1, ... 16 moves: the class distribution of the UCI data set krkopt (Bain 1994).
KRKOPT = [2796, 27, 78, 246, 81, 198, 471, 592, 683, 1433, 1712, 1985, 2854, 3597, 4194, 4553, 2166, 390]
PIECES = {"rook": chess.ROOK, "queen": chess.QUEEN}


def position(piece: str, squares: tuple[int, ...], turn: bool) -> Any:
    board = chess.Board(None)
    men = (chess.KING, chess.WHITE), (PIECES[piece], chess.WHITE), (chess.KING, chess.BLACK)
    for square, man in zip(squares, men, strict=True):
        board.set_piece_at(int(square), chess.Piece(*man))
    board.turn = turn
    return board


def looked_up(piece: str, board: Any) -> int:
    """The table's distance of a position; -1 if the piece is taken."""
    men = list(board.pieces(PIECES[piece], chess.WHITE))
    if not men:
        return -1
    table = mates(piece).strong if board.turn else mates(piece).lone
    return int(table[board.king(chess.WHITE), men[0], board.king(chess.BLACK)])


def after(board: Any, move: Any) -> Any:
    board = board.copy(stack=False)
    board.push(move)
    return board


@pytest.mark.parametrize("piece", PIECES)
def test_the_table_agrees_with_the_moves_of_python_chess(piece: str) -> None:
    rng = np.random.default_rng(0)
    met = {True: 0, False: 0}
    for _ in range(2500):
        squares, turn = tuple(rng.choice(64, 3, replace=False)), bool(rng.integers(2))
        board, table = position(piece, squares, turn), mates(piece).strong if turn else mates(piece).lone
        if not board.is_valid():
            assert table[squares] == -1
            continue
        met[turn] += 1
        next_ones = [looked_up(piece, after(board, move)) for move in board.legal_moves]
        if turn:
            assert table[squares] == 1 + min(distance for distance in next_ones if distance >= 0)
        elif not next_ones:
            assert table[squares] == (0 if board.is_checkmate() else -1)
        else:
            assert table[squares] == (-1 if -1 in next_ones else max(next_ones))
    assert min(met.values()) > 500
    assert (mates(piece).strong.max(), mates(piece).lone.max()) == ((16, 16) if piece == "rook" else (10, 10))


def test_every_mate_of_the_table_is_one() -> None:
    for piece in PIECES:
        for squares in np.argwhere(mates(piece).lone == 0):
            assert position(piece, tuple(squares), chess.BLACK).is_checkmate()


def test_the_table_has_the_published_numbers_of_positions() -> None:
    ranks, files = np.divmod(np.arange(64), 8)
    maps = [8 * a + b for i, j in ((ranks, files), (files, ranks)) for a in (i, 7 - i) for b in (j, 7 - j)]
    index = np.arange(64**3).reshape(64, 64, 64)
    least = np.minimum.reduce([(m[:, None, None] * 64 + m[:, None]) * 64 + m for m in maps])
    far = np.maximum(abs(ranks[:, None] - ranks), abs(files[:, None] - files))
    legal = (far[:, :, None] > 0) & (far[None] > 0) & (far[:, None, :] > 1)  # the lone king is to move
    distances = mates("rook").lone[legal & (least == index)]
    assert [int((distances == n).sum()) for n in range(-1, 17)] == KRKOPT
    assert int((mates("queen").lone[legal] == -1).sum()) == 23_048  # draws, also published


@pytest.mark.parametrize("piece", PIECES)
def test_the_expert_mates_in_the_fewest_moves_against_perfect_defence(piece: str) -> None:
    game, rng = ChessEndgame(piece, "perfect"), np.random.default_rng(1)
    for _ in range(25):
        game.reset(rng)
        distance = looked_up(piece, game._board)
        turns = [game.step(game.expert_action()) for _ in range(distance)]
        assert [turn.terminated for turn in turns] == [False] * (distance - 1) + [True]
        assert turns[-1] == ("mate, you win.", 1.0, True, {"success": True})
        assert sum(turn.reward for turn in turns) == pytest.approx(1 - 0.02 * (distance - 1))


def test_the_expert_needs_no_more_moves_against_others_and_after_mistakes() -> None:
    game, rng = ChessEndgame("rook", "random"), np.random.default_rng(2)
    for _ in range(25):
        game.reset(rng)
        if game.step(game.valid_actions()[int(rng.integers(len(game.valid_actions())))]).terminated:
            continue
        distance = looked_up("rook", game._board)
        turns = 0
        while not game.step(game.expert_action()).terminated:
            turns += 1
            assert looked_up("rook", game._board) <= distance - turns
        assert turns < distance


@pytest.mark.parametrize("level", ChessEndgame.levels)
def test_starts(level: str) -> None:
    knobs = ChessEndgame.levels[level]
    game, rng, seen = ChessEndgame(**knobs), np.random.default_rng(3), set()
    distances = set()
    for _ in range(1000):
        opening = game.reset(rng)
        assert game._board.is_valid() and game._board.turn
        distances.add(looked_up(game.piece, game._board))
        assert opening == f"chess endgame. {game.instance()} mate me in 50 moves. you begin."
        seen.add(game.instance())
        assert len(game.valid_actions()) <= game.max_choices
    assert len(seen) > 950
    assert distances >= set(range(game.least, min(game.most, 15) + 1)) and max(distances) <= game.most
    counts = {"easy": 16_524, "medium": 53_988, "hard": 138_352}  # as the page says
    table = mates(game.piece).strong
    assert int(((table >= game.least) & (table <= game.most)).sum()) == counts[level]


def test_no_position_has_more_legal_moves_than_max_choices() -> None:
    rng = np.random.default_rng(5)
    for piece, *most in (("queen", chess.B2, chess.E4, chess.F1), ("rook", chess.B2, chess.D1, chess.E2)):
        starts = np.argwhere(mates(piece).strong > 0)
        counts = [
            position(piece, tuple(squares), chess.WHITE).legal_moves.count()
            for squares in rng.choice(starts, 1000, replace=False)
        ]
        board = position(piece, tuple(most), chess.WHITE)
        assert max(counts) <= board.legal_moves.count() == ChessEndgame(piece).max_choices


def start(piece: str, king: str, man: str, lone: str, *replies: str) -> ChessEndgame:
    """A game in this position against an opponent who goes to these squares."""
    game = ChessEndgame(piece, "random")
    game.reset(np.random.default_rng(0))
    game._board = position(piece, tuple(map(chess.parse_square, (king, man, lone))), chess.WHITE)

    class Scripted:
        def choice(self, count: int, p: list[float]) -> int:
            moves = [chess.square_name(move.to_square) for move in game._legal()]
            return moves.index(replies[game._board.fullmove_number - 1])

    game._rng = Scripted()  # type: ignore[assignment]
    return game


def test_an_episode() -> None:
    game = start("rook", "c6", "h7", "b8", "a8")
    assert game.step("rook to h7") == ("say a move of your king or rook, such as king d4.", -0.1, False, {})
    assert game.step("king b7") == ("king b7 is not a legal move.", -0.1, False, {})
    assert game.step("king b6") == ("i move to a8. your king b6, your rook h7, my king a8.", -0.02, False, {})
    assert "rook h8" in game.valid_actions() and game.expert_action() == "rook h8"
    assert game.step("Rh8#") == ("mate, you win.", 1.0, True, {"success": True})


def test_draws_cost_all_the_turns_that_are_left() -> None:
    game = start("queen", "h1", "c2", "b8", "a8")
    assert game.step("king h2").reward == -0.02
    turn = game.step("queen c7")
    assert turn.text == "stalemate, a draw." and turn.terminated and turn.info == {"success": False}
    assert turn.reward == pytest.approx(-0.98)
    game = start("rook", "a1", "d5", "e7", "e6", "d5")
    first, second = game.step("king a2"), game.step("king a3")
    assert second.text == "i take your rook, a draw." and second.terminated
    assert first.reward + second.reward == pytest.approx(-1.0)


def test_the_perfect_opponent_takes_the_piece_or_delays() -> None:
    for opponent, taken in (("perfect", 40), ("random", 15)):
        game, rng, count = ChessEndgame("rook", opponent), np.random.default_rng(4), 0
        for _ in range(40):
            game.reset(rng)
            game._board = position("rook", (chess.A1, chess.E5, chess.E6), chess.BLACK)
            game._reply()
            count += not game._board.pieces(chess.ROOK, chess.WHITE)
        assert count == taken if opponent == "perfect" else 0 < count < taken


def test_the_opponent_moves_by_its_policy() -> None:
    game, draws = ChessEndgame("rook", 0.6), 800
    game.reset(np.random.default_rng(0))
    men = (chess.D3, chess.A5, chess.E6)
    board = position("rook", men, chess.BLACK)
    distances = {move.to_square: looked_up("rook", after(board, move)) for move in board.legal_moves}
    best = [square for square, distance in distances.items() if distance == max(distances.values())]
    assert 0 < len(best) < len(distances)
    counts = dict.fromkeys(distances, 0)
    for _ in range(draws):
        game._board = position("rook", men, chess.BLACK)
        counts[chess.parse_square(game._reply())] += 1
    for square, count in counts.items():
        chance = 0.4 / len(distances) + 0.6 * (square in best) / len(best)
        assert count / draws == pytest.approx(chance, abs=0.06)


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("rook a4", "d4a4"),
        ("ROOK TO A4!", "d4a4"),
        ("move my rook from d4 to a4", "d4a4"),
        ("to a4 from d4", "d4a4"),
        ("I castle... no, the tower goes to a4", "d4a4"),
        ("d4a4", "d4a4"),
        ("d4-a4", "d4a4"),
        ("d4 a4", "d4a4"),
        ("Ra4", "d4a4"),
        ("Ra4+", "d4a4"),
        ("Rd4a4", "d4a4"),
        ("a4", "d4a4"),
        ("king to b three", "b2b3"),
        ("Kb3", "b2b3"),
        ("b2b3", "b2b3"),
        ("b3", "b2b3"),
        ("b4", "d4b4"),
        ("king b2 to b3", "b2b3"),
        ("king b4", None),
        ("d2", "d4d2"),
        ("rook", None),
        ("rook a4 or a3", None),
        ("king and rook to d2", None),
        ("queen a4", None),
        ("rook b2b3", None),
        ("e4e5", None),
        ("d9", None),
        ("c8", None),
        ("", None),
    ],
)
def test_what_is_understood(text: str, move: str | None) -> None:
    game = start("rook", "b2", "d4", "h8", "h7")
    reply = game.step(text)
    assert (reply.reward == -0.1) == (move is None)
    assert (game._board.move_stack[0].uci() if game._board.move_stack else None) == move


def test_an_ambiguous_square_is_not_understood() -> None:
    assert start("rook", "b2", "d3", "h8").step("b3").reward == -0.1
    assert start("rook", "b2", "d3", "h8", "h7").step("rook b3").reward == -0.02


@settings(max_examples=60)
@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    game = ChessEndgame()
    game.reset(np.random.default_rng(0))
    assert game.step(text).text


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"piece": "bishop"}, "piece must be 'rook' or 'queen', not 'bishop'"),
        ({"most": 17}, "most must be 1 to 16 with a rook, or None, not 17"),
        ({"piece": "queen", "most": 11}, "most must be 1 to 10 with a queen, or None, not 11"),
        ({"least": 5, "most": 4}, "least must be 1 to 4, the most, not 5"),
        ({"opponent": 2}, "opponent must be 'random' or 'perfect', or the probability"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChessEndgame(**knobs)
