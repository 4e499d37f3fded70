"""TOML, environment and secret files, turned into frozen settings or refused with the place and the remedy."""

from guard.config.document import find_config
from guard.config.loading import load
from guard.config.schema import json_schema
from guard.config.settings import AccountSettings, Settings, TelegramSettings, WebhookSettings

__all__ = [
    "AccountSettings",
    "Settings",
    "TelegramSettings",
    "WebhookSettings",
    "find_config",
    "json_schema",
    "load",
]
