"""A stand-in for an exchange that is asked what margin was added, and nothing else."""

import asyncio
from datetime import timedelta

from guard.venues.protocol import WriteTerms


class History:
    account = "main"

    def __init__(self, *changes, kept=timedelta(days=90), skew=None, fence_s=10):
        self.changes, self.skew = list(changes), skew
        self.write_terms = WriteTerms(fence=timedelta(seconds=fence_s), history_kept=kept, test_host=True)
        self.traded = frozenset({"BTC/USDT:USDT"})
        self.asked = []
        self.measured = timedelta(0)  # What `clock_skew` finds.
        self.failing = None  # An error to raise, or "hangs".

    async def clock_skew(self):
        self.skew = self.measured
        return self.skew

    async def traded_lately(self):
        return self.traded

    async def margin_changes(self, keys, since, *, also=()):
        self.asked.append((tuple(keys), since, also))
        if self.failing == "hangs":
            await asyncio.Event().wait()
        if self.failing is not None:
            raise self.failing
        return tuple(self.changes)
