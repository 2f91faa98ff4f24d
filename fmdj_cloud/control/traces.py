"""What runs have left outside of the ledger: specs and manifests in the object store, Jobs in the launcher."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from fmdj_cloud import names
from fmdj_cloud.contracts import (
    Estimate,
    JobObservation,
    Kind,
    Manifest,
    RunPlan,
    RunRecord,
    RunSpec,
    RunState,
    Stage,
    Wanted,
)
from fmdj_cloud.control.specs import SPEC_NAME
from fmdj_cloud.errors import IntegrityError, ObjectMissingError
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.documents import shown
from fmdj_cloud.storage.manifests import read_manifest

_SPEC = re.compile(rf"(?P<run>.*/[a-z]+-[0-9a-f]{{16}})/a(?P<attempt>\d+)/{re.escape(SPEC_NAME)}")
_SPEC_BYTES = 64 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AttemptTrace:
    """One attempt.

    Attributes
    ----------
    spec : RunSpec
    spec_sha256 : str
    written : datetime
        When the spec was: naive UTC.
    manifest : (Manifest, str) or None
        The valid manifest and its digest.
    job : JobObservation or None
        Its Job, if the launcher has it with this spec.
    """

    spec: RunSpec
    spec_sha256: str
    written: dt.datetime
    manifest: tuple[Manifest, str] | None = None
    job: JobObservation | None = None


@dataclass(frozen=True)
class RunTrace:
    """One run: its attempts, oldest first."""

    attempts: tuple[AttemptTrace, ...]

    @property
    def newest(self) -> AttemptTrace:
        """The newest attempt."""
        return self.attempts[-1]

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.newest.spec.run_id

    @property
    def task(self) -> str:
        """Canonical key of its task."""
        return self.newest.spec.task


def read_traces(
    store: Store, processed_root: str, pipeline: str, jobs: Sequence[JobObservation]
) -> tuple[RunTrace, ...]:
    """Return all runs of a pipeline that have left a trace, by id.

    Parameters
    ----------
    store : Store
    processed_root : str
    pipeline : str
        Specs of other pipelines are passed over.
    jobs : sequence of JobObservation
        What the launcher sees.

    Raises
    ------
    StorageError
        If the store can't be asked.
    """
    # of several stages the last: the attempt has come to it
    order = list(Stage)
    by_attempt = {(job.run_id, job.attempt): job for job in sorted(jobs, key=lambda job: order.index(job.stage))}
    found: dict[str, list[AttemptTrace]] = {}
    for info in store.list(f"{processed_root.rstrip('/')}/"):
        match = _SPEC.fullmatch(info.uri)
        trace = _read_attempt(store, info.uri, info.modified) if match else None
        if trace is None or match is None or not _belongs(trace.spec, match, pipeline):
            continue
        job = by_attempt.get((trace.spec.run_id, trace.spec.attempt))
        if job is not None and job.spec_sha256 == trace.spec_sha256:
            trace = replace(trace, job=job)
        found.setdefault(trace.spec.run_id, []).append(trace)
    return tuple(RunTrace(_in_order(found[run_id])) for run_id in sorted(found))


def task_kind(spec: RunSpec) -> Kind:
    """Return the kind of the task table that a spec's task is in: pure."""
    return Kind.SVD if spec.pose is None else Kind.POSE


def recovered_run(trace: RunTrace, state: RunState, param_digest: str, estimate: Estimate, attempt: int) -> RunRecord:
    """Return the row of a run: pure."""
    spec = trace.newest.spec
    manifest = trace.newest.manifest
    pinned = manifest is not None and state in (RunState.PUBLISHED, RunState.LOADED)
    return RunRecord(
        run_id=spec.run_id,
        kind=spec.kind,
        task_kind=task_kind(spec),
        pipeline=spec.pipeline,
        task=spec.task,
        task_digest=spec.task_digest,
        content_digest=spec.content_digest,
        param_digest=param_digest,
        state=state,
        wanted=Wanted.RUN,
        attempt=attempt,
        priority=0,
        output_dir=spec.attempt_uri.rpartition("/")[0],
        manifest_sha256=manifest[1] if pinned and manifest is not None else None,
        failure_class=None,
        sentence="",
        not_before=None,
        failures={},
        estimate=estimate,
        shards=spec.shards,
        created=trace.attempts[0].written,
        updated=trace.newest.written,
    )


def recovered_plan(trace: RunTrace) -> RunPlan:
    """Return what a run with a manifest computed: pure."""
    spec = trace.newest.spec
    return RunPlan(
        videos=spec.videos,
        imports=spec.imports,
        engine=spec.engine,
        svd=spec.svd,
        pose=spec.pose,
        limits=spec.limits,
        estimate=_estimate(trace),
        notes=("Recovered from the spec and the manifest.",),
        basis=spec.basis,
        shards=spec.shards,
    )


def _estimate(trace: RunTrace) -> Estimate:
    spec = trace.newest.spec
    manifest = trace.newest.manifest[0] if trace.newest.manifest is not None else None
    return Estimate(
        frames=manifest.nframes if manifest else 0,
        height=max((view.height for view in manifest.views), default=0) if manifest else 0,
        width=max((view.width for view in manifest.views), default=0) if manifest else 0,
        seconds=(manifest.finished - manifest.started).total_seconds() if manifest else spec.limits.time_budget_s / 4,
        memory_mib=spec.limits.memory_mib,
        scratch_mib=spec.limits.scratch_mib,
        source="manifest" if manifest else "guess",
    )


def _read_attempt(store: Store, uri: str, modified: dt.datetime | None) -> AttemptTrace | None:
    try:
        data = store.get_bytes(uri, max_bytes=_SPEC_BYTES)
        spec = RunSpec.model_validate_json(data)
    except ObjectMissingError:
        return None
    except (IntegrityError, ValidationError, RecursionError) as error:  # whoever wrote it: the others count
        _log.warning("%s is not a spec and is passed over: %s", uri, shown(error))
        return None
    written = modified or dt.datetime(1970, 1, 1)
    trace = AttemptTrace(spec=spec, spec_sha256=hashlib.sha256(data).hexdigest(), written=written)
    alone = RunTrace((trace,))
    run = recovered_run(alone, RunState.LAUNCHED, "", _estimate(alone), spec.attempt)
    folder = uri.rpartition("/")[0]
    return replace(trace, manifest=read_manifest(store, folder, run, spec.attempt, trace.spec_sha256))


def _belongs(spec: RunSpec, match: re.Match[str], pipeline: str) -> bool:
    """Tell whether a spec lies where it says, and its run is what its digests say."""
    return (
        spec.pipeline == pipeline
        and spec.attempt_uri == f"{match['run']}/a{match['attempt']}"
        and spec.run_id == names.run_id(spec.kind, spec.task_digest, spec.content_digest)
        and match["run"].endswith(f"/{spec.run_id}")
    )


def _in_order(attempts: Iterable[AttemptTrace]) -> tuple[AttemptTrace, ...]:
    return tuple(sorted(attempts, key=lambda trace: trace.spec.attempt))
