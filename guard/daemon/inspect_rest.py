"""What `guard check` asks beside positions: the endpoints that matter only later, tried while nothing hangs on them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from guard.daemon.findings import Answer, Finding, Verdict, ask
from guard.daemon.look import Look
from guard.snapshot import AssetMode, PositionEnding, StopOrder
from guard.venues.protocol import Venue

BAR_MINUTES, BARS = 15, 3
NOT_TOLD = "a change of them would not be told"


async def inspect_the_rest(look: Look, venue: Venue) -> Sequence[Finding]:
    """Read stop orders, fills and candles of what is open, and what its collateral counts for."""
    name, decision = look.settings.name, look.decision
    if look.failure is not None or not decision.positions:
        return ()
    keys = [row.key for row in decision.positions]
    since = datetime.now(UTC) - timedelta(minutes=1)

    def of_stops(stops: tuple[StopOrder, ...]) -> tuple[Verdict, str]:
        stopped = {stop.key for stop in stops}
        return Verdict.FINE, f"{sum(key in stopped for key in keys)} of {len(keys)} positions have one"

    def of_fills(_: PositionEnding) -> tuple[Verdict, str]:
        return Verdict.FINE, "read"

    found = [
        await _ask_softly(
            name,
            "stop orders",
            lambda: venue.stops(frozenset(key.symbol for key in keys)),
            of_stops,
            otherwise="a stop that lies behind liquidation would not be noticed",
        ),
        await _ask_softly(
            name,
            "fills",
            lambda: venue.ending(keys[0], since),
            of_fills,
            otherwise="how a position ended would not be known",
        ),
        await _ask_softly(
            name,
            "candles",
            lambda: venue.candles(keys[0].symbol, minutes=BAR_MINUTES, count=BARS),
            lambda candles: (Verdict.FINE, f"{len(candles)} of {keys[0].symbol}"),
            otherwise="volatility would not be known",
        ),
    ]
    snapshot = None if decision.assessment is None else decision.assessment.snapshot
    if snapshot is not None and snapshot.asset_mode is AssetMode.MULTI:
        assets = frozenset(wallet.currency for wallet in snapshot.wallets if wallet.cross_wallet_balance > 0)
        found.append(
            await _ask_softly(
                name,
                "collateral values",
                lambda: venue.haircuts(assets),
                lambda read: _of_collateral(len(read), len(assets)),
                otherwise=NOT_TOLD,
            )
        )
    return found


def _of_collateral(read: int, held: int) -> tuple[Verdict, str]:
    if held and not read:
        return Verdict.WARNING, f"none of {held} assets is listed; {NOT_TOLD}"
    return Verdict.FINE, f"{read} of {held} assets"


async def _ask_softly(
    account: str,
    what: str,
    question: Callable[[], Awaitable[Answer]],
    judge: Callable[[Answer], tuple[Verdict, str]],
    *,
    otherwise: str,
) -> Finding:
    """Ask for what guard can do without: a failure is a note that says what is missing then."""
    found = await ask(account, what, question, judge)
    if found.verdict is not Verdict.UNREACHABLE:
        return found
    return replace(found, verdict=Verdict.WARNING, text=f"{found.text}; {otherwise}")
