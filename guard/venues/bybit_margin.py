"""Adding margin to an isolated position at Bybit: one POST, what its answer proves, and what is left when it is lost.

Sources: docs v5 "Add Or Reduce Margin", "Error Codes" and "Integration Guidance" (2026-07-24); the reliability study of
2026-07. There is no client id and no record of margin added, so an answer that was lost is settled by what the position
holds, and not before the fence. The sign of `margin` decides whether money goes in or out: the gate lets none below
zero pass.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from guard.errors import VenueUnavailable
from guard.snapshot import MarginRequest, Side
from guard.venues.bybit_account import Index, Market
from guard.venues.gate import PostRule
from guard.venues.rows import NotATruth, Positive, Row, Word, read_row
from guard.venues.write_answers import Confirmation, Refusal, WriteAnswers, judge_write

ADD_MARGIN = PostRule(method="POST", path="/v5/position/add-margin", fields={}, positive=("margin",))
STEP = Decimal("0.0001")  # "Support up to 4 decimal", whatever the coin (docs, 2026-07).

_POSITION_INDEX = {Side.LONG: 1, Side.SHORT: 2}


class _Added(Row):
    """The position as it is after the change."""

    category: Word
    symbol: Word
    position_idx: Index
    size: Positive
    position_im: Positive = Field(alias="positionIM")


class _Confirmation(Confirmation):
    """The answer to POST /v5/position/add-margin that proves that the money moved."""

    ret_code: Annotated[Literal[0], NotATruth]
    result: _Added

    @property
    def amount_said(self) -> None:
        return None  # It tells the position's margin, not what was added.

    @property
    def text(self) -> str:
        return f"retCode 0, {self.result.symbol} now holds {self.result.position_im:f} (fee to close included)"


_NO_MONEY = "move money into the unified account, or free some of it"
_KEY = "check the key at the exchange: its secret, contract permission, addresses and end"

# 10000 (timeout), 10014 (duplicate: of what?), 10016 (server error), 10019 and 429 (load) say neither yes nor no.
ANSWERS = WriteAnswers(
    confirmation=_Confirmation,
    refusing_statuses=frozenset({403}),  # Stopped at the door: too many requests of this address, or its country.
    refusals={
        "10001": Refusal(meaning="a parameter is not as the exchange wants it"),
        "10002": Refusal(meaning="our clock is off", remedy="set this machine's clock (NTP)"),
        "10003": Refusal(meaning="the key is not valid here", remedy=_KEY),
        "10004": Refusal(meaning="the signature is not valid", remedy="check the secret in the config"),
        "10005": Refusal(meaning="the key may not do this", remedy=_KEY),
        "10006": Refusal(meaning="too many requests"),
        "10007": Refusal(meaning="the key is not accepted", remedy=_KEY),
        "10008": Refusal(meaning="the account is banned", remedy="ask the exchange"),
        "10009": Refusal(meaning="the exchange does not serve this region"),
        "10010": Refusal(meaning="the key is not bound to this address", remedy=_KEY),
        "10017": Refusal(meaning="the exchange does not know this request"),
        "10018": Refusal(meaning="too many requests of this address"),
        "10024": Refusal(meaning="the exchange's compliance rules stop it", remedy="ask the exchange"),
        "10027": Refusal(meaning="trading is banned for this account", remedy="ask the exchange"),
        "10028": Refusal(meaning="this needs a unified account", remedy="upgrade the account"),
        "10029": Refusal(meaning="the symbol is not on the key's list", remedy=_KEY),
        "33004": Refusal(meaning="the key has expired", remedy="make a new one, bound to this address"),
        "110004": Refusal(meaning="the wallet balance is not sufficient", remedy=_NO_MONEY),
        "110007": Refusal(meaning="the available balance is not sufficient", remedy=_NO_MONEY),
        "110012": Refusal(meaning="the available balance is not sufficient", remedy=_NO_MONEY),
        "110014": Refusal(meaning="the available balance is not sufficient to add margin", remedy=_NO_MONEY),
        "110015": Refusal(
            meaning="the position is in cross margin mode", remedy="nothing is added to a cross position"
        ),
        "110033": Refusal(meaning="there is no position"),
        "110034": Refusal(meaning="there is no net position"),
        "110044": Refusal(meaning="the available margin is not sufficient", remedy=_NO_MONEY),
        "110045": Refusal(meaning="the wallet balance is not sufficient", remedy=_NO_MONEY),
        "110063": Refusal(meaning="a settlement is running"),
        "110066": Refusal(meaning="trading is not allowed now"),
        "110074": Refusal(meaning="the contract is not live"),
        "110077": Refusal(
            meaning="the account is in portfolio margin mode", remedy="switch it to isolated margin mode"
        ),
    },
)


async def add_margin(client: Any, request: MarginRequest, market: Market) -> str:
    """Send the POST, once, and return the exchange's confirmation. Raises as `judge_write` does."""
    index = _POSITION_INDEX[request.key.side] if request.hedged else 0
    parameters = {
        "category": market.category,
        "symbol": market.market_id,
        "margin": f"{request.amount:f}",
        "positionIdx": index,
    }

    async def send() -> object:
        answer = await client.privatePostV5PositionAddMargin(parameters)
        _check_subject(answer, market, index, request)
        return answer

    return await judge_write(send, request, ANSWERS)


def _check_subject(answer: object, market: Market, index: int, request: MarginRequest) -> None:
    """Raise when a confirmation is about another position, or about one that holds less than was sent."""
    told = read_row(_Confirmation, answer).result
    if (told.category, told.symbol, told.position_idx) != (market.category, market.market_id, index):
        about = f"{told.category} {told.symbol} {told.position_idx}"
        raise VenueUnavailable(f"{request.key}: the answer is about {about[:80]}")
    if told.position_im < request.amount:
        raise VenueUnavailable(f"{request.key}: by the answer it holds {told.position_im:f}, less than was sent")
