"""A proxy before any server - database, object store, API server - that treats what passes as badly as it is told.

It passes bytes on as they are. Where the server speaks HTTP/1.1 it also sees where a request begins, and can answer
in the server's place, or flip a bit of an object on its way back.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

Address = tuple[str, int] | Path
"""Host and port, or a Unix socket."""
_LOOK_S = 0.02
_CHUNK = 1 << 16
_REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE|PATCH) (\S+) HTTP/1\.1\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
Answer = Callable[[int, str], tuple[str, bytes]]
"""Status and method -> content type and body of an answer in the server's place."""


@dataclass(frozen=True)
class Mood:
    """How a proxy treats what passes now.

    Attributes
    ----------
    delay_s : float
        Everything takes so much longer, each way.
    bytes_per_s : float
        Of a connection, each way; 0 for as fast as can be.
    silent : bool
        Nothing passes, and nobody is told: connections are half open, new ones too.
    refusing : bool
        New connections end at once.
    status : int
        What requests are answered with in the server's place; 0 for what it says itself.
    matching : str
        Of requests, those whose head (method and path come first) holds this pattern; all others are left alone.
    corrupting : bool
        A bit of every object that is read is flipped.
    """

    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    silent: bool = False
    refusing: bool = False
    status: int = 0
    matching: str = ""
    corrupting: bool = False


FINE = Mood()


class Proxy:
    """A way to a server.

    Attributes
    ----------
    mood : Mood
        May be changed at any time.
    """

    def __init__(self, server: Address, answer: Answer | None = None) -> None:
        self.mood = FINE
        self.answered = 0
        """Requests that it answered itself."""
        self._server = server
        self._answer = answer
        self._generation = 0

    def change(self, **mood: object) -> None:
        """Change the mood in some respects."""
        self.mood = replace(self.mood, **mood)  # type: ignore[arg-type]

    def cut(self) -> None:
        """Break every connection there is, and go on with new ones."""
        self._generation += 1

    def serve(self, listener: socket.socket, stopping: int) -> None:
        """Take connections until `stopping`, a pipe, ends."""
        threads = []
        while stopping not in select.select([listener, stopping], [], [])[0]:
            with contextlib.suppress(OSError):
                client, _ = listener.accept()
                thread = threading.Thread(target=self._serve, args=(client, stopping), daemon=True)
                thread.start()
                threads.append(thread)
        for thread in threads:
            thread.join()

    def _serve(self, client: socket.socket, stopping: int) -> None:
        generation = self._generation
        with client, contextlib.suppress(OSError):
            if not self.mood.refusing:
                with _connected(self._server) as server:
                    passage = _Passage(self, client, server, self._answer)
                    while generation == self._generation:
                        if stopping in select.select([stopping], [], [], 0)[0] or not passage.step():
                            return
            _break(client)


