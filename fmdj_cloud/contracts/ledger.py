"""Rows of the ledger."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fmdj_cloud.contracts.base import Frozen
from fmdj_cloud.contracts.spec import Estimate, Limits
from fmdj_cloud.contracts.words import Basis, BindingState, Engine, FailureClass, Kind, RunState, Stage, Wanted


class BindingRecord(Frozen):
    """A row of a pipeline's binding table."""

    pipeline: str
    kind: Kind
    key: dict[str, Any]
    task_digest: str
    state: BindingState
    since: dt.datetime
    next_look: dt.datetime | None
    failure_class: FailureClass | None
    sentence: str
    priority: int
    wanted: Wanted
    param_digest: str
    changed: int
    run_id: str | None


class Acceptance(Frozen):
    """A check that a person has overridden for one task, until the task is edited."""

    task_digest: str
    check: str
    param_digest: str
    """Of the task as it was then."""
    accepted_by: str
    accepted: dt.datetime


class Overrides(Frozen):
    """What a FacemapRun asks for beside the task itself."""

    priority: int | None = None
    """None leaves it as it is."""
    profile: str = ""
    """Empty for the kind's own."""
    time_budget_s: float | None = None
    """None for what the estimate says."""
    shards: str = ""
    """As it was written: a number, or ``auto``."""


class ClaimedRun(Frozen):
    """What matters of the run of a task that belongs to a FacemapRun."""

    run_id: str
    state: RunState
    attempt: int
    wanted: Wanted
    populates: bool
    """Whether ``populate()`` computes it: that is its process's own affair."""


class ClaimRecord(Frozen):
    """A row of the ledger's Claim table: the FacemapRun that a task belongs to."""

    task_digest: str
    owner: str
    """UID of the FacemapRun."""
    owner_name: str
    pipeline: str
    kind: Kind
    """Of the task table."""
    task: str
    """Canonical key of the task."""
    overrides: Overrides
    held: bool
    """Whether the FacemapRun is suspended: nothing of it starts."""
    stopped: bool
    """Whether a run is held for that."""
    leaving: bool
    """Whether the task is no longer wanted, and its run is being cancelled."""
    run: ClaimedRun | None = None
    """Its run, unless that is over or was given up."""


class RunRecord(Frozen):
    """A row of the ledger's Run table."""

    run_id: str
    kind: Kind
    """What it does."""
    task_kind: Kind
    """Of the task table that its task is in: ``svd`` or ``pose``, also where `kind` is ``import``."""
    pipeline: str
    task: str
    task_digest: str
    content_digest: str
    param_digest: str
    state: RunState
    wanted: Wanted
    attempt: int
    priority: int
    output_dir: str
    """URI of the run's folder: ``<processed root>/<output dir>/<run_id>``."""
    manifest_sha256: str | None
    failure_class: FailureClass | None
    sentence: str
    not_before: dt.datetime | None
    """When the next attempt may start (backoff)."""
    failures: dict[str, int]
    """Failed attempts so far, by class."""
    estimate: Estimate
    profile: str = ""
    """Name of the profile that was asked for, empty for the kind's own."""
    shards: int | None = None
    """Shards at most; None computes in one piece."""
    created: dt.datetime
    updated: dt.datetime


class AttemptRecord(Frozen):
    """A row of the ledger's Run.Attempt table with the Job of the stage that it has come to."""

    run_id: str
    attempt: int
    folder: str
    """URI of the attempt folder."""
    spec_sha256: str
    launcher: str
    job_name: str
    job_uid: str | None
    """None until the launcher has confirmed that the Job exists."""
    started: dt.datetime
    finished: dt.datetime | None
    outcome: str | None
    """``published``, a failure class, or the state that ended it (``cancelled`` ...)."""
    sentence: str
    evidence: dict[str, str]
    limits: Limits
    stage: Stage = Stage.ALL
    """That it has come to: the Job is this stage's."""
    shards: int = 1
    """Pods that the Job takes in all."""
    pods: int = 1
    """Pods that it may have at a time."""


class StageRecord(Frozen):
    """A row of the ledger's Run.Job table: the Job of one stage of an attempt."""

    stage: Stage
    launcher: str
    job_name: str
    job_uid: str | None
    shards: int
    pods: int
    node: str | None
    """Machine of its newest pod."""
    outcome: str | None
    """``done``, or what the attempt's outcome is if it ended in this stage."""
    gpu_seconds: float | None
    """GPUs x seconds that all of its pods held them."""


class PipelineRecord(Frozen):
    """A row of the ledger's Pipeline table."""

    name: str
    first_seen: dt.datetime
    brake: bool
    """Whether the first-start brake holds all tasks until ``fmdj release``."""
    engine: Engine
    basis: Basis
    """Of the engine ``turbo``."""


class RequestRecord(Frozen):
    """A row of the ledger's Request table: what people ask a running controller for."""

    request_id: str
    what: str
    asked_by: str
    state: str
    """``open`` or ``done``."""
    sentence: str
    """The answer."""
    created: dt.datetime
    updated: dt.datetime
