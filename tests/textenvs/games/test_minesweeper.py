from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.board import mines as grid
from textenvs.games.board.minesweeper import Minesweeper

NOT_UNDERSTOOD: tuple[Any, ...] = ("say reveal or flag with row and column, 1 to 4.", -0.1, False, {})
ROWS = ("*...", "....", "*...", "..*.")  # *100 2200 *211 12*1


def start(rows: Sequence[str] = ROWS) -> Minesweeper:
    """A game with mines where a ``*`` is."""
    cells = "".join(rows)
    game = Minesweeper(len(rows), cells.count("*"))
    game.reset(np.random.default_rng(0))
    game._order = sorted(range(len(cells)), key=lambda cell: cells[cell] != "*")
    return game


def around(cell: int, size: int) -> list[int]:
    row, column = divmod(cell, size)
    return [
        other
        for other in range(size**2)
        if other != cell and abs(other // size - row) <= 1 and abs(other % size - column) <= 1
    ]


def layouts(shown: Sequence[int], size: int, mines: int) -> list[tuple[int, ...]]:
    """All that fit, by trying all."""
    closed = [cell for cell, number in enumerate(shown) if number < 0]
    clues = [(set(around(cell, size)), number) for cell, number in enumerate(shown) if number >= 0]
    return [laid for laid in combinations(closed, mines) if all(len(near.intersection(laid)) == n for near, n in clues)]


def random_shown(size: int, mines: int, opened: int, rng: np.random.Generator) -> list[int]:
    laid = set(rng.permutation(size**2)[:mines].tolist())
    shown = [grid.CLOSED] * size**2
    for cell in rng.permutation(size**2)[:opened].tolist():
        if cell not in laid:
            shown[cell] = len(laid.intersection(around(cell, size)))
    return shown


def test_neighbours() -> None:
    for size in (4, 7):
        assert [sorted(cells) for cells in grid.neighbours(size)] == [around(cell, size) for cell in range(size**2)]


def test_chances_are_those_of_all_layouts() -> None:
    rng, certain = np.random.default_rng(0), {0.0: 0, 1.0: 0}
    for _ in range(150):
        size, mines = int(rng.integers(3, 5)), int(rng.integers(1, 5))
        shown = random_shown(size, mines, int(rng.integers(0, 9)), rng)
        fitting = layouts(shown, size, mines)
        chances = grid.mine_chances(tuple(shown), size, mines)
        assert set(chances) == {cell for cell, number in enumerate(shown) if number < 0}
        for cell, chance in chances.items():
            count = sum(cell in laid for laid in fitting)
            assert chance == pytest.approx(count / len(fitting), abs=1e-12)
            assert (chance == 0.0, chance == 1.0) == (count == 0, count == len(fitting))
            if chance in certain:
                certain[chance] += 1
    assert min(certain.values()) > 50


def test_chances_where_mines_are_many_and_nothing_is_said_of_most_cells() -> None:
    rng = np.random.default_rng(1)
    shown = random_shown(5, 9, 6, rng)
    fitting = layouts(shown, 5, 9)
    for cell, chance in grid.mine_chances(tuple(shown), 5, 9).items():
        assert chance == pytest.approx(sum(cell in laid for laid in fitting) / len(fitting), abs=1e-12)
    with pytest.raises(ValueError, match="no layout of 2 mines fits what is shown"):
        grid.mine_chances((3, *[grid.CLOSED] * 15), 4, 2)


@pytest.mark.parametrize("size", [4, 5])
def test_the_expert_opens_a_least_dangerous_cell_also_after_mistakes(size: int) -> None:
    rng, game, guesses = np.random.default_rng(2), Minesweeper(size, 4), 0
    for _ in range(30):
        game.reset(rng)
        turn = game.step(str(rng.choice(game.valid_actions())))
        while not turn.terminated:
            said = game.expert_action()
            row, column = map(int, said.split()[1:])
            fitting = layouts(game._shown, size, 4)
            counts = {cell: sum(cell in laid for laid in fitting) for cell, n in enumerate(game._shown) if n < 0}
            assert counts[(row - 1) * size + column - 1] == min(counts.values())
            guesses += min(counts.values()) > 0
            if rng.random() < 0.3:
                game.step(f"flag {row} {column}")
                assert game.expert_action() == f"unflag {row} {column}"
                game.step(game.expert_action())
            turn = game.step(str(rng.choice(game.valid_actions())) if rng.random() < 0.2 else said)
    assert guesses > 3


def test_the_first_cell_and_those_around_it_are_free_and_all_other_layouts_come_alike() -> None:
    counts, draws = np.zeros(16), 3000
    game, rng = Minesweeper(4, 2), np.random.default_rng(3)
    for _ in range(draws):
        game.reset(rng)
        game.step("reveal 1 2")
        assert game._laid is not None and len(game._laid) == 2
        counts[sorted(game._laid)] += 1
    free = [0, 1, 2, 4, 5, 6]
    assert counts[free].sum() == 0
    expected = draws * 2 / 10
    assert (abs(np.delete(counts, free) - expected) < 5 * expected**0.5).all()


def flood(cell: int, laid: frozenset[int], barred: set[int], size: int) -> set[int]:
    """Another implementation: the cells that open, spread until nothing changes."""
    opened, before = {cell}, set[int]()
    while opened != before:
        before = set(opened)
        for other in before:
            if not laid.intersection(around(other, size)):
                opened |= set(around(other, size)) - barred
    return opened


def test_cells_open_by_themselves_around_a_0() -> None:
    rng, opened = np.random.default_rng(4), 0
    for _ in range(100):
        size = int(rng.integers(4, 8))
        order = rng.permutation(size**2).tolist()
        first = int(rng.integers(size**2))
        laid = grid.lay(order, 3, first, size)
        assert len(laid) == 3 and not laid & {first, *around(first, size)}
        barred = set(order[-4:]) - {first}
        found = grid.spread(first, laid, barred, size)
        assert set(found) == flood(first, laid, barred, size) and not laid & set(found)
        assert all(number == len(laid.intersection(around(cell, size))) for cell, number in found.items())
        opened += len(found)
    assert opened > 1000


def test_a_win() -> None:
    game = start()
    assert game.max_turns == 16
    assert game.step("open 1 4") == (".100 .200 .211 ....", 0.0, False, {})
    assert game.step("flag 2 1") == (".100 F200 .211 ....", 0.0, False, {})
    assert game.step("reveal 2 1") == ("row 2 column 1 has a flag.", -0.1, False, {})
    assert game.step("unflag 4 4") == ("row 4 column 4 has no flag.", -0.1, False, {})
    assert game.step("open 1 3") == ("row 1 column 3 is open. say a closed cell.", -0.1, False, {})
    assert game.step("hello") == NOT_UNDERSTOOD
    assert game.valid_actions() == [
        *("reveal 1 1", "unflag 2 1", "reveal 3 1", "reveal 4 1", "reveal 4 2", "reveal 4 3", "reveal 4 4")
    ]
    assert game.step("4 4") == (".100 F200 .211 ...1", 1 / 4, False, {})
    assert game.step("unflag 2 1").text == ".100 .200 .211 ...1"
    assert game.step("reveal 2 1").text == ".100 2200 .211 ...1"
    assert game.step("reveal 4 1").reward == 1 / 4
    assert game.step("reveal 4 2") == ("all is clear. you win.", 1 / 4, True, {"success": True})


def test_a_loss() -> None:
    game = start()
    assert game.step("reveal 1 4").text == ".100 .200 .211 ...."
    assert game.step("reveal 1 1") == ("a mine. you lose.", 0.0, True, {"success": False})


def test_flags_from_before_the_first_reveal_are_gone() -> None:
    game = start()
    assert game.step("flag 2 2") == (".... .F.. .... ....", 0.0, False, {})
    assert game.step("reveal 2 2") == ("row 2 column 2 has a flag.", -0.1, False, {})
    assert game.step("reveal 1 4").text == ".100 .200 .211 ...."


def test_the_first_reveal_may_win() -> None:
    game = start(("*...", "....", "....", "...*"))
    assert game.step("reveal 1 3") == ("all is clear. you win.", 1.0, True, {"success": True})


def test_a_flag_keeps_its_cell_from_opening() -> None:
    game = start(["..*..."] * 6)
    assert game.step("1 6").text == " ".join(["...200", *["...300"] * 4, "...200"])
    game.step("flag 3 1")
    turn = game.step("reveal 1 1")
    assert turn == ("02.200 03.300 F3.300 ...300 ...300 ...200", 5 / 12, False, {})
    assert game.step("unflag 3 1").text == "02.200 03.300 .3.300 ...300 ...300 ...200"
    assert game.step("reveal 3 1") == ("all is clear. you win.", 7 / 12, True, {"success": True})


@pytest.mark.parametrize("level", Minesweeper.levels)
def test_the_return_of_a_win_is_one_and_instances_differ(level: str) -> None:
    game, rng, found, won = Minesweeper(**Minesweeper.levels[level]), np.random.default_rng(5), set(), 0
    for _ in range(12):
        opening, total, terminated = game.reset(rng), 0.0, False
        assert len(opening.split()) < 60 and game.instance() not in found
        found.add(game.instance())
        while not terminated:
            valid = game.valid_actions()
            assert game.expert_action() in valid and len(valid) == min(32, game._shown.count(grid.CLOSED))
            _, reward, terminated, info = game.step(game.expert_action())
            total += reward
        assert total == pytest.approx(1.0) if info["success"] else 0 <= total < 1
        won += info["success"]
    assert won >= 7
    assert len({(game.reset(rng), game.instance())[1] for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("reveal 1 4", ".100"),
        ("Open row 1, column 4!", ".100"),
        ("r1c4", ".100"),
        ("(1,4)", ".100"),
        ("the fourth column of the first row is safe", ".100"),
        ("dig up 1 4", ".100"),
        ("reveel one four", ".100"),
        ("flag 1 4", "...F"),
        ("put a flag at row 1 column 4", "...F"),
        ("mark the mine in column 4, row 1", "...F"),
        ("row 1 column 4 is a mine", "...F"),
        ("reveal or flag 1 4", None),
        ("don't reveal 1 4", None),
        ("not a mine: 1 4", None),
        ("reveal 1 5", None),
        ("reveal 0 4", None),
        ("reveal 1 4 2", None),
        ("reveal 3", None),
        ("", None),
    ],
)
def test_what_is_understood(text: str, row: str | None) -> None:
    turn = start().step(text)
    assert turn == NOT_UNDERSTOOD if row is None else turn.text.startswith(row)


def test_to_remove_a_flag() -> None:
    game = start()
    for text in ("unflag 1 4", "remove the flag from row 1 column 4", "flag 1 4"):
        assert game.step("flag 1 4").text.startswith("...F")
        assert game.step(text).text.startswith("....")


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    turn = start().step(text)
    assert turn.text and turn.reward in (-0.1, 0.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"size": 3}, "size must be 4 to 10, not 3"),
        ({"size": 11}, "size must be 4 to 10, not 11"),
        ({"mines": 0}, "mines must be 1 to 9 for size 6, not 0"),
        ({"size": 4, "mines": 5}, "mines must be 1 to 4 for size 4, not 5"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Minesweeper(**knobs)
