"""Import ccxt without its hundred exchanges.

`import ccxt.pro` reads every exchange of three packages: about 50 MB and 0.3 s that a guard of one account never uses.
Here the three packages are made without the lines that import their exchanges; an exchange is imported when its
name is first asked for. Traps, seen in ccxt 4.5.90:

- The import system binds a loaded submodule to its parent under the very name that ccxt then gives to the class in
  it, and ccxt.pro relies on that (`class binance(ccxt.async_support.binance)`). So a bound exchange module is replaced
  by its class.
- Anything may change with the next release. So every failure ends in the plain import: larger, never wrong.
"""

import importlib
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGES = ("ccxt", "ccxt.async_support", "ccxt.pro")


def exchange_class(exchange: str) -> Any:
    """Return the ccxt.pro class of an exchange id. Raises AttributeError when ccxt has none."""
    try:
        _make_packages()
        return getattr(sys.modules["ccxt.pro"], exchange)
    except Exception:  # noqa: BLE001  # Whatever the trick stumbles over, the plain import does not.
        _forget_ccxt()
        return getattr(importlib.import_module("ccxt.pro"), exchange)


class _LazyPackage(ModuleType):
    """A ccxt package whose exchanges are imported when their names are first asked for."""

    _exchanges: dict[str, str]  # Exchange id: module.

    def __getattr__(self, name: str) -> Any:
        module = self.__dict__.get("_exchanges", {}).get(name)
        if module is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        importlib.import_module(module)
        return self.__dict__[name]

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and name in self._exchanges:
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self._exchanges})


def _make_packages() -> None:
    """Put the three packages into sys.modules, once. Where ccxt is imported already, it stays as it is."""
    if "ccxt.pro" in sys.modules:
        return
    if any(package in sys.modules for package in PACKAGES):
        importlib.import_module("ccxt.pro")
        return
    found = importlib.util.find_spec("ccxt")
    if found is None or found.origin is None:
        raise ImportError("ccxt is not installed")
    root = Path(found.origin).parent
    for package in PACKAGES:
        _make_package(package, root.joinpath(*package.split(".")[1:], "__init__.py"))


def _make_package(package: str, init: Path) -> None:
    source = init.read_text(encoding="utf-8")
    line = re.compile(rf"^from {re.escape(package)}\.(\w+) import \1\b.*$", re.MULTILINE)
    spec = spec_from_file_location(package, init, submodule_search_locations=[str(init.parent)])
    if spec is None:
        raise ImportError(f"no spec for {package}")
    module = module_from_spec(spec)
    module.__dict__["_exchanges"] = {match[1]: f"{package}.{match[1]}" for match in line.finditer(source)}
    module.__class__ = _LazyPackage
    sys.modules[package] = module
    # ccxt's own text, less the import lines: nothing foreign is run that a plain import would not run.
    exec(compile(line.sub("", source), str(init), "exec"), module.__dict__)  # noqa: S102
    parent, _, child = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


def _forget_ccxt() -> None:
    for name in [name for name in sys.modules if name == "ccxt" or name.startswith("ccxt.")]:
        del sys.modules[name]
