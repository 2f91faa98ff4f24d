"""Writes FacemapRuns: their finalizer and their status, never over what somebody else has just written."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fmdj_cloud.control.facemapruns.model import FacemapRun, read_object
from fmdj_cloud.control.facemapruns.status import merge_patch
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.kube.client import KubeClient, KubeError
from fmdj_cloud.control.kube.recorder import EventRecorder, EventType, reference
from fmdj_cloud.control.kube.resources import FACEMAPRUNS
from fmdj_cloud.control.report import Tally

_log = logging.getLogger(__name__)


class FacemapRunApi:
    """The FacemapRuns of a namespace.

    Parameters
    ----------
    client : KubeClient
    cache : Cache
    recorder : EventRecorder or None
    """

    def __init__(self, client: KubeClient, cache: Cache, recorder: EventRecorder | None) -> None:
        self._client = client
        self._cache = cache
        self._recorder = recorder

    def all(self) -> list[FacemapRun]:
        """Return all that the cache knows, the first first."""
        found = (read_object(thing) for thing in self._cache.facemapruns())
        return sorted((run for run in found if run is not None), key=lambda run: run.order)

    def uids(self, tally: Tally) -> set[str] | None:
        """Return the UIDs of all that there are, asked right now; None if nobody can tell."""
        try:
            things = self._client.list(FACEMAPRUNS).items
        except KubeError as error:
            tally.trouble(f"Which FacemapRuns there are can't be told: {error.sentence}")
            return None
        return {run.uid for run in map(read_object, things) if run is not None}

    def set_finalizer(self, run: FacemapRun, wanted: bool, tally: Tally) -> FacemapRun | None:
        """Add or take away our finalizer; return the FacemapRun as it is then, None if it wasn't done."""
        others = tuple(name for name in run.finalizers if name != labels.FINALIZER)
        finalizers = (*others, labels.FINALIZER) if wanted else others
        if finalizers == run.finalizers:
            return run
        patch = {"metadata": {**_exactly(run), "finalizers": list(finalizers)}}
        return self._patch(run, patch, "", tally)

    def write_status(self, run: FacemapRun, status: Mapping[str, Any], tally: Tally) -> FacemapRun | None:
        """Write a status; return the FacemapRun as it is then, None if it wasn't done."""
        patch = {"metadata": _exactly(run), "status": merge_patch(run.status, status)}
        return self._patch(run, patch, "status", tally)

    def tell(self, run: FacemapRun, kind: EventType, reason: str, message: str) -> None:
        """Say something where ``kubectl describe`` shows it."""
        if self._recorder is not None:
            self._recorder.record(reference("FacemapRun", run.name, run.uid), kind, reason, message)

    def _patch(self, run: FacemapRun, patch: dict[str, Any], subresource: str, tally: Tally) -> FacemapRun | None:
        try:
            answer = self._client.patch(FACEMAPRUNS, run.name, patch, subresource=subresource)
        except KubeError as error:
            if error.is_conflict or error.is_missing:  # somebody was quicker: the cache will say so
                _log.debug("FacemapRun %s has changed meanwhile: %s", run.name, error.sentence)
            else:
                tally.trouble(f"FacemapRun {run.name} can't be written: {error.sentence}")
            return None
        if not subresource and not (answer.get("metadata") or {}).get("finalizers"):
            return replace(run, finalizers=())  # the last finalizer is gone, and perhaps the object
        self._cache.put(FACEMAPRUNS, answer)
        return read_object(answer)


def _exactly(run: FacemapRun) -> dict[str, str]:
    """Return what makes the API refuse to write over another version, or another object of the name."""
    return {"uid": run.uid, "resourceVersion": run.version}
