"""`guard history --report`: the black box of one top-up, by its intent, or of one position and its end, by its name."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import typer

from guard.cli.arming import unknown_account
from guard.cli.report_end import end_document, end_lines, end_report
from guard.cli.report_top_up import top_up_document, top_up_lines, top_up_report
from guard.config import load
from guard.config.settings import Settings
from guard.journal import Intent, Journal
from guard.journal.reports import LifeRecord
from guard.snapshot import PositionKey, Side

EXIT_USAGE = 2
LISTED_MAX = 3


def run_report(config: Path | None, wanted: str, *, account: str | None, as_json: bool) -> None:
    """Print one report. Raises JournalError when there is no journal to read; exits with 2 when it knows no such."""
    settings = load(config)
    if account is not None and account not in settings.accounts:
        raise unknown_account(account, settings)
    key = _position_named(wanted)
    with Journal.open_to_read(settings.journal_path) as journal:
        if key is None:
            top_up = top_up_report(journal, _intent(journal, wanted))
            document, lines = top_up_document(top_up), top_up_lines(top_up)
        else:
            document, lines = _of_position(journal, settings, key, account)
    print(json.dumps(document, indent=2) if as_json else "\n".join(lines))


def _of_position(
    journal: Journal, settings: Settings, key: PositionKey, account: str | None
) -> tuple[dict[str, object], list[str]]:
    life, newer = _life(journal, key, account)
    report = end_report(journal, life, newer, settings.accounts.get(life.account), datetime.now(UTC))
    return end_document(report), end_lines(report)


def _position_named(wanted: str) -> PositionKey | None:
    """Return the position that "BTC/USDT:USDT long" names. None: it is no name of a position."""
    symbol, _, side = wanted.strip().rpartition(" ")
    found = next((one for one in Side if one.word == side.lower()), None)
    return PositionKey(symbol.strip(), found) if found is not None and symbol.strip() else None


def _intent(journal: Journal, beginning: str) -> Intent:
    found = journal.intents_beginning(beginning) if beginning else ()
    exact = [intent for intent in found if intent.intent_id == beginning]
    if len(found) == 1 or exact:
        return (exact or list(found))[0]
    if found:
        listed = ", ".join(intent.intent_id for intent in found[:LISTED_MAX])
        raise _unknown(
            f"{len(found)} top-ups begin with {beginning!r}, name one: {listed}{', …' if found[LISTED_MAX:] else ''}"
        )
    raise _unknown(
        f'no top-up {beginning!r} in the journal; `guard history` lists them, or name a position: "BTC/USDT:USDT long"'
    )


def _life(journal: Journal, key: PositionKey, account: str | None) -> tuple[LifeRecord, LifeRecord | None]:
    """Return the last life that ended, else the one that is open; and a newer one that is open."""
    lives = [life for life in journal.lives_of(key) if account in {None, life.account}]
    accounts = sorted({life.account for life in lives})
    if not lives:
        known = ", ".join(str(one) for one in journal.known_positions()) or "none"
        raise _unknown(f"no position {str(key)!r} in the journal; it knows: {known}")
    if len(accounts) > 1:
        raise _unknown(f"{key} was held on several accounts: add --account and one of {', '.join(accounts)}")
    is_open = next((life for life in lives if life.ended_at is None), None)
    ended = [life for life in lives if life.ended_at is not None]
    if not ended:
        assert is_open is not None
        return is_open, None
    return ended[-1], is_open


def _unknown(text: str) -> typer.Exit:
    print(f"guard: {text}", file=sys.stderr)
    return typer.Exit(EXIT_USAGE)
