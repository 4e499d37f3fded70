"""Moves of prices as people write them, on a command line and in files, and what is refused."""

from decimal import Decimal

import pytest

from guard.config.scenarios import read_scenarios, scenario, share
from guard.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "market", "coins"),
    [
        ("-20%", "-0.2", {}),
        (" +12.5 % ", "0.125", {}),
        ("\N{MINUS SIGN}20%", "-0.2", {}),
        ("BTC=-15%,ETH=-25%", "0", {"BTC": "-0.15", "ETH": "-0.25"}),
        ("-20%, BTC = -10%", "-0.2", {"BTC": "-0.1"}),
        ("market=-20%,BTC=0%", "-0.2", {"BTC": "0"}),
        ("1000PEPE=+1000000%", "0", {"1000PEPE": "10000"}),
        ("USDT=-3%", "0", {"USDT": "-0.03"}),
    ],
)
def test_a_move_is_read_as_it_is_written(text, market, coins):
    read = scenario(text)
    assert (read.name, read.shock.market) == (text.strip(), Decimal(market))
    assert read.shock.coins == {coin: Decimal(move) for coin, move in coins.items()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-20", "found '-20', expected a move in percent such as -20% or +15%: write -20%"),
        ("-0.2", "write -0.2%"),
        ("20%", "found '20%', expected a sign: +20% or -20%"),
        ("-100%", "found '-100%', expected more than -100%"),
        ("+1000000.1%", "at most +1,000,000%"),
        ("", "found '', expected a move"),
        ("BTC", "found 'BTC', expected a move"),
        ("BTC=", "found '', expected a move"),
        ("BTC=-1%,BTC=-2%", "moves BTC twice"),
        ("-1%,-2%", "moves market twice"),
        ("BTC/USDT:USDT=-5%", "found 'BTC/USDT:USDT', expected a coin such as BTC"),
        ("=-5%", "found '', expected a coin"),
        ("USD=-5%", "USD cannot move"),
        ("BTC=-5%;ETH=-5%", "found '-5%;ETH=-5%', expected a move"),
        ("nan%", "expected a move"),
        ("-1e1%", "expected a move"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_could(text, said):
    with pytest.raises(ValueError) as refusal:
        scenario(text)
    assert said in str(refusal.value)


def test_a_part_of_the_way_is_a_percentage_above_none_of_it():
    assert [share(text) for text in ("30%", "100 %", "0.5%")] == [Decimal("0.3"), 1, Decimal("0.005")]
    for text in ("0%", "101%", "-5%", "0.3", "half"):
        with pytest.raises(ValueError, match="expected a part of the way above 0% up to 100%"):
            share(text)


TOML = """
[[scenarios]]
name = "one day in March"
market = "-40%"
BTC = "-39%"

[[scenarios]]
name = "ETH alone"
ETH = "-25%"
"""
CSV = "name,market,BTC,ETH\none day in March,-40%,-39%,\n\nETH alone,,,-25%\n"


@pytest.mark.parametrize(("name", "text"), [("s.toml", TOML), ("s.csv", CSV), ("s.CSV", "\ufeff" + CSV)])
def test_a_file_holds_scenarios_by_name(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    march, eth = read_scenarios(file)
    assert (march.name, march.shock.market, march.shock.coins) == (
        "one day in March",
        Decimal("-0.4"),
        {"BTC": Decimal("-0.39")},
    )
    assert (eth.name, eth.shock.market, eth.shock.coins) == ("ETH alone", 0, {"ETH": Decimal("-0.25")})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.toml", '[[scenarios]]\nname = "a"\nBTC = "-15"\n', "s.toml:3: scenarios[0].BTC: found '-15'"),
        ("s.toml", '[[scenarios]]\nBTC = "-15%"\n', "s.toml:2: scenarios[0].name: is missing"),
        ("s.toml", '[[scenarios]]\nname = "a"\n', "s.toml:2: scenarios[0]: moves nothing"),
        (
            "s.toml",
            '[[scenarios]]\nname = "a"\nBTC = -15\n',
            "s.toml:3: scenarios[0].BTC: found -15, expected a move in quotes",
        ),
        ("s.toml", '[[scenario]]\nname = "a"\n', "s.toml:1: scenario: unknown key, expected [[scenarios]]"),
        ("s.toml", "scenarios = [1]\n", "scenarios[0]: found 1, expected a table"),
        ("s.toml", "", "s.toml: no scenario in it"),
        ("s.toml", "[[scenarios]", "s.toml:1: not TOML"),
        ("s.csv", "", "s.csv:1: found '', expected each column once, name among them"),
        ("s.csv", "BTC,ETH\n-1%,-2%\n", "s.csv:1: found 'BTC,ETH'"),
        ("s.csv", "name,BTC,BTC\n", "s.csv:1: found 'name,BTC,BTC', expected each column once"),
        ("s.csv", "name,BTC\na,-1%\nb,-15\n", "s.csv:3: BTC: found '-15'"),
        ("s.csv", "name,BTC\n,-15%\n", "s.csv:2: name: is missing"),
        ("s.csv", "name,BTC\na,-1%,-2%\n", "s.csv:2: found 3 cells, expected 2"),
        ("s.csv", "name,BTC\na,\n", "s.csv:2: moves nothing"),
        ("s.csv", 'name,BTC\n"a,-1%\n', "s.csv:2: not CSV"),
        ("s.csv", "name,USD\na,-1%\n", "s.csv:2: USD: USD cannot move"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path, name, text, said):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        read_scenarios(file)
    assert said in str(refusal.value)


def test_all_that_is_wrong_with_a_file_is_said_at_once(tmp_path):
    file = tmp_path / "s.csv"
    file.write_text("name,BTC,ETH\na,-15,20%\nb,-1%,-1\n")
    with pytest.raises(ConfigError) as refusal:
        read_scenarios(file)
    assert len(str(refusal.value).splitlines()) == 3


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path):
    binary = tmp_path / "s.csv"
    binary.write_bytes(b"name,BTC\n\xff\xfe")
    for file, said in ((binary, "byte 9 is not UTF-8"), (tmp_path / "no.csv", "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            read_scenarios(file)
    binary.write_bytes(b"x" * 1_000_001)
    with pytest.raises(ConfigError, match="larger than 1,000,000 bytes"):
        read_scenarios(binary)
