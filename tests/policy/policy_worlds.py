"""Made-up accounts for the policy tests: positions placed at a wanted distance, terms with one rule, and a journal's part.

One tier of 1 % keeps the arithmetic checkable by hand: a long of one coin bought at 10,000 with wallet W ends at
(10,000 - W) / 0.99.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from guard.margin import MarginRule, RuleBook, TierTable, assess
from guard.outlook import Outlook
from guard.policy.decide import decide
from guard.policy.memory import Life, Memory
from guard.policy.terms import Amount, AmountUnit, DataAgeLimits, Ladder, Level, Mode, Rule, Rung, Terms, TopUpTerms
from guard.snapshot import (
    AccountSnapshot,
    AssetMode,
    Contract,
    ContractKind,
    Liquidation,
    LiquidationKind,
    MarginMode,
    Position,
    PositionKey,
    RiskTier,
    Side,
    Wallet,
)

T0 = datetime(2026, 3, 1, 4, 10, tzinfo=UTC)
BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"
KEY = PositionKey(BTC, Side.LONG)
UNKNOWN = Liquidation(kind=LiquidationKind.UNKNOWN)
TIERS = TierTable.of(
    [
        RiskTier(
            notional_floor=Decimal(0),
            notional_cap=Decimal("1e12"),
            maintenance_margin_rate=Decimal("0.01"),
            maintenance_amount=Decimal(0),
        )
    ]
)
PRICE = Decimal(10_000)


def D(value):  # noqa: N802  Reads as the type it makes.
    return Decimal(str(value))


def dollars(value):
    return Amount(unit=AmountUnit.DOLLARS, value=D(value), written=str(value))


def ladder(**changes):
    """The default ladder of the config; `danger=timedelta(...)` writes a `for`."""
    rows = (
        (Level.WATCH, "0.25", 5.0, None),
        (Level.WARN, "0.15", 4.0, timedelta(hours=4)),
        (Level.DANGER, "0.08", None, timedelta(minutes=30)),
        (Level.CRITICAL, "0.04", None, timedelta(minutes=2)),
    )
    return Ladder(
        rungs=tuple(
            Rung(
                level=level,
                distance=D(distance),
                sigmas=sigmas,
                clear=D(distance) + D("0.02"),
                clear_for=timedelta(minutes=5),
                hold=changes.get(level.word),
                repeat_interval=repeat,
            )
            for level, distance, sigmas, repeat in rows
        )
    )


def top_up_terms(**changes):
    terms = TopUpTerms(
        trigger=D("0.08"),
        birth_cap=True,
        target=D("0.16"),
        max_per_action=None,
        max_per_position=dollars(5000),
        max_per_day=dollars(10000),
        reserve=dollars(0),
        cooldown=timedelta(seconds=120),
        when_short_spend=False,
        priority=0,
    )
    return replace(terms, **changes)


def rule(name="shield", *, top_up="default", **changes):
    terms = top_up_terms() if top_up == "default" else top_up
    fields = {
        "name": name,
        "account": "*",
        "symbol": "*",
        "side": None,
        "margin_mode": None,
        "mode": None,
        "ladder": ladder(),
        "top_up": terms,
    }
    return Rule(**{**fields, **changes})


def terms(*rules, mode=Mode.ACT, per_day=None, **changes):
    fields = {
        "account": "main",
        "mode": mode,
        "ladder": ladder(),
        "rules": rules,
        "max_per_day_all": None if per_day is None else dollars(per_day),
        "data_age": DataAgeLimits(stale_after=timedelta(seconds=15), blind_after=timedelta(seconds=120)),
    }
    return Terms(**{**fields, **changes})


def contract(symbol=BTC):
    base = symbol.partition("/")[0]
    settle = symbol.partition(":")[2]
    kind = ContractKind.INVERSE if settle == base else ContractKind.LINEAR
    return Contract(symbol=symbol, kind=kind, base=base, settle=settle, contract_size=Decimal(1))


def isolated(distance="0.5", *, symbol=BTC, side=Side.LONG, quantity=1, leverage=5, **changes):
    """An isolated linear position, marked at its entry, that ends `distance` away from there."""
    end = PRICE * (1 - side * D(distance))
    wallet = quantity * (side * (PRICE - end) + D("0.01") * end)
    fields = {
        "contract": contract(symbol),
        "side": side,
        "margin_mode": MarginMode.ISOLATED,
        "quantity": D(quantity),
        "entry_price": PRICE,
        "mark_price": PRICE,
        "isolated_wallet": wallet,
        "leverage": None if leverage is None else D(leverage),
        "hedged": False,
        "auto_add_margin": False,
        "exchange_liquidation": UNKNOWN,
        "exchange_maintenance_margin": None,
        "updated_at": None,
    }
    return Position(**{**fields, **changes})


def cross(*, symbol=ETH, side=Side.LONG, quantity=1, **changes):
    return isolated(
        symbol=symbol,
        side=side,
        quantity=quantity,
        **{"margin_mode": MarginMode.CROSS, "isolated_wallet": None, **changes},
    )


def snapshot(
    *positions, available=10_000, balance=None, at=T0, gaps=(), mode=AssetMode.SINGLE, ratio=None, wallets=None
):
    own = Wallet(
        currency="USDT",
        cross_wallet_balance=D(available if balance is None else balance),
        cross_unrealized_pnl=Decimal(0),
        available=D(available),
    )
    return AccountSnapshot(
        account="main",
        exchange="binanceusdm",
        asset_mode=mode,
        positions=positions,
        wallets=(own,) if wallets is None else wallets,
        positions_read_at=at,
        wallets_read_at=at,
        exchange_margin_ratio=ratio,
        gaps=tuple(gaps),
    )


def assessed(seen, *, tiers=TIERS):
    symbols = {position.contract.symbol for position in seen.positions}
    return assess(
        seen, dict.fromkeys(symbols, tiers) if tiers else {}, RuleBook.uniform(MarginRule()), seen.positions_read_at
    )


def life(key=KEY, **changes):
    fields = {
        "life_id": "l1",
        "key": key,
        "first_seen_at": T0 - timedelta(hours=1),
        "birth_distance": D("0.19"),
        "initial_margin": D(2000),
        "spent": Decimal(0),
        "last_top_up_at": None,
        "has_open_intent": False,
    }
    return Life(**{**fields, **changes})


def memory(*lives, alerts=(), **changes):
    fields = {
        "armed": True,
        "disarmed_because": None,
        "lives": MappingProxyType({one.key: one for one in lives}),
        "alerts": MappingProxyType({state.subject: state for state in alerts}),
    }
    return Memory(**{**fields, **changes})


def cent(_currency):
    return D("0.01")


def judged(*positions, rules=None, lives=None, now=T0, fresh=True, ended=(), step=cent, sigmas=None, **changes):
    """Decide once. `changes` go to the terms, the memory and the snapshot, by their names."""
    of_terms = {
        name: changes.pop(name) for name in ("mode", "per_day", "data_age", "model_gap_alert") if name in changes
    }
    names = (
        "armed",
        "disarmed_because",
        "spent_today_by_rule",
        "spent_today_all",
        "spending_known",
        "unsettled",
        "alerts",
    )
    of_memory = {name: changes.pop(name) for name in names if name in changes}
    tiers, stops = changes.pop("tiers", TIERS), changes.pop("stops", None)
    if "asset_mode" in changes:
        changes["mode"] = changes.pop("asset_mode")
    seen = assessed(snapshot(*positions, **{"at": now, **changes}), tiers=tiers)
    remembered = [life(position.key) for position in positions] if lives is None else lives
    looks = {
        position.key: Outlook(sigmas=sigmas, touch_probability=None, gap=None)
        for position in positions
        if sigmas is not None
    }
    return decide(
        seen,
        memory=memory(*remembered, **of_memory),
        terms=terms(*([rule()] if rules is None else rules), **of_terms),
        step=step,
        outlooks=looks,
        ended=frozenset(ended),
        fresh_read=fresh,
        now=now,
        stops=stops,
    )


def row(decision, key=KEY):
    return next(verdict for verdict in decision.positions if verdict.key == key)


class Watching:
    """One account watched over time: the alert states go round as the journal would keep them."""

    def __init__(self, *, rules=None, **of_terms):
        self.terms = terms(*([rule(top_up=None)] if rules is None else rules), **of_terms)
        self.states = ()
        self.lives = {}
        self.last = None

    def see(self, at_s, *positions, gaps=(), ended=(), sigmas=None, fresh=True, read_at_s=None, blank=False, **changes):
        """Look at `at_s` seconds; return the alerts as (kind, event, level) words."""
        now = T0 + timedelta(seconds=at_s)
        read_at = now if read_at_s is None else T0 + timedelta(seconds=read_at_s)
        seen = None if blank else assessed(snapshot(*positions, at=read_at, gaps=gaps, **changes))
        looks = {
            position.key: Outlook(sigmas=sigmas, touch_probability=None, gap=None)
            for position in positions
            if sigmas is not None
        }
        self.last = decide(
            seen,
            memory=memory(*self.lives.values(), alerts=self.states),
            terms=self.terms,
            step=cent,
            outlooks=looks,
            ended=frozenset(ended),
            fresh_read=fresh,
            now=now,
        )
        self.states = self.last.alert_states
        self.lives |= {one.key: one for one in self.last.new_lives}
        for key in ended:
            self.lives.pop(key, None)
        return [(alert.kind.value, alert.event.value, alert.level.word) for alert in self.last.alerts]

    def at(self, at_s, distance, **changes):
        """Look at one isolated long that ends at a distance; None: no price liquidates it."""
        return self.see(at_s, isolated("0.999" if distance is None else distance), **changes)
