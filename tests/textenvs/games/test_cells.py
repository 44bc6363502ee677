from __future__ import annotations

import pytest

from textenvs.games.board.cells import read_cell


@pytest.mark.parametrize(
    "text",
    [
        "3 4",
        "(3,4)",
        "r3c4",
        "R3 C4!",
        "row 3, column 4",
        "column 4 row 3",
        "col. 4 of line 3",
        "3rd row, 4th column",
        "the fourth column of row three",
        "row number three column number four",
        "the cell three four",
    ],
)
def test_cells(text: str) -> None:
    assert read_cell(text) == (3, 4, ())


@pytest.mark.parametrize(
    "text",
    [
        "3 4 7",
        "(3,4)=7",
        "7 at 3 4",
        "a 7 into (3, 4)",
        "set 3 4 to 7",
        "r3c4: 7",
        "put a seven in row 3 column 4",
        "row 3 column 4 is 7",
        "7, column 4, row 3",
        "seven in the third row and the fourth column",
    ],
)
def test_cells_with_a_number(text: str) -> None:
    assert read_cell(text) == (3, 4, (7,))


@pytest.mark.parametrize("text", ["", "3", "row 3", "row 3 4", "row 1 row 2 column 3", "7 at 3", "9" * 400, "a b"])
def test_what_names_no_cell(text: str) -> None:
    assert read_cell(text) is None


def test_all_other_numbers_are_given() -> None:
    assert read_cell("r1c2 3 4") == (1, 2, (3, 4))
    assert read_cell("1 2 3 4") == (1, 2, (3, 4))
