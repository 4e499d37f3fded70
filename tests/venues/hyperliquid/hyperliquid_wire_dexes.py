"""The dexes of Hyperliquid on loopback that somebody deployed (HIP-3): their markets, numbers and samples.

Sources: docs for developers, "Perpetuals" (perpDexs, meta of a HIP-3 dex), "Asset IDs", "HIP-3 deployer actions"
(seen 2026-09), and an answer of clearinghouseState of the dex xyz recorded on 2026-08-05.
"""

from decimal import Decimal
from typing import Any

from hyperliquid_ledger import HyperliquidLedger, WireDex
from wire_values import Sample

TSLA, NVDA = "XYZ-TSLA/USDC:USDC", "XYZ-NVDA/USDC:USDC"
GOLD = "FLX-GOLD/USDH:USDH"

XYZ = WireDex(
    coins={NVDA: "xyz:NVDA", TSLA: "xyz:TSLA"},
    tables={"xyz:NVDA": [("0.0", 20), ("100000.0", 10)], "xyz:TSLA": [("0.0", 10)]},
    modes={"xyz:TSLA": "strictIsolated"},
)
FLX = WireDex(coins={GOLD: "flx:GOLD"}, tables={"flx:GOLD": [("0.0", 20)]}, token=360, currency="USDH")

OF_TSLA = Sample(
    symbol=TSLA,
    currency="USDC xyz",  # Whose wallet pays.
    contracts=Decimal(20),
    contract_size=Decimal(1),
    entry=Decimal(400),
    mark=Decimal(390),
    margin=Decimal(1_000),
    leverage=8,
    top_up=Decimal("62.310007"),
)
OF_NVDA = Sample(
    symbol=NVDA,
    currency="USDC xyz",
    contracts=Decimal("600.5"),  # Over the lower bound of the second tier.
    contract_size=Decimal(1),
    entry=Decimal(200),
    mark=Decimal(205),
    margin=Decimal(15_000),
    leverage=8,
    top_up=Decimal("100.5"),
)
OF_GOLD = Sample(
    symbol=GOLD,
    currency="USDH flx",
    contracts=Decimal(2),
    contract_size=Decimal(1),
    entry=Decimal(4_000),
    mark=Decimal(4_100),
    margin=Decimal(900),
    leverage=10,
    top_up=Decimal(5),
)


class HyperliquidDexes(HyperliquidLedger):
    """None is deployed until `deploy`."""

    def __init__(self) -> None:
        super().__init__()
        self.deployed: dict[str, WireDex] = {}
        self.dexes: dict[str, Any] = {}  # Name of a dex without markets: clearinghouseState there.

    def deploy(self) -> None:
        """Deploy two dexes, xyz in USDC and flx in USDH. Money is on xyz, as much as on the main one."""
        self.deployed = {"xyz": XYZ, "flx": FLX}
        self.marks |= {one.symbol: one.mark for one in (OF_TSLA, OF_NVDA, OF_GOLD)}
        self.wallets["USDC xyz"] = (Decimal(10_000), Decimal(10_000))

    def dex_names(self) -> list[str]:
        return [*self.deployed, *self.dexes]

    def spot_meta(self) -> dict[str, Any]:
        names = {0: "USDC"} | {dex.token: dex.currency for dex in self.deployed.values()}
        tokens = [{"name": name, "index": index, "szDecimals": 8, "weiDecimals": 8} for index, name in names.items()]
        return {"universe": [], "tokens": tokens}

    def dex_meta(self, dex: WireDex) -> dict[str, Any]:
        """Return a dex's markets: a table of one tier has its leverage for an id, and is not listed."""
        universe, tables = [], []
        for index, (coin, tiers) in enumerate(dex.tables.items()):
            row: dict[str, Any] = {"szDecimals": 3, "name": coin, "maxLeverage": tiers[0][1], "growthMode": "enabled"}
            row["marginTableId"] = tiers[0][1] if len(tiers) == 1 else 60 + index
            if len(tiers) > 1:
                rows = [{"lowerBound": floor, "maxLeverage": leverage} for floor, leverage in tiers]
                tables.append([60 + index, {"description": "tiered", "marginTiers": rows}])
            if coin in dex.modes:
                row |= {"onlyIsolated": True, "marginMode": dex.modes[coin]}
            universe.append(row)
        return {"universe": universe, "marginTables": tables, "collateralToken": dex.token}

    def all_coins(self) -> dict[str, str]:
        return {**self.coins, **{symbol: coin for dex in self.deployed.values() for symbol, coin in dex.coins.items()}}

    def sample_of(self, symbol: str) -> Sample:
        return next((one for one in (OF_TSLA, OF_NVDA, OF_GOLD) if one.symbol == symbol), None) or super().sample_of(
            symbol
        )

    def symbol_of(self, asset: int) -> str:
        """Return the market of a number: 100,000 + place of its dex x 10,000 + its own, for what is not on the main."""
        place, index = divmod(asset - 100_000, 10_000) if asset >= 100_000 else (0, asset)
        return list(self.coins_at(["", *self.dex_names()][place]))[index]
