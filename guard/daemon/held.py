"""Law 11: until money safety is proven by simulation, `act` and `approve` work on test hosts only."""

from dataclasses import replace

from guard.config.settings import AccountSettings
from guard.policy.terms import Mode
from guard.venues.protocol import Venue


def held_to_test_hosts(settings: AccountSettings, venue: Venue) -> AccountSettings:
    """Return the settings in force: shadow instead of act and approve where any host in use is a real exchange's."""
    if venue.write_terms.test_host or settings.terms.mode <= Mode.SHADOW:
        return settings
    return replace(settings, terms=replace(settings.terms, mode=Mode.SHADOW))
