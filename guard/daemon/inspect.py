"""Trying everything the daemon will need, one finding at a time: what `guard check` prints."""

import os
from asyncio import gather, timeout
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain

from guard.config.settings import AccountSettings, Settings
from guard.daemon.channels import open_channels
from guard.daemon.clock import SteadyClock
from guard.daemon.findings import Finding, Verdict, ask, refusals_in_one
from guard.daemon.inspect_rest import inspect_the_rest
from guard.daemon.keys import SIGNED_FOR, why_unsigned
from guard.daemon.look import Look, Looker
from guard.daemon.past import open_isolated
from guard.daemon.reaction import reaction
from guard.daemon.tell import new_id
from guard.errors import DeliveryFailed, KeysRefused, VenueUnavailable
from guard.notify import wording
from guard.notify.guard_texts import drill_message
from guard.policy.decision import PositionVerdict
from guard.policy.terms import Mode
from guard.snapshot import Liquidation, LiquidationKind, MarginChange, Mark
from guard.venues import open_venue
from guard.venues.protocol import KeyScopes, KeyVerdict, TierTables, Venue

KEY_ENDS_SOON = timedelta(days=7)
SKEW_WARN = timedelta(milliseconds=500)
MODEL_GAP_FINE = Decimal("0.001")  # Of the mark.
SAME = Decimal("0.000001")  # Of the mark.
STREAM_WITHIN_S = 10.0
NO_HISTORY = (
    "the exchange keeps none: a lost answer is settled by what the position holds, and after a lost journal "
    "`guard arm` with its name is needed"
)
AUTO_MARGIN = "the exchange's own auto-margin is on: guard adds nothing to it; switch it off there if it should"


def inspect_config(settings: Settings) -> Iterator[Finding]:
    """Yield what can be said without asking anybody."""
    yield Finding(subject="config", verdict=Verdict.FINE, text=f"{settings.path}: {len(settings.accounts)} account(s)")
    for warning in settings.warnings:
        yield Finding(subject="config", verdict=Verdict.WARNING, text=warning)
    folder = settings.journal_path.parent
    if not os.access(folder, os.W_OK):
        text = f"this user cannot write in {folder}: `guard run` needs to"
        yield Finding(subject="journal", verdict=Verdict.WARNING, text=text)
    if settings.heartbeat_url is None:
        text = "none: if this machine dies, nobody is told; a [heartbeat] url at an outside monitor tells you"
        yield Finding(subject="heartbeat", verdict=Verdict.WARNING, text=text)


async def inspect_accounts(settings: Settings) -> AsyncIterator[Finding]:
    """Ask every exchange for everything the daemon will ask for. Nothing is written there."""
    refused: set[str] = set()
    accounts = settings.accounts.values()
    for account, findings in zip(accounts, await gather(*map(_inspect_venue, accounts)), strict=True):
        for finding in refusals_in_one(account.name, findings):
            yield finding
        if any(finding.is_refused for finding in findings):
            refused.add(account.name)
    async with Looker(settings, assume_unspent=True) as looker:
        looks = (await looker.look()).values()
        venues = [looker.venue(look.settings.name) for look in looks]
        marks = await gather(*(_inspect_marks(look, venue) for look, venue in zip(looks, venues, strict=True)))
        times = await gather(*(_inspect_reaction(look, venue) for look, venue in zip(looks, venues, strict=True)))
        rest = await gather(*(inspect_the_rest(look, venue) for look, venue in zip(looks, venues, strict=True)))
        for look, of_marks, of_times, of_rest in zip(looks, marks, times, rest, strict=True):
            if look.settings.name in refused and isinstance(look.failure, KeysRefused):
                continue  # It was said.
            for finding in refusals_in_one(look.settings.name, chain(_judge(look), of_times, of_marks, of_rest)):
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


async def _inspect_venue(account: AccountSettings) -> list[Finding]:
    clock = SteadyClock()
    venue = open_venue(account.venue, now=clock)
    try:
        return [finding async for finding in _ask_everything(account, venue, since=clock() - timedelta(days=1))]
    finally:
        await venue.close()


