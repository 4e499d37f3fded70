"""An exchange on loopback that speaks Binance USD-M's wire format and does its own margin arithmetic."""

from guard.demo.binance.brackets import is_own_table
from guard.demo.binance.faults import Fault, FaultKind
from guard.demo.binance.ledger import DemoAccount, Holding, Liquidated
from guard.demo.binance.market import DemoExchange
from guard.demo.binance.server import ccxt_urls, serve

__all__ = [
    "DemoAccount",
    "DemoExchange",
    "Fault",
    "FaultKind",
    "Holding",
    "Liquidated",
    "ccxt_urls",
    "is_own_table",
    "serve",
]
