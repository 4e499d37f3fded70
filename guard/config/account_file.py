"""An account written by hand (design 4.3), in TOML or JSON, turned into pools or refused with all that is wrong."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from guard import margin
from guard.config.account_tables import (
    AccountTable,
    CollateralTable,
    HaircutTierTable,
    PositionTable,
    TierTable,
    symbol_parts,
)
from guard.config.document import read_document
from guard.config.problems import Path, Place, Problems, did_you_mean, dotted, shown
from guard.errors import ConfigError
from guard.margin import (
    HaircutBasis,
    HedgeNetting,
    Leg,
    MaintenanceBasis,
    MarginPool,
    MarginRule,
    TierBasis,
    isolated_pool,
    leg_of,
    obstacle_of,
)
from guard.margin.books import Book, Holding, cross_book_pool, isolated_book_pool
from guard.snapshot import (
    Collateral,
    Contract,
    ContractKind,
    HaircutTier,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    RiskTier,
    Side,
)

Table = TypeVar("Table", bound=BaseModel)

_TABLES: dict[str, type[BaseModel]] = {
    "collateral": CollateralTable,
    "haircut_tiers": HaircutTierTable,
    "positions": PositionTable,
    "tiers": TierTable,
}
_OF_THE_CROSS_POOL = ("other_maintenance_margin", "other_unrealized_pnl", "order_margin", "funding_due", "currency")
_EXPECTED = {
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "list_type": "expected a list of tables",
    "string_type": "expected text in quotes",
    "string_too_short": "expected a coin such as 'USDT'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPosition:
    """A position of an account file, and the pool it leans on: its own, or the account's cross pool."""

    position: Position
    leg: Leg
    pool: MarginPool
    beta: Decimal  # For stress: price x (1 + move) ** beta.


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenAccount:
    positions: tuple[WrittenPosition, ...]  # In the order of the file.
    cross_pool: MarginPool | None  # None: no position is cross.
    idle_wallet: MarginPool | None = None  # The wallet that could back cross positions where there are none.

    @property
    def book(self) -> Book:
        """Return the account as its pools: the cross pool first, then the isolated ones in the file's order."""
        held = [(Holding(position=one.position, leg=one.leg, beta=one.beta), one.pool) for one in self.positions]
        isolated = [isolated_book_pool(one, pool) for one, pool in held if pool is not self.cross_pool]
        if self.cross_pool is None:
            idle = () if self.idle_wallet is None else (cross_book_pool((), self.idle_wallet),)
            return Book(pools=(*idle, *isolated))
        members = tuple(one for one, pool in held if pool is self.cross_pool)
        return Book(pools=(cross_book_pool(members, self.cross_pool), *isolated))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFile:
    accounts: tuple[WrittenAccount, ...]
    is_list: bool  # The file holds a list of accounts, and the answer is one too.


def read_account_file(path: FilePath) -> AccountFile:
    """Return the accounts of a file; `.json` is JSON, everything else TOML.

    Raises ConfigError with every problem, as `file: dotted.key: what was found, what was expected` (TOML: file:line).
    """
    is_json = path.suffix.lower() == ".json"
    if is_json:
        problems, written = Problems(lambda _: Place(0, str(path))), _read_json(path)
    else:
        document = read_document(path)
        problems = Problems(lambda where: Place(0, str(path), document.line(where)))
        written = dict(document.values)
    return _accounts(written, problems)


def read_account_text(text: str, name: str) -> AccountFile:
    """Return the accounts of a JSON text. Raises ConfigError, with `name` as the place."""
    return _accounts(json.loads(text), Problems(lambda _: Place(0, name)))


def _accounts(written: Any, problems: Problems) -> AccountFile:
    is_list = isinstance(written, list)  # Only JSON can hold one.
    roots: list[tuple[Path, Any]] = (
        [((index,), item) for index, item in enumerate(written)] if is_list else [((), written)]
    )
    accounts = [_account(root, item, problems) for root, item in roots]
    if problems:
        raise ConfigError(*problems.lines())
    return AccountFile(accounts=tuple(account for account in accounts if account is not None), is_list=is_list)


def _read_json(path: FilePath) -> Any:
    try:
        return json.loads(path.read_bytes(), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not JSON at column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8 text, expected a JSON file") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply, expected an account or a list of accounts") from None
    except _RepeatedKey as error:
        raise ConfigError(f"{path}: {error}: found twice in one table, expected once") from None


