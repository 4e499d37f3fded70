"""Telegram by a Bot API server on loopback that answers as the real one does (core.telegram.org/bots/api)."""

import asyncio
import html
import re
import traceback
from datetime import timedelta

import pytest
import structlog
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from told_support import message, server

from guard.errors import DeliveryFailed
from guard.notify.telegram import TelegramChannel, _bold_title, _parts
from guard.policy.terms import Level

TOKEN = "123456:AAH-made-up-token"


class BotApi:
    """Confirms every sendMessage after the scripted answers are used up; remembers what was asked."""

    def __init__(self, *answers: tuple[int, dict] | str) -> None:
        self.answers = list(answers)
        self.asked: list[dict] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        assert request.path == f"/bot{TOKEN}/sendMessage"
        self.asked.append(await request.json())
        answer = self.answers.pop(0) if self.answers else (200, {"ok": True, "result": {"message_id": 1}})
        if answer == "drop":
            request.transport.abort()
            return web.Response()
        if answer == "hang":
            await asyncio.sleep(30)
        if isinstance(answer, str):
            return web.Response(text=answer)
        return web.json_response(answer[1], status=answer[0])


def refusal(code: int, description: str, **parameters) -> tuple[int, dict]:
    body = {"ok": False, "error_code": code, "description": description}
    return code, {**body, "parameters": parameters} if parameters else body


async def told(api: BotApi, *messages, timeout_s: float = 5.0) -> TelegramChannel:
    async with server(api) as url:
        channel = TelegramChannel(
            name="telegram.me", token=TOKEN, chat_id=42, from_level=Level.WATCH, api_url=url, timeout_s=timeout_s
        )
        try:
            for each in messages or (message(),):
                await channel.send(each, attempt=1)
        finally:
            await channel.close()
    return channel


async def failed(api: BotApi, **options) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        await told(api, **options)
    return caught.value


async def test_the_title_is_bold_and_foreign_text_is_escaped():
    api = BotApi()
    await told(api)
    (asked,) = api.asked
    assert asked["chat_id"] == 42
    assert asked["parse_mode"] == "HTML"
    assert asked["text"].startswith("<b>DANGER BTC long 7.8 % from liquidation (54,101) — main</b>\n")
    assert "&lt;54,101&gt; &amp; nearer" in asked["text"]
    assert asked["link_preview_options"] == {"is_disabled": True}
    assert asked["disable_notification"] is False


@pytest.mark.parametrize(
    "fields", [{"level": Level.WATCH}, {"event": "resolved"}, {"kind": "heartbeat", "level": Level.WARN}]
)
async def test_what_needs_nobody_now_does_not_wake_anybody(fields):
    api = BotApi()
    await told(api, message(**fields))
    assert api.asked[0]["disable_notification"] is True


@pytest.mark.parametrize("event", ["fired", "escalated", "resolved"])
async def test_that_a_position_is_gone_is_told_with_sound(event):
    """Resolved: as an earlier version left it in the outbox."""
    api = BotApi()
    await told(api, message(kind="vanished", event=event, level=Level.WARN))
    assert api.asked[0]["disable_notification"] is False


async def test_text_that_telegram_cannot_parse_goes_out_plain_at_once():
    api = BotApi(refusal(400, "Bad Request: can't parse entities: unsupported start tag at byte offset 3"))
    await told(api)
    assert len(api.asked) == 2
    assert "parse_mode" not in api.asked[1]
    assert api.asked[1]["text"] == f"{message().title}\n\n{message().text}"


async def test_a_long_text_is_told_in_parts_and_a_retry_goes_on_where_it_failed():
    lines = "\n".join(f"line {number:04d} of a very long story" for number in range(400))
    long = message(text=lines)
    api = BotApi((200, {"ok": True}), refusal(502, "Bad Gateway"))
    async with server(api) as url:
        channel = TelegramChannel(name="telegram.me", token=TOKEN, chat_id=42, from_level=Level.WATCH, api_url=url)
        with pytest.raises(DeliveryFailed):
            await channel.send(long, attempt=1)
        await channel.send(long, attempt=2)
        await channel.close()
    confirmed = [api.asked[0], *api.asked[2:]]
    assert api.asked[1]["text"] == api.asked[2]["text"]
    assert (
        html.unescape(re.sub("</?b>", "", "".join(asked["text"] for asked in confirmed))) == f"{long.title}\n\n{lines}"
    )


