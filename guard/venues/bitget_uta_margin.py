"""Adding margin to an isolated position of a unified account: one POST, and what its answer proves.

Sources: docs UTA "Set Margin" (copy of 2026-07) and "Error Code" (copy of 2025-12). What is done is a word of its own,
`operation`: "add" puts money in, any other may take it out, so the gate lets only "add" pass, and no amount below zero.
There is no client id, and the yes is `data: "success"`: it repeats neither amount nor position.
"""

from typing import Any, Literal

from guard.snapshot import MarginRequest
from guard.venues.bitget_margin import CLOCK_IS_OFF
from guard.venues.gate import PostRule
from guard.venues.write_answers import Confirmation, Refusal, WriteAnswers, judge_write

ADD_UNIFIED = PostRule(
    method="POST", path="/api/v3/account/set-margin", fields={"operation": "add"}, positive=("amount",)
)


class _Confirmation(Confirmation):
    """The documented answer, whole: anything beside it is not known to be a yes."""

    code: Literal["00000"]
    data: Literal["success"]
    msg: Literal["success"]

    @property
    def amount_said(self) -> None:
        return None

    @property
    def text(self) -> str:
        return "code 00000, success (the answer repeats no amount)"


_LOOK = "look at the account at Bitget"
_NO_MONEY = "move money into the unified account, or free some of it"
_KEY = "check key, secret, passphrase, permissions (UTA mgt., read and write) and addresses at Bitget and in the config"
_MALFORMED = ("25200", "40017", "40019", "40020", "40034")
_KEYS = ("40001", "40002", "40003", "40006", "40009", "40011", "40012", "40014", "40018", "40022", "40037")

# Not among them, and so unknown: 25000 (system error), 25001 (timed out), 25003 and 25004 (another request at the same
# time, or too soon: of which of the two it is said, nobody tells), 40010, 40015, 40725, 40808 and 45001 as in classic
# accounts, and every code that is not listed. Codes of 40004 and up that the UTA's own list lacks are the gateway's:
# host and signature are those of classic accounts (docs v2 "Error Code", copy of 2025-10).
ANSWERS = WriteAnswers(
    confirmation=_Confirmation,
    refusing_statuses=frozenset(),  # 429 says it by its code too; one without a code may come from anywhere.
    refusals={
        "429": Refusal(meaning="too many requests"),
        **dict.fromkeys(CLOCK_IS_OFF, Refusal(meaning="our clock is off", remedy="set this machine's clock (NTP)")),
        **dict.fromkeys(_KEYS, Refusal(meaning="the key, its passphrase or its rights are refused", remedy=_KEY)),
        **dict.fromkeys(_MALFORMED, Refusal(meaning="the request was malformed")),
        "25002": Refusal(meaning="the operation is not supported"),
        "25005": Refusal(meaning="the user does not exist", remedy=_LOOK),
        "25006": Refusal(meaning="the account's status is abnormal", remedy=_LOOK),
        "25007": Refusal(meaning="the account's status is irregular", remedy=_LOOK),
        "25008": Refusal(meaning="the account is being liquidated", remedy=_LOOK),
        "25012": Refusal(meaning="the account is at risk and trading in it is switched off", remedy=_LOOK),
        "25013": Refusal(meaning="this contract is not open to the interface"),
        "25100": Refusal(meaning="there is no such contract"),
        "25104": Refusal(meaning="the contract has been removed"),
        "25202": Refusal(meaning="the balance is not sufficient", remedy=_NO_MONEY),
        "25203": Refusal(meaning="the margin is not sufficient", remedy=_NO_MONEY),
        "25219": Refusal(meaning="more than what is available", remedy=_NO_MONEY),
        "25225": Refusal(meaning="there is not that much of a position"),
        "25226": Refusal(meaning="there is no position"),
        "25227": Refusal(meaning="there is no position"),
        "25236": Refusal(meaning="the position is of the other margin mode", remedy="is it a cross position?"),
        "25240": Refusal(meaning="the account's mode does not support this operation", remedy=_LOOK),
        "25242": Refusal(meaning="more than may be taken out"),
        "25245": Refusal(meaning="this is not a unified account"),
        "25620": Refusal(meaning="the key has no right to it", remedy=_KEY),
        "40016": Refusal(meaning="a phone or an authenticator must be bound first", remedy="do it at Bitget"),
        "40084": Refusal(meaning="this is a classic account, and the endpoint is for unified ones"),
        "40085": Refusal(meaning="this is a unified account, and the endpoint is for classic ones"),
        "40099": Refusal(
            meaning="the key is for demo trading and the request was not, or the other way round",
            remedy="for a demo key write `sandbox = true` under [accounts.NAME.ccxt]",
        ),
        "95001": Refusal(meaning="the account is being liquidated", remedy=_LOOK),
    },
)


async def add_margin(client: Any, request: MarginRequest, *, market_id: str, product: str) -> str:
    """Send the POST, once, and return the exchange's confirmation. Raises as `judge_write` does."""
    parameters = {
        "category": product,
        "symbol": market_id,
        "posSide": request.key.side.word,
        "operation": "add",
        "amount": f"{request.amount:f}",
    }
    return await judge_write(lambda: client.privateUtaPostV3AccountSetMargin(parameters), request, ANSWERS)
