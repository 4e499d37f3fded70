"""ccxt's traps that lie in wait at every exchange: what is sent twice, cached wrongly, or worked out. See docs/ccxt.md."""

from datetime import UTC, datetime

import pytest
from exchanges import SERVERS, server_of
from wire_faults import Fate

from guard.errors import OutcomeUnknown, VenueUnavailable
from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues import open_venue

# What ccxt rounds, derives, guesses, probes or caches. None of it is asked by an exchange that is guarded. Not among them:
# the probes of Bitget and Gate, which ccxt itself calls and which are preset; a start that breaks off shows whether.
UNIFIED = (
    *("add_margin", "modify_margin_helper", "parse_margin_modification", "fetch_margin_adjustment_history"),
    *("fetch_positions", "fetch_position", "safe_position", "parse_position", "parse_positions"),
    *(
        "fetch_balance",
        "parse_balance",
        "fetch_leverage_tiers",
        "fetch_market_leverage_tiers",
        "load_leverage_brackets",
    ),
    *("fetch_margin_mode", "fetch_position_mode", "is_unified_enabled"),
    *("fetch_currencies", "initialize_client", "approve_builder_fee", "set_ref"),
    *("amount_to_precision", "cost_to_precision"),
)
STARTS_MAX = 40  # Requests of a start, and one more cycle.


class BreaksAt(dict):
    """The faults of a server by kind, of which one request, the last that it counts to, meets one."""

    def __init__(self, number, how):
        self.left, self._how = number, how

    def get(self, _kind, default=None):
        self.left -= 1
        return self._how if self.left == -1 else default


def request_for(server):
    one = server.sample
    return MarginRequest(key=PositionKey(one.symbol, Side.LONG), hedged=False, amount=one.top_up, currency=one.currency)


def venue_of(server):
    return open_venue(server.account(), now=lambda: datetime.now(UTC))


async def looked_at(venue):
    """Return what an account says of itself and of its position, without when."""
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    figures = (position.key, position.margin_mode, position.isolated_wallet, position.leverage, position.hedged)
    return venue.watch_only, snapshot.asset_mode, figures


@pytest.mark.parametrize("how", [Fate.HTTP_500, Fate.HTML_200, Fate.LOST_AFTER], ids=lambda how: how.name)
@pytest.mark.parametrize("exchange", SERVERS)
async def test_a_start_that_breaks_off_at_any_request_leaves_no_wrong_mode_behind(exchange, how):
    for number in range(STARTS_MAX):
        async with server_of(exchange)().serving() as server:
            server.hold_sample()
            venue, healthy = venue_of(server), venue_of(server)
            try:
                server._broken = faults = BreaksAt(number, how)
                await _try_to_look(venue)
                server._broken = {}
                assert await looked_at(venue) == await looked_at(healthy), f"broken at request {number + 1}"
                await venue.add_margin(request_for(server))
                assert len(server.writes) == 1
            finally:
                await venue.close()
                await healthy.close()
        if faults.left >= 0:
            return  # The start has no more requests than that.
    pytest.fail(f"a start of more than {STARTS_MAX} requests")


async def _try_to_look(venue):
    try:
        await venue.snapshot()
    except VenueUnavailable:
        return


@pytest.mark.parametrize("exchange", SERVERS)
async def test_a_write_is_sent_once_whatever_ccxt_is_told_of_retries(exchange):
    async with server_of(exchange)().serving() as server:
        server.hold_sample()
        venue = venue_of(server)
        await venue.snapshot()
        venue._client.options |= {"maxRetriesOnFailure": 3, "maxRetriesOnFailureDelay": 0}
        server.fate_of_next_write = Fate.LOST_BEFORE
        with pytest.raises(OutcomeUnknown):
            await venue.add_margin(request_for(server))
        await venue.close()
        assert len(server.writes) == 1


async def test_an_amount_is_not_rounded_to_the_step_of_the_contract():
    async with server_of("binanceusdm")().serving() as server:
        listed = server.market
        whole = {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "1000", "stepSize": "1"}  # As DOGEUSDT has it.
        server.market = lambda symbol: listed(symbol) | {"filters": [whole], "quantityPrecision": 0}
        server.hold_sample()
        venue = venue_of(server)
        await venue.snapshot()
        assert venue._client.amount_to_precision(server.sample.symbol, 62.31) == "62"
        await venue.add_margin(request_for(server))
        await venue.close()
        assert server.writes[0].params["amount"] == "62.31"


@pytest.mark.parametrize("exchange", SERVERS)
async def test_nothing_that_ccxt_rounds_derives_or_guesses_is_asked(exchange, monkeypatch):
    async with server_of(exchange)().serving() as server:
        server.hold_sample()
        venue = venue_of(server)
        asked = []
        for name in UNIFIED:
            if hasattr(venue._client, name):
                original = getattr(venue._client, name)
                monkeypatch.setattr(venue._client, name, _noted(asked, name, original))
        await venue.snapshot()
        await venue.tiers(frozenset({server.sample.symbol}))
        await venue.mark(server.sample.symbol)
        await venue.stops(frozenset({server.sample.symbol}))
        await venue.key_scopes()
        await venue.add_margin(request_for(server))
        await venue.close()
        assert asked == []
        assert len(server.writes) == 1


def _noted(asked, name, original):
    def noted(*arguments, **named):
        asked.append(name)
        return original(*arguments, **named)

    return noted
