"""One account at an exchange, with arithmetic of its own: the truth that the daemon is measured against.

Its ledger knows what nobody tells the daemon: which request caused which entry.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from simulated_market import Market
from simulated_time import World

ZERO = Decimal(0)
CENT = Decimal("0.01")
_STEPS = {places: Decimal(1).scaleb(-places) for places in (3, 8)}
# Floor, cap, rate, amount deducted: the requirement does not jump at a floor.
TIERS = (
    (Decimal(0), Decimal(50_000), Decimal("0.005"), ZERO),
    (Decimal(50_000), Decimal(500_000), Decimal("0.01"), Decimal(250)),
    (Decimal(500_000), Decimal(10_000_000), Decimal("0.025"), Decimal(7750)),
)


def tier_of(notional: Decimal) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    for tier in TIERS:
        if notional < tier[1]:
            return tier
    return TIERS[-1]


@dataclass(kw_only=True)
class Holding:
    """One open position."""

    coin: str
    side: int  # 1 long, -1 short.
    quantity: Decimal
    entry: Decimal
    isolated: bool
    margin: Decimal  # Isolated: what is in it. Cross: 0.
    leverage: int
    opened_s: float
    updated_s: float
    _ends: dict[Decimal, Decimal | None] = field(default_factory=dict)  # By backing: quantity and entry stay.

    @property
    def key(self) -> tuple[str, int]:
        return self.coin, self.side

    def notional(self, price: Decimal) -> Decimal:
        return self.quantity * price

    def profit(self, price: Decimal) -> Decimal:
        return self.side * self.quantity * (price - self.entry)

    def requirement(self, price: Decimal) -> Decimal:
        _, _, rate, deducted = tier_of(self.notional(price))
        return self.notional(price) * rate - deducted

    def liquidation_price(self, backing: Decimal) -> Decimal | None:
        """Return where `backing` plus profit meets the requirement, tier by tier. None: at no positive price."""
        if backing not in self._ends:
            self._ends = {backing: self._end_with(backing)}  # Asked for every second, and moved seldom.
        return self._ends[backing]

    def _end_with(self, backing: Decimal) -> Decimal | None:
        for floor, cap, rate, deducted in TIERS:
            price = (backing + deducted - self.side * self.quantity * self.entry) / (self.quantity * (rate - self.side))
            if price > 0 and floor <= self.notional(price) < cap:
                return price
        return None


@dataclass(frozen=True, kw_only=True)
class Fill:
    """What closed a position."""

    coin: str
    side: int  # Of the position.
    quantity: Decimal
    price: Decimal
    at_s: float
    is_forced: bool  # By the exchange: a liquidation.


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of the margin history. `request` is given for what an API request added: its number."""

    coin: str
    side: int
    amount: Decimal
    at_s: float
    kind: str  # Binance's deltaType.
    leg: str
    request: int | None