class _RepeatedKey(Exception):
    pass


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise _RepeatedKey(next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index])))
    return table


def _account(root: Path, written: Any, problems: Problems) -> WrittenAccount | None:
    """Return one account; None, with the problems noted, where it cannot be."""
    account = _table(AccountTable, root, written, problems)
    lists = written if isinstance(written, dict) else {}
    collateral = list(_rows(CollateralTable, (*root, "collateral"), lists.get("collateral"), problems))
    positions = list(_rows(PositionTable, (*root, "positions"), lists.get("positions"), problems))
    _check_together(root, account, collateral, positions, problems)
    if problems or account is None:
        return None
    built = _built(account, [row for _, row in collateral], [row for _, row in positions])
    for pool in (built.cross_pool, *(entry.pool for entry in built.positions)):
        obstacle = None if pool is None else obstacle_of(pool)
        if obstacle is not None and not problems:
            problems.add(root, obstacle)
    return built


def _rows(kind: type[Table], root: Path, written: Any, problems: Problems) -> Iterator[tuple[Path, Table]]:
    for index, item in enumerate(written if isinstance(written, list) else []):
        row = _table(kind, (*root, index), item, problems)
        if row is not None:
            yield (*root, index), row


def _table(kind: type[Table], root: Path, written: Any, problems: Problems) -> Table | None:
    try:
        return kind.model_validate(written)
    except ValidationError as failure:
        for error in failure.errors(include_url=False):
            path = (*root, *error["loc"])
            if not problems.touch(path):
                problems.add(path, _text(path, error))
        return None


