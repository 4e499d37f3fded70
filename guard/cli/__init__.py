"""The verbs a person types. Heavy imports stand inside the commands: `--help` is quick."""

import os
import sys

from guard.errors import ConfigError, GuardError, KeysRefused

EXIT_UNREACHABLE = 69
EXIT_OUR_BUG = 70
EXIT_KEYS = 77
EXIT_CONFIG = 78


def main() -> None:
    """Run the command line; every failure ends in one clear text on stderr and its exit status."""
    from guard.cli.app import app  # noqa: PLC0415 - typer is only needed here.

    try:
        app()
    except ConfigError as error:
        _leave(EXIT_CONFIG, str(error))
    except KeysRefused as error:
        _leave(EXIT_KEYS, f"guard: {error}")
    except GuardError as error:
        _leave(EXIT_UNREACHABLE, f"guard: {error}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `guard history | head` is no error.
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the last door: our own bug gets its own status.
        _leave(EXIT_OUR_BUG, _bug_text(error))


def _leave(status: int, text: str) -> None:
    print(text, file=sys.stderr)
    sys.exit(status)


def _bug_text(error: Exception) -> str:
    """Name the bug and where it happened, without values: a value may be a secret."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
    return f"guard: a bug in guard itself: {type(error).__name__} at {place}. Please report it with this line."
