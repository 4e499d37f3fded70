"""Gate's account stream: it is subscribed to by the user's number, on the socket of each settle currency in use."""

import asyncio
from contextlib import aclosing
from datetime import timedelta
from decimal import Decimal

import pytest

from guard.errors import VenueUnavailable
from guard.venues import gateio_news


@pytest.mark.parametrize("user", [None, "", "ten", -1, {}], ids=repr)
async def test_an_account_that_names_no_user_opens_nothing(server, venue, user):
    server.mangle("wallets", lambda answer: answer | {"user": user})
    with pytest.raises(VenueUnavailable, match="names no user"):
        await anext(venue.watch_account())
    assert server.listeners() == []


async def test_a_channel_of_another_user_is_refused_and_said(server, venue):
    server.mangle("wallets", lambda answer: answer | {"user": 20001})
    with pytest.raises(VenueUnavailable, match="refused its channels"):
        await anext(venue.watch_account())


NOTHING = Decimal(0)


async def test_a_position_in_btc_is_heard_of_on_a_socket_of_its_own(server, venue):
    server.hold_sample(of=server.inverse)
    await venue.snapshot()
    news = venue.watch_account()
    async with asyncio.timeout(15), aclosing(news):
        assert (await anext(news)).age == timedelta(0)
        assert [len(server.sockets(settle)) for settle in ("usdt", "btc")] == [1, 1]
        for settle in ("btc", "usdt"):
            server.push_to(settle, *server.account_messages(server.now() - timedelta(seconds=30)))
            assert abs((await anext(news)).age - timedelta(seconds=30)) < timedelta(seconds=2)
        await server.sockets("btc")[0].close(code=1001)
        with pytest.raises(VenueUnavailable):
            await anext(news)
    assert server.listeners() == []


async def test_where_nothing_settles_in_btc_no_socket_is_opened_for_it(server, venue):
    server.set_wallet("BTC", NOTHING, NOTHING)
    await venue.snapshot()
    news = venue.watch_account()
    async with asyncio.timeout(15), aclosing(news):
        await anext(news)
        assert server.stream_paths == {"/v4/ws/usdt"}


async def test_a_user_without_an_account_in_usdt_is_heard_in_btc(server, venue):
    server.no_account.add("usdt")
    server.hold_sample(of=server.inverse)
    await venue.snapshot()
    news = venue.watch_account()
    async with asyncio.timeout(15), aclosing(news):
        await anext(news)
        assert server.stream_paths == {"/v4/ws/btc"}


async def test_a_first_position_in_btc_has_the_stream_opened_anew(server, venue, clock, monkeypatch):
    monkeypatch.setattr(gateio_news, "LOOK_EVERY_S", 0.1)
    server.set_wallet("BTC", NOTHING, NOTHING)
    await venue.snapshot()
    news = venue.watch_account()
    async with asyncio.timeout(15), aclosing(news):
        await anext(news)
        server.hold_sample(of=server.inverse)
        clock.ahead = timedelta(minutes=11)
        await venue.snapshot()
        with pytest.raises(VenueUnavailable, match="other settle currencies"):
            await anext(news)
    news = venue.watch_account()
    async with asyncio.timeout(15), aclosing(news):
        await anext(news)
        assert [len(server.sockets(settle)) for settle in ("usdt", "btc")] == [1, 1]
