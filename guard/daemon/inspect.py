"""Trying everything the daemon will need, one finding at a time: what `guard check` prints."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from guard.config.settings import AccountSettings, Settings
from guard.daemon.channels import open_channels
from guard.daemon.clock import SteadyClock
from guard.daemon.look import Look, Looker
from guard.daemon.tell import new_id
from guard.errors import DeliveryFailed, KeysRefused, VenueUnavailable
from guard.notify.texts import drill_message
from guard.policy.decision import PositionVerdict
from guard.policy.terms import Mode
from guard.snapshot import LiquidationKind
from guard.venues import open_venue
from guard.venues.protocol import KeyVerdict, Venue

Answer = TypeVar("Answer")

SKEW_WARN = timedelta(milliseconds=500)
MODEL_GAP_FINE = Decimal("0.001")  # Of the mark.


class Verdict(StrEnum):
    FINE = "fine"
    WARNING = "warning"
    UNREACHABLE = "unreachable"
    KEYS = "keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the check."""

    subject: str
    verdict: Verdict
    text: str


def inspect_config(settings: Settings) -> Iterator[Finding]:
    """Yield what can be said without asking anybody."""
    yield Finding(subject="config", verdict=Verdict.FINE, text=f"{settings.path}: {len(settings.accounts)} account(s)")
    for warning in settings.warnings:
        yield Finding(subject="config", verdict=Verdict.WARNING, text=warning)
    if not settings.telegram and not settings.webhook:
        text = "no telegram and no webhook: alerts reach only the console"
        yield Finding(subject="channels", verdict=Verdict.WARNING, text=text)
    if settings.heartbeat_url is None:
        text = "none: if this machine dies, nobody is told; a [heartbeat] url at an outside monitor tells you"
        yield Finding(subject="heartbeat", verdict=Verdict.WARNING, text=text)


async def inspect_accounts(settings: Settings) -> AsyncIterator[Finding]:
    """Ask every exchange for everything the daemon will ask for. Nothing is written there."""
    clock = SteadyClock()
    for account in settings.accounts.values():
        venue = open_venue(account.venue, now=clock)
        try:
            async for finding in _inspect_venue(account, venue):
                yield finding
        finally:
            await venue.close()
    async with Looker(settings) as looker:
        for look in (await looker.look()).values():
            for finding in _judge(look):
                yield finding


async def inspect_channels(settings: Settings) -> AsyncIterator[Finding]:
    """Send a message marked as a drill down every channel."""
    channels = open_channels(settings)
    message = drill_message(tuple(channel.name for channel in channels), now=SteadyClock()(), new_id=new_id)
    for channel in channels:
        try:
            await channel.send(message, attempt=1)
            yield Finding(subject=channel.name, verdict=Verdict.FINE, text="took a drill message")
        except DeliveryFailed as error:
            yield Finding(subject=channel.name, verdict=Verdict.UNREACHABLE, text=str(error))
        finally:
            await channel.close()


async def _inspect_venue(account: AccountSettings, venue: Venue) -> AsyncIterator[Finding]:
    name = account.name
    yield Finding(subject=name, verdict=Verdict.FINE, text=f"hosts in use: {', '.join(venue.hosts())}")
    if account.terms.mode > Mode.SHADOW and not venue.write_terms.test_host:
        text = f"mode {account.terms.mode.word} behaves as shadow on real hosts until money safety is proven"
        yield Finding(subject=name, verdict=Verdict.WARNING, text=text)
    yield await _ask(name, "clock", venue.clock_skew, _judge_skew)
    yield await _ask(name, "API key", venue.key_scopes, lambda scopes: (_key_verdict(scopes.verdict), scopes.text))
    yield await _ask(name, "markets and modes", venue.open, lambda _: (Verdict.FINE, "read"))
    yield await _ask(
        name, "tier tables", venue.tiers, lambda tables: (Verdict.FINE, f"{len(tables.by_symbol)} symbols")
    )
    since = SteadyClock()() - timedelta(days=1)
    yield await _ask(
        name,
        "margin history",
        lambda: venue.margin_changes(None, since),
        lambda changes: (Verdict.FINE, f"{len(changes)} entries in 24 h"),
    )


