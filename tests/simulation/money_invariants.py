"""I1 to I7, I9 and I13: money moves once, within every limit, on fresh facts, into the position it is meant for."""

from collections.abc import Mapping
from decimal import Decimal

from evidence import COUNTED, UNASKED, Key, KnownIntent, Seen
from simulated_exchange import Entry, Exchange
from simulated_payloads import PATHS
from simulated_scenario import Scenario
from simulated_time import World
from simulated_wire import POST_PATH, Delivered, Request

FACTS_MAX_S = 5.0
FENCE_S = 24.0
CLOCK_TOLERANCE_S = 2.5  # Of two clocks that were held against each other, and a second's grid.
ROUNDING = Decimal("0.02")


class MoneyInvariants:
    """Judges every request that leaves, every effect at the exchange and every change of an intent on disk."""

    def __init__(self, world: World, scenario: Scenario, exchanges: dict[str, Exchange]) -> None:
        self._world = world
        self._limits = scenario.limits
        self._exchanges = exchanges
        self.intents: dict[str, KnownIntent] = {}
        self._by_request: dict[tuple[str, int], KnownIntent] = {}
        self._effects: list[tuple[str, Entry]] = []
        self._forgotten: list[tuple[str, Entry]] = []  # Of requests that a journal which was put back does not know.
        # The wallet last read, and of when the youngest positions were that reached this life.
        self._at_send: dict[tuple[str, int], tuple[Delivered, float]] = {}
        self.disarmed_since_s: float | None = None
        self.counts = {"effects": 0, "late effects": 0, "unknown": 0}

    # What leaves.

    def on_request(self, request: Request, seen: Seen) -> None:
        is_read = request.method == "GET" and request.path in PATHS
        is_add = request.method == "POST" and request.path == POST_PATH and request.fields.get("type") == "1"
        if not (is_read or is_add):
            self._violated("I6 direction", f"{request.method} {request.path} {request.fields.get('type')} left")
        if self._world.time_s < seen.quiet_until_s:
            self._violated("I6 quiet", "a request left while the exchange had asked for quiet")
        if is_add:
            intent = self._intent_behind(request)
            if intent is not None:
                intent.requests += 1
                self._by_request[request.account, request.number] = intent
                self._judge_send(request, intent, seen)

    def _intent_behind(self, request: Request) -> KnownIntent | None:
        amount, coin = Decimal(request.fields["amount"]), request.fields["symbol"].removesuffix("USDT")
        leg = request.fields.get("positionSide")
        sides = {"LONG": {1}, "SHORT": {-1}, None: {1, -1}}[leg]
        fits = [
            intent
            for intent in self.intents.values()
            if intent.account == request.account and intent.key[0] == coin and intent.key[1] in sides and intent.is_open
        ]
        exact = [intent for intent in fits if intent.amount == amount and intent.state == "sent"]
        fresh = [intent for intent in exact if intent.requests == 0]
        if fresh:
            return fresh[0]
        if exact:
            self._violated("I1 at most once", f"intent {exact[0].number} left a second time")
            return exact[0]
        said = [f"{intent.number} {intent.state} {intent.amount}" for intent in fits]
        self._violated("I2 journal first", f"{amount} for {coin} left, on disk is {said or 'nothing'}")
        return None

    def _judge_send(self, request: Request, intent: KnownIntent, seen: Seen) -> None:
        now = self._world.time_s
        others = [
            other
            for other in self.intents.values()
            # After its fence nothing can come of it any more: what is not settled then does not paralyse (law 10).
            if other.is_open and other is not intent and self._same(other, intent) and now - other.planned_s < FENCE_S
        ]
        if others:
            self._violated("I4 single flight", f"intent {intent.number} left beside {others[0].number}")
        self._judge_facts(request, intent, seen)
        if self.disarmed_since_s is not None and now - self.disarmed_since_s > 1.0:
            self._violated("I16 disarmed", "a request left after `guard disarm`")
        for other in self.intents.values():
            # One that is known to be unknown was asked about before; it locks its position and counts as spent.
            is_left_over = other.account == intent.account and other.from_earlier_life and other.state in UNASKED
            if is_left_over and other.key[0] not in seen.histories:
                self._violated("I9 recovery", f"sent before intent {other.number} of {other.key} was looked up")
        if seen.account is not None:
            self._at_send[request.account, request.number] = (seen.account, seen.positions_truth_s)

    def _judge_facts(self, request: Request, intent: KnownIntent, seen: Seen) -> None:
        now, coin = self._world.time_s, intent.key[0]
        mark = seen.marks.get(coin)
        if seen.positions is None or seen.account is None or mark is None:
            self._violated("I5 facts", f"intent {intent.number} left before anything was read in this life")
            return
        ages = {
            "positions": now - seen.positions.request.sent_s,
            "wallets": now - seen.account.request.sent_s,
            "mark": now - mark.truth_s,
        }
        for what, age in ages.items():
            if age > FACTS_MAX_S:
                self._violated("I5 data age", f"intent {intent.number} left on {what} of {age:.1f} s ago")
        rows = [row for row in seen.positions.body if row["symbol"] == request.fields["symbol"]]
        fit = [row for row in rows if (Decimal(row["positionAmt"]) > 0) == (intent.key[1] > 0)]
        if not any(Decimal(row["isolatedWallet"]) != 0 for row in fit):
            self._violated("I5 identity", f"intent {intent.number} of {intent.key} left, no such isolated one was read")

    # What happens.

    def on_entry(self, account: str, entry: Entry) -> None:
        if entry.request is None:
            return
        self.counts["effects"] += 1
        intent = self._by_request.get((account, entry.request))
        self._effects.append((account, entry))
        if intent is None:
            self._violated("I2 journal first", f"{entry.amount} moved that no intent speaks of")
            return
        intent.effects.append(entry)
        if len(intent.effects) > 1:
            self._violated("I1 at most once", f"intent {intent.number} moved margin {len(intent.effects)} times")
        if entry.amount != intent.amount:
            self._violated("I1 amount", f"intent {intent.number} says {intent.amount}, {entry.amount} moved")
        if (entry.coin, entry.side) != intent.key and not self._flipped_under_way(account, entry):
            self._violated("I1 position", f"intent {intent.number} is for {intent.key}, {entry.side} got it")
        if intent.state in {"refused", "not_applied"}:
            self._violated("I7 ledger", f"intent {intent.number} moved margin after it was {intent.state}")
        self._judge_limits(account, intent.key, entry)
        self._judge_reserve(account, entry)

    def _flipped_under_way(self, account: str, entry: Entry) -> bool:
        """Say whether the position was opened after all that was looked at, if only old answers came: nothing told."""
        holding = self._exchanges[account].holdings.get((entry.coin, entry.side))
        read, truth_s = self._at_send.get((account, entry.request or 0), (None, 0.0))
        if holding is None or read is None:
            return holding is not None
        return holding.opened_s >= min(read.request.sent_s - 1.0, truth_s)

    def _judge_limits(self, account: str, key: Key, entry: Entry) -> None:
        limits, effects = self._limits, self._effects
        sums = {
            "max_per_action": (entry.amount, limits.per_action),
            "max_per_position": (
                sum(e.amount for name, e in effects if (name, e.coin, e.side) == (account, *key)),
                limits.per_position,
            ),
            "max_per_day": (sum(e.amount for name, e in effects if name == account), limits.per_day),
            "[limits] max_per_day": (sum(e.amount for _, e in effects), limits.all_day),
        }
        for name, (spent, limit) in sums.items():
            if spent > limit:
                self._violated("I3 caps", f"{spent} moved in all, {name} is {limit}")

    def _judge_reserve(self, account: str, entry: Entry) -> None:
        """Hold the wallet after the effect, at the prices it was last read at, against the reserve."""
        read, _ = self._at_send.get((account, entry.request or 0), (None, 0.0))
        exchange = self._exchanges[account]
        if read is None or exchange.foreign_s >= read.truth_s or read.truth_s < read.request.sent_s:
            return  # People moved money meanwhile, or a cache answered with an old wallet that bears no date.
        prices, exchange.market.prices = exchange.market.prices, dict(read.prices)
        available, equity = exchange.available(), exchange.free + exchange.cross_profit()
        exchange.market.prices = prices
        if available + ROUNDING < self._limits.reserve * equity:
            self._violated("I5 reserve", f"{available} is left available of {equity:.2f}")

    # What is on disk.

    def on_intents(self, rows: list[KnownIntent]) -> None:
        for row in rows:
            before = self.intents.get(row.intent_id)
            if before is None:
                row.number = len(self.intents) + 1
                self.intents[row.intent_id] = before = row
                self._world.note("intent", row.number, row.key, row.amount, row.state)
            elif before.state != row.state:
                self._world.note("intent", row.number, before.number, before.state, row.state)
                before.state = row.state
                self.counts["unknown"] += row.state == "unknown"
                self._judge_state(before)
        self._judge_counted()

    def _judge_state(self, intent: KnownIntent) -> None:
        if intent.state == "applied" and not intent.effects and not self._is_taken_for_forgotten(intent):
            self._violated("I7 ledger", f"intent {intent.number} is applied, and nothing moved")
        if intent.state in {"refused", "not_applied"} and intent.effects:
            self._violated("I7 ledger", f"intent {intent.number} is {intent.state}, and margin moved")

    def _is_taken_for_forgotten(self, intent: KnownIntent) -> bool:
        """Say whether a request that the put back journal does not know did just what this one asked, at that time.

        Nobody can tell the two apart, and it counts once. The entry is the intent's from here on.
        """
        for account, entry in self._forgotten:
            is_in_time = 0 <= entry.at_s - intent.planned_s <= FENCE_S + CLOCK_TOLERANCE_S
            fits = (account, (entry.coin, entry.side), entry.amount) == (intent.account, intent.key, intent.amount)
            if fits and is_in_time:
                self._forgotten.remove((account, entry))
                intent.effects.append(entry)
                return True
        return False

    def _judge_counted(self) -> None:
        """Hold everything that counts as spent against the limits."""
        limits = self._limits
        counted = [intent for intent in self.intents.values() if intent.state in COUNTED]
        by_position: dict[tuple[str, Key], Decimal] = {}
        by_account: dict[str, Decimal] = {}
        for intent in counted:
            place = intent.account, intent.key
            by_position[place] = by_position.get(place, Decimal(0)) + intent.amount
            by_account[intent.account] = by_account.get(intent.account, Decimal(0)) + intent.amount
        worst = (
            ("max_per_position", max(by_position.values(), default=Decimal(0)), limits.per_position),
            ("max_per_day", max(by_account.values(), default=Decimal(0)), limits.per_day),
            ("[limits] max_per_day", sum(by_account.values(), Decimal(0)), limits.all_day),
        )
        for name, spent, limit in worst:
            if spent > limit:
                self._violated("I3 caps", f"{spent} counts as spent, {name} is {limit}")

    def at_rest(self) -> None:
        for intent in self.intents.values():
            if intent.is_open:
                self._violated("I7 ledger", f"intent {intent.number} is still {intent.state} at rest")
            elif (intent.state == "applied") != bool(intent.effects):
                self._violated("I7 ledger", f"intent {intent.number} is {intent.state}, effects: {len(intent.effects)}")

    def journal_is_lost(self) -> None:
        """Forget what no journal knows any more; effects stay, and the limits hold for them all the same."""
        self.intents.clear()

    def journal_is_put_back(self, states: Mapping[str, str]) -> None:
        """Know only the intents of the copy, as they stand in it; what they did stays done."""
        self.intents = {intent_id: self.intents[intent_id] for intent_id in states if intent_id in self.intents}
        for intent_id, intent in self.intents.items():
            intent.state = states[intent_id]
        known = [entry for intent in self.intents.values() for entry in intent.effects]
        self._forgotten = [(account, entry) for account, entry in self._effects if entry not in known]

    def _same(self, one: KnownIntent, other: KnownIntent) -> bool:
        return (one.account, one.key) == (other.account, other.key)

    def _violated(self, invariant: str, text: str) -> None:
        self._world.violated(invariant, text)
