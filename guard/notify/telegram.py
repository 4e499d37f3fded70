"""Telegram by its Bot API: one sendMessage per part, the token in no error and no log.

Sources: core.telegram.org/bots/api#sendmessage, #formatting-options, #responseparameters (seen 2026-11).
- 4096 characters count after entities are parsed; we count UTF-16 units, which is never less.
- 429 carries `parameters.retry_after` and blocks the whole bot, not only this chat.
- A group that becomes a supergroup answers 400 with `parameters.migrate_to_chat_id`.
"""

import html
import json
from collections.abc import Mapping

import structlog

from guard.errors import DeliveryFailed
from guard.notify.http import Answer, HttpDoor, wait_of
from guard.notify.split import split
from guard.policy.message import Message
from guard.policy.terms import Level

log = structlog.get_logger(__name__)

TEXT_UNITS_MAX = 4096
_REMEDIES = {
    401: "Telegram does not know the token: copy it again from @BotFather",
    403: "the bot may not write there: open the chat with it and press Start, or add it to the group again",
    404: "no such bot: the token is incomplete, or api_url is not a Bot API server",
}


class TelegramChannel:
    """Delivered is every part answered with ok. A retry goes on with the part that failed."""

    def __init__(
        self,
        *,
        name: str,
        token: str,
        chat_id: int | str,
        from_level: Level,
        api_url: str = "https://api.telegram.org",
        timeout_s: float = 15.0,
    ) -> None:
        self.name = name
        self.from_level = from_level
        self.reaches_people = True
        self.digest_units_max: int | None = TEXT_UNITS_MAX
        self._token = token
        self._url = f"{api_url.rstrip('/')}/bot{token}/sendMessage"
        self._chat_id: int | str = chat_id
        self._door = HttpDoor(timeout_s=timeout_s)
        self._unsent: dict[str, tuple[str, ...]] = {}  # By message id: parts left of a message that began to go out.

    async def send(self, message: Message, *, attempt: int) -> None:
        del attempt  # What is left to send is known by the message's id.
        parts = self._unsent.get(message.id) or _parts(message)
        while parts:
            await self._send_part(parts[0], message)
            parts = parts[1:]
            self._unsent[message.id] = parts
        self._unsent.pop(message.id, None)

    async def close(self) -> None:
        await self._door.close()

    async def _send_part(self, part: str, message: Message) -> None:
        answer = await self._call({"text": _bold_title(part, message.title), "parse_mode": "HTML"}, message)
        if answer.status == 400 and "can't parse" in _description(answer):
            answer = await self._call({"text": part}, message)
        if answer.status == 200 and answer.fields().get("ok") is True:
            return
        raise self._failure(answer)

    async def _call(self, text: Mapping[str, object], message: Message) -> Answer:
        answer = await self._post(text, message)
        moved_to = _parameters(answer).get("migrate_to_chat_id")
        if answer.status == 400 and isinstance(moved_to, int):
            log.warning("telegram.chat_moved", channel=self.name, chat_id=moved_to, remedy="write it into the config")
            self._chat_id = moved_to
            answer = await self._post(text, message)
        return answer

    async def _post(self, text: Mapping[str, object], message: Message) -> Answer:
        body = {
            "chat_id": self._chat_id,
            **text,
            "link_preview_options": {"is_disabled": True},
            "disable_notification": _is_quiet(message),
        }
        headers = {"Content-Type": "application/json"}
        return await self._door.request(
            "POST", self._url, who=self.name, body=json.dumps(body).encode(), headers=headers
        )

    def _failure(self, answer: Answer) -> DeliveryFailed:
        said = _description(answer).replace(self._token, "…")
        if answer.status == 400 and "chat not found" in said:
            text = f"{self.name}: chat_id is unknown to the bot (400): write to the bot first, then check chat_id"
            return DeliveryFailed(text, permanent=True)
        if answer.status in _REMEDIES:
            return DeliveryFailed(f"{self.name}: {_REMEDIES[answer.status]} ({answer.status} {said})", permanent=True)
        wait = wait_of(_parameters(answer).get("retry_after"))
        return DeliveryFailed(f"{self.name}: not confirmed ({answer.status} {said})", retry_after=wait)


def _parts(message: Message) -> tuple[str, ...]:
    whole = f"{message.title}\n\n{message.text}"
    # Telegram trims parts and refuses empty ones, so a part of blanks would never be delivered.
    return tuple(part for part in split(whole, size_max=TEXT_UNITS_MAX) if part.strip())


def _bold_title(part: str, title: str) -> str:
    if title and part.startswith(f"{title}\n"):
        return f"<b>{html.escape(title)}</b>{html.escape(part.removeprefix(title))}"
    return html.escape(part)


def _is_quiet(message: Message) -> bool:
    """Return whether the phone stays silent: what needs nobody now must not wake anybody."""
    is_over = message.event == "resolved" and message.kind != "vanished"  # Gone: that may be the liquidation.
    return message.level <= Level.WATCH or is_over or message.kind == "heartbeat"


def _description(answer: Answer) -> str:
    return str(answer.fields().get("description", "no description"))[:200]


def _parameters(answer: Answer) -> Mapping[str, object]:
    parameters = answer.fields().get("parameters")
    return parameters if isinstance(parameters, dict) else {}
