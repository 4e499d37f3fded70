"""A unified account: whether its margin is believed, in which of its modes margin is added, and what leaves then."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from bitget_uta_wire import BitgetUtaServer
from daemon_kit import call, cycles, daemon, watching
from wire_faults import Fate
from wire_world import wire_world

from guard.errors import VenueRefused, VenueUnavailable
from guard.margin import assess
from guard.snapshot import AssetMode, LiquidationKind, MarginRequest, PositionKey, Side
from guard.venues import bitget_uta

KEY = PositionKey("BTC/USDT:USDT", Side.LONG)
ETH = PositionKey("ETH/USDT:USDT", Side.SHORT)


@pytest.fixture
async def server():
    async with BitgetUtaServer().serving() as one:
        yield one


def request(key=KEY, amount="62.31", *, hedged=False, currency="USDT"):
    return MarginRequest(key=key, hedged=hedged, amount=Decimal(amount), currency=currency)


def says(server, **fields):
    """Let the sample's row say this. A value may be made of the row."""

    def change(answer):
        for row in answer["data"]["list"] or ():
            if row["symbol"] == "BTCUSDT":
                row.update({name: one(row) if callable(one) else one for name, one in fields.items()})
        return answer

    server.mangle("positions", change)


def with_profit(row):
    return f"{Decimal(row['positionBalance']) + Decimal(row['unrealisedPnl']):f}"


def initial_margin_and_fee(row):
    """As recorded cross rows have it."""
    value = Decimal(row["total"]) * Decimal(row["markPrice"])
    return f"{value / Decimal(row['leverage']) + value * Decimal('0.0006'):f}"


# The margin of an isolated row.


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("digits", [None, 1, 0], ids=["whole", "to the tick", "to the dollar"])
async def test_a_margin_that_the_rows_own_price_asks_for_is_believed(server, venue, side, digits):
    server.price_digits = digits
    server.hold_sample(side)
    snapshot = await venue.snapshot()
    (position,) = snapshot.positions
    assert (position.isolated_wallet, snapshot.gaps) == (600, ())
    assert snapshot.asset_mode is AssetMode.SINGLE
    assert venue.watch_only is None


async def _is_watched(server, venue, reason):
    """Show that the position is seen with Bitget's own price, told with the reason, and gets nothing."""
    snapshot = await venue.snapshot()
    position = next(one for one in snapshot.positions if one.key == KEY)
    (gap,) = (one for one in snapshot.gaps if one.subject == str(KEY))
    assert position.isolated_wallet is None
    assert reason in gap.reason
    assert (gap.key, gap.may_be_cross) == (None, False), "the account's past can be told without it"
    tiers = await venue.tiers(frozenset({KEY.symbol}))
    told = assess(snapshot, tiers.by_symbol, venue.rules, snapshot.positions_read_at)
    assert any(one.key == KEY and reason in one.reason for one in told.gaps)
    with pytest.raises(VenueRefused, match="not confirmed") as refused:
        await venue.add_margin(request())
    assert refused.value.code == "not_sent"
    assert server.writes == []


@pytest.mark.parametrize("balance", [with_profit, initial_margin_and_fee, "0", "607", "593"])
async def test_a_balance_that_the_rows_price_contradicts_is_no_margin_and_nothing_is_added(server, venue, balance):
    server.hold_sample()
    says(server, positionBalance=balance)
    await _is_watched(server, venue, "its margin is not confirmed: its row says")


@pytest.mark.parametrize("balance", ["605.9", "594.1"])
async def test_one_per_cent_is_borne_as_elsewhere(server, venue, balance):
    server.hold_sample()
    says(server, positionBalance=balance)
    (position,) = (await venue.snapshot()).positions
    assert position.isolated_wallet == Decimal(balance)


@pytest.mark.parametrize("balance", ["600", "500", "700"])
async def test_a_price_of_few_digits_confirms_no_more_than_one_of_many(server, venue, balance):
    """A coin of about a dollar may be liquidated at "0.9": its last digit is worth a ninth of the position."""
    server.hold_sample()
    (position,) = (await venue.snapshot()).positions
    price = position.exchange_liquidation.price.quantize(Decimal("1E+3"))
    row = replace(
        position,
        isolated_wallet=Decimal(balance) + position.quantity * (position.exchange_liquidation.price - price),
        exchange_liquidation=replace(position.exchange_liquidation, price=price),
    )
    table = (await venue.tiers(frozenset({KEY.symbol}))).by_symbol[KEY.symbol]
    assert (bitget_uta.doubt(row, table, venue.rules) is None) == (balance == "600")


@pytest.mark.parametrize("price", ["0", "-3", "", None, "NaN"])
async def test_a_row_without_a_price_confirms_nothing(server, venue, price):
    server.hold_sample()
    says(server, liquidationPrice=price)
    await _is_watched(server, venue, "states no liquidation price")


