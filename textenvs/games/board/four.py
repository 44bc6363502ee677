"""Connect four in bitboards: rules, how far an opponent sees, and a strong player.

Bit ``7 * column + row`` is a cell, row 0 being the lowest; the seventh bit of each column is always empty, so that no
line wraps around (Tromp's layout). A position is ``mine``, the disks of the mover, and ``taken``, the disks of both.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

COLUMNS = 7
HEIGHT = 6
CELLS = COLUMNS * HEIGHT
_FLOOR = sum(1 << 7 * column for column in range(COLUMNS))
_COLUMN = [((1 << HEIGHT) - 1) << 7 * column for column in range(COLUMNS)]
_BOARD = sum(_COLUMN)
_CENTRE_FIRST = [_COLUMN[column] for column in (3, 2, 4, 1, 5, 0, 6)]
_ODD = _FLOOR * 0b010101  # the rows 1, 3 and 5 from below, where a threat is worth more to who moved first
_EVEN = _FLOOR * 0b101010
_INNER = _COLUMN[2] | _COLUMN[3] | _COLUMN[4]
WIN = 1000  # of which a disk on the board takes 1, so that a sooner win is worth more
_NODES = 3000  # of search for one move of the strong player


def playable(taken: int) -> int:
    """The cells where a disk would come to lie."""
    return (taken + _FLOOR) & _BOARD


def columns(taken: int) -> list[int]:
    """The columns with room, 0 to 6."""
    return [column for column in range(COLUMNS) if _COLUMN[column] & ~taken]


def stacks(disks: int, taken: int) -> list[str]:
    """The columns from the bottom up: ``x`` for ``disks``, ``o`` for the others, ``-`` for an empty column."""
    found: list[str] = []
    for column in range(COLUMNS):
        height = (taken & _COLUMN[column]).bit_count()
        found.append("".join("ox"[disks >> 7 * column + row & 1] for row in range(height)) or "-")
    return found


def drop(mine: int, taken: int, column: int) -> tuple[int, int]:
    """The position, as seen by the next mover, after the mover's disk falls into a column."""
    return mine ^ taken, taken | (taken + (1 << 7 * column)) & _COLUMN[column]


def winning_cells(mine: int, taken: int) -> int:
    """The empty cells that would complete four of ``mine`` (upright ones from below), within reach or not."""
    found = (mine << 1) & (mine << 2) & (mine << 3)
    for step in (6, 7, 8):
        pair = (mine << step) & (mine << 2 * step)
        found |= pair & ((mine << 3 * step) | (mine >> step))
        pair = (mine >> step) & (mine >> 2 * step)
        found |= pair & ((mine >> 3 * step) | (mine << step))
    return found & _BOARD & ~taken


def four(disks: int) -> bool:
    """Whether four of these are in a line."""
    for step in (1, 6, 7, 8):
        pairs = disks & (disks >> step)
        if pairs & (pairs >> 2 * step):
            return True
    return False


def foresee(mine: int, taken: int, depth: int, alpha: int = -WIN, beta: int = WIN) -> int:
    """The mover's result as far as it shows within ``depth`` moves: ``WIN`` less the disks on the board then, the
    same negated for a loss, 0 where the game is drawn or not yet decided."""
    moves = playable(taken)
    if not depth or not moves:
        return 0
    if winning_cells(mine, taken) & moves:
        return WIN - taken.bit_count() - 1
    if depth == 1:
        return 0
    for cells in _CENTRE_FIRST:
        if move := cells & moves:
            alpha = max(alpha, -foresee(mine ^ taken, taken | move, depth - 1, -beta, -alpha))
            if alpha >= beta:
                break
    return alpha


def seen_best(mine: int, taken: int, depth: int) -> list[int]:
    """The columns that are best for the mover as far as it sees ``depth`` moves ahead; all of them at depth 0."""
    best = -WIN
    found: list[int] = []
    for column in columns(taken):
        theirs, after = drop(mine, taken, column)
        if depth and four(mine | after ^ taken):
            worth = WIN - after.bit_count()
        else:
            worth = -foresee(theirs, after, depth - 1, -WIN, 1 - best) if depth else 0
        if worth > best:
            best, found = worth, []
        if worth == best:
            found.append(column)
    return found


