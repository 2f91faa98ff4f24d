"""What may go, and why: pure.

Nothing of a run that is under way ever goes, nor anything of an attempt whose outputs are loaded, whose files another
manifest names, or that a task's ``facemap_output_dir`` points into. What the ledger doesn't know is reported and stays:
it may be another installation's, or be waiting for ``fmdj recover``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.gc.facts import Facts, Heap, JobFact, Leftover, References, RunFact, Thing, Upload, folders_of
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


def is_in_use(run: RunFact | None, attempt: int, thing: Thing) -> bool:
    """Tell at a glance what stays whoever refers to it, which is nearly everything there is: pure."""
    if run is None:
        return False
    return run.state not in OVER or (run.state is RunState.LOADED and attempt == run.attempt and thing != Thing.PARTS)


def why_stays(
    run: RunFact, attempt: int, thing: Thing, place: str, references: References, pipelines: Collection[str]
) -> str:
    """Return why something of an attempt of a known run stays, empty if it may go once it is old: pure.

    Parameters
    ----------
    run : RunFact
    attempt : int
    thing : Thing
        Parts are nobody's outputs: no manifest names them, and only a next attempt of a run under way reads them.
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
    if any(folder in references.places for folder in folders_of(place)):
        return "A task loads outputs from there."
    return "" if thing is Thing.PARTS else _why_used(run, attempt, references)


def _why_used(run: RunFact, attempt: int, references: References) -> str:
    if attempt == run.attempt and run.state is RunState.LOADED:
        return "Its outputs are loaded."
    if attempt == run.attempt and run.has_result and run.manifest_sha256 is not None:
        return "Its task has results, which may be these."
    if run.run_id in references.runs:
        return "The facemap_output_dir of a task names it."
    if (run.run_id, attempt) in references.attempts:
        return "The manifest of another run names its files."
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
    stays = why_stays(run, heap.attempt, heap.thing, heap.place, facts.references, facts.pipelines)
    if not stays:
        yield line.model_copy(update={"why": _why_goes(run, heap.attempt), "goes": True})


def _why_goes(run: RunFact, attempt: int) -> str:
    if attempt < run.attempt:
        return f"Attempt {run.attempt} came after it; the run is {run.state}."
    if run.state is RunState.LOADED:
        return "The run is loaded: no attempt goes on from them."
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
    why = "The ledger doesn't know its run."
    if not job.run_id:
        why = "It can't be told what run it is of: a person's own, or another version's."
    elif not facts.runs:
        why = "The ledger knows no run at all: `fmdj recover` may want this Job."
    return Leftover(
        thing=Thing.JOBS,
        where=job.name,
        run_id=job.run_id,
        age_s=None if job.created is None else _age_s(facts.now, job.created),
        why=why,
        goes=bool(job.run_id) and bool(facts.runs),
    )


def _age_s(now: dt.datetime, then: dt.datetime) -> float:
    return max(0.0, (now - then).total_seconds())
