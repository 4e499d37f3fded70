"""Markets from files: what is read, which hours are played, and what a bad file is told."""

import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from guard.demo.prices import read_market, scripted
from guard.errors import ConfigError

HEADER = "symbol,time,open,high,low,close"
START = datetime(2025, 10, 10, tzinfo=UTC)


def bar(minute: int, prices: str, symbol: str = "BTCUSDT") -> str:
    return f"{symbol},{START + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ},{prices}"


@pytest.fixture
def write(tmp_path):
    def written(*lines: str, name: str = "market.csv") -> Path:
        path = tmp_path / name
        text = "\n".join(lines) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return written


@pytest.mark.parametrize("name", ["market.csv", "market.csv.gz"])
def test_within_a_bar_the_price_goes_open_low_high_close(write, name):
    market = read_market(write(HEADER, bar(0, "100,110,90,105"), bar(1, "105,106,104,104"), name=name))
    assert [point.price for point in market.points] == [100, 90, 110, 105, 105, 104, 106, 104]
    assert [point.at - START for point in market.points[:5]] == [timedelta(seconds=15 * n) for n in range(5)]


def test_only_the_twelve_hours_round_the_low_of_what_fell_most_are_played(write):
    falling = [bar(minute, f"100,100,{40 if minute == 1000 else 99},99") for minute in range(0, 2000, 10)]
    calm = [bar(minute, "10,10,9.9,10", "XRPUSDT") for minute in range(0, 2000, 10)]
    market = read_market(write(HEADER, *calm, *falling))
    assert market.start == START + timedelta(minutes=640)
    assert market.end < START + timedelta(minutes=1360)
    assert market.lowest() == {"BTCUSDT": 40, "XRPUSDT": Decimal("9.9")}
    assert list(market.opening()) == ["BTCUSDT", "XRPUSDT"]
    assert [point.at for point in market.points] == sorted(point.at for point in market.points)


def test_a_hole_in_the_bars_stays_a_hole_and_does_not_stretch_them(write):
    market = read_market(write(HEADER, bar(0, "9,9,9,9"), bar(1, "9,9,9,9"), bar(200, "5,5,5,5")))
    assert [point.at - START for point in market.points][-4:] == [
        timedelta(minutes=200, seconds=15 * part) for part in range(4)
    ]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("symbol,time,price", "BTCUSDT,2025-10-10T00:00:00Z,1"), r":1: no column open, high, low, close"),
        ((HEADER,), "no bars"),
        ((HEADER, bar(0, "1,1,1,1"), "BTCUSDT,yesterday,1,1,1,1"), r":3: time: found 'yesterday', expected ISO 8601"),
        ((HEADER, bar(0, "1,1,cheap,1")), r":2: low: found 'cheap', expected a positive price"),
        ((HEADER, bar(0, "1,1,-1,1")), r":2: low: found '-1'"),
        ((HEADER, bar(0, "NaN,1,1,1")), r":2: open: found 'NaN'"),
        ((HEADER, bar(0, "5,4,3,3")), r":2: open and close must lie between low and high"),
        ((HEADER, "BTCUSDT,2025-10-10T00:00:00Z,1,1"), r":2: low: found None"),
        (
            (HEADER, bar(1, "1,1,1,1"), bar(0, "1,1,1,1"), bar(1, "2,2,2,2")),
            r"BTCUSDT: found two bars at 2025-10-10T00:01",
        ),
        ((HEADER, "BTCUSDT,0001-01-01T00:00:00Z,1,1,1,1"), r":2: time: found '0001-01-01T00:00:00Z'"),
        ((HEADER, "BTCUSDT,9999-12-31T23:59:00Z,1,1,1,1"), r":2: time: found '9999-12-31T23:59:00Z'"),
        ((HEADER, bar(0, "1e30,1e30,1e30,1e30")), r":2: open: found '1e30', expected a price from"),
        ((HEADER, bar(0, "1E+999999,1E+999999,1,1")), r":2: open: found '1E\+999999', expected a price from"),
        ((HEADER, bar(0, "1e-30,1e-30,1e-30,1e-30")), r":2: open: found '1e-30', expected a price from"),
    ],
)
def test_a_bad_file_is_told_line_and_remedy(write, lines, told):
    with pytest.raises(ConfigError, match=told):
        read_market(write(*lines))


def test_a_file_that_is_not_what_its_name_says_is_refused(write, tmp_path):
    cut = write(HEADER, *(bar(minute, "1,1,1,1") for minute in range(500)), name="cut.csv.gz")
    cut.write_bytes(cut.read_bytes()[:-100])
    garbled = write(HEADER, bar(0, "1,1,1,1"), name="garbled.csv.gz")
    garbled.write_bytes(garbled.read_bytes()[:14] + b"\xff\xff" + garbled.read_bytes()[16:])
    plain = tmp_path / "plain.csv.gz"
    plain.write_text(HEADER)
    for path in (cut, garbled, plain, tmp_path / "missing.csv", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_market(path)


def test_a_file_of_a_spreadsheet_is_read_as_any_other(tmp_path):
    path = tmp_path / "market.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join((HEADER, bar(0, "1,1,1,1"), "")).encode())
    assert read_market(path).opening() == {"BTCUSDT": 1}


def test_a_script_visits_its_points_in_time():
    market = scripted((0, 8, 18), {"BTCUSDT": ("60000", "60240", "59100"), "ETHUSDT": ("3000", "3016", "2945")})
    assert market.end - market.start == timedelta(minutes=18)
    assert market.opening() == {"BTCUSDT": 60_000, "ETHUSDT": 3_000}
    assert [(point.symbol, point.price) for point in market.points][-2:] == [
        ("BTCUSDT", 59_100),
        ("ETHUSDT", 2_945),
    ]
