"""`guard run`: the daemon in the foreground, as systemd and containers want it."""

import asyncio
import os
import signal
from pathlib import Path
from typing import cast, get_args

import structlog
import typer

from guard import logs
from guard.config import load
from guard.daemon.service import Service
from guard.daemon.stuck import ended_when_stuck

log = structlog.get_logger(__name__)

LEVELS = ("debug", "info", "warning", "error")


def run_daemon(config: Path | None, *, once: bool, log_level: str, log_format: str) -> None:
    """Run until SIGTERM or SIGINT; with `once` until one cycle is done and told."""
    if log_level not in LEVELS or log_format not in get_args(logs.Format):
        formats = ", ".join(get_args(logs.Format))
        raise typer.BadParameter(f"--log-level is one of {', '.join(LEVELS)}; --log-format is one of {formats}")
    settings = load(config)
    logs.configure(log_level, secrets=settings.secrets(), fmt=cast("logs.Format", log_format), environ=os.environ)
    for warning in settings.warnings:
        log.warning("config.warned", text=warning)
    service = Service(settings)
    asyncio.run(service.once() if once else _until_signal(service))


async def _until_signal(service: Service) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with ended_when_stuck():
        await service.run(stop)
