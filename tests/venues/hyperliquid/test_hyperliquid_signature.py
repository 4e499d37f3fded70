"""What is signed, whose signature it is, and that nothing else than this one action ever leaves."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hyperliquid_signature import action_hash, address_of_private, hashed, signer
from hyperliquid_wire import ACCOUNT, AGENT_KEY, BTC, ETH

from guard.errors import ConfigError, OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import MarginRequest, PositionKey, Side
from guard.venues.hyperliquid import Hyperliquid
from guard.venues.hyperliquid_identity import check_keys
from guard.venues.protocol import VenueAccount

# tests/signing_test.py of the official Python SDK 0.23: key, action, and the signature for either network.
SDK_KEY = "0x0123456789012345678901234567890123456789012345678901234567890123"
SDK_ACTION = {"type": "dummy", "num": 100000000000}
SDK_SIGNATURES = {
    True: {
        "r": "0x53749d5b30552aeb2fca34b530185976545bb22d0b3ce6f62e31be961a59298",
        "s": "0x755c40ba9bf05223521753995abb2f73ab3229be8ec921f350cb447e384d8ed8",
        "v": 27,
    },
    False: {
        "r": "0x542af61ef1f429707e3c76c5293c80d01f74ef853e34b76efffcb57e574f9510",
        "s": "0x17b8b32f086e8cdede991f1e2c529f5dd5297cbe8128500e00cbaf766204a613",
        "v": 28,
    },
}


def request_of(amount="62.31", symbol=BTC, side=Side.LONG):
    return MarginRequest(key=PositionKey(symbol, side), hedged=False, amount=Decimal(amount), currency="USDC")


def test_the_servers_hash_is_keccak():
    assert hashed(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize("mainnet", [True, False])
def test_the_server_recovers_the_signer_of_the_official_sdks_vectors(mainnet):
    signed_by = signer(SDK_ACTION, SDK_SIGNATURES[mainnet], nonce=0, mainnet=mainnet)
    assert signed_by == address_of_private(SDK_KEY) == "0x14791697260e4c9a71f18484c9f997b308e59325"
    assert signer(SDK_ACTION, SDK_SIGNATURES[mainnet], nonce=0, mainnet=not mainnet) != signed_by


async def test_what_is_sent_is_the_documented_action_signed_by_the_agent_with_an_end(server, venue):
    server.hold_sample()
    await venue.snapshot()
    await venue.add_margin(request_of("62.310007"))
    body = json.loads(server.writes[0].body)
    assert body["action"] == {"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": 62310007}
    assert list(body["action"]) == ["type", "asset", "isBuy", "ntli"]  # The order is signed.
    assert set(body) == {"action", "nonce", "signature", "expiresAfter"}
    assert abs(body["nonce"] - server.now_ms()) < 2_000
    assert body["expiresAfter"] == body["nonce"] + 1_000
    terms = {"nonce": body["nonce"], "expires_after": body["expiresAfter"]}
    agent = address_of_private(AGENT_KEY)
    assert signer(body["action"], body["signature"], mainnet=False, **terms) == agent
    assert (
        signer(body["action"], body["signature"], mainnet=True, **terms) != agent
    )  # Worth nothing on the real network.
    assert signer(body["action"] | {"ntli": 62310008}, body["signature"], mainnet=False, **terms) != agent


async def test_the_second_market_is_named_by_its_index(server, venue):
    server.hold_sample(Side.SHORT, server.other)
    await venue.snapshot()
    await venue.add_margin(request_of("1000.07", ETH, Side.SHORT))
    assert json.loads(server.writes[0].body)["action"]["asset"] == 1


async def test_the_real_network_is_signed_for_at_its_own_hosts_only(server):
    for url, is_test in (("https://api.hyperliquid.xyz", False), ("https://api.hyperliquid-testnet.xyz", True)):
        ws = {"public": url.replace("https", "wss") + "/ws"}
        account = server.account(urls={"api": {"public": url, "private": url, "ws": ws}})
        venue = Hyperliquid(account, now=lambda: datetime.now(UTC))
        assert venue._client.options["sandboxMode"] is is_test
        assert venue.write_terms.test_host is is_test
        assert venue.hosts() == (url.removeprefix("https://"),)
        await venue.close()


async def test_ccxts_own_addresses_are_known_without_their_placeholder(server):
    account = VenueAccount(
        account="main", exchange="hyperliquid", api_key=ACCOUNT, secret=AGENT_KEY, password=None, ccxt={}
    )
    venue = Hyperliquid(account, now=lambda: datetime.now(UTC))
    assert venue.hosts() == ("api.hyperliquid.xyz",)
    assert not venue.write_terms.test_host
    await venue.close()


async def test_a_nonce_is_never_used_twice_even_when_the_clock_stands(server):
    stands = datetime.now(UTC)
    venue = Hyperliquid(server.account(), now=lambda: stands)
    server.hold_sample()
    await venue.snapshot()
    for _ in range(3):
        await venue.add_margin(request_of())
    nonces = [json.loads(write.body)["nonce"] for write in server.writes]
    assert len(set(nonces)) == 3
    await venue.close()


async def test_an_answer_to_a_copy_of_the_action_is_no_refusal(server, venue):
    """The copy is refused as a duplicate because the first one was carried out."""
    server.hold_sample()
    await venue.snapshot()
    server.fate_of_next_write = "Invalid nonce: duplicate nonce 1764221206959"
    with pytest.raises(OutcomeUnknown):
        await venue.add_margin(request_of())


async def test_an_action_that_came_too_late_moves_nothing_and_the_clock_is_measured_before_the_next(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.clock_skew = 30_000  # It runs ahead since, so that our end has passed there.
    with pytest.raises(VenueRefused, match="clock"):
        await venue.add_margin(request_of())
    assert server.margin_of(BTC, Side.LONG) == server.sample.margin
    await venue.mark(BTC)  # Whatever is read next.
    await venue.add_margin(request_of())
    assert server.margin_of(BTC, Side.LONG) == server.sample.margin + Decimal("62.31")


HIDDEN_AND_OTHER_WRITES = {
    "ccxt's start": lambda c: c.initialize_client(),
    "a builder's fee": lambda c: c.approve_builder_fee("0x6530512A6c89C7cfCEbC3BA7fcD9aDa5f30827a6", "0.01%"),
    "ccxt's add_margin": lambda c: c.add_margin(BTC, 5),
    "taking margin out": lambda c: c.reduce_margin(BTC, 5),
    "leverage": lambda c: c.set_leverage(5, BTC),
    "an order": lambda c: c.create_order(BTC, "limit", "buy", 1, 50_000),
    "a cancellation": lambda c: c.cancel_order("1", BTC),
    "a withdrawal": lambda c: c.withdraw("USDC", 10, "0x5e9ee1089755c3435139848e47e6635505d5a13a"),
    "a transfer": lambda c: c.transfer("USDC", 10, "spot", "swap"),
    "the account's mode": lambda c: c.set_user_abstraction("disabled"),
    "weight bought": lambda c: c.reserve_request_weight(1),
}


@pytest.mark.parametrize("what", HIDDEN_AND_OTHER_WRITES)
async def test_no_other_write_can_leave(server, venue, what):
    await venue.open()
    venue._client.options |= {"approvedBuilderFee": False, "refSet": False, "builderFee": True}
    with suppress(VenueUnavailable):  # The gate's; ccxt swallows some of them.
        await HIDDEN_AND_OTHER_WRITES[what](venue._client)
    assert server.writes == []


async def test_a_referrer_is_set_by_nobody(server, venue):
    await venue.open()
    venue._client.options["refSet"] = False
    assert await venue._client.set_ref() is False  # ccxt swallows the gate's refusal.
    assert server.writes == []


@pytest.mark.parametrize(
    "change",
    [
        {"ntli": -5_000_000},
        {"ntli": 0},
        {"ntli": "5000000x"},
        {"isBuy": False},
        {"type": "updateLeverage"},
    ],
    ids=str,
)
async def test_a_body_that_is_not_exactly_an_addition_does_not_leave(server, venue, change):
    await venue.open()
    action = {"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": 5_000_000} | change
    with pytest.raises(VenueUnavailable, match="not on the list"):
        await venue._client.privatePostExchange({"action": action, "nonce": 1, "expiresAfter": 2, "signature": {}})
    assert server.writes == []


async def test_the_start_reads_only_and_loads_no_currencies_and_no_spot(server, venue):
    await venue.open()
    kinds = [params["type"] for _, path, params in server.requests if path == "/info"]
    assert len(kinds) == len(server.requests)
    assert sorted(kinds) == ["exchangeStatus", "metaAndAssetCtxs", "userAbstraction", "userRole"]


def account_with(api_key=ACCOUNT, secret=AGENT_KEY):
    return VenueAccount(account="main", exchange="hyperliquid", api_key=api_key, secret=secret, password=None, ccxt={})


def test_address_and_key_are_taken_with_or_without_capitals_and_0x():
    address, key = check_keys(account_with(ACCOUNT.upper().replace("0X", "0x"), AGENT_KEY[2:].upper()))
    assert (address, key) == (ACCOUNT, AGENT_KEY)


@pytest.mark.parametrize("api_key", ["", "key", ACCOUNT[2:], ACCOUNT[:-1], ACCOUNT + "0", AGENT_KEY, "0x" + "g" * 40])
def test_an_api_key_that_is_no_address_is_refused_with_what_it_must_be(api_key):
    with pytest.raises(ConfigError, match=r"accounts\.main\.api_key: .*address of the account"):
        check_keys(account_with(api_key))


@pytest.mark.parametrize("secret", ["", "secret", AGENT_KEY[:-1], AGENT_KEY + "0", ACCOUNT, "0" * 64, "f" * 64])
def test_a_secret_that_is_no_private_key_is_refused_and_not_repeated(secret):
    with pytest.raises(ConfigError, match=r"accounts\.main\.secret: .*API wallet") as caught:
        check_keys(account_with(secret=secret))
    assert len(secret) < 10 or secret not in str(caught.value)


async def test_neither_key_nor_signature_is_in_an_error(server, venue):
    server.hold_sample()
    await venue.snapshot()
    server.fate_of_next_write = f"User or API Wallet 0x12 {AGENT_KEY} does not exist"
    with pytest.raises((VenueRefused, OutcomeUnknown)) as caught:
        await venue.add_margin(request_of())
    signature = json.loads(server.writes[0].body)["signature"]
    for secret in (AGENT_KEY, AGENT_KEY[2:], signature["r"], signature["s"]):
        assert secret not in repr(caught.value)
    assert AGENT_KEY[2:] not in repr(venue._client.wire)


def test_the_hash_holds_action_nonce_sub_account_and_end():
    action = {"type": "updateIsolatedMargin", "asset": 3, "isBuy": True, "ntli": 1_000_000}
    base = action_hash(action, 1_700_000_000_000, None, None)
    assert len({base, action_hash(action, 1_700_000_000_001, None, None), action_hash(action, 1_700_000_000_000, ACCOUNT, None),
                action_hash(action, 1_700_000_000_000, None, 1_700_000_005_000)}) == 4  # fmt: skip
