"""The spec of an attempt: the same bytes whoever builds it."""

from __future__ import annotations

import hashlib
import json

from fmdj_cloud import names
from fmdj_cloud.contracts import Limits, RunPlan, RunRecord, RunSpec
from fmdj_cloud.storage import Store

SPEC_NAME = "spec.json"
_SPEC_MAX_BYTES = 64 << 20
RESUMED = 50
"""Earlier attempts whose parts are looked for: as many as may be disrupted by default."""


def build_spec(
    run: RunRecord,
    plan: RunPlan,
    attempt: int,
    limits: Limits,
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
        resume_from=earlier_folders(run.output_dir, attempt),
        basis=plan.basis,
        shards=plan.shards,
    )


def earlier_folders(run_folder: str, attempt: int) -> tuple[str, ...]:
    """Return the folders of a run's attempts before one, the newest first: their finished parts may be used.

    Parameters
    ----------
    run_folder : str
        URI of the run's folder.
    attempt : int
    """
    numbers = range(attempt - 1, max(0, attempt - 1 - RESUMED), -1)
    return tuple(names.attempt_folder(run_folder, number) for number in numbers)


def spec_bytes(spec: RunSpec) -> tuple[bytes, str]:
    """Return a spec's canonical JSON and its SHA-256."""
    text = json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    data = text.encode()
    return data, hashlib.sha256(data).hexdigest()


def spec_uri(folder: str) -> str:
    """Return the URI of the spec of an attempt folder."""
    return f"{folder}/{SPEC_NAME}"


def read_spec(store: Store, folder: str) -> bytes:
    """Return the bytes of the spec in an attempt folder.

    Raises
    ------
    ObjectMissingError
        If there is none.
    StorageError
        If the store can't be asked.
    """
    return store.get_bytes(spec_uri(folder), max_bytes=_SPEC_MAX_BYTES)
