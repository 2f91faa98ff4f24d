"""What the cluster has told about a Job and its Pods, in Events of either API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.control.launchers.kubernetes.fields import mapping, moment, text
from fmdj_cloud.control.launchers.kubernetes.pods import Pod

_FIRST = ("firstTimestamp", "deprecatedFirstTimestamp", "eventTime")
_LAST = ("lastTimestamp", "deprecatedLastTimestamp", "eventTime", "firstTimestamp")


@dataclass(frozen=True)
class Event:
    """Something that was told, once or again and again.

    Attributes
    ----------
    reason, message : str
    kind, name, uid : str
        The object that it is about.
    first, last : datetime or None
    """

    reason: str
    message: str
    kind: str
    name: str
    uid: str
    first: dt.datetime | None
    last: dt.datetime | None


class Events:
    """The Events of a Job and its Pods.

    Parameters
    ----------
    events : iterable
        JSON objects, in any order.
    """

    def __init__(self, events: Iterable[object]) -> None:
        self._events = tuple(_read(event) for event in events if isinstance(event, Mapping))

    def about_job(self, *reasons: str) -> tuple[Event, ...]:
        """Return what was told about the Job, by reason; all if none is named. The latest is the last."""
        return self._sorted(event for event in self._events if event.kind == "Job" and _is(event, reasons))

    def about_pods(self, *reasons: str) -> tuple[Event, ...]:
        """Return what was told about any of its Pods."""
        return self._sorted(event for event in self._events if event.kind == "Pod" and _is(event, reasons))

    def about(self, pod: Pod, *reasons: str) -> tuple[Event, ...]:
        """Return what was told about one Pod."""
        found = self.about_pods(*reasons)
        return tuple(event for event in found if (event.uid == pod.uid if event.uid else event.name == pod.name))

    @staticmethod
    def _sorted(events: Iterable[Event]) -> tuple[Event, ...]:
        return tuple(sorted(events, key=lambda event: event.last or dt.datetime.min.replace(tzinfo=dt.UTC)))


def first_told(events: Iterable[Event], otherwise: dt.datetime | None) -> dt.datetime | None:
    """Return when the first of some Events was told, or what is known otherwise."""
    times = [event.first for event in events if event.first is not None]
    return min(times) if times else otherwise


def _is(event: Event, reasons: tuple[str, ...]) -> bool:
    return not reasons or event.reason in reasons


def _read(event: Mapping[str, Any]) -> Event:
    about = mapping(event.get("involvedObject")) or mapping(event.get("regarding"))
    made = moment(mapping(event.get("metadata")).get("creationTimestamp"))
    first = [when for when in (moment(event.get(name)) for name in _FIRST) if when is not None]
    last = [when for when in (moment(event.get(name)) for name in _LAST) if when is not None]
    again = moment(mapping(event.get("series")).get("lastObservedTime"))
    return Event(
        reason=text(event.get("reason")),
        message=text(event.get("message")) or text(event.get("note")),
        kind=text(about.get("kind")),
        name=text(about.get("name")),
        uid=text(about.get("uid")),
        first=min(first, default=made),
        last=max([*last, *([again] if again else [])], default=made),
    )
