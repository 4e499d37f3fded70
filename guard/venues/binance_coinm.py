"""Binance COIN-M futures: inverse contracts, perpetual and dated; margin, requirement and brackets in the coin itself.

Quirks beside those of the family, with source and date seen:
- One request less than USD-M: `positionRisk` (v1, weight 1) lists every symbol, held or not, with leverage, margin mode
  and auto-margin in the row, and "0.00000000" as the mark of what is not held (recorded answer, 2024-07-27). There are
  no `symbolConfig` and no `accountConfig` (ccxt 4.5.90), and no multi-assets mode.
- Its rows have no maintenance margin: `account` (v1, weight 5) does, per position. Both state size and margin mode.
- The documents (and Binance's SDK of 2026-08) leave out `isolatedWallet` and `notionalValue`, the recorded answers
  have them. Without `isolatedWallet` the margin is isolatedMargin - unRealizedProfit, which is what it means; with it
  the two must agree.
- Contract sizes are dollars: 100 for BTC, 10 for the others, as exchangeInfo's `contractSize` says.
- Brackets (`v2/leverageBracket`) count coins: `qtyCap`, and a floor that is `qtyFloor` on the wire (ccxt 4.5.90) and
  `qtylFloor` in the documents (2026-11). ccxt's unified tiers call the currency USD.
- `premiumIndex` is a list, also for one symbol (docs, 2026-11).
- History rows have no documented `deltaType`: what trades and the exchange itself moved cannot be told from what a
  person added (SDK, 2026-08). A journal without a past therefore watches only, until `guard arm`, where a position
  was open before.
- Orders that wait for a price may be at the algo service (undocumented, but there: ccxt 4.5.90) or in `openOrders`,
  so both are read.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from guard.errors import VenueUnavailable
from guard.margin import contract_value
from guard.snapshot import Contract, ContractKind
from guard.venues.binance_account import Amount, Leg, PositionRow, Stated, held_margin
from guard.venues.binance_family import AccountState, BinanceVenue, Family
from guard.venues.protocol import VenueAccount
from guard.venues.rows import NotNegative, Number, Positive, Row, RowError, read_row

COINM = Family(
    api="dapi",
    stream="inverse",
    rule="binance coin-m",
    addresses=("dapiPublic", "dapiPrivate", "dapiPrivateV2"),
    test_hosts=frozenset({"testnet.binancefuture.com", "demo-dapi.binance.com", "dstream.binancefuture.com"}),
    positions="dapiPrivateGetPositionRisk",
    account="dapiPrivateGetAccount",
    brackets="dapiPrivateV2GetLeverageBracket",
    stops=("dapiPrivateGetOpenAlgoOrders", "dapiPrivateGetOpenOrders"),
)
ROUNDING = Decimal("0.0000001")  # Of a coin: two figures of eight decimals each, rounded apart.


class BinanceCoinm(BinanceVenue):
    """One Binance COIN-M account: one wallet for each coin."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        super().__init__(account, COINM, now=now, fence=fence)

    def _account_state(self, answer: object) -> AccountState:
        try:
            account = read_row(_Account, answer)
        except RowError as error:
            raise VenueUnavailable(f"account: {error}") from None
        return AccountState(assets=account.assets, positions=account.positions, held=held_margin(account.assets))

    def _terms(self, state: AccountState) -> "_CoinmTerms":
        told: dict[Leg, _AccountPosition] = {}
        for raw in state.positions:
            with suppress(RowError):  # Then a position lacks its maintenance margin; nothing else rests on it.
                row = read_row(_AccountPosition, raw)
                told[row.symbol, row.position_side] = row
        return _CoinmTerms(contracts=self._contracts, told=told)

    def _contract(self, market: Mapping[str, Any]) -> Contract:
        return Contract(
            symbol=market["symbol"],
            kind=ContractKind.INVERSE,
            base=market["base"],
            settle=market["settle"],
            contract_size=read_row(_Market, market["info"]).contract_size,
        )


class _Market(Row):
    """One symbol of GET /dapi/v1/exchangeInfo."""

    contract_size: Positive  # Dollars.


class _Account(Row):
    """The envelope of GET /dapi/v1/account."""

    assets: list[object]
    positions: list[object]


class _AccountPosition(Amount):
    """What GET /dapi/v1/account says of a position beside its size."""

    isolated: bool
    maint_margin: NotNegative


class _PositionRisk(PositionRow):
    """What we read of GET /dapi/v1/positionRisk."""

    un_realized_profit: Number
    isolated_margin: Number  # With unrealized PnL. "0.00000000" for cross.
    leverage: Positive
    margin_type: Literal["cross", "isolated"]
    is_auto_add_margin: bool


class _IsolatedWallet(Row):
    isolated_wallet: Number


class _NotionalValue(Row):
    notional_value: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class _CoinmTerms:
    """Contracts by Binance's symbol, and what `account` told of each leg. See guard.venues.binance_account.Terms."""

    contracts: Mapping[str, Contract]
    told: Mapping[Leg, _AccountPosition]

    @property
    def account_tells_wallets(self) -> bool:
        return False  # Undocumented there; the row's own isolatedMargin and profit bear it out.

    def stated(self, raw: object, contract: Contract) -> Stated:
        row = read_row(_PositionRisk, raw)
        is_isolated = row.margin_type == "isolated"
        told = self.told.get((row.symbol, row.position_side))
        if told is not None and told.isolated != is_isolated:
            raise RowError(f"positionRisk says {row.margin_type}, account says isolated: {told.isolated}")
        return Stated(
            row=row,
            is_isolated=is_isolated,
            isolated_wallet=_isolated_wallet(row, raw) if is_isolated else row.isolated_margin,
            notional=_notional(row, raw, contract),
            margin_asset=contract.settle,
            leverage=row.leverage,
            auto_add_margin=row.is_auto_add_margin,
            maintenance_margin=None if told is None else told.maint_margin,
        )

    def is_isolated(self, raw: Mapping[str, object]) -> bool:
        return raw.get("marginType") == "isolated"


def _isolated_wallet(row: _PositionRisk, raw: object) -> Decimal:
    """Return the margin without unrealized PnL. Raises RowError when the row says two things about it."""
    meant = row.isolated_margin - row.un_realized_profit
    if not isinstance(raw, dict) or "isolatedWallet" not in raw:
        return meant
    stated = read_row(_IsolatedWallet, raw).isolated_wallet
    if abs(stated - meant) > ROUNDING:
        raise RowError(f"isolatedWallet is {stated:f}, isolatedMargin less unRealizedProfit is {meant:f}")
    return stated


def _notional(row: _PositionRisk, raw: object, contract: Contract) -> Decimal:
    if not isinstance(raw, dict) or "notionalValue" not in raw:
        return contract_value(contract, row.position_amt, row.mark_price)
    return read_row(_NotionalValue, raw).notional_value
