"""`guard history --moved`: why each liquidation price moved between two looks that the daemon wrote down."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import typer
from rich import box
from rich.table import Table

from guard.cli.arming import unknown_account
from guard.cli.screen import Screen
from guard.config import load
from guard.config.account_file import read_account_text
from guard.config.quantities import duration
from guard.journal import Journal
from guard.journal.looks import KeptLook
from guard.margin import decimal_text, distance_of
from guard.margin.books.attribution import Look, Part, attribute
from guard.margin.liquidation import crossings
from guard.notify import wording
from guard.snapshot import MarginMode, PositionKey, Purse


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One position's liquidation at two moments, and what moved it in between."""

    account: str
    key: PositionKey
    since: datetime
    until: datetime
    before: Look
    after: Look
    parts: tuple[Part, ...]


def run_moved(config: Path | None, *, account: str | None, since: str, as_json: bool) -> None:
    """Print the parts of each move. Raises JournalError when there is no journal to read."""
    try:
        back = duration(since)
    except ValueError as error:
        raise typer.BadParameter(f"--since {since}: {error}") from None
    settings = load(config)
    if account is not None and account not in settings.accounts:
        raise unknown_account(account, settings)
    with Journal.open_to_read(settings.journal_path) as journal:
        found = [
            moved
            for name in settings.accounts
            if account in {None, name} and (last := journal.last_look(name)) is not None
            for moved in _moved(journal, name, journal.look_at(name, last.at - back) or last, last)
        ]
    if as_json:
        print(json.dumps([_document(moved) for moved in found], indent=2))
        return
    console = Screen()
    if not found:
        console.print("Nothing to explain yet: `guard run` writes a look down every hour and when a liquidation moves.")
    for moved in found:
        console.print(_headline(moved), highlight=False)
        console.print(_only_one_look(moved) if moved.since == moved.until else _table(moved))


def _only_one_look(moved: Moved) -> str:
    """Word that there is nothing to hold the look against: it may have moved, and nobody wrote it down."""
    return f"one look so far, at {moved.until:%H:%M}: the next is kept within the hour, or when a liquidation moves"


def _moved(journal: Journal, account: str, first: KeptLook, last: KeptLook) -> Iterator[Moved]:
    """Yield each position that both looks hold, in the order of the later one."""
    added = journal.margin_moved(account, first.at, last.at)
    before, after = _looks(first), _looks(last)
    for key, look in after.items():
        if key in before:
            paid = _paid_alike(look, added, before, after)
            parts = attribute(before[key], look, margin_moved=_margin_moved(look, paid))
            yield Moved(
                account=account,
                key=key,
                since=first.at,
                until=last.at,
                before=before[key],
                after=look,
                parts=tuple(parts),
            )


def _looks(kept: KeptLook) -> Mapping[PositionKey, Look]:
    written = read_account_text(kept.accounts, f"the look of {kept.at:%Y-%m-%d %H:%M:%S}Z")
    return {
        holding.key: Look(leg=holding.leg, pool=pool.pool)
        for account in written.accounts
        for pool in account.book.pools
        for holding in pool.holdings
    }


def _margin_moved(look: Look, paid: Mapping[PositionKey, Decimal]) -> Decimal:
    """Return what guard moved into the position, or out of its cross pool into isolated ones. `paid`: by its wallet."""
    if look.pool.margin_mode is MarginMode.ISOLATED:
        return paid.get(look.key, Decimal(0))
    return -sum(paid.values(), Decimal(0))


def _paid_alike(
    look: Look, added: Mapping[PositionKey, Decimal], *looks: Mapping[PositionKey, Look]
) -> Mapping[PositionKey, Decimal]:
    """Return what was added to positions that the same wallet pays."""
    purse = Purse(look.pool.currency, look.pool.wallet)
    return {key: amount for key, amount in added.items() if _purse(key, *looks) == purse}


def _purse(key: PositionKey, *looks: Mapping[PositionKey, Look]) -> Purse:
    """Return the wallet that pays a position; one that no look holds is taken to be paid by the main one."""
    contract = next((some[key].leg.contract for some in looks if key in some), None)
    return Purse(key.settle) if contract is None else contract.purse


def _headline(moved: Moved) -> str:
    words = [_place(look) for look in (moved.before, moved.after)]
    when = f"{moved.since:%Y-%m-%d %H:%M} to {moved.until:%Y-%m-%d %H:%M} UTC"
    return f"[bold]{moved.account}  {moved.key}[/bold]: liquidation {words[0]} -> {words[1]}, {when}"


def _place(look: Look) -> str:
    found = crossings(look.pool, look.leg)
    distance = distance_of(found, look.leg.mark_price)
    if found.nearest.price is None or distance is None:
        return found.nearest.kind.value
    price = wording.liquidation_price(found.nearest.price, mark=look.leg.mark_price)
    return f"{price} ({wording.distance(distance)} away)"


def _table(moved: Moved) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, name in enumerate(("cause", "liquidation price", "distance, points")):
        table.add_column(name, justify="right" if index else "left")
    for part in moved.parts:
        if part.price_change or part.distance_change or part.before.kind is not part.after.kind:
            price = _signed(part.price_change) or f"{part.before.kind.value} -> {part.after.kind.value}"
            table.add_row(part.cause.value, price, _signed(part.distance_change, Decimal(100)) or "")
    if not table.row_count:
        table.add_row("nothing moved it", "", "")
    return table


def _signed(change: Decimal | None, times: Decimal = Decimal(1)) -> str | None:
    if change is None:
        return None
    return (
        f"{change * times:+,.2f}" if abs(change * times) >= Decimal("0.01") or not change else f"{change * times:+.2g}"
    )


def _document(moved: Moved) -> dict[str, object]:
    return {
        "account": moved.account,
        "symbol": moved.key.symbol,
        "side": moved.key.side.word,
        "since": _time(moved.since),
        "until": _time(moved.until),
        "before": _figures(moved.before),
        "after": _figures(moved.after),
        "parts": [
            {
                "cause": part.cause.value,
                "price_change": decimal_text(part.price_change),
                "distance_change": decimal_text(part.distance_change),
            }
            for part in moved.parts
        ],
    }


def _figures(look: Look) -> dict[str, object]:
    found = crossings(look.pool, look.leg)
    return {
        "mark_price": decimal_text(look.leg.mark_price),
        "liquidation": found.nearest.kind.value,
        "liquidation_price": decimal_text(found.nearest.price),
        "distance": decimal_text(distance_of(found, look.leg.mark_price)),
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
