"""Fuzzed answers of every guarded exchange: what is read of a changed answer, held against the truth and against itself.

The truth is the contract suite's own server of each exchange. One answer of each case is changed on its way.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import oracle
from mutations import Dice, damaged, mutated, to_json
from noting import noting_bugs
from wire_line import Loop
from wire_oracle import derived_in, inside, is_near, is_stated, is_yes, numbers_in
from wire_worlds import WireFuzzWorld, open_wire_world, worlds_of

from guard.errors import KeysRefused, OutcomeUnknown, VenueRefused, VenueUnavailable
from guard.snapshot import (
    AccountSnapshot,
    Gap,
    MarginBefore,
    MarginRequest,
    Outcome,
    Position,
    PositionKey,
)

KINDS = {
    "snapshot": 46,
    "opening": 10,  # The first snapshot of a venue: modes, fees and tiers are read with it.
    "tiers": 8,
    "mark": 5,
    "candles": 3,
    "add": 14,
    "settle": 8,
    "changes": 2,
    "stops": 2,
    "key_scopes": 2,
}
ODD_STATUSES = (201, 204, 302, 400, 401, 403, 404, 418, 429, 451, 500, 502, 503, 524)
RECOVERY_EVERY = 4
SEEKS_MAX = 12
# What tells whose row of a position it is.
IDENTITY = {
    "binancecoinm": ("symbol", "positionSide"),
    "bybit": ("symbol", "side", "positionIdx"),
    "okx": ("instId", "posSide"),
    "hyperliquid": ("coin",),
    "gate": ("contract", "mode"),
    "bitget": ("symbol", "holdSide"),
    "bitget-uta": ("symbol", "posSide"),
}
NONE_KNOWN: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class WireCase:
    """What one seed made of one answer."""

    number: int
    kind: str
    world: int
    dice: Dice
    status: int = 200
    asked: str = ""  # Of which the answer was changed.
    raw: bytes = b""
    touched: tuple[tuple[Any, ...], ...] = ()  # Where it was changed; nothing: its bytes, or not at all.
    is_changed: bool = False
    wrong: list[str] = field(default_factory=list)
    outcome: str = "not reached"
    said: str = ""  # Of a failure.


class WireFuzz:
    """The worlds of one exchange, and the case of each seed. Use `close` at the end."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self.counts: Counter[str] = Counter()
        self._loop = Loop()
        self.worlds = [self._loop.run(open_wire_world(exchange, number)) for number in range(len(worlds_of(exchange)))]
        self._play: dict[str, Callable[[WireCase, WireFuzzWorld], Any]] = {
            "snapshot": self._snapshot,
            "opening": self._snapshot,
            "tiers": self._tiers,
            "mark": self._mark,
            "candles": self._candles,
            "add": self._add,
            "settle": self._settle,
            "changes": self._changes,
            "stops": self._stops,
            "key_scopes": self._key_scopes,
        }
        for number in range(len(self.worlds)):
            for kind in KINDS:
                self._measure(number, kind)

    def close(self) -> None:
        for world in self.worlds:
            self._loop.run(world.venue.close())
        self._loop.close()

    def play(self, seed: int) -> WireCase:
        """Play the case of a seed; what it broke stands in `wrong`."""
        dice = random.Random(f"{self.exchange} {seed}")  # noqa: S311 - a mutation, not a secret.
        kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
        case = WireCase(number=seed, kind=kind, world=dice.randrange(len(self.worlds)), dice=dice)
        world = self.worlds[case.world]
        if dice.random() < (0.3 if kind == "add" else 0.03):
            case.status = dice.choice((200, *ODD_STATUSES) if kind == "add" else ODD_STATUSES)
        world.restore(fresh=kind == "opening")
        length = world.lengths[kind]
        at = (length - 1 if kind == "add" else dice.randrange(length)) if length else None
        world.line.clear(at, lambda honest: self._change(case, world, honest))
        self._run(case, world)
        case.asked = world.line.kinds[at] if at is not None and at < len(world.line.kinds) else ""
        self.counts[f"{case.kind}: {case.outcome}"] += 1
        return case

    def _measure(self, number: int, kind: str) -> None:
        """Play a kind of case with true answers: how many requests it makes, and that nothing is found wrong in them."""
        world = self.worlds[number]
        world.restore(fresh=kind == "opening")
        case = WireCase(number=0, kind=kind, world=number, dice=random.Random(0))  # noqa: S311 - as above.
        self._run(case, world)
        assert not case.wrong, f"{self.exchange} {kind}: {case.wrong}"
        world.lengths[kind] = len(world.line.kinds)

    def _run(self, case: WireCase, world: WireFuzzWorld) -> None:
        try:
            with noting_bugs(case):
                self._loop.run(self._play[case.kind](case, world))
        except (VenueUnavailable, KeysRefused) as error:
            case.outcome, case.said = (
                "unavailable" if isinstance(error, VenueUnavailable) else "keys refused",
                str(error),
            )
            _check_text(case, world, str(error))
        if world.line.broken is not None:
            raise world.line.broken
        if world.line.posts > (case.kind == "add"):
            case.wrong.append(f"{world.line.posts} requests that move money")

    def _change(self, case: WireCase, world: WireFuzzWorld, honest: Any) -> tuple[int, bytes]:
        """Change an answer. Half of those to a write are changed where their evidence is."""
        seeks = case.kind == "add" and case.dice.random() < 0.5
        amount = Fraction(_request(world).amount)
        for _ in range(SEEKS_MAX if seeks else 1):
            _spoil(case, honest)
            if not is_yes(self.exchange, case.raw, 200, honest, amount):
                break
        return case.status, case.raw

    async def _snapshot(self, case: WireCase, world: WireFuzzWorld) -> None:
        snapshot = await world.venue.snapshot()
        case.outcome = "read with gaps" if snapshot.gaps else "read"
        stated, derived = numbers_in(world.line.said), derived_in(self.exchange, world.line.said)
        for position in world.truth.positions:
            now = next((one for one in snapshot.positions if one.key == position.key), None)
            if now is None:
                self._check_absent(case, world, snapshot, position)
            else:
                for name in ("quantity", "entry_price", "mark_price", "isolated_wallet"):
                    figure, true = getattr(now, name), getattr(position, name)
                    if name == "isolated_wallet" and figure is None and _is_told(snapshot, now):
                        continue
                    if figure is None or (figure != true and not is_stated(Fraction(figure), stated, derived)):
                        case.wrong.append(f"{position.key}: {name} is {figure}, truly {true}, and nothing says so")
        for wallet in snapshot.wallets:
            before = world.truth.wallet(wallet.currency)
            most = max((*stated, Fraction(before.available if before else 0)))
            if Fraction(wallet.available) not in stated and not 0 <= Fraction(wallet.available) <= most:
                case.wrong.append(f"wallet {wallet.currency}: {wallet.available} available, and nothing says so")
        for gap in snapshot.gaps:
            _check_text(case, world, gap.subject)
            _check_text(case, world, gap.reason)
        self._check_rows_twice(case, world, snapshot)
        if case.kind == "snapshot" and case.status == 200 and case.number % RECOVERY_EVERY == 0:
            await self._check_recovery(case, world)

    async def _check_recovery(self, case: WireCase, world: WireFuzzWorld) -> None:
        """After an odd answer, true ones are read as if nothing had been."""
        world.line.clear()
        snapshot = await world.venue.snapshot()
        if snapshot.gaps or snapshot.positions != world.truth.positions:
            told = [f"{gap.subject}: {gap.reason}" for gap in snapshot.gaps]
            case.wrong.append(f"after an odd answer a true one is not read as it is: {told}")

    def _check_rows_twice(self, case: WireCase, world: WireFuzzWorld, snapshot: AccountSnapshot) -> None:
        """A position that one answer states twice and differently is not taken for either."""
        size_name = _size_name(world)
        sizes: defaultdict[tuple[Any, ...], set[Any]] = defaultdict(set)
        for row in _rows(world):
            who = tuple(row.get(name) for name in IDENTITY[self.exchange])
            if None not in who and all(isinstance(one, str) for one in who) and oracle.number(row.get(size_name)):
                sizes[who].add(oracle.number(row[size_name]))
        if any(len(found) > 1 for found in sizes.values()) and not snapshot.gaps:
            case.wrong.append(f"two rows of one position that differ, and no gap: {dict(sizes)}")

    def _check_absent(
        self, case: WireCase, world: WireFuzzWorld, snapshot: AccountSnapshot, position: Position
    ) -> None:
        """A position that is not there must be named, unless the exchange states that there is none."""
        key = position.key
        if any(_may_be_of(gap, key) for gap in snapshot.gaps):
            return
        if any(one.key.symbol == key.symbol and one.key.side is not key.side for one in snapshot.positions):
            return  # It states the other side.
        if _is_stated_open(world, position):
            case.wrong.append(f"{key} is gone without a word")

    async def _tiers(self, case: WireCase, world: WireFuzzWorld) -> None:
        symbols = frozenset(position.key.symbol for position in world.truth.positions)
        tables = await world.venue.tiers(symbols)
        case.outcome = "read with gaps" if tables.gaps else "read"
        stated = numbers_in(world.line.said)
        for symbol in symbols:
            table = tables.by_symbol.get(symbol)
            if table is None:
                if not any(symbol in gap.subject for gap in tables.gaps):
                    case.wrong.append(f"{symbol} has no tiers, and no gap says so")
                continue
            true = {Fraction(row[2]) for row in world.server.tier_rows(symbol)}
            for tier in table.rows:
                rate = Fraction(tier.maintenance_margin_rate)
                if rate <= 0 or not _is_rate_stated(rate, stated | true):
                    case.wrong.append(f"{symbol}: a tier's rate is {rate}, and nothing says so")

    async def _mark(self, case: WireCase, world: WireFuzzWorld) -> None:
        position = world.truth.positions[0]
        mark = await world.venue.mark(position.key.symbol)
        case.outcome = "read"
        if mark.price <= 0 or Fraction(mark.price) not in numbers_in(world.line.said):
            case.wrong.append(f"a mark of {mark.price}, and nothing says so")

    async def _candles(self, case: WireCase, world: WireFuzzWorld) -> None:
        bars = await world.venue.candles(world.truth.positions[0].key.symbol, minutes=1, count=10)
        case.outcome = "read"
        if any(not 0 < price < float("inf") for bar in bars for price in (bar.high, bar.low, bar.close)):
            case.wrong.append("a candle without a finite positive price")

    async def _add(self, case: WireCase, world: WireFuzzWorld) -> None:
        request = _request(world)
        if case.dice.random() < 0.3 and case.number:
            world.line.refuse = case.dice.choice(sorted(world.server.refusals))
        refused_by = world.line.refuse
        try:
            text, case.outcome = await world.venue.add_margin(request), "applied"
        except VenueRefused as error:
            text, case.outcome = str(error), "refused"
        except OutcomeUnknown as error:
            text, case.outcome = str(error), "unknown"
        _check_text(case, world, text)
        honest = world.line.honest
        if honest is None:
            return
        proves = refused_by is None and is_yes(
            self.exchange, world.line.said[-1], case.status, honest, Fraction(request.amount)
        )
        if case.outcome == "applied" and not proves:
            case.wrong.append(f"applied without evidence: HTTP {case.status}")
        if case.outcome == "refused" and proves:
            case.wrong.append(f"refused, and the answer proves a yes: HTTP {case.status}")
        if proves and not case.is_changed and case.status == 200 and case.outcome != "applied":
            case.wrong.append("a plain yes was not believed")
        if refused_by is not None and not case.is_changed and case.status == 200 and case.outcome != "refused":
            case.wrong.append(f"a plain no ({refused_by}) was not believed")

    async def _settle(self, case: WireCase, world: WireFuzzWorld) -> None:
        request, server = _request(world), world.server
        position = next(one for one in world.truth.positions if one.key == request.key)
        fence = world.venue.write_terms.fence
        now = datetime.now(UTC)
        sent_at = now - fence - timedelta(seconds=3)
        assert position.isolated_wallet is not None
        before = MarginBefore(
            margin=position.isolated_wallet,
            quantity=position.quantity,
            entry_price=position.entry_price,
            mark_price=position.mark_price,
            read_at=sent_at - timedelta(seconds=1),
        )
        is_done = case.dice.random() < 0.5
        if is_done:
            skew, server.clock_skew = server.clock_skew, server.clock_skew - round((fence.total_seconds() + 2.5) * 1000)
            server.add_to(request.key.symbol, request.key.side, request.amount)
            server.clock_skew = skew
        settled = await world.venue.settle(
            replace(request, before=before), sent_at=sent_at, now=now, known_entries=NONE_KNOWN
        )
        case.outcome = f"{settled.outcome.value}, {'done' if is_done else 'not done'}"
        _check_text(case, world, settled.evidence)
        amount = Fraction(request.amount)
        stated, derived = numbers_in(world.line.said), derived_in(self.exchange, world.line.said)
        after = Fraction(position.isolated_wallet) + amount
        shows_it = amount in stated or is_stated(after, stated, derived)
        shows_before = is_stated(Fraction(position.isolated_wallet), stated, derived)
        if settled.outcome is Outcome.APPLIED and not is_done and not shows_it:
            case.wrong.append(f"settled as applied, it was not: {settled.evidence}")
        if settled.outcome is Outcome.NOT_APPLIED and is_done and not (shows_before and not shows_it):
            case.wrong.append(f"settled as not applied, it was: {settled.evidence}")

    async def _changes(self, case: WireCase, world: WireFuzzWorld) -> None:
        request = _request(world)
        world.server.add_to(request.key.symbol, request.key.side, request.amount)
        changes = await world.venue.margin_changes([request.key], datetime.now(UTC) - timedelta(hours=1))
        case.outcome = "read"
        stated = numbers_in(world.line.said)
        for change in changes:
            is_worked_out = change.entry_id.startswith("opened|")  # Bitget: of the margin, less what was added.
            if not is_worked_out and Fraction(change.amount) not in stated:
                case.wrong.append(f"a change of {change.amount}, and nothing says so")

    async def _stops(self, case: WireCase, world: WireFuzzWorld) -> None:
        position = world.truth.positions[0]
        world.server.add_stop(position.key.symbol, position.key.side, position.mark_price * Decimal("0.97"))
        stops = await world.venue.stops(frozenset({position.key.symbol}))
        case.outcome = "read"
        stated = numbers_in(world.line.said)
        if any(Fraction(stop.trigger_price) not in stated for stop in stops):
            case.wrong.append("a stop at a price that nothing states")

    async def _key_scopes(self, case: WireCase, world: WireFuzzWorld) -> None:
        scopes = await world.venue.key_scopes()
        case.outcome = scopes.verdict.value
        _check_text(case, world, scopes.text)