async def test_a_long_that_has_paid_for_itself_needs_no_price(server, venue):
    server.hold_sample(margin=Decimal(6000))
    (position,) = (await venue.snapshot()).positions
    assert (position.isolated_wallet, position.exchange_liquidation.kind) == (6000, LiquidationKind.NONE)


async def test_without_tiers_nothing_is_confirmed_and_they_are_asked_for_again(server, venue):
    server.hold_sample()
    server.break_reads("tiers", Fate.HTTP_500)
    (position,) = (await venue.snapshot()).positions
    assert position.isolated_wallet is None
    with pytest.raises(VenueRefused, match="not confirmed"):
        await venue.add_margin(request())
    server.break_reads("tiers", None)
    (position,) = (await venue.snapshot()).positions
    assert position.isolated_wallet == 600
    assert await venue.add_margin(request())


async def test_the_other_positions_of_an_unconfirmed_one_are_guarded(server, venue):
    server.hold_sample()
    server.hold_sample(Side.SHORT, server.other)
    says(server, positionBalance=with_profit)
    await _is_watched(server, venue, "not confirmed")
    await venue.add_margin(request(ETH, "2000.01"))
    assert server.margin_of(*_place(ETH)) == Decimal("32000.01")


def _place(key):
    return key.symbol, key.side


@pytest.mark.parametrize("believed", [True, False])
async def test_the_daemon_adds_nothing_to_what_it_cannot_confirm(server, tmp_path, believed):
    one = server.sample
    server.set_mark(one.symbol, one.entry)
    limits = {"max_per_position": "1000000", "max_per_day": "1000000"}
    async with wire_world(tmp_path, server, limits=limits) as here, daemon(here) as guarded:
        assert (await call(here, "arm"))[0] == 0
        await watching(guarded)
        server.hold_sample()
        await cycles(guarded, 2)
        if not believed:
            says(server, positionBalance=with_profit)
        server.set_mark(one.symbol, one.mark)
        await cycles(guarded, 4)
        assert [intent.state.value for intent in here.intents()] == (["applied"] if believed else [])
        assert len(server.writes) == int(believed)
        said = [gap.reason for gap in guarded.service.watches["main"].decision.assessment.gaps]
        assert any("not confirmed" in reason for reason in said) == (not believed)


async def test_a_row_twice_is_a_gap(server, venue):
    server.hold_sample()

    def change(answer):
        answer["data"]["list"] *= 2
        return answer

    server.mangle("positions", change)
    assert KEY in {gap.key for gap in (await venue.snapshot()).gaps}


async def test_a_coin_margined_position_is_told_as_not_modelled(server, venue):
    server.hold_sample()

    def change(answer):
        answer["data"]["list"] = [{"symbol": "BTCUSD", "total": "1"}]
        return answer

    server.mangle("positions elsewhere", change)
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [KEY]
    assert any("not modelled" in gap.reason for gap in snapshot.gaps)


# The account's mode.


@pytest.mark.parametrize(
    ("level", "reason"),
    [("delta", "delta neutral"), ("turbo", "turbo"), (None, "not known here"), ("", "not known here")],
)
async def test_a_mode_that_is_not_known_is_watched(server, venue, level, reason):
    server.level = level
    server.hold_sample()
    snapshot = await venue.snapshot()
    assert [position.key for position in snapshot.positions] == [KEY]
    assert reason in venue.watch_only
    with pytest.raises(VenueRefused):
        await venue.add_margin(request())
    assert server.writes == []


async def test_a_hybrid_account_is_watched(server, venue):
    server.hold_sample()

    def change(answer):
        answer["data"]["accountMode"] = "hybrid"
        return answer

    server.mangle("/api/v3/account/settings", change)
    await venue.snapshot()
    assert "hybrid" in venue.watch_only


async def test_a_mode_that_changes_is_seen_by_the_next_look(server, venue):
    server.hold_sample()
    await venue.snapshot()
    assert venue.watch_only is None
    server.level = "delta"
    await venue.snapshot()
    assert venue.watch_only is not None


async def test_an_account_that_owes_is_watched(server, venue):
    server.hold_sample()
    server.debts = {"ETH": "0.5", "BTC": "1"}
    await venue.snapshot()
    assert "owes BTC, ETH" in venue.watch_only
    with pytest.raises(VenueRefused):
        await venue.add_margin(request())
    server.debts = {}
    await venue.snapshot()
    assert await venue.add_margin(request())


@pytest.mark.parametrize("level", ["basic", "advanced"])
async def test_isolated_positions_are_guarded_where_several_assets_back_the_cross_ones(server, venue, level):
    server.level = level
    server.hold_sample()
    snapshot = await venue.snapshot()
    assert (snapshot.asset_mode, venue.watch_only) == (AssetMode.MULTI, None)
    assert await venue.add_margin(request())


async def test_a_cross_position_in_the_isolated_mode_is_not_modelled_alone(server, venue):
    server.hold_sample(margin=None)
    snapshot = await venue.snapshot()
    assert snapshot.asset_mode is AssetMode.MULTI
    assert snapshot.exchange_margin_ratio > 0


