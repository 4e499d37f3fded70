"""The schema, as numbered SQL files that are applied in order, all in one transaction."""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files

from guard.errors import JournalError
from guard.journal.columns import first_row

APPLICATION_ID = 0x67756172  # "guar": tells our file from somebody else's database.


def migrations() -> tuple[str, ...]:
    """Return the migration scripts; the first takes an empty file to version 1."""
    folder = files("guard.journal") / "schema"
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return tuple(script.read_text(encoding="utf-8") for script in scripts)


def version_of(connection: sqlite3.Connection) -> int:
    return int(first_row(connection, "PRAGMA user_version")[0])


def check_is_ours(connection: sqlite3.Connection, path: object, newest: int) -> None:
    """Raise JournalError unless the file is empty or a journal that this program can work on."""
    version = version_of(connection)
    if version > newest:
        raise JournalError(
            f"{path} was written by a newer guard (schema {version}, this one knows {newest}): "
            "install that version again, or point [journal] path at another file"
        )
    holds_tables = first_row(connection, "SELECT count(*) FROM sqlite_master")[0] > 0
    application = first_row(connection, "PRAGMA application_id")[0]
    if holds_tables and application != APPLICATION_ID:
        raise JournalError(f"{path} is a database, but no guard journal: point [journal] path at another file")


def migrate(connection: sqlite3.Connection, path: object) -> bool:
    """Bring the schema up to date, all or nothing. Return whether the file was empty: a journal without a past."""
    scripts = migrations()
    check_is_ours(connection, path, len(scripts))
    if version_of(connection) == len(scripts):
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        before = version_of(connection)  # Again: another process may have been faster.
        for script in scripts[before:]:
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(scripts)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return before == 0


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements: `executescript` would commit before it starts."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), "a migration ends in a semicolon"
