"""An amount with its currency."""

from dataclasses import dataclass
from decimal import Decimal

# Coins that we treat as one dollar each and as standing still in every shock (design ruling on money).
DOLLAR_STABLECOINS = frozenset({"USD", "USDT", "USDC", "DAI", "FDUSD", "USDE", "TUSD", "BUSD", "BNFCR"})


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency. It is positional because it reads so: Money(Decimal(5), "USDT")."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"
