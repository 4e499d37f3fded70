"""One JSON object per message, POSTed to the owner's url and signed by the Standard Webhooks scheme."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from guard.errors import ConfigError, DeliveryFailed
from guard.notify.http import Answer, HttpDoor, retry_after
from guard.policy.message import Message
from guard.policy.terms import Level


def wall_clock() -> datetime:
    return datetime.now(UTC)


class WebhookChannel:
    """Delivered is a 2xx and nothing else. The url is a secret: many receivers put a token into it."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        from_level: Level,
        secret: str | None = None,
        timeout_s: float = 15.0,
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        self.name = name
        self.from_level = from_level
        self.reaches_people = True
        self.digest_units_max: int | None = None  # A machine reads it: one object per message.
        self._url = url
        self._signer = None if secret is None else _signer(name, secret)
        self._now = now
        self._door = HttpDoor(timeout_s=timeout_s)

    async def send(self, message: Message, *, attempt: int) -> None:
        del attempt  # The receiver tells retries by the constant webhook-id.
        sent_at = self._now().astimezone(UTC)
        body = json.dumps(webhook_object(message, sent_at=sent_at))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "margin-guard",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
        }
        if self._signer is not None:
            # The library takes any timestamp for UTC, so it must be UTC.
            headers["webhook-signature"] = self._signer.sign(message.id, sent_at, body)
        answer = await self._door.request("POST", self._url, who=self.name, body=body.encode(), headers=headers)
        if not 200 <= answer.status < 300:
            raise self._failure(answer)

    async def close(self) -> None:
        await self._door.close()

    def _failure(self, answer: Answer) -> DeliveryFailed:
        if answer.status == 410:
            text = f"{self.name}: the receiver says 410 Gone: it wants no more messages; write its new url or remove it"
            return DeliveryFailed(text, permanent=True)
        if 300 <= answer.status < 400:
            return DeliveryFailed(
                f"{self.name}: answered {answer.status}, redirects are not followed: write the final url"
            )
        return DeliveryFailed(
            f"{self.name}: answered {answer.status}", retry_after=retry_after(answer.headers, now=self._now)
        )


def webhook_object(message: Message, *, sent_at: datetime) -> dict[str, object]:
    """Return what a receiver gets. Its field names are fixed: people script against them."""
    return {
        "id": message.id,
        "alert": message.alert,
        "happened_at": _iso(message.happened_at),
        "sent_at": _iso(sent_at),
        "kind": message.kind,
        "event": message.event,
        "level": message.level.word,
        "account": message.account,
        "symbol": message.symbol,
        "side": message.side,
        "margin_mode": message.margin_mode,
        "title": message.title,
        "text": message.text,
        "facts": message.facts,
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _signer(name: str, secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        problem = f"{name}: secret: found no Standard Webhooks secret, expected whsec_ followed by base64"
    raise ConfigError(problem)  # Outside the except block: the decoder's own error may quote the secret.
