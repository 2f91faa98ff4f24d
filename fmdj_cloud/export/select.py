"""Which results a KEY means: those of one recording, of either task table or of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.choose import Choice, select_tasks
from fmdj_cloud.errors import UsageError
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger

_SHOWN = 4


@dataclass(frozen=True)
class Exported:
    """What is exported into one file.

    Attributes
    ----------
    lab : Lab
    svd : dict or None
        Key of a FacemapTask that has a FacialSignal.
    pose : dict or None
        Key of a FacemapInferenceTask that has a FacemapInference.
    """

    lab: Lab
    svd: dict[str, Any] | None
    pose: dict[str, Any] | None

    @property
    def recording(self) -> dict[str, Any]:
        """Key of the recording."""
        return _recording(self.lab, self.svd or self.pose or {})

    @property
    def tasks(self) -> tuple[tuple[Kind, dict[str, Any]], ...]:
        """The keys that are there, with the kind of their table."""
        return tuple((kind, key) for kind, key in ((Kind.SVD, self.svd), (Kind.POSE, self.pose)) if key is not None)


def choose(labs: Iterable[Lab], ledger: Ledger, restriction: dict[str, Any], kind: Kind | None = None) -> Exported:
    """Return the results that a KEY means.

    Parameters
    ----------
    labs : iterable of Lab
    ledger : Ledger
    restriction : dict
        Attributes of either task table, or ``{"run_id": ...}``.
    kind : Kind, optional
        Of the task table; results of both go into one file by default.

    Raises
    ------
    UsageError
        If it means no result, or several that don't go into one file.
    """
    if not restriction:
        raise UsageError("Say which result: `fmdj export nwb subject=m1 recording_id=3 m1_3.nwb`.")
    found = select_tasks(labs, ledger, restriction, kind)
    done = _with_results(found)
    shown = display_key(restriction)
    if not done:
        raise UsageError(f"{shown} has no result yet: `fmdj explain` says why.")
    recordings = {(one.lab.name, canonical_key(_recording(one.lab, one.key))) for one in done}
    keys = {one.tasks.kind: one.key for one in done}
    if len(recordings) > 1 or len(keys) < len(done):
        some = "; ".join(f"{one.tasks.name} {display_key(one.key)}" for one in done[:_SHOWN])
        more = f" and {len(done) - _SHOWN} more" if len(done) > _SHOWN else ""
        raise UsageError(f"{shown} means several results ({some}{more}); a file holds one of each kind: say more.")
    return Exported(done[0].lab, keys.get(Kind.SVD), keys.get(Kind.POSE))


def _with_results(found: Iterable[Choice]) -> list[Choice]:
    done: list[Choice] = []
    for _, some in groupby(found, lambda one: (one.lab.name, one.tasks.kind)):
        choices = list(some)
        there = choices[0].tasks.has_result([one.key for one in choices])
        done += [one for one in choices if canonical_key(one.key) in there]
    return done


def _recording(lab: Lab, key: dict[str, Any]) -> dict[str, Any]:
    return {name: key[name] for name in lab.element.VideoRecording.primary_key}