async def test_only_coins_that_something_settles_in_are_wallets_of_isolated_mode(server, venue):
    server.wallets["BTC"] = (Decimal(1), Decimal(1))
    server.wallets["USDC"] = (Decimal(7), Decimal(7))
    assert {wallet.currency for wallet in (await venue.snapshot()).wallets} == {"USDT", "USDC"}
    server.level = "advanced"
    assert {wallet.currency for wallet in (await venue.snapshot()).wallets} == {"USDT", "USDC", "BTC"}


async def test_what_orders_hold_is_no_profit(server, venue):
    def change(answer):
        (row,) = answer["data"]["assets"]
        row.update(equity="1000", balance="900", locked="100", available="900")
        return answer

    server.mangle("wallets", change)
    wallet = (await venue.snapshot()).wallet("USDT")
    assert (wallet.cross_wallet_balance, wallet.cross_unrealized_pnl, wallet.available) == (900, 0, 900)


# The write.


@pytest.mark.parametrize("amount", ["0.01", "5.7", "62.31", "1000"])
@pytest.mark.parametrize("hedged", [False, True], ids=["one-way", "hedge"])
async def test_what_leaves_is_the_amount_the_side_and_the_word_add(server, venue, amount, hedged):
    server.hold_sample(hedged=hedged)
    await venue.snapshot()
    server.requests.clear()
    await venue.add_margin(request(amount=amount, hedged=hedged))
    (sent,) = server.writes
    assert json.loads(sent.body) == {
        "category": "USDT-FUTURES", "symbol": "BTCUSDT", "posSide": "long", "operation": "add", "amount": amount,
    }  # fmt: skip
    assert len(server.requests) == 1


async def test_a_short_in_usdc_is_named_with_its_product(server, venue):
    server.wallets["USDC"] = (Decimal(5000), Decimal(5000))
    server.hold_sample(Side.SHORT, server.usdc)
    await venue.snapshot()
    await venue.add_margin(request(PositionKey("BTC/USDC:USDC", Side.SHORT), currency="USDC"))
    (sent,) = server.writes
    assert [sent.params[name] for name in ("category", "symbol", "posSide")] == ["USDC-FUTURES", "BTCPERP", "short"]


@pytest.mark.parametrize(
    "body",
    [{"operation": "reduce"}, {"operation": None}, {"amount": "-1"}, {"amount": "0"}, {"amount": ""}, {"operation": 1}],
)
async def test_nothing_that_may_take_margin_out_can_leave_the_process(server, venue, body):
    server.hold_sample()
    await venue.snapshot()
    sent = {"category": "USDT-FUTURES", "symbol": "BTCUSDT", "posSide": "long", "operation": "add", "amount": "1"}
    with pytest.raises(VenueUnavailable):  # NotSent.
        await venue._client.privateUtaPostV3AccountSetMargin(sent | body)
    assert server.writes == []


@pytest.mark.parametrize("unified", [True, False], ids=["to classic", "to unified"])
async def test_a_kind_that_changed_between_the_look_and_the_write_is_a_clear_no(server, venue, unified):
    server.is_unified = unified
    server.hold_sample()
    await venue.snapshot()
    server.is_unified = not unified
    with pytest.raises(VenueRefused) as refused:
        await venue.add_margin(request())
    assert refused.value.code == ("40084" if unified else "40085")
    assert server.margin_of(*_place(KEY)) == 600
    await venue.snapshot()
    assert await venue.add_margin(request())
    assert [one.path[:8] for one in server.writes] == (
        ["/api/v3/", "/api/v2/"] if unified else ["/api/v2/", "/api/v3/"]
    )


# What the account's own figures say of positions.


@pytest.mark.parametrize("rows", [None, []])
async def test_no_list_is_believed_while_the_account_needs_margin_for_a_cross_position(server, venue, rows):
    server.level = "basic"
    server.hold_sample(margin=None)
    ratio = (await venue.snapshot()).exchange_margin_ratio

    def change(answer):
        answer["data"]["list"] = rows
        return answer

    server.mangle("positions", change)
    snapshot = await venue.snapshot()
    assert snapshot.positions == ()
    (gap,) = snapshot.gaps
    assert (gap.subject, gap.may_be_cross) == ("positions", True)
    assert "26.68" in gap.reason
    assert snapshot.exchange_margin_ratio == ratio > 0
    server.requests.clear()
    await venue.snapshot()  # It may be in a product that was not due.
    assert len(server.asked("current-position")) == 3


async def test_what_is_needed_for_a_loan_proves_no_position(server, venue):
    server.level, server.debts = "advanced", {"BTC": "0.1"}
    server.mangle("wallets", lambda answer: answer | {"data": answer["data"] | {"mmr": "30"}})
    assert (await venue.snapshot()).gaps == ()
