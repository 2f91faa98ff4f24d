"""What a launcher is asked for, and what it sees."""

from __future__ import annotations

import datetime as dt
import enum

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.outputs import Outcome
from fmdj_cloud.contracts.spec import Limits
from fmdj_cloud.contracts.words import Kind, Stage


class JobRequest(Frozen):
    """What a launcher needs to start an attempt."""

    name: str
    run_id: str
    attempt: int
    kind: Kind
    spec_uri: str
    spec_sha256: str
    limits: Limits
    pipeline: str = ""
    task: str = ""
    """Canonical key of the task, for people who look at the Job."""
    profile: str = ""
    """Name of a profile, empty for the kind's own."""
    disruptions: int = 0
    """How often attempts of this run were disrupted before: the last ones avoid spot nodes."""
    stage: Stage = Stage.ALL
    shards: int = 1
    """Pods that it takes in all: one for every shard in stage ``project``, else one."""
    pods: int = 1
    """Pods at a time at most."""


class JobPhase(enum.StrEnum):
    """Where a Job is in its life; a Job that exists and hasn't ended counts as running, also while it is queued."""

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
    waiting: str = ""
    """Why it doesn't compute yet though it exists (queued, no free node, image being pulled), in a lab's words."""
    node: str = ""
    """Machine that its newest pod is or was on."""
    on_node_s: float | None = None
    """How long its pods held a machine, seconds; None if that isn't known."""
    give_up: Outcome | None = None
    """Why a Job that is still there will never succeed: it is stopped, and its run ends with this once it is over."""
    stage: Stage = Stage.ALL
    shards: int = 1
    """Pods that it takes in all."""
    pods: int = 1
    """Pods that it may still have at a time."""
    spoke: str = ""
    """Pod folder of the pod whose end `outcome` tells, where it has several pods."""
    created: dt.datetime | None = None
    """When it was made, UTC without a zone, by the clock of the API server (this machine's for a local one); None if
    nobody knows."""
    leaked: bool = False
    """Whether it counts as over although its pod may still run on a machine that nobody reaches."""
