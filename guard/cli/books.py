"""The accounts of a config as books, read once from a second process: for stress, compare and whatif."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from guard import logs
from guard.cli.arming import unknown_account
from guard.config import load
from guard.config.settings import Settings
from guard.daemon.look import Look, Looker
from guard.daemon.report import SCHEMA_VERSION
from guard.errors import KeysRefused, VenueUnavailable
from guard.margin.books import Book, book_of
from guard.snapshot import Gap, Purse


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBook:
    """One account as it was just read. `book` is empty where it could not be, and its gaps say why."""

    account: str
    exchange: str
    book: Book
    available: Mapping[Purse, Decimal]  # The exchange's own figures.
    failure: VenueUnavailable | KeysRefused | None


def settings_for(config: Path | None, account: str | None) -> Settings:
    """Load the config for a command that only looks, cut down to one account if one is named.

    Raises ConfigError, also for an account that is not in it.
    """
    settings = load(config)
    logs.configure("error", secrets=settings.secrets())
    if account is None:
        return settings
    if account not in settings.accounts:
        raise unknown_account(account, settings)
    return replace(settings, accounts={account: settings.accounts[account]})


async def read_books(settings: Settings) -> tuple[LiveBook, ...]:
    """Read every account once. Raises VenueUnavailable or KeysRefused when none could be read."""
    async with Looker(settings) as looker:
        looks = await looker.look()
    raise_if_none_read(looks)
    return tuple(live_book(look) for look in looks.values())


def live_book(look: Look) -> LiveBook:
    """Return what one look saw, as a book."""
    assessment = look.decision.assessment if look.failure is None else None
    unread = Book(pools=(), gaps=(Gap(subject=look.settings.name, reason=str(look.failure)),))
    wallets = () if assessment is None else assessment.snapshot.wallets
    return LiveBook(
        account=look.settings.name,
        exchange=look.settings.venue.exchange,
        book=unread if assessment is None else book_of(assessment),
        available={wallet.purse: wallet.available for wallet in wallets},
        failure=look.failure,
    )


def raise_if_none_read(looks: Mapping[str, Look]) -> None:
    """Raise why, when no account at all could be read: VenueUnavailable, or KeysRefused if any was."""
    failures = [look.failure for look in looks.values() if look.failure is not None]
    if failures and len(failures) == len(looks):
        refused = next((failure for failure in failures if isinstance(failure, KeysRefused)), None)
        raise refused or VenueUnavailable("; ".join(f"{name}: {look.failure}" for name, look in looks.items()))


def live_document(accounts: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the JSON document of a command that read live accounts."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"schema_version": SCHEMA_VERSION, "as_of": now, "accounts": list(accounts)}


def gap_rows(book: Book) -> list[dict[str, str]]:
    return [{"subject": gap.subject, "reason": gap.reason} for gap in book.gaps]
