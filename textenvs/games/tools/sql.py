"""Answer questions by SQL queries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from textenvs.game import Game, Turn
from textenvs.games.questions.scoring import f1
from textenvs.games.tools.database import Row, query
from textenvs.games.tools.queries import draw_task
from textenvs.parsing import MAX_CHARACTERS, words

_PARTIAL = 0.5  # what the share of right cells of a wrong answer is worth
_CHOICES = 12
_SHOWN_ROWS, _SHOWN_CELLS, _SHOWN_CELL = 10, 10, 30
_SELECT = re.compile(r"\b(?:select\b|with\s+\w+\s*(?:\([^)]*\)\s*)?as\b|values\s*\().*", re.DOTALL)
_HAND_IN = {"answer", "submit", "final", "done"}
_SCHEMA = {"schema", "schemas", "tables", "columns", "describe"}
_HELP = "say a select query, schema, or answer to hand in the last query."


class SQL(Game):
    """TextSQL-v0: answer a question by an SQL query.

    ## Description

    A few small tables in a real SQLite database, drawn anew for each episode, and a question about them. ``select ...``
    shows what a query gives; ``answer`` hands in the last one without an error, ``answer select ...`` one that was not
    tried. What counts is the query: it is also run on other, hidden tables with the same columns, so that it does
    not help to read the answer off the rows. The first query is for nothing, each further one has a price.

    ## Example transcript

    ```
    tables: food(food, price, kind, hotel), hotel(hotel, stars, cost). try select queries (once free, then 0.05 each),
    then say answer to hand in the last. which of the foods whose kind is sweet has the lowest price?
    > select * from hotel
    garden, 1, 636; silver, 4, 611; sunny, 4, 679; palace, 1, 934; royal, 1, 889.
    > select food from food where kind='sweet' order by price
    soup; cheese; steak; rice; pizza.
    > answer select food from food where kind='sweet' order by price limit 1
    right.
    ```

    ## Observation

    The opening has the question and, unless ``hidden``, the tables with their columns; else ``schema`` tells them. A
    query is answered by its rows, at most ten of them, or by the error. The last reply to a wrong answer has a right
    query.

    ## Action

    Free text with a query in it, from ``select`` (or ``with``) on: ``SELECT name FROM users;``, also behind ``answer``
    (or ``submit``, ``final``, ``done``), which alone hands in the last query; or with ``schema`` (or ``tables``). Case
    does not matter, nor do a full stop, quotes or markdown around a query. Anything else is not understood.

    The database can only be read: whatever else is refused, as are recursive queries, functions that depend on time or
    chance, more than 200,000 steps of SQLite's machine, 200 rows or 10,000 characters.

    ## Reward

    1 for a query whose rows are right, in any order, on both sets of tables; two columns may be swapped. Else half of
    F1 over the cells, the mean of both sets. ``cost`` is lost by each query after the first, also by a wrong one, and
    by each utterance that is not understood; the query of an answer costs nothing unless it fails.

    ## Episode end

    Terminated by the answer (``success`` if it is right; ``queries`` counts queries); truncated after ``max_turns``.

    ## Arguments and levels

    | keyword | easy | medium | hard | meaning |
    |---|---|---|---|---|
    | ``tables`` | 1 | 2 | 3 | tables (1 to 3); each but the last names rows of the next one |
    | ``joins`` | 0 | 1 | 2 | joins that the question needs, or one less; fewer than ``tables`` |
    | ``rows`` | 8 | 10 | 12 | rows of the first table; each further one has half as many |
    | ``grouping`` | no | yes | yes | whether it may need groups, sub-queries or two conditions |
    | ``hidden`` | no | no | yes | whether the columns have to be asked for |
    | ``cost`` | 0.05 | 0.05 | 0.05 | price of a query after the first |
    | ``max_turns`` | 8 | 8 | 8 | truncation |

    ``valid_actions()`` has twelve queries that answer questions of the kind, this one's among them.

    ## Expert

    Exact: it asks for the columns if they are hidden, tries the right query and hands it in, which always earns 1. At
    random the mean return and success over 1000 episodes are -0.20 and 0.04 (easy), -0.20 and 0.03 (medium), -0.19 and
    0.04 (hard).

    ## Source

    Questions in the manner of Spider (Yu et al. 2018), compared by the results on several databases as in Zhong et al.
    2020, with tries before the answer as in InterCode (Yang et al. 2023). Tables and questions are this package's own.

    ## Version history

    - v0: first version.
    """

    levels: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "easy": {"tables": 1, "joins": 0, "rows": 8, "grouping": False},
        "medium": {},
        "hard": {"tables": 3, "joins": 2, "rows": 12, "hidden": True},
    }
    max_turns = 8
    max_choices = _CHOICES + 2

    def __init__(
        self,
        tables: int = 2,
        joins: int = 1,
        rows: int = 10,
        grouping: bool = True,
        hidden: bool = False,
        cost: float = 0.05,
    ) -> None:
        if not 1 <= tables <= 3:
            raise ValueError(f"tables must be 1 to 3, not {tables!r}")
        if not 0 <= joins < tables:
            raise ValueError(f"joins must be 0 to {tables - 1} for {tables} tables, not {joins!r}")
        if not 6 <= rows <= 16:
            raise ValueError(f"rows must be 6 to 16, not {rows!r}")
        if not 0 <= cost <= 0.1:
            raise ValueError(f"cost must be 0 to 0.1, not {cost!r}")
        self.tables, self.joins, self.rows, self.grouping = tables, joins, rows, grouping
        self.hidden, self.cost = hidden, cost

    def reset(self, rng: np.random.Generator) -> str:
        """Draw tables and a question."""
        self._task = draw_task(self.tables, self.joins, self.rows, self.grouping, _CHOICES - 1, rng)
        queries = [self._task.question.sql, *(other.sql for other in self._task.others)]
        self._choices = [queries[int(i)] for i in rng.permutation(len(queries))]
        self._last: str | None = None
        self._queries = 0
        self._informed = not self.hidden
        price = f" (once free, then {self.cost:g} each)" if self.cost else ""
        tables = "say schema to see the tables" if self.hidden else self._schema()
        return f"{tables}. try select queries{price}, then say answer to hand in the last. {self._task.question.text}"

    def instance(self) -> str:
        """The question, and the rows of the tables."""
        return f"{self._task.question.text} {self._task.shown} {self._task.hidden}"

    def step(self, action: str) -> Turn:
        """Run a query, hand one in, or tell the columns."""
        said = action[:MAX_CHARACTERS].lower().replace("’", "'").strip("`; \n")
        found = _SELECT.search(said)
        sql = _bare(found[0]) if found else ""
        spoken = {*words(said[: found.start()] if found else said)}
        if spoken & _HAND_IN and (found or self._last):
            return self._mark(sql or str(self._last))
        if found:
            return self._try(sql)
        if spoken & _HAND_IN:
            return Turn("there is no query to hand in yet.", -self.cost)
        if spoken & _SCHEMA:
            self._informed = True
            return Turn(f"{self._schema()}.")
        return Turn(_HELP, -self.cost)

    def valid_actions(self) -> list[str]:
        """Queries of such questions, handing in the last one, and asking for the columns where they are hidden."""
        return [*self._choices, "answer", *(["schema"] if self.hidden else [])]

    def expert_action(self) -> str:
        """Asks for the columns, tries the right query, hands it in."""
        if not self._informed:
            return "schema"
        return "answer" if self._last == self._task.question.sql else self._task.question.sql

    def _schema(self) -> str:
        return "tables: " + ", ".join(table.schema() for table in self._task.shown)

    def _try(self, sql: str) -> Turn:
        self._queries += 1
        reward = -self.cost if self._queries > 1 else 0.0
        try:
            rows = query(self._task.shown, sql)
        except ValueError as error:
            return Turn(f"error: {error}.", reward)
        self._last = sql
        return Turn(f"{_show(rows)}.", reward)

    def _mark(self, sql: str) -> Turn:
        right, share = True, 0.0
        for tables in (self._task.shown, self._task.hidden):
            expected = _cells(query(tables, self._task.question.sql))
            try:
                rows = _cells(query(tables, sql))
            except ValueError as error:
                return Turn(f"error: {error}.", -self.cost)
            right &= Counter(expected) in (Counter(rows), Counter(row[::-1] for row in rows))
            share += f1((cell for row in rows for cell in row), (cell for row in expected for cell in row)) / 2
        text = "right." if right else f"no, for example {self._task.question.sql}."
        info = {"success": right, "queries": self._queries}
        return Turn(text, 1.0 if right else _PARTIAL * share, True, info)


def _bare(sql: str) -> str:
    """A query without what is written behind it: a full stop, markdown, a quote that closes nothing in it."""
    while sql[-1] in "`;.*! \n" or (sql[-1] in "\"'" and sql.count(sql[-1]) % 2):
        sql = sql[:-1]
    return sql


def _cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Rows as they are compared and shown."""
    return [tuple(_cell(value) for value in row) for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return "null"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return re.sub(r"[^ -~]", "?", text)[:_SHOWN_CELL]


def _show(rows: Sequence[Row]) -> str:
    """A few rows."""
    shown = "; ".join(", ".join(row[:_SHOWN_CELLS]) for row in _cells(rows[:_SHOWN_ROWS]))
    more = f"; {len(rows) - _SHOWN_ROWS} more" if len(rows) > _SHOWN_ROWS else ""
    return f"{shown}{more}" if rows else "no rows"
