"""What programs read of a stress: the keys, in their order, and figures as decimal strings."""

from decimal import Decimal

from margin_worlds import contract, leg
from stress_worlds import book, cross, isolated

from guard.margin.books import Shock, market_ends, pool_end_fields, stress, stress_fields
from guard.snapshot import Side

BTC, ETH = contract("BTC"), contract("ETH")


def plain(terms, **more):
    return leg(terms, entry="100", mark="100", **more)


def scenario_row():
    pools = book(cross(plain(BTC), plain(BTC, side=Side.SHORT), plain(ETH), wallet="25"), isolated(plain(ETH), "90"))
    return stress_fields("bad day", stress(pools, Shock(market=Decimal("-0.2")), auto_deleveraging_at=Decimal("0.5")))


def test_a_scenario_is_a_row_of_everything_that_happened():
    row = scenario_row()
    assert [len(row.pop(key)) for key in ("deaths", "closures")] == [1, 1]
    assert row == {
        "name": "bad day",
        "market": "-0.2",
        "coins": {},
        "auto_deleveraging_at": "0.5",
        "deaths_without_closures": [],
        "pools": [
            {
                "pool": "USDT cross",
                "margin_mode": "cross",
                "currency": "USDT",
                "positions": ["BTC/USDT:USDT long", "BTC/USDT:USDT short", "ETH/USDT:USDT long"],
                "fate": "dead",
                "equity_before": "25",
                "equity_after": "0",
                "margin_ratio_after": None,
                "distance_left": None,
            },
            {
                "pool": "ETH/USDT:USDT long isolated",
                "margin_mode": "isolated",
                "currency": "USDT",
                "positions": ["ETH/USDT:USDT long"],
                "fate": "alive",
                "equity_before": "90",
                "equity_after": "70",
                "margin_ratio_after": "0.01142857142857142857142857142857143",
                "distance_left": "0.8737373737373737373737373737373737",
            },
        ],
        "currency": "USD",
        "equity_before": "115",
        "equity_after": "70",
        "lost": "45",
        "unpriced": [],
        "unmoved": [],
    }


def test_a_death_tells_where_it_was_and_what_it_took():
    (death,) = scenario_row()["deaths"]
    sixth = "-0.1666666666666666666666666666666667"
    assert death == {
        "pool": "USDT cross",
        "margin_mode": "cross",
        "currency": "USDT",
        "way": "0.8333333333333333333333333333333333",
        "market_move": sixth,
        "moves": {"BTC": sixth, "ETH": sixth},
        "positions": ["BTC/USDT:USDT long", "ETH/USDT:USDT long"],
        "trigger_coin": "BTC",
        "driver": "BTC/USDT:USDT long",
        "taken_along": ["ETH/USDT:USDT long"],
        "prices": dict.fromkeys(("BTC/USDT:USDT", "ETH/USDT:USDT"), "83.33333333333333333333333333333333"),
        "lost": "35",
        "only_by_auto_deleveraging": True,
    }


def test_a_lost_hedge_tells_its_price_and_what_it_paid():
    (closure,) = scenario_row()["closures"]
    assert closure == {
        "position": "BTC/USDT:USDT short",
        "pool": "USDT cross",
        "currency": "USDT",
        "price": "90",
        "realized": "10",
        "released": "0",
    }


def test_the_ends_of_a_pool_are_moves_of_the_market_or_the_word_for_none_and_past():
    pools = book(isolated(plain(BTC), "20"), isolated(plain(ETH), "0.5"), isolated(plain(BTC), "150"))
    rows = [pool_end_fields(pool, ends) for pool, ends in zip(pools.pools, market_ends(pools), strict=True)]
    assert rows[0] == {
        "pool": "BTC/USDT:USDT long isolated",
        "margin_mode": "isolated",
        "currency": "USDT",
        "positions": ["BTC/USDT:USDT long"],
        "liquidation": "at",
        "market_down": "-0.1919191919191919191919191919191919",
        "market_up": None,
    }
    assert [row["liquidation"] for row in rows] == ["at", "past", "none"]
