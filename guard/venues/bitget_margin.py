"""Adding margin to an isolated position of a classic account: one POST, and what its answer proves.

Sources: docs v2 "Adjust Position Margin", "Error Code" and FAQ 14 (copies of 2025-10), the reliability study of
2026-07. The sign of `amount` decides whether money goes in or out: the gate lets none below zero pass. There is no
client id, and a yes is `data: ""`: it repeats neither amount nor position.
"""

from typing import Any, Literal

from guard.snapshot import MarginRequest
from guard.venues.gate import PostRule
from guard.venues.write_answers import Confirmation, Refusal, WriteAnswers, judge_write

ADD_MARGIN = PostRule(method="POST", path="/api/v2/mix/account/set-margin", fields={}, positive=("amount",))
CLOCK_IS_OFF = frozenset({"40004", "40005", "40008"})


class _Confirmation(Confirmation):
    """The documented answer, whole: anything beside it is not known to be a yes."""

    code: Literal["00000"]
    data: Literal[""]
    msg: Literal["success"]

    @property
    def amount_said(self) -> None:
        return None

    @property
    def text(self) -> str:
        return "code 00000, success (the answer repeats no amount)"


_NO_MONEY = "move money into the futures account, or free some of it"
_KEY = "check key, secret, passphrase, permissions and addresses at Bitget and in the config"
_MALFORMED = ("40007", "40017", "40019", "40020", "40034", "40102", "40103", "40302", "40304", "40708")
_AMOUNT = ("40202", "40203", "40204", "40205", "40206", "40207", "40208")
_KEYS = ("40001", "40002", "40003", "40006", "40009", "40011", "40012", "40014", "40018", "40022", "40037")

# Not among them, and so unknown: 40010 (timed out), 40015, 40725, 40808 and 45001 (which come while Bitget releases new
# software, FAQ 14), 40200, 40308, 40604 and 41114 (busy or under maintenance), and every code of 25000 and up.
ANSWERS = WriteAnswers(
    confirmation=_Confirmation,
    refusing_statuses=frozenset(),  # 429 says it by its code too; one without a code may come from anywhere.
    refusals={
        "429": Refusal(meaning="too many requests"),
        **dict.fromkeys(CLOCK_IS_OFF, Refusal(meaning="our clock is off", remedy="set this machine's clock (NTP)")),
        **dict.fromkeys(_KEYS, Refusal(meaning="the key, its passphrase or its rights are refused", remedy=_KEY)),
        **dict.fromkeys(_MALFORMED, Refusal(meaning="the request was malformed")),
        **dict.fromkeys(_AMOUNT, Refusal(meaning="the amount or the direction of the margin is wrong")),
        "22002": Refusal(meaning="there is no position"),
        "40013": Refusal(meaning="the user's status is abnormal", remedy="look at the account at Bitget"),
        "40016": Refusal(meaning="a phone or an authenticator must be bound first", remedy="do it at Bitget"),
        "40031": Refusal(meaning="the account was cancelled", remedy="ask Bitget's support"),
        "40084": Refusal(meaning="this is a classic account, and the endpoint is for unified ones"),
        "40085": Refusal(meaning="this is a unified account now, and the endpoint is for classic ones"),
        "40099": Refusal(
            meaning="the key is for demo trading and the request was not, or the other way round",
            remedy="for a demo key write `sandbox = true` under [accounts.NAME.ccxt]",
        ),
        "40309": Refusal(meaning="the contract has been removed"),
        "40401": Refusal(meaning="the operation cannot be performed"),
        "40709": Refusal(meaning="there is no position"),
        "40710": Refusal(meaning="the account's status is abnormal", remedy="look at the account at Bitget"),
        "40711": Refusal(meaning="the balance of the futures account is not sufficient", remedy=_NO_MONEY),
        "40712": Refusal(meaning="the margin is not sufficient", remedy=_NO_MONEY),
        "40713": Refusal(meaning="more than may be moved", remedy=_NO_MONEY),
        "40714": Refusal(meaning="no margin may be added to this position", remedy="is it a cross position?"),
        "40762": Refusal(meaning="more than the balance", remedy=_NO_MONEY),
        "43012": Refusal(meaning="the balance is not sufficient", remedy=_NO_MONEY),
    },
)


async def add_margin(client: Any, request: MarginRequest, *, market_id: str, product: str) -> str:
    """Send the POST, once, and return the exchange's confirmation. Raises as `judge_write` does.

    ccxt's own add_margin would round the amount to a step of the contract's size (4.5.90).
    """
    parameters = {
        "symbol": market_id,
        "productType": product,
        "marginCoin": request.currency,
        "amount": f"{request.amount:f}",
        "holdSide": request.key.side.word,
    }
    return await judge_write(lambda: client.privateMixPostV2MixAccountSetMargin(parameters), request, ANSWERS)
