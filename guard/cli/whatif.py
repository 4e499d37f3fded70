"""`guard whatif`: the account as it would be with one more order in it, every pool before and after."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from guard.cli.books import LiveBook, live_book, live_document, raise_if_none_read, settings_for
from guard.cli.order_words import OrderError, nearest_symbol, read_order
from guard.cli.screen import Screen
from guard.cli.usage import refuse_usage
from guard.cli.whatif_rows import outcome_rows
from guard.cli.whatif_texts import refusal_text
from guard.cli.whatif_view import outcome_parts
from guard.config.account_file import read_account_file
from guard.config.account_tables import symbol_parts
from guard.config.problems import printable
from guard.config.settings import Settings
from guard.daemon.look import Looker
from guard.margin.books import Book, Market, Order, Outcome, RefusalKind, market_of, what_if
from guard.snapshot import MarginMode, Purse


def run_whatif(words: str, file: Path | None, config: Path | None, *, account: str | None, as_json: bool) -> None:
    """Print the answer. Raises ConfigError, VenueUnavailable or KeysRefused."""
    try:
        order, currency = read_order(words)
    except OrderError as error:
        refuse_usage(f"whatif: {error}")
    if file is not None:
        if config is not None or account is not None:
            refuse_usage("whatif --file asks no exchange: it goes with neither --config nor --account")
        _answer_from_file(file, order, currency, as_json=as_json)
        return
    settings = settings_for(config, account)
    if len(settings.accounts) > 1:
        refuse_usage(f"whatif: expected --account with one of {', '.join(settings.accounts)}")
    live, outcome = asyncio.run(_ask(settings, order, currency))
    row = {"account": live.account, "exchange": live.exchange} | outcome_rows(order, outcome, live.book)
    if as_json:
        print(json.dumps(live_document([row]), indent=2))
    else:
        _print(order, outcome, live.book, title=live.account)


def _answer_from_file(file: Path, order: Order, currency: str | None, *, as_json: bool) -> None:
    written = read_account_file(file)
    books = [account.book for account in written.accounts]
    outcomes = [_outcome(book, order, currency, _written_market(book, order, file), None) for book in books]
    if not as_json:
        for book, outcome in zip(books, outcomes, strict=True):
            _print(order, outcome, book, title=None)
        return
    rows = [outcome_rows(order, outcome, book) for book, outcome in zip(books, outcomes, strict=True)]
    print(json.dumps(rows if written.is_list else rows[0], indent=2))


def _written_market(book: Book, order: Order, file: Path) -> Market:
    market = market_of(book, order.symbol)
    if market is None:
        symbols = {holding.leg.contract.symbol for holding in book.holdings()}
        near = nearest_symbol(order.symbol, symbols)
        refuse_usage(
            f"whatif: {printable(str(file))} has no position of {order.symbol!r}, "
            f"and only a position tells its mark and brackets{near}"
        )
    return market


async def _ask(settings: Settings, order: Order, currency: str | None) -> tuple[LiveBook, Outcome]:
    async with Looker(settings) as looker:
        looks = await looker.look()
        raise_if_none_read(looks)
        live = live_book(next(iter(looks.values())))
        contract = looker.venue(live.account).contracts.get(order.symbol)
        if contract is None:
            near = nearest_symbol(order.symbol, looker.venue(live.account).contracts)
            refuse_usage(f"whatif: {live.exchange} has no market {order.symbol!r}{near}")
        market = market_of(live.book, order.symbol) or await looker.market(
            live.account, contract, order.margin_mode or MarginMode.ISOLATED
        )
    return live, _outcome(live.book, order, currency, market, live.available)


def _outcome(
    book: Book, order: Order, currency: str | None, market: Market, available: Mapping[Purse, Decimal] | None
) -> Outcome:
    quote = symbol_parts(order.symbol)[1]
    if currency is not None and currency != quote:
        refuse_usage(f"whatif: found a quantity in {currency}, expected contracts, or what they are worth in {quote}")
    there = None if available is None else available.get(market.contract.purse, Decimal(0))
    outcome = what_if(book, order, market, there)
    if outcome.refusal is not None and outcome.refusal.kind is RefusalKind.NO_MARGIN:
        refuse_usage(f"whatif: {refusal_text(outcome.refusal, order)}")
    return outcome


def _print(order: Order, outcome: Outcome, book: Book, *, title: str | None) -> None:
    console = Screen()
    for part in outcome_parts(order, outcome, book, title=title):
        console.print(part)