def _text(path: Path, error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        lists = [part for part in path[:-1] if isinstance(part, str)]
        known = (_TABLES[lists[-1]] if lists else AccountTable).model_fields
        return f"unknown key, expected one of {', '.join(sorted(known))}{did_you_mean(str(path[-1]), known)}"
    if kind == "missing":
        return "is missing, and there is no default"
    if kind == "literal_error":
        expected = f"expected {error['ctx']['expected']}"
    else:
        expected = str(error["ctx"]["error"]) if kind == "value_error" else _EXPECTED.get(kind, error["msg"])
    found = error["input"]
    if expected.startswith(("is ", "tier ", "maintenance_amount ")):
        return expected
    return f"found {shown(path, found)}, {expected}"


def _check_together(
    root: Path,
    account: AccountTable | None,
    collateral: list[tuple[Path, CollateralTable]],
    positions: list[tuple[Path, PositionTable]],
    problems: Problems,
) -> None:
    """Note what no single row can know."""
    marks: dict[str, tuple[Path, Decimal]] = {}
    for path, row in positions:
        first, mark = marks.setdefault(row.symbol, (path, row.mark_price))
        if mark != row.mark_price:
            problems.add(
                (*path, "mark_price"),
                f"found {row.mark_price:f}, expected {mark:f} as in {dotted(first)}: one symbol, one mark",
            )
    _check_betas(positions, problems)
    cross = [(path, row) for path, row in positions if row.margin_mode == "cross"]
    if cross:
        _check_currency(root, account, collateral, cross, problems)
    elif account is not None and positions:
        for key in _OF_THE_CROSS_POOL:
            if getattr(account, key):
                problems.add((*root, key), "found a part of the cross pool, expected none: no position is cross")


def _check_betas(positions: list[tuple[Path, PositionTable]], problems: Problems) -> None:
    betas: dict[str, tuple[Path, Decimal]] = {}
    for path, row in positions:
        coin = symbol_parts(row.symbol)[0]
        first, beta = betas.setdefault(coin, (path, row.beta))
        if beta != row.beta:
            problems.add(
                (*path, "beta"), f"found {row.beta:f}, expected {beta:f} as in {dotted(first)}: a coin has one price"
            )


def _check_currency(
    root: Path,
    account: AccountTable | None,
    collateral: list[tuple[Path, CollateralTable]],
    cross: list[tuple[Path, PositionTable]],
    problems: Problems,
) -> None:
    """Note what does not fit the one currency that the cross pool is counted in."""
    first = cross[0][0]
    stated = None if account is None else account.currency
    currency = stated or symbol_parts(cross[0][1].symbol)[2]
    priced = [row.asset for _, row in collateral]
    for path, row in cross:
        if row.wallet != cross[0][1].wallet:
            found, wanted = row.wallet or "none", cross[0][1].wallet or "none"
            problems.add(
                (*path, "wallet"), f"found {found}, expected {wanted} as in {dotted(first)}: one pool per file"
            )
        settle = symbol_parts(row.symbol)[2]
        if settle == currency or (stated is not None and settle in priced):
            continue
        expected = f"expected a row of collateral with the price of {settle} in {currency}"
        if stated is None:
            expected = (
                f"expected {currency} as in {dotted(first)}: one cross pool per file, and one of several currencies "
                "states its own (currency)"
            )
        problems.add((*path, "symbol"), f"found a cross position that settles in {settle}, {expected}")
    if account is not None and not account.collateral:
        problems.add((*root, "collateral"), f"is missing, expected the cross wallet that {dotted(first)} leans on")
    for index, (path, asset) in enumerate(collateral):
        if asset.asset in priced[:index]:
            problems.add((*path, "asset"), f"found {asset.asset} twice, expected one row for each asset")
        if asset.asset == currency and asset.price != 1:
            problems.add(
                (*path, "price"), f'found {asset.price:f}, expected "1": the pool is counted in {currency} itself'
            )


def _built(account: AccountTable, collateral: list[CollateralTable], rows: list[PositionTable]) -> WrittenAccount:
    legs = [leg_of(_position(row), _tiers(row), _rule(row)) for row in rows]
    cross = tuple(leg for leg, row in zip(legs, rows, strict=True) if row.margin_mode == "cross")
    currency = account.currency or (cross or legs)[0].contract.settle if legs else ""
    is_priced = all(row.price == 1 for row in collateral if row.asset == currency)
    pool = None
    if cross or (collateral and legs and is_priced):
        pool = MarginPool(
            currency=currency,
            margin_mode=MarginMode.CROSS,
            collateral=tuple(_collateral(row) for row in collateral),
            legs=cross,
            haircut_basis=HaircutBasis(account.haircut_basis),
            other_maintenance_margin=account.other_maintenance_margin,
            other_unrealized_pnl=account.other_unrealized_pnl,
            order_margin=account.order_margin,
            funding_due=account.funding_due,
            wallet=cross[0].contract.wallet if cross else "",
        )
    cross_pool, idle = (pool, None) if cross else (None, pool)
    return WrittenAccount(
        positions=tuple(_written(row, leg, cross_pool) for row, leg in zip(rows, legs, strict=True)),
        cross_pool=cross_pool,
        idle_wallet=idle,
    )


def _written(row: PositionTable, leg: Leg, cross_pool: MarginPool | None) -> WrittenPosition:
    pool = cross_pool if row.isolated_wallet is None else isolated_pool(leg, row.isolated_wallet)
    assert pool is not None, "a cross row makes a cross pool"
    return WrittenPosition(position=_position(row), leg=leg, pool=pool, beta=row.beta)


def _position(row: PositionTable) -> Position:
    base, _, settle = symbol_parts(row.symbol)
    contract = Contract(
        symbol=row.symbol,
        kind=ContractKind(row.contract),
        base=base,
        settle=settle,
        contract_size=row.contract_size,
        wallet=row.wallet,
    )
    return Position(
        contract=contract,
        side=Side[row.side.upper()],
        margin_mode=MarginMode(row.margin_mode),
        quantity=row.quantity,
        entry_price=row.entry_price,
        mark_price=row.mark_price,
        isolated_wallet=row.isolated_wallet,
        leverage=row.leverage,
        hedged=False,
        auto_add_margin=None,
        exchange_liquidation=Liquidation(kind=LiquidationKind.UNKNOWN),
        exchange_maintenance_margin=None,
        updated_at=None,
    )


def _collateral(row: CollateralTable) -> Collateral:
    tiers = tuple(HaircutTier(**tier.model_dump()) for tier in row.haircut_tiers)
    return Collateral(**{**row.model_dump(), "haircut_tiers": tiers})


def _tiers(row: PositionTable) -> margin.TierTable:
    return margin.TierTable.of(RiskTier(**tier.model_dump()) for tier in row.tiers)


def _rule(row: PositionTable) -> MarginRule:
    return MarginRule(
        liquidation_fee_rate=row.liquidation_fee_rate,
        maintenance_basis=MaintenanceBasis(row.maintenance_basis),
        tier_basis=TierBasis(row.tier_basis),
        hedge_netting=HedgeNetting(row.hedge_netting),
    )
