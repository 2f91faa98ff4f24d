"""A controller whose steps are counted, which dies after its n-th, or sleeps before it.

Steps are requests to the API server and the object store that change something, and the ends (for one that sleeps, the
beginnings) of transactions. One that dies has done what it was doing and never hears of it. What is read need not be
died at: what is there then is what was there after the step before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store
from tests.support.kube.cluster import FakeCluster
from tests.support.kube_controller.program import Program

_CHANGES = ("INSERT", "UPDATE", "DELETE")
_BEGINS = ("START", "BEGIN")
_ENDS = ("COMMIT",)


class Killed(BaseException):
    """The end of a program, wherever it is."""


class Doom:
    """Counts steps.

    Attributes
    ----------
    steps : list of str
        What was done since the last :meth:`die` or :meth:`sleep`.
    """

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.dead = False
        self._at: int | None = None
        self._sleep: Callable[[], None] | None = None

    def die(self, at: int | None) -> None:
        """Count from now on, and die after step `at`, from 1; None lives on."""
        self.steps, self._at, self._sleep = [], at, None

    def sleep(self, at: int, meanwhile: Callable[[], None]) -> None:
        """Count from now on, and before step `at`, from 1, let all this happen."""
        self.steps, self._at, self._sleep = [], at, meanwhile

    def step(self, what: str, do: Callable[[], Any]) -> Any:
        """Do something, and maybe die of it."""
        if self.dead:
            raise Killed(what)
        verb = what.split()[0]
        if verb in (_BEGINS if self._sleep is None else _ENDS):
            return do()
        self.steps.append(what)
        is_it = len(self.steps) == self._at
        if is_it and self._sleep is not None:
            self._sleep()
        answer = do()
        if is_it and self._sleep is None:
            self.dead = True
            raise Killed(what)
        return answer


class DoomedProgram(Program):
    """A controller whose steps are counted."""

    def __init__(self, cluster: FakeCluster, settings: Settings, store: Store) -> None:
        self.doom = Doom()
        super().__init__(cluster, settings, _Store(store, self.doom))  # type: ignore[arg-type]
        self._watch_statements()
        send = self.client._transport.send

        def counted(request: Any) -> bytes:
            if request.method == "GET" and not self.doom.dead:
                return send(request)
            found: bytes = self.doom.step(str(request), lambda: send(request))
            return found

        self.client._transport.send = counted  # type: ignore[method-assign]

    def _watch_statements(self) -> None:
        connection = self.database.connection
        query, inside = connection.query, False

        def counted(statement: str, *args: Any, **options: Any) -> Any:
            nonlocal inside
            words = statement.split(None, 3)
            verb = words[0].upper()
            border = verb in (*_BEGINS, *_ENDS)
            inside = (inside or verb in _BEGINS) and verb not in ("COMMIT", "ROLLBACK")
            if self.doom.dead or border or (verb in _CHANGES and not inside):
                return self.doom.step(" ".join(words[:3]), lambda: query(statement, *args, **options))
            return query(statement, *args, **options)

        connection.query = counted

    def catch_up(self) -> None:
        """List everything, in this thread: one that dies must not leave others behind."""
        self.cache.refresh()


class _Store:
    """An object store that counts what is written."""

    def __init__(self, store: Store, doom: Doom) -> None:
        self._store = store
        self._doom = doom

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):
            return method
        if name not in ("put_bytes", "upload", "delete", "discard_unfinished"):
            return method
        return lambda *args, **options: self._doom.step(f"{name} {args[0]}", lambda: method(*args, **options))
