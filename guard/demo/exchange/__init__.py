"""An exchange on loopback that speaks Binance USD-M's wire format and does its own margin arithmetic."""

from guard.demo.exchange.brackets import is_own_table
from guard.demo.exchange.faults import Fault, FaultKind
from guard.demo.exchange.ledger import DemoAccount, Holding, Liquidated
from guard.demo.exchange.market import DemoExchange
from guard.demo.exchange.server import ccxt_urls, serve

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
