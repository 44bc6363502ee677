from __future__ import annotations

import re
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board import four
from textenvs.games.board.connect_four import ConnectFour

Stacks = tuple[str, ...]  # the seven columns from the bottom up, of x and o
EMPTY = ("",) * 7
FOURS = [
    [(column + right * n, row + up * n) for n in range(4)]
    for column, row, (right, up) in product(range(7), range(6), ((1, 0), (0, 1), (1, 1), (1, -1)))
    if column + 3 * right < 7 and 0 <= row + 3 * up < 6
]
LINE = re.compile("|".join(rf"([xo])(?:.{{{gap}}}\{n}){{3}}" for n, gap in enumerate((0, 5, 6, 7), 1)))


class Scripted:
    """In place of a generator: the opponent drops into these columns (1 to 7), which its policy must admit."""

    def __init__(self, *columns: int) -> None:
        self.columns = list(columns)

    def random(self) -> float:
        return 0.5

    def choice(self, columns: list[int]) -> int:
        column = self.columns.pop(0) - 1
        assert column in columns
        return column


def start(mark: str, stacks: str, *replies: int, **knobs: Any) -> ConnectFour:
    """A game of the player ``mark``, who is to move, against an opponent who drops into these columns."""
    game = ConnectFour(**{"depth": 0, "random_share": 0.0, **knobs})
    game.reset(np.random.default_rng(0))
    game._mine, game._taken = position(tuple(stacks.replace("-", "").split(" ")))
    assert game._mover() == mark
    game._mark, game._rng = mark, Scripted(*replies)  # type: ignore[assignment]
    return game


def mover(stacks: Stacks) -> str:
    return "xo"[sum(map(len, stacks)) % 2]


def position(stacks: Stacks) -> tuple[int, int]:
    """The disks of the mover, and all, as bits."""
    bits = dict.fromkeys("xo", 0)
    for column, stack in enumerate(stacks):
        for row, mark in enumerate(stack):
            bits[mark] |= 1 << 7 * column + row
    return bits[mover(stacks)], bits["x"] | bits["o"]


def after(stacks: Stacks, column: int) -> Stacks:
    return (*stacks[:column], stacks[column] + mover(stacks), *stacks[column + 1 :])


def room(stacks: Stacks) -> list[int]:
    return [column for column in range(7) if len(stacks[column]) < 6]


@cache
def winner(stacks: Stacks) -> str | None:
    found = LINE.search("".join(stack.ljust(7, ".") for stack in stacks))
    return found and next(filter(None, found.groups()))


@cache
def outcome(stacks: Stacks, depth: int) -> tuple[int, int]:
    """The mover's result within ``depth`` moves, and when it comes, by plain minimax: a win as soon, a loss as late
    as can be."""
    if winner(stacks):
        return -1, 0
    if not depth or not room(stacks):
        return 0, 0
    return max((outcome_of(stacks, column, depth) for column in room(stacks)), key=preference)


def outcome_of(stacks: Stacks, column: int, depth: int) -> tuple[int, int]:
    """The same for one of the mover's columns."""
    result, moves = outcome(after(stacks, column), depth - 1) if depth else (0, 0)
    return -result, moves + 1 if result else 0


def preference(end: tuple[int, int]) -> tuple[int, int]:
    result, moves = end
    return result, -result * moves


def best_columns(stacks: Stacks, depth: int) -> list[int]:
    ends = {column: preference(outcome_of(stacks, column, depth)) for column in room(stacks)}
    return [column for column in ends if ends[column] == max(ends.values())]


def random_stacks(disks: int, rng: np.random.Generator) -> Stacks:
    """A position that nobody has won yet."""
    while True:
        stacks: Stacks = EMPTY
        for _ in range(disks):
            stacks = after(stacks, int(rng.choice(room(stacks))))
            if winner(stacks):
                break
        else:
            return stacks


