"""Whose signature an action of Hyperliquid carries, computed from the documents and the official SDK's scheme.

An L1 action is packed as msgpack in the order of its fields, followed by the nonce, the sub-account if there is one and
the end of its validity; the Keccak hash of that is the `connectionId` of an EIP-712 `Agent`, whose source says which
network is meant. Nothing of guard.venues is used.
"""

from typing import Any

import coincurve
from ccxt.static_dependencies import keccak


def hashed(data: bytes) -> bytes:
    return bytes(keccak.SHA3(data))


def packed(value: Any) -> bytes:
    """Return msgpack of what an action may hold: short maps, text, booleans and integers."""
    if isinstance(value, dict):
        assert len(value) < 16
        return bytes([0x80 | len(value)]) + b"".join(packed(key) + packed(inner) for key, inner in value.items())
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _packed_int(value)
    text = value.encode()
    assert len(text) < 32
    return bytes([0xA0 | len(text)]) + text


def _packed_int(value: int) -> bytes:
    if 0 <= value < 0x80:
        return bytes([value])
    if value < 0:
        return b"\xd3" + value.to_bytes(8, "big", signed=True)
    for head, size in ((0xCC, 1), (0xCD, 2), (0xCE, 4)):
        if value < 1 << (8 * size):
            return bytes([head]) + value.to_bytes(size, "big")
    return b"\xcf" + value.to_bytes(8, "big")


def action_hash(action: dict[str, Any], nonce: int, sub_account: str | None, expires_after: int | None) -> bytes:
    data = packed(action) + nonce.to_bytes(8, "big")
    data += b"\x00" if sub_account is None else b"\x01" + bytes.fromhex(sub_account.removeprefix("0x"))
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return hashed(data)


def digest(connection_id: bytes, *, mainnet: bool) -> bytes:
    domain_type = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    domain = hashed(hashed(domain_type) + hashed(b"Exchange") + hashed(b"1") + (1337).to_bytes(32, "big") + bytes(32))
    agent = hashed(
        hashed(b"Agent(string source,bytes32 connectionId)") + hashed(b"a" if mainnet else b"b") + connection_id
    )
    return hashed(b"\x19\x01" + domain + agent)


def signer(
    action: dict[str, Any],
    signature: dict[str, Any],
    *,
    nonce: int,
    mainnet: bool,
    sub_account: str | None = None,
    expires_after: int | None = None,
) -> str:
    """Return the address that signed. A wrong payload gives another address, as at the exchange."""
    r, s = (int(signature[name], 16).to_bytes(32, "big") for name in ("r", "s"))
    recoverable = r + s + bytes([signature["v"] - 27])
    message = digest(action_hash(action, nonce, sub_account, expires_after), mainnet=mainnet)
    key = coincurve.PublicKey.from_signature_and_message(recoverable, message, hasher=None)
    return address_of(key)


def address_of(key: coincurve.PublicKey) -> str:
    return "0x" + hashed(key.format(compressed=False)[1:])[-20:].hex()


def address_of_private(key: str) -> str:
    return address_of(coincurve.PrivateKey(bytes.fromhex(key.removeprefix("0x"))).public_key)
