"""The towers of ``blocks``: states, goals and shortest plans."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

TABLE, HAND, ANYWHERE = -1, -2, -3

Supports = tuple[int, ...]  # what each block is on: a block, TABLE, or HAND; in goals ANYWHERE too


def random_supports(blocks: int, rng: np.random.Generator) -> Supports:
    """Block by block in random order onto the table or a tower, each of them being as probable."""
    supports, tops = [TABLE] * blocks, [TABLE]
    for block in rng.permutation(blocks).tolist():
        place = int(rng.integers(len(tops)))
        supports[block] = tops[place]
        if place:
            tops[place] = block
        else:
            tops.append(block)
    return tuple(supports)


def clear(state: Supports) -> list[int]:
    """The blocks with nothing on them, but for one in the hand."""
    return [block for block, support in enumerate(state) if support != HAND and block not in state]


def moved(state: Supports, block: int, support: int) -> Supports:
    """The state with one block elsewhere."""
    return (*state[:block], support, *state[block + 1 :])


def reached(state: Supports, goal: Supports) -> bool:
    """Whether every block is where the goal wants it."""
    return all(wanted in (ANYWHERE, support) for support, wanted in zip(state, goal, strict=True))


def settled(state: Supports, goal: Supports, block: int) -> bool:
    """Whether neither a block nor any below it has to move."""
    support = state[block]
    if support == HAND or goal[block] not in (ANYWHERE, support):
        return False
    return support == TABLE or (
        all(wanted != support or other == block for other, wanted in enumerate(goal)) and settled(state, goal, support)
    )


def _home(state: Supports, goal: Supports, block: int) -> int | None:
    """Where a block that has to move can be put once and for all, if that is free."""
    wanted = goal[block]
    if wanted in (ANYWHERE, TABLE):
        return TABLE
    return wanted if wanted in clear(state) and settled(state, goal, wanted) else None


@lru_cache(maxsize=1 << 16)
def plan(state: Supports, goal: Supports) -> tuple[int, int, int]:
    """How many moves of a block lead to the goal at least, hands empty; the first one's block, and where it goes.

    A block that can be put where it belongs for good is moved there first, which no plan can better. Where there is
    none, one that has to move must make way, and the table is the best place for that (Slaney and Thiebaux 2001,
    Blocks World Revisited); which one is searched.
    """
    free = [block for block in clear(state) if not settled(state, goal, block)]
    if not free:
        return 0, TABLE, TABLE
    for block in free:
        home = _home(state, goal, block)
        if home is not None:
            return 1 + plan(moved(state, block, home), goal)[0], block, home
    aside = [block for block in free if state[block] != TABLE]
    moves, block = min((plan(moved(state, block, TABLE), goal)[0], block) for block in aside)
    return 1 + moves, block, TABLE


def place(state: Supports, goal: Supports, held: int) -> int:
    """The best place for the block in the hand."""
    home = _home(state, goal, held)
    return TABLE if home is None else home


def least_steps(state: Supports, goal: Supports) -> int:
    """How many pick-ups, put-downs, stacks and unstacks lead to the goal at least."""
    if HAND not in state:
        return 2 * plan(state, goal)[0]
    held = state.index(HAND)
    return 1 + 2 * plan(moved(state, held, place(state, goal, held)), goal)[0]
