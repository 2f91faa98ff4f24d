"""The spec of an attempt: pure, and the same bytes whoever builds it."""

from __future__ import annotations

import hashlib
import json

from fmdj_cloud import names
from fmdj_cloud.contracts import Limits, RunPlan, RunRecord, RunSpec

SPEC_NAME = "spec.json"


def build_spec(
    run: RunRecord,
    plan: RunPlan,
    attempt: int,
    limits: Limits,
    resume_from: tuple[str, ...] = (),
    accept: tuple[str, ...] = (),
) -> RunSpec:
    """Return the spec of an attempt.

    Parameters
    ----------
    run : RunRecord
    plan : RunPlan
    attempt : int
    limits : Limits
        Of this attempt: retries may get more than the plan's.
    resume_from : tuple of str
        Folders of earlier attempts whose finished parts may be used.
    accept : tuple of str
        Checks that a person has overridden for the task.
    """
    return RunSpec(
        run_id=run.run_id,
        kind=run.kind,
        pipeline=run.pipeline,
        task=run.task,
        task_digest=run.task_digest,
        content_digest=run.content_digest,
        attempt=attempt,
        attempt_uri=names.attempt_folder(run.output_dir, attempt),
        videos=plan.videos,
        imports=plan.imports,
        engine=plan.engine,
        svd=plan.svd,
        pose=plan.pose,
        limits=limits,
        accept=accept,
        resume_from=resume_from,
    )


def spec_bytes(spec: RunSpec) -> tuple[bytes, str]:
    """Return a spec's canonical JSON and its SHA-256."""
    text = json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = text.encode()
    return data, hashlib.sha256(data).hexdigest()


def spec_uri(folder: str) -> str:
    """Return the URI of the spec of an attempt folder."""
    return f"{folder}/{SPEC_NAME}"
