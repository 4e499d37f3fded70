"""A server that speaks bytes, not HTTP: it takes one request, counts it, and answers with whatever a test wrote down."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: the kernel sends RST instead of FIN.


class End(Enum):
    """How the connection ends after the answer."""

    FIN = auto()
    RST = auto()
    NEVER = auto()  # It stays open: whatever is missing of the answer never comes.


@dataclass(slots=True)
class RawServer:
    """What it answers: a function of the request's body, or of its query where it has none, as bytes on the wire."""

    answer: Callable[[bytes], bytes] = field(default=lambda _: b"")
    end: End = End.FIN
    posts: int = 0
    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            body = await _body_of(reader)
            self.posts += 1
            self.asked.set()
            writer.write(self.answer(body))
            await writer.drain()
            if self.end is End.NEVER:
                await reader.read()  # Until the other side has had enough.
            if self.end is End.RST:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # The other side left first.
        finally:
            writer.close()


async def _body_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"POST "), head
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return await reader.readexactly(length) if length else head.split(b" ")[1].partition(b"?")[2]


@asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    raw = RawServer()
    server = await asyncio.start_server(raw.take, "127.0.0.1", 0)
    raw.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()


def http(status: int, body: bytes, *, length: bool = True, **headers: str) -> bytes:
    """Return a whole answer. Without `length` its end is the end of the connection."""
    lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"] if length else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