async def _ask_everything(account: AccountSettings, venue: Venue, *, since: datetime) -> AsyncIterator[Finding]:
    name = account.name
    yield Finding(subject=name, verdict=Verdict.FINE, text=f"hosts in use: {', '.join(venue.hosts())}")
    if account.terms.mode > Mode.SHADOW and not venue.write_terms.test_host:
        text = f"mode {account.terms.mode.word} behaves as shadow on real hosts until money safety is proven"
        yield Finding(subject=name, verdict=Verdict.WARNING, text=text)
    yield await ask(name, "clock", venue.clock_skew, _judge_skew)
    yield await ask(name, "API key", venue.key_scopes, lambda scopes: _judge_key(scopes, account, venue))
    yield await ask(name, "markets and modes", venue.open, lambda _: (Verdict.FINE, "read"))
    yield await ask(
        name,
        "tier tables",
        lambda: _tiers_in_use(venue),
        lambda tables: (Verdict.FINE, f"{len(tables.by_symbol)} symbols"),
    )
    if venue.watch_only is not None and account.terms.mode > Mode.OBSERVE:
        yield Finding(subject=name, verdict=Verdict.WARNING, text=f"no margin is added here: {venue.watch_only}")
    if not venue.write_terms.history_kept:
        yield Finding(subject=f"{name} margin history", verdict=Verdict.WARNING, text=NO_HISTORY)
        return
    yield await ask(
        name,
        "margin history",
        lambda: _margin_history(venue, since),
        lambda changes: (Verdict.FINE, f"{len(changes)} entries in 24 h"),
    )


async def _margin_history(venue: Venue, since: datetime) -> tuple[MarginChange, ...]:
    """Read it as a journal without a past does: of what is open, and of what was closed lately."""
    keys = open_isolated(await venue.snapshot())
    return await venue.margin_changes(keys, since, also=await venue.traded_lately() or ())


async def _tiers_in_use(venue: Venue) -> TierTables:
    snapshot = await venue.snapshot()
    return await venue.tiers(frozenset(position.contract.symbol for position in snapshot.positions))


async def _inspect_marks(look: Look, venue: Venue) -> Sequence[Finding]:
    """Read one mark price of the account's positions, and wait for one from the stream."""
    if look.failure is not None or not look.decision.positions:
        return ()
    name, symbol = look.settings.name, look.decision.positions[0].key.symbol

    def judge(mark: Mark) -> tuple[Verdict, str]:
        return Verdict.FINE, f"{symbol} at {wording.price(mark.price)}"

    polled = await ask(name, "mark price", lambda: venue.mark(symbol), judge)
    streamed = await ask(name, "mark stream", lambda: _first_streamed(venue, symbol), judge)
    if streamed.verdict is Verdict.UNREACHABLE:
        streamed = replace(streamed, verdict=Verdict.WARNING, text=f"{streamed.text}; guard would only poll")
    return polled, streamed


async def _inspect_reaction(look: Look, venue: Venue) -> Sequence[Finding]:
    """Hold each trigger against how far its price moves while guard reacts."""
    findings: list[Finding] = []
    for verdict in look.decision.positions if look.failure is None else ():
        subject = f"{look.settings.name} {verdict.key}"
        try:
            found = await reaction(look.settings, venue, verdict)
        except (KeysRefused, VenueUnavailable) as error:
            text = f"the time to react is not known: {error}"
            findings.append(Finding(subject=subject, verdict=Verdict.WARNING, text=text))
            continue
        if found is not None:
            is_enough, text = found
            verdict_of_it = Verdict.FINE if is_enough else Verdict.WARNING
            findings.append(Finding(subject=subject, verdict=verdict_of_it, text=text))
    return findings


async def _first_streamed(venue: Venue, symbol: str) -> Mark:
    try:
        async with timeout(STREAM_WITHIN_S), aclosing(venue.watch_marks((symbol,))) as marks:
            return await anext(marks)
    except TimeoutError:
        raise VenueUnavailable(f"no mark price within {STREAM_WITHIN_S:.0f} s") from None


def _judge_skew(skew: timedelta) -> tuple[Verdict, str]:
    text = f"the exchange's clock is {skew.total_seconds():+.3f} s from ours"
    return (Verdict.WARNING, f"{text}: set the clock (NTP)") if abs(skew) > SKEW_WARN else (Verdict.FINE, text)


def _judge_key(scopes: KeyScopes, account: AccountSettings, venue: Venue) -> tuple[Verdict, str]:
    mode = account.terms.mode
    match scopes.verdict:
        case KeyVerdict.TOO_POWERFUL:
            return Verdict.KEYS, scopes.text
        case KeyVerdict.READ_ONLY if mode > Mode.SHADOW:
            return Verdict.WARNING, f"{_judge_ends(scopes)[1]}; in mode {mode.word} no top-up can be made"
        case KeyVerdict.UNVERIFIABLE:
            return Verdict.WARNING, f"not verifiable: {scopes.text}; {_vouched(account, venue)}"
        case _:
            return _judge_ends(scopes)


def _vouched(account: AccountSettings, venue: Venue) -> str:
    """Say what follows from a key of which the exchange says nothing."""
    if venue.write_terms.test_host:
        return "money of a test host may be moved all the same"
    now = datetime.now(UTC)
    unsigned = why_unsigned(account.key_signed_on, now)
    if unsigned is not None or account.key_signed_on is None:
        return f"it is only watched: {unsigned}"
    return f"you signed for it on {account.key_signed_on}: that holds until {account.key_signed_on + SIGNED_FOR}"


