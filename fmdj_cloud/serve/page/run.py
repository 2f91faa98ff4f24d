"""All about one run, put together: pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from fmdj_cloud.contracts import (
    AttemptRecord,
    FailureClass,
    Manifest,
    QualityCheck,
    RunPlan,
    RunRecord,
    StageRecord,
)
from fmdj_cloud.control.advice import ADVICE
from fmdj_cloud.control.explain import Explanation
from fmdj_cloud.control.status import RunLine
from fmdj_cloud.control.usage import Usage, cost_of
from fmdj_cloud.serve.page.model import AttemptPage, InputLine, RunPage
from fmdj_cloud.settings import PageSettings

_DRAWN = {"svd": {"rois": {"__all__": {"ellipse", "color", "reflectors"}}}}
"""Pictures of masks, which say nothing as numbers."""


def run_page(
    record: RunRecord,
    plan: RunPlan,
    attempts: Sequence[tuple[AttemptRecord, Sequence[StageRecord]]],
    line: RunLine,
    *,
    explanation: Explanation | None,
    successor: str,
    usage: Usage,
    prices: PageSettings,
    manifest: Manifest | None,
    manifest_problem: str,
    quality: tuple[QualityCheck, ...],
    log: str,
    log_problem: str,
    now: dt.datetime,
) -> RunPage:
    """Return all about one run.

    Parameters
    ----------
    record : RunRecord
    plan : RunPlan
    attempts : sequence of (AttemptRecord, sequence of StageRecord)
    line : RunLine
    explanation : Explanation or None
    successor : str
        The run that its task has now, empty if it is this one.
    usage : Usage
    prices : PageSettings
    manifest : Manifest or None
    manifest_problem : str
    quality : tuple of QualityCheck
    log, log_problem : str
    now : datetime
        The database's clock.
    """
    hours = plan.estimate.seconds / 3600
    memory_gib = plan.limits.memory_mib / 1024
    folder = attempts[-1][0].folder if attempts else ""
    signals = [] if manifest is None else [file for file in manifest.files if file.role == "signals"]
    return RunPage(
        run=line,
        wanted=record.wanted,
        priority=record.priority,
        created=record.created,
        explanation=explanation,
        successor=successor,
        inputs=tuple(_inputs(plan)),
        engine=plan.engine.value,
        parameters=_parameters(plan),
        notes=plan.notes,
        estimate_s=plan.estimate.seconds,
        estimate_cost=cost_of(prices, hours * plan.limits.threads, hours * memory_gib, hours * plan.limits.gpu),
        frames=plan.estimate.frames if manifest is None else manifest.nframes,
        attempts=tuple(_attempt(attempt, stages, now) for attempt, stages in attempts),
        usage=usage,
        manifest=manifest,
        manifest_sha256=record.manifest_sha256 or "",
        manifest_problem=manifest_problem,
        quality=quality,
        log=log,
        log_problem=log_problem,
        signals_uri=_whole(folder, signals[0].path) if signals else "",
        signals_size=signals[0].size if signals else 0,
        at=now,
    )


def _inputs(plan: RunPlan) -> Iterator[InputLine]:
    for part, views in enumerate(plan.videos):
        for view, video in enumerate(views):
            yield InputLine(uri=video.uri, size=video.size, part=part, view=view)
    for part, found in enumerate(plan.imports):
        yield InputLine(uri=found.uri, size=found.size, part=part, view=0)


def _parameters(plan: RunPlan) -> dict[str, Any]:
    said = plan.model_dump(mode="json", include={"svd", "pose"}, exclude=_DRAWN if plan.svd is not None else None)
    found: dict[str, Any] = said["svd"] or said["pose"] or {}
    return found


def _attempt(attempt: AttemptRecord, stages: Sequence[StageRecord], now: dt.datetime) -> AttemptPage:
    limits = attempt.limits
    return AttemptPage(
        attempt=attempt.attempt,
        launcher=attempt.launcher,
        job_name=attempt.job_name,
        outcome=attempt.outcome or "under way",
        sentence=attempt.sentence,
        advice=ADVICE[FailureClass(attempt.outcome)] if attempt.outcome in set(FailureClass) else "",
        started=attempt.started,
        finished=attempt.finished,
        seconds=max(0.0, ((attempt.finished or now) - attempt.started).total_seconds()),
        memory_mib=limits.memory_mib,
        scratch_mib=limits.scratch_mib,
        threads=limits.threads,
        gpu=limits.gpu,
        time_budget_s=limits.time_budget_s,
        folder=attempt.folder,
        stages=tuple(stages),
    )


def _whole(folder: str, path: str) -> str:
    return path if "://" in path else f"{folder}/{path}"
