"""Brackets and liquidation prices of the demo exchange against published figures."""

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.demo.exchange import is_own_table
from guard.demo.exchange.brackets import Bracket, brackets_of, maintenance_margin, notional_max
from guard.demo.exchange.liquidation import PricedLeg, liquidation_price

LONG, SHORT = 1, -1

# The "cum" column of Binance's public leverage brackets, tables of 2026-09.
PUBLISHED_AMOUNTS = {
    "BTCUSDT": (0, 300, 1500, 12000, 132000, 482000, 2982000, 14482000, 26482000, 41482000, 121482000, 421482000),
    "ETHUSDT": (0, 300, 1500, 12000, 132000, 382000, 2007000, 9507000, 17507000, 27507000, 80507000, 280507000),
    "SOLUSDT": (0, 75, 1475, 11475, 31475, 231475, 2231475, 4231475, 16731475, 66731475),
    "XRPUSDT": (0, 40, 360, 735, 3735, 8735, 58735, 558735, 1058735, 4183735, 16683735),
    "DOGEUSDT": (0, 280, 655, 6280, 16280, 116280, 1116280, 2116280, 8366280, 33366280),
}


def leg(sign: int, quantity: str, entry: str) -> PricedLeg:
    return PricedLeg(sign=sign, quantity=Decimal(quantity), entry_price=Decimal(entry))


def table(*rows: tuple[str, str, str]) -> tuple[Bracket, ...]:
    """Brackets of (floor, rate, amount), as an example states them."""
    caps = [row[0] for row in rows[1:]] + ["1e18"]
    return tuple(
        Bracket(floor=Decimal(floor), cap=Decimal(cap), rate=Decimal(rate), amount=Decimal(amount), leverage_max=20)
        for (floor, rate, amount), cap in zip(rows, caps, strict=True)
    )


def flat(rate: str, amount: str = "0") -> tuple[Bracket, ...]:
    return table(("0", rate, amount))


# BTCUSDT as it was when the documents' sample was recorded (2020).
OF_THE_SAMPLE = table(
    ("0", "0.004", "0"), ("50000", "0.005", "50"), ("250000", "0.01", "1300"), ("1000000", "0.025", "16300")
)


@pytest.mark.parametrize("symbol", PUBLISHED_AMOUNTS)
def test_the_maintenance_amounts_of_the_five_coins_are_the_published_ones(symbol):
    assert [bracket.amount for bracket in brackets_of(symbol)] == list(map(Decimal, PUBLISHED_AMOUNTS[symbol]))
    assert not is_own_table(symbol)


def test_a_symbol_that_the_demo_does_not_know_has_a_more_cautious_table_and_the_demo_can_say_so():
    assert is_own_table("PEPEUSDT")
    for notional in map(Decimal, (100, 20_000, 300_000, 4_000_000, 50_000_000)):
        own = maintenance_margin(brackets_of("PEPEUSDT"), notional)
        assert own > max(maintenance_margin(brackets_of(symbol), notional) for symbol in PUBLISHED_AMOUNTS)


@pytest.mark.parametrize("symbol", [*PUBLISHED_AMOUNTS, "PEPEUSDT"])
def test_the_requirement_does_not_jump_at_a_floor_and_a_floor_belongs_to_the_bracket_above(symbol):
    brackets = brackets_of(symbol)
    for below, above in pairwise(brackets):
        assert below.cap == above.floor
        assert maintenance_margin(brackets, above.floor) == above.floor * below.rate - below.amount
        assert maintenance_margin(brackets, above.floor) == above.floor * above.rate - above.amount


def test_the_largest_notional_is_that_of_the_last_bracket_which_allows_the_leverage():
    assert notional_max("BTCUSDT", 20) == 100_000_000
    assert notional_max("BTCUSDT", 125) == 300_000


