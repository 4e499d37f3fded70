"""A unified account at Bitget as an exchange of its own row in the contract suite. Sources: bitget_wire_unified.py."""

from collections.abc import Mapping
from typing import ClassVar

from bitget_wire import BitgetServer


class BitgetUtaServer(BitgetServer):
    """A unified account in isolated margin mode."""

    is_unified = True
    reads_per_cycle: ClassVar[int] = 3
    lacks: ClassVar[Mapping[str, str]] = BitgetServer.lacks | {
        "auto margin": "a unified account does not tell whether Bitget adds margin by itself",
        "entries": "which of a unified account's records are added margin is not certain, so none is counted",
        "empty list": "a unified account's own figures leave isolated positions out",
        "stated price": "its margin is only believed where the model meets the exchange's price",
    }
    refusals: ClassVar[Mapping[str, str]] = {
        "25008": "Account is in forced liquidation status",
        "25202": "Insufficient balance",
        "25203": "Insufficient margin",
        "25227": "No position available to close",
        "25236": "Incorrect position open type",
        "25620": "permission denied",
        "40008": "Request timestamp expired",
        "40084": "You are in Classic Account mode",
    }
    position_fields: ClassVar[Mapping[str, str]] = {
        "size": "total", "entry": "avgPrice", "mark": "markPrice", "margin": "positionBalance",
    }  # fmt: skip
