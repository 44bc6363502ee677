"""The shipped entities in a real database, in memory and read-only once filled."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def ontology() -> dict[str, Any]:
    """Domain -> its ``constraints`` and ``booking`` slots with their values, and its ``entities``."""
    text = files("textenvs.games.dialogue").joinpath("ontology.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


class Database:
    """One table a domain; look-ups are parametrised SELECTs, and SQLite refuses any write."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self.connection.close)  # Python 3.13 warns of connections that nobody closed
        for domain, table in ontology().items():
            columns = ["name", *table["constraints"]]
            self.connection.execute(f"CREATE TABLE {domain} ({', '.join(f'{column} TEXT' for column in columns)})")
            marks = ", ".join("?" * len(columns))
            rows = [tuple(entity[column] for column in columns) for entity in table["entities"]]
            self.connection.executemany(f"INSERT INTO {domain} VALUES ({marks})", rows)
        self.connection.commit()
        self.connection.execute("PRAGMA query_only = ON")

    def find(self, domain: str, constraints: Mapping[str, str]) -> list[str]:
        """The names of all entities of ``domain`` that satisfy ``constraints``, in the order they were shipped."""
        known = ontology()[domain]["constraints"]
        asked = {slot: value for slot, value in constraints.items() if slot in known}
        where = " AND ".join(f"{slot} = ?" for slot in asked) or "1"
        rows = self.connection.execute(f"SELECT name FROM {domain} WHERE {where} ORDER BY rowid", tuple(asked.values()))
        return [name for (name,) in rows]
