"""How an account at Hyperliquid keeps its money, and what of it lies on dexes that are not watched.

Sources: docs, account abstraction modes; info endpoints userAbstraction, perpDexs (2026-09).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from guard.errors import VenueUnavailable
from guard.snapshot import AssetMode, Gap
from guard.venues.hyperliquid_account import AccountState, Reading, portfolio_ratio, unified_ratio
from guard.venues.rows import Row, RowError, Word, read_row, rows_of


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


class _Dex(Row):
    name: Word


def read_dexes(answer: object) -> tuple[str, ...]:
    """Return the names of the dexes beside the main one, which is listed first and as null. Raises VenueUnavailable."""
    rows = [raw for raw in rows_of(answer, "perpDexs") if raw is not None]
    try:
        return tuple(read_row(_Dex, raw).name for raw in rows)
    except RowError as error:
        raise VenueUnavailable(f"perpDexs: {error}") from None


@dataclass(frozen=True, slots=True)
class OtherDex:
    """What was seen at a dex beside the main one. `state` None: `reason` says why it was not seen."""

    name: str
    state: AccountState | None
    reason: str = ""

    def gap(self) -> Gap | None:
        """Return what is not watched there. None: nothing is."""
        subject = f"dex {self.name}"
        if self.state is None:
            return Gap(subject=subject, reason=f"not read: {self.reason}")
        if not self.state.asset_positions:
            return None
        count = len(self.state.asset_positions)
        return Gap(subject=subject, reason=f"{count} positions there (HIP-3) are not watched, only the main dex is")


def account_ratio(
    keeping: Keeping | None, spot: object, state: AccountState, reading: Reading, dexes: tuple[OtherDex, ...]
) -> Decimal:
    """Return the account's own ratio where its money is in spot; 1 is liquidation. Raises RowError: it is not known."""
    if keeping is Keeping.PORTFOLIO:
        return portfolio_ratio(spot)
    elsewhere = [dex.name for dex in dexes if dex.gap() is not None]
    if elsewhere:
        raise RowError(f"dexes that are not watched lean on the same USDC: {', '.join(elsewhere)}")
    if reading.gaps:
        raise RowError("a position cannot be read")
    return unified_ratio(spot, state.cross_maintenance_margin_used, reading.isolated_margin)
