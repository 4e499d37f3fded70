"""Where a value was written, and what is wrong with it: one line each, all of them at once."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

Path = tuple[str | int, ...]  # ("rules", 0, "top_up", "trigger")

SECRET_KEYS = frozenset({"api_key", "secret", "password", "token"})
_NEVER_SHOWN = (
    SECRET_KEYS | {f"{key}_file" for key in SECRET_KEYS} | {"url"}
)  # A key pasted one line too low is one too.
_HIDDEN_MIN = 8  # Letters of a secret that is looked for in other values: a shorter one is in every second word.
_PIECE = 10  # Letters of a secret that must not be told in a row.
_SHOWN_MAX = 60  # Characters of a value that an error repeats.
_WORD_MAX = 200  # Characters of a key or variable that is worth a guess.


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A source of values. They sort as a person works through them: the file by line, then everything else."""

    rank: int  # 0: the config file, 1: the environment, 2: a secret file.
    source: str
    line: int = 0  # 0: the source has no lines.

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source


class Problems:
    """Collects what is wrong, each thing once."""

    def __init__(self, place_of: Callable[[Path], Place]) -> None:
        self._place_of = place_of
        self._found: dict[tuple[Place, Path], str] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: Path, text: str, *, place: Place | None = None) -> None:
        """Note a problem at a key. A second one at the same key and place is dropped: it follows from the first."""
        self._found.setdefault((place or self._place_of(path), path), text)

    def touch(self, *paths: Path) -> bool:
        """Tell whether one of these keys, or something inside or around it, is already known to be wrong."""
        known = [path for _, path in self._found if path]
        return any(path[: len(other)] == other[: len(path)] for path in paths for other in known)

    def lines(self) -> tuple[str, ...]:
        """Return `place: dotted.key: text`, sorted by place."""
        ordered = sorted(self._found.items(), key=lambda item: (item[0][0], dotted(item[0][1])))
        return tuple(
            printable(": ".join(part for part in (str(place), dotted(path), text) if part))
            for (place, path), text in ordered
        )


def dotted(path: Path) -> str:
    """Return a path as people write it: rules[0].top_up.trigger."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{shortened(part)}"
    return text.removeprefix(".")


def printable(text: str) -> str:
    """Return text that does nothing to a terminal: a key or a file name may hold anything."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX // 2]}…"


def shown(path: Path, value: object) -> str:
    """Return a value as an error may repeat it: never a secret, nor what may hold one."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if _NEVER_SHOWN & set(path):
        return "a value (not shown)"
    if isinstance(value, bool):
        return str(value).lower()
    endless = isinstance(value, int) and value.bit_length() > _SHOWN_MAX  # Python refuses to print the longest.
    text = "a very long number" if endless else str(value)
    return repr(shortened(text)) if isinstance(value, str) else shortened(text)


def without_secrets(lines: Iterable[str], values: object) -> tuple[str, ...]:
    """Return lines without the secrets that stand in values, also where one was pasted a second time, whole or spoiled.

    Of an address only the whole is hidden, for addresses begin alike.
    """
    secrets = tuple(_secrets_in(values))
    hidden = {text for _, value in secrets for text in (value, shortened(value).removesuffix("…"))}
    longest_first = sorted((text for text in hidden if len(text) >= _HIDDEN_MIN), key=len, reverse=True)
    pieces = {
        piece
        for key, value in secrets
        if key in SECRET_KEYS
        for piece in _pieces(value)
        if any(letter.isdigit() for letter in piece)  # Else words of ours would be hidden: a credential, for one.
    }
    return tuple(_without_pieces(_without(line, longest_first), pieces) for line in lines)


def _without(line: str, hidden: Iterable[str]) -> str:
    for text in hidden:
        line = line.replace(text, "***")
    return line


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + _PIECE] for at in range(len(text) - _PIECE + 1))


def _without_pieces(line: str, pieces: set[str]) -> str:
    """Return a line without the stretches that it has in common with a secret, from `_PIECE` letters up."""
    ends = [at + _PIECE if piece in pieces else 0 for at, piece in enumerate(_pieces(line))]
    kept, hidden_to = [], 0
    for at, letter in enumerate(line):
        end = ends[at] if at < len(ends) else 0
        if end and at >= hidden_to:
            kept.append("***")
        hidden_to = max(hidden_to, end)
        if at >= hidden_to:
            kept.append(letter)
    return "".join(kept)


def _secrets_in(values: object) -> Iterator[tuple[str, str]]:
    """Yield keys and their secrets."""
    if isinstance(values, list):
        for inner in values:
            yield from _secrets_in(inner)
    elif isinstance(values, dict):
        for key, inner in values.items():
            if isinstance(inner, str) and (key in SECRET_KEYS | {"url"} or "proxy" in key.lower()):
                yield key, inner
            else:
                yield from _secrets_in(inner)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?`, or nothing where no known word comes near."""
    if len(word) > _WORD_MAX:
        return ""
    near = difflib.get_close_matches(word, tuple(known), n=1, cutoff=0.6)
    return f", did you mean '{near[0]}'?" if near else ""


def percent_text(fraction: Decimal) -> str:
    """Return a fraction as its owner would write it: 0.08 is 8%."""
    return f"{(fraction * 100).normalize():f}%"
