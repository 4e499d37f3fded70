"""Gate's account stream: it is subscribed to by the user's number, which its own answer must name."""

import pytest

from guard.errors import VenueUnavailable


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
