"""The webhook against a receiver that verifies with the reference library (Standard Webhooks 1.0.0)."""

import asyncio
import json
import traceback
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from aiohttp import web
from standardwebhooks import Webhook
from told_support import FOUR_O_CLOCK, message, server

from guard.errors import ConfigError, DeliveryFailed
from guard.notify.webhook import WebhookChannel
from guard.policy.terms import Level

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # The example of the Standard Webhooks specification.


class Receiver:
    def __init__(self, status: int = 200, *, headers: dict[str, str] | None = None, fault: str = "") -> None:
        self.status = status
        self.headers = headers or {}
        self.fault = fault
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.got.append((dict(request.headers), await request.read()))
        self.paths.append(request.path)
        if self.fault == "drop":
            request.transport.abort()
        if self.fault == "hang":
            await asyncio.sleep(30)
        return web.Response(status=self.status, headers=self.headers)


async def send(receiver: Receiver, *, times: int = 1, told=None, **options) -> None:
    async with server(receiver) as url:
        channel = WebhookChannel(name="webhook.ops", url=f"{url}/hook?token=sesame", from_level=Level.WARN, **options)
        try:
            for attempt in range(1, times + 1):
                await channel.send(told or message(), attempt=attempt)
        finally:
            await channel.close()


async def failed(receiver: Receiver, **options) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        await send(receiver, **options)
    return caught.value


async def test_a_receiver_verifies_the_signature_and_reads_the_object_of_the_contract():
    receiver = Receiver()
    await send(receiver, secret=SECRET)
    headers, body = receiver.got[0]
    read = Webhook(SECRET).verify(body, headers)
    assert list(read) == [
        "id", "alert", "happened_at", "sent_at", "kind", "event", "level", "account", "symbol", "side", "margin_mode", "title", "text", "facts",
    ]  # fmt: skip
    assert read["id"] == headers["webhook-id"] == "msg_1"
    assert read["happened_at"] == "2026-11-24T04:12:07Z"
    assert read["level"] == "danger"
    assert read["facts"] == {"distance": "0.0783", "sigmas": None}
    assert datetime.fromisoformat(read["sent_at"]).tzinfo is not None


async def test_a_clock_of_another_zone_signs_the_same_moment():
    zone = timezone(timedelta(hours=9))
    receiver = Receiver()
    await send(receiver, secret=SECRET, now=lambda: datetime.now(zone))
    headers, body = receiver.got[0]
    Webhook(SECRET).verify(body, headers)
    assert json.loads(body)["sent_at"].endswith("Z")


async def test_the_id_stays_and_the_timestamp_is_that_of_the_attempt():
    moments = iter([FOUR_O_CLOCK, FOUR_O_CLOCK + timedelta(minutes=5)])
    receiver = Receiver()
    await send(receiver, times=2, now=lambda: next(moments))
    assert [headers["webhook-id"] for headers, _ in receiver.got] == ["msg_1", "msg_1"]
    first, second = (int(headers["webhook-timestamp"]) for headers, _ in receiver.got)
    assert second - first == 300


async def test_without_a_secret_nothing_is_signed():
    receiver = Receiver()
    await send(receiver)
    assert "webhook-signature" not in receiver.got[0][0]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(status):
    receiver = Receiver(status, headers={"Location": "/elsewhere"})
    failure = await failed(receiver)
    assert "redirects are not followed" in str(failure)
    assert receiver.paths == ["/hook"]


async def test_a_410_means_never_again():
    assert (await failed(Receiver(410))).permanent


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_every_other_refusal_is_tried_again(status):
    failure = await failed(Receiver(status))
    assert not failure.permanent
    assert failure.retry_after is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("written", "wait"),
    [
        ("120", timedelta(minutes=2)),
        (format_datetime(FOUR_O_CLOCK + timedelta(minutes=7), usegmt=True), timedelta(minutes=7)),
        ("999999999999999999", timedelta(days=1)),
        ("Tue, 24 Nov 2026 04:00:00 GMT", None),
        ("0", None),
        ("soon", None),
        ("-5", None),
        ("²", None),
    ],
)
async def test_retry_after_is_read_as_seconds_or_as_a_date(status, written, wait):
    receiver = Receiver(status, headers={"Retry-After": written})
    failure = await failed(receiver, now=lambda: FOUR_O_CLOCK)
    assert failure.retry_after == wait


@pytest.mark.parametrize("fault", ["drop", "hang"])
async def test_a_lost_answer_is_a_failure_that_does_not_tell_the_url(fault):
    failure = await failed(Receiver(fault=fault), timeout_s=0.3)
    said = "".join(traceback.format_exception(failure)) + repr(failure.__context__)
    assert "sesame" not in said
    assert not failure.permanent


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_ä", "whsec_a"])
def test_a_secret_that_cannot_sign_is_refused_without_being_shown(secret):
    with pytest.raises(ConfigError, match=r"webhook\.ops: secret") as caught:
        WebhookChannel(name="webhook.ops", url="http://localhost/", from_level=Level.WARN, secret=secret)
    assert secret == "" or secret not in str(caught.value).replace("expected whsec_", "")


async def test_bodies_of_any_text_verify():
    receiver = Receiver()
    texts = [f'№ {number} \u2028 \x00 \U0001f600 " \\ {"ä" * (number % 7)}' for number in range(200)]
    async with server(receiver) as url:
        channel = WebhookChannel(name="webhook.ops", url=url, from_level=Level.WARN, secret=SECRET)
        for text in texts:
            await channel.send(message(text=text, happened_at=datetime.now(UTC)), attempt=1)
        await channel.close()
    assert [Webhook(SECRET).verify(body, headers)["text"] for headers, body in receiver.got] == texts
