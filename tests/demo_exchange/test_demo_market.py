"""Bars of what the mark price was, on a clock of the test's own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from aiohttp.test_utils import make_mocked_request
from demo_exchange_support import SECRET, account_with

from guard.demo.exchange import DemoExchange
from guard.demo.exchange.control import local_only
from guard.demo.exchange.market import BARS_KEPT, MarkBar
from guard.demo.exchange.wire import Weights
from guard.snapshot import Side

NOON = datetime(2025, 10, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def played(*steps: tuple[float, int]) -> tuple[DemoExchange, Clock]:
    """An exchange on which BTC had these prices, at these minutes after noon."""
    clock = Clock()
    exchange = DemoExchange({"BTCUSDT": Decimal(100)}, now=clock)
    for minute, price in steps:
        clock.now = NOON + minute * MINUTE
        exchange.set_mark("BTCUSDT", Decimal(price))
    return exchange, clock


def bars(exchange: DemoExchange, clock: Clock, interval: timedelta, count: int = 10) -> list[tuple[int, ...]]:
    found = exchange.market.bars("BTCUSDT", interval=interval, count=count, now=clock.now)
    return [_row(one) for one in found]


def _row(one: MarkBar) -> tuple[int, ...]:
    return ((one.opened_at - NOON) // MINUTE, int(one.open), int(one.high), int(one.low), int(one.close))


def test_a_minute_holds_its_first_highest_lowest_and_last_price():
    exchange, clock = played((0.2, 120), (0.4, 80), (0.6, 90), (1, 95))
    assert bars(exchange, clock, MINUTE) == [(0, 100, 120, 80, 90), (1, 95, 95, 95, 95)]


def test_minutes_without_news_stand_still_up_to_the_running_one():
    exchange, clock = played((2, 90))
    clock.now = NOON + 3.5 * MINUTE
    assert bars(exchange, clock, MINUTE) == [
        (0, 100, 100, 100, 100),
        (1, 100, 100, 100, 100),
        (2, 90, 90, 90, 90),
        (3, 90, 90, 90, 90),
    ]
    assert bars(exchange, clock, MINUTE, count=1) == [(3, 90, 90, 90, 90)]


def test_longer_bars_are_made_of_minutes():
    exchange, clock = played((1, 130), (3, 70), (4, 90), (5, 95), (6, 85))
    assert bars(exchange, clock, 5 * MINUTE) == [(0, 100, 130, 70, 90), (5, 95, 95, 85, 85)]


def test_a_clock_that_is_put_back_does_not_put_bars_out_of_order():
    exchange, clock = played((5, 90), (2, 80))
    assert [row[0] for row in bars(exchange, clock, MINUTE)] == [0, 1, 2, 3, 4, 5]
    assert bars(exchange, clock, MINUTE)[-1] == (5, 90, 90, 80, 80)


def test_an_exchange_that_runs_for_weeks_keeps_two_days():
    exchange, clock = played((20 * 1440, 90))
    assert len(bars(exchange, clock, MINUTE, count=10**6)) == BARS_KEPT


def test_used_weight_starts_again_every_minute():
    weights = Weights()
    told = [weights.header(5, NOON + seconds * timedelta(seconds=1)) for seconds in (1, 59, 60)]
    assert [header["X-MBX-USED-WEIGHT-1M"] for header in told] == ["5", "10", "5"]


def test_an_account_does_not_show_its_secret():
    assert SECRET not in repr(account_with())


def test_an_isolated_liquidation_cancels_the_orders_of_its_symbol_only():
    exchange = DemoExchange()
    account = exchange.add_account(account_with())
    exchange.open_position(account, symbol="BTCUSDT", side=Side.LONG, quantity=Decimal("0.1"), leverage=10)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        exchange.place_order(account, symbol=symbol, side=Side.LONG, price=Decimal(10), quantity=Decimal(1))
    exchange.set_mark("BTCUSDT", Decimal(50_000))
    assert [order.symbol for order in account.orders] == ["ETHUSDT"]


async def test_the_levers_are_for_this_machine_only():
    async def pulled(_request):
        raise AssertionError("a stranger pulled a lever")

    for remote in ("203.0.113.5", "2001:db8::1", None):
        stranger = make_mocked_request("POST", "/demo/faults").clone(remote=remote)
        assert (await local_only(pulled)(stranger)).status == 403
