"""The channels of a config, opened."""

from guard.config.settings import Settings
from guard.notify.channel import Channel
from guard.notify.console import ConsoleChannel
from guard.notify.quiet import QuietChannel
from guard.notify.telegram import TelegramChannel
from guard.notify.webhook import WebhookChannel


def open_channels(settings: Settings) -> tuple[Channel, ...]:
    """Return every channel of the config, named as people know it: `telegram.me`."""
    channels: list[Channel] = []
    if settings.console_from_level is not None:
        channels.append(ConsoleChannel(from_level=settings.console_from_level))
    channels += [
        TelegramChannel(
            name=f"telegram.{telegram.name}",
            token=telegram.token,
            chat_id=telegram.chat_id,
            api_url=telegram.api_url,
            from_level=telegram.from_level,
        )
        for telegram in settings.telegram
    ]
    channels += [
        WebhookChannel(
            name=f"webhook.{webhook.name}", url=webhook.url, secret=webhook.secret, from_level=webhook.from_level
        )
        for webhook in settings.webhook
    ]
    return tuple(QuietChannel(channel) for channel in channels)