def test_lines_and_winning_cells_are_those_of_the_board() -> None:
    rng, won = np.random.default_rng(0), 0
    assert len(FOURS) == 69
    for _ in range(400):
        marks = {(i, j): "xo"[rng.integers(2)] for i in range(7) for j in range(rng.integers(7))}
        disks = {cell for cell, mark in marks.items() if mark == "x"}
        bits, taken = (sum(1 << 7 * i + j for i, j in cells) for cells in (disks, marks))
        assert four.four(bits) == any(disks.issuperset(cells) for cells in FOURS)
        completing = {
            cell for cells in FOURS for cell in cells if cell not in marks and disks.issuperset(set(cells) - {cell})
        }
        assert four.winning_cells(bits, taken) == sum(1 << 7 * i + j for i, j in completing)
        won += four.four(bits)
    assert 20 < won < 380


def test_every_line_wins_and_no_three_of_it() -> None:
    for cells in FOURS:
        assert four.four(sum(1 << 7 * i + j for i, j in cells))
        for cell in cells:
            assert not four.four(sum(1 << 7 * i + j for i, j in cells if (i, j) != cell))


def test_dropping_and_showing() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        stacks, bits = EMPTY, (0, 0)
        for _ in range(42):
            column = int(rng.choice(room(stacks)))
            stacks, bits = after(stacks, column), four.drop(*bits, column)
            assert bits == position(stacks) and four.columns(bits[1]) == room(stacks)
        disks = bits[0] if mover(stacks) == "x" else bits[0] ^ bits[1]
        assert four.stacks(disks, bits[1]) == [stack or "-" for stack in stacks]


@pytest.mark.parametrize(("disks", "depth", "positions"), [(8, 3, 15), (16, 4, 8), (24, 5, 6), (33, 8, 12), (12, 0, 9)])
def test_the_opponent_sees_what_plain_minimax_sees(disks: int, depth: int, positions: int) -> None:
    rng = np.random.default_rng(disks)
    for _ in range(positions):
        stacks = random_stacks(disks, rng)
        assert four.seen_best(*position(stacks), depth) == best_columns(stacks, depth)
        result, moves = outcome(stacks, depth)
        if result >= 0 or moves > 1:
            worth = four.foresee(*position(stacks), depth)
            assert worth == (result * (four.WIN - disks - moves) if result else 0)


def test_the_expert_is_perfect_near_the_end() -> None:
    rng, results = np.random.default_rng(2), []
    for disks in (30, 32, 34, 35) * 30:
        stacks = random_stacks(disks, rng)
        result, moves = outcome(stacks, 42)
        if moves == 1:
            continue
        column = four.strong_column(*position(stacks))
        assert outcome_of(stacks, column, 42)[0] == result
        results.append(result)
    assert min(results.count(result) for result in (-1, 0, 1)) >= 3


def test_the_expert_wins_at_once_or_prevents_it_and_begins_in_the_middle() -> None:
    rng, wins, threats = np.random.default_rng(3), 0, 0
    for _ in range(300):
        stacks = random_stacks(int(rng.integers(6, 30)), rng)
        winning = [column for column in room(stacks) if winner(after(stacks, column))]
        passed = "xo"[mover(stacks) == "x"]
        threatened = [
            column
            for column in room(stacks)
            if winner((*stacks[:column], stacks[column] + passed, *stacks[column + 1 :]))
        ]
        if winning or threatened:
            said = four.strong_column(*position(stacks))
            assert said in (winning or threatened)
            wins, threats = wins + bool(winning), threats + bool(threatened and not winning)
    assert wins > 30 and threats > 30
    assert four.strong_column(0, 0) == 3


def test_the_expert_beats_a_short_sighted_opponent() -> None:
    results = []
    for seed in range(6):
        game = ConnectFour(depth=2, random_share=0.0)
        game.reset(np.random.default_rng(seed))
        terminated = False
        while not terminated:
            _, reward, terminated, _ = game.step(game.expert_action())
        results.append(reward)
    assert np.mean(results) > 0.6


