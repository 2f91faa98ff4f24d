"""A proxy before a database server that counts what the client sends, and can end the connection at any point."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from fmdj_cloud.settings import DatabaseSettings

_POSTGRES_SOCKET = ".s.PGSQL.5432"


class Wire:
    """What passes, and where it is cut.

    Attributes
    ----------
    turns : int
        Times that the client has spoken since :meth:`reset`: one for each statement, and some for each connection.
    """

    def __init__(self) -> None:
        self.turns = 0
        self._cut_at: int | None = None
        self._lose: bytes | None = None
        self._before: Callable[[], None] = lambda: None
        self.cuts = 0

    def reset(self) -> None:
        """Count anew, and cut nothing."""
        self.turns, self.cuts, self._cut_at, self._lose = 0, 0, None, None

    def cut_at(self, turn: int, before: Callable[[], None] = lambda: None) -> None:
        """End the connection in the place of passing on the client's nth turn, after calling `before`."""
        self.reset()
        self._cut_at, self._before = turn, before

    def lose_answer_to(self, statement: bytes) -> None:
        """Pass on what contains `statement`, wait for the server's answer, and end the connection without it."""
        self.reset()
        self._lose = statement

    def turn(self) -> bool:
        """Count a turn of the client's; return whether it must not pass."""
        self.turns += 1
        if self.turns != self._cut_at:
            return False
        self.cuts += 1
        self._before()
        return True

    def loses(self, data: bytes) -> bool:
        """Tell whether the answer to this is to be lost; only once."""
        if self._lose is None or self._lose not in data.upper():
            return False
        self._lose = None
        self.cuts += 1
        return True


@contextlib.contextmanager
def proxied(settings: DatabaseSettings) -> Iterator[tuple[DatabaseSettings, Wire]]:
    """Run a proxy for the time of the context; the settings given lead through it."""
    wire = Wire()
    with contextlib.ExitStack() as stack:
        if settings.backend == "postgresql":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fmdj-wire-"))
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(Path(folder, _POSTGRES_SOCKET)))
            through = settings.model_copy(update={"host": folder})
        else:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            through = settings.model_copy(update={"port": listener.getsockname()[1]})
        listener.listen()
        stopping, stopped = os.pipe()
        stack.callback(os.close, stopping)
        thread = threading.Thread(target=_accept, args=(listener, settings, wire, stopping), daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(os.close, stopped)
        yield through, wire


def _accept(listener: socket.socket, settings: DatabaseSettings, wire: Wire, stopping: int) -> None:
    threads = []
    while stopping not in select.select([listener, stopping], [], [])[0]:
        client, _ = listener.accept()
        thread = threading.Thread(target=_serve, args=(client, settings, wire, stopping), daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()


def _serve(client: socket.socket, settings: DatabaseSettings, wire: Wire, stopping: int) -> None:
    with client, _connect(settings) as server, contextlib.suppress(OSError):
        answered, losing = True, False
        while stopping not in (ready := select.select([client, server, stopping], [], [])[0]):
            if server in ready:
                data = server.recv(1 << 16)
                if not data or losing:
                    return
                client.sendall(data)
                answered = True
            elif client in ready:
                data = client.recv(1 << 20)
                if not data or (answered and wire.turn()):
                    return
                answered, losing = False, wire.loses(data)
                server.sendall(data)


def _connect(settings: DatabaseSettings) -> socket.socket:
    if settings.backend == "postgresql":
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(Path(settings.host or "", _POSTGRES_SOCKET)))
        return server
    return socket.create_connection((settings.host, settings.port))
