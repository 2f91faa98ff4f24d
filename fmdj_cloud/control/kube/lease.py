"""Election by a Lease: of all controllers of an installation, one works.

The algorithm is the one of Kubernetes' own components. A candidate never compares its clock with another's: it
notes when it saw the Lease change, and takes it once it hasn't changed for as long as its holder asked for. Whoever
holds it counts from the moment at which it *sent* its last good renewal, and so stops first. Writes name the version
that was read, and of two candidates one gets a 409.

What a holder still does in the moment in which it loses the Lease is fenced elsewhere: by the epoch in the ledger.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.error import KubeError
from fmdj_cloud.control.kube.resources import LEASES
from fmdj_cloud.errors import ConfigError

_log = logging.getLogger(__name__)
_SUFFIX = "-controller"
_NEVER = -math.inf
_TRIES = 3
"""Somebody who labels the Lease by hand costs one; a race with other candidates ends after one, won or lost."""


class _Sight(NamedTuple):
    """What a Lease said, and when it was first seen to say so."""

    holder: str
    renewed: Any
    version: Any
    at: float


def lease_name(instance: str) -> str:
    """Return the name of an installation's Lease."""
    return f"{instance}{_SUFFIX}"


class LeaseElector:
    """This process as a candidate.

    Parameters
    ----------
    client : KubeClient
    name : str
        Name of the Lease, as :func:`lease_name` makes it.
    holder : str
        Name that no other process has.
    lease_s : float
        The Lease is free when it hasn't been renewed for so long.
    clock : callable
        Monotonic seconds of this process.
    now : callable
        Time of day, only written down for people.
    """

    def __init__(
        self,
        client: KubeClient,
        name: str,
        holder: str,
        lease_s: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._client = client
        self._name = name
        self._holder = holder
        self._lease_s = lease_s
        self._clock = clock
        self._now = now
        self._mine: Mapping[str, Any] | None = None
        """The Lease as this process wrote it last."""
        self._until = _NEVER
        """No other can have taken the Lease before then."""
        self._sight: _Sight | None = None
        self._troubled = False
        """Whether it couldn't be asked for the last time: that is told once."""

    @property
    def holder(self) -> str:
        """Name of this process."""
        return self._holder

    @property
    def leader(self) -> str:
        """Who held the Lease when it was last looked at; empty if nobody did."""
        return self._sight.holder if self._sight else ""

    @property
    def held(self) -> bool:
        """Whether this process holds the Lease, as far as it knows without asking."""
        return self._clock() < self._until

    def hold(self) -> bool:
        """Take the Lease or renew it.

        Returns
        -------
        bool
            Whether this process holds it. While the API doesn't answer it does until its last renewal has run out.

        Raises
        ------
        ConfigError
            If the Lease isn't ours.
        """
        trouble = ""
        for _ in range(_TRIES):
            asked = self._clock()
            try:
                self._take(asked)
                trouble = ""
                break
            except KubeError as error:
                trouble = error.sentence
                self._mine = None  # whether it was written nobody knows: look at it first
                if not (error.is_missing or error.is_conflict):
                    break
        self._tell(trouble)
        return self.held

    def release(self) -> None:
        """Let another take it at once; idempotent. If the API doesn't answer, the Lease runs out by itself."""
        if self._until == _NEVER:
            return
        self._until, self._mine = _NEVER, None
        try:
            lease = self._ask("GET", self._name)
            if _holder(lease) == self._holder:
                self._ask("PUT", self._name, given_up(lease, self._now()))
        except KubeError as error:
            _log.info("The Lease %s runs out by itself: %s", self._name, error.sentence)

    def _take(self, asked: float) -> None:
        """Take the Lease if it may be taken; otherwise note who has it."""
        lease = self._mine if self.held and self._mine is not None else self._look()
        if lease is None:
            fresh = claimed(None, self._name, self._holder, self._lease_s, self._now())
            self._won(self._ask("POST", "", fresh), asked)
        elif _holder(lease) in ("", self._holder) or self._ran_out(lease):
            claim = claimed(lease, self._name, self._holder, self._lease_s, self._now())
            self._won(self._ask("PUT", self._name, claim), asked)
        else:
            self._until, self._mine = _NEVER, None

    def _look(self) -> Mapping[str, Any] | None:
        try:
            lease = self._ask("GET", self._name)
        except KubeError as error:
            if error.is_missing:
                return None
            raise
        owner = (lease["metadata"].get("labels") or {}).get(labels.INSTANCE)
        if owner != _instance(self._name):
            raise ConfigError(
                f"The Lease {self._name} in namespace {self._client.namespace} isn't this installation's (its label "
                f"{labels.INSTANCE} is {owner or 'missing'}): delete it, or choose another `instance` in the settings."
            )
        self._note(lease)
        return lease

    def _ask(self, method: str, name: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        path = LEASES.path(self._client.namespace, name)
        # an answer that comes when the Lease has run out is none; what was done twice is a conflict, and looked at
        return self._client.request(method, path, body=body, timeout_s=self._lease_s / 3, idempotent=True)

    def _note(self, lease: Mapping[str, Any]) -> None:
        says = (_holder(lease), _spec(lease).get("renewTime"), lease["metadata"].get("resourceVersion"))
        if self._sight is None or self._sight[:3] != says:
            self._sight = _Sight(*says, at=self._clock())

    def _ran_out(self, lease: Mapping[str, Any]) -> bool:
        asked_for = _spec(lease).get("leaseDurationSeconds")
        lasts_s = asked_for if isinstance(asked_for, int) and asked_for > 0 else self._lease_s
        return self._sight is not None and self._clock() - self._sight.at >= lasts_s

    def _won(self, lease: Mapping[str, Any], asked: float) -> None:
        self._mine = lease
        self._until = asked + self._lease_s
        self._note(lease)

    def _tell(self, sentence: str) -> None:
        if sentence and not self._troubled:
            _log.warning("The Lease %s can't be asked for: %s", self._name, sentence)
        self._troubled = bool(sentence)


def claimed(
    lease: Mapping[str, Any] | None, name: str, holder: str, lease_s: float, now: dt.datetime
) -> dict[str, Any]:
    """Return a Lease as its holder writes it.

    Parameters
    ----------
    lease : mapping or None
        As it was read; None if there is none yet.
    name : str
    holder : str
    lease_s : float
    now : datetime
        UTC.
    """
    old = _spec(lease or {})
    kept = lease is not None and _holder(lease) == holder
    transitions = _transitions(old) + (0 if kept or lease is None else 1)
    spec = {
        **old,
        "holderIdentity": holder,
        "leaseDurationSeconds": max(1, math.ceil(lease_s)),
        "acquireTime": (old.get("acquireTime") if kept else None) or micro_time(now),
        "renewTime": micro_time(now),
        "leaseTransitions": transitions,
    }
    metadata: Mapping[str, Any] = {"name": name, "labels": {labels.INSTANCE: _instance(name)}}
    if lease is not None:
        metadata = lease["metadata"]
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def given_up(lease: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
    """Return a Lease as nobody's, so that the next who looks may take it.

    Parameters
    ----------
    lease : mapping
        As it was read.
    now : datetime
        UTC.
    """
    spec = {**_spec(lease), "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(now)}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": lease["metadata"],
        "spec": spec,
    }


def micro_time(time: dt.datetime) -> str:
    """Return a time as Kubernetes' MicroTime: RFC 3339 with six digits, UTC."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _instance(name: str) -> str:
    return name.removesuffix(_SUFFIX)


def _spec(lease: Mapping[str, Any]) -> dict[str, Any]:
    return dict(lease.get("spec") or {})


def _holder(lease: Mapping[str, Any]) -> str:
    return str(_spec(lease).get("holderIdentity") or "")


def _transitions(spec: Mapping[str, Any]) -> int:
    number = spec.get("leaseTransitions")
    return number if isinstance(number, int) and number >= 0 else 0
