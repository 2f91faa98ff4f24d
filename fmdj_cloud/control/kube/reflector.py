"""One kind of objects, kept up to date: listed, then watched, for as long as the process lives.

A watch dies in many ways, most of them without a word (kubernetes-client/python#124, #502, #728, #2223;
kubespawner#209), so nothing of it is believed for long:

- one that is refused or breaks goes on where it was, if the API server still knows that moment;
- one that is told so (410, an ``ERROR`` event), or falls silent, or breaks again and again, begins anew with a list;
- so does every one after `relist_s`, whatever it says;
- trouble is answered with growing pauses, and only a watch that gets on ends them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Protocol

from fmdj_cloud.control.kube.error import BROKEN, TIMEOUT, KubeError
from fmdj_cloud.control.kube.resources import Resource
from fmdj_cloud.control.kube.slim import Json
from fmdj_cloud.control.kube.store import Store

_log = logging.getLogger(__name__)
_PAUSE_S = 0.5
_PAUSE_MAX_S = 30.0
_PATIENCE = 2
"""So often in a row a watch is taken up where it was; after that everything is listed anew."""
_SHORT_S = 1.0
"""A watch that ends sooner, and without an event, is trouble."""
_MISSING_S = 60.0
"""A kind that the cluster doesn't know is looked for so often."""
_RESUMABLE = frozenset({0, 429, 500, 502, 503})


class Page(Protocol):
    """A part of a list."""

    @property
    def items(self) -> list[Json]:
        """Objects."""
        ...

    @property
    def resource_version(self) -> str:
        """The moment that the whole list shows."""
        ...


class Source(Protocol):
    """What is asked: :class:`fmdj_cloud.control.kube.client.KubeClient`."""

    def pages(self, resource: Resource, *, selector: str = "", limit: int = ...) -> Iterator[Page]:
        """Yield all objects, page by page."""
        ...

    def watch(
        self, resource: Resource, *, selector: str = "", resource_version: str, timeout_s: float
    ) -> Generator[Json]:
        """Yield what happens after a moment."""
        ...


class Reflector:
    """Keeps a store up to date, one turn at a time.

    Parameters
    ----------
    source : Source
    resource : Resource
    store : Store
    selector : str
        Label selector; empty is all of the namespace.
    optional : bool
        Whether the cluster may not know this kind.
    clock : callable
        Monotonic seconds.
    jitter : callable
        Random number in [0, 1).
    watch_s, relist_s : float
        When a watch ends, and when everything is listed anew.

    Attributes
    ----------
    synced : threading.Event
        Set once it is known what there is.
    """

    def __init__(
        self,
        source: Source,
        resource: Resource,
        store: Store,
        *,
        selector: str = "",
        optional: bool = False,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        watch_s: float,
        relist_s: float,
    ) -> None:
        self._source = source
        self._resource = resource
        self._store = store
        self._selector = selector
        self._optional = optional
        self._clock = clock
        self._jitter = jitter
        self._watch_s = watch_s
        self._relist_s = relist_s
        self._version: str | None = None
        """Where the next watch goes on; None: a list comes next."""
        self._listed = 0.0
        self._answered = clock()
        self._failures = 0
        self._missing = False
        self.synced = threading.Event()

    def age_s(self) -> float:
        """Return how long the API server hasn't answered; a kind that it doesn't know has no age."""
        return 0.0 if self._missing else max(0.0, self._clock() - self._answered)

    def turn(self) -> float:
        """List everything, or watch until the watch ends; return how long to pause before the next turn."""
        try:
            if self._version is None or self._left_s() <= 0:
                return self.refresh()
            return self._watch(self._version)
        except KubeError as error:
            return self._after(error)
        except Exception:  # whatever it is: the controller sees what this keeps, and a thread that ends sees nothing
            _log.exception("Following %s has failed and begins anew.", self._resource.plural)
            self._version = None
            return self._pause_s()

    def refresh(self) -> float:
        """List everything; return how long to pause before the next turn.

        Raises
        ------
        KubeError
            If that didn't work.
        """
        began = self._clock()
        self._store.begin()
        try:
            objects, version = self._collect()
        except KubeError as error:
            if not (self._optional and error.is_missing):
                raise
            self._store.replace([], "")
            self._note_missing()
            return min(_MISSING_S, self._relist_s)
        if not version:
            raise KubeError(f"The list of {self._resource.plural} has no resourceVersion.", status=0, reason=BROKEN)
        self._store.replace(objects, version)
        self._version, self._listed, self._missing = version, began, False
        self._answered = self._clock()
        self.synced.set()
        return 0.0

    def _left_s(self) -> float:
        return self._listed + self._relist_s - self._clock()

    def _collect(self) -> tuple[list[Json], str]:
        try:
            return self._pages()
        except KubeError as error:
            if not error.is_expired:
                raise
        # the moment that the pages show was forgotten between two of them
        return self._pages(limit=0)

    def _pages(self, **options: int) -> tuple[list[Json], str]:
        objects: list[Json] = []
        version = ""
        for page in self._source.pages(self._resource, selector=self._selector, **options):
            objects += self._store.slimmed(page.items)
            version = page.resource_version
        return objects, version

    def _watch(self, version: str) -> float:
        began = self._clock()
        heard = False
        timeout_s = min(self._watch_s, max(1.0, self._left_s()))
        events = self._source.watch(
            self._resource, selector=self._selector, resource_version=version, timeout_s=timeout_s
        )
        with contextlib.closing(events):
            for event in events:
                self._take(event)
                heard = True
                self._failures = 0
                self._answered = self._clock()
        self._answered = self._clock()
        if not heard and self._answered - began < _SHORT_S:
            return self._pause_s()
        self._failures = 0
        return 0.0

    def _take(self, event: Json) -> None:
        kind, thing = event.get("type"), event.get("object")
        metadata = thing.get("metadata") if isinstance(thing, dict) else None
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if kind not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") or not isinstance(thing, dict) or not version:
            self._version = None
            raise _lost(self._resource, thing)
        self._store.apply(kind, thing, str(version))
        self._version = str(version)

    def _after(self, error: KubeError) -> float:
        pause_s = max(self._pause_s(), min(error.retry_after_s or 0.0, _PAUSE_MAX_S))
        resumable = error.status in _RESUMABLE and error.reason != TIMEOUT and self._failures <= _PATIENCE
        if not resumable:
            self._version = None
        level = logging.INFO if error.is_expired or resumable else logging.WARNING
        _log.log(
            level, "%s %s are followed again in %.1f s.", error.sentence, self._resource.plural.capitalize(), pause_s
        )
        return pause_s

    def _pause_s(self) -> float:
        self._failures += 1
        # an hour of trouble doesn't make the number too large to compute
        grown = _PAUSE_S * 2.0 ** min(self._failures - 1, 10)
        return min(grown, _PAUSE_MAX_S) * (0.5 + 0.5 * self._jitter())

    def _note_missing(self) -> None:
        if not self._missing:
            _log.info("The cluster doesn't know %s; they are looked for now and then.", self._resource.plural)
        self._missing = True
        self._version = None
        self._failures = 0
        self.synced.set()


def _lost(resource: Resource, thing: Any) -> KubeError:
    """Return the error of an event that says nothing about an object."""
    status = thing if isinstance(thing, dict) else {}
    code = status.get("code")
    words = str(status.get("message") or "an event without a resourceVersion").rstrip(".")
    return KubeError(
        f"The watch of {resource.plural} ended: {words}.",
        status=code if isinstance(code, int) else 0,
        reason=str(status.get("reason") or BROKEN),
        message=words,
    )
