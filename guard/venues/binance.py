"""Binance USD-M futures: one-way and hedge, isolated and cross, linear contracts.

Quirks beside those of the family, with source and date seen:
- v3 `positionRisk` carries neither leverage nor margin mode (ccxt PR 23225, 2024): both come from `symbolConfig`, which
  also says whether the exchange tops up by itself. The leverage in force is the row's notional by its
  `positionInitialMargin`, to eight digits (recorded, 2024-07), and no older than the row.
- v3 `account` does not say the asset mode: `accountConfig` does, and the position mode with it, for a weight of 5
  (`multiAssetsMargin` and `positionSide/dual` cost 30 each) (2026-07).
- Rows stand in `positionRisk` for open orders too; a position is what has a size (recorded answers, 2024-07).
- In multi-assets mode one ratio holds for the whole account, totalMaintMargin / totalMarginBalance, and isolated
  margin is off (-4168) (docs, 2026-07).
- Since 2025-12-09 orders that wait for a price are at the algo service, and `openOrders` has none (change log, seen
  2026-11).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from guard.errors import VenueUnavailable
from guard.snapshot import AssetMode, Contract, ContractKind, Gap, HaircutTier
from guard.venues.binance_account import Leg, PositionRow, Stated, open_legs
from guard.venues.binance_family import AccountState, BinanceVenue, Family
from guard.venues.protocol import VenueAccount
from guard.venues.rows import NotNegative, Number, Positive, Row, RowError, Word, read_row, rows_of

CHOICES_KEPT = timedelta(minutes=10)  # How long margin modes, leverages and asset mode are believed unasked.
WHOLE = Decimal("0.001")  # Of a leverage made of two figures: what their last digits may be worth.

USDM = Family(
    api="fapi",
    stream="linear",
    rule="binance usd-m",
    addresses=("fapiPublic", "fapiPrivate", "fapiPrivateV3"),
    test_hosts=frozenset({"testnet.binancefuture.com", "demo-fapi.binance.com", "fstream.binancefuture.com"}),
    positions="fapiPrivateV3GetPositionRisk",
    account="fapiPrivateV3GetAccount",
    brackets="fapiPrivateGetLeverageBracket",
    stops=("fapiPrivateGetOpenAlgoOrders",),
)


class BinanceUsdm(BinanceVenue):
    """One Binance USD-M account. In multi-assets mode nothing is isolated, so there is nothing to add to."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        super().__init__(account, USDM, now=now, fence=fence)
        self._configs: Mapping[str, SymbolConfig] = {}  # By Binance's symbol.
        self._choices_read_at: datetime | None = None
        # Open legs, and whether long, for which the choices were read. None: there was no snapshot yet.
        self._chosen_for: frozenset[tuple[Leg, bool]] | None = None

    async def open(self) -> None:
        await super().open()
        await self._read_choices()

    async def haircuts(self, assets: frozenset[str]) -> Mapping[str, tuple[HaircutTier, ...]]:
        found: dict[str, tuple[HaircutTier, ...]] = {}
        for raw in rows_of(await self._read("fapiPublicGetAssetIndex", {}), "assetIndex"):
            asset = str(raw.get("symbol")).removesuffix("USD") if isinstance(raw, dict) else ""
            if asset in assets:
                try:
                    buffer = read_row(_AssetIndex, raw).bid_buffer
                except RowError as error:
                    raise VenueUnavailable(f"assetIndex of {asset}: {error}") from None
                found[asset] = (HaircutTier(balance_floor=Decimal(0), haircut=buffer),)
        return found

    def _is_open(self) -> bool:
        return self._choices_read_at is not None

    def _account_state(self, answer: object) -> AccountState:
        try:
            totals = read_row(_AccountTotals, answer)
        except RowError as error:
            raise VenueUnavailable(f"account: {error}") from None
        ratio, gaps = self._account_ratio(totals)
        return AccountState(
            assets=totals.assets,
            positions=totals.positions,
            held=max(totals.total_maint_margin, totals.total_position_initial_margin),
            margin_ratio=ratio,
            gaps=gaps,
        )

    def _account_ratio(self, totals: "_AccountTotals") -> tuple[Decimal | None, tuple[Gap, ...]]:
        if self._asset_mode is AssetMode.SINGLE:
            return None, ()
        if totals.total_margin_balance <= 0:
            reason = f"the account's margin balance is {totals.total_margin_balance:f}"
            return None, (Gap(subject="account margin ratio", reason=reason),)
        return totals.total_maint_margin / totals.total_margin_balance, ()

    def _terms(self, state: AccountState) -> "_UsdmTerms":  # noqa: ARG002  # The choices were read apart.
        return _UsdmTerms(contracts=self._contracts, configs=self._configs)

    def _contract(self, market: Mapping[str, Any]) -> Contract:
        return Contract(
            symbol=market["symbol"],
            kind=ContractKind.LINEAR,
            base=market["base"],
            settle=market["settle"],
            contract_size=Decimal(1),  # One base unit, for every USD-M contract.
        )

    async def _refresh(self, rows: list[object]) -> tuple[Gap, ...]:
        """Read markets and the user's choices again where these rows ask for it. A failure is a gap, not the end."""
        legs = open_legs(rows)
        sides = frozenset((leg, size > 0) for leg, size in legs.items())
        opened = self._chosen_for is not None and not sides <= self._chosen_for
        unconfigured = any(symbol not in self._configs for symbol, _ in legs)
        aged = self._choices_read_at is None or abs(self._now() - self._choices_read_at) > CHOICES_KEPT
        try:
            unknown = await self._load_unknown(legs)
            if unknown or opened or unconfigured or aged or _contradicts(rows, self._configs):
                await self._read_choices()
        except VenueUnavailable as error:
            return (Gap(subject="margin modes and leverages", reason=f"not read again: {error}"),)
        self._chosen_for = sides
        return ()

    async def _read_choices(self) -> None:
        """Read what the user chose: asset mode, and per symbol the margin mode and leverage."""
        started_at = self._now()
        answer = await self._read("fapiPrivateGetAccountConfig", {})
        rows = rows_of(await self._read("fapiPrivateGetSymbolConfig", {}), "symbolConfig")
        try:
            account = read_row(_AccountConfig, answer)
        except RowError as error:
            raise VenueUnavailable(f"accountConfig: {error}") from None
        configs: dict[str, SymbolConfig] = {}
        for row in rows:
            with suppress(RowError):  # A position of that symbol becomes a Gap that says so.
                config = read_row(SymbolConfig, row)
                configs[config.symbol] = config
        self._asset_mode = AssetMode.MULTI if account.multi_assets_margin else AssetMode.SINGLE
        self._configs = configs
        self._choices_read_at = started_at