class _Passage:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket, answer: Answer | None) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._answer = answer
        self._fresh = True
        """Whether the server has said all that it had to say: what comes next from the client is a request."""
        self._reads_object = False

    def step(self) -> bool:
        """Pass on what is there; return whether the connection goes on."""
        if self._proxy.mood.silent:
            time.sleep(_LOOK_S)
            return True
        ready = select.select([self._client, self._server], [], [], _LOOK_S)[0]
        if self._server in ready and not self._from_server():
            return False
        return self._client not in ready or self._from_client()

    def _from_client(self) -> bool:
        data = self._client.recv(self._size)
        if not data:
            return False
        request = _REQUEST.match(data) if self._answer is not None and self._fresh else None
        if request is not None:
            mood = self._proxy.mood
            self._reads_object = (
                request[1] == b"GET" and b"list-type" not in request[2] and b"uploads" not in request[2]
            )
            if mood.status and re.search(mood.matching, data.partition(b"\r\n\r\n")[0].decode(errors="replace")):
                self._instead(mood.status, request[1].decode(), data)
                return False
        self._fresh = False
        self._pass_on(self._server, data)
        return True

    def _from_server(self) -> bool:
        data = self._server.recv(self._size)
        if not data:
            return False
        self._fresh = True
        if self._proxy.mood.corrupting and self._reads_object:
            data = _flipped(data)
        self._pass_on(self._client, data)
        return True

    def _pass_on(self, target: socket.socket, data: bytes) -> None:
        mood = self._proxy.mood
        pause = mood.delay_s + (len(data) / mood.bytes_per_s if mood.bytes_per_s else 0.0)
        if pause:
            time.sleep(pause)
        target.sendall(data)

    @property
    def _size(self) -> int:
        slow = self._proxy.mood.bytes_per_s
        return max(256, min(_CHUNK, int(slow * 0.1))) if slow else _CHUNK

    def _instead(self, status: int, method: str, data: bytes) -> None:
        """Read a request to its end, and answer it; a client that waits for leave to send its body gets the answer."""
        assert self._answer is not None
        self._client.settimeout(2)
        while b"\r\n\r\n" not in data:
            data += self._client.recv(_CHUNK)
        head, _, body = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        waits = b"100-continue" in head.lower()
        left = int(length[1]) - len(body) if length and not waits else 0
        while left > 0 and (more := self._client.recv(min(left, _CHUNK))):
            left -= len(more)
        kind, text = self._answer(status, method)
        lines = (
            f"HTTP/1.1 {status} Instead",
            f"Content-Type: {kind}",
            f"Content-Length: {len(text)}",
            *(["Retry-After: 1"] if status == 429 else []),
            "Connection: close",
        )
        self._proxy.answered += 1
        self._client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else text))
        self._client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):  # whoever closes first must not take the answer along
            while self._client.recv(_CHUNK):
                pass


def _flipped(data: bytes) -> bytes:
    """Return an answer with one bit of its body flipped, if some of its body is here."""
    begin = data.find(b"\r\n\r\n") + 4 if data.startswith(b"HTTP/1.1 ") else 0
    if begin == 3 or begin >= len(data):
        return data
    place = begin + (len(data) - begin) // 2
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def _break(client: socket.socket) -> None:
    """Let a connection end as one that broke, not as one that was closed."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _connected(server: Address) -> socket.socket:
    if isinstance(server, tuple):
        return socket.create_connection(server)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(server))
    return connection


def s3_answer(status: int, method: str) -> tuple[str, bytes]:
    """Return what an object store says that isn't well."""
    del method
    code = {403: "AccessDenied", 401: "ExpiredToken", 429: "TooManyRequests", 500: "InternalError"}.get(
        status, "SlowDown"
    )
    return "application/xml", f"<Error><Code>{code}</Code><Message>{code} it is</Message></Error>".encode()


def api_answer(status: int, method: str) -> tuple[str, bytes]:
    """Return what an API server says that isn't well."""
    del method
    reason = {401: "Unauthorized", 429: "TooManyRequests", 500: "InternalError"}.get(status, "ServiceUnavailable")
    text = f'{{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"{reason}","code":{status}}}'
    return "application/json", text.encode()


@contextlib.contextmanager
def proxied(
    server: Address, answer: Answer | None = None, *, listen: Path | None = None
) -> Iterator[tuple[Proxy, int]]:
    """Run a proxy for the time of the context.

    Parameters
    ----------
    server : tuple of str and int, or Path
        Where it leads.
    answer : callable, optional
        What is said in the place of a server that speaks HTTP.
    listen : Path, optional
        Unix socket; by default a port of this machine.

    Yields
    ------
    Proxy
    int
        Its port; 0 for a Unix socket.
    """
    proxy = Proxy(server, answer)
    with contextlib.ExitStack() as stack:
        if listen is None:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        else:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(listen))
            listener.listen(128)
        stopping, stopped = os.pipe()
        stack.callback(os.close, stopping)
        thread = threading.Thread(target=proxy.serve, args=(listener, stopping), daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(os.close, stopped)
        yield proxy, 0 if listen is not None else listener.getsockname()[1]
