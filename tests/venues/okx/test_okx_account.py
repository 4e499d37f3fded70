"""What an OKX account reads as: modes, wallets, contradictions, and what is said to be no contract."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from okx_wire import OkxServer

from guard.errors import ConfigError, VenueUnavailable
from guard.snapshot import AssetMode, LiquidationKind, MarginMode, MarginRequest, PositionKey, Side
from guard.venues import open_venue
from guard.venues.okx import Okx
from guard.venues.protocol import VenueAccount

D = Decimal
BTC, ETH, INVERSE = OkxServer.sample.symbol, OkxServer.other.symbol, OkxServer.inverse.symbol


def change_rows(server, **fields):
    def change(answer):
        for row in server.rows_in("positions", answer):
            row.update(fields)
        return answer

    server.mangle("positions", change)


async def test_cash_balance_is_the_cross_wallet_and_its_pnl_leaves_isolated_positions_out(server, okx):
    server.hold_sample()  # 0.1 BTC from 60,000 to 58,000: -200, isolated.
    server.hold_sample(of=server.other, margin=None)  # 1.2 ETH from 3,000 to 2,950: -60, cross.
    snapshot = await okx.snapshot()
    wallet = snapshot.wallet("USDT")
    assert snapshot.gaps == ()
    assert (wallet.cross_wallet_balance, wallet.cross_unrealized_pnl) == (3600, -60)


async def test_what_is_available_is_the_smaller_of_balance_and_equity(server, okx):
    for free, equity, wanted in (("500", "90", 90), ("90", "500", 90), ("90", "", 90), ("90", "-5", 0)):
        server.details_of["USDT"] = {"availBal": free, "availEq": equity}
        assert (await okx.snapshot()).wallet("USDT").available == wanted


async def test_what_bots_hold_is_no_contradiction(server, okx):
    # The documents' example: eq 4992.89 = cashBal 4850.44 + upl -7.55 + stgyEq 150.
    server.details_of["USDT"] = {
        "eq": "4992.890093622894", "cashBal": "4850.435693622894", "upl": "-7.545600000000006", "stgyEq": "150",
        "isoEq": "0", "isoUpl": "0",
    }  # fmt: skip
    server.hold_sample(of=server.inverse)
    snapshot = await okx.snapshot()
    assert snapshot.gaps == ()
    assert snapshot.wallet("USDT").cross_unrealized_pnl == D("-7.545600000000006")


async def test_an_equity_that_its_parts_do_not_make_up_is_a_gap(server, okx):
    server.details_of["USDT"] = {"eq": "3000"}
    snapshot = await okx.snapshot()
    assert snapshot.wallet("USDT") is None
    assert [gap.subject for gap in snapshot.gaps] == ["wallet USDT"]


@pytest.mark.parametrize("field", ["cashBal", "eq", "isoEq", "isoUpl", "upl", "availBal"])
@pytest.mark.parametrize("value", ["", "NaN", None])
async def test_a_wallet_without_a_number_is_a_gap_and_the_others_stay(server, okx, field, value):
    server.hold_sample(of=server.inverse)

    def change(answer):
        next(row for row in server.rows_in("wallets", answer) if row["ccy"] == "USDT")[field] = value
        return answer

    server.mangle("wallets", change)
    snapshot = await okx.snapshot()
    assert [gap.subject for gap in snapshot.gaps] == ["wallet USDT"]
    assert snapshot.wallet("BTC") is not None


async def test_a_settle_currency_that_is_not_listed_is_a_gap(server, okx):
    server.hold_sample()
    del server.wallets["BTC"]
    server.mangle("wallets", lambda answer: answer["data"][0].update(details=[]) or answer)
    snapshot = await okx.snapshot()
    assert [gap.subject for gap in snapshot.gaps] == ["wallet USDT"]


async def test_two_endpoints_that_disagree_about_isolated_margin_are_a_gap_for_each_position(server, okx):
    server.hold_sample()
    server.hold_sample(of=server.other)
    change_rows(server, margin="660")  # The balance still speaks of 960 in both.
    snapshot = await okx.snapshot()
    assert {gap.key for gap in snapshot.gaps} == {PositionKey(BTC, Side.LONG), PositionKey(ETH, Side.LONG)}
    assert len(snapshot.positions) == 2


async def test_no_position_beside_unrealized_pnl_is_a_gap(server, okx):
    server.hold_sample(margin=None)
    server.mangle("positions", lambda answer: answer["data"].clear() or answer)
    (gap,) = (await okx.snapshot()).gaps
    assert (gap.subject, gap.may_be_cross) == ("positions", True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"upl": "200"}, "upl is 200"),
        ({"notionalUsd": "58000"}, "notionalUsd is 58000"),  # A contract size ten times as large.
        ({"ccy": "USDC"}, "ccy is USDC"),
        ({"mgnMode": "cross"}, "mgnMode is cross"),
        ({"margin": "-5"}, "mgnMode is isolated"),
        ({"margin": ""}, "margin is empty"),
        ({"instId": "DOGE-USDT-SWAP"}, "not among the markets"),
        ({"posSide": "long"}, "posMode is net_mode"),
    ],
    ids=str,
)
async def test_a_row_that_contradicts_itself_is_a_gap(server, okx, fields, words):
    server.hold_sample()
    server.hold_sample(of=server.inverse)
    await okx.snapshot()
    server.mangle("positions", lambda answer: answer["data"][0].update(fields) or answer)
    snapshot = await okx.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [INVERSE]
    assert any(words in gap.reason for gap in snapshot.gaps), snapshot.gaps


@pytest.mark.parametrize("inst_type", ["MARGIN", "OPTION"])
@pytest.mark.parametrize("mode", ["isolated", "cross"])
async def test_loans_and_options_are_gaps_that_lean_on_the_wallet_when_cross(server, okx, inst_type, mode):
    server.hold_sample()
    row = server._position_row(server.holdings[BTC, Side.LONG])
    server.extra_rows = [row | {"instId": "BTC-USDT", "instType": inst_type, "mgnMode": mode, "posSide": "net"}]
    snapshot = await okx.snapshot()
    (gap,) = snapshot.gaps
    assert inst_type in gap.reason
    assert gap.may_be_cross is (mode == "cross")
    assert [position.key.symbol for position in snapshot.positions] == [BTC]


async def test_an_isolated_and_a_cross_position_of_one_side_are_one_gap_and_the_nearer_price(server, okx):
    server.hold_sample()
    isolated = server._position_row(server.holdings[BTC, Side.LONG])
    server.extra_rows = [isolated | {"mgnMode": "cross", "margin": "", "liqPx": "57000"}]
    snapshot = await okx.snapshot()
    (position,) = snapshot.positions
    assert position.exchange_liquidation.price == 57000
    (gap,) = snapshot.gaps
    assert (gap.key, gap.may_be_cross) == (position.key, True)
    assert "cross and isolated" in gap.reason


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("", LiquidationKind.NONE),
        ("0", LiquidationKind.NONE),
        ("-12.5", LiquidationKind.NONE),
        ("NaN", LiquidationKind.UNKNOWN),
        (None, LiquidationKind.UNKNOWN),
        ([], LiquidationKind.UNKNOWN),
    ],
    ids=repr,
)
async def test_a_liquidation_price_that_is_none_is_never_a_number(server, okx, raw, kind):
    server.hold_sample()
    change_rows(server, liqPx=raw)
    (position,) = (await okx.snapshot()).positions
    assert position.exchange_liquidation.kind is kind


@pytest.mark.parametrize(
    ("level", "kind"), [("2", LiquidationKind.NONE), ("3", LiquidationKind.UNKNOWN), ("4", LiquidationKind.UNKNOWN)]
)
async def test_an_empty_price_of_a_cross_position_is_unknown_where_several_assets_back_it(server, okx, level, kind):
    server.acct_lv = level
    server.hold_sample(margin=None)
    change_rows(server, liqPx="")
    (position,) = (await okx.snapshot()).positions
    assert position.exchange_liquidation.kind is kind


@pytest.mark.parametrize(
    ("level", "mode", "guarded"),
    [("1", AssetMode.SINGLE, False), ("2", AssetMode.SINGLE, True), ("3", AssetMode.MULTI, True),
     ("4", AssetMode.MULTI, False), ("9", AssetMode.SINGLE, False)],
)  # fmt: skip
async def test_the_account_mode_says_what_backs_and_whether_margin_is_added(server, okx, level, mode, guarded):
    assert okx.watch_only is not None  # Nothing is known yet.
    server.acct_lv = level
    assert (await okx.snapshot()).asset_mode is mode
    assert (okx.watch_only is None) is guarded


async def test_portfolio_margin_is_named_as_what_is_not_modelled(server, okx):
    server.acct_lv = "4"
    await okx.snapshot()
    assert "portfolio margin" in okx.watch_only


async def test_an_account_that_runs_the_exchanges_strategy_is_watched_only(server, okx):
    server.mangle("/api/v5/account/config", lambda answer: answer["data"][0].update(stgyType="1") or answer)
    await okx.snapshot()
    assert "delta neutral" in okx.watch_only


async def test_margin_moved_by_hand_is_watched_only(server, okx):
    server.ct_iso_mode = "autonomy"
    await okx.snapshot()
    assert "autonomy" in okx.watch_only


async def test_the_accounts_ratio_is_turned_so_that_one_is_liquidation(server, okx):
    server.acct_lv = "3"
    server.hold_sample(margin=None)
    server.totals = {"mgnRatio": "4"}
    snapshot = await okx.snapshot()
    assert (snapshot.exchange_margin_ratio, snapshot.gaps) == (D("0.25"), ())


@pytest.mark.parametrize("ratio", ["", "0", "-2"])
async def test_a_ratio_that_cannot_be_turned_is_a_gap_and_never_zero(server, okx, ratio):
    server.acct_lv = "3"
    server.hold_sample(margin=None)
    server.totals = {"mgnRatio": ratio}
    snapshot = await okx.snapshot()
    assert snapshot.exchange_margin_ratio is None
    assert [gap.subject for gap in snapshot.gaps] == ["account margin ratio"]


async def test_a_multi_currency_account_without_cross_positions_needs_no_ratio(server, okx):
    server.acct_lv = "3"
    server.hold_sample()
    snapshot = await okx.snapshot()
    assert (snapshot.exchange_margin_ratio, snapshot.gaps) == (None, ())


async def test_a_position_mode_that_changed_is_read_again_at_once(server, okx):
    server.hold_sample()
    await okx.snapshot()
    server.drop(BTC, Side.LONG)
    for side in Side:
        server.hold_sample(side, hedged=True)
    snapshot = await okx.snapshot()
    assert snapshot.gaps == ()
    assert {position.key.side for position in snapshot.positions} == set(Side)
    assert all(position.hedged for position in snapshot.positions)


async def test_an_account_config_that_cannot_be_read_is_no_mode(server, okx):
    server.mangle("/api/v5/account/config", lambda answer: answer["data"][0].pop("acctLv") and answer)
    with pytest.raises(VenueUnavailable, match="acctLv is missing"):
        await okx.snapshot()


async def test_dated_futures_are_positions_of_their_own(server, okx):
    symbol = "BTC/USDT:USDT-270326"
    server.hold_sample(Side.SHORT)
    terms = {"contracts": D(3), "entry": D(58000), "margin": D(200), "leverage": 5}
    server.hold(symbol, Side.LONG, **terms)
    positions = {position.key.symbol: position for position in (await okx.snapshot()).positions}
    assert positions.keys() == {BTC, symbol}
    assert positions[symbol].margin_mode is MarginMode.ISOLATED
    assert positions[symbol].contract.contract_size == D("0.01")


@pytest.mark.parametrize("margin", [OkxServer.inverse.margin, None], ids=["isolated", "cross"])
async def test_a_row_that_is_missing_beside_others_is_a_gap_where_the_balance_holds_margin_for_it(server, okx, margin):
    server.hold_sample()
    server.hold_sample(of=server.inverse, margin=margin)

    def drop(answer):
        rows = server.rows_in("positions", answer)
        rows[:] = [row for row in rows if row["ccy"] != "BTC"]
        return answer

    server.mangle("positions", drop)
    snapshot = await okx.snapshot()
    assert [position.key.symbol for position in snapshot.positions] == [BTC]
    (gap,) = snapshot.gaps
    assert (gap.subject, gap.key, gap.may_be_cross) == ("positions", None, True)
    assert "in BTC" in gap.reason


@pytest.mark.parametrize("password", [None, ""])
def test_a_key_without_its_passphrase_is_a_config_error(password):
    account = VenueAccount(account="main", exchange="okx", api_key="k", secret="s", password=password, ccxt={})
    with pytest.raises(ConfigError, match=r"accounts\.main\.password: missing, a key of OKX has a passphrase"):
        Okx(account, now=lambda: datetime.now(UTC))


@pytest.mark.parametrize(
    ("exchange", "ccxt", "hosts"),
    [  # The classes `myokx` and `okxus` of ccxt 4.5.90.
        ("okx", {}, {"www.okx.com", "ws.okx.com"}),
        ("myokx", {}, {"eea.okx.com", "wseea.okx.com"}),
        ("okxus", {}, {"us.okx.com", "wsus.okx.com"}),
        ("myokx", {"sandbox": True}, {"eea.okx.com", "wseeapap.okx.com"}),
        ("okxus", {"sandbox": True}, {"us.okx.com", "wsuspap.okx.com"}),
    ],
)
async def test_a_region_is_guarded_at_its_own_hosts_by_rest_and_by_stream(exchange, ccxt, hosts):
    venue = open_venue(account_at(exchange, ccxt), now=lambda: datetime.now(UTC))
    assert type(venue) is Okx
    assert {host.partition(":")[0] for host in venue.hosts()} == hosts
    assert venue.write_terms.test_host is bool(ccxt)
    await venue.close()


@pytest.mark.parametrize(
    ("exchange", "hostname", "meant"),
    [
        ("okx", "eea.okx.com", "myokx"),
        ("okx", "my.okx.com", "myokx"),
        ("okx", "us.okx.com", "okxus"),
        ("okx", "app.okx.com", "okxus"),
        ("myokx", "www.okx.com", "okx"),
        ("okxus", "eea.okx.com", "myokx"),
    ],
)
def test_a_hostname_of_another_region_is_a_config_error_for_the_stream_would_not_know_the_key(
    exchange, hostname, meant
):
    with pytest.raises(ConfigError, match=rf'ccxt\.hostname: found \'{hostname}\'.*write exchange = "{meant}" instead'):
        open_venue(account_at(exchange, {"hostname": hostname}), now=lambda: datetime.now(UTC))


@pytest.mark.parametrize("exchange", ["myokx", "okxus"])
async def test_a_region_is_read_and_written_to_as_okx_is(server, exchange):
    server.hold_sample()
    venue = open_venue(replace(server.account(), exchange=exchange), now=lambda: datetime.now(UTC))
    (position,) = (await venue.snapshot()).positions
    request = MarginRequest(key=position.key, hedged=False, amount=D("10.79"), currency="USDT")
    assert await venue.add_margin(request) == "code 0, add 10.79 to BTC-USDT-SWAP net"
    assert len(server.writes) == 1
    await venue.close()


def account_at(exchange, ccxt):
    return VenueAccount(account="main", exchange=exchange, api_key="k", secret="s", password="p", ccxt=ccxt)
