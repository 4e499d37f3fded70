"""How each exchange computes a requirement, as values, with the cases of tests/golden that prove them.

What an exchange does by rules that cannot be stated this way is refused by name (`NOT_STATED`), never approximated: its
own account ratio is watched instead. Sources are the exchanges' help pages and API documents as of 2026-07, and
recorded answers; each golden case names its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType

from guard.margin.pool import HaircutBasis
from guard.margin.rule import HedgeNetting, MaintenanceBasis, MarginRule, ShownPrice, TierBasis

_BINANCE = MarginRule()
_FROZEN_AT_ENTRY = MarginRule(maintenance_basis=MaintenanceBasis.ENTRY)
_BYBIT_CHANGE = date(2025, 9, 2)
_KUCOIN_CHANGE = date(2025, 5, 22)
_GATE_CHANGE = date(2025, 7, 29)
_BITGET_CHANGE = date(2025, 11, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRule:
    """One exchange's rule, and what shows that it is the exchange's."""

    rule: MarginRule
    brackets: str  # Which kind of table its tiers come from, for people.
    proven_by: tuple[str, ...]  # Golden cases. Empty: `note` says why.
    haircut_basis: HaircutBasis = HaircutBasis.WALLET  # Of a pool with several assets.
    fee_is_users: bool = False  # The closing fee is that of the user's fee tier, so the venue fills it in.
    note: str = ""


_AMOUNTS = "progressive, with maintenance amounts"
_WHOLE = "whole position at the rate of its tier"
_FLAT = "one rate per market"

KNOWN_RULES: Mapping[str, KnownRule] = MappingProxyType(
    {
        "binance usd-m": KnownRule(
            rule=_BINANCE,
            brackets=_AMOUNTS,
            proven_by=(
                "binance-um-cross-long-btc-2pos",
                "binance-um-cross-long-eth-2pos",
                "binance-um-cross-oneway-long-eth-2020",
                "binance-um-cross-oneway-short-btc-2020",
                "binance-um-isolated-hedge-long-apidoc",
                "binance-um-isolated-hedge-short-apidoc",
                "binance-um-isolated-short-gas",
                "binance-um-cross-2pos-whole-account",
                "binance-um-cross-hedge-derived",
            ),
        ),
        "binance coin-m": KnownRule(
            rule=_BINANCE,
            brackets=_AMOUNTS,
            proven_by=("binance-cm-cross-long-calculator", "binance-cm-cross-short-overcollateralised"),
        ),
        "binance usd-m multi-assets": KnownRule(
            rule=_BINANCE,
            brackets=_AMOUNTS,
            proven_by=(),
            haircut_basis=HaircutBasis.EQUITY,
            note=(
                "an asset's equity counts at its index less the bid buffer (haircut), a deficit and the requirement at "
                "its index plus the ask buffer (surcharge); no complete published example is at hand, so this rests on "
                "the brute-force judge"
            ),
        ),
        "bybit linear isolated until 2025-09": KnownRule(
            rule=MarginRule(
                maintenance_basis=MaintenanceBasis.ENTRY,
                shown_price=ShownPrice.TICK_EARLY,
                valid_until=_BYBIT_CHANGE,
            ),
            brackets=_AMOUNTS,
            proven_by=(
                "bybit-linear-iso-long-10000-50x",
                "bybit-linear-added-margin-start-9500",
                "bybit-linear-auto-margin-replenish-start",
                "bybit-linear-iso-long-api-ethusdt",
                "bybit-linear-iso-long-btc-2025-api",
                "bybitlike-linear-iso-short-20000-40x",
                "bybit-linear-auto-margin-replenish-next-1",
                "bybit-linear-auto-margin-replenish-next-2",
                "bybit-mm-tier-xyzusdt",
                "freqtrade-vector-bybit-long-5x",
            ),
        ),
        "bybit classic cross until 2025-09": KnownRule(
            rule=MarginRule(maintenance_basis=MaintenanceBasis.ENTRY, valid_until=_BYBIT_CHANGE),
            brackets=_AMOUNTS,
            proven_by=(
                "bybitlike-linear-cross-long-17900",
                "bybit-inverse-cross-long-8000",
                "bybit-linear-cross-long-2btc",
            ),
        ),
        "bybit inverse isolated until 2025-09": KnownRule(
            rule=MarginRule(
                maintenance_basis=MaintenanceBasis.ENTRY,
                shown_price=ShownPrice.TICK_EARLY,
                valid_until=_BYBIT_CHANGE,
            ),
            brackets=_AMOUNTS,
            proven_by=("bybit-inverse-iso-long-api-addmargin",),
        ),
        "bybit isolated": KnownRule(
            # The wallet is the position's margin less the exchange's reserve for the fee to close, which counts into
            # initial and maintenance margin alike. No number is published of inverse contracts or of shorts.
            rule=MarginRule(shown_price=ShownPrice.TICK_EARLY, valid_from=_BYBIT_CHANGE),
            brackets=_AMOUNTS,
            proven_by=("bybit-linear-iso-long-added-2026",),
        ),
        "bybit unified cross": KnownRule(
            rule=MarginRule(valid_from=_BYBIT_CHANGE),
            brackets=_AMOUNTS,
            proven_by=(),
            note="collateral value ratios in tiers of positive balances, counted in dollars; no example is published",
        ),
        "okx isolated": KnownRule(
            rule=MarginRule(tier_basis=TierBasis.CONTRACTS, shown_price=ShownPrice.ONE_TICK_EARLY),
            brackets=f"{_WHOLE}, by contracts",
            proven_by=(
                "okx-inverse-iso-long-api",
                "okx-inverse-iso-short-api-eth9374",
                "okx-linear-iso-long-bigtime",
                "okx-legacy-fixed-margin-ratio",
                "freqtrade-vector-okx-short-3x",
            ),
            fee_is_users=True,
        ),
        "okx futures mode cross": KnownRule(
            rule=MarginRule(tier_basis=TierBasis.CONTRACTS_TOGETHER, shown_price=ShownPrice.ONE_TICK_EARLY),
            brackets=f"{_WHOLE}, by the contracts of one coin together",
            proven_by=("okx-linear-cross-long-api", "okx-linear-cross-long-none-ltc-2024"),
            fee_is_users=True,
        ),
        "okx multi-currency": KnownRule(
            rule=MarginRule(tier_basis=TierBasis.CONTRACTS_TOGETHER, shown_price=ShownPrice.ONE_TICK_EARLY),
            brackets=f"{_WHOLE}, by the contracts of one coin together",
            proven_by=(),
            haircut_basis=HaircutBasis.EQUITY,
            fee_is_users=True,
            note="discounts in tiers of an asset's positive equity, counted in dollars; no example is published",
        ),
        "bitget until 2025-11": KnownRule(
            rule=MarginRule(liquidation_fee_rate=Decimal("0.0006"), valid_until=_BITGET_CHANGE),
            brackets=_WHOLE,
            proven_by=("bitget-linear-iso-long-demo", "bitget-linear-iso-derived", "bitget-mm-old-single-tier"),
        ),
        "bitget": KnownRule(
            rule=MarginRule(liquidation_fee_rate=Decimal("0.0006"), valid_from=_BITGET_CHANGE),
            brackets=_AMOUNTS,
            proven_by=("bitget-mm-new-progressive",),
        ),
        "bitget cross 2023": KnownRule(
            rule=MarginRule(
                liquidation_fee_rate=Decimal("0.0006"),
                maintenance_basis=MaintenanceBasis.CURRENT,
                valid_until=date(2024, 1, 1),
            ),
            brackets=_WHOLE,
            proven_by=("bitget-linear-cross-long-none-ltc-2023",),
            note="frozen at the present mark: the price that it showed drifted with the mark",
        ),
        "gate until 2025-07": KnownRule(
            rule=MarginRule(
                liquidation_fee_rate=Decimal("0.00075"),
                shown_price=ShownPrice.TICK_EARLY,
                valid_until=_GATE_CHANGE,
            ),
            brackets=_WHOLE,
            proven_by=(
                "gate-linear-iso-long-api-eth",
                "gate-linear-iso-long-api-ada",
                "gate-linear-iso-long-app-shib",
                "gate-linear-iso-long-ltc-2024",
                "gate-linear-cross-long-ws-btc",
                "gate-linear-cross-long-ws-xrp",
                "gate-linear-cross-long-zero-ltc",
                "gate-linear-cross-short-api-eth",
                "gate-inverse-iso-short-btc",
            ),
        ),
        "gate": KnownRule(
            rule=MarginRule(
                liquidation_fee_rate=Decimal("0.00075"), shown_price=ShownPrice.TICK_EARLY, valid_from=_GATE_CHANGE
            ),
            brackets=_AMOUNTS,
            proven_by=(),
            note="the same trigger with progressive brackets; no complete published example is at hand",
        ),
        "kucoin isolated until 2025-05": KnownRule(
            rule=MarginRule(
                maintenance_basis=MaintenanceBasis.ENTRY,
                shown_price=ShownPrice.TICK_EARLY,
                valid_until=_KUCOIN_CHANGE,
            ),
            brackets=f"{_WHOLE}, fee and one funding payment in the rate",
            proven_by=(
                "kucoin-linear-iso-long-api-2",
                "kucoin-linear-iso-long-api-xbt-2023",
                "kucoin-linear-iso-long-sol-2023",
                "kucoin-linear-iso-short-eth-2022-api",
            ),
        ),
        "kucoin": KnownRule(
            rule=MarginRule(
                liquidation_fee_rate=Decimal("0.0006"), shown_price=ShownPrice.TICK_EARLY, valid_from=_KUCOIN_CHANGE
            ),
            brackets=_WHOLE,
            proven_by=("kucoin-linear-cross-long-api",),
        ),
        "mexc": KnownRule(
            rule=MarginRule(liquidation_fee_rate=Decimal("0.0006"), shown_price=ShownPrice.TICK_EARLY),
            brackets=_WHOLE,
            proven_by=("mexc-linear-iso-long-api-eth",),
            note="rate and fee of the recorded answer are inferred; it triggers on the fair price",
        ),
        "mexc blog": KnownRule(
            rule=_FROZEN_AT_ENTRY,
            brackets=_WHOLE,
            proven_by=("mexc-linear-iso-long-48200",),
            note="the worked example of its blog, without a fee and with the requirement at entry",
        ),
        "bingx": KnownRule(
            rule=MarginRule(liquidation_fee_rate=Decimal("0.0005")),
            brackets=_AMOUNTS,
            proven_by=("bingx-cross-risk-open",),
        ),
        "htx": KnownRule(
            rule=MarginRule(tier_basis=TierBasis.CONTRACTS_NET),
            brackets=f"{_WHOLE}: adjustment factor / leverage, by the net contracts of a symbol",
            proven_by=("htx-linear-iso-long-api",),
        ),
        "kraken futures": KnownRule(
            rule=MarginRule(hedge_netting=HedgeNetting.LARGER),
            brackets=_WHOLE,
            proven_by=("kraken-inverse-long-1000",),
            note="netting is stated for both sides of one symbol; between a perpetual and a dated future it is not",
        ),
        "hyperliquid": KnownRule(
            rule=_BINANCE,
            brackets=f"{_AMOUNTS}; the rate is half of one over the highest leverage of the tier",
            proven_by=(
                "hyperliquid-isolated-MET",
                "hyperliquid-isolated-MON",
                "hyperliquid-isolated-long-imx",
                "hyperliquid-isolated-short-btc",
                "hyperliquid-isolated-short-hype",
                "hyperliquid-whole-account-single-long",
                "hyperliquid-whole-account-short-and-long",
                "hyperliquid-whole-account-2longs-none",
                "hyperliquid-mm-btc40x",
            ),
        ),
        "dydx v4": KnownRule(
            rule=_BINANCE, brackets=_FLAT, proven_by=("dydx-isolated-short-3eth", "dydx-cross-short-eth-long-strk")
        ),
        "deribit standard margin": KnownRule(
            rule=MarginRule(tier_basis=TierBasis.CONTRACTS),
            brackets="one rate that grows with the size: a table of one row, made for the size held",
            proven_by=(),
            note="cross only, no complete published example of a price",
        ),
        "bitmex": KnownRule(
            rule=MarginRule(maintenance_basis=MaintenanceBasis.ENTRY, shown_price=ShownPrice.TICK_EARLY),
            brackets=f"{_WHOLE}, closing commission and funding in the rate",
            proven_by=("bitmex-inverse-iso-short-api", "bitmex-risk-limit-step"),
            note="it counts each contract in whole satoshis: the recorded price is within 2.4 dollars",
        ),
        "phemex usdt": KnownRule(
            rule=MarginRule(liquidation_fee_rate=Decimal("0.0006")),
            brackets=_AMOUNTS,
            proven_by=("phemex-linear-iso-long-doc", "phemex-linear-mm-tiers"),
        ),
        "phemex coin and usd": KnownRule(
            rule=_FROZEN_AT_ENTRY, brackets=_AMOUNTS, proven_by=("phemex-linear-iso-long-btc-2024",)
        ),
        "coinex": KnownRule(
            rule=_BINANCE,
            brackets=_WHOLE,
            proven_by=(
                "coinex-linear-long-api",
                "coinex-linear-long-api-imply",
                "coinex-linear-iso-long-after-add-margin",
            ),
        ),
        "delta": KnownRule(rule=_FROZEN_AT_ENTRY, brackets=_WHOLE, proven_by=("delta-linear-iso-long-api",)),
        "mcs": KnownRule(
            rule=_FROZEN_AT_ENTRY,
            brackets=_WHOLE,
            proven_by=("mcs-inverse-iso-long-2000", "mcs-inverse-iso-short-2000"),
        ),
        "toobit": KnownRule(
            rule=_FROZEN_AT_ENTRY,
            brackets=_WHOLE,
            proven_by=(),
            note="its pages freeze the requirement at the entry value; no published example is at hand",
        ),
        "10101": KnownRule(rule=_FROZEN_AT_ENTRY, brackets=_FLAT, proven_by=("10101-inverse-short-2x",)),
        "aster": KnownRule(
            rule=_BINANCE, brackets=_AMOUNTS, proven_by=(), note="Binance's formula and tables by its own pages"
        ),
    }
)

NOT_STATED: Mapping[str, str] = MappingProxyType(
    {
        "binance portfolio margin": "its unified ratio weighs loans, options and three wallets against each other",
        "binance spot margin": "it liquidates at a level of assets over debts on index prices, not at a requirement",
        "bybit portfolio margin": "its requirement is the worst of many scenarios, options included",
        "okx portfolio margin": "its requirement is the worst of nine stress terms per risk unit",
        "okx spot margin positions": "they are loans with interest, not contracts",
        "deribit portfolio margin": "its requirement is the worst of a matrix of scenarios",
        "bitget cross": "the help page's formula is cut off in every copy at hand; the exchange's own price is watched",
        "kraken multi-collateral dated futures": "netting a perpetual with a dated future is published in words only",
        "btse": "the hedged part is charged at the entry price, the rest at the mark",
        "crypto.com": "unit margin rates that its formula needs are not published",
    }
)
