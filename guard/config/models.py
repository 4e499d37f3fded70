"""The config file as pydantic models: the door at which foreign text becomes values or is refused."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Self

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from guard.config.fields import (
    ChatId,
    Day,
    Duration,
    ExchangeId,
    HeartbeatDuration,
    LevelWord,
    Listen,
    ModeWord,
    OneLineSecret,
    Percent,
    PollDuration,
    Secret,
    Switch,
    Text,
    Url,
    WebhookSecret,
)
from guard.config.models_rules import LadderTable, LimitsTable, RuleTable, Table
from guard.policy.terms import Level, Mode

HEARTBEAT_INTERVAL = timedelta(seconds=60)
PREFIX, SEPARATOR = "GUARD_", "__"  # Of environment variables: GUARD_WEB__LISTEN.


class PollIntervalTable(Table):
    calm: PollDuration = Field(timedelta(seconds=60), description="While all is well.")
    near: PollDuration = Field(timedelta(seconds=5), description="When any pool or position is at warn or worse.")


class DataAgeTable(Table):
    stale: Duration | None = Field(None, description="Default: 3 x the interval in force, at least 15s.")
    blind: Duration | None = Field(None, description="Default: 120s.")


class AccountTable(Table):
    exchange: ExchangeId = Field(description="A ccxt id.")
    mode: ModeWord | None = Field(None, description="May only be stricter than the top level's.")
    api_key: OneLineSecret | None = Field(None, description="Better: api_key_file, a credential or the environment.")
    api_key_file: Text | None = Field(None, description="A file only its owner can read.")
    secret: Secret | None = None
    secret_file: Text | None = None
    password: OneLineSecret | None = Field(None, description="Where there is a passphrase (OKX, KuCoin, Bitget).")
    password_file: Text | None = None
    key_signed_on: Day | None = Field(
        None,
        description="Where the exchange cannot say what the key may do: the day on which you saw that it may neither "
        "withdraw nor transfer. Holds for 90 days.",
    )
    poll_interval: PollIntervalTable = Field(default_factory=PollIntervalTable)
    data_age: DataAgeTable = Field(default_factory=DataAgeTable)
    model_gap_alert: Percent | None = Field(None, description="Default: the top level's.")
    ccxt: dict[str, object] = Field(default_factory=dict, description="For ccxt's constructor: urls, proxies, options.")


class TelegramTable(Table):
    token: OneLineSecret | None = Field(None, description="Better: token_file, a credential or the environment.")
    token_file: Text | None = None
    chat_id: ChatId
    api_url: Url = Field("https://api.telegram.org", description="For a Bot API server of your own.")
    from_level: LevelWord = Level.WARN


class WebhookTable(Table):
    url: Url
    secret: WebhookSecret | None = Field(None, description="Signs by Standard Webhooks; left out: unsigned.")
    secret_file: Text | None = None
    from_level: LevelWord = Level.WARN


class ConsoleTable(Table):
    enabled: Switch = True
    from_level: LevelWord = Level.WARN


class NotifyTable(Table):
    telegram: dict[str, TelegramTable] = Field(default_factory=dict)
    webhook: dict[str, WebhookTable] = Field(default_factory=dict)
    console: ConsoleTable = Field(default_factory=ConsoleTable)


class HeartbeatTable(Table):
    url: Url = Field(description="Called while all is well; the far side alarms when the calls stop.")
    interval: HeartbeatDuration = HEARTBEAT_INTERVAL


class JournalTable(Table):
    path: Text | None = Field(None, description="Default: $STATE_DIRECTORY/journal.db, else /var/lib/guard/journal.db.")


class WebTable(Table):
    listen: Listen = ("127.0.0.1", 9464)


class ConfigTable(BaseSettings):
    """The configuration of guard."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,  # Defaults are values already, not foreign text.
        env_prefix=PREFIX,
        env_nested_delimiter=SEPARATOR,
        enable_decoding=False,  # A variable is text, never JSON.
    )

    mode: ModeWord = Field(Mode.OBSERVE, description="A ceiling: the strictest of top level, account and rule holds.")
    model_gap_alert: Percent = Field(
        Decimal("0.1"),
        description="Say so when our liquidation price and the exchange's differ by this share of the distance.",
    )
    limits: LimitsTable = Field(default_factory=LimitsTable)
    accounts: dict[str, AccountTable] = Field(default_factory=dict, description="One table per account, named by you.")
    ladder: LadderTable = Field(default_factory=LadderTable)
    rules: list[RuleTable] = Field(default_factory=list)
    notify: NotifyTable = Field(default_factory=NotifyTable)
    heartbeat: HeartbeatTable | None = Field(None, description="Left out: nobody is called.")
    journal: JournalTable = Field(default_factory=JournalTable)
    web: WebTable | None = Field(None, description="Left out: no web server.")

    @classmethod
    def read(cls, *sources: PydanticBaseSettingsSource) -> Self:
        """Return what these sources say together, the strongest first. Raises pydantic's ValidationError."""
        given: dict[str, Any] = {"sources": sources}
        return cls(**given)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  Four of these are given and not wanted.
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from what `read` was given and from nowhere else."""
        return tuple(init_settings().get("sources", ()))
