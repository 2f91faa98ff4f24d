"""What a launcher is asked for, and what it sees."""

from __future__ import annotations

import enum

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.outputs import Outcome
from fmdj_cloud.contracts.spec import Limits
from fmdj_cloud.contracts.words import Kind


class JobRequest(Frozen):
    """What a launcher needs to start an attempt."""

    name: str
    run_id: str
    attempt: int
    kind: Kind
    spec_uri: str
    spec_sha256: str
    limits: Limits


class JobPhase(enum.StrEnum):
    """Where a Job is in its life."""

    RUNNING = "running"
    ENDED = "ended"


class JobObservation(Frozen):
    """What a launcher sees of one Job."""

    name: str
    run_id: str
    attempt: int
    uid: str
    spec_sha256: str
    phase: JobPhase
    outcome: Outcome | None = None
    """The diagnosis once it has ended; `ok` says only that the worker claims success."""
    nonces: tuple[str, ...] = ()
    """Pod folders of this Job, newest last."""
    log: str = ""
    """Where its log lies, for people."""
