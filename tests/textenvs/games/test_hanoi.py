from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board.hanoi import Hanoi, distance

PLACES = {"a": 0, "b": 1, "c": 2}


def start(state: tuple[int, ...] = (0, 0, 0), goal: tuple[int, ...] = (2, 2, 2)) -> Hanoi:
    """A game that begins at ``state``: the peg of each disk, the smallest first."""
    game = Hanoi(len(state))
    game.reset(np.random.default_rng(0))
    game._start = game._state = state
    game._goal = goal
    return game


def neighbours(state: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Where one move leads: a disk may go to a peg if no smaller one lies on its own or on that one."""
    return [
        (*state[:disk], peg, *state[disk + 1 :])
        for disk in range(len(state))
        for peg in range(3)
        if peg not in state[: disk + 1] and state[disk] not in state[:disk]
    ]


def moves_from(goal: tuple[int, ...]) -> dict[tuple[int, ...], int]:
    """How far every position is, by breadth-first search."""
    far, queue = {goal: 0}, [goal]
    for state in queue:
        for after in neighbours(state):
            if after not in far:
                far[after] = far[state] + 1
                queue.append(after)
    return far


@pytest.mark.parametrize("disks", [1, 2, 3, 4, 5])
def test_the_distance_is_that_of_breadth_first_search(disks: int) -> None:
    for goal in list(product(range(3), repeat=disks))[:: 1 if disks < 5 else 7]:
        far = moves_from(goal)
        assert len(far) == 3**disks
        assert {state: distance(state, goal) for state in far} == far


@pytest.mark.parametrize("knobs", [*Hanoi.levels.values(), {"disks": 7}, {"start": "standard", "goal": "standard"}])
def test_the_expert_takes_the_least_moves_also_after_mistakes(knobs: dict[str, Any]) -> None:
    game, rng = Hanoi(**knobs), np.random.default_rng(0)
    for episode in range(10):
        game.reset(rng)
        for _ in range(episode):
            valid = game.valid_actions()
            game.step(valid[rng.integers(len(valid))])
        for left in reversed(range(moves_from(game._goal)[game._state])):
            turn = game.step(game.expert_action())
            assert turn.terminated == (left == 0)
        assert turn == ("solved.", 1.0, True, {"success": True})


def test_an_episode() -> None:
    game = Hanoi(2, "standard", "standard")
    assert game.reset(np.random.default_rng(0)) == (
        "tower of hanoi, pegs from the bottom up: a: 2 1, b: none, c: none. goal: a: none, b: none, c: 2 1. "
        "move one top disk at a time, never onto a smaller one."
    )
    assert game.instance() is None and game.max_turns == 5
    assert game.valid_actions() == ["a to b", "a to c"]
    assert game.step("disk 2 to c") == ("disk 2 is not on top of a.", -0.01, False, {})
    assert game.step("a to b") == ("a: 2, b: 1, c: none.", -0.01, False, {})
    assert game.step("a to b") == ("disk 2 does not go onto disk 1.", -0.01, False, {})
    assert game.step("c to b") == ("there is no disk on c.", -0.01, False, {})
    assert game.step("a to a") == ("say a move like a to c.", -0.01, False, {})
    assert game.step("a to c").text == "a: none, b: 1, c: 2."
    assert game.valid_actions() == ["b to a", "b to c", "c to a"]
    assert game.step("b to c") == ("solved.", 1.0, True, {"success": True})


def test_valid_actions_are_the_legal_moves() -> None:
    for state in product(range(3), repeat=4):
        game, reached = start(state, (5,)), []
        for move in game.valid_actions():
            game._state = state
            game.step(move)
            reached.append(game._state)
        assert sorted(reached) == sorted(neighbours(state))


@pytest.mark.parametrize(
    "text",
    [
        "a c",
        "A -> C",
        "ac",
        "from A to C",
        "to c from a!",
        "move the top disk of a onto c",
        "Move a disk from a to c",
        "I move a small ring from peg A to peg C.",
        "disk 1 to c",
        "put the disk one on c",
        "disc 1 from a to c",
        "1 to c",
        "peg 1 to peg 3",
    ],
)
def test_moves_that_are_understood(text: str) -> None:
    game = start()
    game.step(text)
    assert game._state == (2, 0, 0)


@pytest.mark.parametrize(
    "text",
    ["", "c", "a disk to c", "a b c", "aa", "disk 1", "disk 1 from a", "disk 9 to c", "disk 0 from a to c", "1 2 to c"],
)
def test_what_is_not_understood(text: str) -> None:
    game = start()
    assert game.step(text) == ("say a move like a to c.", -0.01, False, {})
    assert game._state == (0, 0, 0)


@given(st.text() | st.lists(st.sampled_from(["a", "c", "ac", "disk", "1", "9", "peg", "to", "from"])).map(" ".join))
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and turn.reward == -0.01


@pytest.mark.parametrize(("level", "least"), [("easy", 18), ("medium", 500), ("hard", 560)])
def test_instances_differ_and_are_not_near(level: str, least: int) -> None:
    game, rng, seen = Hanoi(**Hanoi.levels[level]), np.random.default_rng(0), set()
    for _ in range(600):
        game.reset(rng)
        assert distance(game._state, game._goal) >= 2 ** (game.disks - 1)
        seen.add(game.instance())
    assert len(seen) >= least


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"disks": 1}, "disks must be 2 to 8, not 1"),
        ({"disks": 9}, "disks must be 2 to 8, not 9"),
        ({"start": "a"}, "start must be 'standard' or 'random', not 'a'"),
        ({"goal": "c"}, "goal must be 'standard' or 'random', not 'c'"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hanoi(**knobs)
