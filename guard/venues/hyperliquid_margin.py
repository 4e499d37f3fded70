"""Adding margin to an isolated position at Hyperliquid: one signed action, and what its answer proves.

Sources: docs "Update isolated margin", "Nonces and API wallets", "Error responses" (seen 2026-09), the official Python
SDK 0.23 for the signature, refusals as measured by others on testnet and mainnet in 2026. There is no history of
margin and no client id; a nonce is taken once, and `expiresAfter` bounds how long the action may still be executed.

A refusal has no code, only a sentence. Its address and numbers are taken out of it, and what is left is its code.
"""

import re
from typing import Any, Literal

from guard.snapshot import MarginRequest
from guard.venues.gate import PostRule
from guard.venues.rows import Row
from guard.venues.write_answers import Confirmation, Refusal, WriteAnswers, judge_write

UNITS_PER_USDC = 1_000_000  # Of `ntli`.
ACTION = "updateIsolatedMargin"
ADD_MARGIN = PostRule(
    method="POST",
    path="/exchange",
    fields={"action.type": ACTION, "action.isBuy": "true"},
    positive=("action.ntli", "nonce", "expiresAfter"),
)

EXPIRED = "Action already expired"
NONCE_TOO_LOW = "Invalid nonce: nonce too low # < #"
NONCE_TOO_HIGH = "Invalid nonce: nonce too high # > #"
CLOCK_IS_OFF = frozenset({EXPIRED, NONCE_TOO_LOW, NONCE_TOO_HIGH})

_CHECK_CLOCK = "set this machine's clock"
_APPROVE = "approve this key as an API wallet of the account at app.hyperliquid.xyz/API"


class _Done(Row):
    type: Literal["default"]


class _Confirmation(Confirmation):
    """The answer to POST /exchange that proves that the action was carried out. It repeats no amount."""

    status: Literal["ok"]
    response: _Done

    @property
    def amount_said(self) -> None:
        return None

    @property
    def text(self) -> str:
        return "status ok, response default"


# "Invalid nonce: duplicate nonce" is not here: it would be the answer to a copy of an action that was carried out.
ANSWERS = WriteAnswers(
    confirmation=_Confirmation,
    refusing_statuses=frozenset({422, 429}),  # The body was not understood; too many requests.
    refusals={
        EXPIRED: Refusal(meaning="it came later than it was valid", remedy=_CHECK_CLOCK),
        NONCE_TOO_LOW: Refusal(meaning="our clock is off", remedy=_CHECK_CLOCK),
        NONCE_TOO_HIGH: Refusal(meaning="our clock is off", remedy=_CHECK_CLOCK),
        "User or API Wallet 0x does not exist": Refusal(meaning="the key may not sign for it", remedy=_APPROVE),
        "Must deposit before performing actions. User: 0x": Refusal(
            meaning="the key may not sign for it", remedy=_APPROVE
        ),
        "Unable to recover signer": Refusal(meaning="the signature cannot be read"),
        "Mainnet and testnet require different signature": Refusal(meaning="the signature is for the other network"),
        "Action disabled when unified account is active": Refusal(meaning="a unified account turns this action off"),
        "Too many cumulative requests sent (# > #) for cumulative volume traded $#": Refusal(
            meaning="the account has used up its actions", remedy="each USDC that it trades allows one more"
        ),
    },
)


def error_of(answer: object) -> tuple[str, str] | None:
    """Return code and text of {"status": "err", "response": "..."}; None when the answer is no error."""
    if not isinstance(answer, dict) or "status" not in answer or answer["status"] == "ok":
        return None
    text = answer.get("response")
    return (code_of(text), text) if isinstance(text, str) else ("no text", "")


def code_of(text: str) -> str:
    """Return a refusal's sentence without what differs from one to the next."""
    sentence = text.removeprefix("L1 error: ").partition(". Place taker orders")[0]
    sentence = re.sub(r"0x[0-9a-fA-F]+(\.\.\.)?", "0x", sentence)
    sentence = re.sub(r"(?<![\w#])\d+(\.\d+)?(?!\w)", "#", sentence)
    return sentence.strip().removesuffix(".")[:120]


def signed(
    client: Any, request: MarginRequest, asset: int, *, nonce: int, expires_at: int, sub_account: str | None
) -> dict[str, object]:
    """Return the body of the POST. Nonce and end are milliseconds of the exchange's clock."""
    action = {  # Signed in this order.
        "type": ACTION,
        "asset": asset,
        "isBuy": True,  # Without effect until there is a hedge mode (docs): the position has one side.
        "ntli": int(request.amount * UNITS_PER_USDC),
    }
    signature = client.sign_l1_action(action, nonce, sub_account and sub_account.removeprefix("0x"), expires_at)
    body: dict[str, object] = {"action": action, "nonce": nonce, "signature": signature, "expiresAfter": expires_at}
    if sub_account is not None:
        body["vaultAddress"] = sub_account
    return body


async def add_margin(client: Any, body: dict[str, object], request: MarginRequest) -> str:
    """Send the POST, once, and return the exchange's confirmation."""
    return await judge_write(lambda: client.privatePostExchange(body), request, ANSWERS)
