"""Which POSTs may leave, whatever form an exchange wants them in, and at each exchange: to which paths, whole."""

from datetime import UTC, datetime

import pytest

from guard.errors import ConfigError
from guard.venues import open_venue
from guard.venues.gate import Gate, NotSent, PostRule
from guard.venues.protocol import VenueAccount

URL = "https://x.example"
ACCOUNT = VenueAccount(account="main", exchange="x", api_key="k", secret="s", password=None, ccxt={})
RULES = (
    PostRule(method="POST", path="/v5/add-margin", fields={"category": "linear"}, positive=("margin",)),
    PostRule(method="POST", path="/exchange", fields={"action.type": "updateIsolatedMargin"}, positive=("action.ntli",)),
    PostRule(method="POST", path="/margin", fields={}, positive=("change",)),
)  # fmt: skip


def leaves(url, body):
    try:
        Gate(ACCOUNT, (URL,), RULES).check("POST", URL + url, body, "what")
    except NotSent:
        return False
    return True


@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        ("/v5/add-margin", '{"category":"linear","margin":"10"}', True),
        ("/v5/add-margin", '{"category":"linear","margin":"-10"}', False),
        ("/v5/add-margin", '{"category":"linear","margin":0}', False),
        ("/v5/add-margin", '{"category":"linear","margin":"NaN"}', False),
        ("/v5/add-margin", '{"category":"linear","margin":"Infinity"}', False),
        ("/v5/add-margin", '{"category":"linear","margin":"ten"}', False),
        ("/v5/add-margin", '{"category":"linear"}', False),
        ("/v5/add-margin", '{"category":"spot","margin":"10"}', False),
        ("/v5/add-margin", '{"category":"linear","margin":"10","margin":"-10"}', False),
        ("/v5/add-margin?margin=-10", '{"category":"linear","margin":"10"}', False),
        ("/v5/add-margin", '[{"category":"linear","margin":"10"}]', False),
        ("/v5/add-margin", '{"category":"linear","margin":"10"', False),
        ("/v5/add-margin", "category=linear&margin=10", True),
        ("/v5/add-margin", "category=linear&margin=10&margin=", False),
        ("/v5/add-margin", ' {"category":"linear","margin":"10"}', True),
        ("/v5/add-margin", '{"category":"linear","margin":true}', False),
        ("/v5/add-margin", '{"a":"&category=linear&margin=10&"}', False),
        ("/v5/add-margin", '["&category=linear&margin=10&"]', False),
        ("/v5/add-margin", '{"a":' * 200_000, False),
        ("/v5/add-margin", None, False),
        ("/v5/withdraw", '{"category":"linear","margin":"10"}', False),
        ("/exchange", '{"action":{"type":"updateIsolatedMargin","ntli":5000000},"nonce":1}', True),
        ("/exchange", '{"action":{"type":"updateIsolatedMargin","ntli":-1}}', False),
        ("/exchange", '{"action":{"type":"withdraw3","ntli":1},"type":"updateIsolatedMargin"}', False),
        ("/exchange", '{"action":{"type":"withdraw3"},"action":{"type":"updateIsolatedMargin","ntli":1}}', False),
        ("/margin?change=1.5", "", True),
        ("/margin?change=-1.5", "", False),
        ("/margin?change=1.5&change=", "", False),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_post_leaves_only_as_it_is_listed(url, body, expected):
    assert leaves(url, body) is expected


# What each exchange's own gate lets pass: the address of ccxt 4.5.90, the whole path, the fields.
LISTED = [
    ("binanceusdm", "https://fapi.binance.com/fapi/v1/positionMargin", "type=1&symbol=BTCUSDT&amount=1"),
    ("binanceusdm", "https://fapi.binance.com/fapi/v1/listenKey", ""),
    ("binancecoinm", "https://dapi.binance.com/dapi/v1/positionMargin", "type=1&symbol=BTCUSD_PERP&amount=1"),
    ("binancecoinm", "https://dapi.binance.com/dapi/v1/listenKey", ""),
    ("bybit", "https://api.bybit.com/v5/position/add-margin", '{"symbol":"BTCUSDT","margin":"1"}'),
    ("okx", "https://www.okx.com/api/v5/account/position/margin-balance", '{"type":"add","amt":"1"}'),
    ("bitget", "https://api.bitget.com/api/v2/mix/account/set-margin", '{"symbol":"BTCUSDT","amount":"1"}'),
    ("hyperliquid", "https://api.hyperliquid.xyz/info", '{"type":"meta"}'),
    (
        "hyperliquid",
        "https://api.hyperliquid.xyz/exchange",
        '{"action":{"type":"updateIsolatedMargin","isBuy":true,"ntli":1},"nonce":1,"expiresAfter":1}',
    ),
    ("gate", "https://api.gateio.ws/api/v4/futures/usdt/positions/BTC_USDT/margin?change=1.5", ""),
    ("gate", "https://api.gateio.ws/api/v4/futures/btc/positions/BTC_USD/margin?change=0.0001", ""),
    ("gate", "https://api.gateio.ws/api/v4/futures/usdt/positions/1000BONK_USDT/margin?change=1.5", ""),
    (
        "gate",
        "https://api.gateio.ws/api/v4/futures/usdt/dual_comp/positions/BTC_USDT/margin?change=1&dual_side=dual_long",
        "",
    ),
    (
        "gate",
        "https://api.gateio.ws/api/v4/futures/btc/dual_comp/positions/BTC_USD/margin?change=1&dual_side=dual_short",
        "",
    ),
]
SINGLE = "https://api.gateio.ws/api/v4/futures/usdt/positions/BTC_USDT/margin"
DUAL = "https://api.gateio.ws/api/v4/futures/usdt/dual_comp/positions/BTC_USDT/margin"


