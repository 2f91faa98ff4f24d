"""The Kubernetes API: objects as plain dicts, in one namespace."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from fmdj_cloud.control.kube.error import BROKEN, KubeError, unanswered
from fmdj_cloud.control.kube.resources import Resource
from fmdj_cloud.control.kube.transport import Request, Transport
from fmdj_cloud.settings import KubernetesSettings

__all__ = ["Json", "KubeClient", "KubeError", "Listing"]

Json = dict[str, Any]
"""An object of Kubernetes."""
_PAGE = 200
"""Objects asked for at a time: kubectl's 500, of three kinds at once, take 70 MiB for a moment."""
_SILENCE_S = 10.0
"""The API server ends a watch in time; one that lasts so much longer is dead."""
_LOG_MAX_BYTES = 16 << 20
_NO_LOG = "unable to retrieve container logs for "
"""How a kubelet answers, with success, for a container that is gone."""
MERGE_PATCH = "application/merge-patch+json"


class Listing(NamedTuple):
    """Objects of a kind, as they were at one moment.

    Attributes
    ----------
    items : list of dict
    resource_version : str
        That moment: where a watch goes on.
    """

    items: list[Json]
    resource_version: str


class KubeClient:
    """Asks the API server, from any thread, at a bounded rate.

    What is safe to repeat is repeated a few times when the API server is busy or away for a moment; a request never
    takes longer than about twice its timeout.

    Parameters
    ----------
    settings : KubernetesSettings
    clock : callable
        Monotonic seconds.
    sleep : callable
    jitter : callable
        Random number in [0, 1).

    Attributes
    ----------
    namespace : str
        Where all objects are.
    now : callable
        Returns the API server's time of day, UTC, as far as its answers have told it.

    Raises
    ------
    ConfigError
        If there are no credentials.
    """

    def __init__(
        self,
        settings: KubernetesSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._transport = Transport(settings, clock=clock, sleep=sleep, jitter=jitter)
        self._timeout_s = settings.request_timeout_s
        self.namespace = self._transport.namespace
        self.now = self._transport.now

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float | None = None,
        idempotent: bool | None = None,
    ) -> Json:
        """Return the object that answers a request.

        Parameters
        ----------
        method : str
            ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
        path : str
        query : mapping of str to str, optional
        body : optional
            Sent as JSON.
        content_type : str
        timeout_s : float, optional
            Seconds without an answer after which it is given up; the setting's by default.
        idempotent : bool, optional
            Whether it does no harm to do it twice; by default so for all but POST and PATCH.

        Raises
        ------
        KubeError
            If it was refused or not answered.
        """
        request = Request(
            method,
            path,
            query or {},
            body,
            content_type,
            self._timeout_s if timeout_s is None else timeout_s,
            method not in ("POST", "PATCH") if idempotent is None else idempotent,
        )
        return self._parsed(self._transport.send(request), request)

    def get(self, resource: Resource, name: str) -> Json:
        """Return an object."""
        return self.request("GET", resource.path(self.namespace, name))

    def pages(
        self, resource: Resource, *, selector: str = "", field_selector: str = "", limit: int = _PAGE
    ) -> Iterator[Listing]:
        """Yield all objects of a kind in pages of `limit`; in one if that is 0.

        Parameters
        ----------
        resource : Resource
        selector, field_selector : str
            By labels and by fields; empty is all.
        limit : int
        """
        query = _query(labelSelector=selector, fieldSelector=field_selector, limit=str(limit) if limit else "")
        while True:
            page = self.request("GET", resource.path(self.namespace), query=query)
            metadata = page.get("metadata") or {}
            yield Listing(page.get("items") or [], str(metadata.get("resourceVersion") or ""))
            following = metadata.get("continue")
            if not following:
                return
            query["continue"] = str(following)

    def list(self, resource: Resource, *, selector: str = "", field_selector: str = "") -> Listing:
        """Return all objects of a kind; see :meth:`pages`."""
        pages = [*self.pages(resource, selector=selector, field_selector=field_selector)]
        return Listing([thing for page in pages for thing in page.items], pages[-1].resource_version)

    def create(self, resource: Resource, body: Json) -> Json:
        """Create an object and return it.

        Tried again after a failure only if it has a name: then a second one can't come of it, but a conflict with the
        first may.
        """
        named = bool((body.get("metadata") or {}).get("name"))
        return self.request("POST", resource.path(self.namespace), body=body, idempotent=named)

    def replace(self, resource: Resource, name: str, body: Json, *, subresource: str = "") -> Json:
        """Replace an object, if its `resourceVersion` is still that of `body`, and return it."""
        return self.request("PUT", resource.path(self.namespace, name, subresource), body=body)

    def patch(self, resource: Resource, name: str, body: Json, *, subresource: str = "") -> Json:
        """Merge `body` into an object and return it."""
        path = resource.path(self.namespace, name, subresource)
        return self.request("PATCH", path, body=body, content_type=MERGE_PATCH, idempotent=True)

    def delete(self, resource: Resource, name: str, *, propagation: str = "Background", uid: str = "") -> Json:
        """Begin to delete an object; return it if it is still there, else a `Status`.

        Parameters
        ----------
        resource : Resource
        name : str
        propagation : str
            What becomes of what it owns: ``Foreground`` (it goes first), ``Background`` or ``Orphan``.
        uid : str
            Only the object of this UID; another one of that name is a conflict. Empty is any.
        """
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            body["preconditions"] = {"uid": uid}
        return self.request("DELETE", resource.path(self.namespace, name), body=body)

    def watch(
        self, resource: Resource, *, selector: str = "", resource_version: str, timeout_s: float
    ) -> Generator[Json]:
        """Yield what happens after a moment, as ``{"type": ..., "object": ...}``, until the API server ends it.

        Parameters
        ----------
        resource : Resource
        selector : str
        resource_version : str
            The moment.
        timeout_s : float
            When the API server ends it.

        Raises
        ------
        KubeError
            If it is refused, breaks or falls silent.
        """
        query = _query(
            watch="1",
            allowWatchBookmarks="true",
            labelSelector=selector,
            resourceVersion=resource_version,
            timeoutSeconds=str(max(1, int(timeout_s))),
        )
        request = Request("GET", resource.path(self.namespace), query, timeout_s=timeout_s + _SILENCE_S)
        with self._transport.stream(request) as pieces:
            for line in _lines(pieces):
                yield self._parsed(line, request)

    def log(
        self,
        pod: str,
        *,
        container: str = "",
        tail_lines: int = 5000,
        limit_bytes: int = 256 << 10,
        previous: bool = False,
    ) -> str:
        """Return the end of what a container wrote, empty if nothing is left of it.

        Parameters
        ----------
        pod : str
        container : str
            Empty is the only one.
        tail_lines, limit_bytes : int
            At most so much.
        previous : bool
            Of the container that ran before.
        """
        # limitBytes counts from the start of the lines that are asked for: the end is cut here
        query = _query(
            container=container,
            tailLines=str(tail_lines),
            limitBytes=str(_LOG_MAX_BYTES),
            previous="true" if previous else "",
        )
        path = Resource("v1", "pods").path(self.namespace, pod, "log")
        data = self._transport.send(Request("GET", path, query, timeout_s=self._timeout_s))
        text = data[-limit_bytes:].decode("utf-8", "replace")
        return "" if text.startswith(_NO_LOG) else text

    def interrupt(self) -> None:
        """End all watches, whichever threads read them."""
        self._transport.interrupt()

    def close(self) -> None:
        """End all watches and connections."""
        self._transport.close()

    def _parsed(self, data: bytes, request: Request) -> Json:
        try:
            found = json.loads(data) if data else {}
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise unanswered(str(request), self._transport.host, BROKEN, f"{data[:60]!r} isn't an object of Kubernetes")
        return found


def _query(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines; what comes after the last one was cut off and is nothing."""
    rest: list[bytes] = []
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        for line in whole:
            rest.append(line)
            if text := b"".join(rest).strip():
                yield text
            rest = []
        rest.append(last)
