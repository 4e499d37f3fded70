"""From checked models to the frozen values that the other rooms get."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from guard.config.checks import data_age_limits, stale_by_default
from guard.config.ladders import ladder_in_force
from guard.config.models import HEARTBEAT_INTERVAL, AccountTable, ConfigTable
from guard.config.models_rules import RuleTable, TopUpTable
from guard.config.rule_checks import strictest
from guard.config.settings import AccountSettings, Settings, TelegramSettings, WebhookSettings
from guard.config.sources import resolve
from guard.policy.terms import Rule, Terms, TopUpTerms
from guard.venues.protocol import VenueAccount

_JOURNAL_NAME = "journal.db"


def settings(config: ConfigTable, path: Path, environ: Mapping[str, str], warnings: tuple[str, ...]) -> Settings:
    """Return the settings of a config without problems."""
    console, heartbeat = config.notify.console, config.heartbeat
    return Settings(
        path=path,
        mode=config.mode,
        accounts={name: _account(name, account, config) for name, account in config.accounts.items()},
        telegram=tuple(
            TelegramSettings(
                name=name,
                token=_plain(channel.token),
                chat_id=channel.chat_id,
                api_url=channel.api_url.rstrip("/"),
                from_level=channel.from_level,
            )
            for name, channel in config.notify.telegram.items()
        ),
        webhook=tuple(
            WebhookSettings(
                name=name,
                url=channel.url,
                from_level=channel.from_level,
                secret=channel.secret.get_secret_value() if channel.secret else None,
            )
            for name, channel in config.notify.webhook.items()
        ),
        console_from_level=console.from_level if console.enabled else None,
        heartbeat_url=heartbeat.url if heartbeat else None,
        heartbeat_interval=heartbeat.interval if heartbeat else HEARTBEAT_INTERVAL,
        journal_path=_journal_path(config, path, environ),
        web_listen=config.web.listen if config.web else None,
        warnings=warnings,
    )


def _account(name: str, account: AccountTable, config: ConfigTable) -> AccountSettings:
    return AccountSettings(
        name=name,
        venue=VenueAccount(
            account=name,
            exchange=account.exchange,
            api_key=_plain(account.api_key),
            secret=_plain(account.secret),
            password=account.password.get_secret_value() if account.password else None,
            ccxt=account.ccxt,
        ),
        poll_calm=account.poll_interval.calm,
        poll_near=account.poll_interval.near,
        terms=_terms(name, account, config),
        key_signed_on=account.key_signed_on,
        stale_after_near=None if account.data_age.stale else stale_by_default(account.poll_interval.near),
    )


def _terms(name: str, account: AccountTable, config: ConfigTable) -> Terms:
    return Terms(
        account=name,
        mode=strictest(config.mode, account.mode),
        ladder=ladder_in_force(config.ladder),
        rules=tuple(_rule(rule, config) for rule in config.rules),
        max_per_day_all=config.limits.max_per_day,
        data_age=data_age_limits(account),
        model_gap_alert=config.model_gap_alert if account.model_gap_alert is None else account.model_gap_alert,
    )


def _rule(rule: RuleTable, config: ConfigTable) -> Rule:
    return Rule(
        name=rule.name,
        account=rule.match.account,
        symbol=rule.match.symbol,
        side=rule.match.side,
        margin_mode=rule.match.margin_mode,
        mode=rule.mode,
        ladder=ladder_in_force(rule.ladder, config.ladder),
        top_up=_top_up(rule.top_up) if rule.top_up else None,
    )


def _top_up(table: TopUpTable) -> TopUpTerms:
    return TopUpTerms(
        trigger=table.trigger,
        birth_cap=table.birth_cap,
        target=table.target,
        max_per_action=table.max_per_action,
        max_per_position=table.max_per_position,
        max_per_day=table.max_per_day,
        reserve=table.reserve,
        cooldown=table.cooldown,
        when_short_spend=table.when_short,
        priority=table.priority,
    )


def _journal_path(config: ConfigTable, path: Path, environ: Mapping[str, str]) -> Path:
    """Return the journal's place: written (relative to the config file), the service manager's, or the usual one."""
    if written := resolve(config.journal.path, path):
        return written
    state = environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/guard"  # systemd may name several.
    return Path(state) / _JOURNAL_NAME


def _plain(secret: SecretStr | None) -> str:
    assert secret is not None, "load refuses a config whose secrets are missing"
    return secret.get_secret_value()
