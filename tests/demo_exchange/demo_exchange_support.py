"""One account of the demo exchange, and the real, unchanged ccxt.pro for it."""

from decimal import Decimal
from typing import Any

import ccxt.pro

from guard.demo.exchange import DemoAccount, ccxt_urls

API_KEY = "demo-key"
SECRET = "demo-secret"
LEAN = {"fetchCurrencies": False, "fetchMargins": False, "recvWindow": 5000}


def account_with(balance: str = "10000", **fields: Any) -> DemoAccount:
    return DemoAccount(
        **{"name": "main", "api_key": API_KEY, "secret": SECRET, "balances": {"USDT": Decimal(balance)}} | fields
    )


def client_at(url: str, **config: Any) -> Any:
    client = ccxt.pro.binanceusdm(
        {"apiKey": API_KEY, "secret": SECRET, "urls": ccxt_urls(url), "rateLimit": 1, "options": LEAN} | config
    )
    client.timeout_on_exit = 0  # ms. ccxt waits for TLS connections to close; there are none.
    return client
