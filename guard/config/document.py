"""The config file itself: where it is looked for, its values, and the line of every key."""

import re
import stat
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import spanned_toml

from guard.config.problems import Path
from guard.errors import ConfigError

CONFIG_VARIABLE = "GUARD_CONFIG"

_TOML_PLACE = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
_UNQUOTED = "Invalid value"
_SIZE_MAX = 250_000  # Bytes: twenty times the example.
_DEPTH_MAX = 50  # Tables in tables: more is a slip or an attack.


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed TOML file. `lines` has the line of every key and list item, counted from 1."""

    path: FilePath
    values: Mapping[str, object] = field(repr=False)  # May hold secrets.
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """Return the line of a key, or of the nearest table around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def value(self, path: Path) -> Any:
        """Return a value as the file has it. None: it has not."""
        return value_at(self.values, path)


def value_at(values: Any, path: Path) -> Any:
    """Return what stands at a path through tables and lists. None: nothing."""
    for part in path:
        if isinstance(values, dict):
            values = values.get(part)
        else:
            is_item = isinstance(values, list) and isinstance(part, int) and part < len(values)
            values = values[part] if is_item else None
    return values


def find_config(explicit: FilePath | None, environ: Mapping[str, str]) -> FilePath:
    """Return the config file to use: the one that was named, else the first that exists of the usual places.

    Raises ConfigError with the places and the remedy.
    """
    if explicit is not None:
        return _named(explicit, "-c")
    if named := environ.get(CONFIG_VARIABLE):
        return _named(expanded(named), f"${CONFIG_VARIABLE}")
    places = [FilePath("config.toml")]
    if home := environ.get("HOME"):
        places.append(FilePath(home) / ".config" / "guard" / "config.toml")
    places.append(FilePath("/etc/guard/config.toml"))
    for place in places:
        if _exists(place):
            return place
    looked = ", ".join(f"./{place}" if not place.is_absolute() else str(place) for place in places)
    raise ConfigError(
        f"no config file: looked at {looked} (${CONFIG_VARIABLE} is not set); "
        "start from config.example.toml, name another file with `-c FILE`; `guard demo` needs none"
    )


def read_document(path: FilePath) -> Document:
    """Read a TOML file. Raises ConfigError with line and column where it is not TOML."""
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_MAX + 1)
        if len(content) > _SIZE_MAX:
            raise ConfigError(f"{path}: is larger than {_SIZE_MAX:,} bytes, expected a guard config")
        text = content.decode("utf-8-sig").replace("\r\n", "\n")  # Windows editors write a byte order mark.
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: byte {error.start} is not UTF-8 text, expected a TOML file saved as UTF-8"
        ) from None
    try:
        return Document(path=path, values=tomllib.loads(text), lines=_lines(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_problem(path, str(error), text)) from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{path}: tables nested too deeply, or a number too long, expected a guard config") from None


def expanded(name: str) -> FilePath:
    """Return a path with `~` resolved."""
    try:
        return FilePath(name).expanduser()
    except RuntimeError:  # "~somebody" who does not exist: then it is a name like any other.
        return FilePath(name)


def _named(path: FilePath, by: str) -> FilePath:
    what = "no such file"
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return path
        what = "that is no file"
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        what = f"cannot be opened: {error.strerror}"
    raise ConfigError(f"{path}: {what} (named by {by}); start from config.example.toml")


def _exists(path: FilePath) -> bool:
    try:
        return path.is_file()
    except OSError:  # A directory on the way is closed to us: there is no file for us there.
        return False


def _syntax_problem(path: FilePath, error: str, text: str) -> str:
    match = _TOML_PLACE.fullmatch(error)
    what = match["what"] if match else error
    line = int(match["line"]) if match and match["line"] else text.rstrip("\n").count("\n") + 1
    column = f" at column {match['column']}" if match and match["column"] else " at the end of the file"
    hint = ', expected a value; text, money, durations and percentages stand in "quotes"' if what == _UNQUOTED else ""
    return f"{path}:{line}: not TOML{column}: {what[:1].lower()}{what[1:]}{hint}"


def _lines(text: str) -> dict[Path, int]:
    """Return where each key stands. A second parser, used for positions only: values come from tomllib."""
    lines: dict[Path, int] = {}
    ends = [match.start() for match in re.finditer("\n", text)]

    def walk(node: Any, path: Path, line: int) -> int:
        """Note the lines of all that is inside; return the first of them, or the line of the key itself."""
        if len(path) > _DEPTH_MAX:
            raise RecursionError
        inner, first = node.inner(), line
        if isinstance(inner, dict):
            starts = []
            for key, child in inner.items():
                inside = (*path, key.inner())
                lines[inside] = bisect_left(ends, key.span().start) + 1
                starts += [lines[inside], walk(child, inside, lines[inside])]
            first = min(starts, default=line)
        elif isinstance(inner, list):
            for index, child in enumerate(inner):
                inside = (*path, index)
                below = walk(child, inside, line)
                lines[inside] = bisect_left(ends, child.span().start) + 1 if child.span().stop else below
        return first

    walk(spanned_toml.loads(text), (), 1)
    return lines
