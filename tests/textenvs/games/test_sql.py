from __future__ import annotations

import copy
import pickle
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textenvs.games.tools.database import Row, Table, query
from textenvs.games.tools.queries import Question, Task, draw_task
from textenvs.games.tools.sql import SQL

TEAMS = Table("team", ("team", "level"), (("bears", 1), ("foxes", 2), ("kings", 2)))
PLAYERS = Table("player", ("player", "age", "team"), (("ann", 20, "bears"), ("bob", 31, "foxes"), ("cid", 25, "foxes")))
OTHERS = Table("player", ("player", "age", "team"), (("ann", 40, "kings"), ("bob", 30, "bears"), ("dan", 20, "kings")))
GOLD = "select player from player natural join team where level=2"
HELP = "say a select query, schema, or answer to hand in the last query."


def start(sql: str = GOLD, **knobs: Any) -> SQL:
    game = SQL(**knobs)
    game.reset(np.random.default_rng(0))
    game._task = Task(Question("?", sql), [], (PLAYERS, TEAMS), (OTHERS, TEAMS))
    return game


# --- the database ---


@pytest.mark.parametrize(
    "sql",
    [
        "delete from player",
        "insert into player values (1, 2, 3)",
        "update player set age=1",
        "drop table player",
        "create table x(y)",
        "pragma table_info(player)",
        "select * from pragma_table_info('player')",
        "attach 'file' as other",
        "select load_extension('x')",
        "select random()",
        "select current_timestamp",
        "select date('now')",
        "select zeroblob(1000000000)",
        "with recursive r(n) as (select 1 union all select n+1 from r) select n from r",
        "select 1; select 2",
        "select",
        "select \x00",
        "select '\ud800'",
        "select ?",
        "select group_concat(a.player||b.player||c.player||d.player||e.player||f.player||g.player) "
        "from player a,player b,player c,player d,player e,player f,player g",
        "select 1 from player a,player b,player c,player d,player e",
        "select count(*) from player a,player b,player c,player d,player e,player f,player g,player h,player i,player j"
        ",player k,player l",
    ],
)
def test_what_does_not_only_read_or_takes_too_much_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match=r"^[ -~]+$"):
        query((PLAYERS, TEAMS), sql)


def test_tables_are_read() -> None:
    assert query((PLAYERS, TEAMS), "select count(*), avg(age) from player") == [(3, 76 / 3)]
    assert query((PLAYERS,), "select player from player where age>'24' order by age") == [("cid",), ("bob",)]
    assert query((PLAYERS,), "select upper(player) from player where player like 'A%'") == [("ANN",)]
    assert len(query((PLAYERS,), "select 1 from player a,player b,player c,player d")) == 81


# --- questions, answered anew from the rows ---

OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "is over": lambda a, b: a > int(b),
    "is under": lambda a, b: a < int(b),
    "is": lambda a, b: str(a) == b,
}
AGGREGATES: dict[str, Callable[[list[int]], float]] = {
    "average": lambda values: sum(values) / len(values),
    "highest": max,
    "lowest": min,
    "total": sum,
}