def test_the_opponent_moves_at_random_in_its_share() -> None:
    game, careless, draws = ConnectFour(depth=1, random_share=0.4), 0, 2000
    game._rng = np.random.default_rng(0)
    for _ in range(draws):
        game._mine, game._taken = position(("xxx", "ooo", "", "", "", "", ""))
        careless += game._reply() != 1
    chance = 0.4 * 6 / 7
    assert abs(careless / draws - chance) < 4 * (chance * (1 - chance) / draws) ** 0.5


def test_openings() -> None:
    rng, found, marks = np.random.default_rng(4), set(), set()
    game = ConnectFour(opening=6)
    for _ in range(1000):
        text = game.reset(rng)
        instance = game.instance()
        assert instance
        mark, _, stacks = instance.partition(": ")
        disks = tuple(stacks.replace("-", "").split(" "))
        assert f"you are {mark}." in text and sum(map(len, disks)) == 6 and not winner(disks)
        assert ("i drop in" in text) == (mark == "o")
        for passed in "xo":
            moves = [(*disks[:c], disks[c] + passed, *disks[c + 1 :]) for c in range(7)]
            assert not any(map(winner, moves))
        found.add(instance)
        marks.add(mark)
    assert len(found) > 900 and marks == {"x", "o"}
    game = ConnectFour(opening=0)
    openings = {game.reset(rng) for _ in range(40)}
    assert game.instance() is None
    assert (
        "connect four. you are x. columns 1 to 7, each from the bottom up, 6 high: - - - - - - -. drop in a column."
        in openings
    )


def test_a_win() -> None:
    game = start("x", "xx oo - - - - -", 2, 7)
    assert game.step("first column") == ("i drop in 2: xxx ooo - - - - -.", 0.0, False, {})
    assert game.step("i resign") == ("say one column, 1 to 7.", -0.1, False, {})
    assert game.expert_action() == "1"
    assert game.step("1") == ("four in a row, you win.", 1.0, True, {"success": True})


def test_a_loss_and_a_full_column() -> None:
    game = start("o", "xoxoxo xxx oo - - - -", 2)
    assert game.valid_actions() == ["2", "3", "4", "5", "6", "7"]
    assert game.step("column 1") == ("column 1 is full. say another.", -0.1, False, {})
    assert game.step("3") == ("i drop in 2. four in a row, you lose.", -1.0, True, {"success": False})


def test_draws() -> None:
    full = "xxoxxo ooxoox xxoxxo ooxoox xxoxxo ooxoox"
    game = start("o", f"{full} xxoxx")
    assert game.step("7") == ("a draw.", 0.0, True, {"success": False})
    game = start("x", f"{full} xxox", 7)
    assert game.step("7") == ("i drop in 7. a draw.", 0.0, True, {"success": False})


def test_to_stall_costs_more_than_to_lose() -> None:
    game = ConnectFour()
    game.reset(np.random.default_rng(0))
    assert sum(game.step("pass").reward for _ in range(game.max_turns - 21)) < -1


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("4", 4),
        ("Drop in column FOUR!", 4),
        ("the third column", 3),
        ("third one from the left", 3),
        ("the middle", 4),
        ("centre column", 4),
        ("leftmost", 1),
        ("the far right", 7),
        ("the rightmst one", 7),
        ("2, i say 2", 2),
        ("seven", 7),
        ("3 or 4", None),
        ("leftmost or rightmost", None),
        ("8", None),
        ("0", None),
        ("", None),
        ("left", None),
    ],
)
def test_what_is_understood(text: str, column: int | None) -> None:
    game = start("x", "- - - - - - -", 2)
    turn = game.step(text)
    if column is None:
        assert turn == ("say one column, 1 to 7.", -0.1, False, {}) and game._taken == 0
    else:
        assert game._taken >> 7 * (column - 1) & 1


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    game = ConnectFour(depth=1)
    game.reset(np.random.default_rng(0))
    turn = game.step(text)
    assert turn.text and turn.reward in (-0.1, 0.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"depth": 9}, "depth must be 0 to 8, not 9"),
        ({"random_share": 1.2}, "random_share is a probability: it must be 0 to 1, not 1.2"),
        ({"opening": -1}, "opening must be 0 to 12 disks, not -1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConnectFour(**knobs)
