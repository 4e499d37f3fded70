"""The test modes of docs/exchanges.md ("practice money"): each is a host of no real money, or told as one that is not there."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from guard.config import load
from guard.errors import ConfigError
from guard.venues import REGIONS, SUPPORTED, open_venue
from guard.venues.protocol import VenueAccount

DOCS = Path(__file__).parents[2] / "docs" / "exchanges.md"
ROW_OF = {"binanceusdm": "Binance", "binancecoinm": "Binance", "gate": "Gate", "okx": "OKX"}  # Else the id's own name.
MODES = {"sandbox = true": "sandbox = true", "enableDemoTrading": "options = { enableDemoTrading = true }"}
SANDBOX, DEMO = {"sandbox": True}, {"options": {"enableDemoTrading": True}}
EVERYWHERE = (*SUPPORTED, *REGIONS)


def practice_line(exchange):
    """Return the line that the docs' column "practice money" tells to write under [accounts.NAME.ccxt]."""
    table = DOCS.read_text().partition("| practice money |\n")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines()]
    name = ROW_OF.get(exchange, exchange.title())
    (cell,) = [row[4] for row in rows if row[0].strip().startswith(name)]
    (line,) = {text for word, text in MODES.items() if re.search(rf"`[^`]*{word}[^`]*`", cell)}
    return line


@pytest.fixture
def settings_of(tmp_path):
    def read(exchange, line=""):
        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        path.write_text(
            f'[accounts.main]\nexchange = "{exchange}"\napi_key = "0x{"1" * 40}"\nsecret = "{"2" * 64}"\n'
            f'password = "nobody"\n[accounts.main.ccxt]\n{line}\n'
        )
        return load(path, environ={})

    return read


def opened(account):
    return open_venue(account, now=lambda: datetime.now(UTC))


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_the_documented_practice_mode_is_a_test_host_and_without_it_there_is_none(exchange, settings_of):
    for line, is_test in ((practice_line(exchange), True), ("", False)):
        venue = opened(settings_of(exchange, line).accounts["main"].venue)
        assert venue.write_terms.test_host is is_test
        await venue.close()


@pytest.mark.parametrize("region", REGIONS)
async def test_a_region_practices_as_its_exchange_does(region, settings_of):
    venue = opened(settings_of(region, practice_line(REGIONS[region])).accounts["main"].venue)
    assert venue.write_terms.test_host
    await venue.close()


@pytest.mark.parametrize("exchange", [*EVERYWHERE, "kucoinfutures"])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("options = { sandboxMode = true }", "options.sandboxMode: is not how a test mode is switched on"),
        ("options = { sandbox_mode = true }", "options.sandbox_mode: is not how a test mode is switched on"),
        ("options = { testnet = true }", "options.testnet: is not how a test mode is switched on"),
        ("options = { demo = true }", "options.demo: is not how a test mode is switched on"),
        ("options = { swap = { sandbox = true } }", "options.swap.sandbox: is not how a test mode is switched on"),
        ("options = { sandbox = 'true' }", "options.sandbox: found 'true', expected true or false"),
        ("options = { enableDemoTrading = 1 }", "options.enableDemoTrading: found 1, expected true or false"),
        ("sandbox = 'true'", "sandbox: found 'true', expected true or false"),
        ("sandbox = 1", "sandbox: found 1, expected true or false"),
        ("testnet = true", "testnet: is not how a test mode is switched on, expected sandbox = true"),
        (
            "sandbox = true\noptions = { enableDemoTrading = true }",
            "options.enableDemoTrading: found a second test mode",
        ),
    ],
)
def test_what_was_meant_for_a_test_and_leads_to_the_real_hosts_is_a_config_error_where_it_stands(
    exchange, line, said, settings_of
):
    with pytest.raises(ConfigError) as refused:
        settings_of(exchange, line)
    (problem,) = refused.value.problems
    assert f"config.toml:{7 + line.count(chr(10))}: accounts.main.ccxt.{said}" in problem


@pytest.mark.parametrize("exchange", EVERYWHERE)
@pytest.mark.parametrize("line", ["options = { sandbox = true }", "options = { sandboxMode = false }"])
async def test_what_works_or_asks_for_nothing_is_left_as_it_was(exchange, line, settings_of):
    venue = opened(settings_of(exchange, line).accounts["main"].venue)
    assert venue.write_terms.test_host is ("true" in line)
    await venue.close()


@pytest.mark.parametrize(
    ("exchange", "ccxt", "key"),
    [
        ("gate", DEMO, r"options\.enableDemoTrading"),
        ("hyperliquid", DEMO, r"options\.enableDemoTrading"),
        ("mexc", DEMO, r"options\.enableDemoTrading"),
        ("mexc", SANDBOX, "sandbox"),
        ("mexc", {"options": SANDBOX}, r"options\.sandbox"),
        ("kucoinfutures", SANDBOX, "sandbox"),
        ("bingx", DEMO, r"options\.enableDemoTrading"),
        ("htx", SANDBOX, "sandbox"),
    ],
)
def test_a_test_mode_that_is_not_there_is_a_config_error(exchange, ccxt, key):
    account = VenueAccount(
        account="main", exchange=exchange, api_key="0x" + "1" * 40, secret="1" * 64, password="nobody", ccxt=ccxt
    )
    with pytest.raises(ConfigError, match=rf"accounts\.main\.ccxt\.{key}: ccxt has no addresses"):
        opened(account)
