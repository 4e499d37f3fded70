"""What guard does at each exchange, and what was shown of it: the matrix of docs/exchanges.md is printed from here.

`python -m guard.venues.capabilities` prints it. What a venue's class tells itself (its write, fence, history, steps,
hosts, stops) is asked of the class; the rest is one value for each exchange, in the module named by its ccxt id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from guard.venues import SUPPORTED, open_venue
from guard.venues.base import VenueBase
from guard.venues.binance_news import LISTEN_KEY
from guard.venues.gate import PostRule
from guard.venues.protocol import VenueAccount, WriteTerms
from guard.venues.shared import RateLimit
from guard.venues.write_answers import WriteAnswers

GENERIC = "generic"  # The module of every exchange without a file of its own.
_SOME_GENERIC = "kucoinfutures"  # Any of them: what is asked of the class is the same for all.


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A limit on requests, as the exchange publishes it."""

    limit: RateLimit
    counts: str  # What is counted, and of whom: "weight of an address".
    source: str
    per_endpoint: bool = False  # Each endpoint has the limit for itself.


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What guard does at one exchange, as far as its class does not tell it. For people, in plain words."""

    name: str
    contracts: str  # Linear, inverse, dated, and settled in what.
    guarded: str  # Account and margin modes in which margin is added. Empty: none.
    watched: Mapping[str, str]  # What is only watched: why.
    settle_currencies: tuple[str, ...]  # A few, to show the steps of.
    stream: str  # Where marks come from between two polls.
    account_news: str  # What calls for a read between two polls. None: why nothing does.
    candles: str  # Of which prices.
    tiers: str
    settling: str  # By what a lost answer is settled.
    key_audit: str  # What the exchange tells of a key.
    has_inverse: bool
    has_hedge: bool
    tells_auto_margin: bool  # Whether a position says that the exchange adds margin to it by itself.
    tells_ip_binding: bool
    requests_per_cycle: int  # Of a quiet cycle, whatever the number of positions.
    answers: WriteAnswers | None  # The table by which answers to the write are judged. None: nothing is sent.
    other_answers: WriteAnswers | None = None  # To the write of another kind of account.
    published: Published | None
    known_limits: tuple[str, ...]
    verified: str  # What against what, and when.


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a venue's own class tells, made for the real exchange without asking it anything."""

    writes: tuple[PostRule, ...]
    terms: WriteTerms
    steps: Mapping[str, str]
    hosts: tuple[str, ...]
    reads_stops: bool
    reads_endings: bool
    reads_haircuts: bool  # In the modes in which several assets back everything.
    opens_streams: tuple[PostRule, ...]  # What is sent to open a stream, beside reads.
    hears_account: bool


def capabilities_of(exchange: str) -> Capabilities:
    """Return the value of an exchange, by its ccxt id or `GENERIC`."""
    value: Capabilities = import_module(f"{__name__}.{exchange}").CAPABILITIES
    return value


def facts_of(exchange: str) -> Facts:
    """Make a venue with keys that are nobody's, and ask it. Nothing is sent."""
    account = VenueAccount(
        account="nobody",
        exchange=_SOME_GENERIC if exchange == GENERIC else exchange,
        api_key="0x" + "1" * 40,
        secret="1" * 64,
        password="nobody",  # noqa: S106  # No secret: an exchange that wants one gets one.
        ccxt={},
    )
    venue: Any = open_venue(account, now=lambda: datetime.now(UTC))
    currencies = capabilities_of(exchange).settle_currencies
    return Facts(
        writes=venue._wire.writes,  # noqa: SLF001  # What may leave is the transport's, and shown here only.
        terms=venue.write_terms,
        steps={currency: f"{venue.margin_step(currency):f}" for currency in currencies},
        hosts=venue.hosts(),
        reads_stops=type(venue).stops is not VenueBase.stops,
        reads_endings=type(venue).ending is not VenueBase.ending,
        reads_haircuts=type(venue).haircuts is not VenueBase.haircuts,
        opens_streams=tuple(rule for rule in venue._wire.reads if rule.path.endswith(LISTEN_KEY)),  # noqa: SLF001
        hears_account=venue.watch_account() is not None,
    )


