"""`guard check`: everything the daemon will need, tried now, one line each."""

import asyncio
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from guard import logs
from guard.cli import EXIT_KEYS, EXIT_UNREACHABLE
from guard.cli.screen import Screen, print_line
from guard.config import load
from guard.config.settings import Settings
from guard.daemon.findings import Finding, Verdict
from guard.daemon.inspect import inspect_accounts, inspect_channels, inspect_config

SIGNS = {
    Verdict.FINE: ("ok  ", "green"),
    Verdict.WARNING: ("note", "yellow"),
    Verdict.UNREACHABLE: ("FAIL", "bold red"),
    Verdict.KEYS: ("KEYS", "bold red"),
}


def run_check(config: Path | None, *, offline: bool) -> None:
    """Print findings as they come; exit 77 for keys, 69 for what cannot be reached, else 0."""
    settings = load(config)
    logs.configure("error", secrets=settings.secrets())
    verdicts = asyncio.run(_print_findings(settings, Screen(), offline=offline))
    if Verdict.KEYS in verdicts:
        sys.exit(EXIT_KEYS)
    if Verdict.UNREACHABLE in verdicts:
        sys.exit(EXIT_UNREACHABLE)


async def _print_findings(settings: Settings, console: Console, *, offline: bool) -> set[Verdict]:
    verdicts: set[Verdict] = set()

    def show(finding: Finding) -> None:
        sign, style = SIGNS[finding.verdict]
        print_line(console, Text(sign, style=style), Text.assemble((finding.subject, "bold"), "  ", finding.text))
        verdicts.add(finding.verdict)

    for finding in inspect_config(settings):
        show(finding)
    if not offline:
        async for finding in inspect_accounts(settings):
            show(finding)
        async for finding in inspect_channels(settings):
            show(finding)
    return verdicts