@pytest.mark.parametrize(
    ("legs", "brackets", "balance", "published"),  # Balance: wallet and mark. Published: price and its rounding.
    [
        # Binance API documents, GET /fapi/v2/positionRisk, sample of a hedge-mode account: long and short, isolated.
        ([leg(LONG, "20", "6563.665")], OF_THE_SAMPLE, ("13200.70726908", "6679.50671178"), ("5930.78", "0.005")),
        ([leg(SHORT, "10", "6563.86")], OF_THE_SAMPLE, ("6570.42511771", "6679.50671178"), ("7189.95", "0.005")),
        # Recorded position, ccxt issue 20003: GASUSDT isolated short.
        ([leg(SHORT, "1", "8.616")], flat("0.015"), ("1.57109202", "8.736"), ("10.03654386", "1e-8")),
        # Binance FAQ "Liquidation price", cross with two positions. The wallet is 1,535,443.01; the other position
        # stands at its mark: PnL -56,354.56848 and maintenance 71,200.811444, or -448,192.88514 and 356,512.508122.
        (
            [leg(LONG, "3683.979", "1456.84")],
            flat("0.1", "135365"),
            ("1407887.630076", "1335.18"),
            ("1153.26", "0.005"),
        ),
        (
            [leg(LONG, "109.488", "32481.98")],
            flat("0.025", "16300"),
            ("730737.616738", "31967.27"),
            ("26316.89", "0.005"),
        ),
        # The same FAQ of 2020: wallet 10.72, the other position's PnL and maintenance taken off.
        ([leg(SHORT, "0.005", "9451.53")], flat("0.004"), ("9.89", "9451.53"), ("11383.99", "0.02")),
        ([leg(LONG, "1", "199.53")], flat("0.0065"), ("10.47", "199.53"), ("190.29", "0.01")),
        # Both legs of a hedge share one price; the FAQ's formula with numbers of our own.
        (
            [leg(LONG, "0.5", "20000"), leg(SHORT, "0.2", "21000")],
            flat("0.004"),
            ("1000", "20500"),
            ("16150.740242261105", "1e-9"),
        ),
    ],
)
def test_liquidation_prices_are_the_published_ones(legs, brackets, balance, published):
    wallet, mark = map(Decimal, balance)
    expected, rounding = map(Decimal, published)
    price = liquidation_price(legs, brackets, wallet=wallet, mark=mark)
    assert price is not None
    assert abs(price - expected) <= rounding


def test_the_bracket_is_the_one_at_the_liquidation_price_and_not_the_one_at_the_mark():
    # 200 at 6,563: 1.3 million at the mark (2.5 %), under a million at liquidation (1 %).
    price = liquidation_price(
        [leg(LONG, "200", "6563")], OF_THE_SAMPLE, wallet=Decimal(350_000), mark=Decimal("6679.5")
    )
    assert price is not None
    assert 200 * price < 1_000_000 < 200 * Decimal("6679.5")
    assert 350_000 + 200 * (price - 6563) == pytest.approx(200 * price * Decimal("0.01") - 1300, abs=Decimal("1e-12"))


def test_a_long_that_its_margin_covers_down_to_zero_has_no_liquidation_price():
    assert liquidation_price([leg(LONG, "1", "100")], OF_THE_SAMPLE, wallet=Decimal(100), mark=Decimal(100)) is None


def test_an_even_hedge_is_liquidated_above_the_mark_where_its_two_requirements_eat_the_wallet():
    legs = [leg(LONG, "1", "100"), leg(SHORT, "1", "100")]
    price = liquidation_price(legs, flat("0.01"), wallet=Decimal(4), mark=Decimal(100))
    assert price == 200  # 4 = 2 * 200 * 1 %.


def test_a_crossing_on_the_edge_of_two_brackets_is_found():
    # 20 * 2,500 is the floor at 50,000; the wallet is made to end exactly there.
    brackets, edge = OF_THE_SAMPLE, Decimal(2500)
    wallet = maintenance_margin(brackets, 20 * edge) - 20 * (edge - 3000)
    assert liquidation_price([leg(LONG, "20", "3000")], brackets, wallet=wallet, mark=Decimal(3000)) == edge


prices = st.decimals(min_value="0.01", max_value="100000", places=2)
quantities = st.decimals(min_value="0.001", max_value="10000", places=3)
legs_of_one_symbol = st.lists(
    st.builds(
        lambda s, q, e: PricedLeg(sign=s, quantity=q, entry_price=e), st.sampled_from([1, -1]), quantities, prices
    ),
    min_size=1,
    max_size=2,
)


@given(legs_of_one_symbol, prices, st.sampled_from([*PUBLISHED_AMOUNTS, "PEPEUSDT"]), st.integers(1, 100))
def test_at_its_liquidation_price_a_balance_equals_the_requirement(legs, mark, symbol, cushion):
    brackets = brackets_of(symbol)

    def surplus(price, wallet):
        pnl = sum(one.sign * one.quantity * (price - one.entry_price) for one in legs)
        return wallet + pnl - sum(maintenance_margin(brackets, one.quantity * price) for one in legs)

    notional = sum(one.quantity * mark for one in legs)
    wallet = -surplus(mark, Decimal(0)) + notional * cushion / 100  # Alive, with that much to spare.
    price = liquidation_price(legs, brackets, wallet=wallet, mark=mark)
    if price is None:
        tiny, huge = mark / 10**9, mark * 10**9
        assert surplus(tiny, wallet) > -notional / 10**6
        assert surplus(huge, wallet) > 0
    else:
        assert abs(surplus(price, wallet)) <= notional * Decimal("1e-12") + price * Decimal("1e-12")
