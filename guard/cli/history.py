"""`guard history`: what was told, sent and spent, and why, from the journal."""

import json
from pathlib import Path

from rich.text import Text

from guard.cli.arming import unknown_account
from guard.cli.screen import Screen, print_line
from guard.config import load
from guard.journal import Journal
from guard.journal.records import HistoryRow

KIND_STYLES = {
    "intent.applied": "bold green",
    "intent.unknown": "bold magenta",
    "intent.refused": "bold yellow",
    "alert": "yellow",
    "message.given_up": "bold red",
    "arm": "cyan",
    "disarm": "cyan",
}


def run_history(config: Path | None, *, account: str | None, limit: int, as_json: bool) -> None:
    """Print the newest entries, newest last. Raises JournalError when there is no journal to read."""
    settings = load(config)
    with Journal.open_to_read(settings.journal_path) as journal:
        rows = journal.history(account=account, limit=limit)
    if account not in {None, *settings.accounts, *(row.account for row in rows)}:
        raise unknown_account(account, settings)
    if as_json:
        print(json.dumps([_document(row) for row in rows], indent=2))
        return
    console = Screen()
    for row in rows:
        print_line(console, Text(f"{row.at:%Y-%m-%d %H:%M:%S}Z", style="dim"), _told(row))


def _document(row: HistoryRow) -> dict[str, object]:
    return {
        "at": row.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "account": row.account,
        "kind": row.kind,
        "subject": row.subject,
        "text": row.text,
        "data": row.data,
    }


def _told(row: HistoryRow) -> Text:
    style = KIND_STYLES.get(row.kind) or KIND_STYLES.get(row.kind.partition(".")[0], "")
    subject = "" if row.subject == row.account else f" {row.subject}"
    return Text.assemble((f"{row.kind:<17}", style), f"  {row.account or 'all'}", (subject, "bold"), f": {row.text}")
