"""The journal as the other rooms see it: what policy remembers, and one transaction per decision."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from guard.journal.alerts import Alerts, add_alerts, replace_states
from guard.journal.audits import Audits
from guard.journal.history import History
from guard.journal.lives import add_lives
from guard.journal.looks import Looks
from guard.journal.outbox import OutboxShelf, channels_told, put_message
from guard.journal.reports import Reports
from guard.policy.decision import AlertEvent, Decision
from guard.policy.memory import Memory
from guard.policy.message import Message
from guard.policy.terms import Level

DAY = timedelta(hours=24)


class Journal(Audits, Alerts, OutboxShelf, History, Looks, Reports):
    """Durable memory in one SQLite file. Each base class is one shelf of it; `Store` says how it fails."""

    def memory(self, account: str, now: datetime) -> Memory:
        """Return everything remembered of an account.

        The 24 h reach back from `now`, not from the latest clock the journal has seen, by which spending is dated: so
        a clock that stepped back, or forth and back again, frees nothing.
        """
        armed, because = self.arming(account)
        by_rule: defaultdict[str, Decimal] = defaultdict(Decimal)
        everything = Decimal(0)
        for spender, rule, dollars in self.spent_since(now - DAY):
            everything += dollars
            if spender == account and rule is not None:
                by_rule[rule] += dollars
        unsettled: defaultdict[str, Decimal] = defaultdict(Decimal)
        for intent in self.open_intents(account):
            unsettled[intent.currency] += intent.amount
        return Memory(
            armed=armed,
            disarmed_because=because,
            lives=MappingProxyType(self.open_lives(account)),
            legacies=MappingProxyType(self.legacies(account, now)),
            alerts=MappingProxyType(dict(self.alert_states(account))),
            spent_today_by_rule=MappingProxyType(dict(by_rule)),
            spent_today_all=everything,
            unsettled=MappingProxyType(dict(unsettled)),
        )

    def record_decision(
        self,
        account: str,
        decision: Decision,
        messages: Sequence[Message],
        routes: Mapping[str, Level],
        now: datetime,
        *,
        born_at: datetime | None = None,
    ) -> None:
        """Keep what one cycle decided, all or nothing: states, new lives, alerts, and the messages for their channels.

        `routes` is each channel's from_level. `born_at`: what time it is where `now` is known to be wrong, for whether
        a new life is a re-entry within 24 h. None: it is `now`. A cycle that changes nothing writes nothing, but for
        clock and sightings once a minute.
        Raises JournalError: then the caller tells the messages itself, and this process remembers them as told.
        """
        states = {state.subject: state for state in decision.alert_states}
        states_changed = self._remember(account, states)
        changed = states_changed or decision.new_lives or decision.alerts or messages
        if not changed and not self._clock_is_due(now):
            return
        with self._write(now) as connection:
            replace_states(connection, account, states.values())
            add_lives(connection, account, decision.new_lives, born_at or now)
            add_alerts(connection, decision.alerts, now)
            for message in messages:
                put_message(connection, message, _channels_for(connection, message, routes), now)
        self._saved[account] = states


def _channels_for(connection: sqlite3.Connection, message: Message, routes: Mapping[str, Level]) -> tuple[str, ...]:
    """Return who gets a message: who wants its level; and its end goes to exactly those who were told of it."""
    if message.event == AlertEvent.RESOLVED:
        return tuple(sorted(channels_told(connection, message.alert) & routes.keys()))
    return tuple(sorted(channel for channel, from_level in routes.items() if message.level >= from_level))
