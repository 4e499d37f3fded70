"""Adding margin to an isolated position at Gate: one POST, what its answer proves, and what is left when it is lost.

Sources: docs "Update position margin", "Update position margin in dual mode" and "label list" (v4.106.88, 2026-05-27);
the reliability study of 2026-07. There is no client id. Margin moved into a position changes no balance, and the
account book lists changes of the balance only (deposits, PnL, fees, funding), so an answer that was lost is settled by
what the position holds, and not before the fence. The sign of `change` decides whether money goes in or out: the gate
lets none below zero pass.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import ConfigDict

from guard.errors import VenueUnavailable
from guard.snapshot import MarginRequest, Side
from guard.venues.gate import PostRule
from guard.venues.gateio_account import Market
from guard.venues.rows import Number, Positive, RowError, Word, read_row
from guard.venues.write_answers import Confirmation, Refusal, WriteAnswers, judge_write

# Of perpetual contracts only: dated ones have paths of their own, which are not listed.
_PARTS = {"settle": "usdt|btc", "contract": r"[^\s/\\%?#]+_USDT?"}
ADD_MARGIN = PostRule(
    method="POST",
    path="/api/v4/futures/{settle}/positions/{contract}/margin",
    fields={},
    positive=("change",),
    parts=_PARTS,
)
ADD_MARGIN_TO_LEG = PostRule(
    method="POST",
    path="/api/v4/futures/{settle}/dual_comp/positions/{contract}/margin",
    fields={},
    positive=("change",),
    one_of={"dual_side": ("dual_long", "dual_short")},
    parts=_PARTS,
)
# The docs' own example has two decimals of USDT; for coin there is none, and its wallets count whole satoshis.
STEPS: Mapping[str, Decimal] = {"USDT": Decimal("0.01"), "BTC": Decimal("0.00000001")}
SHORT_OF_IT = Decimal("0.01")  # Of what was asked: how much less the margin may have grown, for the exchange rounds.

_DUAL_SIDE: Mapping[Side, Literal["dual_long", "dual_short"]] = {Side.LONG: "dual_long", Side.SHORT: "dual_short"}


class _Confirmation(Confirmation):
    """The position as it is after the change. In dual mode it is one of the two in the answer."""

    model_config = ConfigDict(alias_generator=None)

    contract: Word
    mode: Literal["single", "dual_long", "dual_short"]
    size: Number
    leverage: Positive  # 0 is cross.
    margin: Positive

    @property
    def amount_said(self) -> None:
        return None  # It tells the position's margin, not what was added.

    @property
    def text(self) -> str:
        return f"{self.contract} ({self.mode}) now holds {self.margin:f}"


_NO_MONEY = "move money into the futures account, or free some of it"
_KEY = "check the key at the exchange: its secret, futures permission and addresses"
_PARAMETER = Refusal(meaning="a parameter is not as the exchange wants it")

# INTERNAL, SERVER_ERROR and TOO_BUSY say neither yes nor no.
ANSWERS = WriteAnswers(
    confirmation=_Confirmation,
    refusing_statuses=frozenset({403, 429}),  # Stopped at the door: no permission, a firewall, too many requests.
    refusals={
        "ACCOUNT_LOCKED": Refusal(meaning="the account is locked", remedy="ask the exchange"),
        "BAD_REQUEST": _PARAMETER,
        "BALANCE_NOT_ENOUGH": Refusal(meaning="the balance is not sufficient", remedy=_NO_MONEY),
        "CONTRACT_NOT_FOUND": Refusal(meaning="no such contract"),
        "FORBIDDEN": Refusal(meaning="the key may not do this", remedy=_KEY),
        "INSUFFICIENT_AVAILABLE": Refusal(meaning="the available balance is not sufficient", remedy=_NO_MONEY),
        "INVALID_ARGUMENT": _PARAMETER,
        "INVALID_CREDENTIALS": Refusal(meaning="the key is not accepted", remedy=_KEY),
        "INVALID_KEY": Refusal(meaning="the key is not valid here", remedy=_KEY),
        "INVALID_PARAM_VALUE": _PARAMETER,
        "INVALID_SIGNATURE": Refusal(meaning="the signature is not valid", remedy="check the secret in the config"),
        "IP_FORBIDDEN": Refusal(meaning="the key is not bound to this address", remedy=_KEY),
        "LIQUIDATE_IMMEDIATELY": Refusal(meaning="it could be liquidated by this"),
        "METHOD_NOT_ALLOWED": Refusal(meaning="the exchange does not know this request"),
        "MISSING_REQUIRED_HEADER": Refusal(meaning="the request was not signed", remedy=_KEY),
        "MISSING_REQUIRED_PARAM": _PARAMETER,
        "NOT_FOUND": Refusal(meaning="the exchange does not know this request"),
        "POSITION_CROSS_MARGIN": Refusal(
            meaning="the position is in cross margin mode", remedy="nothing is added to a cross position"
        ),
        "POSITION_DUAL_MODE": Refusal(meaning="the account keeps long and short apart, and the request did not"),
        "POSITION_EMPTY": Refusal(meaning="there is no position"),
        "POSITION_IN_CLOSE": Refusal(meaning="the position is being closed"),
        "POSITION_IN_LIQUIDATION": Refusal(meaning="the position is being liquidated"),
        "POSITION_NOT_FOUND": Refusal(meaning="there is no position"),
        "READ_ONLY": Refusal(meaning="the key may only read", remedy=_KEY),
        "REMOVE_TOO_MUCH": Refusal(meaning="the amount is more than the exchange allows"),
        "REQUEST_EXPIRED": Refusal(meaning="our clock is off", remedy="set this machine's clock (NTP)"),
        "RISK_LIMIT_EXCEEDED": Refusal(meaning="the risk limit is exceeded"),
        "TOO_MANY_REQUESTS": Refusal(meaning="too many requests"),
        "USER_NOT_FOUND": Refusal(meaning="there is no futures account in this currency", remedy=_NO_MONEY),
    },
)


async def add_margin(client: Any, request: MarginRequest, market: Market) -> str:
    """Send the POST, once, and return the exchange's confirmation. Raises as `judge_write` does."""
    parameters = {"settle": market.settle, "contract": market.market_id, "change": f"{request.amount:f}"}

    async def send() -> object:
        if request.hedged:
            sided = parameters | {"dual_side": _DUAL_SIDE[request.key.side]}
            answer = await client.privateFuturesPostSettleDualCompPositionsContractMargin(sided)
        else:
            answer = await client.privateFuturesPostSettlePositionsContractMargin(parameters)
        return _grown_row(answer, request, market)

    return await judge_write(send, request, ANSWERS)


