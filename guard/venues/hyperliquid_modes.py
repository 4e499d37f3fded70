"""How an account at Hyperliquid keeps its money, and its own ratio where all of it is one.

Sources: docs, account abstraction modes; info endpoint userAbstraction (2026-09).
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from guard.errors import VenueUnavailable
from guard.snapshot import AssetMode
from guard.venues.hyperliquid_account import MAIN, portfolio_ratio, unified_ratio
from guard.venues.hyperliquid_dexes import Part
from guard.venues.rows import RowError


class Keeping(StrEnum):
    """The words of userAbstraction."""

    DEFAULT = "default"  # Never set: spot and each dex apart.
    DISABLED = "disabled"  # The same, set.
    UNIFIED = "unifiedAccount"  # One balance per asset, kept in spot.
    PORTFOLIO = "portfolioMargin"  # Unified, and several assets back everything.
    DEX = "dexAbstraction"  # To be discontinued: dexes draw on the main dex.

    @property
    def asset_mode(self) -> AssetMode:
        return AssetMode.MULTI if self in {Keeping.UNIFIED, Keeping.PORTFOLIO} else AssetMode.SINGLE


WORDS = frozenset(keeping.value for keeping in Keeping)

_WHY_WATCHED: Mapping[Keeping, str] = {
    Keeping.UNIFIED: (
        "a unified account keeps its USDC in spot, and what of it may move into a position is not documented; "
        "the classic mode (app settings, account unification) can be topped up"
    ),
    Keeping.PORTFOLIO: "with portfolio margin several assets back everything, by rules that are not published in full",
    Keeping.DEX: "with dex abstraction other dexes draw on this wallet by themselves; it is to be discontinued",
}


def why_watched(keeping: Keeping | None, role: str) -> str | None:
    """Return why this account gets no top-ups. None: it can."""
    if keeping is None:
        return "how the account keeps its money was not read yet"
    if role == "vault":
        return "it is a vault: its money is that of its depositors"
    return _WHY_WATCHED.get(keeping)


def read_keeping(answer: object) -> Keeping:
    """Return the mode. Raises VenueUnavailable for a word that is not known: nothing else would be right for it."""
    try:
        return Keeping(str(answer))
    except ValueError:
        raise VenueUnavailable(f"userAbstraction: {str(answer)[:32]!r} is not a mode that is known") from None


def account_ratio(keeping: Keeping | None, spot: object, parts: Sequence[Part], unseen: Collection[str]) -> Decimal:
    """Return the account's own ratio where its money is in spot; 1 is liquidation. Raises RowError: it is not known.

    Unified, it is the worst of the tokens that back cross positions. `unseen`: dexes that were not read.
    """
    if keeping is Keeping.PORTFOLIO:
        return portfolio_ratio(spot)
    if unseen:
        raise RowError(f"dexes that were not read lean on the same money: {', '.join(sorted(unseen))}")
    if any(part.reading.gaps for part in parts):
        raise RowError("a position cannot be read")
    ratios = []
    for money in dict.fromkeys(part.reading.money for part in parts):
        mine = [part for part in parts if part.reading.money == money]
        maintenance = sum((part.state.cross_maintenance_margin_used for part in mine), Decimal(0))
        if maintenance > 0 or money == MAIN:
            ratios.append(unified_ratio(spot, maintenance, [part.reading for part in mine]))
    return max(ratios)
