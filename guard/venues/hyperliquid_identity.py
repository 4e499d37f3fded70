"""Who is who at Hyperliquid: the account's address, the agent's key, and what each of them may do.

Anyone may read any account by its address, and an address that holds nothing is answered with an empty account: with
the agent's own address every position is invisible (ccxt issue 26103). So the role of the address is asked before
anything it says is believed. An agent (API wallet) signs for an account and cannot withdraw; the account's own key can.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from guard.errors import ConfigError, KeysRefused, VenueUnavailable
from guard.venues.protocol import KeyScopes, KeyVerdict, VenueAccount
from guard.venues.rows import Moment, Row, RowError, Word, read_row, rows_of

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}", re.ASCII)
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # Of secp256k1.

_AGENT_KEY_EXPECTED = (
    "is no private key, expected that of an API wallet (agent) of the account, from app.hyperliquid.xyz/API: "
    "64 digits (0-9, a-f); never the key of the account itself"
)


class _Role(Row):
    role: Word  # user, agent, vault, subAccount, missing.
    data: dict[str, Any] | None = None  # With agent and subAccount: whose.


class _Agent(Row):
    address: Word
    valid_until: Moment | None = None  # None: it does not expire.


class Role(Row):
    """What an address is. `master`: of an agent or a sub-account, the account that owns it."""

    word: str
    master: str | None


def read_role(answer: object) -> Role:
    """Return what POST /info userRole says. Raises VenueUnavailable."""
    try:
        row = read_row(_Role, answer)
    except RowError as error:
        raise VenueUnavailable(f"userRole: {error}") from None
    owner = (row.data or {}).get("user") or (row.data or {}).get("master")
    return Role(word=row.role, master=owner.lower() if isinstance(owner, str) else None)


def key_problems(api_key: str, secret: str) -> Iterator[tuple[str, str]]:
    """Yield which of the two keys cannot be one at Hyperliquid, and what is expected. No secret is repeated."""
    if not _ADDRESS.fullmatch(api_key):
        yield (
            "api_key",
            "is no address, expected the address of the account at Hyperliquid: 0x and 40 digits (0-9, a-f)",
        )
    if not _is_key(secret):
        yield "secret", _AGENT_KEY_EXPECTED


def check_keys(account: VenueAccount) -> tuple[str, str]:
    """Return the account's address and the agent's private key, both in small letters with 0x. Raises ConfigError."""
    problems = key_problems(account.api_key, account.secret)
    lines = tuple(f"accounts.{account.account}.{key}: {text}" for key, text in problems)
    if lines:
        raise ConfigError(*lines)
    return account.api_key.lower(), "0x" + account.secret.lower().removeprefix("0x")


def _is_key(text: str) -> bool:
    return bool(_KEY.fullmatch(text)) and 0 < int(text, 16) < _ORDER


def check_account(role: Role, address: str) -> None:
    """Raise KeysRefused when this address is not an account that holds positions."""
    if role.word == "agent":
        raise KeysRefused(
            f"{address} is the address of an API wallet (agent), and an agent holds nothing: api_key must be the "
            f"address of its account, {role.master or 'which the exchange does not name'}"
        )
    if role.word == "missing":
        raise KeysRefused(f"there is no account at {address}: api_key must be the address that holds the positions")


def judge_agent(agent: str, agent_role: Role, account: str, account_role: Role, agents: object) -> KeyScopes:
    """Return what a key may do, by what its address is. `agents` answers POST /info extraAgents. VenueUnavailable."""
    owner = account_role.master if account_role.word == "subAccount" else account
    if agent in {account, owner} or agent_role.word in {"user", "vault", "subAccount"}:
        whose = "this account's own" if agent in {account, owner} else "an account's own, and not this one's"
        text = f"the key is {whose}: it may withdraw everything. Make an API wallet at app.hyperliquid.xyz/API"
        return _scopes(KeyVerdict.TOO_POWERFUL, agent_role, text)
    if agent_role.word != "agent" or agent_role.master != owner:
        text = (
            f"the key's address {agent} is no API wallet of this account: the guard may look but not add margin. "
            "Approve it at app.hyperliquid.xyz/API"
        )
        return _scopes(KeyVerdict.READ_ONLY, agent_role, text)
    ends_at = _expiry(agents, agent)
    text = "the key is an API wallet of the account: it may trade and move money within it, not out of it"
    return _scopes(KeyVerdict.SAFE, agent_role, text, ends_at)


def _expiry(agents: object, agent: str) -> datetime | None:
    """Return when an agent ends. An agent without a name is not listed, and that one does not say."""
    try:
        listed = [read_row(_Agent, raw) for raw in rows_of(agents, "extraAgents")]
    except RowError as error:
        raise VenueUnavailable(f"extraAgents: {error}") from None
    return next((row.valid_until for row in listed if row.address.lower() == agent), None)


def _scopes(verdict: KeyVerdict, role: Role, text: str, expires_at: datetime | None = None) -> KeyScopes:
    return KeyScopes(verdict=verdict, scopes=(role.word,), ip_restricted=None, text=text, expires_at=expires_at)
