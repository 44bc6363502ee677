"""Mate a lone king with a king and a rook or queen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import chess
import numpy as np
from numpy.typing import NDArray

from textenvs.game import Game, Turn
from textenvs.games.board.mates import mates
from textenvs.games.board.opponents import ending, skill, unusable
from textenvs.parsing import MAX_CHARACTERS, words

_LONGEST = {"rook": 16, "queen": 10}  # moves to mate
_MOST_MOVES = {"rook": 22, "queen": 35}  # that are legal in any position
_TURNS = 50  # as in the fifty-move rule
_TURN_COST = 1 / _TURNS
_NEVER = 99  # more than any number of moves to mate
_NAMES = {"king": "king", "queen": "queen", "rook": "rook", "castle": "rook", "tower": "rook"}
_LETTERS = {"k": "king", "q": "queen", "r": "rook"}
_ONE_TO_EIGHT = "one two three four five six seven eight"
_RANKS = {word: str(n) for n, word in enumerate(_ONE_TO_EIGHT.split(), 1)}
_SPELLED = re.compile(rf"\b([a-h])[ -]?({'|'.join(_RANKS)})\b")  # "d four"
_MOVE = re.compile(r"(?<![a-z0-9])([kqr]?)x?([a-h][1-8])(?:[ -]?x?-?([a-h][1-8]))?(?![a-z0-9])")


class ChessEndgame(Game):
    """TextChessEndgame-v0: mate a lone king with your king and a rook or a queen.

    ## Description

    Chess with three men: you have a king and a rook or a queen, the opponent has a king. You begin, in a random
    position from which you can force mate in ``least`` to ``most`` moves. A stalemate, or the loss of the rook or
    queen, is a draw. With probability ``opponent`` the opponent makes a perfect move (it takes your rook or queen if it
    can, else it puts off the mate for as long as can be), else any legal move; all moves that come into question are as
    probable.

    ## Example transcript

    ```
    chess endgame. your king c7, your rook b4, my king g8. mate me in 50 moves. you begin.
    > king d7
    i move to g7. your king d7, your rook b4, my king g7.
    > king e7
    i move to g6. your king e7, your rook b4, my king g6.
    > rook b5
    i move to h6. your king e7, your rook b5, my king h6.
    > king f7
    i move to h7. your king f7, your rook b5, my king h7.
    > rook h5
    mate, you win.
    ```

    ## Observation

    The opening tells where the men stand; each reply tells the same after your move and the opponent's.

    ## Action

    Free text with one move in it: in words (``rook a4``, ``move the king to d four``, ``rook from a1 to a4``), as UCI
    (``a1a4``) or as SAN (``Ra4+``). A square alone will do if only one of your men can go there. What is no move, or no
    legal one, is not understood.

    The admissible utterances are all legal moves, as ``king d4`` or ``rook a4``.

    ## Reward

    1 for the mate; each move before it costs 0.02. A draw costs as much as all the turns that are left, so that without
    a mate the return is -1. An utterance that is no legal move costs 0.1.

    ## Episode end

    Terminated at mate (``success``), at stalemate and when your rook or queen is taken; truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``piece`` | queen | rook | rook | ``"queen"`` or ``"rook"`` |
    | ``opponent`` | 0.25 | 0.5 | 1 | probability of a perfect move; ``"random"`` is 0, ``"perfect"`` is 1 |
    | ``least`` | 1 | 1 | 8 | the fewest moves to mate at the start, both sides playing perfectly |
    | ``most`` | 3 | 8 | - | the most moves to mate; ``None`` (the default) is 16 with the rook, 10 with the queen |
    | ``max_turns`` | 50 | 50 | 50 | truncation, as by the fifty-move rule |

    There are 16,524 starts at easy, 53,988 at medium and 138,352 at hard.

    ## Expert

    Exact against perfect defence: by retrograde analysis of all positions it mates in the fewest moves that can be
    forced. Against a weaker opponent it needs no more than these, usually fewer, but does not speculate on mistakes.
    It always mates, with a mean return of 0.97, 0.91 and 0.80 at easy, medium and hard. Random moves have -0.95, -0.99
    and -1 and mate in 2.5%, 0.6% and 0% of the episodes.

    ## Source

    The endgames of LMRL-Gym (Abdulhai et al. 2023), there with Stockfish as the opponent, 1 for mate, 0 for a draw and
    -1 for each illegal move. The rules are those of python-chess.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"piece": "queen", "opponent": 0.25, "most": 3},
        "medium": {"most": 8},
        "hard": {"opponent": 1.0, "least": 8},
    }
    max_turns = _TURNS

    def __init__(
        self, piece: str = "rook", opponent: float | str = 0.5, least: int = 1, most: int | None = None
    ) -> None:
        if piece not in _LONGEST:
            raise ValueError(f"piece must be 'rook' or 'queen', not {piece!r}")
        longest = _LONGEST[piece]
        if most is not None and not 1 <= most <= longest:
            raise ValueError(f"most must be 1 to {longest} with a {piece}, or None, not {most!r}")
        if not 1 <= least <= (most or longest):
            raise ValueError(f"least must be 1 to {most or longest}, the most, not {least!r}")
        self.piece, self.skill, self.least, self.most = piece, skill(opponent), least, most or longest
        self.max_choices = _MOST_MOVES[piece]

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a position."""
        self._rng = rng
        starts = _starts(self.piece, self.least, self.most)
        king, piece, lone = np.unravel_index(starts[rng.integers(len(starts))], (64, 64, 64))
        self._board = chess.Board(None)
        self._board.set_piece_at(int(king), chess.Piece.from_symbol("K"))
        self._board.set_piece_at(int(piece), chess.Piece.from_symbol("R" if self.piece == "rook" else "Q"))
        self._board.set_piece_at(int(lone), chess.Piece.from_symbol("k"))
        self._start = self._shown()
        self._turns = 0
        return f"chess endgame. {self._start} mate me in {_TURNS} moves. you begin."

    def instance(self) -> str:
        """The position at the start."""
        return self._start

    def step(self, action: str) -> Turn:
        """Move; the opponent moves too."""
        self._turns += 1
        move = self._read(action)
        if move is None:
            return unusable(f"say a move of your king or {self.piece}, such as king d4.")
        if move not in self._board.legal_moves:
            return unusable(f"{self._named(move)} is not a legal move.")
        self._board.push(move)
        if self._board.is_checkmate():
            return ending("mate, you win.", 1.0)
        if self._board.is_stalemate():
            return self._drawn("stalemate, a draw.")
        square = self._reply()
        if not self._board.pieces_mask(self._piece_type(), chess.WHITE):
            return self._drawn(f"i take your {self.piece}, a draw.")
        return Turn(f"i move to {square}. {self._shown()}", -_TURN_COST)

    def valid_actions(self) -> list[str]:
        """The legal moves, by square."""
        return [self._named(move) for move in self._legal()]

    def expert_action(self) -> str:
        """The move after which the mate is nearest."""
        return self._named(min(self._legal(), key=self._moves_to_mate))

    def _moves_to_mate(self, move: chess.Move) -> int:
        """How many more moves the mate takes after one of either side."""
        self._board.push(move)
        table = mates(self.piece).strong if self._board.turn else mates(self.piece).lone
        squares = self._squares()
        self._board.pop()
        distance = -1 if squares is None else int(table[squares])
        return distance if distance >= 0 else _NEVER

    def _reply(self) -> str:
        """The lone king moves; its new square."""
        moves = self._legal()
        worths = [self._moves_to_mate(move) for move in moves]
        best = max(worths)
        chances = [
            (1 - self.skill) / len(moves) + self.skill * (worth == best) / worths.count(best) for worth in worths
        ]
        move = moves[int(self._rng.choice(len(moves), p=chances))]
        self._board.push(move)
        return chess.square_name(move.to_square)

    def _drawn(self, text: str) -> Turn:
        left = max(0, self.max_turns - self._turns)
        return ending(text, -_TURN_COST * (left + 1))

    def _legal(self) -> list[chess.Move]:
        return sorted(self._board.legal_moves, key=lambda move: (move.from_square, move.to_square))

    def _piece_type(self) -> int:
        return chess.ROOK if self.piece == "rook" else chess.QUEEN

    def _squares(self) -> tuple[int, int, int] | None:
        """Where the men stand, ``None`` if the piece is taken."""
        king, lone = self._board.king(chess.WHITE), self._board.king(chess.BLACK)
        pieces = list(self._board.pieces(self._piece_type(), chess.WHITE))
        assert king is not None and lone is not None
        return (king, pieces[0], lone) if pieces else None

    def _shown(self) -> str:
        king, piece, lone = map(chess.square_name, self._squares() or ())
        return f"your king {king}, your {self.piece} {piece}, my king {lone}."

    def _named(self, move: chess.Move) -> str:
        name = "king" if move.from_square == self._board.king(self._board.turn) else self.piece
        return f"{name} {chess.square_name(move.to_square)}"

    def _read(self, action: str) -> chess.Move | None:
        """The one move of one's own man, legal or not, that an utterance names."""
        king, piece, _ = self._squares() or (0, 0, 0)
        own = {"king": king, self.piece: piece}
        text = _SPELLED.sub(lambda said: said[1] + _RANKS[said[2]], action[:MAX_CHARACTERS].lower())
        found = _MOVE.findall(text)
        named = {_LETTERS[letter] for letter, *_ in found if letter} | {_NAMES[w] for w in words(action) if w in _NAMES}
        squares = {chess.parse_square(name) for _, *names in found for name in names if name}
        targets = squares - set(own.values())
        movers = {name for name, square in own.items() if square in squares and len(squares) == 2} or named
        if len(targets) != 1 or not named <= movers:
            return None
        (target,) = targets
        moves = [chess.Move(own[name], target) for name in movers or own if name in own]
        if not movers:
            moves = [move for move in moves if move in self._board.legal_moves]
        return moves[0] if len(moves) == 1 else None


@cache
def _starts(piece: str, least: int, most: int) -> NDArray[np.int64]:
    """The positions (as one index) in which the player, to move, can force mate in so many moves."""
    distance = mates(piece).strong
    return np.flatnonzero((distance >= least) & (distance <= most))
