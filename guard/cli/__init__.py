"""The verbs a person types. Heavy imports stand inside the commands: `--help` is quick."""

import ctypes
import errno
import io
import os
import resource
import sys
from contextlib import suppress
from typing import NoReturn

from guard.errors import ConfigError, GuardError, KeysRefused

PR_SET_DUMPABLE = 4  # linux/prctl.h.
EXIT_UNREACHABLE = 69
EXIT_OUR_BUG = 70
EXIT_KEYS = 77
EXIT_CONFIG = 78
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def main() -> None:
    """Run the command line; every failure ends in one clear text on stderr and its exit status."""
    from guard.cli.app import app  # noqa: PLC0415 - typer is only needed here.

    _accept_any_locale()
    _leave_no_core()
    try:
        app()
    except SystemExit as leaving:
        _finish(leaving)
    except ConfigError as error:
        _leave(EXIT_CONFIG, str(error))
    except KeysRefused as error:
        _leave(EXIT_KEYS, f"guard: {error}")
    except GuardError as error:
        _leave(EXIT_UNREACHABLE, f"guard: {error}")
    except Exception as error:  # noqa: BLE001 - the last door: our own bug gets its own status.
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            _leave(EXIT_UNREACHABLE, f"guard: {_where(error)}: {error.strerror}")
        _leave(EXIT_OUR_BUG, _bug_text(error))


def _leave_no_core() -> None:
    """Forbid core dumps, which would hold the keys: a limit alone does not bind a pipe to a crash collector."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, AttributeError):  # Only Linux has it.
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _accept_any_locale() -> None:
    """Print a question mark for what the encoding of the terminal lacks: no locale keeps anybody from the figures."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _finish(leaving: SystemExit) -> NoReturn:
    """Hand over what is still in the buffer. A reader that has gone away, as in `guard schema | head`, is no error."""
    status = leaving.code
    if isinstance(leaving.__context__, BrokenPipeError):  # typer turns it into status 1, which means "warn" here.
        status = 0
        _forget_stdout()
    try:
        if sys.stdout is not None:  # Nobody is there after `guard status >&-`.
            sys.stdout.flush()
    except BrokenPipeError:
        _forget_stdout()
    except OSError as error:
        _forget_stdout()
        _leave(EXIT_UNREACHABLE, f"guard: {_where(error)}: {error.strerror}")
    sys.exit(status)


def _forget_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # What is left in the buffer goes there when Python ends.


def _where(error: OSError) -> str:
    return str(error.filename or "standard output")


def _leave(status: int, text: str) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(status)


def _bug_text(error: Exception) -> str:
    """Name the bug and where it happened, without values: a value may be a secret."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
    return f"guard: a bug in guard itself: {type(error).__name__} at {place}. Please report it with this line."
