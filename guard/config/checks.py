"""What is right in itself but wrong together. Every problem stands at the key that its owner would change."""

import re
from datetime import timedelta

from guard.config.hosts import is_loopback
from guard.config.models import AccountTable, ConfigTable
from guard.config.problems import Path, Problems, did_you_mean, dotted, shown
from guard.config.rule_checks import check_ladders, check_rules, rule_warnings
from guard.config.screen import screen
from guard.config.sources import Written, credential_name, variable_name
from guard.policy.terms import DataAgeLimits
from guard.venues import INSTEAD, SUPPORTED, WITH_PASSPHRASE, is_watchable, key_problems

STALE_MIN = timedelta(seconds=15)
BLIND_DEFAULT = timedelta(seconds=120)

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_NAME_EXPECTED = (
    "expected a name of small letters, digits and single underscores, so that GUARD_ variables can spell it"
)


def check(config: ConfigTable, written: Written, problems: Problems) -> None:
    """Note every problem between keys. `config` holds what could be read, the rest has its problem already."""
    _check_names(written, problems)
    _check_accounts(config, written, problems)
    _check_channels(config, problems)
    check_ladders(config, problems)
    check_rules(config, written, problems)


def data_age_limits(account: AccountTable) -> DataAgeLimits:
    """Return when data is stale and when it is blind: what is written, else design's ruling on data age.

    A read that fails is tried again at the near interval, so blind may come before three calm polls.
    """
    stale = account.data_age.stale or stale_by_default(account.poll_interval.calm)
    return DataAgeLimits(stale_after=stale, blind_after=account.data_age.blind or BLIND_DEFAULT)


def stale_by_default(poll_interval: timedelta) -> timedelta:
    return max(3 * poll_interval, STALE_MIN)


def _check_names(written: Written, problems: Problems) -> None:
    for table in (("accounts",), ("notify", "telegram"), ("notify", "webhook")):
        named = written.document.value(table)
        for name in named if isinstance(named, dict) else ():
            if not _NAME.fullmatch(name):
                problems.add((*table, name), f"found {shown((), name)}, {_NAME_EXPECTED}")


def _check_accounts(config: ConfigTable, written: Written, problems: Problems) -> None:
    if not written.document.value(("accounts",)):
        problems.add(("accounts",), "no account, expected at least one table [accounts.main]")
    for name, account in config.accounts.items():
        path: Path = ("accounts", name)
        is_known = account.exchange in SUPPORTED or is_watchable(account.exchange)
        if not is_known and not problems.touch((*path, "exchange")):
            meant = f", did you mean '{INSTEAD[account.exchange]}'?" if account.exchange in INSTEAD else None
            meant = meant or did_you_mean(account.exchange, SUPPORTED)
            expected = f"one of {', '.join(SUPPORTED)}, or another exchange of ccxt to watch only"
            problems.add((*path, "exchange"), f"found {shown((), account.exchange)}, expected {expected}{meant}")
        needed = ("api_key", "secret", *(("password",) if account.exchange in WITH_PASSPHRASE else ()))
        for key in needed:
            _require_secret(getattr(account, key), (*path, key), problems)
        _check_key_forms(account, path, problems)
        poll = account.poll_interval
        if poll.near > poll.calm and not problems.touch((*path, "poll_interval")):
            problems.add((*path, "poll_interval", "near"), "is longer than calm, expected at most as long")
        _check_data_age(account, path, problems)
        for place, text in screen(account.ccxt, (*path, "ccxt")):
            problems.add(place, text)


def _check_key_forms(account: AccountTable, path: Path, problems: Problems) -> None:
    if account.api_key is None or account.secret is None:
        return
    api_key, secret = account.api_key.get_secret_value(), account.secret.get_secret_value()
    for key, text in key_problems(account.exchange, api_key, secret):
        problems.add((*path, key), text)


def _check_data_age(account: AccountTable, path: Path, problems: Problems) -> None:
    if problems.touch((*path, "data_age"), (*path, "poll_interval")):
        return
    age, calm = account.data_age, account.poll_interval.calm
    blind = age.blind or BLIND_DEFAULT
    if blind <= calm:
        which = "" if age.blind is not None else " (120s unless it is written)"
        problems.add(
            (*path, "data_age", "blind"),
            f"{which} is not longer than poll_interval.calm: every read would come too late".strip(),
        )
    elif age.stale is not None and age.blind is not None and blind <= age.stale:
        problems.add((*path, "data_age", "blind"), "is not longer than stale, expected a longer duration")


def _check_channels(config: ConfigTable, problems: Problems) -> None:
    for name, channel in config.notify.telegram.items():
        _require_secret(channel.token, ("notify", "telegram", name, "token"), problems)


def _require_secret(value: object, path: Path, problems: Problems) -> None:
    key = f"{path[-1]}_file"
    if value is None and not problems.touch(path, (*path[:-1], key)):
        problems.add(
            path,
            f'is missing, expected one of: {key} = "…" in this table; a systemd or docker credential named '
            f"{credential_name(path)}; the variable {variable_name(path)}",
        )


def warnings(config: ConfigTable, written: Written) -> tuple[str, ...]:
    """Return what works but should be known."""
    found = [*written.warnings, *rule_warnings(config, written)]
    if not config.notify.telegram and not config.notify.webhook:
        found.append(f"{written.document.path}: notify: no channel leaves this machine, alerts are only printed here")
    for name, account in config.accounts.items():
        stale = account.data_age.stale
        if stale is not None and stale <= account.poll_interval.calm:
            path: Path = ("accounts", name, "data_age", "stale")
            found.append(
                f"{written.place(path)}: {dotted(path)}: not longer than poll_interval.calm, stale between two reads"
            )
    if config.web is not None and not is_loopback(config.web.listen[0]):
        path = ("web", "listen")
        found.append(f"{written.place(path)}: {dotted(path)}: not only this machine can read positions there")
    return tuple(found)
