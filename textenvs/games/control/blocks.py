"""Stack blocks with a robot arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.control import stacks
from textenvs.games.control.stacks import ANYWHERE, HAND, TABLE, Supports
from textenvs.parsing import words

_COLOURS = ("red", "blue", "green", "yellow", "orange", "white", "black", "pink", "brown", "grey")
_PICK = frozenset(("pick", "pickup"))
_TAKE = frozenset(("unstack", "take", "grab", "lift", "get", "raise", "remove")) | _PICK
_DOWN = frozenset(("put", "place", "drop", "set", "release", "lay", "putdown"))
_PLACE = frozenset(("stack", "move")) | _DOWN
_BEFORE_SUPPORT = frozenset(("on", "onto", "upon", "over", "atop", "to", "from", "off"))
_FILLERS = frozenset(("the", "a", "block", "top", "of", "it", "one", "cube"))
_NAMED = 0.5  # share of a full goal's places that a partial goal names
_STEP, _WRONG = -0.01, -0.05


class Command(NamedTuple):
    """What a text asks for.

    Attributes:
        take: whether to take a block, or else to let go of it.
        block: the block to take or let go of; ``None`` where the text leaves it open.
        support: what it is taken from or put on: a block, ``TABLE``, or ``None`` where the text leaves it open.
    """

    take: bool
    block: int | None
    support: int | None


class Blocks(Game):
    """TextBlocks-v0: rearrange towers of blocks with a robot arm in as few steps as you can.

    ## Description

    Coloured blocks stand on a table, in towers. An arm holds one block at a time. It can pick up a block from the
    table, unstack one from another block, put the one that it holds down on the table, or stack it onto another block;
    a block that is taken, and one that another is stacked onto, must have nothing on top. The goal says which tower
    each block belongs to, or what some blocks have to stand on.

    ## Example transcript

    ```
    blocks world. pick up a block from the table or unstack it from another, then put it down or stack it on another;
    only blocks with nothing on top. goal: red on pink, brown on blue. towers from the bottom up: blue red orange, pink,
    brown. hand empty.
    > pick up red
    red is on blue.
    > take orange off red
    towers from the bottom up: blue red, pink, brown. holding orange.
    > put it on the table
    towers from the bottom up: blue red, orange, pink, brown. hand empty.
    > unstack red from blue
    towers from the bottom up: blue, orange, pink, brown. holding red.
    > stack red on pink
    towers from the bottom up: blue, orange, pink red, brown. hand empty.
    > Pick up the brown block.
    towers from the bottom up: blue, orange, pink red. holding brown.
    > stack it on blue
    solved.
    ```

    ## Observation

    The opening gives the towers, each from the bottom up, and the goal: towers too, or what has to be on what. Each
    reply gives the towers and what the hand holds.

    ## Action

    Free text such as ``pick up red``, ``unstack the red block from the blue one``, ``put down red``, ``put it on the
    table``, ``Stack red onto blue!``; ``take`` and ``grab`` take a block from wherever it is. Anything else is not
    understood.

    ## Reward

    1 at the goal; each step before it costs 0.01. One that the rules forbid, or that is not understood, costs 0.05
    and changes nothing.

    ## Episode end

    Terminated at the goal (``success``); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``blocks`` | 4 | 5 | 8 | number of blocks (2 to 10) |
    | ``goal`` | full | partial | full | ``"full"`` (all towers), or ``"partial"`` (what some blocks have to be on) |
    | ``max_turns`` | 16 | 20 | 32 | truncation: four for each block, in which every goal can be reached |

    Starts and goals are drawn until more than ``blocks // 2`` blocks have to be moved (one that moves twice counting
    twice); the colours are drawn too, so instances hardly ever repeat.

    ## Expert

    Exact: a shortest plan. A block that can go where it belongs goes there; where none can, it searches which one to
    put aside on the table, so a plan takes well under a millisecond even at hard. Its mean return is 0.94, 0.93 and
    0.86 at easy, medium and hard; it always succeeds. Random legal steps have -0.13, -0.16 and -0.32 and succeed in 2%,
    3% and 0% of the episodes.

    ## Source

    PlanBench (Valmeekam et al. 2023), whose blocks world has these rules and goals of both kinds, without costs.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"blocks": 4, "goal": "full"},
        "medium": {},
        "hard": {"blocks": 8, "goal": "full"},
    }

    def __init__(self, blocks: int = 5, goal: str = "partial") -> None:
        if not 2 <= blocks <= len(_COLOURS):
            raise ValueError(f"blocks must be 2 to {len(_COLOURS)}, not {blocks!r}")
        if goal not in ("full", "partial"):
            raise ValueError(f"goal must be 'full' or 'partial', not {goal!r}")
        self.blocks, self.goal = blocks, goal
        self.max_turns = 4 * blocks
        self.max_choices = blocks

    def reset(self, rng: np.random.Generator) -> str:
        """Draw colours, a start and a goal that is far enough."""
        self._names = [_COLOURS[i] for i in sorted(rng.permutation(len(_COLOURS))[: self.blocks].tolist())]
        while True:
            self._state = stacks.random_supports(self.blocks, rng)
            self._goal = stacks.random_supports(self.blocks, rng)
            if self.goal == "partial":
                named = rng.random(self.blocks) < _NAMED
                self._goal = tuple(
                    support if known and support != TABLE else ANYWHERE
                    for support, known in zip(self._goal, named.tolist(), strict=True)
                )
            if stacks.plan(self._state, self._goal)[0] > self.blocks // 2:
                break
        goal = self._towers(self._goal) if self.goal == "full" else self._relations()
        self._start = f"{self._towers(self._state)} -> {goal}"
        return (
            f"blocks world. pick up a block from the table or unstack it from another, then put it down or stack it on "
            f"another; only blocks with nothing on top. goal: {goal}. {self._tell()}"
        )

    def instance(self) -> str:
        """The start and the goal."""
        return self._start

    def step(self, action: str) -> Turn:
        """Take a block, or let go of it."""
        command = self._read(action)
        if command is None:
            return Turn("say pick up, unstack, put down or stack, and the block.", _WRONG)
        after = self._taken(command) if command.take else self._placed(command)
        if isinstance(after, str):
            return Turn(after, _WRONG)
        self._state = after
        if stacks.reached(self._state, self._goal):
            return Turn("solved.", 1.0, True, {"success": True})
        return Turn(self._tell(), _STEP)

    def valid_actions(self) -> list[str]:
        """The steps that the rules allow."""
        free = stacks.clear(self._state)
        if HAND in self._state:
            held = self._state.index(HAND)
            return [self._place_text(held, TABLE), *(self._place_text(held, block) for block in free)]
        return [self._take_text(block) for block in free]

    def expert_action(self) -> str:
        """The first step of a shortest plan."""
        if HAND in self._state:
            held = self._state.index(HAND)
            return self._place_text(held, stacks.place(self._state, self._goal, held))
        return self._take_text(stacks.plan(self._state, self._goal)[1])

    def _taken(self, command: Command) -> Supports | str:
        """The state with the block in the hand, or why the rules forbid it."""
        block = command.block
        if HAND in self._state:
            return f"your hand already holds {self._names[self._state.index(HAND)]}."
        if block is None:
            return "name the block to take."
        support, name = self._state[block], self._names[block]
        if command.support not in (None, support):
            return f"{name} is on {'the table' if support == TABLE else self._names[support]}."
        if block not in stacks.clear(self._state):
            return f"{name} has a block on top."
        return stacks.moved(self._state, block, HAND)

    def _placed(self, command: Command) -> Supports | str:
        """The state with the block let go of, or why the rules forbid it."""
        if HAND not in self._state:
            return "your hand is empty."
        held = self._state.index(HAND)
        if command.block not in (None, held):
            return f"you hold {self._names[held]}."
        support = command.support
        if support is None:
            return "say what to put it on."
        if support != TABLE and support not in stacks.clear(self._state):
            return "it cannot go onto itself." if support == held else f"{self._names[support]} has a block on top."
        return stacks.moved(self._state, held, support)

    def _read(self, action: str) -> Command | None:
        """The step that a text asks for, whether the rules allow it or not."""
        said = [word for word in words(action) if word not in _FILLERS]
        block = support = None
        for before, word in zip(["", *said], said, strict=False):
            if word not in self._names and word != "table":
                continue
            named = TABLE if word == "table" else self._names.index(word)
            below = named == TABLE or before in _BEFORE_SUPPORT
            if (support if below else block) not in (None, named):
                return None
            block, support = (block, named) if below else (named, support)
        takes, places = not _TAKE.isdisjoint(said), not _PLACE.isdisjoint(said)
        if (takes and places) or not (takes or places or None not in (block, support)):
            return None
        if takes and block is None and support != TABLE:
            block, support = support, None  # "take off red"
        if support is None and not (_PICK if takes else _DOWN).isdisjoint(said):
            support = TABLE
        return Command(takes, block, support)

    def _take_text(self, block: int) -> str:
        support = self._state[block]
        if support == TABLE:
            return f"pick up {self._names[block]}"
        return f"unstack {self._names[block]} from {self._names[support]}"

    def _place_text(self, block: int, support: int) -> str:
        if support == TABLE:
            return f"put down {self._names[block]}"
        return f"stack {self._names[block]} on {self._names[support]}"

    def _tell(self) -> str:
        hand = f"holding {self._names[self._state.index(HAND)]}" if HAND in self._state else "hand empty"
        return f"towers from the bottom up: {self._towers(self._state)}. {hand}."

    def _towers(self, state: Supports) -> str:
        towers = []
        for bottom in (block for block, support in enumerate(state) if support == TABLE):
            tower = [bottom]
            while tower[-1] in state:
                tower.append(state.index(tower[-1]))
            towers.append(" ".join(self._names[block] for block in tower))
        return ", ".join(towers) or "none"

    def _relations(self) -> str:
        return ", ".join(
            f"{self._names[block]} on {self._names[support]}"
            for block, support in enumerate(self._goal)
            if support != ANYWHERE
        )
