"""Keys, stamps and signatures are judged as Binance judges them."""

import hashlib
import hmac
import time

import pytest
from demo_exchange_support import API_KEY, SECRET


def signed(secret: str = SECRET, **fields: object) -> str:
    query = "&".join(f"{name}={value}" for name, value in fields.items())
    return f"{query}&signature={hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"


def now_ms() -> int:
    return int(time.time() * 1000)


async def refusal(http, query: str, api_key: str | None = API_KEY) -> tuple[int, int]:
    headers = {} if api_key is None else {"X-MBX-APIKEY": api_key}
    async with http.get(f"/fapi/v3/account?{query}", headers=headers) as response:
        return response.status, (await response.json()).get("code", 0)


async def test_a_signed_request_is_answered_whether_its_parameters_come_in_the_query_or_in_the_body(http, account):
    assert await refusal(http, signed(timestamp=now_ms())) == (200, 0)
    form = {
        "data": signed(symbol="BTCUSDT", type=1, amount=1, timestamp=now_ms()),
        "headers": {"X-MBX-APIKEY": API_KEY},
    }
    async with http.post("/fapi/v1/positionMargin", **form) as response:
        assert (await response.json())["code"] == -4054  # Signed well enough to be told that there is no position.


async def test_without_a_key_or_with_an_unknown_one_nothing_is_told(http, account):
    assert await refusal(http, signed(timestamp=now_ms()), api_key=None) == (401, -2014)
    assert await refusal(http, signed(timestamp=now_ms()), api_key="nobody") == (401, -2015)


async def test_a_wrong_signature_is_refused(http, account):
    assert await refusal(http, signed("another secret", timestamp=now_ms())) == (400, -1022)
    assert await refusal(http, signed(timestamp=now_ms()) + "&symbol=BTCUSDT") == (400, -1022)


@pytest.mark.parametrize("fields", [{}, {"timestamp": "soon"}, {"timestamp": "", "recvWindow": 5000}])
async def test_a_stamp_is_needed(http, account, fields):
    status, code = await refusal(http, signed(**fields))
    assert status == 400
    assert code in {-1100, -1102}


async def test_a_missing_signature_is_named(http, account):
    assert await refusal(http, f"timestamp={now_ms()}") == (400, -1102)


@pytest.mark.parametrize(
    ("off_ms", "window", "expected"),
    [
        (-3_000, None, 200),
        (-8_000, None, -1021),
        (-8_000, 20_000, 200),
        (-4_000, 2_000, -1021),
        (0, 60_001, -1131),
        (4_000, None, -1021),
    ],
)
async def test_a_stamp_must_lie_in_the_window_and_not_more_than_a_second_ahead(http, account, off_ms, window, expected):
    fields = {"timestamp": now_ms() + off_ms} | ({} if window is None else {"recvWindow": window})
    status, code = await refusal(http, signed(**fields))
    assert expected in {status, code}


async def test_what_needs_no_key_is_answered_without_one(http):
    async with http.get("/fapi/v1/time") as response:
        assert abs((await response.json())["serverTime"] - now_ms()) < 5_000


async def test_a_path_that_does_not_exist_is_answered_as_binance_does(http):
    async with http.post("/fapi/v1/order") as response:
        assert (response.status, (await response.json())["code"]) == (404, -5000)
