"""The test modes of docs/exchanges.md ("practice money"): each is a host of no real money, or told as one that is not there."""

from datetime import UTC, datetime

import pytest

from guard.errors import ConfigError
from guard.venues import SUPPORTED, open_venue
from guard.venues.protocol import VenueAccount

SANDBOX, DEMO = {"sandbox": True}, {"options": {"enableDemoTrading": True}}
PRACTICE = {
    "binanceusdm": DEMO,
    "binancecoinm": DEMO,
    "bybit": DEMO,
    "okx": SANDBOX,
    "hyperliquid": SANDBOX,
    "gate": SANDBOX,
    "bitget": SANDBOX,
}


def opened(exchange, ccxt):
    account = VenueAccount(
        account="main", exchange=exchange, api_key="0x" + "1" * 40, secret="1" * 64, password="nobody", ccxt=ccxt
    )
    return open_venue(account, now=lambda: datetime.now(UTC))


@pytest.mark.parametrize("exchange", SUPPORTED)
async def test_the_documented_practice_mode_is_a_test_host_and_without_it_there_is_none(exchange):
    practice, real = opened(exchange, PRACTICE[exchange]), opened(exchange, {})
    assert practice.write_terms.test_host
    assert not real.write_terms.test_host
    await practice.close()
    await real.close()


@pytest.mark.parametrize(
    ("exchange", "ccxt", "key"),
    [
        ("gate", DEMO, r"options\.enableDemoTrading"),
        ("hyperliquid", DEMO, r"options\.enableDemoTrading"),
        ("mexc", DEMO, r"options\.enableDemoTrading"),
        ("mexc", SANDBOX, "sandbox"),
        ("kucoinfutures", SANDBOX, "sandbox"),
    ],
)
def test_a_test_mode_that_is_not_there_is_a_config_error(exchange, ccxt, key):
    with pytest.raises(ConfigError, match=rf"accounts\.main\.ccxt\.{key}: ccxt has no addresses"):
        opened(exchange, ccxt)
