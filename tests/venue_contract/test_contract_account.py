"""News of the account of every exchange, through the real ccxt: what rings, what does not, and what it leads to."""

import asyncio
import logging
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from daemon_kit import daemon, until, watching
from wire_world import wire_world

from guard.daemon import streams
from guard.errors import KeysRefused, VenueUnavailable
from guard.snapshot import Side
from guard.venues import account_stream, open_venue

column = pytest.mark.column
AMPLE = {"max_per_position": "1000000", "max_per_day": "1000000"}
JUNK = (
    *(
        "{",
        "nonsense",
        "[]",
        "null",
        "12",
        "{}",
        "[1, null]",
        "{" * 5_000,
        '{"data": [null]}',
        '{"arg": "x", "data": {}}',
    ),
    *(
        f'{{"{name}": {value}}}'
        for name in ("e", "topic", "op", "channel", "event", "arg")
        for value in ("{}", "[]", "1")
    ),
    *('{"arg": {"channel": []}, "data": [{}]}', '{"stream": "x", "data": null}'),
)
LATE = timedelta(seconds=2)


@pytest.fixture
async def venue(venue):
    await venue.open()  # Some must know the account before they can listen to it.
    return venue


@asynccontextmanager
async def listening(server, venue):
    """Open the stream and take its first word: it stands."""
    news = venue.watch_account()
    async with asyncio.timeout(15), aclosing(news):
        first = await anext(news)
        assert first.age == timedelta(0)
        assert len(server.listeners()) == 1, "signed in and subscribed"
        yield news


@column("account news")
async def test_a_change_by_hand_is_told_with_its_age_by_the_exchanges_clock(server, venue):
    server.hold_sample()
    server.clock_skew = 3_000  # Ours is off.
    async with listening(server, venue) as news:
        server.change_by_hand(server.sample.top_up)
        await asyncio.sleep(0.3)  # Some exchanges tell it twice: all that came in is one piece of news.
        assert abs((await anext(news)).age) < LATE
        server.push_news(at=server.now() - timedelta(seconds=40))
        assert abs((await anext(news)).age - timedelta(seconds=40)) < LATE
    assert server.writes == []


@column("account news")
async def test_after_a_pause_of_the_machine_it_ends_and_the_next_one_tells_what_happens(server, venue):
    """The loop's clock stood still with it: every later event looked to come, and none rang any more."""
    server.hold_sample()
    async with listening(server, venue) as news:
        server.clock_skew = 30_000  # Of the loop's clock.
        venue.follow_clock(timedelta(seconds=30))
        with pytest.raises(VenueUnavailable, match="our clock stepped"):
            await anext(news)
    async with listening(server, venue) as news:
        server.push_news()
        assert abs((await anext(news)).age) < LATE


@column("account news")
async def test_nothing_is_asked_behind_the_stream_and_nothing_changed(server, venue):
    server.hold_sample()
    opened = len(server.requests)
    async with listening(server, venue) as news:
        asked = len(server.requests)
        assert asked - opened <= 2, "the exchange's clock, and what the stream is opened with"
        for _ in range(50):
            server.push_news()
        await anext(news)
        await asyncio.sleep(0.3)
        assert len(server.requests) == asked
    assert server.writes == []


@column("account news")
async def test_nothing_that_nobody_can_read_ends_the_stream_or_rings(server, venue):
    server.hold_sample()
    async with listening(server, venue) as news:
        server.push_raw(*JUNK, *broken(server))
        server.push_news(at=server.now() + timedelta(days=1))
        await asyncio.sleep(0.3)
        server.push_news()
        assert abs((await anext(news)).age) < LATE


def secrets_of(server):
    """Return what must stand in no error and no log. At Hyperliquid the key is the account's public address."""
    said = (server.secret, server.password, getattr(server, "listen_key", None))
    return [*filter(None, said), *([server.api_key] if "sign in" not in server.lacks else [])]


def broken(server):
    """Return the exchange's own events with every number and time in them taken away."""
    return [_without_numbers(message) for message in server.account_messages(server.now())]


def _without_numbers(value):
    if isinstance(value, dict):
        return {key: _without_numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_numbers(inner) for inner in value]
    return value if isinstance(value, str) and not value[:1].isdigit() else "?"


