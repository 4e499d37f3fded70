"""`guard status`: one look at every account, worst first."""

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.live import Live

from guard import logs
from guard.cli.books import raise_if_none_read
from guard.cli.screen import Screen
from guard.cli.tables import StatusView, print_status
from guard.config import load
from guard.daemon.look import Look, Looker

EXIT_BY_LEVEL = {"ok": 0, "watch": 0, "warn": 1, "unknown": 3, "danger": 2, "critical": 2}
WATCH_EVERY_S = 5.0


def run_status(config: Path | None, *, as_json: bool, exit_code: bool, watch: bool) -> None:
    """Print the status. Raises VenueUnavailable or KeysRefused when no account at all could be read."""
    if watch and (as_json or exit_code):
        raise typer.BadParameter(
            "--watch draws for people until it is stopped: it goes with neither --json nor --exit-code"
        )
    settings = load(config)
    logs.configure("error", secrets=settings.secrets())
    looker = Looker(settings)
    if watch:
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends.
            asyncio.run(_watch(looker, Screen()))
        return
    looks, document = asyncio.run(_once(looker))
    with suppress(BrokenPipeError) if exit_code else nullcontext():  # How it stands counts, whoever still listens.
        _print(document, as_json=as_json)
    raise_if_none_read(looks)
    if exit_code:
        sys.exit(health(document))


def _print(document: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(document, indent=2), flush=True)
    else:
        print_status(document, Screen())


def health(document: Mapping[str, Any]) -> int:
    """Return the exit status of `--exit-code`: danger wins over what could not be seen, and that over a warning."""
    codes = {EXIT_BY_LEVEL[account["level"]] for account in document["accounts"]}
    codes |= {3 for account in document["accounts"] if account["state"] != "fresh"}
    return next((code for code in (2, 3, 1) if code in codes), 0)


async def _once(looker: Looker) -> tuple[Mapping[str, Look], dict[str, object]]:
    async with looker:
        looks = await looker.look()
        return looks, looker.document(looks)


async def _watch(looker: Looker, console: Console) -> None:
    """Look until interrupted: drawn in place on a terminal, one below the other elsewhere."""
    async with looker:
        with Live(console=console) if console.is_terminal else nullcontext() as live:
            while True:
                document = looker.document(await looker.look())
                if live is None:
                    print_status(document, console)
                else:
                    live.update(StatusView(document), refresh=True)
                await asyncio.sleep(WATCH_EVERY_S)