class Reader:
    """Answers questions in words by loops over the rows."""

    def __init__(self, tables: tuple[Table, ...], plurals: dict[str, str]) -> None:
        self.tables = {table.name: table for table in tables}
        self.plurals = plurals

    def rows(self, things: str) -> list[dict[str, Any]]:
        table = self.tables[self.plurals[things]]
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    def value(self, row: dict[str, Any], path: str) -> Any:
        """``hotel's town's area`` of a row."""
        *steps, column = path.split("'s ")
        for step in steps:
            table = self.tables[step]
            (row,) = (dict(zip(table.columns, each, strict=True)) for each in table.rows if each[0] == row[step])
        return row[column]

    def meets(self, row: dict[str, Any], condition: str) -> bool:
        match = re.fullmatch(r"([\w' ]+?) (is over|is under|is) (\w+)", condition)
        assert match is not None
        return OPERATIONS[match[2]](self.value(row, match[1]), match[3])

    def where(self, things: str, *conditions: str) -> list[dict[str, Any]]:
        return [row for row in self.rows(things) if all(self.meets(row, condition) for condition in conditions)]

    def key(self, row: dict[str, Any]) -> Row:
        return (next(iter(row.values())),)

    def answer(self, question: str) -> list[Row]:
        def match(pattern: str) -> bool:
            nonlocal found
            found = re.fullmatch(pattern, question)
            return found is not None

        found: Any = None
        if match(r"list the (\w+) whose (\w+) is over the average (\w+)\."):
            rows = self.rows(found[1])
            mean = sum(row[found[3]] for row in rows) / len(rows)
            return [self.key(row) for row in rows if row[found[2]] > mean]
        if match(r"list the (\w+) whose (.+)\."):
            return [self.key(row) for row in self.where(found[1], found[2])]
        if match(r"how many (\w+) are there whose (.+?)(?: and whose (.+))?\?"):
            return [(len(self.where(found[1], *(each for each in found.groups()[1:] if each))),)]
        if match(r"what is the (\w+) (\w+) of the (\w+) whose (.+)\?"):
            return [(AGGREGATES[found[1]]([row[found[2]] for row in self.where(found[3], found[4])]),)]
        if match(r"which of the (\w+) whose (.+) has the (highest|lowest) (\w+)\?"):
            rows = sorted(self.where(found[1], found[2]), key=lambda row: row[found[4]])
            assert len({row[found[4]] for row in rows}) == len(rows)
            return [self.key(rows[-1 if found[3] == "highest" else 0])]
        if match(r"list each different (.+) of the (\w+) whose (.+)\."):
            return [(each,) for each in {self.value(row, found[1]) for row in self.where(found[2], found[3])}]
        if match(r"count the (\w+) of each (.+)\."):
            return list(Counter(self.value(row, found[2]) for row in self.rows(found[1])).items())
        if match(r"list each (.+) that more than (\d) (\w+) have\."):
            counts = Counter(self.value(row, found[1]) for row in self.rows(found[3]))
            return [(each,) for each, count in counts.items() if count > int(found[2])]
        assert match(r"which (.+) do most (\w+) have\?"), question
        counts = Counter(self.value(row, found[1]) for row in self.rows(found[2]))
        assert sorted(counts.values())[-2] < max(counts.values())
        return [(max(counts, key=counts.__getitem__),)]


PLURALS = {name + "s": name for name in ("hotel", "town", "book", "user", "player", "team", "house", "agent", "train")}
PLURALS |= {"lines": "line", "foods": "food", "rooms": "rooms"}


@pytest.mark.parametrize(
    ("tables", "joins", "rows", "grouping"), [(1, 0, 8, False), (1, 0, 16, True), (2, 1, 10, True), (3, 2, 6, True)]
)
def test_the_right_query_answers_the_question_on_both_sets_of_tables(
    tables: int, joins: int, rows: int, grouping: bool
) -> None:
    rng, joined = np.random.default_rng(0), Counter[int]()
    for _ in range(100):
        task = draw_task(tables, joins, rows, grouping, 3, rng)
        answers = []
        for each in (task.shown, task.hidden):
            assert len(each) == tables and len(each[0].rows) == rows
            for one, other in pairwise(each):
                assert {*one.columns} & {*other.columns} == {other.columns[0]}
                assert {row[-1] for row in one.rows} <= {row[0] for row in other.rows}
            answers.append(query(each, task.question.sql))
            expected = Reader(each, PLURALS).answer(task.question.text)
            assert Counter(answers[-1]) == Counter(expected) and answers[-1]
        assert answers[0] != answers[1]
        joined[task.question.sql.count("natural join")] += 1
        for other in task.others:
            assert other.sql != task.question.sql and query(task.shown, other.sql) is not None
    assert {*joined} <= {joins, max(joins - 1, 0)} and joined[joins]


# --- the game ---


def test_an_episode() -> None:
    game = start()
    assert game.step("hello") == (HELP, -0.05, False, {})
    assert game.step("answer") == ("there is no query to hand in yet.", -0.05, False, {})
    assert game.step("select age, player from player;") == ("20, ann; 31, bob; 25, cid.", 0.0, False, {})
    assert game.step("```sql\nSELECT agee FROM player```").text == "error: no such column: agee."
    assert game.step("select player from player where age>99") == ("no rows.", -0.05, False, {})
    schema = "tables: player(player, age, team), team(team, level)."
    assert game.step("Schema, please") == (schema, 0.0, False, {})
    assert game.step(GOLD.upper()) == ("bob; cid.", -0.05, False, {})
    assert game.step("answer") == ("right.", 1.0, True, {"success": True, "queries": 4})


