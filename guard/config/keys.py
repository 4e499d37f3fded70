"""Which keys there are: read from the models, so that hints and variable names cannot drift from them."""

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from guard.config.models import ConfigTable
from guard.config.problems import Path

ANY_NAME = "name"  # Stands for a table that the file does not have, in hints only.


def known_keys(path: Path) -> tuple[str, ...]:
    """Return the keys that the table at this path may hold; nothing where any name goes or there is no table."""
    kind: Any = ConfigTable
    for part in path:
        kind = _child(kind, part)
    return tuple(_fields(kind)) if _is_table(kind) else ()


def leaves(written: Mapping[str, object], *, named: str | None = None) -> Iterator[Path]:
    """Yield every key that the environment or a credential may set.

    Tables with names of the owner's choice are those that the file has (and `named`). Lists and ccxt's own table have
    no such keys: their names do not survive an environment variable.
    """
    yield from _leaves(ConfigTable, written, named, ())


def _leaves(kind: Any, written: object, named: str | None, path: Path) -> Iterator[Path]:
    inside = written if isinstance(written, dict) else {}
    if _is_table(kind):
        for key, field in _fields(kind).items():
            yield from _leaves(field, inside.get(key), named, (*path, key))
    elif get_origin(kind) is dict:
        child = _bare(get_args(kind)[1])
        names = [*inside, named] if named else [*inside]
        for name in names if _is_table(child) else ():
            yield from _leaves(child, inside.get(name), named, (*path, name))
    elif get_origin(kind) is not list:
        yield path


def _child(kind: Any, part: str | int) -> Any:
    if _is_table(kind):
        return _fields(kind).get(str(part))
    arguments = get_args(kind)
    return _bare(arguments[-1]) if get_origin(kind) in (dict, list) else None


def _fields(table: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: _bare(field.annotation) for name, field in table.model_fields.items()}


def _bare(annotation: Any) -> Any:
    """Strip `| None`, which a TOML file cannot write."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return kinds[0] if get_origin(annotation) in (Union, UnionType) and len(kinds) == 1 else annotation


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
