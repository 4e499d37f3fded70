"""The gate alone: whose turn it is, how long a request waits for it, and what keeps one back altogether."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from guard.errors import ConfigError
from guard.venues.gate import Gate, NotSent, PostRule, is_loopback
from guard.venues.protocol import VenueAccount
from guard.venues.shared import RateLimit, Shared

pytestmark = pytest.mark.looptime

URL = "https://x.example"
ACCOUNT = VenueAccount(account="main", exchange="x", api_key="k", secret="s", password=None, ccxt={})
RULES = (PostRule(method="POST", path="/margin", fields={}, positive=("change",)),)
LIMIT = RateLimit(weight_max=100, window_s=60.0, weights={"/big": 40}, weight_else=10, used_header="X-USED")


def gate(*urls, limit=None, account=ACCOUNT):
    return Gate(account, urls or (URL,), RULES, limit)


def now():
    return asyncio.get_running_loop().time()


async def waited(gate, **terms):
    """Take a turn and return how long it took to come."""
    began = now()
    async with gate.turn("what", **{"wait_s": 5.0, "pace_s": 1.0, **terms}):
        return now() - began


def test_plain_http_is_for_loopback_only_and_every_wrong_address_is_named():
    assert gate("http://127.0.0.1:8000", "ws://localhost:1").is_loopback
    with pytest.raises(ConfigError) as refused:
        gate(URL, "http://a.example", "ws://b.example/x")
    assert sorted(refused.value.problems) == [
        "accounts.main: http://a.example: plain http is for loopback only",
        "accounts.main: ws://b.example: plain http is for loopback only",
    ]


def test_one_address_elsewhere_makes_it_no_loopback():
    assert not gate("http://127.0.0.1:8000", URL).is_loopback
    assert gate(URL, "wss://x.example/any/path").origins == gate(URL, "wss://x.example").origins


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost")),
        *((host, False) for host in ("", "10.0.0.1", "localhost.example", "x.example")),
    ],
)
def test_loopback_is_told_by_address_or_by_its_one_name(host, expected):
    assert is_loopback(host) is expected


def test_secrets_are_all_that_the_account_signs_with_and_hosts_name_odd_ports():
    assert gate().secrets == ("k", "s")
    assert gate(account=replace(ACCOUNT, password="p")).secrets == ("k", "s", "p")
    assert gate(URL, "https://y.example:8443/v5", "wss://x.example").hosts == ("x.example", "y.example:8443")


def test_addresses_share_a_budget_and_an_exchange_of_our_own_needs_none():
    shared = Shared()
    one, two = (gate(limit=LIMIT, account=replace(ACCOUNT, account=name, shared=shared)) for name in ("a", "b"))
    assert one.budget is two.budget is not None
    assert gate("https://y.example", limit=LIMIT, account=replace(ACCOUNT, shared=shared)).budget is not one.budget
    assert gate("http://127.0.0.1:1", limit=LIMIT).budget is None
    assert gate().budget is None


async def test_what_is_not_listed_does_not_leave_and_a_read_does():
    gate().check("GET", f"{URL}/anything", None, "what")
    gate().check("POST", f"{URL}/margin?change=1", None, "what")
    for method, path in (("POST", "/margin"), ("PUT", "/margin?change=1"), ("DELETE", "/margin"), ("POST", "/other")):
        with pytest.raises(NotSent, match=r"^what: not sent, this write is not on the list$"):
            gate().check(method, URL + path, None, "what")


async def test_nothing_leaves_for_a_host_that_was_not_fixed():
    for url in ("https://y.example/margin", "http://x.example/", "https://x.example:444/"):
        with pytest.raises(NotSent, match=r"^what: not sent, .* is not a host of this account$"):
            gate().check("GET", url, None, "what")
        with pytest.raises(NotSent, match="is not a host"):
            gate().check_host(url, "what")


async def test_the_longest_quiet_that_was_asked_for_holds_to_its_end():
    quiet = gate()
    quiet.be_quiet(30)
    quiet.be_quiet(5)
    await asyncio.sleep(29)
    with pytest.raises(NotSent, match=r"^what: not sent, the exchange asked for quiet for another 1 s$") as kept:
        quiet.check("GET", URL, None, "what")
    assert kept.value.retry_after == timedelta(seconds=1)
    await asyncio.sleep(1)
    quiet.check("GET", URL, None, "what")


async def test_a_paused_origin_is_left_alone_and_the_others_are_not():
    paused = gate(URL, "https://y.example")
    paused.pause(f"{URL}/some/path", 30, "a firewall refuses this address")
    await asyncio.sleep(29.5)
    with pytest.raises(NotSent, match=r"^what: not sent, a firewall refuses this address; asked again in 0 s$"):
        paused.check("GET", f"{URL}/else", None, "what")
    paused.check("GET", "https://y.example/", None, "what")
    await asyncio.sleep(0.5)
    paused.check("GET", f"{URL}/else", None, "what")


async def test_the_first_request_does_not_wait():
    assert await waited(gate()) == 0


async def test_requests_keep_the_pace_after_a_burst_of_a_second():
    paced = gate()
    await asyncio.sleep(10)  # However long it was idle, no more than the burst is saved up.
    assert [await waited(paced) for _ in range(4)] == [0, 0, 1, 1]
    await asyncio.sleep(0.5)
    assert await waited(paced) == 0.5


async def test_a_turn_that_the_pace_does_not_bring_in_time_is_not_taken_and_costs_nothing():
    paced = gate()
    await asyncio.sleep(10)
    await waited(paced, pace_s=4)
    with pytest.raises(NotSent, match=r"^what: not sent, the pace of requests allows it only in more than 2\.5 s$"):
        await waited(paced, wait_s=2.5)
    assert await waited(paced, wait_s=3) == 3


async def test_the_line_is_held_by_one_and_freed_when_it_is_through():
    held = gate()
    async with held.turn("first", wait_s=1, pace_s=0):
        began = now()
        with pytest.raises(NotSent, match=r"^what: not sent, an earlier request held the line for 1\.5 s$"):
            await waited(held, wait_s=1.5)
        assert now() - began == 1.5
    with pytest.raises(ZeroDivisionError):
        async with held.turn("failing", wait_s=1, pace_s=0):
            _ = 1 / 0
    assert await waited(held, wait_s=0.1, pace_s=0) == 0


async def test_a_read_waits_for_the_budget_of_its_address_or_is_not_sent():
    one = gate(limit=LIMIT, account=replace(ACCOUNT, shared=Shared()))
    for path in ("/big", "/big", "/small"):
        await waited(one, pace_s=0, path=path)
    assert one.budget.used(now()) == 90
    with pytest.raises(NotSent, match=r"^what: not sent, 90 of 100 of the weight that this address may use is used$"):
        await waited(one, wait_s=59, pace_s=0)
    assert await waited(one, wait_s=59, pace_s=0, is_write=True) == 0
    await asyncio.sleep(59.5)
    assert await waited(one, wait_s=60, pace_s=0) == 0.5


async def test_the_exchanges_own_count_is_noted_where_it_is_a_number():
    one = gate(limit=LIMIT, account=replace(ACCOUNT, shared=Shared()))
    for said in ("", "many", "-5", "\u0665", "7.5"):
        one.note_used({"X-USED": said})
    one.note_used({"X-OTHER": "99"})
    assert one.budget.used(now()) == 0
    one.note_used({"X-USED": "55"})
    assert one.budget.used(now()) == 55
    gate().note_used({"X-USED": "55"})  # Without a budget there is nothing to note it in.
    unsaid = gate(limit=replace(LIMIT, used_header=None), account=replace(ACCOUNT, shared=Shared()))
    unsaid.note_used({"X-USED": "55", "": "55"})
    assert unsaid.budget.used(now()) == 0
