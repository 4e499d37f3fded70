"""`guard history`: what was told, sent and spent, and why, from the journal."""

import json
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from guard.config import load
from guard.journal import Journal
from guard.journal.records import HistoryRow


def run_history(config: Path | None, *, account: str | None, limit: int, as_json: bool) -> None:
    settings = load(config)
    with Journal.open_to_read(settings.journal_path) as journal:
        rows = journal.history(account=account, limit=limit)
    if as_json:
        print(json.dumps([_document(row) for row in rows], indent=2))
    else:
        Console().print(_table(rows))


def _document(row: HistoryRow) -> dict[str, object]:
    return {
        "at": row.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "account": row.account,
        "kind": row.kind,
        "subject": row.subject,
        "text": row.text,
        "data": row.data,
    }


def _table(rows: tuple[HistoryRow, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("at (UTC)", "account", "what", "of", "why"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(f"{row.at:%m-%d %H:%M:%S}", row.account or "all", row.kind, row.subject, row.text)
    return table
