"""What ccxt's sockets push: from known hosts only, read one message at a time, and by us first where we listen."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from guard.venues.gate import Gate


class StreamMessages:
    """Comes before a ccxt.pro class, as a part of guard.venues.transport.StrictClient."""

    id: str
    gate: Gate
    overhear: Callable[[object], bool] | None = None  # Gets every message first; True: ccxt does not get it.

    def client(self, url: str) -> Any:
        """Return ccxt's stream client, for known hosts only. A message that nobody can read does not end it."""
        self.gate.check_host(url, f"{self.id} stream")
        stream = super().client(url)  # type: ignore[misc]  # ccxt's class comes after this one.
        if not isinstance(stream.handle_text_or_binary_message, _Shield):
            stream.handle_text_or_binary_message = _Shield(stream.handle_text_or_binary_message)
        return stream

    def handle_message(self, client: Any, message: object) -> None:
        """Hand on what a stream pushed. The name and the arguments are ccxt's."""
        if self.overhear is None or not self.overhear(message):
            super().handle_message(client, message)  # type: ignore[misc]  # ccxt's class comes after this one.


class _Shield:
    """Reads one message of a stream, whatever it is: what ccxt raises here would end its reading, told to nobody."""

    def __init__(self, read: Callable[[object], None]) -> None:
        self._read = read

    def __call__(self, message: object) -> None:
        with suppress(Exception):  # Junk is passed over: limits on silence judge how long that may last.
            self._read(message)
