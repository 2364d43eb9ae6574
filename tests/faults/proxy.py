"""An HTTP proxy on loopback that spoils chosen exchanges between a client and a server behind it."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

import msgspec

Kind = Literal["lost", "reset", "torn_request", "torn_answer", "wrong_bytes", "status", "slow", "slow_answer", "naive"]
SLOW_SECONDS = 1.2  # longer than the clients of these tests wait


class Rule(msgspec.Struct):
    """The next `times` requests of this method, with `part` in their target, fare as `kind` says."""

    kind: Kind
    method: str = "PUT"
    part: str = ""
    times: int = 1
    status: int = 503
    code: str = "SlowDown"
    skip: int = 0  # requests that pass before
    met: int = 0


class Proxy:
    """Rules may be changed at any time; the first that fits a request is used up by it."""

    def __init__(self, server: str) -> None:
        self.host, self.port = urlsplit(server).hostname or "", urlsplit(server).port or 80
        self.rules: list[Rule] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer, end of connection."""
        try:
            first = await reader.readexactly(1)
            if first == b"\x16":  # the client wants TLS
                return
            head = first + await reader.readuntil(b"\r\n\r\n")
            if b"100-continue" in head.lower():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(_length(head))
            await self._exchange(head, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        finally:
            writer.close()

    async def _exchange(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        rule = self._rule(head)
        kind = rule.kind if rule else ""
        if rule and kind == "status":
            answer = _error(rule)
        elif kind == "reset":
            return _reset(writer)
        else:
            if kind == "slow":
                await asyncio.sleep(SLOW_SECONDS)
            answer = await self._forward(_upstream(head, naive=kind == "naive"), body, cut=kind == "torn_request")
        if kind in ("lost", "torn_request"):
            return None
        if kind == "slow_answer":
            await asyncio.sleep(SLOW_SECONDS)
        start = answer.index(b"\r\n\r\n") + 4
        if kind == "torn_answer":
            answer = answer[: start + (len(answer) - start) // 2]
        if kind == "wrong_bytes":
            answer = answer[:start] + bytes(byte ^ 1 for byte in answer[start:])
        writer.write(answer)
        await writer.drain()
        return None

    async def _forward(self, head: bytes, body: bytes, *, cut: bool) -> bytes:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(head + (body[: len(body) // 2] if cut else body))
        await writer.drain()
        answer = b"" if cut else await reader.read()
        writer.close()
        return answer

    def _rule(self, head: bytes) -> Rule | None:
        method, target = head.decode("latin-1").split(" ", 2)[:2]
        for rule in self.rules:
            if rule.method in (method, "*") and rule.part in target and rule.met < rule.skip + rule.times:
                rule.met += 1
                return rule if rule.met > rule.skip else None
        return None


@contextmanager
def proxy_before(server: str) -> Iterator[Proxy]:
    """A running proxy before a server."""
    proxy, loop = Proxy(server), asyncio.new_event_loop()
    listener = loop.run_until_complete(asyncio.start_server(proxy.serve, "127.0.0.1", 0))
    proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(_end(listener), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(listener: asyncio.Server) -> None:
    listener.close()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _upstream(head: bytes, *, naive: bool) -> bytes:
    """The head for the server: one exchange a connection; without its condition where the server knows none."""
    left_out = (b"expect:", b"connection:", *((b"if-none-match:",) if naive else ()))
    lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(left_out)]
    return b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n"


def _error(rule: Rule) -> bytes:
    body = b"" if rule.method == "HEAD" else f"<Error><Code>{rule.code}</Code><Message>no</Message></Error>".encode()
    head = f"HTTP/1.1 {rule.status} {rule.code}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection by RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
