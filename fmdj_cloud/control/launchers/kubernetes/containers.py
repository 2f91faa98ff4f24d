"""The containers of a Pod: the worker, and what a mesh or a policy may have put beside it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fmdj_cloud.contracts import TerminationMessage
from fmdj_cloud.control.launchers.kubernetes.fields import mapping, moment, number, objects, text
from fmdj_cloud.control.launchers.kubernetes.pod import CONTAINER

WORKER = CONTAINER
"""Name of the worker's container."""


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    exit_code: int | None
    signal: int | None
    reason: str
    message: str
    finished: dt.datetime | None

    @property
    def word(self) -> TerminationMessage | None:
        """The worker's last word, if that is what it left."""
        try:
            return TerminationMessage.model_validate_json(self.message)
        except ValidationError:
            return None


@dataclass(frozen=True)
class Container:
    """What is known of a container.

    Attributes
    ----------
    name : str
    is_worker, is_init : bool
        A container that is neither is a sidecar.
    reason, message : str
        Why it waits, empty if it doesn't.
    running : bool
    started : datetime or None
    ended : Ended or None
    """

    name: str
    is_worker: bool
    is_init: bool
    reason: str
    message: str
    running: bool
    started: dt.datetime | None
    ended: Ended | None


def read_containers(status: Mapping[str, Any]) -> tuple[Container, ...]:
    """Return the containers of a Pod's status, the worker first, then init containers, then others."""
    main = objects(status.get("containerStatuses"))
    # a Pod that a person made by hand may have another name for it: then it is the first
    names = [text(raw.get("name")) for raw in main]
    worker = WORKER if WORKER in names else (names[0] if names else "")
    found = [_read(raw, is_worker=text(raw.get("name")) == worker, is_init=False) for raw in main]
    inits = [_read(raw, is_worker=False, is_init=True) for raw in objects(status.get("initContainerStatuses"))]
    return tuple(sorted([*inits, *found], key=lambda container: not container.is_worker))


def _read(raw: Mapping[str, Any], *, is_worker: bool, is_init: bool) -> Container:
    state = mapping(raw.get("state"))
    running, waiting = mapping(state.get("running")), mapping(state.get("waiting"))
    is_running = isinstance(state.get("running"), Mapping)
    # the worker is never started again: what its last state says is how it ended
    last = mapping(mapping(raw.get("lastState")).get("terminated")) if is_worker and not is_running else {}
    terminated = mapping(state.get("terminated")) or last
    return Container(
        name=text(raw.get("name")),
        is_worker=is_worker,
        is_init=is_init,
        reason=text(waiting.get("reason")),
        message=text(waiting.get("message")),
        running=is_running,
        started=moment(running.get("startedAt")) or moment(terminated.get("startedAt")),
        ended=_read_end(terminated) if terminated else None,
    )


def _read_end(terminated: Mapping[str, Any]) -> Ended:
    return Ended(
        exit_code=number(terminated.get("exitCode")),
        signal=number(terminated.get("signal")) or None,
        reason=text(terminated.get("reason")),
        message=text(terminated.get("message")),
        finished=moment(terminated.get("finishedAt")),
    )
