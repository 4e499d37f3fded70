"""Ladders that go down, budgets that are whole, and rules that can be reached."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import pairwise

from guard.config.ladders import ladder_in_force, rung_table
from guard.config.models import ConfigTable
from guard.config.models_rules import LadderTable, RuleTable, TopUpTable
from guard.config.problems import Path, Problems, percent_text
from guard.config.sources import Written
from guard.policy.terms import Ladder, Mode
from guard.snapshot import MarginMode


def check_ladders(config: ConfigTable, problems: Problems) -> None:
    """Note rungs that do not go down, and clear levels inside their rung."""
    _check_ladder(config.ladder, ladder_in_force(config.ladder), ("ladder",), problems)
    for index, rule in enumerate(config.rules):
        if not problems.touch(("ladder",)):
            _check_ladder(
                rule.ladder, ladder_in_force(rule.ladder, config.ladder), ("rules", index, "ladder"), problems
            )


def _check_ladder(table: LadderTable, ladder: Ladder, path: Path, problems: Problems) -> None:
    for outer, inner in pairwise(ladder.rungs):
        for key, above, below in (("distance", outer.distance, inner.distance), ("sigmas", outer.sigmas, inner.sigmas)):
            known = problems.touch((*path, outer.level.word, key), (*path, inner.level.word, key))
            if known or above is None or below is None or below < above:
                continue
            # The nearer rung is to blame, unless only the farther one was written here.
            blamed, other, sense = inner, outer, "below"
            if getattr(rung_table(table, inner.level), key) is None:
                blamed, other, sense = outer, inner, "above"
            if getattr(rung_table(table, blamed.level), key) is not None:
                found, limit = _figure(getattr(blamed, key)), _figure(getattr(other, key))
                problems.add(
                    (*path, blamed.level.word, key),
                    f"found {found}, expected {sense} {limit} ({other.level.word}.{key})",
                )
    for rung in ladder.rungs:
        written = rung_table(table, rung.level)
        here = written.clear is not None or written.distance is not None
        known = problems.touch((*path, rung.level.word, "clear"), (*path, rung.level.word, "distance"))
        if here and not known and rung.clear <= rung.distance:
            key = "clear" if written.clear is not None else "distance"
            problems.add(
                (*path, rung.level.word, key),
                f"clear is {percent_text(rung.clear)}, expected above the distance of {percent_text(rung.distance)}",
            )


def _figure(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else percent_text(value)  # type: ignore[arg-type]


def check_rules(config: ConfigTable, written: Written, problems: Problems) -> None:
    """Note names used twice, and budgets that contradict themselves or are not whole."""
    first_at: dict[str, Path] = {}
    for index, rule in enumerate(config.rules):
        path: Path = ("rules", index)
        first = first_at.setdefault(rule.name, path)
        if first != path:
            place = written.place((*first, "name"))
            problems.add((*path, "name"), f"found '{rule.name}' again, expected a name of its own (first at {place})")
        if rule.top_up is not None:
            _check_top_up(rule, rule.top_up, path, problems)
            _check_budget(config, rule, rule.top_up, path, problems)


def _check_top_up(rule: RuleTable, terms: TopUpTable, path: Path, problems: Problems) -> None:
    if rule.match.margin_mode is MarginMode.CROSS:
        problems.add(
            (*path, "match", "margin_mode"),
            "found 'cross' in a rule with top_up, expected 'isolated': margin can be added to isolated positions only",
        )
    if terms.target <= terms.trigger:
        problems.add(
            (*path, "top_up", "target"),
            f"found '{percent_text(terms.target)}', expected above the trigger of {percent_text(terms.trigger)}",
        )


def _check_budget(config: ConfigTable, rule: RuleTable, terms: TopUpTable, path: Path, problems: Problems) -> None:
    mode, account = max(_modes(config, rule), default=(Mode.OBSERVE, ""))
    if mode < Mode.APPROVE:
        return
    for key in ("max_per_position", "max_per_day"):
        if getattr(terms, key) is None and not problems.touch((*path, "top_up", key)):
            problems.add(
                (*path, "top_up", key),
                f"is missing, expected an amount such as '500': mode '{mode.word}' holds for account '{account}', "
                "and money moves inside written limits only",
            )


def _modes(config: ConfigTable, rule: RuleTable) -> Iterator[tuple[Mode, str]]:
    """Yield the mode in force for each account that this rule may match."""
    for name, account in config.accounts.items():
        if fnmatchcase(name, rule.match.account):
            yield strictest(config.mode, account.mode, rule.mode), name


def strictest(*modes: Mode | None) -> Mode:
    """Return the mode that holds; None puts no limit."""
    return min(mode for mode in modes if mode is not None)


def rule_warnings(config: ConfigTable, written: Written) -> Iterator[str]:
    """Yield what a rule says in vain."""
    for index, rule in enumerate(config.rules):
        path: Path = ("rules", index)
        place = written.place((*path, "name"))
        accounts = _accounts(config, rule)
        if not accounts:
            known = ", ".join(config.accounts)
            yield f"{place}: rule '{rule.name}' matches no account: found '{rule.match.account}', there are {known}"
        for earlier in config.rules[:index]:
            if accounts and accounts <= _accounts(config, earlier) and _covers(earlier, rule):
                yield f"{place}: rule '{rule.name}' never holds: '{earlier.name}' before it matches all of it"
                break
        if any(mode is Mode.APPROVE for mode, _ in _modes(config, rule)) and rule.top_up is not None:
            yield f"{place}: rule '{rule.name}': 'approve' cannot ask yet, it only says what it would do"
        if rule.match.margin_mode is MarginMode.CROSS and rule.ladder.model_fields_set:
            yield f"{place}: rule '{rule.name}': its ladder is not used, a cross pool goes by [ladder]"
        if rule.top_up is not None and _action_above_position(rule.top_up):
            yield f"{place}: rule '{rule.name}': max_per_action is above max_per_position, which holds anyway"


def _accounts(config: ConfigTable, rule: RuleTable) -> frozenset[str]:
    return frozenset(name for name in config.accounts if fnmatchcase(name, rule.match.account))


def _covers(earlier: RuleTable, later: RuleTable) -> bool:
    ours, theirs = earlier.match, later.match
    return (
        ours.symbol in {"*", theirs.symbol}
        and (ours.side is None or ours.side is theirs.side)
        and (ours.margin_mode is None or ours.margin_mode is theirs.margin_mode)
    )


def _action_above_position(terms: TopUpTable) -> bool:
    action, position = terms.max_per_action, terms.max_per_position
    if action is None or position is None:
        return False
    return (action.unit, action.coin) == (position.unit, position.coin) and action.value > position.value
