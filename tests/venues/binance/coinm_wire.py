"""Binance COIN-M on loopback: what differs from USD-M.

Positions list every symbol, held or not, with leverage and margin mode in the row and no maintenance margin; the mark
comes as a list; brackets count coins; a floor is `qtyFloor` on the wire and `qtylFloor` in the documents, so one symbol
has each; history rows have no deltaType (documents and Binance's SDK, 2026-08; recorded positions of 2024-07).
"""

from decimal import Decimal
from typing import Any, ClassVar

from binance_ledger import Tier, text, tiers_of
from binance_wire import BinanceServer
from wire_values import Holding, Sample

BTC, ETH = "BTC/USD:BTC", "ETH/USD:ETH"
FLOOR_NAMES = {BTC: "qtyFloor", ETH: "qtylFloor"}


class BinanceCoinmServer(BinanceServer):
    exchange = "binancecoinm"
    api = "dapi"
    lacks: ClassVar = {"wrong mode": "COIN-M has no account mode without isolated margin"}
    sample = Sample(
        symbol=BTC,
        currency="BTC",
        contracts=Decimal(300),  # Of 100 dollars: half a bitcoin.
        contract_size=Decimal(100),
        entry=Decimal(60_000),
        mark=Decimal(57_500),
        margin=Decimal("0.05"),
        leverage=10,
        top_up=Decimal("0.00123457"),  # ccxt's own method would refuse it: it rounds to whole coins.
        inverse=True,
    )
    other = Sample(
        symbol=ETH,
        currency="ETH",
        contracts=Decimal(60_000),
        contract_size=Decimal(10),
        entry=Decimal(3_000),
        mark=Decimal(2_900),
        margin=Decimal("20.5"),
        leverage=10,
        top_up=Decimal("1.00000001"),
        inverse=True,
    )
    inverse = sample
    position_fields: ClassVar = BinanceServer.position_fields | {"margin": "isolatedMargin"}
    tables: ClassVar = {
        BTC: tiers_of(("0", "0.004"), ("5", "0.005"), ("10", "0.01"), cap="20"),
        ETH: tiers_of(("0", "0.005"), ("190", "0.01"), ("220", "0.02"), cap="1000"),
    }

    def urls(self) -> dict[str, object]:
        api: dict[str, object] = dict.fromkeys(("dapiPublic", "dapiPrivate"), f"{self.url}/dapi/v1")
        api |= {"dapiPrivateV2": f"{self.url}/dapi/v2", "sapi": f"{self.url}/sapi/v1"}
        return {"api": api | {"ws": {"inverse": f"{self.ws_url}/ws"}}}

    def wire_name(self, symbol: str) -> str:
        return symbol.partition("/")[0] + "USD_PERP"

    def market(self, symbol: str) -> dict[str, Any]:
        base = symbol.partition("/")[0]
        return {
            "symbol": self.wire_name(symbol), "pair": f"{base}USD", "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000, "onboardDate": 1596006000000, "contractStatus": "TRADING",
            "contractSize": int(self.sample_of(symbol).contract_size), "marginAsset": base,
            "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000", "baseAsset": base, "quoteAsset": "USD",
            "pricePrecision": 1, "quantityPrecision": 0, "baseAssetPrecision": 8, "quotePrecision": 8,
            "equalQtyPrecision": 4, "triggerProtect": "0.0500", "underlyingType": "COIN", "underlyingSubType": [],
            "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "1000", "maxPrice": "4520958", "tickSize": "0.1"},
                {"filterType": "LOT_SIZE", "minQty": "1", "maxQty": "1000000", "stepSize": "1"},
            ],
        }  # fmt: skip

    def premium_index(self, symbol: str) -> Any:
        price, name = text(self.marks[symbol]), self.wire_name(symbol)
        return [
            {
                "symbol": name, "pair": name.removesuffix("_PERP"), "markPrice": price, "indexPrice": price,
                "estimatedSettlePrice": price, "lastFundingRate": "0.00010000", "interestRate": "0.00010000",
                "nextFundingTime": self.now_ms() + 60_000, "time": self.now_ms(),
            }
        ]  # fmt: skip

    def private(self, name: str, params: Any) -> Any:
        if name == "GET /dapi/v1/positionRisk":
            return self.positions()
        if name == "GET /dapi/v1/account":
            return self.account_answer()
        if name == "GET /dapi/v1/positionSide/dual":
            return {"dualSidePosition": any(one.hedged for one in self.holdings.values())}
        if name == "GET /dapi/v2/leverageBracket":
            return [self.brackets(symbol) for symbol in self.marks if self.is_about(symbol, params)]
        return super().private(name, params)

    def brackets(self, symbol: str) -> dict[str, Any]:
        rows = [
            {
                "bracket": number, "initialLeverage": 125, "qtyCap": int(cap), FLOOR_NAMES[symbol]: int(floor),
                "maintMarginRatio": float(rate), "cum": float(cum),
            }
            for number, (floor, cap, rate, cum) in enumerate(self.tables[symbol], start=1)
        ]  # fmt: skip
        return {"symbol": self.wire_name(symbol), "notionalCoef": 1.0, "brackets": rows}

    def positions(self) -> list[Any]:
        held = {symbol for symbol, _ in self.holdings}
        flat = [self._flat(symbol) for symbol in self.marks if symbol not in held]
        return [*map(self._position, self.holdings.values()), *flat]

    def _position(self, holding: Holding) -> dict[str, Any]:
        notional = self.notional(holding, self.marks[holding.symbol])
        return self.position_row(holding) | {
            "leverage": str(holding.leverage),
            "maxQty": "150",
            "marginType": "cross" if holding.margin is None else "isolated",
            "isAutoAddMargin": "true" if holding.auto_add else "false",
            "notionalValue": text(holding.side * notional),
        }

    def _flat(self, symbol: str) -> dict[str, Any]:
        terms = {"leverage": "20", "maxQty": "500", "marginType": "cross", "isAutoAddMargin": "false"}
        return self.flat_row(symbol) | terms | {"notionalValue": "0"}

    def account_answer(self) -> dict[str, Any]:
        names = ("symbol", "positionAmt", "leverage", "positionSide", "entryPrice", "breakEvenPrice", "maxQty")
        positions = []
        for holding in self.holdings.values():
            row = self._position(holding)
            positions.append(
                {name: row[name] for name in (*names, "notionalValue", "isolatedWallet", "updateTime")}
                | {
                    "isolated": holding.margin is not None,
                    "unrealizedProfit": row["unRealizedProfit"],
                    "maintMargin": text(self.maintenance(holding)),
                    "initialMargin": text(abs(Decimal(row["notionalValue"])) / holding.leverage),
                    "positionInitialMargin": text(abs(Decimal(row["notionalValue"])) / holding.leverage),
                    "openOrderInitialMargin": "0",
                }
            )
        flags = {"canDeposit": True, "canTrade": True, "canWithdraw": True, "feeTier": 0, "updateTime": 0}
        return flags | {"assets": [self.asset_row(currency) for currency in self.wallets], "positions": positions}

    def notional(self, holding: Holding, price: Decimal) -> Decimal:
        return holding.contracts * self.sample_of(holding.symbol).contract_size / price

    def pnl(self, holding: Holding, price: Decimal) -> Decimal:
        dollars = holding.contracts * self.sample_of(holding.symbol).contract_size
        return holding.side * dollars * (1 / holding.entry - 1 / price)

    def root(self, legs: list[Holding], tiers: list[Tier], balance: Decimal) -> Decimal | None:
        """Return [Q m + s Q] / [(WB - TMM + UPNL + cum) / CM + s Q / E], the sums over the legs."""
        above, below = Decimal(0), balance / self.sample_of(legs[0].symbol).contract_size
        for leg, (_, _, rate, cum) in zip(legs, tiers, strict=True):
            above += leg.contracts * (rate + leg.side)
            below += cum / self.sample_of(leg.symbol).contract_size + leg.side * leg.contracts / leg.entry
        price = above / below
        return price if price > 0 else None
