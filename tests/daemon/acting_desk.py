"""An actor with a real journal, an exchange that keeps a ledger, and a phone that keeps what it is told.

By hand: at 7 % from liquidation of 10,000 with one percent of maintenance 16 % costs 891.
"""

from datetime import timedelta
from types import SimpleNamespace

from policy_worlds import ETH, KEY, cent, isolated, judged, rule, top_up_terms
from simulated_venue import SimulatedVenue

from guard.daemon.acting import Actor

NEAR = isolated("0.07")
HELPED = isolated("0.16")  # As it is after 891 more.
NO_COOLDOWN = [rule(top_up=top_up_terms(cooldown=timedelta(0)))]
AGES = {"positions": timedelta(seconds=1.2345), "mark": timedelta(0), "wallets": None}


class Reader:
    """What was read, and what is asked of it; `failing` is raised by the reading of that name."""

    def __init__(self, venue, asked):
        self.venue, self.asked = venue, asked
        self.failing = {}

    def data_ages(self, symbol):
        return AGES if symbol in {KEY.symbol, ETH} else {}

    def must_read_again(self):
        self.asked.append("must read again")

    async def read_again_if_needed(self):
        self._ask("read again")

    async def read_mark(self, symbol):
        self._ask(f"mark {symbol}")

    def check_fit_to_spend(self):
        self._ask("fit to spend")

    def _ask(self, what):
        self.asked.append(what)
        error = self.failing.get(what)
        if error is not None:
            raise error


class Desk:
    """What an actor stands between: what is seen before the request and after it, and who is told."""

    def __init__(self, journal, clock, *, fates=()):
        self.journal, self.clock = journal, clock
        self.asked, self.told, self.tended, self.kept = [], [], 0, True
        self.venue = SimulatedVenue(fates=fates, true_now=clock.true_now, our_now=clock.now)
        self.venue.margin_step = cent
        self.reader = Reader(self.venue, self.asked)
        self.seen = [NEAR], [HELPED]  # At the look before the request, and after it.
        self.decided = []
        judge = SimpleNamespace(name="main", reader=self.reader, decide=self.decide)
        past = SimpleNamespace(look_before=self.look_before, look_after=self.look_after)
        teller = SimpleNamespace(journal=journal, tell=self.tell, tend_journal=self.tend)
        self.actor = Actor(judge, teller, past, clock.now)

    def decide(self, *, fresh):
        assert fresh
        self.decided.append(self.actor.is_writing)
        looks = self.seen[min(len(self.venue.requests), len(self.seen) - 1)]
        return looks if not isinstance(looks, list) else self.decision(*looks)

    def decision(self, *positions, **changes):
        return judged(*positions, lives=self.journal.open_lives("main").values(), now=self.clock.now(), **changes)

    async def look_before(self, key):
        self.asked.append(f"past before {key}")

    def look_after(self, key):
        self.asked.append(f"past after {key}")

    def tell(self, message):
        self.told.append(message)
        if self.kept:
            self.journal.enqueue(message, ["phone"], now=self.clock.now())
        return self.kept

    def tend(self):
        self.tended += 1

    async def act(self, *positions, **changes):
        await self.actor.act(self.decision(*(positions or [NEAR]), **changes))

    @property
    def intent(self):
        (intent,) = self.journal.intents()
        return intent

    def titles(self):
        return [message.title for message in self.told]
