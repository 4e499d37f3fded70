"""Runs the models over what was written and says in the owner's words what they refuse."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from guard.config.document import value_at
from guard.config.keys import known_keys
from guard.config.models import ConfigTable
from guard.config.problems import Path, Problems, did_you_mean, dotted, shown
from guard.config.sources import Written

_ROUNDS_MAX = 12  # Each round cuts one layer; the config is nowhere near this deep.
_LISTED_MAX = 100  # Of one round: whoever reads this reads no more.
_NAMED_TABLES: dict[Path, str] = {
    ("accounts",): "[accounts.main]",
    ("notify", "telegram"): "[notify.telegram.me]",
    ("notify", "webhook"): "[notify.webhook.ops]",
}
_EXPECTED = {
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
    "dict_type": "expected a table",
    "list_type": "expected a list of tables, each under its own [[...]]",
}


def validate(written: Written, problems: Problems) -> ConfigTable:
    """Return what could be read. What could not is noted and cut out, so that the rest can still be checked."""
    for _ in range(_ROUNDS_MAX):
        try:
            return ConfigTable.read(*written.sources)
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
        if len(errors) > _LISTED_MAX:
            problems.add((), f"{len(errors) - _LISTED_MAX} more problems than are listed here")
        for number, error in enumerate(errors):
            if number < _LISTED_MAX:
                problems.add(error["loc"], _text(error))
            for source in written.sources:
                _mend(source.values, error)
    return ConfigTable.read()


def _text(error: ErrorDetails) -> str:
    path, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return "is missing, and there is no default"
    expected = str(error["ctx"]["error"]) if kind == "value_error" else _EXPECTED.get(kind, error["msg"])
    if path[:-1] in _NAMED_TABLES and kind in {"model_type", "model_attributes_type"}:
        expected += f" with a name of yours, as {_NAMED_TABLES[path[:-1]]}"
    says_all = not expected.startswith(("expected ", "ambiguous"))  # As "is empty, …": there is no value to show.
    return expected if says_all else f"found {shown(path, error['input'])}, {expected}"


def _unknown_key(path: Path) -> str:
    key, known = str(path[-1]), known_keys(path[:-1])
    if key == "sigmas" and path[-2:-1] in {("danger",), ("critical",)}:
        return (
            "found sigmas, expected on watch and warn only: volatility raises a level up to warn and never moves money"
        )
    listed = ", ".join(sorted(known))
    return f"unknown key, expected one of {listed}{did_you_mean(key, known)}"


def _mend(values: dict[str, Any], error: ErrorDetails) -> None:
    """Take out what is wrong, or stand in for what is missing: nothing of it outlives the check."""
    path = error["loc"]
    if error["type"] != "missing":
        _cut(values, path)
    elif path[-1] in {"name", "exchange"}:  # The rest of this rule or account can be checked all the same.
        _parent(values, path)[path[-1]] = dotted(path[:-1]) if path[-1] == "name" else "missing"
    else:
        _cut(values, path[:-1])


def _cut(values: dict[str, Any], path: Path) -> None:
    parent = _parent(values, path)
    if isinstance(parent, list):
        parent[int(path[-1])] = {"name": dotted(path)}  # Without it the other rules would change their numbers.
    elif path[-1] == "name" and path[0] == "rules":
        parent["name"] = dotted(path[:-1])
    else:
        parent.pop(path[-1], None)


def _parent(values: dict[str, Any], path: Path) -> Any:
    """Return the table or list that holds a key; an empty table where this source or an earlier cut left none."""
    parent = value_at(values, path[:-1])
    return parent if isinstance(parent, dict | list) else {}
