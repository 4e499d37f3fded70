"""The tree of failures that one room hands to another.

    GuardError
     ├── ConfigError            bad config, account file or command: exit 78 (or 2)
     ├── VenueError
     │    ├── VenueUnavailable  a read failed; nothing is known, nothing was done
     │    ├── KeysRefused       the exchange does not accept the keys (exit 77)
     │    ├── VenueRefused      a write got the exchange's clear no: money did not move
     │    └── OutcomeUnknown    a write got no clear answer: money may have moved
     ├── DeliveryFailed         a channel did not take a message (carries retry_after and whether it is final)
     └── JournalError           the journal cannot write or is not to be trusted: every action stops

Reads raise VenueUnavailable or KeysRefused only. Writes raise VenueRefused or OutcomeUnknown only.
"""

from datetime import timedelta


class GuardError(Exception):
    """Base of everything that guard raises on purpose. Its text is a sentence fit for a person and holds no secret."""


class ConfigError(GuardError):
    """What a person wrote cannot be used. `problems` holds one line each: place, what was found, what was expected."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class VenueError(GuardError):
    """Something between us and an exchange went wrong."""


class VenueUnavailable(VenueError):
    """A read failed: timeout, no connection, maintenance, rate limit, or an answer that makes no sense.

    `retry_after` is how long the exchange asked us to stay away; None when it did not say.
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class KeysRefused(VenueError):
    """The exchange refuses the keys (wrong, expired, missing scope, address not allowed)."""


class VenueRefused(VenueError):
    """A write was answered by one of the venue's listed clear noes. `code` is the exchange's own."""

    def __init__(self, message: str, *, code: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class OutcomeUnknown(VenueError):
    """A write ended without positive evidence and without a clear no: the money may have moved."""


class DeliveryFailed(GuardError):
    """A channel did not confirm a message.

    `permanent`: trying this message again cannot help. `asked`: False when nothing was sent to it.
    """

    def __init__(
        self, message: str, *, retry_after: timedelta | None = None, permanent: bool = False, asked: bool = True
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.asked = asked
        self.permanent = permanent


class JournalError(GuardError):
    """The journal could not be opened, read or written."""
