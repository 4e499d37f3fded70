"""Keys, what they may do, and demo trading, which is a header."""

from decimal import Decimal

import pytest

from guard.errors import ConfigError, KeysRefused, VenueRefused
from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues.bitget import Bitget

KEY = PositionKey("BTC/USDT:USDT", Side.LONG)


def request():
    return MarginRequest(key=KEY, hedged=False, amount=Decimal("62.31"), currency="USDT")


def test_a_key_without_its_passphrase_is_a_mistake_of_the_config(server, clock):
    server.password = None
    with pytest.raises(ConfigError, match="password"):
        Bitget(server.account(), now=clock)


async def test_a_wrong_passphrase_is_told_as_keys_refused(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.password = "another"
    with pytest.raises(KeysRefused):
        await venue.snapshot()


@pytest.mark.parametrize(
    "mode", [{"sandbox": True}, {"options": {"sandboxMode": True}}, {"options": {"enableDemoTrading": True}}]
)
async def test_a_demo_key_works_with_its_header_whatever_switched_it_on(server, clock, mode):
    server.needs_header = True
    server.hold_sample()
    one = Bitget(server.account(**mode), now=clock)
    assert len((await one.snapshot()).positions) == 1
    await one.add_margin(request())
    await one.close()
    assert [call.headers.get("paptrading") for call in server.writes] == ["1"]


async def test_a_demo_key_without_the_header_is_refused(server, venue):
    server.needs_header = True
    with pytest.raises(KeysRefused, match="40099"):
        await venue.snapshot()


@pytest.mark.parametrize(
    ("mode", "is_test"),
    [
        ({}, False),
        ({"sandbox": True}, True),
        ({"options": {"sandboxMode": True}}, True),
        ({"options": {"sandbox": True}}, True),
        ({"headers": {"PAPTRADING": "1"}}, True),
        ({"headers": {"PAPTRADING": "0"}}, False),
        ({"options": {"paptrading": True}}, False),  # Sends nothing.
    ],
    ids=["none", "sandbox", "sandboxMode", "option sandbox", "header", "header off", "a word of no meaning"],
)
async def test_it_is_a_test_only_when_the_header_is_really_sent(server, clock, mode, is_test):
    account = server.account(**mode)
    account = type(account)(
        account=account.account, exchange=account.exchange, api_key="key", secret="secret", password="word",
        ccxt={name: value for name, value in account.ccxt.items() if name != "urls"},
    )  # fmt: skip
    one = Bitget(account, now=clock)
    assert one.write_terms.test_host is is_test
    stream = "wspap.bitget.com" if is_test and "headers" not in mode else "ws.bitget.com"
    assert set(one.hosts()) == {"api.bitget.com", stream}
    await one.close()


async def test_a_header_that_is_gone_lets_no_write_out(server, clock):
    account = server.account(sandbox=True)
    one = Bitget(account, now=clock)
    server.needs_header = True
    server.hold_sample()
    await one.snapshot()
    one._is_on_loopback = False
    one._client.options["sandboxMode"] = False
    with pytest.raises(VenueRefused, match="paptrading"):
        await one.add_margin(request())
    await one.close()
    assert server.writes == []


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (["coor", "coow", "cpor", "cpow"], "safe"),
        (["trade", "readonly"], "safe"),  # The documents' example.
        (["cpow", "wtor"], "safe"),
        (["coow", "wtow"], "too_powerful"),
        (["coow", "wwow"], "too_powerful"),
        (["coow", "chow"], "too_powerful"),
        (["coow", "p2p"], "too_powerful"),
        (["trade", "transfer"], "too_powerful"),
        (["coor", "cpor", "stow"], "read_only"),
        ([], "read_only"),
    ],
)
async def test_what_each_authority_means(server, venue, words, verdict):
    server.authorities = words
    scopes = await venue.key_scopes()
    assert scopes.verdict.value == verdict
    assert set(scopes.scopes) == set(words)


async def test_a_key_whose_authorities_are_not_told_is_not_verified(server, venue):
    def change(answer):
        answer["data"]["authorities"] = None
        return answer

    server.mangle("/api/v2/spot/account/info", change)
    assert (await venue.key_scopes()).verdict.value == "unverifiable"
