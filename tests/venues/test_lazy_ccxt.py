import subprocess
import sys

import pytest

from guard.venues import SUPPORTED

EVERY_CLASS = """
from guard.venues.lazy_ccxt import exchange_class
assert exchange_class("binanceusdm").__name__ == "binanceusdm"
import ccxt, ccxt.async_support, ccxt.pro
count = 0
for package in (ccxt, ccxt.async_support, ccxt.pro):
    assert type(package).__name__ == "_LazyPackage", "the lazy packages are in use"
    for name in package.exchanges:
        found = getattr(package, name)
        assert isinstance(found, type) and found.__name__ == name, (package, name, found)
        count += 1
assert issubclass(ccxt.pro.binance, ccxt.async_support.binance)
assert issubclass(ccxt.pro.binanceusdm, ccxt.pro.binance)
assert {"binance", "okx", "Exchange"} <= set(dir(ccxt))
print(count)
"""

ONLY_ONE = """
import sys
from guard.venues.lazy_ccxt import exchange_class
exchange_class("binanceusdm")
print(sum(1 for name in sys.modules if name.startswith("ccxt.pro.")))
"""

ONE_VENUE = """
import sys
from datetime import UTC, datetime
from guard.venues import VENUES, open_venue
from guard.venues.protocol import VenueAccount
secrets = {"api_key": "0x" + "1" * 40, "secret": "1" * 64, "password": "nobody"}
venue = open_venue(VenueAccount(account="a", exchange=EXCHANGE, ccxt={}, **secrets), now=lambda: datetime.now(UTC))
derived = {f"ccxt.async_support.{EXCHANGE}", *(base.__module__ for base in type(venue._client).__mro__)}
found = {name for name in sys.modules if name.startswith(("ccxt.pro.", "ccxt.async_support."))}
found = {name for name in found if ".base" not in name and name.count(".") == 2}
assert f"ccxt.pro.{EXCHANGE}" in found, found
print(sorted(found - derived), sorted({module for module, _ in VENUES.values()} & sys.modules.keys()), sep=";")
"""

BROKEN_TRICK = """
import sys
from guard.venues import lazy_ccxt
def break_down(package, init):
    sys.modules["ccxt"] = None
    raise RuntimeError("ccxt has a new shape")
lazy_ccxt._make_package = break_down
found = lazy_ccxt.exchange_class("binanceusdm")
import ccxt.pro
assert found is ccxt.pro.binanceusdm
print(type(ccxt.pro).__name__)
"""

IMPORTED_BEFORE = """
import ccxt
from guard.venues.lazy_ccxt import exchange_class
assert exchange_class("binanceusdm").__name__ == "binanceusdm"
import ccxt.pro
assert exchange_class("okx") is ccxt.pro.okx
print(type(ccxt).__name__)
"""


def run(source: str) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_exchange_class_of_the_three_packages_can_be_had_lazily():
    # 104 + 104 + 76 exchanges: ccxt 4.5.90, counted from its own lists.
    assert int(run(EVERY_CLASS)) == 104 + 104 + 76


def test_only_the_exchanges_that_are_asked_for_are_imported():
    assert int(run(ONLY_ONE)) == 2  # binanceusdm and the binance it derives from.


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_a_guarded_exchange_costs_itself_and_what_it_derives_from(exchange):
    others, venues = run(f"EXCHANGE = {exchange!r}" + ONE_VENUE).split(";")
    assert others == "[]"
    assert venues.count("guard.venues.") <= (2 if exchange == "binancecoinm" else 1)


def test_a_ccxt_that_the_trick_does_not_fit_is_imported_plainly():
    assert run(BROKEN_TRICK) == "module"


def test_a_ccxt_that_somebody_imported_before_is_left_as_it_is():
    assert run(IMPORTED_BEFORE) == "module"
