"""Any exchange of ccxt that lists positions, watched only: figure by figure as far as the exchange itself states it.

ccxt fills what an exchange leaves out from the textbook (measured, 4.5.90: `safe_position` derives liquidation price,
maintenance margin and more), and a model checked against that checks itself. So:

- `safe_position` is switched off, and a figure counts as the exchange's own only where the number itself stands in the
  exchange's row. A liquidation price that does not is unknown, whatever ccxt says.
- A row with size zero is no position (Phemex lists closed ones, and ccxt calls them short); a row that cannot be read
  is a gap; a price below zero is "at no price" (HTX states such), and zero is that or "not told", so unknown.
- ccxt makes an empty account of an answer without the list that it looks for, `{}` and renamed fields included. So a
  list that came out empty is held against the answer: an empty list must be in it, and no row that may be a position.
  Where ccxt asks several things at once (XT: positions, and where they break), each answer must stand up to that.
- There are no brackets, no wallet and no writes here: nothing is modelled and nothing is ever sent. What is listed is
  what ccxt asks for when nothing is said, at most exchanges the contracts settled in dollars.
- ccxt judges the error envelopes, for each exchange has its own; what it takes for an answer must be JSON and 2xx.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from guard.errors import ConfigError, VenueUnavailable
from guard.margin import MarginRule, RuleBook
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Contract,
    Gap,
    MarginChange,
    MarginMode,
    MarginRequest,
    Mark,
    Position,
    PositionKey,
    Settlement,
    Side,
)
from guard.venues.base import VenueBase
from guard.venues.generic_answers import begin, noting, why_not_empty
from guard.venues.generic_rows import (
    contract_of,
    is_flat,
    liquidation_of,
    number_of,
    numbers_in,
    quantity_of,
    text_of,
)
from guard.venues.protocol import Candle, KeyScopes, KeyVerdict, TierTables, VenueAccount, WriteTerms
from guard.venues.rows import (
    LISTED_TWICE,
    Moment,
    Number,
    Positive,
    Row,
    RowError,
    Word,
    by_nearness,
    read_row,
    rows_of,
    shown,
)
from guard.venues.transport import Wire, ask

# What ccxt (4.5.90) never fills in of any position there, so that none could be watched: told at the start, not when
# there is one. What the exchange itself says of it would need a file of its own.
UNREADABLE: Mapping[str, str] = MappingProxyType(
    {
        "bequant": "size and side",
        "bitfinex": "its size",
        "bullish": "its entry price",
        "cryptocom": "its entry price",
        "hitbtc": "size and side",
        "kraken": "its entry price",
        "whitebit": "size and side",
    }
)
WATCH_ONLY = "guard only watches this exchange: how it takes margin, and what its answers prove, is not shown"
KEYS = frozenset({"apiKey", "secret", "password"})
MARK_NAMES = ("markPrice", "mark_price", "markPx", "fairPrice")  # What exchanges call it.
_LAST_PRICE = "the last price stands in for it: the exchange does not tell its mark through ccxt"
SIDES = {"long": Side.LONG, "short": Side.SHORT}
ONE_WAY = frozenset({"both", "net"})  # What some exchanges call the only position of a symbol (Poloniex).
MODES = {"isolated": MarginMode.ISOLATED, "cross": MarginMode.CROSS}


class _Unified(Row):
    """What must be in a position as ccxt reads it."""

    symbol: Word
    side: Word
    contracts: Number  # ccxt hands a minus on, of a short (Deribit, 4.5.90).
    entry_price: Positive


class _Candle(Row):
    opened_at: Moment
    high: Positive
    low: Positive
    close: Positive


class GenericVenue(VenueBase):
    """One account at an exchange without a file of its own. See guard.venues.protocol.Venue."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime]) -> None:
        if (lacking := UNREADABLE.get(account.exchange)) is not None:
            raise ConfigError(
                f"accounts.{account.account}.exchange: {account.exchange} cannot be watched: of a position there ccxt "
                f"does not tell {lacking}, so none would ever be seen; take the account out of the config"
            )
        super().__init__(account, _WIRE, now=now)
        if not self._client.has.get("fetchPositions"):
            raise ConfigError(
                f"accounts.{account.account}.exchange: {account.exchange} does not list positions through ccxt"
            )
        others = [name for name, needed in self._client.requiredCredentials.items() if needed and name not in KEYS]
        if others:
            raise ConfigError(
                f"accounts.{account.account}.exchange: {account.exchange} wants {' and '.join(others)}, "
                "which guard cannot hand on yet"
            )
        self._client.safe_position = _as_it_is
        self._client.fetch2 = noting(self._client.fetch2)
        self.rules = RuleBook.uniform(MarginRule())  # Unused: without brackets nothing is modelled.
        self.write_terms = WriteTerms(fence=timedelta(0), history_kept=timedelta(0), test_host=False)
        self._contracts: dict[str, Contract] = {}
        self._odd: dict[str, str] = {}  # Symbols of contracts that are not described here, and why.

    @property
    def watch_only(self) -> str:
        return WATCH_ONLY

    @property
    def contracts(self) -> Mapping[str, Contract]:
        return MappingProxyType(self._contracts)

    async def open(self) -> None:
        markets = (await self._read("load_markets", True)).values()
        self._contracts, self._odd = {}, {}
        for market in markets:
            if not market.get("contract"):
                continue
            contract = contract_of(market)
            if isinstance(contract, str):
                self._odd[market["symbol"]] = contract
            else:
                self._contracts[contract.symbol] = contract
        if not self._contracts:
            raise VenueUnavailable(f"{self.exchange} markets: no contract in them")

    async def snapshot(self) -> AccountSnapshot:
        if not self._contracts:
            await self.open()
        read_at = self._now()
        found: dict[PositionKey, tuple[Position, list[tuple[str, str]]]] = {}
        gaps = [Gap(subject="wallets", reason="not read at this exchange: only its positions are watched")]
        answers = begin()
        rows = rows_of(await self._read("fetch_positions"), "positions")
        doubt = None if rows else next(filter(None, map(why_not_empty, answers.last())), None)
        if doubt is not None:
            gaps.append(Gap(subject="positions", reason=doubt, may_be_cross=True))
        for raw in rows:
            if is_flat(raw):
                continue
            try:
                one = await self._position(raw)
            except (RowError, VenueUnavailable) as error:  # The second: its price could not be asked for.
                gaps.append(self._gap(raw, str(error)))
                continue
            key = one[0].key
            if key in found:  # Ordinary where an order opens a position of its own, or both modes stand side by side.
                gaps.append(Gap(subject=str(key), reason=LISTED_TWICE, key=key, may_be_cross=True))
            found[key] = min(found.get(key, one), one, key=lambda each: by_nearness(each[0]))
        gaps += [Gap(subject=f"{key} {what}", reason=why) for key, (_, notes) in found.items() for what, why in notes]
        return AccountSnapshot(
            account=self.account,
            exchange=self.exchange,
            asset_mode=AssetMode.MULTI,  # What backs what is not known: no cross pool is modelled.
            positions=tuple(position for position, _ in found.values()),
            wallets=(),
            positions_read_at=read_at,
            wallets_read_at=read_at,
            exchange_margin_ratio=None,
            gaps=tuple(gaps),
        )

    async def _position(self, raw: Mapping[str, Any]) -> tuple[Position, list[tuple[str, str]]]:
        """Return a position and what is not the exchange's own in it. Raises RowError."""
        row = read_row(_Unified, {name: text_of(value) for name, value in raw.items()})
        contract, side = self._contracts.get(row.symbol), SIDES.get(row.side)
        if contract is None:
            raise RowError(self._odd.get(row.symbol) or f"symbol {row.symbol!r} is not among the contracts")
        if side is None:
            told = ": of one-way mode ccxt does not tell it here, of hedge mode it does" if row.side in ONE_WAY else ""
            raise RowError(f"side is {row.side!r}{told}")
        if row.contracts == 0 or (row.contracts < 0 and side is Side.LONG):
            raise RowError(f"side is {row.side} and contracts is {row.contracts:f}")
        stated = set(numbers_in(raw.get("info")))
        notes = [
            (name, "as ccxt works it out, the exchange's row does not state it")
            for name, value in (("size", row.contracts), ("entry price", row.entry_price))
            if abs(value) not in stated
        ]
        mark = number_of(raw.get("markPrice"))
        if mark is None or mark <= 0:
            mark, note = await self._price(row.symbol)
            notes.append(("mark price", note))
        quantity, unit = quantity_of(abs(row.contracts), contract, mark, number_of(raw.get("notional")))
        if unit:
            notes.append(("size", unit))
        liquidation, doubt = liquidation_of(raw.get("liquidationPrice"), stated)
        if doubt:
            notes.append(("liquidation price", doubt))
        mode = MODES.get(str(raw.get("marginMode")))
        if mode is None:
            notes.append(("margin mode", "the exchange does not say it: taken as cross"))
        margin = number_of(raw.get("positionMargin"))  # The initial margin is without what was added.
        leverage = number_of(raw.get("leverage"))
        return (
            Position(
                contract=contract,
                side=side,
                margin_mode=mode or MarginMode.CROSS,
                quantity=quantity,
                entry_price=row.entry_price,
                mark_price=mark,
                isolated_wallet=margin if mode is MarginMode.ISOLATED and margin in stated else None,
                leverage=leverage if leverage in stated else None,  # ccxt makes one up here and there (Apex).
                hedged=raw.get("hedged") is not False,  # Mostly not said: then a leg is no proof that the other turned.
                auto_add_margin=None,
                exchange_liquidation=liquidation,
                exchange_maintenance_margin=None,
                updated_at=None,
            ),
            notes,
        )

    def _gap(self, raw: object, reason: str) -> Gap:
        fields = raw if isinstance(raw, Mapping) else {}
        symbol, side = shown(fields.get("symbol"), 64), SIDES.get(str(fields.get("side")))
        size = number_of(fields.get("contracts"))
        is_other_side = side is Side.LONG and size is not None and size < 0  # It may be the short as well.
        if symbol not in self._contracts or side is None or is_other_side:
            return Gap(subject=f"position row {symbol[:32]}", reason=reason, may_be_cross=True)
        key = PositionKey(symbol, side)
        return Gap(subject=str(key), reason=reason, key=key, may_be_cross=True)

    async def tiers(self, symbols: frozenset[str]) -> TierTables:
        gaps = tuple(
            Gap(subject=f"{symbol} tiers", reason="not read here: only the exchange's own price is watched")
            for symbol in sorted(symbols)
        )
        return TierTables(by_symbol={}, read_at=self._now(), gaps=gaps)

    async def mark(self, symbol: str) -> Mark:
        """Read the mark price; where the exchange tells none, VenueUnavailable: a last price is no mark."""
        price, note = await self._price(symbol)
        if note is _LAST_PRICE:
            raise VenueUnavailable(f"mark price of {symbol}: {self.exchange} does not tell it through ccxt")
        return Mark(symbol=symbol, price=price, at=self._now())

    async def _price(self, symbol: str) -> tuple[Decimal, str]:
        """Return the mark price, or the last price where there is none, and which it is. Raises VenueUnavailable."""
        endpoint = "fetch_mark_price" if self._client.has.get("fetchMarkPrice") else "fetch_ticker"
        ticker = await self._read(endpoint, symbol)
        fields = ticker if isinstance(ticker, Mapping) else {}
        stated = fields.get("info")
        info = stated if isinstance(stated, Mapping) else {}
        for value in (fields.get("markPrice"), *(info.get(name) for name in MARK_NAMES)):
            price = number_of(value)
            if price is not None and price > 0:
                return price, "not in the position's row: asked for beside it"
        last = number_of(fields.get("last"))
        if last is None or last <= 0:
            raise VenueUnavailable(f"price of {symbol}: {self.exchange} does not tell it")
        return last, _LAST_PRICE

    async def watch_marks(self, symbols: tuple[str, ...]) -> AsyncGenerator[Mark, None]:
        """Poll in place of a stream: what ccxt streams of marks differs from exchange to exchange, and is not shown."""
        while True:
            for symbol in symbols:
                yield await self.mark(symbol)
            await asyncio.sleep(max(5.0, len(symbols) * 1.0))

    async def candles(self, symbol: str, *, minutes: int, count: int) -> tuple[Candle, ...]:
        """Read candles of the mark price where there are such, else of trades.

        Raises VenueUnavailable, also for one that cannot be read: a hole would look like a calm market.
        """
        endpoint = "fetch_mark_ohlcv" if self._client.has.get("fetchMarkOHLCV") else "fetch_ohlcv"
        interval = f"{minutes}m" if minutes < 60 else f"{minutes // 60}h"
        what = f"candles of {symbol}"
        rows = rows_of(await self._read(endpoint, symbol, interval, None, count), what)
        try:
            read = [read_row(_Candle, _named(row)) for row in rows]
        except RowError as error:
            raise VenueUnavailable(f"{what}: {error}") from None
        return tuple(
            Candle(opened_at=row.opened_at, high=float(row.high), low=float(row.low), close=float(row.close))
            for row in read
        )

    def margin_step(self, currency: str) -> Decimal:  # noqa: ARG002  # Nothing is ever added.
        return Decimal("0.01")

    async def margin_changes(
        self,
        keys: Collection[PositionKey],  # noqa: ARG002
        since: datetime,  # noqa: ARG002
        *,
        also: Collection[str] = (),  # noqa: ARG002
    ) -> tuple[MarginChange, ...]:
        raise VenueUnavailable(f"{self.exchange}: the history of margin is not read at this exchange")

    async def settle(
        self,
        request: MarginRequest,  # noqa: ARG002
        *,
        sent_at: datetime,  # noqa: ARG002
        now: datetime,  # noqa: ARG002
        known_entries: frozenset[str],  # noqa: ARG002
    ) -> Settlement:
        raise VenueUnavailable(f"{self.exchange}: nothing was ever sent by guard at this exchange")

    async def _ask_key_scopes(self) -> KeyScopes:
        text = "what the key may do is not asked at this exchange: give guard one that can only read"
        return KeyScopes(verdict=KeyVerdict.UNVERIFIABLE, scopes=(), ip_restricted=None, text=text)

    async def _server_time(self) -> datetime:
        if not self._client.has.get("fetchTime"):
            raise VenueUnavailable(f"{self.exchange} does not tell its time")
        milliseconds = number_of(await ask(self._client, "fetch_time"))
        if milliseconds is None or not 0 < milliseconds < Decimal("1E+14"):
            raise VenueUnavailable(f"{self.exchange} time: not a time")
        return datetime.fromtimestamp(float(milliseconds) / 1000, self._now().tzinfo)


def _addresses(api: object) -> Iterator[str]:
    """Yield every address of an exchange, however deep it stands."""
    if isinstance(api, str) and api.startswith(("https://", "wss://", "http://", "ws://")):
        yield api
    elif isinstance(api, Mapping):
        for inner in api.values():
            yield from _addresses(inner)


def _named(row: object) -> Mapping[str, object]:
    """Return ccxt's candle by names; what is too short has not all of them. Raises RowError."""
    if not isinstance(row, list):
        raise RowError("a candle is no list")
    names = ("openedAt", "open", "high", "low", "close")
    return {name: text_of(value) for name, value in zip(names, row, strict=False)}


def _as_it_is(position: dict[str, Any]) -> dict[str, Any]:
    return position


_WIRE = Wire(
    options={},
    urls=lambda api: tuple(_addresses(api)),
    writes=(),
    error=lambda _: None,
    keys_refused=frozenset(),
    is_judged_by_ccxt=True,
)
