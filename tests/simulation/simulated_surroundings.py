"""What libraries look at by themselves, made up: their clock, their chance, and the log."""

import logging
import random
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from unittest.mock import patch

import structlog
from simulated_time import World


def dice_of(seed: int, what: str) -> random.Random:
    return random.Random(f"{what} {seed}")  # noqa: S311 - a schedule, not a secret.


@contextmanager
def simulated_surroundings(seed: int, *, is_loud: bool) -> Iterator[list[World]]:
    """Give libraries that look at the clock or at chance by themselves the simulated ones; quiet the log."""
    worlds: list[World] = []
    dice = dice_of(seed, "ids")

    class WorldDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return worlds[-1].wall().astimezone(tz)

    with ExitStack() as stack:
        for module in ("schedulers.base", "triggers.interval", "executors.base"):
            stack.enter_context(patch(f"apscheduler.{module}.datetime", WorldDatetime))
        stack.enter_context(patch("uuid.uuid4", lambda: uuid.UUID(int=dice.getrandbits(128))))
        stack.enter_context(patch("secrets.token_hex", lambda n=4: f"{dice.getrandbits(8 * n):0{2 * n}x}"))
        logging.getLogger("apscheduler").setLevel(logging.CRITICAL + 1)  # It logs the unwinding of killed processes.
        before = structlog.get_config()
        _configure_logs(worlds, is_loud=is_loud)
        try:
            yield worlds
        finally:
            structlog.configure(**before)


def _configure_logs(worlds: list[World], *, is_loud: bool) -> None:
    def into_trace(_logger: object, name: str, event: dict[str, object]) -> str:
        if worlds:
            worlds[-1].remark(name, event)
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.format_exc_info, into_trace],
        wrapper_class=structlog.make_filtering_bound_logger(0 if is_loud else 50),
        cache_logger_on_first_use=False,
    )
