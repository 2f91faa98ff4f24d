"""What may go, and why: pure.

Nothing of a run that is under way ever goes, nor anything of an attempt whose outputs are loaded, whose files another
manifest names, or that a task's ``facemap_output_dir`` points into. What the ledger doesn't know is reported and stays:
it may be another installation's, or be waiting for ``fmdj recover``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.gc.facts import Facts, Heap, JobFact, Leftover, References, RunFact, Thing, Upload
from fmdj_cloud.settings import GcSettings

OVER = frozenset({RunState.LOADED, RunState.FAILED, RunState.CANCELLED, RunState.SUPERSEDED})
"""States in which nothing happens unless somebody asks."""
_DAY_S = 86400.0
_ENDS = {RunState.FAILED: "failed", RunState.CANCELLED: "was cancelled", RunState.SUPERSEDED: "was superseded"}


def decide(facts: Facts, keep: GcSettings) -> tuple[Leftover, ...]:
    """Return what may go, and what is only reported; what must stay isn't mentioned.

    Parameters
    ----------
    facts : Facts
    keep : GcSettings
        How long things are kept.
    """
    return (
        *(line for heap in facts.heaps for line in _of_heap(heap, facts, keep)),
        *(line for upload in facts.uploads for line in _of_upload(upload, facts, keep)),
        *(_of_job(job, facts) for job in facts.jobs),
    )


def why_stays(run: RunFact, attempt: int, place: str, references: References, pipelines: Collection[str]) -> str:
    """Return why an attempt of a known run stays, empty if it may go once it is old: pure.

    Parameters
    ----------
    run : RunFact
    attempt : int
    place : str
        The attempt folder relative to the processed root.
    references : References
    pipelines : collection of str
        Those whose tasks have been asked what they refer to.
    """
    if run.state not in OVER:
        return f"The run is {run.state}."
    if run.pipeline not in pipelines:
        return f"The settings name no pipeline {run.pipeline}, so that nobody can say who refers to it."
    if attempt > run.attempt:
        return "The ledger doesn't know this attempt: `fmdj recover` does."
    if attempt == run.attempt and run.state is RunState.LOADED:
        return "Its outputs are loaded."
    if attempt == run.attempt and run.has_result and run.manifest_sha256 is not None:
        return "Its task has results, which may be these."
    if run.run_id in references.runs:
        return "The facemap_output_dir of a task names it."
    if (run.run_id, attempt) in references.attempts:
        return "The manifest of another run names its files."
    if any(folder in references.places for folder in _above(place)):
        return "A task loads outputs from there."
    return ""


def kept_s(thing: Thing, keep: GcSettings) -> float:
    """Return how long a kind of thing is kept, seconds: pure."""
    days = {
        Thing.OUTPUTS: keep.outputs_days,
        Thing.PARTS: keep.parts_days,
        Thing.LOGS: keep.logs_days,
        Thing.SPECS: keep.specs_days,
        Thing.UPLOADS: keep.uploads_days,
    }
    return days.get(thing, 0.0) * _DAY_S


def _of_heap(heap: Heap, facts: Facts, keep: GcSettings) -> Iterator[Leftover]:
    run = facts.runs.get(heap.run_id)
    since = heap.newest if run is None else max(heap.newest, run.updated)
    age_s = _age_s(facts.now, since)
    line = Leftover(
        thing=heap.thing,
        where=heap.folder,
        run_id=heap.run_id,
        attempt=heap.attempt,
        files=heap.files,
        size=heap.size,
        age_s=age_s,
        why="The ledger doesn't know this run: another installation's, or one for `fmdj recover`.",
        goes=False,
    )
    if age_s < kept_s(heap.thing, keep):
        return
    if run is None:
        yield line
        return
    stays = why_stays(run, heap.attempt, heap.place, facts.references, facts.pipelines)
    if not stays:
        yield line.model_copy(update={"why": _why_goes(run, heap.attempt), "goes": True})


def _why_goes(run: RunFact, attempt: int) -> str:
    if attempt < run.attempt:
        return f"Attempt {run.attempt} came after it; the run is {run.state}."
    return f"The run {_ENDS.get(run.state, run.state.value)}."


def _of_upload(upload: Upload, facts: Facts, keep: GcSettings) -> Iterator[Leftover]:
    run = facts.runs.get(upload.run_id)
    age_s = _age_s(facts.now, upload.started)
    # what has no run is another installation's, or another program's
    if run is None or run.state not in OVER or age_s < kept_s(Thing.UPLOADS, keep):
        return
    yield Leftover(
        thing=Thing.UPLOADS,
        where=upload.uri,
        run_id=upload.run_id,
        size=upload.size,
        age_s=age_s,
        why="The upload was begun and never ended.",
    )


def _of_job(job: JobFact, facts: Facts) -> Leftover:
    return Leftover(
        thing=Thing.JOBS,
        where=job.name,
        run_id=job.run_id,
        why="The ledger doesn't know its run."
        if facts.runs
        else "The ledger knows no run at all: `fmdj recover` may want this Job.",
        goes=bool(facts.runs),
    )


def _above(place: str) -> Iterator[str]:
    """Yield a folder and all folders above it."""
    while place:
        yield place
        place = place.rpartition("/")[0]


def _age_s(now: dt.datetime, then: dt.datetime) -> float:
    return max(0.0, (now - then).total_seconds())
