"""Queries on small tables by a real SQLite database in memory that refuses everything but reading."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

MAX_ROWS = 200
_STEPS, _BLOCKS = 1000, 200  # the database stops after this many instructions, times that
_FUNCTIONS = (
    "abs avg coalesce count group_concat ifnull iif instr length like lower ltrim max min nullif replace round rtrim "
    "substr substring sum total trim typeof upper"
)

Row = tuple[Any, ...]


class Table(NamedTuple):
    """A table with at least one row; the first column is its key."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def schema(self) -> str:
        """Name and columns, as they are told."""
        return f"{self.name}({', '.join(self.columns)})"


def query(tables: Sequence[Table], sql: str) -> list[Row]:
    """The rows that a query gives.

    It may only read, and takes no more time, memory and rows than small tables need; what is not the same each time, as
    the clock, is refused too. The connection lives no longer than the query, so that nothing has to be kept.

    Raises:
        ValueError: the query is refused or wrong; the message is one line.
    """
    connection = sqlite3.connect(":memory:")
    try:
        for table in tables:
            types = ("INTEGER" if isinstance(value, int) else "TEXT" for value in table.rows[0])
            columns = ", ".join(map(" ".join, zip(table.columns, types, strict=True)))
            connection.execute(f"CREATE TABLE {table.name} ({columns})")
            marks = ", ".join("?" * len(table.columns))
            connection.executemany(f"INSERT INTO {table.name} VALUES ({marks})", table.rows)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        connection.set_authorizer(_authorize)
        blocks = iter(range(_BLOCKS))
        connection.set_progress_handler(lambda: next(blocks, None) is None, _STEPS)
        rows = connection.execute(sql).fetchmany(MAX_ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        raise ValueError(re.sub(r"[^ -~]", "?", str(error))[:100].lower()) from error
    finally:
        connection.close()
    if len(rows) > MAX_ROWS:
        raise ValueError("too many rows")
    return rows


def _authorize(action: int, one: str | None, other: str | None, database: str | None, trigger: str | None) -> int:
    allowed = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ) or (
        action == sqlite3.SQLITE_FUNCTION and other in _FUNCTIONS.split()
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
