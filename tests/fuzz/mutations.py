"""Odd answers out of real ones: a value, a row, a list or the bytes themselves are changed, as a seed says.

A mutation keeps most of an answer as it was, so that it comes past the outer checks and deep into what reads it.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Path = tuple[Any, ...]  # Keys and indexes from the top.
Dice = random.Random


class Literal(str):
    """Text that stands in the JSON as it is."""

    __slots__ = ()


class Twice(dict):  # type: ignore[type-arg]
    """An object in which some keys stand twice: `again` holds the second values."""

    again: tuple[tuple[str, Any], ...] = ()


def to_json(value: Any) -> str:
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, dict):
        pairs = [*value.items(), *getattr(value, "again", ())]
        return "{" + ", ".join(f"{json.dumps(str(key))}: {to_json(inner)}" for key, inner in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_json, value)) + "]"
    return json.dumps(value)


def _deep(depth: int, opening: str = "[", closing: str = "]") -> Literal:
    return Literal(opening * depth + "1" + closing * depth)


TEXTS = (
    *(
        "",
        " ",
        "0",
        "-0",
        "-1",
        "NaN",
        "nan",
        "sNaN",
        "Infinity",
        "-inf",
        "1e400",
        "1e-400",
        "1E-999999",
        "1E-99999999",
    ),
    *(
        "1E+999999999",
        "9" * 60,
        "1e30",
        "-1e30",
        "0E+500",
        "0E-500",
        "0x10",
        "1_000",
        "1,000",
        "1.2.3",
        "+5",
        ".5",
        "5.",
    ),
    *(" 5", "5 ", "5\n", "\u0665", "\uff15\uff10", "\u221e", "\ud800", "a\ud800b", "\u202e5", "\x00", "5\x005"),
    *("null", "None", "true", "false", "BOTH", "LONG", "SHORT", "ISOLATED", "CROSSED", "BTCUSDT", "USDT", "😀" * 40),
    *("abc", "x" * 5000, "'; DROP TABLE intents; --", "<b>1</b>", "../../etc/passwd", "{}", "[]", "1e5", "0.1"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 125, 200, -4051, 10**18, 10**19, -(10**30), 4102444800000, 99999999999999),
    *(
        Literal("NaN"),
        Literal("Infinity"),
        Literal("-Infinity"),
        Literal("1e5"),
        Literal("1E+999999"),
        Literal("1E-999999"),
    ),
    *(
        Literal("0.1"),
        Literal("-0"),
        Literal("-0.0"),
        Literal("1" * 4200),
        Literal("1" * 5000),
        Literal("007"),
        Literal(""),
    ),
    *({}, [], [[]], {"a": 1}, [None], _deep(60), _deep(400), _deep(900), _deep(3000), _deep(700, '{"a":', "}")),
)
FACTORS = (
    "0.1",
    "0.5",
    "0.9",
    "0.95",
    "0.999",
    "1.001",
    "1.009",
    "1.02",
    "1.05",
    "1.1",
    "2",
    "10",
    "100",
    "-1",
    "1e6",
    "1e-6",
)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of everything inside a value, the value itself last."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))
    yield path


def at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _odd(old: Any, parent: Any, dice: Dice) -> Any:
    """Return something else than what stood there."""
    kind = dice.randrange(8)
    if kind <= 1:
        return dice.choice(TEXTS)
    if kind <= 3:
        return copy.deepcopy(dice.choice(VALUES))
    if kind <= 5 and (scaled := _scaled(old, dice)) is not None:
        return scaled
    if kind == 6:
        return _retyped(old)
    others = list(parent.values()) if isinstance(parent, dict) else parent
    return copy.deepcopy(dice.choice(others)) if others else None


def _scaled(old: Any, dice: Dice) -> Any:
    if isinstance(old, bool):
        return not old
    try:
        number = float(old) * float(dice.choice(FACTORS))
    except (TypeError, ValueError):
        return None
    if isinstance(old, int):
        return int(number) if abs(number) < 1e25 else None
    return f"{number:.8f}"


def _retyped(old: Any) -> Any:
    """Numbers as text and back, the rest wrapped."""
    if isinstance(old, bool):
        return str(old).lower()
    if isinstance(old, int):
        return str(old)
    if isinstance(old, str):
        try:
            float(old)
        except ValueError:
            return [old]
        return Literal(old.strip().lstrip("+")) if old.strip().isascii() and old.strip()[-1:].isdigit() else [old]
    return [old] if old is not None else "null"


def _change_inside(parent: Any, key: Any, dice: Dice) -> None:
    """Change one place of an object or a list."""
    kind = dice.randrange(14)
    if kind <= 7:
        parent[key] = _odd(parent[key], parent, dice)
    elif kind == 8:
        del parent[key]
    elif isinstance(parent, dict):
        _change_key(parent, key, kind, dice)
    else:
        _change_item(parent, key, kind, dice)


def _change_key(parent: dict[str, Any], key: str, kind: int, dice: Dice) -> None:
    if kind <= 10:
        parent[dice.choice((key.upper(), key + "_", key + "\u200b", key[:-1], "\ud800"))] = parent.pop(key)
    elif kind == 11:
        others = [other for other in parent if other != key]
        if others:
            other = dice.choice(others)
            parent[key], parent[other] = parent[other], parent[key]
    elif isinstance(parent, Twice):
        value = parent[key] if dice.random() < 0.3 else _odd(parent[key], parent, dice)
        parent.again = (*parent.again, (key, copy.deepcopy(value)))


def _change_item(parent: list[Any], index: int, kind: int, dice: Dice) -> None:
    if kind <= 10:
        parent.insert(dice.randrange(len(parent) + 1), copy.deepcopy(parent[index]))
    elif kind == 11:
        dice.shuffle(parent)
    elif kind == 12:
        parent.clear()
    else:
        parent[:] = [*parent, *([None] * dice.choice((1, 3, 600)))]


def _loose(value: Any) -> Any:
    """Return a copy in which keys may stand twice."""
    if isinstance(value, dict):
        return Twice({key: _loose(inner) for key, inner in value.items()})
    return [_loose(inner) for inner in value] if isinstance(value, list) else value


def mutated(value: Any, dice: Dice, *, times: int) -> tuple[Any, tuple[Path, ...]]:
    """Return a changed copy, and where it was changed."""
    changed, touched = _loose(value), []
    for _ in range(times):
        found = [path for path in places(changed) if path]
        if not found:
            break
        path = dice.choice(found)
        touched.append(path)
        _change_inside(at(changed, path[:-1]), path[-1], dice)
    return changed, tuple(touched)


def _flip(raw: bytes, dice: Dice) -> bytes:
    place = dice.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ (1 << dice.randrange(8))]) + raw[place + 1 :]


def _cut(raw: bytes, dice: Dice) -> bytes:
    return raw[: dice.randrange(len(raw))]


def _splice(raw: bytes, dice: Dice) -> bytes:
    place = dice.randrange(len(raw))
    return (
        raw[:place]
        + dice.choice((b"\xff", b"\x00", b"\xc3\x28", b'"', b"}", b"]", b",", b"\\u0000", b"\n"))
        + raw[place:]
    )


def _without_some(raw: bytes, dice: Dice) -> bytes:
    place = dice.randrange(len(raw))
    return raw[:place] + raw[place + dice.randint(1, 40) :]


BYTES: Sequence[Callable[[bytes, Dice], bytes]] = (
    *(_flip, _cut, _splice, _without_some),
    lambda raw, dice: raw + raw[: dice.randrange(len(raw))],
    lambda raw, _: b"\xef\xbb\xbf" + raw,
    lambda raw, _: raw.decode("utf-8", "replace").encode("utf-16"),
    lambda raw, dice: raw.decode("latin-1").encode(dice.choice(("utf-32", "utf-16-le"))),
    lambda raw, dice: dice.choice(
        (b"", b" ", b"null", b"{}", b"[]", b"[[]]", b"0", b'""', b"<html>down</html>", b"\x1f\x8b")
    ),
    lambda raw, dice: b"[" * dice.choice((10, 900, 100_000)) + raw,
)


def damaged(raw: bytes, dice: Dice) -> bytes:
    """Return other bytes than an answer's."""
    return dice.choice(BYTES)(raw or b" ", dice)
