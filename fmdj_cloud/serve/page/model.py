"""What the pages show, and what ``/api/`` answers: the same, as frozen models."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fmdj_cloud.contracts import FailureClass, Frozen, Manifest, QualityCheck, RunState, StageRecord, Wanted
from fmdj_cloud.control.explain import Explanation
from fmdj_cloud.control.status import BindingLine, RunLine, StatusReport
from fmdj_cloud.control.usage import Usage


class Overview(Frozen):
    """The first page: ``fmdj status``."""

    status: StatusReport
    failed: int
    """Runs that failed, and tasks that were refused."""
    problems: tuple[str, ...]
    """Of pipelines that can't be shown."""
    at: dt.datetime
    """The database's clock."""


class RunList(Frozen):
    """Runs that were asked for."""

    runs: tuple[RunLine, ...]
    found: int
    """In all."""
    page: int
    """From 1."""
    pages: int
    pipelines: tuple[str, ...]
    attributes: tuple[str, ...]
    """Of the keys of all tasks: what can be asked for."""


class FailedRuns(Frozen):
    """What failed in one way."""

    failure_class: FailureClass
    remedy: str
    runs: int
    """Runs that failed so."""
    examples: tuple[RunLine, ...]
    """The newest of them."""
    refused: tuple[BindingLine, ...]
    """Tasks that planning refused: of very many, the first."""
    refused_found: int
    """Of them in all."""


class Failures(Frozen):
    """All failures, by class."""

    classes: tuple[FailedRuns, ...]


class InputLine(Frozen):
    """One file that a run reads."""

    uri: str
    size: int
    """Bytes."""
    part: int
    """Which of the files that follow each other, from 0."""
    view: int
    """Which of those recorded at the same time, from 0."""


class AttemptPage(Frozen):
    """One attempt."""

    attempt: int
    launcher: str
    job_name: str
    outcome: str
    """``under way`` until it ends."""
    sentence: str
    advice: str
    """Empty unless it failed."""
    started: dt.datetime
    finished: dt.datetime | None
    seconds: float
    memory_mib: int
    scratch_mib: int
    threads: int
    gpu: int
    time_budget_s: float
    folder: str
    stages: tuple[StageRecord, ...]


class RunPage(Frozen):
    """All about one run."""

    run: RunLine
    wanted: Wanted
    priority: int
    created: dt.datetime
    explanation: Explanation | None
    """None where its pipeline isn't in the settings any more."""
    successor: str
    """The run that the task has now, empty if it is this one."""
    inputs: tuple[InputLine, ...]
    engine: str
    parameters: dict[str, Any]
    notes: tuple[str, ...]
    estimate_s: float
    estimate_cost: float | None
    """None where the settings have no price."""
    frames: int
    attempts: tuple[AttemptPage, ...]
    usage: Usage
    manifest: Manifest | None
    manifest_sha256: str
    manifest_problem: str
    """Why there is no manifest to show, empty where none is to be expected yet."""
    quality: tuple[QualityCheck, ...]
    log: str
    """The end of the newest attempt's."""
    log_problem: str
    signals_uri: str
    """Of its signals.h5, empty where there is none (yet)."""
    signals_size: int
    at: dt.datetime


ACTIVE = frozenset({RunState.READY, RunState.LAUNCHED, RunState.PUBLISHED})
"""States in which a run goes on by itself."""