async def _ask(
    account: str, what: str, question: Callable[[], Awaitable[Answer]], judge: Callable[[Answer], tuple[Verdict, str]]
) -> Finding:
    try:
        verdict, text = judge(await question())
    except KeysRefused as error:
        verdict, text = Verdict.KEYS, str(error)
    except VenueUnavailable as error:
        verdict, text = Verdict.UNREACHABLE, str(error)
    return Finding(subject=f"{account} {what}", verdict=verdict, text=text)


def _judge_skew(skew: timedelta) -> tuple[Verdict, str]:
    text = f"the exchange's clock is {skew.total_seconds():+.3f} s from ours"
    return (Verdict.WARNING, f"{text}: set the clock (NTP)") if abs(skew) > SKEW_WARN else (Verdict.FINE, text)


def _key_verdict(verdict: KeyVerdict) -> Verdict:
    return {
        KeyVerdict.SAFE: Verdict.FINE,
        KeyVerdict.READ_ONLY: Verdict.FINE,
        KeyVerdict.UNVERIFIABLE: Verdict.WARNING,
        KeyVerdict.TOO_POWERFUL: Verdict.KEYS,
    }[verdict]


def _judge(look: Look) -> Iterator[Finding]:
    """Yield the model against the exchange, the rule and the money behind it, for each open position."""
    name = look.settings.name
    if look.failure is not None:
        verdict = Verdict.KEYS if isinstance(look.failure, KeysRefused) else Verdict.UNREACHABLE
        yield Finding(subject=f"{name} positions", verdict=verdict, text=str(look.failure))
        return
    yield Finding(subject=f"{name} positions", verdict=Verdict.FINE, text=f"{len(look.decision.positions)} open")
    for gap in look.decision.gaps:
        yield Finding(subject=f"{name} {gap.subject}", verdict=Verdict.WARNING, text=f"not seen: {gap.reason}")
    for position in look.decision.positions:
        yield _judge_model(name, position)
        yield from _judge_budget(name, position)
    matched = {position.rule.name for position in look.decision.positions if position.rule is not None}
    for rule in look.settings.terms.rules:
        if rule.name not in matched:
            text = f"rule {rule.name!r} matches no open position now"
            yield Finding(subject=f"{name} rules", verdict=Verdict.WARNING, text=text)


def _judge_model(account: str, verdict: PositionVerdict) -> Finding:
    figures = verdict.figures
    ours, theirs = figures.crossings.nearest, figures.position.exchange_liquidation
    subject = f"{account} {figures.key}"
    if ours.kind is LiquidationKind.UNKNOWN or theirs.kind is LiquidationKind.UNKNOWN:
        return Finding(subject=subject, verdict=Verdict.WARNING, text=f"model not compared: {verdict.reason}")
    gap = "" if figures.model_gap is None else f", apart by {abs(figures.model_gap):.6%} of the mark"
    prices = f"liquidation: ours {ours.price or ours.kind}, the exchange's {theirs.price or theirs.kind}{gap}"
    agree = ours.kind is theirs.kind and (figures.model_gap is None or abs(figures.model_gap) < MODEL_GAP_FINE)
    return Finding(subject=subject, verdict=Verdict.FINE if agree else Verdict.WARNING, text=prices)


def _judge_budget(account: str, verdict: PositionVerdict) -> Iterator[Finding]:
    if verdict.rule is None or verdict.rule.top_up is None or verdict.trigger is None:
        return
    subject = f"{account} {verdict.key}"
    note = f" ({verdict.trigger_note})" if verdict.trigger_note else ""
    text = f"rule {verdict.rule.name!r}, trigger in force {verdict.trigger:.2%}{note}"
    yield Finding(subject=subject, verdict=Verdict.FINE, text=text)
    if verdict.budget_left is not None and verdict.spendable is not None and verdict.spendable < verdict.budget_left:
        text = f"the budget allows {verdict.budget_left:,.2f}, but only {verdict.spendable:,.2f} could be spent now"
        yield Finding(subject=subject, verdict=Verdict.WARNING, text=text)
