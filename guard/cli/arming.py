"""`guard arm` and `guard disarm`: write into the journal what the daemon reads before every decision."""

import getpass
from datetime import UTC, datetime
from pathlib import Path

from guard.config import load
from guard.config.settings import Settings
from guard.errors import ConfigError
from guard.journal import Journal


def run_arm(config: Path | None, account: str | None) -> None:
    settings = _settings(config, account)
    with Journal.open(settings.journal_path, exclusive=False) as journal:
        journal.arm(account, at=datetime.now(UTC), by=_who())
    print(f"armed: {account or 'all accounts'}. Money moves only inside the written budgets, in mode act.")


def run_disarm(config: Path | None, account: str | None, *, because: str) -> None:
    settings = _settings(config, account)
    with Journal.open(settings.journal_path, exclusive=False) as journal:
        journal.disarm(account, at=datetime.now(UTC), by=_who(), because=because)
    print(f"disarmed: {account or 'all accounts'}. guard watches on; `guard arm` allows spending again.")


def _settings(config: Path | None, account: str | None) -> Settings:
    settings = load(config)
    if account is not None and account not in settings.accounts:
        raise unknown_account(account, settings)
    return settings


def unknown_account(account: str | None, settings: Settings) -> ConfigError:
    """Return the error that names the accounts there are."""
    return ConfigError(f"no account {account!r} in {settings.path}: there are {', '.join(settings.accounts)}")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "an unnamed user"