def _grown_row(answer: object, request: MarginRequest, market: Market) -> object:
    """Return the row of the position that got the margin. Raises VenueUnavailable when none proves that it did."""
    mode = _DUAL_SIDE[request.key.side] if request.hedged else "single"
    if isinstance(answer, list) is not request.hedged:
        raise VenueUnavailable(
            f"{request.key}: the answer is not of {'both legs' if request.hedged else 'one position'}"
        )
    proven: list[object] = []
    for raw in answer if isinstance(answer, list) else [answer]:
        try:
            row = read_row(_Confirmation, raw)
        except RowError:
            continue  # The other leg may be closed or cross.
        if (row.contract, row.mode) == (market.market_id, mode) and row.size * int(request.key.side) > 0:
            _check_growth(row, request)
            proven.append(raw)
    if len(proven) != 1:
        raise VenueUnavailable(f"{request.key}: the answer names this position {len(proven)} times")
    return proven[0]


def _check_growth(row: _Confirmation, request: MarginRequest) -> None:
    """Raise VenueUnavailable when the position holds less than it did and what was sent."""
    least = request.amount * (1 - SHORT_OF_IT)
    if request.before is not None:
        least += request.before.margin + (request.before.added_since or 0)
    if row.margin < least:
        raise VenueUnavailable(f"{request.key}: by the answer it holds {row.margin:f}, expected at least {least:f}")
