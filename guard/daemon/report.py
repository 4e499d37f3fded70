"""The document of `guard status --json`: one element per account, also for one that was never read."""

from collections.abc import Mapping
from datetime import UTC, datetime

from guard.config.settings import AccountSettings
from guard.policy.decision import Decision
from guard.policy.rows import account_row

SCHEMA_VERSION = 1


def status_document(
    accounts: Mapping[str, tuple[AccountSettings, Decision | None]], now: datetime
) -> dict[str, object]:
    """Return the whole document. An account without a decision has not been looked at yet: it is blind."""
    return {
        "schema_version": SCHEMA_VERSION,
        "as_of": now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "accounts": [
            account_row(
                decision,
                account=name,
                exchange=settings.venue.exchange,
                mode=settings.terms.mode,
                now=now,
            )
            for name, (settings, decision) in accounts.items()
            if decision is not None
        ],
    }