def _spoil(case: WireCase, honest: Any) -> None:
    dice = case.dice
    case.raw, case.touched = to_json(honest).encode(), ()
    case.is_changed = dice.random() >= 0.03
    if not case.is_changed:
        return
    if dice.random() < 0.12 or not isinstance(honest, dict | list):
        case.raw = damaged(case.raw, dice)
    else:
        value, case.touched = mutated(honest, dice, times=dice.choice((1, 1, 1, 1, 2, 2, 3, 5)))
        case.raw = to_json(value).encode()


def _request(world: WireFuzzWorld) -> MarginRequest:
    position = world.truth.positions[0]
    amount = world.server.sample_of(position.key.symbol).top_up
    settle = position.contract.settle
    return MarginRequest(key=position.key, amount=amount, currency=settle, hedged=position.hedged)


def _may_be_of(gap: Gap, key: PositionKey) -> bool:
    """Say whether a gap tells of this position: its own, its symbol's (a row may state the other side), or a wider one."""
    if gap.key is not None:
        return gap.key.symbol == key.symbol
    return not gap.subject.startswith(("wallet", "account margin"))


def _size_name(world: WireFuzzWorld) -> str:
    return str(world.server.position_fields["size"]).rpartition(".")[2]


def _rows(world: WireFuzzWorld) -> Iterator[dict[str, Any]]:
    """Yield every object of the answers."""
    return (row for raw in world.line.said for row in inside(oracle.parsed(raw)) if isinstance(row, dict))


