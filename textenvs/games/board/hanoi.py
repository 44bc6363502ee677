"""Move a tower of disks from peg to peg."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from textenvs import parsing
from textenvs.game import Game, Turn

_PEGS = "abc"
_MOVES = tuple(f"{source} to {target}" for source in _PEGS for target in _PEGS if source != target)
_PAIRS = frozenset(source + target for source in _PEGS for target in _PEGS)
_PEG = frozenset(("peg", "tower", "rod", "pole", "stack"))
_DISK = frozenset(("disk", "disc", "ring"))
_ADJECTIVES = frozenset(("top", "small", "smaller", "smallest", "big", "bigger", "large", "larger"))
_TOWARDS = frozenset(("to", "onto", "on", "into"))
_TURN_COST = 0.01

State = tuple[int, ...]  # the peg (0 to 2) of each disk, the smallest first


class Hanoi(Game):
    """TextHanoi-v0: bring the disks of the tower of Hanoi to where they belong in as few moves as you can.

    ## Description

    Disks of different sizes lie on three pegs, never a larger one on a smaller one. A move takes the top disk of a peg
    to another peg. The disks have to get from their start to the goal: from one tower to another as in the old puzzle,
    or from any position to any other.

    ## Example transcript

    ```
    tower of hanoi, pegs from the bottom up: a: 2, b: 3, c: 1. goal: a: none, b: none, c: 3 2 1. move one top disk at a
    time, never onto a smaller one.
    > c to a
    a: 2 1, b: 3, c: none.
    > b to c
    a: 2 1, b: none, c: 3.
    > a to b
    a: 2, b: 1, c: 3.
    > a to c
    a: none, b: 1, c: 3 2.
    > b to c
    solved.
    ```

    ## Observation

    The opening gives the position and the goal; each reply gives the position after the move. Of each peg it names
    the disks from the bottom to the top, 1 being the smallest.

    ## Action

    Free text with a move in it, by the two pegs: ``a to c``, ``from B to A``, ``move the top disk to c from a``,
    ``ac``; or by the disk and where it goes: ``disk 2 to c``. Without exactly one such move nothing is understood.

    ## Reward

    1 at the goal; each turn before it costs 0.01, whether it moved something, broke the rules or was not understood.

    ## Episode end

    Terminated at the goal (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``disks`` | 3 | 4 | 5 | number of disks (2 to 8) |
    | ``start`` | random | random | random | ``"standard"`` (all on peg a) or ``"random"`` |
    | ``goal`` | standard | random | random | ``"standard"`` (all on peg c) or ``"random"`` |
    | ``max_turns`` | 10 | 20 | 40 | truncation: 5/4 of ``2 ** disks`` |

    What is random is drawn until the shortest solution has at least ``2 ** (disks - 1)`` moves, half of what the
    longest one can have; 18 instances are left at easy, 3,576 at medium and 31,800 at hard.

    ## Expert

    Exact: the number of moves between any two positions is known in closed form (Hinz et al., The Tower of Hanoi -
    Myths and Maths, ch. 2: the largest disk that has to move does so once, or twice over the third peg), and the expert
    makes a move that comes nearer by one. Its mean return is 0.95, 0.90 and 0.78 at easy, medium and hard; it always
    succeeds. Random legal moves have -0.07, -0.20 and -0.40 and succeed in 3%, 0.4% and 0% of the episodes.

    ## Source

    The puzzle of Lucas (1883), as in GEM (``gem/envs/game_env/tower_of_hanoi.py``), which has the standard start and
    goal and no cost of moves.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"disks": 3, "goal": "standard"},
        "medium": {},
        "hard": {"disks": 5},
    }
    max_choices = 3

    def __init__(self, disks: int = 4, start: str = "random", goal: str = "random") -> None:
        if not 2 <= disks <= 8:
            raise ValueError(f"disks must be 2 to 8, not {disks!r}")
        for name, value in (("start", start), ("goal", goal)):
            if value not in ("standard", "random"):
                raise ValueError(f"{name} must be 'standard' or 'random', not {value!r}")
        self.disks, self.start, self.goal = disks, start, goal
        self.max_turns = 5 * 2**disks // 4

    def reset(self, rng: np.random.Generator) -> str:
        """Draw a start and a goal that are far enough apart."""
        while True:
            self._start = self._draw(self.start, 0, rng)
            self._goal = self._draw(self.goal, 2, rng)
            if distance(self._start, self._goal) >= 2 ** (self.disks - 1):
                break
        self._state = self._start
        return (
            f"tower of hanoi, pegs from the bottom up: {_shown(self._state)}. goal: {_shown(self._goal)}. "
            "move one top disk at a time, never onto a smaller one."
        )

    def instance(self) -> str | None:
        """The start and the goal, where one is random."""
        if self.start == self.goal == "standard":
            return None
        return f"{_shown(self._start)} -> {_shown(self._goal)}"

    def step(self, action: str) -> Turn:
        """Move a disk."""
        move = self._read(action)
        if move is None:
            return Turn("say a move like a to c.", -_TURN_COST)
        source, target, disk = move
        after = _after(self._state, source, target)
        if isinstance(after, str):
            return Turn(after, -_TURN_COST)
        if disk is not None and after[disk] == self._state[disk]:
            return Turn(f"disk {disk + 1} is not on top of {_PEGS[source]}.", -_TURN_COST)
        self._state = after
        if self._state == self._goal:
            return Turn("solved.", 1.0, True, {"success": True})
        return Turn(f"{_shown(self._state)}.", -_TURN_COST)

    def valid_actions(self) -> list[str]:
        """The moves that the rules allow."""
        return list(self._moves())

    def expert_action(self) -> str:
        """A move that comes nearer to the goal."""
        moves = self._moves()
        return min(moves, key=lambda move: distance(moves[move], self._goal))

    def _moves(self) -> dict[str, State]:
        """Where each move leads that the rules allow."""
        after = {move: _after(self._state, _PEGS.index(move[0]), _PEGS.index(move[-1])) for move in _MOVES}
        return {move: state for move, state in after.items() if not isinstance(state, str)}

    def _draw(self, kind: str, peg: int, rng: np.random.Generator) -> State:
        return (peg,) * self.disks if kind == "standard" else tuple(rng.integers(3, size=self.disks).tolist())

    def _read(self, action: str) -> tuple[int, int, int | None] | None:
        """The pegs that a text names as source and target, and the disk if it names one."""
        pegs, disks = _named(action)
        disk = disks[0] - 1 if disks else None
        if len(disks) > 1 or disk not in (None, *range(self.disks)):
            return None
        if len(pegs) == 1 and disk is not None:
            (word, target), source = pegs[0], self._state[disk]
            return None if word == "from" or source == target else (source, target, disk)
        if len(pegs) != 2 or pegs[0][1] == pegs[1][1]:
            return None
        (word, source), (_, target) = pegs
        return (target, source, disk) if word in _TOWARDS else (source, target, disk)


