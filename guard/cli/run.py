"""`guard run`: the daemon in the foreground, as systemd and containers want it."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from guard import logs
from guard.config import load
from guard.daemon.service import Service
from guard.errors import ConfigError

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "json", "logfmt", "console")


def run_daemon(config: Path | None, *, once: bool, log_level: str, log_format: str) -> None:
    """Run until SIGTERM or SIGINT; with `once` until one cycle is done and told."""
    if log_level not in LEVELS or log_format not in FORMATS:
        raise ConfigError(f"--log-level is one of {', '.join(LEVELS)}; --log-format is one of {', '.join(FORMATS)}")
    settings = load(config)
    logs.configure(log_level, secrets=settings.secrets(), fmt=log_format, environ=os.environ)
    for warning in settings.warnings:
        print(f"guard: {warning}", file=sys.stderr)
    service = Service(settings)
    asyncio.run(service.once() if once else _until_signal(service))


async def _until_signal(service: Service) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await service.run(stop)
