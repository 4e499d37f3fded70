"""Bitget's account stream: a unified account is listened to in its own way, which is found out first."""

from contextlib import aclosing
from datetime import timedelta


async def test_a_unified_account_is_listened_to_by_its_own_socket_and_topics(server, venue):
    server.is_unified = True
    await venue.open()
    async with aclosing(venue.watch_account()) as news:
        await anext(news)
        assert len(server.listeners()) == 1
        server.push_news(at=server.now() - timedelta(seconds=30))
        assert abs((await anext(news)).age - timedelta(seconds=30)) < timedelta(seconds=2)