def passes(exchange, url, body):
    key, secret = ("0x" + "1" * 40, "1" * 64) if exchange == "hyperliquid" else ("k", "s")
    account = VenueAccount(account="main", exchange=exchange, api_key=key, secret=secret, password="p", ccxt={})
    try:
        open_venue(account, now=lambda: datetime.now(UTC))._client.gate.check("POST", url, body, "what")
    except NotSent:
        return False
    return True


@pytest.mark.parametrize(("exchange", "url", "body"), LISTED, ids=lambda value: str(value)[-60:])
async def test_a_write_leaves_to_its_whole_path_and_to_no_other_that_ends_or_begins_like_it(exchange, url, body):
    assert passes(exchange, url, body)
    address, mark, query = url.partition("?")
    host, path = address.split("/", 3)[:3], address.split("/", 3)[3]
    for other in (f"sapi/{path}", f"x/../{path}", f"/{path}", f"{path}/", f"{path}/x", f"{path}%2F", path.upper()):
        assert not passes(exchange, "/".join([*host, other]) + mark + query, body), other
    parts = path.split("/")
    for cut in range(1, len(parts)):
        assert not passes(exchange, "/".join([*host, *parts[cut:]]) + mark + query, body), cut


@pytest.mark.parametrize(
    "url",
    [
        *(SINGLE.replace("/usdt/", f"/{settle}/") + "?change=1" for settle in ("usd", "eth", "USDT", "usdt/btc", "..")),
        *(
            SINGLE.replace("BTC_USDT", one) + "?change=1"
            for one in ("..", "BTC", "", "a/b_USDT", "BTC%2FX_USDT", ".%2e")
        ),
        SINGLE.replace("/futures/", "/delivery/") + "?change=1",
        SINGLE.replace("/positions/", "/dual_plus/positions/") + "?change=1",
        SINGLE.removesuffix("/margin") + "/leverage?change=1",
        SINGLE,
        f"{SINGLE}?change=-1",
        f"{SINGLE}?change=0",
        f"{SINGLE}?change=1&change=-1",
        f"{DUAL}?change=1",
        f"{DUAL}?change=1&dual_side=",
        f"{DUAL}?change=1&dual_side=both",
        f"{DUAL}?change=1&dual_side=dual_long&dual_side=dual_short",
        f"{DUAL}?change=-1&dual_side=dual_long",
    ],
    ids=lambda value: str(value)[27:],
)
async def test_at_gate_margin_is_added_to_a_contract_in_single_or_dual_mode_and_nothing_else_leaves(url):
    assert not passes("gate", url, "")


async def test_a_field_of_the_body_counts_as_one_of_the_query():
    assert not passes("gate", f"{SINGLE}?change=1", '{"change":"-1"}')
    assert not passes("gate", f"{DUAL}?change=1&dual_side=dual_long", '{"dual_side":"dual_short"}')


def test_an_address_that_no_write_could_reach_is_refused_at_the_start_and_not_when_it_matters():
    rule = PostRule(method="POST", path="/fapi/v1/positionMargin", fields={})
    for url in ("https://x.example", "https://x.example/", "https://x.example/fapi/v1", "https://x.example/fapi/"):
        Gate(ACCOUNT, ("https://y.example/sapi/v1", "wss://x.example/ws", url), (rule,))
    for url in (
        "https://x.example/proxy",
        "https://x.example/proxy/fapi/v1",
        "https://x.example/fap",
        "wss://x.example",
    ):
        with pytest.raises(ConfigError, match="no address leads to POST /fapi/v1/positionMargin"):
            Gate(ACCOUNT, (url,), (rule,))