@lru_cache(maxsize=1 << 10)
def _named(action: str) -> tuple[tuple[tuple[str, int], ...], tuple[int, ...]]:
    """The pegs that a text names, each with the preposition before it, and its disks."""
    said = [letter for word in parsing.words(action) for letter in (word if word in _PAIRS else (word,))]
    pegs: list[tuple[str, int]] = []
    disks: list[int] = []
    preposition = before = ""
    for word, after in zip(said, [*said, ""][1:], strict=True):
        number = parsing.number(word) if word.isdigit() or before in _DISK else None
        if word in _TOWARDS or word == "from":
            preposition = word
        elif (word in _PEGS and not (word == "a" and after in _ADJECTIVES | _DISK)) or (
            before in _PEG and word in ("1", "2", "3")
        ):
            pegs.append((preposition, _PEGS.index(word) if word in _PEGS else int(word) - 1))
            preposition = ""
        elif number is not None:
            disks.append(number)
        before = word
    return tuple(pegs), tuple(disks)


@lru_cache(maxsize=1 << 12)
def _shown(state: State) -> str:
    """A position in words, each peg's disks from the bottom up."""
    on = [""] * len(_PEGS)
    for disk, peg in enumerate(state, 1):
        on[peg] = f" {disk}{on[peg]}"
    return ", ".join([f"{name}:{disks or ' none'}" for name, disks in zip(_PEGS, on, strict=True)])


def _after(state: State, source: int, target: int) -> State | str:
    """The position after a move, or why the rules forbid it."""
    if source not in state:
        return f"there is no disk on {_PEGS[source]}."
    top = state.index(source)
    if target in state[:top]:
        return f"disk {top + 1} does not go onto disk {state.index(target) + 1}."
    return (*state[:top], target, *state[top + 1 :])


def distance(start: Sequence[int], goal: Sequence[int]) -> int:
    """The least number of moves between two positions."""
    for disk in reversed(range(len(start))):
        here, there = start[disk], goal[disk]
        if here != there:
            third = 3 - here - there
            once = _to_tower(start[:disk], third) + _to_tower(goal[:disk], third) + 1
            twice = _to_tower(start[:disk], there) + _to_tower(goal[:disk], here) + 2**disk + 1
            return min(once, twice)
    return 0


def _to_tower(state: Sequence[int], peg: int) -> int:
    """The least number of moves that bring all disks to one peg."""
    moves = 0
    for disk in reversed(range(len(state))):
        if state[disk] != peg:
            moves += 2**disk
            peg = 3 - peg - state[disk]
    return moves
