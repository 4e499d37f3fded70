"""Hyperliquid perpetuals of every dex: one-way, isolated and cross, linear in the dex's collateral.

Quirks, with source and date seen:
- Every read is POST /info, by address and without a signature (docs, 2026-09). An address without positions and one
  that cannot have any are answered alike (ccxt issue 26103): its role is asked first.
- `api_key` is the account's address, `secret` the private key of one of its API wallets (agents).
- `marginUsed` of an isolated position holds its unrealized PnL (ccxt issue 27078); `rawUsd` plus value is the same.
- Maintenance is half of one over the highest leverage of the tier, whatever leverage was chosen (docs, margin tiers).
- ccxt rounds an amount of USDC by the coin's decimals and ignores `expiresAfter` (4.5.90): the action is made here.
- ccxt approves a builder's fee and sets a referrer when it loads currencies (4.5.90): none of it passes the gate.
- `withdrawable` is what open orders and initial margins leave; ccxt's `free` is more (recorded answer, 2024-10).
- userAbstraction answers with a bare word. A unified account keeps its money in spot, and clearinghouseState of it does
  not describe the wallet (docs, account abstraction modes, 2026-09).
- Other dexes (HIP-3) are asked by `dex`. In a classic account each has a balance of its own, and cross margin applies
  to each separately; a unified one has one balance for each token (docs, account abstraction modes, 2026-09).
- A dex's coins are named "dex:COIN", and its numbers begin at 100,000 + its place x 10,000 (docs, asset IDs, 2026-09;
  official Python SDK 0.23). Fills and funding are listed for all dexes at once, orders by dex (docs, info, 2026-09).
- "strictIsolated" keeps margin from being removed, "noCross" keeps positions isolated (docs, meta, 2026-09): adding
  is the same action, which wallets send for both (2026), and `topUpIsolatedOnlyMargin` only names a leverage to reach
  instead of an amount (docs, update isolated margin, 2026-09): it is not sent.
- In which unit `ntli` counts where the collateral is not USDC is not documented: there nothing is added.
- No history of margin: userNonFundingLedgerUpdates has deposits, transfers and liquidations (docs, 2026-09), and a lost
  answer is settled by what the position holds.
- Marks are not dated; candles are of trades; there is no IP binding of keys.
- clearinghouseState says when it was true. A server that lags is seen by that, and the facts are as old as it says.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from decimal import Decimal

from guard.errors import VenueUnavailable
from guard.snapshot import MarginChange, MarginRequest, Position, PositionKey, Settlement
from guard.venues import hyperliquid_identity as identity
from guard.venues import hyperliquid_margin as margin
from guard.venues import hyperliquid_market as market
from guard.venues.gate import is_loopback
from guard.venues.hyperliquid_account import USDC, account_state, read_positions
from guard.venues.hyperliquid_connection import HOSTNAME, TEST_HOSTS
from guard.venues.hyperliquid_reads import NOT_USDC, HyperliquidReads, milliseconds, named
from guard.venues.margin_difference import settle_by_margin
from guard.venues.protocol import KeyScopes, VenueAccount, WriteTerms

# A write waits at most half a second for its turn and is valid until `expiresAfter`, by the time of the blocks; 10 s
# for a chain that falls behind, which nobody documents, and 9 s as everywhere: 24 s, as at Binance.
VALID_FOR = timedelta(seconds=5)
FENCE = timedelta(seconds=8) + VALID_FOR + timedelta(seconds=10) + timedelta(seconds=1)
LOOPBACK_VALID_FOR = timedelta(seconds=1)
LOOPBACK_FENCE = timedelta(seconds=2)

KNOWN_LIMITS = (
    "without money on a dex (HIP-3) and without the stream, a first position there is noticed within ten minutes",
    "what a dex's own deployer may change, its oracle and margin tables among it, is watched and cannot be foreseen",
    "a coin of another dex is a coin of its own: a shock of BTC does not move HYNA-BTC",
    "a lost answer is settled by the position's margin and the funding on record: a changed size leaves it to a person",
    "its stream dates no mark: one that is better for a position than the last read counts with the next read only",
)


class Hyperliquid(HyperliquidReads):
    """One Hyperliquid account. See guard.venues.protocol.Venue."""

    def __init__(self, account: VenueAccount, *, now: Callable[[], datetime], fence: timedelta | None = None) -> None:
        super().__init__(account, now=now)
        gate = self._client.gate
        hosts = {origin.host or "" for origin in gate.origins}
        # What is signed for the test network is worth nothing on the other one.
        self._client.options["sandboxMode"] = not all(host.endswith(HOSTNAME) for host in hosts)
        self._agent = str(self._client.eth_get_address_from_private_key(self._agent_key)).lower()
        self._valid_for = LOOPBACK_VALID_FOR if gate.is_loopback else VALID_FOR
        self.write_terms = WriteTerms(
            fence=fence or (LOOPBACK_FENCE if gate.is_loopback else FENCE),
            history_kept=timedelta(0),
            test_host=all(host in TEST_HOSTS or is_loopback(host) for host in hosts),
        )
        self._last_nonce = 0

    def margin_step(self, currency: str) -> Decimal:  # noqa: ARG002  # Nothing is added in any other than USDC.
        return Decimal("0.000001")

    def _obstacle(self, request: MarginRequest) -> str | None:
        return super()._obstacle(request) or (NOT_USDC if request.currency != USDC else None)

    async def _send_margin(self, request: MarginRequest) -> str:
        nonce = self._nonce()
        body = margin.signed(
            self._client,
            request,
            self._asset(request.key.symbol),
            nonce=nonce,
            expires_at=nonce + self._valid_for // timedelta(milliseconds=1),
            sub_account=self._address if self._role and self._role.word == "subAccount" else None,
        )
        return await margin.add_margin(self._client, body, request)

    def _nonce(self) -> int:
        """Return the exchange's time in milliseconds, and never one that was returned before."""
        self._last_nonce = max(self._last_nonce + 1, milliseconds(self.exchange_now()))
        return self._last_nonce

    async def traded_lately(self) -> frozenset[str] | None:
        """Return None: without a history of margin, what was traded says nothing of what was added."""
        return None

    async def margin_changes(
        self, keys: Collection[PositionKey], since: datetime, *, also: Collection[str] = ()
    ) -> tuple[MarginChange, ...]:
        del keys, since, also
        raise VenueUnavailable("Hyperliquid keeps no history of isolated margin")

    async def settle(
        self, request: MarginRequest, *, sent_at: datetime, now: datetime, known_entries: frozenset[str]
    ) -> Settlement:
        """Settle by what the position holds now and held before. There are no entries that could be known."""
        del known_entries

        fence = sent_at + self.write_terms.fence
        theirs = fence + max(await self._known_skew(), timedelta(0))  # `sent_at` may be of a clock that was set since.
        await self._coin(request.key.symbol)  # So that its dex and its markets are known.
        dex = self._dex_of(request.key.symbol)

        async def read() -> Position | None:
            state = account_state(await self._info("clearinghouseState", user=self._address, **named(dex)))
            if now >= fence and state.time < theirs:
                raise VenueUnavailable("by the time of the exchange's answer it may still be executed")
            reading = read_positions(state, self._contracts_at(dex))
            if reading.gaps:
                raise VenueUnavailable(f"{reading.gaps[0].subject}: {reading.gaps[0].reason}")
            return next((one for one in reading.positions if one.key == request.key), None)

        async def read_funding(since: datetime) -> Decimal:
            coin, start = await self._coin(request.key.symbol), milliseconds(since + await self._known_skew())
            answer = await self._info("userFunding", user=self._address, startTime=start)
            return market.read_funding(answer, coin, request.key.symbol)

        return await settle_by_margin(
            request, read, sent_at=sent_at, now=now, fence=self.write_terms.fence, read_funding=read_funding
        )

    async def _ask_key_scopes(self) -> KeyScopes:
        account_role = self._role or identity.read_role(await self._info("userRole", user=self._address))
        agent_role = identity.read_role(await self._info("userRole", user=self._agent))
        owner = account_role.master if account_role.word == "subAccount" else self._address
        agents = await self._info("extraAgents", user=owner) if agent_role.word == "agent" else []
        return identity.judge_agent(self._agent, agent_role, self._address, account_role, agents)
