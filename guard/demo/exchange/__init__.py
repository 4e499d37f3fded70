"""An exchange on loopback that speaks Binance USD-M's wire format and does its own margin arithmetic."""

from guard.demo.exchange.brackets import is_own_table
from guard.demo.exchange.exchange import DemoExchange, LiquidationEvent, MarginPost
from guard.demo.exchange.faults import Fault, FaultKind, banned, html_page, too_many_requests
from guard.demo.exchange.ledger import (
    DemoAccount,
    DemoPosition,
    KeyPermissions,
    OpenOrder,
    SymbolChoice,
    available,
    equity,
    liquidation_of,
)
from guard.demo.exchange.server import ccxt_urls, serve

__all__ = [
    "DemoAccount",
    "DemoExchange",
    "DemoPosition",
    "Fault",
    "FaultKind",
    "KeyPermissions",
    "LiquidationEvent",
    "MarginPost",
    "OpenOrder",
    "SymbolChoice",
    "available",
    "banned",
    "ccxt_urls",
    "equity",
    "html_page",
    "is_own_table",
    "liquidation_of",
    "serve",
    "too_many_requests",
]
