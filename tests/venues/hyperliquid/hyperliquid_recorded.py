"""Answers of the real exchange, as others recorded them: whole accounts, or single rows where no more was kept."""

from typing import Any


def summary(value: str, ntl: str, raw: str, margin: str) -> dict[str, str]:
    return {"accountValue": value, "totalNtlPos": ntl, "totalRawUsd": raw, "totalMarginUsed": margin}


def row(coin, szi, leverage, entry, value, pnl, liquidation, margin, max_leverage) -> dict[str, Any]:  # noqa: PLR0917  # As a table.
    return {
        "type": "oneWay",
        "position": {
            "coin": coin, "szi": szi, "leverage": leverage, "entryPx": entry, "positionValue": value,
            "unrealizedPnl": pnl, "returnOnEquity": "0.0", "liquidationPx": liquidation, "marginUsed": margin,
            "maxLeverage": max_leverage, "cumFunding": {"allTime": "0.0", "sinceOpen": "0.0", "sinceChange": "0.0"},
        },
    }  # fmt: skip


def isolated(value: int, raw_usd: str) -> dict[str, Any]:
    return {"type": "isolated", "value": value, "rawUsd": raw_usd}


CROSS20 = {"type": "cross", "value": 20}

# ccxt, ts/src/test/static/response/hyperliquid.json@0117dcb9 (2024-10-10): a cross short beside a cross long.
SHORT_AND_LONG = {
    "marginSummary": summary("11524.216934", "3888.18", "7773.996934", "194.409"),
    "crossMarginSummary": summary("11524.216934", "3888.18", "7773.996934", "194.409"),
    "crossMaintenanceMarginUsed": "38.8818",
    "withdrawable": "11292.922399",
    "assetPositions": [
        row("SOL", "-0.5", CROSS20, "138.76", "68.98", "0.4", "22881.19788911", "3.449", 50),
        row("ETH", "1.6", CROSS20, "1100.0", "3819.2", "2059.2", None, "190.96", 50),
    ],
    "time": 1728568314070,
}
# The same file (2024-03-05): two cross longs that no positive price of one liquidates.
TWO_LONGS = {
    "marginSummary": summary("19762.483455", "14157.9994", "5604.484055", "707.89997"),
    "crossMarginSummary": summary("19762.483455", "14157.9994", "5604.484055", "707.89997"),
    "crossMaintenanceMarginUsed": "141.579994",
    "withdrawable": "19047.685485",
    "assetPositions": [
        row("SOL", "3.34", CROSS20, "112.0945", "463.9594", "89.563507", None, "23.19797", 50),
        row("ETH", "3.6", CROSS20, "1100.0", "13694.04", "9734.04", None, "684.702", 50),
    ],
    "time": 1709652410317,
}
# The same file (2025-10-30): an isolated short.
HYPE_SHORT = {
    "marginSummary": summary("76.206517", "192.58", "268.786517", "18.564417"),
    "crossMarginSummary": summary("57.6421", "0.0", "57.6421", "0.0"),
    "crossMaintenanceMarginUsed": "0.0",
    "withdrawable": "57.6421",
    "assetPositions": [
        row(
            "HYPE", "-4.0", isolated(10, "211.144417"), "47.9932", "192.58", "-0.6071", "50.2724802381", "18.564417", 10
        )
    ],
    "time": 1761803589961,
}
# The exchange's documents, "Retrieve user's perpetuals account summary": an isolated long beside an empty cross pool.
ETH_LONG = {
    "marginSummary": summary("13109.482328", "100.02765", "13009.454678", "4.967826"),
    "crossMarginSummary": summary("13104.514502", "0.0", "13104.514502", "0.0"),
    "crossMaintenanceMarginUsed": "0.0",
    "withdrawable": "13104.514502",
    "assetPositions": [
        row(
            "ETH",
            "0.0335",
            isolated(20, "-95.059824"),
            "2986.3",
            "100.02765",
            "-0.0134",
            "2866.26936529",
            "4.967826",
            50,
        )
    ],
    "time": 1708622398623,
}
# The dex xyz, captured from mainnet on 2026-08-05 for the tests of a public client: money of its own, and a short.
XYZ_NVDA_SHORT = {
    "marginSummary": summary("24217.394304", "12100.48", "36317.874304", "6385.392074"),
    "crossMarginSummary": summary("17832.00223", "0.0", "17832.00223", "0.0"),
    "crossMaintenanceMarginUsed": "0.0",
    "withdrawable": "17832.00223",
    "assetPositions": [
        row("xyz:NVDA", "-56.0", isolated(2, "18485.872074"), "217.057", "12100.48", "54.765972", "322.053520453",
            "6385.392074", 20),
    ],
    "time": 1785923125277,
}  # fmt: skip

ACCOUNTS = {
    "cross short beside a long": SHORT_AND_LONG,
    "two cross longs": TWO_LONGS,
    "isolated HYPE short": HYPE_SHORT,
    "isolated ETH long of the documents": ETH_LONG,
    "isolated NVDA short of the dex xyz": XYZ_NVDA_SHORT,
}

# Rows without their account: the account around them is made to fit.
ROWS = {
    # ccxt issue 27078.
    "isolated IMX long": row(
        "IMX", "15.0", isolated(3, "-7.572704"), "0.757", "11.3847", "0.0297", "0.560941037", "3.811996", 5
    ),
    # Captured from mainnet on 2026-08-03 for the tests of a public repository.
    "isolated BTC long 2026": row(
        "BTC", "0.00347", isolated(40, "-213.037712"), "62917.0", "217.17342", "-1.14857", "62171.2944953124", "4.135708", 40
    ),
    "isolated BTC short 2026": row(
        "BTC", "-0.00024", isolated(40, "15.665304"), "63709.5", "15.042", "0.24828", "64466.2716049383", "0.623304", 40
    ),
    # Quoted in a public bot, 2025-11-04.
    "isolated ETH long 2025": row(
        "ETH", "0.003", isolated(25, "-10.445268"), "3625.3", "10.8642", "-0.0117", "3552.812244898", "0.418932", 25
    ),
}  # fmt: skip


def account_of(one: dict[str, Any]) -> dict[str, Any]:
    position = one["position"]
    total = summary(position["marginUsed"], position["positionValue"], "0.0", position["marginUsed"])
    return {
        "marginSummary": total,
        "crossMarginSummary": summary("0.0", "0.0", "0.0", "0.0"),
        "crossMaintenanceMarginUsed": "0.0",
        "withdrawable": "0.0",
        "assetPositions": [one],
        "time": 1762232186476,
    }
