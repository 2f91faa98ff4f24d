"""Rows of the ledger for runs with shards."""

from __future__ import annotations

from typing import Any

from fmdj_cloud.contracts import AttemptRecord, Estimate, Kind, Limits, RunRecord, RunState, Stage, Wanted
from fmdj_cloud.names import job_name
from tests.support.shards.commits import IDENTITY, WHEN

ESTIMATE = Estimate(frames=100, height=2, width=2, seconds=1, memory_mib=1, scratch_mib=1, source="header")
LIMITS = Limits(time_budget_s=60, memory_mib=1, scratch_mib=1, threads=1)


def a_run(**changes: Any) -> RunRecord:
    """Return a launched run whose commits say :data:`~tests.support.shards.commits.IDENTITY`."""
    kind = changes.get("kind", Kind.SVD)
    fields: dict[str, Any] = {
        "run_id": f"{kind.value}-{IDENTITY.run_id.partition('-')[2]}",
        "kind": kind,
        "task_kind": kind,
        "pipeline": "lab",
        "task": "{}",
        "task_digest": "t",
        "content_digest": IDENTITY.content_digest,
        "param_digest": "p",
        "state": RunState.LAUNCHED,
        "wanted": Wanted.RUN,
        "attempt": IDENTITY.attempt,
        "priority": 0,
        "output_dir": "",
        "manifest_sha256": None,
        "failure_class": None,
        "sentence": "",
        "not_before": None,
        "failures": {},
        "estimate": ESTIMATE,
        "shards": 2,
        "created": WHEN,
        "updated": WHEN,
    }
    return RunRecord(**fields | changes)


def an_attempt(folder: str, stage: Stage, **changes: Any) -> AttemptRecord:
    """Return its attempt, at a stage."""
    fields: dict[str, Any] = {
        "run_id": IDENTITY.run_id,
        "attempt": IDENTITY.attempt,
        "folder": folder,
        "spec_sha256": IDENTITY.spec_sha256,
        "launcher": "local",
        "job_name": job_name(IDENTITY.run_id, IDENTITY.attempt, "fmdj", stage),
        "job_uid": "u",
        "started": WHEN,
        "finished": None,
        "outcome": None,
        "sentence": "",
        "evidence": {},
        "limits": LIMITS,
        "stage": stage,
    }
    return AttemptRecord(**fields | changes)