@pytest.mark.parametrize(
    ("sql", "reward"),
    [
        (GOLD, 1.0),
        ("select player from player, team where player.team=team.team and level>1", 1.0),
        ("with t as (select team from team where level=2) select player from player where team in t", 1.0),
        ("select player from player where team in (select team from team where level=2) order by age desc", 1.0),
        ("select 'bob' union select 'cid'", 0.25),  # right on the shown tables only
        ("select player from player", 0.5 * (0.8 + 0.8) / 2),
        ("select player, age from player where team='foxes'", 0.5 * (2 / 3 + 0) / 2),
        ("select 1", 0.0),
        ("select player from player where 0", 0.0),
    ],
)
def test_answers_are_compared_on_both_sets_of_tables(sql: str, reward: float) -> None:
    turn = start().step(f"answer {sql}")
    assert turn.terminated and turn.reward == pytest.approx(reward)
    assert turn.info == {"success": reward == 1, "queries": 0}
    assert turn.text == ("right." if reward == 1 else f"no, for example {GOLD}.")


def test_columns_and_kinds_of_numbers() -> None:
    game = start("select team, count(*) from player group by team")
    assert game.step("answer select count(*)*1.0, team from player group by team").info["success"]


@pytest.mark.parametrize(
    "said", ["{}.", '"{}"', "'{}.'", "**{}**", "`{};`", 'answer: "{}."', "**answer {}!**", "```sql\n{}\n```\n"]
)
def test_what_is_written_around_a_query(said: str) -> None:
    for sql in (GOLD, "select player from player natural join \"team\" where level=2 and player<>'x'"):
        game = start()
        assert game.step(said.format(sql)).text in ("bob; cid.", "right.")
        assert game._last in (sql, None)


def test_a_wrong_answer_query_does_not_end_the_episode() -> None:
    assert start().step("answer select x") == ("error: no such column: x.", -0.05, False, {})


def test_long_results_are_cut() -> None:
    game = start()
    assert game.step("select 1 from player a,player b,player c").text == f"{'; '.join(['1'] * 10)}; 17 more."
    assert len(game.step(f"select {'1,' * 100}'{'x' * 80}'").text) < 60
    assert game.step("select null, 1/3.0, 'long text that goes on and on'").text.startswith("null, 0.333333, long")


@given(st.text() | st.text().map("select {}".format) | st.text().map("answer select {}".format))
def test_any_text_is_answered(text: str) -> None:
    assert start().step(text).text


@pytest.mark.parametrize("level", SQL.levels)
def test_the_expert_is_always_right_and_among_the_choices(level: str) -> None:
    game, rng, seen = SQL(**SQL.levels[level]), np.random.default_rng(0), set()
    for _ in range(30):
        opening, total, turns, done = game.reset(rng), 0.0, 0, False
        assert ("schema" in opening) == game.hidden
        while not done:
            valid = game.valid_actions()
            assert game.expert_action() in valid and len({*valid}) == len(valid) <= game.max_choices
            _, reward, done, info = game.step(game.expert_action())
            total, turns = total + reward, turns + 1
        assert total == 1 and info["success"] and turns == 2 + game.hidden
        seen.add(game.instance())
    assert len(seen) == 30


def test_a_game_can_be_copied_in_the_middle() -> None:
    game = start()
    game.step("select * from team")
    for other in (copy.deepcopy(game), pickle.loads(pickle.dumps(game))):
        assert other.step(GOLD) == ("bob; cid.", -0.05, False, {})


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"tables": 4}, "tables must be 1 to 3, not 4"),
        ({"joins": 2}, "joins must be 0 to 1 for 2 tables, not 2"),
        ({"rows": 5}, "rows must be 6 to 16, not 5"),
        ({"cost": 1}, "cost must be 0 to 0.1, not 1"),
    ],
)
def test_wrong_knobs(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SQL(**knobs)