EXCHANGES = (*SUPPORTED, GENERIC)


def page() -> str:
    """Return the matrix and what each exchange is limited by, as Markdown."""
    told = {exchange: (capabilities_of(exchange), facts_of(exchange)) for exchange in EXCHANGES}
    columns = [_cells(exchange, *one) for exchange, one in told.items()]
    lines = [
        "| | " + " | ".join(one.name for one, _ in told.values()) + " |",
        "|---" * (len(columns) + 1) + "|",
        *("| " + " | ".join([name, *(column[name] for column in columns)]) + " |" for name in columns[0]),
        "",
        *(line for one, facts in told.values() for line in _more(one, facts)),
    ]
    return "\n".join(lines)


def _cells(exchange: str, one: Capabilities, facts: Facts) -> dict[str, str]:
    tops_up = bool(facts.writes)
    return {
        "`exchange` in the config": "any other ccxt id" if exchange == GENERIC else f"`{exchange}`",
        "contracts": one.contracts,
        "margin is added in": one.guarded or "**watched only**",
        "the one write": "<br>".join(_write(rule) for rule in facts.writes) or "none",
        "smallest amount": ", ".join(f"{step} {coin}" for coin, step in facts.steps.items()) if tops_up else "-",
        "fence after a lost answer": f"{_seconds(facts.terms.fence)} s" if tops_up else "-",
        "record of added margin": _history(facts.terms.history_kept) if tops_up else "-",
        "a lost answer is settled by": one.settling if tops_up else "-",
        "listed refusals": _refusals(one),
        "liquidation price of our own": one.tiers,
        "marks between polls": one.stream,
        "news of the account between polls": _news(one, facts),
        "candles": one.candles,
        "a change of tiers is told": _yes(exchange != GENERIC),
        "a change of what collateral counts for is told": _yes(facts.reads_haircuts),
        "inverse contracts": _yes(one.has_inverse),
        "hedge mode": _yes(one.has_hedge),
        "the exchange's own auto-margin is seen": _yes(one.tells_auto_margin),
        "stop orders read": _yes(facts.reads_stops),
        "how a position ended": _yes(facts.reads_endings),
        "a part that the exchange took by force is told": _yes(facts.reads_endings),
        "what a key may do": one.key_audit,
        "binding to an address is told": _yes(one.tells_ip_binding),
        "requests of a quiet cycle": str(one.requests_per_cycle),
        "published limit": _published(one.published),
    }


def _more(one: Capabilities, facts: Facts) -> list[str]:
    hosts = ", ".join(f"`{host}`" for host in facts.hosts)
    return [
        f"### {one.name}",
        "",
        *(f"- Only watched: {what}: {why}." for what, why in one.watched.items()),
        *(f"- Known limit: {limit}." for limit in one.known_limits),
        *([f"- Hosts: {hosts}."] if facts.writes else []),
        f"- Verified: {one.verified}.",
        "",
    ]


def _write(rule: PostRule) -> str:
    alternatives = {name: " or ".join(values) for name, values in rule.one_of.items()}
    fields = ", ".join(f"{name}={value}" for name, value in {**rule.fields, **alternatives}.items())
    positive = ", ".join(rule.positive)
    terms = "; ".join(part for part in (fields, f"{positive} above 0" if positive else "") if part)
    return f"`{rule.method} {rule.path}`" + (f" ({terms})" if terms else "")


def _refusals(one: Capabilities) -> str:
    tables = (one.answers, one.other_answers)
    return ", ".join(str(len(table.refusals)) for table in tables if table is not None) or "-"


def _news(one: Capabilities, facts: Facts) -> str:
    opened = "".join(f"; opened by `{rule.method} {rule.path}`, which moves nothing" for rule in facts.opens_streams)
    return one.account_news + opened if facts.hears_account else f"none: {one.account_news}"


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}"


def _history(kept: timedelta) -> str:
    return f"{kept.days} days" if kept else "none kept"


def _published(published: Published | None) -> str:
    if published is None:
        return "not known: ccxt's pace"
    limit = published.limit
    return f"{limit.weight_max:,} in {limit.window_s:g} s, {published.counts} ({published.source})"


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"