class SymbolConfig(Row):
    """GET /fapi/v1/symbolConfig: chosen by the user, per symbol, and not part of v3 position rows."""

    symbol: Word
    margin_type: Literal["CROSSED", "ISOLATED"]
    is_auto_add_margin: bool
    leverage: Positive


class _AccountConfig(Row):
    """GET /fapi/v1/accountConfig."""

    dual_side_position: bool
    multi_assets_margin: bool


class _AssetIndex(Row):
    """GET /fapi/v1/assetIndex: in multi-assets mode a balance counts at its index price less this share of it."""

    bid_buffer: NotNegative = Field(le=1)


class _AccountTotals(Row):
    """The envelope of GET /fapi/v3/account."""

    total_maint_margin: NotNegative
    total_margin_balance: Number
    total_position_initial_margin: NotNegative
    assets: list[object]
    positions: list[object]


class _PositionRisk(PositionRow):
    """What we read of GET /fapi/v3/positionRisk."""

    isolated_wallet: Number  # Without unrealized PnL. "0" for cross.
    notional: Number  # Signed as the position is.
    maint_margin: NotNegative
    margin_asset: Word


class _Initial(Row):
    """The part of a position row that need not be there: what the position's leverage asks for at the mark price."""

    position_initial_margin: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class _UsdmTerms:
    """Contracts and the user's choices, by Binance's symbol. See guard.venues.binance_account.Terms."""

    contracts: Mapping[str, Contract]
    configs: Mapping[str, SymbolConfig]

    @property
    def account_tells_wallets(self) -> bool:
        return True

    def stated(self, raw: object, contract: Contract) -> Stated:  # noqa: ARG002  # Its size is one.
        row = read_row(_PositionRisk, raw)
        config = self.configs.get(row.symbol)
        if config is None:
            raise RowError("its margin mode is not known (no symbolConfig)")
        return Stated(
            row=row,
            is_isolated=config.margin_type == "ISOLATED",
            isolated_wallet=row.isolated_wallet,
            notional=row.notional,
            margin_asset=row.margin_asset,
            leverage=_leverage(raw, row.notional) or config.leverage,
            auto_add_margin=config.is_auto_add_margin,
            maintenance_margin=row.maint_margin,
        )

    def is_isolated(self, raw: Mapping[str, object]) -> bool:
        config = self.configs.get(str(raw.get("symbol")))
        return config is not None and config.margin_type == "ISOLATED"


def _leverage(raw: object, notional: Decimal) -> Decimal | None:
    """Return the leverage that a position row itself makes. None: it makes none, and they are whole numbers."""
    try:
        made = abs(notional) / read_row(_Initial, raw).position_initial_margin
    except RowError:
        return None
    whole = made.to_integral_value()
    return whole if whole >= 1 and abs(made - whole) <= WHOLE * whole else None


def _contradicts(rows: list[object], configs: Mapping[str, SymbolConfig]) -> bool:
    """Say whether a cross position holds isolated margin, or an isolated one none: the user's choices have moved."""
    for raw in rows:
        try:
            row = read_row(_PositionRisk, raw)
        except RowError:
            continue
        config = configs.get(row.symbol)
        if config and row.position_amt and (config.margin_type == "ISOLATED") != (row.isolated_wallet != 0):
            return True
    return False
