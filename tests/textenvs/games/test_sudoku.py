from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import isqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board import sudoku_grids
from textenvs.games.board.sudoku import Sudoku

PUZZLE = "1.3. .41. .1.3 4.2."
SOLVED = "1234 3412 2143 4321"
NOT_UNDERSTOOD: tuple[Any, ...] = ("say row, column and digit, each 1 to 4.", -1 / 16, False, {})


def digits(text: str) -> tuple[int, ...]:
    return tuple(int(sign) if sign != "." else 0 for sign in text.replace(" ", ""))


def start() -> Sudoku:
    game = Sudoku(4, 8)
    game.reset(np.random.default_rng(0))
    game._grid, game._solution = list(digits(PUZZLE)), digits(SOLVED)
    return game


def exact_covers(grid: Sequence[int], size: int) -> Iterator[dict[int, int]]:
    """Another solver: sudoku as an exact cover (Knuth's algorithm X), by ``{cell: digit}``."""
    box = isqrt(size)
    placements: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
    for cell, digit in product(range(size**2), range(1, size + 1)):
        if grid[cell] in (0, digit):
            row, column = divmod(cell, size)
            where = (("cell", cell), ("row", row), ("column", column), ("box", row // box * box + column // box))
            placements[cell, digit] = [(kind, place, digit * (kind != "cell")) for kind, place in where]
    needs: dict[tuple[str, int, int], set[tuple[int, int]]] = {}
    for placement, covered in placements.items():
        for need in covered:
            needs.setdefault(need, set()).add(placement)
    if len(needs) == 4 * size**2:
        yield from _covers(needs, placements, {})


def _covers(needs: Any, placements: Any, chosen: dict[int, int]) -> Iterator[dict[int, int]]:
    if not needs:
        yield dict(chosen)
        return
    for cell, digit in sorted(min(needs.values(), key=lambda placed: len(placed))):
        covered = placements[cell, digit]
        gone = {placement for need in covered for placement in needs[need]}
        rest = {need: left - gone for need, left in needs.items() if need not in covered}
        yield from _covers(rest, placements, {**chosen, cell: digit})


def solved(grid: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """The first two solutions by the other solver."""
    found = exact_covers(grid, size)
    pair = [cover for _, cover in zip(range(2), found, strict=False)]
    return [tuple(cover[cell] for cell in range(size**2)) for cover in pair]


def test_there_are_288_grids_of_4() -> None:
    grids = list(sudoku_grids.solutions([0] * 16, 4))
    assert len(set(grids)) == len(grids) == 288
    for grid in grids:
        square = np.reshape(grid, (4, 4))
        boxes = square.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4)
        assert all(sorted(line) == [1, 2, 3, 4] for lines in (square, square.T, boxes) for line in lines)


def test_solutions_are_those_of_another_solver() -> None:
    rng, counts = np.random.default_rng(0), set()
    grids = list(sudoku_grids.solutions([0] * 16, 4))
    for _ in range(60):
        grid = np.array(grids[rng.integers(288)])
        grid[rng.permutation(16)[: rng.integers(4, 14)]] = 0
        if rng.random() < 0.3:
            grid[rng.integers(16)] = rng.integers(1, 5)
        found = set(sudoku_grids.solutions(grid.tolist(), 4)) if consistent(grid) else set()
        others = {tuple(cover[cell] for cell in range(16)) for cover in exact_covers(grid.tolist(), 4)}
        assert found == others
        counts.add(len(found))
    assert {0, 1} < counts and max(counts) > 10


def consistent(grid: np.ndarray) -> bool:
    square = grid.reshape(4, 4)
    boxes = square.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4)
    lines = [line[line > 0] for lines in (square, square.T, boxes) for line in lines]
    return all(len(set(line.tolist())) == len(line) for line in lines)


def test_candidates_are_the_digits_that_row_column_and_box_lack() -> None:
    assert sudoku_grids.candidates(digits(PUZZLE), 4) == {
        **{1: [2], 3: [2, 4], 4: [2, 3], 7: [2]},
        **{8: [2], 10: [4], 13: [3], 15: [1]},
    }


@pytest.mark.parametrize("size", [4, 9])
def test_seeds_have_one_solution_and_no_clue_too_many(size: int) -> None:
    seeds = sudoku_grids.seeds(size)
    assert len(set(seeds)) == len(seeds) == {4: 12, 9: 100}[size]
    for n, seed in enumerate(seeds):
        assert len(list(sudoku_grids.solutions(seed, size))) == 1
        assert seed.count(0) >= sudoku_grids.SIZES[size]
        if size == 9 and n % 50:  # the other solver takes its time
            continue
        assert len(solved(seed, size)) == 1
        for cell in np.flatnonzero(seed):
            assert len(solved([0 if other == cell else clue for other, clue in enumerate(seed)], size)) == 2


@pytest.mark.parametrize(("size", "holes", "draws"), [(4, 8, 60), (4, 11, 60), (9, 20, 10), (9, 56, 15), (9, 1, 3)])
def test_drawn_puzzles_have_one_solution(size: int, holes: int, draws: int) -> None:
    rng = np.random.default_rng(holes)
    for _ in range(draws):
        puzzle, solution = sudoku_grids.draw(size, holes, rng)
        assert puzzle.count(0) == holes and solved(puzzle, size) == [solution]


def test_draws_are_diverse() -> None:
    rng = np.random.default_rng(1)
    assert len({sudoku_grids.draw(4, 8, rng)[1] for _ in range(4000)}) == 288
    drawn = [sudoku_grids.draw(9, 45, rng) for _ in range(1000)]
    assert len(set(drawn)) == len({solution for _, solution in drawn}) == 1000
    puzzles, grids = (np.array(each) for each in zip(*drawn, strict=True))
    for digit in range(1, 10):
        assert (abs((grids == digit).mean(axis=0) - 1 / 9) < 5 * (8 / 81 / 1000) ** 0.5).all()
    assert (abs((puzzles == 0).mean(axis=0) - 45 / 81) < 5 * (45 * 36 / 81**2 / 1000) ** 0.5).all()


def test_dug_puzzles_have_one_solution_and_no_clue_too_many() -> None:
    rng = np.random.default_rng(2)
    for _ in range(5):
        puzzle = sudoku_grids.dig(4, rng)
        assert len(solved(puzzle, 4)) == 1
        for cell in np.flatnonzero(puzzle):
            assert len(solved([0 if other == cell else clue for other, clue in enumerate(puzzle)], 4)) == 2
    assert sudoku_grids.dig(4, np.random.default_rng(3)) != sudoku_grids.dig(4, np.random.default_rng(4))
    assert len(solved(sudoku_grids.dig(9, rng), 9)) == 1


@pytest.mark.parametrize("level", Sudoku.levels)
def test_the_expert_solves_it_also_after_mistakes(level: str) -> None:
    game, rng = Sudoku(**Sudoku.levels[level]), np.random.default_rng(5)
    for mistakes in (0, 0, game.holes // 2, game.holes):
        opening, total = game.reset(rng), 0.0
        assert game.instance() in opening and len(opening.split()) < 60
        solution = solved(digits(opening.partition("grid: ")[2]), game.size)[0]
        plan = rng.permutation([True] * mistakes + [False] * (game.holes - 1)).tolist()
        for mistaken in (*plan, False):
            valid = game.valid_actions()
            assert game.expert_action() in valid and len(set(valid)) == len(valid) <= 32
            row, column, digit = map(int, game.expert_action().split())
            assert solution[(row - 1) * game.size + column - 1] == digit
            said = f"{row} {column} {digit % game.size + 1}" if mistaken else game.expert_action()
            _, reward, terminated, info = game.step(said)
            total += reward
        assert terminated and info == {"success": True} and total == pytest.approx(1 - mistakes / 2 / game.holes)


def test_an_episode() -> None:
    game = start()
    assert game.max_turns == 16
    assert game.step("1 2 2") == ("right.", 1 / 8, False, {})
    assert game.step("1 2 2") == ("that cell has a 2.", -1 / 16, False, {})
    assert game.step("1 4 3") == ("wrong: its row has a 3.", -1 / 16, False, {})
    assert game.step("2 1 1") == ("wrong: its row has a 1.", -1 / 16, False, {})
    assert game.step("3 1 1") == ("wrong: its row has a 1.", -1 / 16, False, {})
    assert game.step("4 2 1") == ("wrong: its column has a 1.", -1 / 16, False, {})
    assert game.step("hello") == NOT_UNDERSTOOD
    assert game.step("2 1 2") == ("wrong: its box has a 2. grid: 123. .41. .1.3 4.2.", -1 / 16, False, {})
    for said in ("1 4 4", "2 1 3", "2 4 2", "3 1 2", "3 3 4", "4 2 3"):
        assert game.step(said) == ("right.", 1 / 8, False, {})
    assert game.step("4 4 1") == ("solved.", 1 / 8, True, {"success": True})


def test_a_digit_that_breaks_no_rule_may_be_wrong() -> None:
    game = start()
    assert game.step("1 4 2") == ("wrong.", -1 / 16, False, {})
    assert game._grid == list(digits(PUZZLE))


def test_admissible_utterances() -> None:
    game = start()
    assert len(game.valid_actions()) == 32 and game.valid_actions()[:4] == ["1 2 1", "1 2 2", "1 2 3", "1 2 4"]
    game = Sudoku(9, 40)
    game.reset(np.random.default_rng(0))
    allowed = sudoku_grids.candidates(game._grid, 9)
    cells = {(int(row) - 1) * 9 + int(column) - 1 for row, column, _ in map(str.split, game.valid_actions())}
    assert len(cells) == 3 and len(game.valid_actions()) == 27
    others = [len(allowed[cell]) for cell in allowed if cell not in cells]
    assert max(len(allowed[cell]) for cell in cells) <= min(others)


def test_to_say_nothing_costs_as_much_as_the_worst_play() -> None:
    game = Sudoku()
    game.reset(np.random.default_rng(0))
    assert sum(game.step("i give up").reward for _ in range(game.max_turns)) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        *((text, 1 / 8) for text in ("1 2 2", "(1,2)=2", "r1c2: 2", "2 at 1 2", "Row 1, column 2 is 2!")),
        *((text, 1 / 8) for text in ("put a two in row one column two", "2 in the second column of the first row")),
        *((text, -1 / 16) for text in ("", "1 2", "1 2 5", "0 2 2", "1 5 2", "1 2 2 2", "122", "row 1 is 2")),
    ],
)
def test_what_is_understood(text: str, reward: float) -> None:
    turn = start().step(text)
    assert turn == (("right.", 1 / 8, False, {}) if reward > 0 else NOT_UNDERSTOOD)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and turn.reward in (-1 / 16, 1 / 8)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"size": 6}, "size must be 4 or 9, not 6"),
        ({"holes": 0}, "holes must be 1 to 56 for size 9, not 0"),
        ({"size": 4, "holes": 12}, "holes must be 1 to 11 for size 4, not 12"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sudoku(**knobs)
