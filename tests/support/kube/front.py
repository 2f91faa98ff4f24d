"""The API server as the network shows it: there or not, with watches that end, break or fall behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from tests.support.kube import tls
from tests.support.kube.access import Access
from tests.support.kube.faults import Fault, Faults
from tests.support.kube.requests import RequestMatch, matches
from tests.support.kube.server import Server
from tests.support.kube.store import Store
from tests.support.kube.streams import OpenWatch

if TYPE_CHECKING:
    from tests.support.kube.cluster import FakeCluster


class Front:
    """Listens, and gives trouble."""

    access: Access
    faults: Faults
    store: Store

    def __init__(self, port: int) -> None:
        self._server: Server | None = None
        self._address = ("127.0.0.1", port)

    @property
    def url(self) -> str:
        """Where the API server is."""
        return f"{'https' if self.access.secure else 'http'}://127.0.0.1:{self._address[1]}"

    def serve(self) -> None:
        """Listen; again on the same port after :meth:`stop_serving`."""
        if self._server is None:
            context = tls.certificate()[0] if self.access.secure else None
            self._server = Server(cast("FakeCluster", self), self._address, context)
            self._address = ("127.0.0.1", self._server.server_address[1])
            threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop_serving(self) -> None:
        """Refuse connections and break those that are open: the API server is down."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def fail(self, match: RequestMatch = None, **fields: Any) -> Fault:
        """Give requests trouble (see :class:`~tests.support.kube.faults.Fault`); take it back by :meth:`heal`."""
        return self.faults.add(Fault(match, **fields))

    def heal(self, fault: Fault | None = None) -> None:
        """Take one trouble back, or all."""
        self.faults.clear() if fault is None else self.faults.remove(fault)
        self.store.wake()

    @contextmanager
    def outage(self, kind: str = "refuse", **fields: Any) -> Iterator[None]:
        """Be down: ``refuse`` connections, or give every request the trouble of a :class:`Fault` kind."""
        if kind == "refuse":
            self.stop_serving()
            try:
                yield
            finally:
                self.serve()
            return
        with self.faults.during(Fault(None, kind, **fields)):
            self.cut_watches()
            yield
        self.store.wake()

    def watches(self, match: RequestMatch = None) -> list[OpenWatch]:
        """Return watches that are open."""
        found = [] if self._server is None else self._server.watches()
        return [one for one in found if matches(match, one.watch.request)]

    def end_watches(self, match: RequestMatch = None) -> int:
        """Let open watches end, as the server's time-out does; return how many."""
        found = self.watches(match)
        for one in found:
            one.end.set()
        self.store.wake()
        return len(found)

    def cut_watches(self, match: RequestMatch = None) -> int:
        """Break the connections of open watches; return how many."""
        found = self.watches(match)
        for one in found:
            one.cut.set()
        self.store.wake()
        return len(found)

    def drop_connections(self) -> None:
        """Break every open connection; the server goes on listening."""
        if self._server is not None:
            self._server.drop_connections()

    def compact(self) -> None:
        """Forget history: watches from older versions are told 410, and so are later pages of lists."""
        with self.store.lock:
            self.store.compact()

    def delivered(self, timeout_s: float = 5.0) -> bool:
        """Wait until all open watches have been sent everything; what clients do with it is theirs."""
        ends = time.monotonic() + timeout_s
        while time.monotonic() < ends:
            with self.store.lock:
                if not any(one.watch.pending()[0] for one in self.watches()):
                    return True
            time.sleep(0.005)
        return False
