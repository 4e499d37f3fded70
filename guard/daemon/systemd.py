"""Speaking to systemd: readiness, status line and watchdog over its notify socket.

Source: sd_notify(3), sd_watchdog_enabled(3). Without systemd (no NOTIFY_SOCKET) every call does nothing.
"""

import socket
from collections.abc import Mapping
from datetime import timedelta


def notify(state: str, environ: Mapping[str, str]) -> bool:
    """Send `READY=1`, `WATCHDOG=1`, `STATUS=...` (lines of one datagram); return whether systemd took it.

    A socket that is gone is no reason to stop guarding, so it is False and not an error.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as notifier:
            notifier.connect("\0" + address[1:] if address.startswith("@") else address)
            notifier.sendall(state.encode())
    except OSError:
        return False
    return True


def watchdog_interval(environ: Mapping[str, str], *, pid: int) -> timedelta | None:
    """Return within which time systemd wants the next `WATCHDOG=1`. None: no watchdog for the process `pid`."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not (microseconds.isascii() and microseconds.isdigit()) or int(microseconds) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return timedelta(microseconds=int(microseconds))
