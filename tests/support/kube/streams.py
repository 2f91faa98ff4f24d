"""Watches at the wire: written in chunks until they end, break, or fall silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from io import BufferedIOBase

from tests.support.kube.faults import Fault, Faults
from tests.support.kube.store import Store
from tests.support.kube.watches import Watch

_LOOK_S = 0.2
"""How often a waiting connection is looked at for a client that has gone."""


class Dropped(Exception):
    """The connection is to be closed without another word."""


class OpenWatch:
    """A watch that somebody reads."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.end = threading.Event()
        self.cut = threading.Event()

    def run(
        self,
        wfile: BufferedIOBase,
        store: Store,
        faults: Faults,
        stopping: threading.Event,
        gone: Callable[[float], bool],
    ) -> None:
        """Send until the watch is over; ``gone`` waits so many seconds for the client to go.

        Raises
        ------
        Dropped
            If the connection is to break.
        """
        self._wfile, self._faults, self._stopping, self._gone = wfile, faults, stopping, gone
        watch = self.watch
        if watch.first:
            fault = self._faults.watch(watch.request)
            if fault is None or fault.kind == "end":
                self._chunk(b"".join(watch.first))
            elif fault.kind == "silent":
                self._silence(fault)
            else:
                self._cut(watch.first[0])
        looked = time.monotonic()
        while not watch.over:
            with store.changed:
                changes, over = watch.pending()
                if not changes and not over and not self.end.is_set():
                    store.changed.wait(_LOOK_S)
                    changes, over = watch.pending()
            if self.cut.is_set() or self._stopping.is_set():
                raise Dropped
            if time.monotonic() - looked > _LOOK_S:
                looked = time.monotonic()
                if self._gone(0):
                    raise Dropped
            fault = self._faults.watch(watch.request)
            if fault is not None and fault.kind == "silent":
                self._silence(fault)
                continue
            data = b"".join(watch.lines(changes))
            if fault is not None and fault.kind == "cut":
                self._cut(data or b'{"type":"MODIFIED","object":{"kind":"Pod"')
            mark = watch.bookmark()
            if mark is not None:
                data += mark
            if data:
                self._chunk(data)
            if over or self.end.is_set() or (fault is not None and fault.kind == "end"):
                return

    def _silence(self, fault: Fault) -> None:
        """Say nothing, not even the end, until the fault is taken back or the client goes."""
        while self._faults.is_set(fault):
            if self.cut.is_set() or self._stopping.is_set() or self._gone(0.05):
                raise Dropped

    def _cut(self, data: bytes) -> None:
        half = data[: max(len(data) // 2, 1)]
        self._wfile.write(f"{len(data) + 10:x}\r\n".encode() + half)
        self._wfile.flush()
        raise Dropped

    def _chunk(self, data: bytes) -> None:
        self._wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self._wfile.flush()
