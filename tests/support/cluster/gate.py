"""A door in front of a server: TCP, passed on as it is, and shut for as long as a test likes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Gate:
    """A local port that leads to an address while it is open."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open = True
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self.refused = 0
        """Connections that found it shut."""

    def serve(self) -> None:
        """Take connections until the gate is closed for good."""
        with contextlib.suppress(OSError):
            while True:
                inner, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(inner,), daemon=True).start()

    def shut(self) -> None:
        """Break all connections, and take none until `open`."""
        with self._lock:
            self._open = False
            connections = list(self._connections)
        for one in connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        """Be gone."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.shut()

    def _connect(self, inner: socket.socket) -> None:
        with contextlib.closing(inner):
            with self._lock:
                if not self._open:
                    self.refused += 1
                    return
            try:
                outer = socket.create_connection(self._address, timeout=10)
            except OSError:
                return
            outer.settimeout(None)
            with contextlib.closing(outer):
                with self._lock:
                    self._connections |= {inner, outer}
                back = threading.Thread(target=_copy, args=(outer, inner), daemon=True)
                back.start()
                _copy(inner, outer)
                back.join()
                with self._lock:
                    self._connections -= {inner, outer}


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def running_gate(host: str, port: int) -> Iterator[Gate]:
    """Run a gate to an address."""
    gate = Gate(host, port)
    threading.Thread(target=gate.serve, daemon=True).start()
    try:
        yield gate
    finally:
        gate.close()
