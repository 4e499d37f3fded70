"""Which rule holds for a position, and how free the daemon is under it."""

from fnmatch import fnmatchcase

from guard.policy.terms import Mode, Rule, Terms
from guard.snapshot import MarginMode, PositionKey


def matching_rule(terms: Terms, key: PositionKey, margin_mode: MarginMode) -> Rule | None:
    """Return the first rule that matches, also if it has no top_up: then nobody tops up. None: none matches."""
    return next((rule for rule in terms.rules if _matches(rule, terms.account, key, margin_mode)), None)


def mode_in_force(terms: Terms, rule: Rule | None) -> Mode:
    """Return the strictest of top level, account and rule."""
    return terms.mode if rule is None or rule.mode is None else min(terms.mode, rule.mode)


def _matches(rule: Rule, account: str, key: PositionKey, margin_mode: MarginMode) -> bool:
    return (
        fnmatchcase(account, rule.account)
        and fnmatchcase(key.symbol, rule.symbol)
        and rule.side in {None, key.side}
        and rule.margin_mode in {None, margin_mode}
    )