@lru_cache(maxsize=1 << 12)
def strong_column(mine: int, taken: int) -> int:
    """The column that the strong player takes: alpha-beta, each time one move deeper, as long as its nodes last."""
    theirs, moves = mine ^ taken, playable(taken)
    wins, threats = winning_cells(mine, taken), winning_cells(theirs, taken)
    best = wins & moves or threats & moves
    if not best and _safe(moves, threats):
        search = _Search()
        with suppress(_OutOfNodesError):
            for depth in range(1, CELLS + 1):
                worth = search.worth(mine, taken, wins, threats, depth, -WIN, WIN)
                best = search.seen[mine + taken][3]
                if _decided(worth):
                    break
    return ((best or moves) & -(best or moves)).bit_length() // 7


class _OutOfNodesError(Exception):
    """The search has come to its end."""


def _decided(worth: int) -> bool:
    return abs(worth) >= WIN - CELLS


class _Search:
    """Alpha-beta with a table of the positions it has seen."""

    def __init__(self) -> None:
        self.nodes = 0
        # The key ``mine + taken`` is unique. Depth, lower and upper bound of the worth, and the best move.
        self.seen: dict[int, tuple[int, int, int, int]] = {}

    def worth(self, mine: int, taken: int, wins: int, threats: int, depth: int, alpha: int, beta: int) -> int:
        """The mover's prospects, ``depth`` moves deep and then by the cells that would win.

        ``wins`` and ``threats`` are the winning cells of the mover and of the opponent; filled ones do no harm.
        """
        self.nodes += 1
        if self.nodes > _NODES:
            raise _OutOfNodesError
        disks, moves = taken.bit_count(), playable(taken)
        if wins & moves:
            return WIN - disks - 1
        if not moves:
            return 0
        moves = _safe(moves, threats)
        if not moves:
            return disks + 2 - WIN
        if not depth:
            return _prospects(mine, taken, wins, threats)
        known_depth, low, high, first = self.seen.get(mine + taken, (0, -WIN, WIN, 0))
        if known_depth >= depth or _decided(low) or _decided(high):
            if low >= beta or low == high:
                return low
            if high <= alpha:
                return high
        best, best_move, floor = -WIN, 0, alpha
        for move, more in self._ordered(mine, taken, moves, first):
            worth = -self.worth(mine ^ taken, taken | move, threats, more, depth - 1, -beta, -alpha)
            if worth > best:
                best, best_move = worth, move
                alpha = max(alpha, worth)
                if alpha >= beta:
                    break
        self.seen[mine + taken] = (depth, best if best > floor else -WIN, best if best < beta else WIN, best_move)
        return best

    @staticmethod
    def _ordered(mine: int, taken: int, moves: int, first: int) -> list[tuple[int, int]]:
        """The moves with the winning cells that the mover has then; the most promising first."""
        cells = [cells & moves for cells in _CENTRE_FIRST if cells & moves]
        found = [(move, winning_cells(mine | move, taken | move)) for move in cells]
        found.sort(key=lambda pair: (pair[0] != first, -pair[1].bit_count()))
        return found


def _safe(moves: int, threats: int) -> int:
    """The moves after which the opponent cannot win at once."""
    forced = threats & moves
    if forced & (forced - 1):
        return 0
    return (forced or moves) & ~(threats >> 1)


def _prospects(mine: int, taken: int, wins: int, threats: int) -> int:
    """A guess: who has more winning cells, in better rows, and more disks in the middle."""
    theirs = mine ^ taken
    good, bad = (_ODD, _EVEN) if taken.bit_count() % 2 == 0 else (_EVEN, _ODD)
    wins, threats = wins & ~taken, threats & ~taken
    cells = 2 * (wins.bit_count() - threats.bit_count()) + 3 * ((wins & good).bit_count() - (threats & bad).bit_count())
    return 2 * cells + (mine & _INNER).bit_count() - (theirs & _INNER).bit_count()
