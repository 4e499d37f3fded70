"""`guard stress`: what dies first when prices move, what goes with it, and what is left."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import typer

from guard.cli.books import raise_if_none_read, settings_for
from guard.cli.screen import Screen
from guard.cli.stress_tables import StressView
from guard.config import Settings
from guard.config.account_file import read_account_file
from guard.config.scenarios import Scenario, read_scenarios, scenario, share
from guard.daemon.look import Look, Looker
from guard.margin.books import Book, assets_of, book_of, market_ends, pool_end_fields, stress, stress_fields

LADDER = ("-5%", "-10%", "-15%", "-20%", "-30%", "-50%", "+5%", "+10%", "+20%", "+50%")
HALFWAY = Decimal("0.5")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StressOptions:
    """What was typed, before anything is read."""

    file: Path | None
    config: Path | None
    moves: Sequence[str]
    scenarios: Path | None
    lose_hedges: bool
    lose_hedges_at: str | None
    account: str | None
    plot: Path | None
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Questions:
    """The scenarios to be asked of every account, and when hedges are lost in them."""

    scenarios: Sequence[Scenario]
    lose_hedges_at: Decimal | None
    is_ladder: bool


def run_stress(options: StressOptions) -> None:
    """Print what the scenarios do to an account file or to the live accounts.

    Raises ConfigError for a bad file; VenueUnavailable or KeysRefused when no live account at all could be read.
    """
    questions = _questions(options)
    if options.file is None:
        _stress_live(options, questions)
        return
    if options.config is not None or options.account is not None:
        raise typer.BadParameter("FILE is an account of its own: it goes with neither --config nor --account")
    _stress_file(options.file, options, questions)


def _stress_file(file: Path, options: StressOptions, questions: _Questions) -> None:
    written = read_account_file(file)
    books = {
        f"{file.name} [{index}]" if written.is_list else file.name: account.book
        for index, account in enumerate(written.accounts)
    }
    answers = {name: _answer(book, questions) for name, book in books.items()}
    if options.as_json:
        rows = list(answers.values())
        print(json.dumps(rows if written.is_list else rows[0], indent=2))
    else:
        _show([{"account": name} | answer for name, answer in answers.items()], questions)
    _draw(options, books)


def _questions(options: StressOptions) -> _Questions:
    if options.plot is not None and options.plot.suffix.lower() != ".png":
        raise typer.BadParameter(f"found {str(options.plot)!r}, expected a name that ends in .png", param_hint="--plot")
    asked = [_typed("--move", scenario, text) for text in options.moves]
    if options.scenarios is not None:
        asked += read_scenarios(options.scenarios)
    at = None
    if options.lose_hedges_at is not None:
        at = _typed("--adl-at", share, options.lose_hedges_at)
    elif options.lose_hedges:
        at = HALFWAY
    ladder = [scenario(text) for text in LADDER]
    return _Questions(scenarios=asked or ladder, lose_hedges_at=at, is_ladder=not asked)


def _typed(option: str, read: Any, text: str) -> Any:
    try:
        return read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _answer(book: Book, questions: _Questions) -> dict[str, Any]:
    """Return the rows of one account: each pool's ends, and every scenario."""
    coins = {coin for pool in book.pools for coin in assets_of(pool.pool)}
    reports = [
        (one.name, stress(book, _as_spelled(one, coins).shock, auto_deleveraging_at=questions.lose_hedges_at))
        for one in questions.scenarios
    ]
    return {
        "pools": [pool_end_fields(pool, ends) for pool, ends in zip(book.pools, market_ends(book), strict=True)],
        "scenarios": [stress_fields(name, report) for name, report in reports],
        "gaps": [{"subject": gap.subject, "reason": gap.reason} for gap in book.gaps],
    }


def _as_spelled(asked: Scenario, coins: set[str]) -> Scenario:
    """Return the scenario with its coins spelled as the account has them: `btc` is BTC."""
    spelled = {coin.upper(): coin for coin in coins}
    named = asked.shock.coins
    moves = {coin if coin in coins else spelled.get(coin.upper(), coin): move for coin, move in named.items()}
    return replace(asked, shock=replace(asked.shock, coins=moves))


# The live accounts -------------------------------------------------------------------------------------------------


def _stress_live(options: StressOptions, questions: _Questions) -> None:
    looks, status = asyncio.run(_look(settings_for(options.config, options.account)))
    books = {name: book for name, look in looks.items() if (book := _book(look)) is not None}
    accounts = [_account(row, looks[row["account"]], books, questions) for row in status["accounts"]]
    if options.as_json:
        print(json.dumps({key: status[key] for key in ("schema_version", "as_of")} | {"accounts": accounts}, indent=2))
    else:
        _show(accounts, questions)
    _draw(options, books)
    raise_if_none_read(looks)


async def _look(settings: Settings) -> tuple[Mapping[str, Look], Mapping[str, Any]]:
    async with Looker(settings) as looker:
        looks = await looker.look()
        return looks, looker.document(looks)


def _book(look: Look) -> Book | None:
    """Return what was just read. None: nothing was."""
    assessment = look.decision.assessment
    return None if assessment is None or look.failure is not None else book_of(assessment)


def _account(row: Row, look: Look, books: Mapping[str, Book], questions: _Questions) -> dict[str, Any]:
    head = {key: row[key] for key in ("account", "exchange", "state", "data_age_s")}
    book = books.get(look.settings.name)
    if book is None:
        gap = {"subject": look.settings.name, "reason": str(look.failure or "it was never read")}
        return head | {"pools": [], "scenarios": [], "gaps": [gap]}
    return head | _answer(book, questions)


def _show(accounts: Sequence[Row], questions: _Questions) -> None:
    Screen().print(StressView(accounts, is_ladder=questions.is_ladder))


def _draw(options: StressOptions, books: Mapping[str, Book]) -> None:
    if options.plot is not None:
        from guard.cli.stress_plot import draw_books  # noqa: PLC0415 - Pillow is only needed here.

        draw_books(options.plot, books)
