"""Hyperliquid's markets: names, indexes, and the margin tables that make a position's risk tiers.

Markets of a dex beside the main one (HIP-3) are read here and not by ccxt (4.5.90), which loads ten dexes or those it
is told, and takes USDC for every collateral unless it loaded currencies, with the writes that come with it.
Their symbols are ccxt's own: "xyz:TSLA" is XYZ-TSLA/USDC:USDC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from guard.snapshot import Contract, ContractKind, RiskTier
from guard.venues.hyperliquid_account import USDC, USDC_TOKEN
from guard.venues.rows import NotATruth, NotNegative, Positive, Row, RowError, Word, read_row

FLAT_TABLES_BELOW = 50  # A margin table of a lower id is one tier at that leverage and is not listed.
LAST_CAP = Decimal("1E+18")  # The last tier has no end.
FIRST_DEX_ASSET = 100_000  # A market is named by 100,000 + place of its dex x 10,000 + its own place there.
ASSETS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Markets:
    """The contracts of one dex, by Hyperliquid's coin and by unified symbol."""

    by_coin: Mapping[str, Contract] = field(default_factory=dict)
    coins: Mapping[str, str] = field(default_factory=dict)  # Unified symbol: coin.
    assets: Mapping[str, int] = field(default_factory=dict)  # Unified symbol: what a write names the market by.

    @staticmethod
    def of(rows: Iterable[Mapping[str, Any]], wallet: str = "") -> "Markets":
        """Return the contracts among ccxt's market rows. `wallet`: by its name, which one pays them."""
        swaps = [row for row in rows if row["swap"]]
        return Markets(
            by_coin={
                row["baseName"]: Contract(
                    symbol=row["symbol"],
                    kind=ContractKind.LINEAR,
                    base=row["base"],
                    settle=row["settle"],
                    contract_size=Decimal(1),  # One coin, or a thousand where its name begins with a small k.
                    wallet=wallet,
                )
                for row in swaps
            },
            coins={row["symbol"]: row["baseName"] for row in swaps},
            assets={row["symbol"]: int(row["baseId"]) for row in swaps},
        )


class _Listed(Row):
    name: Word
    sz_decimals: Annotated[int, NotATruth] = Field(ge=0)


class Collateral(Row):
    """In which token a dex's margin is counted, as its meta says."""

    collateral_token: Annotated[int, NotATruth] = Field(ge=0)


class _Token(Row):
    index: Annotated[int, NotATruth]
    name: Word


class _Tokens(Row):
    """POST /info spotMeta."""

    tokens: list[object]


class _Asset(Row):
    name: Word
    max_leverage: Positive
    margin_table_id: int = Field(gt=0)


class _Tier(Row):
    lower_bound: NotNegative
    max_leverage: Positive


class _Table(Row):
    margin_tiers: list[_Tier] = Field(min_length=1)


class Meta(Row):
    """POST /info meta: the markets of a dex, and their margin tables as pairs of id and table."""

    universe: list[object]
    margin_tables: list[tuple[int, dict[str, Any]]]


def read_currency(spot_meta: object, token: int) -> str:
    """Return what a token is called. Raises RowError."""
    listed = [one for one in read_row(_Tokens, spot_meta).tokens if isinstance(one, dict)]
    names = {read_row(_Token, one).name for one in listed if one.get("index") == token}
    if len(names) != 1:
        raise RowError(f"token {token} has {len(names)} names, expected one")
    name = names.pop()
    if (name == USDC) is not (token == USDC_TOKEN):
        raise RowError(f"token {token} is called {name}, and USDC is token {USDC_TOKEN}")
    return name


def dex_markets(client: Any, meta: Meta, *, dex: str, place: int, currency: str) -> Markets:
    """Return the markets of a dex beside the main one, and let ccxt know them, as its stream of marks needs.

    `place`: of the dex in perpDexs, where the main one is 0; a write names a market by both places (docs, asset IDs,
    2026-09). A market that cannot be read, or would have another's symbol, is left out: a position in it is a Gap.
    """
    rows: dict[str, dict[str, Any]] = {}
    twice: set[str] = set()
    for index, raw in enumerate(meta.universe[:ASSETS_MAX]):
        try:
            listed = read_row(_Listed, raw)
        except RowError:
            continue
        if not listed.name.startswith(f"{dex}:"):
            continue
        asset = FIRST_DEX_ASSET + place * ASSETS_MAX + index
        row = client.parse_market(
            {"name": listed.name, "szDecimals": listed.sz_decimals, "baseId": asset, "collateralTokenName": currency}
        )
        twice |= {row["symbol"]} & rows.keys()
        rows[row["symbol"]] = row
    mine = [row for symbol, row in rows.items() if symbol not in twice]
    known = client.options.setdefault("hip3TokensByName", {})
    known |= {row["baseName"]: {"quote": row["quote"], "code": row["base"]} for row in mine}
    client.markets = {**(client.markets or {}), **{row["symbol"]: row for row in mine}}
    return Markets.of(mine, wallet=dex)


def read_tiers(meta: Meta, coin: str) -> tuple[RiskTier, ...]:
    """Return a coin's tiers, ascending. Raises RowError.

    The rate is half of one over the tier's highest leverage, whatever leverage the user chose; the amounts make the
    requirement run on without a jump (docs, margin tiers, 2026-09).
    """
    asset = next((read_row(_Asset, raw) for raw in meta.universe if _is_named(raw, coin)), None)
    if asset is None:
        raise RowError(f"coin {coin!r} is not listed")
    if asset.margin_table_id < FLAT_TABLES_BELOW:
        steps = [(Decimal(0), Decimal(asset.margin_table_id))]
    else:
        tables = dict(meta.margin_tables)
        if asset.margin_table_id not in tables:
            raise RowError(f"margin table {asset.margin_table_id} is not listed")
        rows = read_row(_Table, tables[asset.margin_table_id]).margin_tiers
        steps = sorted((row.lower_bound, row.max_leverage) for row in rows)
    if steps[0] != (Decimal(0), asset.max_leverage):
        raise RowError(f"its tiers begin at {steps[0]}, its highest leverage is {asset.max_leverage}")
    if [leverage for _, leverage in steps] != sorted((leverage for _, leverage in steps), reverse=True):
        raise RowError("a higher tier allows more leverage than a lower one")
    return _tiers(steps)


def _is_named(raw: object, coin: str) -> bool:
    return isinstance(raw, dict) and raw.get("name") == coin


def _tiers(steps: list[tuple[Decimal, Decimal]]) -> tuple[RiskTier, ...]:
    caps = [*(floor for floor, _ in steps[1:]), LAST_CAP]
    tiers: list[RiskTier] = []
    amount, rate_before = Decimal(0), Decimal(0)
    for (floor, leverage), cap in zip(steps, caps, strict=True):
        rate = 1 / (2 * leverage)
        amount += floor * (rate - rate_before)
        rate_before = rate
        tiers.append(
            RiskTier(notional_floor=floor, notional_cap=cap, maintenance_margin_rate=rate, maintenance_amount=amount)
        )
    return tuple(tiers)
