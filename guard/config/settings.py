"""The frozen settings that every other room gets: no foreign text is left in here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import unquote

from guard.policy.terms import Level, Mode, Terms
from guard.venues.protocol import VenueAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """One account: how to reach it, how often to look, and its owner's terms."""

    name: str
    venue: VenueAccount = field(repr=False)  # Holds the secrets.
    poll_calm: timedelta
    poll_near: timedelta  # When any pool or position stands at warn or worse.
    terms: Terms
    key_signed_on: date | None = None  # When the owner looked at the key's rights. None: never.
    stale_after_near: timedelta | None = None  # While near, instead of the terms' own. None: one was written, it holds.


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramSettings:
    name: str
    token: str = field(repr=False)
    chat_id: int | str
    api_url: str
    from_level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    name: str
    url: str = field(repr=False)  # Webhook urls often carry a token.
    from_level: Level
    secret: str | None = field(repr=False)  # "whsec_...". None: unsigned.


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole config. `warnings` are things that work but that the owner should know; `check` prints them."""

    path: Path
    mode: Mode
    accounts: Mapping[str, AccountSettings]
    telegram: tuple[TelegramSettings, ...]
    webhook: tuple[WebhookSettings, ...]
    console_from_level: Level | None  # None: the console channel is off.
    heartbeat_url: str | None = field(repr=False)
    heartbeat_interval: timedelta
    journal_path: Path
    web_listen: tuple[str, int] | None  # None: no web server.
    warnings: tuple[str, ...] = ()

    def secrets(self) -> frozenset[str]:
        """Return every secret value, for redaction in logs. Urls that are called count: they often hold a token."""
        values: set[str] = set()
        for account in self.accounts.values():
            values |= {account.venue.api_key, account.venue.secret, account.venue.password or ""}
            values |= {password for url in _texts(account.venue.ccxt) for password in _passwords(url)}
        values |= {channel.token for channel in self.telegram}
        values |= {channel.secret or "" for channel in self.webhook} | {channel.url for channel in self.webhook}
        values |= {self.heartbeat_url or ""}
        values |= {password for channel in self.telegram for password in _passwords(channel.api_url)}
        return frozenset(values - {""})


def _texts(value: object) -> Iterator[str]:
    """Yield every text of nested tables and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)


def _passwords(url: str) -> Iterator[str]:
    """Yield the password of `http://user:password@host`, as written and as sent."""
    _, separator, rest = url.partition("://")
    password = rest.rpartition("@")[0].partition(":")[2]
    if separator:
        yield from (password, unquote(password))
