"""Moves of prices as people write them: one on a command line, or many in a CSV or TOML file.

`-20%` moves every coin but the dollar stablecoins; `BTC=-15%,ETH=-25%` these coins, and the others stand still;
`-20%,BTC=-10%` these coins, and every other with the market.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path as FilePath

from guard.config.document import Document, read_document
from guard.config.problems import Path, Place, Problems, shown
from guard.errors import ConfigError
from guard.margin.books import Shock

MARKET = "market"
HIGHEST = Decimal(10_000)  # As a fraction: beyond it a slip of the finger is likelier than a market.

_MOVE = re.compile(r"([+-]?)(\d{1,7}(?:\.\d{1,9})?)\s?%", re.ASCII)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s?%", re.ASCII)
_BARE = re.compile(r"[+-]?\d{1,7}(?:\.\d{1,9})?", re.ASCII)
_COIN = re.compile(r"[^\s=,:/%]{1,30}")
_SIZE_MAX = 1_000_000  # Bytes of a CSV file.


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A shock and the name it goes by."""

    name: str
    shock: Shock


def scenario(text: str) -> Scenario:
    """Return what is written on a command line. Raises ValueError with what was expected."""
    moves: dict[str, str] = {}
    for part in text.split(","):
        coin, separator, written = part.partition("=")
        name = coin.strip() if separator else MARKET
        if name in moves:
            raise ValueError(f"{shown((), text)} moves {name} twice")
        moves[name] = written if separator else coin
    return Scenario(name=text.strip(), shock=_shock(moves.items()))


def share(text: str) -> Decimal:
    """Return a part of the way, "50%" as 0.5. Raises ValueError with what was expected."""
    match = _SHARE.fullmatch(text.strip())
    part = Decimal(match[1]) / 100 if match else None
    if part is None or not 0 < part <= 1:
        raise ValueError(f"found {shown((), text)}, expected a part of the way above 0% up to 100%, such as 50%")
    return part


def read_scenarios(path: FilePath) -> tuple[Scenario, ...]:
    """Return the scenarios of a file: `.csv` has one a line, everything else is TOML with [[scenarios]].

    Raises ConfigError with every problem, as `file:line: name: what was found, what was expected`.
    """
    if path.suffix.lower() == ".csv":
        problems = Problems(lambda _: Place(0, str(path)))
        rows = _csv_rows(path, problems)
    else:
        document = read_document(path)
        problems = Problems(lambda key: Place(0, str(path), document.line(key) if key else 0))
        rows = _toml_rows(document, problems)
    found = [_named(row, problems) for row in rows]
    if not found and not problems:
        problems.add((), "no scenario in it, expected at least one")
    if problems:
        raise ConfigError(*problems.lines())
    return tuple(one for one in found if one is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    place: Place | None  # None: as the key's own.
    root: Path
    name: object
    moves: Mapping[str, object]  # By coin, as they are written.


def _named(row: _Row, problems: Problems) -> Scenario | None:
    if not isinstance(row.name, str) or not row.name.strip():
        problems.add((*row.root, "name"), "is missing, expected a name for the scenario", place=row.place)
    moves: dict[str, str] = {}
    for coin, written in row.moves.items():
        try:
            if not isinstance(written, str):
                raise ValueError(f"found {shown((), written)}, expected a move in quotes, as '-15%'")  # noqa: TRY004, TRY301  judged like every other text.
            _shock([(coin, written)])
            moves[coin] = written
        except ValueError as error:
            problems.add((*row.root, coin), str(error), place=row.place)
    if not row.moves:
        problems.add(row.root, "moves nothing, expected a market or a coin with its move", place=row.place)
    return None if problems else Scenario(name=str(row.name).strip(), shock=_shock(moves.items()))


def _shock(moves: Iterable[tuple[str, str]]) -> Shock:
    coins: dict[str, Decimal] = {}
    market = Decimal(0)
    for coin, written in moves:
        move = _move(written)
        if coin == MARKET:
            market = move
        elif coin == "USD":
            raise ValueError("USD cannot move: prices are counted in it")
        elif _COIN.fullmatch(coin) is None:
            raise ValueError(f"found {shown((), coin)}, expected a coin such as BTC, or {MARKET}")
        else:
            coins[coin] = move
    return Shock(market=market, coins=coins)


def _move(written: str) -> Decimal:
    text = written.strip().replace("\N{MINUS SIGN}", "-")
    match = _MOVE.fullmatch(text)
    if match is None:
        hint = f": write {text}%" if _BARE.fullmatch(text) else ""
        raise ValueError(f"found {shown((), written)}, expected a move in percent such as -20% or +15%{hint}")
    sign, digits = match.groups()
    move = Decimal(f"{sign}{digits}") / 100
    if move and not sign:
        raise ValueError(f"found {shown((), written)}, expected a sign: +{digits}% or -{digits}%")
    if not -1 < move <= HIGHEST:
        raise ValueError(f"found {shown((), written)}, expected more than -100% and at most +{HIGHEST * 100:,f}%")
    return move


def _toml_rows(document: Document, problems: Problems) -> Iterator[_Row]:
    for key in document.values:
        if key != "scenarios":
            problems.add((key,), "unknown key, expected [[scenarios]]")
    tables = document.values.get("scenarios", [])
    for index, table in enumerate(tables if isinstance(tables, list) else [tables]):
        root: Path = ("scenarios", index)
        if not isinstance(table, dict):
            problems.add(root, f"found {shown((), table)}, expected a table")
            continue
        name = table.get("name")
        moves = {coin: written for coin, written in table.items() if coin != "name"}
        yield _Row(place=None, root=root, name=name, moves=moves)


def _csv_rows(path: FilePath, problems: Problems) -> Iterator[_Row]:
    """Yield a row for each line. An empty cell is no move."""
    lines = csv.reader(io.StringIO(_text(path)), strict=True)
    try:
        header = [cell.strip() for cell in next(lines, [])]
        if "name" not in header or len(set(header)) < len(header):
            expected = "expected each column once, name among them, as name,market,BTC,ETH"
            raise ConfigError(f"{path}:1: found {shown((), ','.join(header))}, {expected}")
        for cells in lines:
            place = Place(0, str(path), lines.line_num)
            if len(cells) > len(header):
                problems.add((), f"found {len(cells)} cells, expected {len(header)} as in the first line", place=place)
            written = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            moves = {coin: move for coin, move in written.items() if coin != "name" and move}
            if any(written.values()):
                yield _Row(place=place, root=(), name=written.get("name"), moves=moves)
    except csv.Error as error:
        raise ConfigError(f"{path}:{lines.line_num}: not CSV: {error}") from None


def _text(path: FilePath) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_SIZE_MAX + 1)
        if len(content) > _SIZE_MAX:
            raise ConfigError(f"{path}: is larger than {_SIZE_MAX:,} bytes, expected a file of scenarios")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8 text, expected a CSV file saved as UTF-8") from None
