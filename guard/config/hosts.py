"""Which addresses the guard may talk to: TLS everywhere, plain text only on this machine."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

_SECURE = {"https", "wss"}
_PLAIN = {"http", "ws"}
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._:-]+", re.ASCII)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_safe(url: str, schemes: frozenset[str] = frozenset({"https", "http"})) -> None:
    """Accept a url that nobody on the way can read. Raises ValueError with what was expected, without the url."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # The port is read to be judged: it may not be a number.
    except ValueError:
        raise ValueError("expected a url such as 'https://example.org/path'") from None
    if parts.scheme not in schemes or not host or any(letter.isspace() for letter in url):
        wanted = " or ".join(f"{scheme}://" for scheme in sorted(schemes & _SECURE))
        raise ValueError(f"expected a url that starts with {wanted} and names a host")
    if parts.scheme in _PLAIN and not is_loopback(host):
        secure = {"http": "https", "ws": "wss"}[parts.scheme]
        raise ValueError(f"expected {secure}:// (plain {parts.scheme}:// is for this machine only), host {host!r}")


def listen_address(value: object) -> tuple[str, int]:
    """Return "127.0.0.1:9464" or "[::1]:9464" as host and port; port 0 takes any free one."""
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    host = host.removeprefix("[").removesuffix("]")
    if not (_HOST.fullmatch(host) and colon and _PORT.fullmatch(port) and int(port) <= 65535):
        raise ValueError("expected an address such as '127.0.0.1:9464'")
    return host, int(port)
