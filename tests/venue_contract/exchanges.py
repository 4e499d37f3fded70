"""The exchanges that the suite runs over: for each a server of its own, in tests/venues/<folder>/.

To plug one in, add a line: ccxt id -> folder, module, class of its server. One that speaks otherwise to another kind of
account has a line for each: the ccxt id, a dash and the kind.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from wire_server import WireServer

VENUES = Path(__file__).parents[1] / "venues"
sys.path.append(str(VENUES.with_name("daemon_e2e")))  # For what is started by command, without pytest's own paths.

SERVERS: Mapping[str, tuple[str, str, str]] = {
    "binanceusdm": ("binance", "usdm_wire", "BinanceUsdmServer"),
    "binancecoinm": ("binance", "coinm_wire", "BinanceCoinmServer"),
    "bybit": ("bybit", "bybit_wire", "BybitServer"),
    "okx": ("okx", "okx_wire", "OkxServer"),
    "hyperliquid": ("hyperliquid", "hyperliquid_wire", "HyperliquidServer"),
    "gate": ("gate", "gate_wire", "GateServer"),
    "bitget": ("bitget", "bitget_wire", "BitgetServer"),
    "bitget-uta": ("bitget", "bitget_uta_wire", "BitgetUtaServer"),
}


def server_of(exchange: str) -> type[WireServer]:
    folder, module, name = SERVERS[exchange]
    path = str(VENUES / folder)
    if path not in sys.path:
        sys.path.insert(0, path)
    server: type[WireServer] = getattr(import_module(module), name)
    assert server.exchange == exchange.partition("-")[0]
    return server
