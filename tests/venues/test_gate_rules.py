"""Which POSTs may leave, whatever form an exchange wants them in."""

import pytest

from guard.venues.gate import Gate, NotSent, PostRule
from guard.venues.protocol import VenueAccount

URL = "https://x.example"
ACCOUNT = VenueAccount(account="main", exchange="x", api_key="k", secret="s", password=None, ccxt={})
RULES = (
    PostRule(method="POST", path_end="/add-margin", fields={"category": "linear"}, positive=("margin",)),
    PostRule(method="POST", path_end="/exchange", fields={"action.type": "updateIsolatedMargin"}, positive=("action.ntli",)),
    PostRule(method="POST", path_end="/margin", fields={}, positive=("change",)),
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
        ("/positions/BTC_USDT/margin?change=1.5", "", True),
        ("/positions/BTC_USDT/margin?change=-1.5", "", False),
        ("/positions/BTC_USDT/margin?change=1.5&change=", "", False),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_post_leaves_only_as_it_is_listed(url, body, expected):
    assert leaves(url, body) is expected