async def test_a_429_carries_the_pause_that_was_asked_for():
    failure = await failed(BotApi(refusal(429, "Too Many Requests: retry after 35", retry_after=35)))
    assert failure.retry_after == timedelta(seconds=35)
    assert not failure.permanent


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (refusal(401, "Unauthorized"), "@BotFather"),
        (refusal(403, "Forbidden: bot was blocked by the user"), "press Start"),
        (refusal(404, "Not Found"), "token is incomplete"),
        (refusal(400, "Bad Request: chat not found"), "chat_id is unknown"),
    ],
)
async def test_what_no_retry_can_heal_is_permanent_and_says_the_remedy(answer, remedy):
    failure = await failed(BotApi(answer))
    assert failure.permanent
    assert remedy in str(failure)


async def test_a_group_that_moved_is_followed():
    moved = refusal(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-1001234567890)
    api = BotApi(moved)
    await told(api, message(1), message(2))
    assert [asked["chat_id"] for asked in api.asked] == [42, -1001234567890, -1001234567890]


@pytest.mark.parametrize(
    "answer", ["<html>Log in to the hotel's network</html>", refusal(502, "Bad Gateway"), (200, {"ok": False})]
)
async def test_only_an_ok_of_the_bot_api_is_a_confirmation(answer):
    failure = await failed(BotApi(answer))
    assert not failure.permanent


@pytest.mark.parametrize("fault", ["drop", "hang", refusal(401, f"Unauthorized: {TOKEN}")])
async def test_the_token_stands_in_no_error_and_no_log(fault):
    with structlog.testing.capture_logs() as logs:
        failure = await failed(BotApi(fault), timeout_s=0.3)
    said = (
        "".join(traceback.format_exception(failure)) + repr(failure.__context__) + repr(failure.__cause__) + repr(logs)
    )
    assert TOKEN not in said


async def test_a_server_that_is_not_there_is_a_failure_without_the_token():
    async with server(BotApi()) as url:
        pass
    channel = TelegramChannel(name="telegram.me", token=TOKEN, chat_id=42, from_level=Level.WATCH, api_url=url)
    with pytest.raises(DeliveryFailed, match="no connection") as caught:
        await channel.send(message(), attempt=1)
    await channel.close()
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)


@pytest.mark.parametrize("api_url", ["http://", "http://[::1", "ftp://localhost", "http://localhost:99999"])
async def test_a_url_that_aiohttp_quotes_in_its_error_does_not_come_through(api_url):
    channel = TelegramChannel(name="telegram.me", token=TOKEN, chat_id=42, from_level=Level.WATCH, api_url=api_url)
    with pytest.raises(DeliveryFailed) as caught:
        await channel.send(message(), attempt=1)
    await channel.close()
    assert TOKEN not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)


async def test_a_part_of_blanks_is_not_sent_because_telegram_would_refuse_it():
    api = BotApi()
    await told(api, message(text="\n" * 9000 + "the end"))
    assert all(asked["text"].strip() for asked in api.asked)
    assert api.asked[-1]["text"].endswith("the end")


ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY_TEXT.filter(str.strip), ANY_TEXT, st.integers(min_value=1, max_value=60))
def test_every_visible_character_arrives_whatever_the_text(title, text, times):
    told_message = message(title=title, text=text * times)
    parts = _parts(told_message)
    seen = [html.unescape(re.sub(r"^<b>(.*)</b>", r"\1", _bold_title(part, title), flags=re.DOTALL)) for part in parts]
    assert "".join("".join(seen).split()) == "".join(f"{title}\n\n{told_message.text}".split())
    assert all(0 < len(part.encode("utf-16-le")) // 2 <= 4096 and part.strip() for part in parts)
