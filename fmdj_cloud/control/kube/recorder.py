"""Kubernetes Events on objects of ours: what ``kubectl describe`` and ``kubectl get events`` show.

Events are a courtesy: a cluster that takes none, or not now, changes nothing else. What is said again is counted in
the Event that said it first.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.client import MERGE_PATCH, KubeClient
from fmdj_cloud.control.kube.error import KubeError
from fmdj_cloud.control.kube.resources import EVENTS
from fmdj_cloud.printable import printable

_log = logging.getLogger(__name__)
EventType = Literal["Normal", "Warning"]
_MESSAGE_BYTES = 1024
_NAME_CHARS = 200
_REMEMBERED = 4096
"""Events and objects that are remembered at most; Kubernetes itself forgets Events after an hour."""
_OBJECT_BURST, _OBJECT_PER_S = 4.0, 1 / 20
_ALL_BURST, _ALL_PER_S = 40.0, 1.0
"""Events are the least of what the client's requests are for."""
_TIMEOUT_S = 5.0
_PAUSE_S = 60.0
"""After a failure nothing is tried for so long: a pass must not wait for one Event after the other."""


@dataclass
class _Bucket:
    """So many at once, so many per second in the long run."""

    burst: float
    per_s: float
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_s)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class _Said:
    """What has been said, how often, and in which Event."""

    first: str
    count: int = 0
    event: str = ""


class EventRecorder:
    """Writes Events on objects of ours.

    Parameters
    ----------
    client : KubeClient
    component : str
        What reports: ``fmdj-controller``.
    instance : str
        The installation.
    clock : callable
        Monotonic seconds.
    now : callable
        Time of day.
    unique : callable
        Makes the part of an Event's name that no other has.
    """

    def __init__(
        self,
        client: KubeClient,
        component: str,
        instance: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        unique: Callable[[], str] = lambda: uuid.uuid4().hex[:16],
    ) -> None:
        self._client = client
        self._component = component
        self._instance = instance
        self._clock = clock
        self._now = now
        self._unique = unique
        self._said: OrderedDict[tuple[str, ...], _Said] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(_ALL_BURST, _ALL_PER_S, _ALL_BURST, clock())
        self._quiet_until = -float("inf")
        self._failed = False

    def record(self, obj_ref: Mapping[str, Any], type: EventType, reason: str, message: str) -> None:
        """Say something about an object; what is too much, or fails, is dropped.

        Parameters
        ----------
        obj_ref : mapping
            ``apiVersion``, ``kind``, ``name``, ``uid`` of the object, as :func:`reference` returns them.
        type : {"Normal", "Warning"}
        reason : str
            One word in CamelCase.
        message : str
            A sentence; cut after 1024 bytes.
        """
        message = _clipped(message)
        subject = str(obj_ref.get("uid") or f"{obj_ref.get('kind')}/{obj_ref.get('name')}")
        said = self._remembered(subject, type, reason, message)
        said.count += 1  # also of what is dropped: the next that isn't tells
        now = self._clock()
        if now < self._quiet_until or not self._bucket(subject, now).take(now) or not self._all.take(now):
            return
        try:
            self._write(said, obj_ref, type, reason, message)
        except KubeError as error:
            self._quiet_until = self._clock() + _PAUSE_S
            if not self._failed:
                _log.warning("Events can't be recorded: %s", error.sentence)
            self._failed = True
        else:
            self._failed = False

    def _write(self, said: _Said, obj_ref: Mapping[str, Any], type: EventType, reason: str, message: str) -> None:
        last = _seconds(self._now())
        if said.event:
            try:
                self._ask("PATCH", said.event, {"count": said.count, "lastTimestamp": last}, MERGE_PATCH)
                return
            except KubeError as error:
                if not error.is_missing:  # forgotten by Kubernetes: say it anew
                    raise
        namespace = self._client.namespace
        name = f"{str(obj_ref.get('name', ''))[:_NAME_CHARS]}.{self._unique()}"
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace, "labels": {labels.INSTANCE: self._instance}},
            "involvedObject": {**obj_ref, "namespace": namespace},
            "type": type,
            "reason": reason,
            "message": message,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
            "firstTimestamp": said.first,
            "lastTimestamp": last,
            "count": said.count,
        }
        self._ask("POST", "", event)
        said.event = name

    def _ask(self, method: str, name: str, body: dict[str, Any], content_type: str = "application/json") -> None:
        path = EVENTS.path(self._client.namespace, name)
        self._client.request(method, path, body=body, content_type=content_type, timeout_s=_TIMEOUT_S, idempotent=False)

    def _remembered(self, *key: str) -> _Said:
        said = self._said.get(key)
        if said is None:
            said = self._said[key] = _Said(_seconds(self._now()))
        _bound(self._said, key)
        return said

    def _bucket(self, subject: str, now: float) -> _Bucket:
        bucket = self._buckets.get(subject)
        if bucket is None:
            bucket = self._buckets[subject] = _Bucket(_OBJECT_BURST, _OBJECT_PER_S, _OBJECT_BURST, now)
        _bound(self._buckets, subject)
        return bucket


def reference(kind: Literal["Job", "FacemapRun"], name: str, uid: str) -> dict[str, str]:
    """Return what an Event says of the object it is about.

    Parameters
    ----------
    kind : {"Job", "FacemapRun"}
    name, uid : str
    """
    version = "batch/v1" if kind == "Job" else f"{labels.GROUP}/{labels.VERSION}"
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid}


def _bound(remembered: OrderedDict[Any, Any], latest: Any) -> None:
    remembered.move_to_end(latest)
    while len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)


def _clipped(message: str) -> str:
    """Return a message that Kubernetes takes, whose limit is in bytes, and that an older kubectl may print as it is."""
    message = printable(message, keep="")
    if len(message.encode()) <= _MESSAGE_BYTES:
        return message
    return message.encode()[: _MESSAGE_BYTES - 3].decode("utf-8", "ignore") + "…"


def _seconds(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
