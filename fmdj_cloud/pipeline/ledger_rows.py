"""Rows of the ledger to records and back: pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fmdj_cloud.contracts import (
    AttemptRecord,
    Basis,
    BindingRecord,
    BindingState,
    Engine,
    Estimate,
    FailureClass,
    Kind,
    Limits,
    Outcome,
    PipelineRecord,
    RequestRecord,
    RunRecord,
    RunState,
    StageRecord,
    Wanted,
)
from fmdj_cloud.pipeline.ledger_tables import EVIDENCE_MAX, SENTENCE_MAX

RUN_COLUMNS = (
    "run_id, kind, task_kind, pipeline, task, task_digest, content_digest, param_digest, state, wanted, attempt, "
    "priority, output_dir, manifest_sha256, failure_class, sentence, not_before, failures, estimate, profile, shards, "
    "created, updated"
)
ATTEMPT_COLUMNS = (
    "a.run_id, a.attempt, a.folder, a.spec_sha256, j.launcher, j.job_name, j.job_uid, a.started, a.finished, "
    "a.outcome, a.sentence, a.evidence, a.limits, a.stage, j.shards, j.pods"
)
PIPELINE_COLUMNS = "name, first_seen, brake, engine, basis"
REQUEST_COLUMNS = "request_id, what, asked_by, state, sentence, created, updated"
STAGE_COLUMNS = "stage, launcher, job_name, job_uid, shards, pods, node, outcome, gpu_seconds"


def run_record(row: Sequence[Any]) -> RunRecord:
    """Return the record of a row of `RUN_COLUMNS`."""
    values = dict(zip(RUN_COLUMNS.split(", "), row, strict=True))
    return RunRecord(
        **values
        | {
            "kind": Kind(values["kind"]),
            "task_kind": Kind(values["task_kind"]),
            "state": RunState(values["state"]),
            "wanted": Wanted(values["wanted"]),
            "failure_class": _failure_class(values["failure_class"]),
            "failures": json.loads(values["failures"]),
            "estimate": Estimate.model_validate_json(values["estimate"]),
        }
    )


def attempt_record(row: Sequence[Any]) -> AttemptRecord:
    """Return the record of a row of `ATTEMPT_COLUMNS`."""
    values = dict(zip((name[2:] for name in ATTEMPT_COLUMNS.split(", ")), row, strict=True))
    return AttemptRecord(
        **values | {"evidence": json.loads(values["evidence"]), "limits": Limits.model_validate_json(values["limits"])}
    )


def stage_record(row: Sequence[Any]) -> StageRecord:
    """Return the record of a row of `STAGE_COLUMNS`."""
    return StageRecord(**dict(zip(STAGE_COLUMNS.split(", "), row, strict=True)))


def binding_record(pipeline: str, kind: Kind, key: dict[str, Any], row: Sequence[Any]) -> BindingRecord:
    """Return the record of a binding's row (columns of ``ledger_tables.BINDING_COLUMNS``)."""
    digest, state, since, next_look, failure, sentence, priority, wanted, params, changed, run_id = row
    return BindingRecord(
        pipeline=pipeline,
        kind=kind,
        key=key,
        task_digest=digest,
        state=BindingState(state),
        since=since,
        next_look=next_look,
        failure_class=_failure_class(failure),
        sentence=sentence,
        priority=priority,
        wanted=Wanted(wanted),
        param_digest=params,
        changed=changed,
        run_id=run_id,
    )


def pipeline_record(row: Sequence[Any]) -> PipelineRecord:
    """Return the record of a row of `PIPELINE_COLUMNS`."""
    name, first_seen, brake, engine, basis = row
    return PipelineRecord(
        name=name, first_seen=first_seen, brake=bool(brake), engine=Engine(engine), basis=Basis(basis)
    )


def request_record(row: Sequence[Any]) -> RequestRecord:
    """Return the record of a row of `REQUEST_COLUMNS`."""
    return RequestRecord(**dict(zip(REQUEST_COLUMNS.split(", "), row, strict=True)))


def fit(text: str, limit: int = SENTENCE_MAX) -> str:
    """Return text that every database takes, in at most `limit` characters.

    PostgreSQL refuses NUL, and file names may hold bytes that aren't text.
    """
    clean = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def evidence_json(outcome: Outcome) -> str:
    """Return an outcome's evidence as ASCII JSON that fits its column; what doesn't fit is cut."""
    evidence = dict(outcome.evidence)
    if outcome.check:
        evidence = {"check": outcome.check, **evidence}
    share = EVIDENCE_MAX
    while len(text := json.dumps({fit(k, 100): fit(v, share) for k, v in evidence.items()})) > EVIDENCE_MAX:
        if share > 2:
            share //= 2
        else:
            evidence.popitem()
    return text


def failure_of(outcome: Outcome) -> str:
    """Return the failure class of an outcome that failed.

    Raises
    ------
    ValueError
        If it didn't fail.
    """
    if outcome.failure_class is None:
        raise ValueError("an outcome without a failure class is no failure")
    return outcome.failure_class.value


def _failure_class(value: str | None) -> FailureClass | None:
    return None if value is None else FailureClass(value)
