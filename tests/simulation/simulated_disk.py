"""The journal's disk: the real SQLite file, with faults and deaths between its steps.

What was not committed when the process dies is gone: the connection is closed without a word.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from simulated_faults import Weather
from simulated_time import World

FAULTS = {"full": "database or disk is full", "read_only": "attempt to write a readonly database"}
WRITES = ("BEGIN", "INSERT", "UPDATE", "DELETE", "COMMIT")


class SimulatedDisk:
    """Stands where the journal has its connection."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        weather: Weather,
        world: World,
        *,
        step: Callable[[str], None],
        on_commit: Callable[[frozenset[str]], None],
    ) -> None:
        self._connection = connection
        self._weather = weather
        self._world = world
        self._step = step  # Called at each journal step; it raises when the process dies there.
        self._on_commit = on_commit  # With the tables that were written.
        self._touched: set[str] = set()

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        word = sql.split(None, 1)[0]
        if word not in WRITES:
            return self._connection.execute(sql, parameters)
        self._step(f"before {word}")
        self._fail_if_faulty(word)
        cursor = self._connection.execute(sql, parameters)
        self._note_write(word, sql)
        self._step(f"after {word}")
        return cursor

    def executemany(self, sql: str, parameters: Sequence[Any]) -> sqlite3.Cursor:
        self._step("before many")
        self._fail_if_faulty("INSERT")
        self._note_write("INSERT", sql)
        return self._connection.executemany(sql, parameters)

    def close(self) -> None:
        self._connection.close()

    def _fail_if_faulty(self, word: str) -> None:
        kind = self._weather.at(self._world.time_s)
        # A full disk lets a transaction begin; a read-only one does not.
        if kind is not None and (word != "BEGIN" or kind == "read_only"):
            raise sqlite3.OperationalError(FAULTS[kind])

    def _note_write(self, word: str, sql: str) -> None:
        if word == "BEGIN":
            self._touched.clear()
        elif word == "COMMIT":
            self._on_commit(frozenset(self._touched))
        else:
            self._touched.update(table for table in ("intents", "deliveries", "lives", "rebuilt") if table in sql)