def _judge_ends(scopes: KeyScopes) -> tuple[Verdict, str]:
    """Judge a key that may do just what it should by when it ends and where it may be used."""
    ends = "" if scopes.expires_at is None else f"; it ends at {scopes.expires_at:%Y-%m-%d %H:%M} UTC"
    if scopes.expires_at is not None and scopes.expires_at - datetime.now(UTC) < KEY_ENDS_SOON:
        return Verdict.WARNING, f"{scopes.text}{ends}: make a new one before that"
    if scopes.ip_restricted is False:
        return Verdict.WARNING, f"{scopes.text}{ends}; any address may use it: bind it to this machine's"
    return Verdict.FINE, f"{scopes.text}{ends}"


def _judge(look: Look) -> Iterator[Finding]:
    """Yield the model against the exchange, the rule and the money behind it, for each open position."""
    name = look.settings.name
    if look.failure is not None:
        is_refused = isinstance(look.failure, KeysRefused)
        verdict = Verdict.KEYS if is_refused else Verdict.UNREACHABLE
        yield Finding(subject=f"{name} positions", verdict=verdict, text=str(look.failure), is_refused=is_refused)
        return
    yield Finding(subject=f"{name} positions", verdict=Verdict.FINE, text=_what_is_open(look))
    for gap in look.decision.gaps:
        yield Finding(subject=f"{name} {gap.subject}", verdict=Verdict.WARNING, text=f"not seen: {gap.reason}")
    for position in look.decision.positions:
        yield _judge_model(name, position)
        if position.figures.position.auto_add_margin:
            yield Finding(subject=f"{name} {position.key}", verdict=Verdict.WARNING, text=AUTO_MARGIN)
        yield from _judge_budget(name, position)
    matched = {position.rule.name for position in look.decision.positions if position.rule is not None}
    for rule in look.settings.terms.rules:
        if rule.name not in matched:
            text = f"rule {rule.name!r} matches no open position now"
            yield Finding(subject=f"{name} rules", verdict=Verdict.WARNING, text=text)


def _what_is_open(look: Look) -> str:
    """Say how many positions are open, and in which modes the account was found."""
    positions = [row.figures.position for row in look.decision.positions]
    words = [f"{len(positions)} open"]
    if positions:
        words.append("hedge mode" if any(position.hedged for position in positions) else "one-way mode")
    if look.decision.assessment is not None:
        words.append(f"{look.decision.assessment.snapshot.asset_mode.value}-asset mode")
    modes = Counter(position.margin_mode.value for position in positions)
    return ", ".join([*words, *(f"{count} {mode}" for mode, count in sorted(modes.items()))])


def _judge_model(account: str, verdict: PositionVerdict) -> Finding:
    figures = verdict.figures
    ours, theirs = figures.crossings.nearest, figures.position.exchange_liquidation
    subject = f"{account} {figures.key}"
    if ours.kind is LiquidationKind.UNKNOWN or theirs.kind is LiquidationKind.UNKNOWN:
        return Finding(subject=subject, verdict=Verdict.WARNING, text=f"model not compared: {verdict.reason}")
    mark, gap = figures.position.mark_price, figures.model_gap
    text = f"liquidation: ours {_price(ours, mark)}, the exchange's {_price(theirs, mark)}"
    if gap is not None:
        text += ", the same to a millionth of the mark" if abs(gap) < SAME else f", apart by {abs(gap):.4%} of the mark"
    agree = ours.kind is theirs.kind and (gap is None or abs(gap) < MODEL_GAP_FINE)
    return Finding(subject=subject, verdict=Verdict.FINE if agree else Verdict.WARNING, text=text)


def _price(liquidation: Liquidation, mark: Decimal) -> str:
    if liquidation.price is None:
        return liquidation.kind.value
    return wording.liquidation_price(liquidation.price, mark=mark)


def _judge_budget(account: str, verdict: PositionVerdict) -> Iterator[Finding]:
    if verdict.rule is None or verdict.rule.top_up is None or verdict.trigger is None:
        return
    subject = f"{account} {verdict.key}"
    trigger = verdict.trigger_note or wording.distance(verdict.trigger)
    yield Finding(subject=subject, verdict=Verdict.FINE, text=f"rule {verdict.rule.name!r}, trigger: {trigger}")
    budget, spendable = verdict.budget_left, verdict.spendable
    if budget is not None and spendable is not None and spendable < budget:
        currency = verdict.figures.position.contract.settle
        text = (
            f"the budget allows {wording.free(budget, currency)}, but only {wording.free(spendable, currency)} is there"
        )
        yield Finding(subject=subject, verdict=Verdict.WARNING, text=text)
