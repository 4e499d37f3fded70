"""A process that has read all of guard's code and forks one real daemon per line of its input: a start costs 20 ms.

    python preloaded_guard.py [MUTANT]

A line `start CONFIG` is answered with the pid of a new daemon, a line `wait PID` with how it ended (as subprocess has
it: negative is a signal). The daemon is the one of `guard run`, on the journal, the exchange and the channels of
CONFIG; it polls faster than a config may say and waits less long for a lost request, for the exchange is on this
machine and says what it does. MUTANT, from tests/simulation/design_mutants.py, is switched on in every daemon.
"""

import asyncio
import gc
import os
import sys
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from guard import logs
from guard.cli.run import _until_signal
from guard.config import load
from guard.daemon.doors import REAL_DOORS
from guard.daemon.service import Service
from guard.venues.binance import BinanceUsdm
from guard.venues.transport import _strict_class, _tls

POLL = timedelta(seconds=0.03)
FENCE = timedelta(seconds=0.15)  # The slowest request of a siege is done after a third of it, in the exchange's order.


def main(mutant: str | None) -> None:
    _strict_class("binanceusdm")
    _tls()
    if mutant is not None:
        sys.path.append(str(Path(__file__).parents[1] / "simulation"))
        import design_mutants  # noqa: PLC0415 - it is on the path only here.

        design_mutants.MUTANTS[mutant]().__enter__()
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        match line.split():
            case ["start", config]:
                pid = os.fork()
                if pid == 0:
                    _guard(Path(config))
                _answer(pid)
            case ["wait", pid]:
                _answer(os.waitstatus_to_exitcode(os.waitpid(int(pid), 0)[1]))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _guard(config: Path) -> None:
    """Be `guard run` until a signal. Never returns."""
    status = 70
    try:
        sys.stdin.close()
        settings = load(config, environ={})
        accounts = {
            name: replace(account, poll_calm=POLL, poll_near=POLL) for name, account in settings.accounts.items()
        }
        logs.configure("warning", secrets=settings.secrets(), fmt="json", environ={})
        doors = replace(REAL_DOORS, open_venue=lambda account, *, now: BinanceUsdm(account, now=now, fence=FENCE))
        asyncio.run(_until_signal(Service(replace(settings, accounts=accounts), environ={}, doors=doors)))
        status = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:  # It must not go on as the process that forks.
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