def _is_told(snapshot: AccountSnapshot, position: Position) -> bool:
    """Say whether a gap speaks of a position that is listed: of what its margin is, nobody knows."""
    return any(gap.subject == str(position.key) for gap in snapshot.gaps)


def _is_stated_open(world: WireFuzzWorld, position: Position) -> bool:
    """Say whether a row still shows the position: its size where sizes stand, and its entry price."""
    name, size, entry = _size_name(world), Fraction(position.quantity), Fraction(position.entry_price)
    return any(
        oracle.number(row.get(name)) in {size, -size} and entry in {oracle.number(one) for one in row.values()}
        for row in _rows(world)
    )


def _is_rate_stated(rate: Fraction, stated: set[Fraction]) -> bool:
    """Say whether a rate stands there, in percent too, or as half the inverse of a leverage (Hyperliquid's documents)."""
    return rate in stated or rate * 100 in stated or any(is_near(rate, 1 / (2 * one)) for one in stated if one)


def _check_text(case: WireCase, world: WireFuzzWorld, text: str) -> None:
    """Hold a text for people against what may stand in one."""
    if any(secret in text for secret in world.venue._client.gate.secrets):
        case.wrong.append(f"a secret stands in {text!r:.200}")
    if len(text) > 600:
        case.wrong.append(f"a text of {len(text)} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        case.wrong.append(f"a text that cannot be written down: {text!r:.200}")
