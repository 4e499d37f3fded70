"""I12: a breach that could be mended is acted on in time, whatever happens to other accounts and positions."""

from decimal import Decimal

from evidence import COUNTED, Distances, Key, KnownIntent, Seen, Streak
from simulated_exchange import Exchange, Holding
from simulated_scenario import CLEAR, TRIGGER, Scenario
from simulated_time import World

NEAR_S = 5.0 + 5.0 + 1.5  # A near poll, five seconds, and what the requests take.
NEAR_FROM = Decimal("0.14")
NEAR_FOR_S = 75
PLAINLY = Decimal("0.001")
QUIET_BEFORE_S = 15.0
RHYTHM_SLACK_S = 5.0


class LivenessInvariants:
    """Watches, second by second, positions that plainly could be helped and are not."""

    def __init__(self, world: World, scenario: Scenario, exchanges: dict[str, Exchange]) -> None:
        self._world = world
        self._scenario = scenario
        self._exchanges = exchanges
        self._helpless: dict[tuple[str, Key], Streak] = {}
        self.last_post_s: dict[str, float] = {}
        self.counted_beside: dict[tuple[str, Key], Decimal] = {}  # What hands added: it counts as spent, too.
        self.last_foreign_s: dict[str, tuple[int, float]] = {}
        self.counts = {"could be helped": 0}

    def each_second(
        self,
        *,
        seeing_s: dict[str, float],
        reaching_s: dict[str, float],
        intents: dict[str, KnownIntent],
        misses: dict[tuple[str, Key], int],
        distances: Distances,
        seen: dict[str, Seen],
        is_free: bool,
    ) -> None:
        """`reaching_s`: for how long margin can be added; `is_free`: armed, with a journal that knows its own past."""
        for account, exchange in self._exchanges.items():
            self._judge_rhythm(account, exchange, seen[account], seeing_s[account], distances)
            is_quiet = self._is_quiet(account, exchange)
            for key, holding in exchange.holdings.items():
                streak = self._helpless.setdefault((account, key), Streak())
                could = (
                    is_free
                    and is_quiet
                    and reaching_s[account] > QUIET_BEFORE_S
                    and holding.isolated
                    and self._world.time_s - holding.opened_s > 90
                    and not misses.get((account, key))
                    and distances.farthest(account, key, 1) < TRIGGER - PLAINLY
                    and self._can_be_saved(account, exchange, holding, list(intents.values()))
                )
                self.counts["could be helped"] += could
                streak.turn(holds=could)
                is_near = distances.farthest(account, key, NEAR_FOR_S) < NEAR_FROM
                if streak.seconds > NEAR_S + (0 if is_near else self._scenario.calm_s):
                    text = f"{account} {key} could be helped for {streak.seconds:.0f} s and was not"
                    self._world.violated("I12 liveness", text)

    def _judge_rhythm(
        self, account: str, exchange: Exchange, seen: Seen, seeing_s: float, distances: Distances
    ) -> None:
        """An account that can be read is read, as often as its distances ask for."""
        now = self._world.time_s
        if seeing_s <= QUIET_BEFORE_S + self._scenario.calm_s or now - self.last_post_s.get(account, -1e9) < 30:
            return
        isolated = (key for key, one in exchange.holdings.items() if one.isolated)
        is_near = any(distances.farthest(account, key, NEAR_FOR_S) < NEAR_FROM for key in isolated)
        wait_max = 5.0 + RHYTHM_SLACK_S if is_near else self._scenario.calm_s + RHYTHM_SLACK_S
        asked_s = seen.positions.request.sent_s if seen.positions is not None else float("-inf")
        if now - asked_s > wait_max:
            self._world.violated("I12 rhythm", f"{account} was last read {now - asked_s:.0f} s ago, fair weather")

    def _is_quiet(self, account: str, exchange: Exchange) -> bool:
        """Say whether nothing was sent and nobody moved anything for a while: each begins the wait anew."""
        now = self._world.time_s
        writes, at_s = self.last_foreign_s.get(account, (0, 0.0))
        if exchange.foreign_writes != writes:
            self.last_foreign_s[account] = exchange.foreign_writes, now
            return False
        return now - at_s > QUIET_BEFORE_S and now - self.last_post_s.get(account, -1e9) > 2.0

    def _can_be_saved(self, account: str, exchange: Exchange, holding: Holding, intents: list[KnownIntent]) -> bool:
        """Say whether budget and wallet plainly suffice to reach the clear level."""
        now, limits = self._world.time_s, self._scenario.limits
        # One whose effect was not seen before its position turned counts for the side that this turned to, too.
        keys = {holding.key} if exchange.hedged else {holding.key, (holding.coin, -holding.side)}
        own = [intent for intent in intents if intent.account == account and intent.key in keys]
        if any(intent.is_open for intent in own):
            return False
        tried = [intent for intent in own if intent.state != "not_applied"]
        waits = [300.0 if intent.state == "refused" else limits.cooldown_s + 3.0 for intent in tried]
        if any(now - intent.planned_s < wait for intent, wait in zip(tried, waits, strict=True)):
            return False
        # Which of several is saved, when the money does not do for all, is the guard's to choose.
        needed = sum(
            (CLEAR - (one.distance(other.key) or Decimal(0))) * other.notional(one.price(other.coin)) * Decimal("1.2")
            + 20
            for one in self._exchanges.values()
            for other in one.holdings.values()
            if other is holding or (other.isolated and (one.distance(other.key) or 0) < TRIGGER + PLAINLY)
        )
        counted = [intent for intent in intents if intent.state in COUNTED]
        of_account = [intent for intent in counted if intent.account == account]
        beside = self.counted_beside
        of_hands = sum(amount for (name, _), amount in beside.items() if name == account)
        left = min(
            limits.per_position
            - sum(i.amount for i in own if i.state in COUNTED)
            - beside.get((account, holding.key), Decimal(0)),
            limits.per_day - sum(i.amount for i in of_account) - of_hands,
            limits.all_day - sum(i.amount for i in counted) - sum(beside.values()),
            exchange.available() - limits.reserve * (exchange.free + exchange.cross_profit()) * Decimal("1.1"),
        )
        open_elsewhere = any(intent.is_open for intent in of_account)
        crosses = [exchange.distance(one.key) for one in exchange.crosses()]
        is_cross_far = all(distance is None or distance > Decimal("0.5") for distance in crosses)
        return needed <= left and is_cross_far and not open_elsewhere

    def position_ended(self, account: str, key: Key) -> None:
        self._helpless.pop((account, key), None)
