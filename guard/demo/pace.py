"""Market time and real time: how fast the demo's market runs, and the owner's terms scaled alike."""

from dataclasses import dataclass, replace
from datetime import timedelta

from guard.config.settings import AccountSettings, Settings
from guard.policy.terms import Ladder, Level, Rule, Rung, Terms

POLL_MIN = timedelta(milliseconds=50)  # A cycle itself takes 10 to 20 ms: faster polls would only queue.
FRESH_READS_APART = timedelta(seconds=5)  # The design's default `for` below critical, written out so that it scales.


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`speed` market seconds pass in one real second."""

    speed: float

    def real(self, market: timedelta) -> timedelta:
        return market / self.speed

    def settings(self, settings: Settings) -> Settings:
        """Return the settings with every duration of the policy scaled.

        What belongs to the wire stays real: data age limits, the fence, request timeouts.
        """
        accounts = {name: self._account(account) for name, account in settings.accounts.items()}
        return replace(settings, accounts=accounts)

    def _account(self, account: AccountSettings) -> AccountSettings:
        return replace(
            account,
            poll_calm=max(POLL_MIN, self.real(account.poll_calm)),
            poll_near=max(POLL_MIN, self.real(account.poll_near)),
            terms=self._terms(account.terms),
        )

    def _terms(self, terms: Terms) -> Terms:
        rules = tuple(self._rule(rule) for rule in terms.rules)
        return replace(terms, ladder=self._ladder(terms.ladder), rules=rules)

    def _rule(self, rule: Rule) -> Rule:
        top_up = rule.top_up and replace(rule.top_up, cooldown=self.real(rule.top_up.cooldown))
        return replace(rule, ladder=self._ladder(rule.ladder), top_up=top_up)

    def _ladder(self, ladder: Ladder) -> Ladder:
        return replace(ladder, rungs=tuple(self._rung(rung) for rung in ladder.rungs))

    def _rung(self, rung: Rung) -> Rung:
        hold = rung.hold
        if hold is None and rung.level is not Level.CRITICAL:
            hold = FRESH_READS_APART
        return replace(
            rung,
            hold=None if hold is None else self.real(hold),
            clear_for=self.real(rung.clear_for),
            repeat_interval=None if rung.repeat_interval is None else self.real(rung.repeat_interval),
        )