@column("account news")
async def test_silence_is_no_news_and_no_end(server, venue, monkeypatch):
    monkeypatch.setattr(account_stream, "KEEP_ALIVE_MS", 100)
    async with listening(server, venue) as news:
        waiting = asyncio.ensure_future(anext(news))
        done, _ = await asyncio.wait({waiting}, timeout=1.5)
        assert not done
        server.push_news()
        assert abs((await waiting).age) < LATE


@column("account news")
async def test_a_connection_that_answers_no_ping_is_dead(server, venue, monkeypatch):
    monkeypatch.setattr(account_stream, "KEEP_ALIVE_MS", 200)
    async with listening(server, venue) as news:
        server.is_deaf = True
        with pytest.raises(VenueUnavailable):
            await anext(news)


@column("account news")
async def test_a_broken_one_says_so_and_the_next_one_stands(server, venue, caplog):
    with caplog.at_level(logging.DEBUG):
        async with listening(server, venue) as news:
            await server.break_streams()
            with pytest.raises(VenueUnavailable) as caught:
                await anext(news)
        async with listening(server, venue) as news:
            server.push_news()
            await anext(news)
    assert not [secret for secret in secrets_of(server) if secret in f"{caught.value!r} {caplog.text}"]


@column("account news", "sign in")
async def test_keys_that_are_refused_open_nothing_and_stand_in_no_error(server, caplog):
    told = server.account()
    venue = open_venue(told, now=lambda: datetime.now(UTC))
    await venue.open()
    server.api_key = "another-key-than-the-accounts"
    with caplog.at_level(logging.DEBUG), pytest.raises((KeysRefused, VenueUnavailable)) as caught:
        async with asyncio.timeout(15):
            await anext(venue.watch_account())
    await venue.close()
    assert server.listeners() == []
    for secret in (told.api_key, told.secret, told.password):
        assert secret is None or secret not in f"{caught.value!r} {caplog.text}"


def margin_seen(guarded):
    snapshot = guarded.service.watches["main"].reader.snapshot
    return snapshot.positions[0].isolated_wallet if snapshot is not None and snapshot.positions else None


@asynccontextmanager
async def calm_daemon(server, tmp_path):
    """Run the daemon over a position far from danger: it polls once a minute, and it hears of the account."""
    one = server.sample
    server.set_mark(one.symbol, one.entry)
    server.hold_sample(margin=one.margin * 4)
    async with wire_world(tmp_path, server, limits=AMPLE, calm="60s") as here, daemon(here) as guarded:
        await watching(guarded)
        await until("it listens", server.listeners, of=guarded)
        await asyncio.sleep(3)  # What the start and the opening themselves called for is over.
        assert guarded.service.watches["main"]._interval == timedelta(seconds=60)
        yield guarded


@column("account news", "whole daemon")
async def test_the_daemon_sees_a_change_by_hand_long_before_its_next_poll(server, tmp_path):
    async with calm_daemon(server, tmp_path) as guarded:
        before = margin_seen(guarded)
        cycles = guarded.service.watches["main"]._cycles
        await asyncio.sleep(1.5)
        assert guarded.service.watches["main"]._cycles == cycles, "nothing calls it"
        server.change_by_hand(server.sample.top_up)
        async with asyncio.timeout(3):
            await until("it is seen", lambda: margin_seen(guarded) == before + server.sample.top_up, of=guarded)
        for _ in range(200):
            server.push_news()
        await asyncio.sleep(3.2)
        read = guarded.service.watches["main"]._cycles - cycles
        assert read <= 6, "one at once, then one for each second of the near interval"
        assert server.writes == []


@column("account news", "whole daemon")
async def test_what_happened_while_the_stream_was_broken_is_seen_when_it_stands_again(
    server, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(streams, "REOPEN_AFTER_S", 0.2)
    async with calm_daemon(server, tmp_path) as guarded:
        before = margin_seen(guarded)
        await server.break_streams()
        server.add_to(server.sample.symbol, Side.LONG, server.sample.top_up)
        async with asyncio.timeout(8):
            await until("it is seen", lambda: margin_seen(guarded) == before + server.sample.top_up, of=guarded)
        assert len(server.listeners()) == server.account_sockets
    said = "".join(capsys.readouterr())
    assert "account_stream.broken" in said
    assert not [secret for secret in secrets_of(server) if secret in said]
