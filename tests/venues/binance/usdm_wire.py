"""Binance USD-M on loopback: what differs from COIN-M."""

from decimal import Decimal
from typing import Any, ClassVar

from binance_ledger import Tier, text, tiers_of
from binance_wire import BinanceServer
from wire_faults import Call
from wire_values import Adjustment, Holding, Sample

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


class BinanceUsdmServer(BinanceServer):
    exchange = "binanceusdm"
    api = "fapi"
    lacks: ClassVar = {"inverse": "its inverse contracts are another exchange, binancecoinm"}
    sample = Sample(
        symbol=BTC,
        currency="USDT",
        contracts=Decimal("0.5"),
        contract_size=Decimal(1),
        entry=Decimal(60_000),
        mark=Decimal(57_500),
        margin=Decimal(3_000),
        leverage=10,
        top_up=Decimal("62.31"),
    )
    other = Sample(
        symbol=ETH,
        currency="USDT",
        contracts=Decimal("200.125"),  # Over the floor of the second bracket.
        contract_size=Decimal(1),
        entry=Decimal(3_000),
        mark=Decimal(2_900),
        margin=Decimal(60_000),
        leverage=10,
        top_up=Decimal("1000.07"),
    )
    tables: ClassVar = {
        BTC: tiers_of(("0", "0.004"), ("300000", "0.005"), ("800000", "0.0065"), cap="3000000"),
        ETH: tiers_of(("0", "0.004"), ("300000", "0.005"), ("560000", "0.0065"), cap="3000000"),
    }

    def urls(self) -> dict[str, object]:
        api: dict[str, object] = {
            name: f"{self.url}/fapi/v{version}"
            for version, names in ((1, ("fapiPublic", "fapiPrivate")), (2, ("fapiPublicV2", "fapiPrivateV2")))
            for name in names
        }
        api |= {"fapiPublicV3": f"{self.url}/fapi/v3", "fapiPrivateV3": f"{self.url}/fapi/v3"}
        api |= {"sapi": f"{self.url}/sapi/v1", "ws": {"linear": f"{self.ws_url}/ws"}}
        return {"api": api}

    def wire_name(self, symbol: str) -> str:
        base, _, quote = symbol.partition("/")
        return base + quote.partition(":")[0]

    def market(self, symbol: str) -> dict[str, Any]:
        base = symbol.partition("/")[0]
        return {
            "symbol": self.wire_name(symbol), "pair": self.wire_name(symbol), "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000, "onboardDate": 1569398400000, "status": "TRADING",
            "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000", "baseAsset": base, "quoteAsset": "USDT",
            "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3, "baseAssetPrecision": 8,
            "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": [], "settlePlan": 0,
            "triggerProtect": "0.05", "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": "0.10"},
                {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            ],
        }  # fmt: skip

    def premium_index(self, symbol: str) -> Any:
        price = text(self.marks[symbol])
        return {
            "symbol": self.wire_name(symbol), "markPrice": price, "indexPrice": price, "estimatedSettlePrice": price,
            "lastFundingRate": "0.00010000", "interestRate": "0.00010000", "nextFundingTime": self.now_ms() + 60_000,
            "time": self.now_ms(),
        }  # fmt: skip

    def kind_of(self, call: Call) -> str:
        return "haircuts" if call.path.endswith("/assetIndex") else super().kind_of(call)

    def public(self, name: str, params: Any) -> Any:
        if name != "GET /fapi/v1/assetIndex":
            return super().public(name, params)
        return [
            {
                "symbol": f"{asset}USD", "time": self.now_ms(), "index": "1.0", "bidBuffer": text(1 - Decimal(steps[0][1])),
                "askBuffer": "0.1", "bidRate": "1.0", "askRate": "1.1", "autoExchangeBidBuffer": "0.1",
                "autoExchangeAskBuffer": "0.1", "autoExchangeBidRate": "1.0", "autoExchangeAskRate": "1.1",
            }
            for asset, steps in self.counted.items()
        ]  # fmt: skip

    def private(self, name: str, params: Any) -> Any:
        answers = {
            "GET /fapi/v3/positionRisk": self.positions,
            "GET /fapi/v3/account": self.account_answer,
            "GET /fapi/v1/accountConfig": self.account_config,
            "GET /fapi/v1/symbolConfig": self.symbol_configs,
            "GET /fapi/v1/multiAssetsMargin": lambda: {"multiAssetsMargin": self.is_wrong_mode},
        }
        if name in answers:
            return answers[name]()
        if name == "GET /fapi/v1/leverageBracket":
            return [self.brackets(symbol) for symbol in self.marks if self.is_about(symbol, params)]
        return super().private(name, params)

    def brackets(self, symbol: str) -> dict[str, Any]:
        rows = [
            {
                "bracket": number, "initialLeverage": 125, "notionalCap": int(cap), "notionalFloor": int(floor),
                "maintMarginRatio": float(rate), "cum": float(cum),
            }
            for number, (floor, cap, rate, cum) in enumerate(self.tables[symbol], start=1)
        ]  # fmt: skip
        return {"symbol": self.wire_name(symbol), "brackets": rows}

    def positions(self) -> list[Any]:
        flat = [self.flat_row(symbol) | {"notional": "0", "marginAsset": "USDT"} for symbol in self.closed_rows]
        return [*map(self._position, self.holdings.values()), *flat]

    def _position(self, holding: Holding) -> dict[str, Any]:
        notional = self.notional(holding, self.marks[holding.symbol])
        return self.position_row(holding) | {
            "notional": text(holding.side * notional),
            "marginAsset": "USDT",
            "initialMargin": text(notional / holding.leverage),
            "maintMargin": text(self.maintenance(holding)),
            "positionInitialMargin": text(notional / holding.leverage),
            "openOrderInitialMargin": "0",
            "adl": 2,
            "bidNotional": "0",
            "askNotional": "0",
        }

    def account_answer(self) -> dict[str, Any]:
        asset = self.asset_row("USDT")
        names = ("symbol", "positionSide", "positionAmt", "isolatedWallet", "notional", "maintMargin", "updateTime")
        return {
            "totalInitialMargin": asset["initialMargin"], "totalMaintMargin": asset["maintMargin"],
            "totalWalletBalance": asset["walletBalance"], "totalUnrealizedProfit": asset["unrealizedProfit"],
            "totalMarginBalance": asset["marginBalance"], "totalPositionInitialMargin": asset["positionInitialMargin"],
            "totalOpenOrderInitialMargin": "0.00000000", "totalCrossWalletBalance": asset["crossWalletBalance"],
            "totalCrossUnPnl": asset["crossUnPnl"], "availableBalance": asset["availableBalance"],
            "maxWithdrawAmount": asset["availableBalance"], "assets": [asset, *(self.asset_row(one) for one in self.wallets if one in self.counted and one != "USDT")],
            "positions": [{name: row[name] for name in names} for row in map(self._position, self.holdings.values())],
        }  # fmt: skip

    def account_config(self) -> dict[str, Any]:
        return {
            "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0,
            "dualSidePosition": any(one.hedged for one in self.holdings.values()),
            "multiAssetsMargin": self.is_wrong_mode, "tradeGroupId": -1,
        }  # fmt: skip

    def symbol_configs(self) -> list[Any]:
        rows = []
        for symbol in self.marks:
            legs = [one for one in self.holdings.values() if one.symbol == symbol]
            rows.append(
                {
                    "symbol": self.wire_name(symbol),
                    "marginType": "CROSSED" if any(one.margin is None for one in legs) else "ISOLATED",
                    "isAutoAddMargin": any(one.auto_add for one in legs),
                    "leverage": legs[0].leverage if legs else 20,
                    "maxNotionalValue": "1000000",
                }
            )
        return rows

    def history_row(self, one: Adjustment) -> dict[str, Any]:
        return super().history_row(one) | {"deltaType": "USER_ADJUST", "clientTranId": ""}

    def notional(self, holding: Holding, price: Decimal) -> Decimal:
        return holding.contracts * price

    def pnl(self, holding: Holding, price: Decimal) -> Decimal:
        return holding.side * holding.contracts * (price - holding.entry)

    def root(self, legs: list[Holding], tiers: list[Tier], balance: Decimal) -> Decimal | None:
        """Return [WB - TMM + UPNL + cum - s Q E] / [Q m - s Q], the sums over the legs. `balance` is the first three."""
        above, below = balance, Decimal(0)
        for leg, (_, _, rate, cum) in zip(legs, tiers, strict=True):
            above += cum - leg.side * leg.contracts * leg.entry
            below += leg.contracts * (rate - leg.side)
        price = above / below
        return price if price > 0 else None