class Refused(Exception):
    """The exchange's own clear no."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Exchange:
    """One account. Amounts are USDT."""

    name: str
    world: World
    market: Market
    free: Decimal  # The cross wallet, without unrealized profit.
    hedged: bool
    holdings: dict[tuple[str, int], Holding] = field(default_factory=dict)
    history: list[Entry] = field(default_factory=list)
    foreign_writes: int = 0  # By people: what was read before one may not hold any more.
    foreign_s: float = -1e9  # When the last of them was.
    ended: list[tuple[tuple[str, int], float]] = field(default_factory=list)  # Positions that are gone, and when.
    booked: list[tuple[str, float]] = field(default_factory=list)  # Coins whose positions were closed, and when.
    fills: list[Fill] = field(default_factory=list)
    on_entry: Callable[[Entry], None] = lambda entry: None
    listeners: list[Callable[[], None]] = field(default_factory=list)  # To the account's stream.

    def price(self, coin: str) -> Decimal:
        return self.market.prices[coin]

    def open(self, coin: str, side: int, *, notional: Decimal, entry: Decimal, leverage: int, isolated: bool) -> None:
        """Open a position as a trade does."""
        quantity = (notional / entry).quantize(Decimal("0.001"))
        margin = (quantity * entry / leverage).quantize(CENT) if isolated else ZERO
        now = self.world.time_s
        self.holdings[coin, side] = Holding(
            coin=coin,
            side=side,
            quantity=quantity,
            entry=entry,
            isolated=isolated,
            margin=margin,
            leverage=leverage,
            opened_s=now,
            updated_s=now,
        )
        self.free -= margin
        if isolated:
            self._write(coin, side, margin, "TRADE")

    def close(self, key: tuple[str, int], why: str) -> None:
        """Close a position at its mark; what is left of its margin comes back."""
        holding = self.holdings.pop(key)
        left = holding.margin + holding.profit(self.price(holding.coin))
        self.free += left if not holding.isolated else max(ZERO, left)
        self.ended.append((key, self.world.time_s))
        self.booked.append((holding.coin, self.world.time_s))
        self.fills.append(
            Fill(
                coin=holding.coin,
                side=holding.side,
                quantity=holding.quantity,
                price=self.price(holding.coin),
                at_s=self.world.time_s,
                is_forced=why.startswith("liquidated"),
            )
        )
        self.world.note(self.name, "closed", key, why)
        self.tell()

    def add_margin(self, coin: str, leg: str, amount: Decimal, request: int | None) -> Entry:
        """Move margin from the wallet into a position. Raises Refused."""
        holding = self._holding_of(coin, leg)
        if amount <= 0:
            raise Refused(-4055, "Amount must be positive.")
        if holding is None:
            raise Refused(-4054, "Cannot add position margin: position is 0.")
        if not holding.isolated:
            raise Refused(-4049, "Add margin only support for isolated position.")
        if amount > self.available():
            raise Refused(-4050, "Cross balance insufficient.")
        holding.margin += amount
        holding.updated_s = self.world.time_s
        self.free -= amount
        return self._write(holding.coin, holding.side, amount, "USER_ADJUST", request)

    def take_margin(self, key: tuple[str, int], amount: Decimal) -> None:
        """A person takes margin out again."""
        self.holdings[key].margin -= amount
        self.free += amount
        self._write(*key, -amount, "USER_ADJUST")

    def note_foreign(self) -> None:
        self.foreign_writes += 1
        self.foreign_s = self.world.time_s

    def move_cash(self, amount: Decimal) -> None:
        """Pay into the wallet, or out of it."""
        self.free += amount
        self.tell()

    def pay_funding(self, key: tuple[str, int], rate: Decimal) -> None:
        holding = self.holdings[key]
        paid = (holding.notional(self.price(holding.coin)) * rate * holding.side).quantize(CENT)
        if holding.isolated:
            holding.margin -= paid
            self._write(*key, -paid, "FUNDING_FEE")
        else:
            self.free -= paid
            self.tell()

    def available(self) -> Decimal:
        """Return what may move into isolated margin now."""
        crosses = list(self.crosses())
        held = sum((one.notional(self.price(one.coin)) / one.leverage for one in crosses), ZERO)
        left = self.free + self.cross_profit() - held
        return max(ZERO, left).quantize(CENT, rounding="ROUND_DOWN")

    def cross_profit(self) -> Decimal:
        return sum((one.profit(self.price(one.coin)) for one in self.crosses()), ZERO)

    def crosses(self) -> Iterator[Holding]:
        return (one for one in self.holdings.values() if not one.isolated)

    def liquidation_price(self, holding: Holding) -> Decimal | None:
        """Return where a position ends when only its own coin moves."""
        if holding.isolated:
            return holding.liquidation_price(holding.margin)
        others = [one for one in self.crosses() if one is not holding]
        backing = self.free + sum(
            (one.profit(self.price(one.coin)) - one.requirement(self.price(one.coin)) for one in others), ZERO
        )
        return holding.liquidation_price(backing)

    def distance(self, key: tuple[str, int]) -> Decimal | None:
        """Return |mark - liquidation| / mark. None: no price liquidates it. 0: it is past it."""
        holding = self.holdings[key]
        price, end = self.price(holding.coin), self.liquidation_price(holding)
        if end is None:
            return None
        return max(ZERO, holding.side * (price - end)) / price

    def liquidate_what_is_due(self) -> None:
        for key, holding in list(self.holdings.items()):
            price = self.price(holding.coin)
            if holding.isolated and holding.margin + holding.profit(price) <= holding.requirement(price):
                self.close(key, "liquidated")
        crosses = list(self.crosses())
        need = sum((one.requirement(self.price(one.coin)) for one in crosses), ZERO)
        if crosses and self.free + self.cross_profit() <= need:
            for one in crosses:
                self.close(one.key, "liquidated with its pool")
            self.free = max(ZERO, self.free)

    def _holding_of(self, coin: str, leg: str) -> Holding | None:
        """Return the position a request is about: in one-way mode the one there is, whatever its side."""
        if self.hedged:
            if leg not in {"LONG", "SHORT"}:
                raise Refused(-4061, "Order's position side does not match user's setting.")
            return self.holdings.get((coin, 1 if leg == "LONG" else -1))
        if leg != "BOTH":
            raise Refused(-4061, "Order's position side does not match user's setting.")
        return self.holdings.get((coin, 1)) or self.holdings.get((coin, -1))

    def _write(self, coin: str, side: int, amount: Decimal, kind: str, request: int | None = None) -> Entry:
        leg = ("LONG" if side > 0 else "SHORT") if self.hedged else "BOTH"
        entry = Entry(coin=coin, side=side, amount=amount, at_s=self.world.time_s, kind=kind, leg=leg, request=request)
        self.history.append(entry)
        self.world.note(self.name, "entry", coin, side, amount, kind, request is not None)
        self.on_entry(entry)
        self.tell()
        return entry

    def tell(self) -> None:
        """Push it to whoever listens that something has changed."""
        for push in self.listeners:
            push()


def text(amount: Decimal, places: int = 8) -> str:
    """Return an amount as the exchange prints it."""
    return f"{amount.quantize(_STEPS[places], rounding=ROUND_HALF_EVEN):f}"
