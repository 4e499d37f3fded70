"""Adding margin to an isolated position at OKX: one POST, and what its answer proves.

Sources: docs "Increase/decrease margin", "Error Code" (copies of 2025-07 and 2026), the reliability study of 2026-07.
There is no client id, and `expTime` is documented for orders only, so what bounds a late execution is that a request
expires 30 s after its timestamp.
"""

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from guard.errors import OutcomeUnknown
from guard.snapshot import MarginRequest
from guard.venues.gate import PostRule
from guard.venues.okx_rows import SideWord
from guard.venues.rows import Positive, Row, Word
from guard.venues.write_answers import Confirmation, Refusal, WriteAnswers, judge_write

ADD_MARGIN = PostRule(
    method="POST", path="/api/v5/account/position/margin-balance", fields={"type": "add"}, positive=("amt",)
)


class _Added(Row):
    inst_id: Word
    pos_side: SideWord
    type: Literal["add"]
    amt: Positive


class _Confirmation(Confirmation):
    """The answer that proves that the money moved."""

    code: Literal["0"]
    data: list[_Added] = Field(min_length=1, max_length=1)

    @property
    def amount_said(self) -> Decimal:
        return self.data[0].amt

    @property
    def text(self) -> str:
        row = self.data[0]
        return f"code 0, {row.type} {row.amt:f} to {row.inst_id} {row.pos_side}"


_WAIT_FROZEN = "wait: OKX is acting on the account itself"
_NO_MONEY = "free money in the trading account, or move some there"
_KEY = "check the key at OKX and in the config"
_MALFORMED = ("50000", "50002", "50006", "50014", "50015", "50016", "50024", "50025")
_KEY_REFUSED = ("50103", "50104", "50105", "50106", "50107", "50111", "50113", "50114", "50119")
CLOCK_IS_OFF = frozenset({"50102", "50112"})

# Not among them, and so unknown: 50001, 50004, 50013 (which comes with HTTP 429), 50026, 51149, and 1 and 2 without a
# reason. No status is a no by itself.
ANSWERS = WriteAnswers(
    confirmation=_Confirmation,
    refusing_statuses=frozenset(),
    refusals={
        **dict.fromkeys(_MALFORMED, Refusal(meaning="the request was malformed")),
        "50007": Refusal(meaning="the user is blocked", remedy="ask OKX's support"),
        "50008": Refusal(meaning="the user does not exist", remedy=_KEY),
        "50009": Refusal(meaning="the account is frozen, for it is being liquidated", remedy=_WAIT_FROZEN),
        "50011": Refusal(meaning="too many requests"),
        "50012": Refusal(meaning="the account's status forbids it", remedy="look at the account at OKX"),
        "50017": Refusal(meaning="the position is frozen by auto-deleveraging", remedy=_WAIT_FROZEN),
        "50018": Refusal(meaning="the currency is frozen by auto-deleveraging", remedy=_WAIT_FROZEN),
        "50019": Refusal(meaning="the account is frozen by auto-deleveraging", remedy=_WAIT_FROZEN),
        "50020": Refusal(meaning="the position is frozen, for it is being liquidated", remedy=_WAIT_FROZEN),
        "50021": Refusal(meaning="the currency is frozen by a liquidation", remedy=_WAIT_FROZEN),
        "50022": Refusal(meaning="the account is frozen by a liquidation", remedy=_WAIT_FROZEN),
        "50023": Refusal(meaning="funding is being settled", remedy="wait for it"),
        "50027": Refusal(meaning="the account may not trade", remedy="ask OKX's support"),
        "50029": Refusal(meaning="OKX's risk control stopped the account", remedy="look for a mail of OKX"),
        "50030": Refusal(meaning="the key may not use this endpoint", remedy="give it the trade permission"),
        "50035": Refusal(meaning="the key must be bound to an address", remedy="bind it to this machine's at OKX"),
        "50038": Refusal(meaning="demo trading does not have it"),
        "50040": Refusal(meaning="too many requests"),
        "50061": Refusal(meaning="too many requests of this account"),
        "50100": Refusal(meaning="the key is frozen", remedy="ask OKX's support"),
        "50101": Refusal(
            meaning="the key is for demo trading and the request was not, or the other way round",
            remedy="for a demo key write `sandbox = true` under [accounts.NAME.ccxt]",
        ),
        **dict.fromkeys(CLOCK_IS_OFF, Refusal(meaning="our clock is off", remedy="set this machine's clock (NTP)")),
        **dict.fromkeys(_KEY_REFUSED, Refusal(meaning="the key or its passphrase is refused", remedy=_KEY)),
        "50110": Refusal(meaning="this machine's address is not on the key's list", remedy="add it at OKX"),
        "50120": Refusal(meaning="the key may not do this", remedy="give it the trade permission"),
        "50121": Refusal(meaning="this machine's address is refused", remedy="use the key from an allowed address"),
        "51000": Refusal(meaning="a parameter is wrong"),
        "51001": Refusal(meaning="no such instrument"),
        "51010": Refusal(meaning="the account's mode does not have it", remedy="look at the account mode at OKX"),
        "51023": Refusal(meaning="there is no position"),
        "51024": Refusal(meaning="the trading account is blocked", remedy="ask OKX's support"),
        "51030": Refusal(meaning="funding is being settled", remedy="wait for it"),
        "59200": Refusal(meaning="the balance is not sufficient", remedy=_NO_MONEY),
        "59201": Refusal(meaning="the balance is negative", remedy=_NO_MONEY),
        "59216": Refusal(meaning="there is no position"),
        "59300": Refusal(meaning="there is no position"),
        "59301": Refusal(meaning="more than OKX allows in this position", remedy="reduce the position instead"),
        "59302": Refusal(meaning="an order to close it stands in the way", remedy="cancel it, or let it close"),
        "59303": Refusal(meaning="the available margin is not sufficient", remedy=_NO_MONEY),
    },
)


async def add_margin(client: Any, request: MarginRequest, inst_id: str) -> str:
    """Send the POST, once, and return the exchange's confirmation. Raises as `judge_write` does.

    ccxt's own add_margin would raise TypeError after the money moved (4.5.90, okx.py:7341), and say `net` for a leg.
    """
    side = request.key.side.word if request.hedged else "net"
    parameters = {"instId": inst_id, "posSide": side, "type": "add", "amt": f"{request.amount:f}"}

    async def send() -> object:
        answer = await client.privatePostAccountPositionMarginBalance(parameters)
        data = answer.get("data") if isinstance(answer, dict) else None
        for row in data if isinstance(data, list) else []:
            said = (row.get("instId"), row.get("posSide")) if isinstance(row, dict) else None
            if said != (inst_id, side):
                raise OutcomeUnknown(f"the answer speaks of {str(said)[:64]}, sent was {inst_id} {side}")
        return answer

    return await judge_write(send, request, ANSWERS)
