"""What changes on open pages: texts by the name of the place where they stand. Pure."""

from __future__ import annotations

from typing import Any

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.progress import progress_text
from fmdj_cloud.control.status import RunLine
from fmdj_cloud.control.words import duration_text
from fmdj_cloud.serve.page.model import ACTIVE, Overview


def news_of(overview: Overview) -> dict[str, Any]:
    """Return what an open page is told.

    Parameters
    ----------
    overview : Overview

    Returns
    -------
    dict
        ``texts``: place -> text; ``bars``: run id -> share that is done, 0 to 1; ``active``: ids of the runs that go on
        by themselves; a page that shows others is loaded anew; ``complete``: whether these are all.
    """
    status = overview.status
    texts = {"leader": leader_text(status.leader), "failed": str(overview.failed)}
    texts["at"] = f"{overview.at:%Y-%m-%d %H:%M:%S}"
    for pipeline in status.pipelines:
        texts[f"pending.{pipeline.name}"] = str(pipeline.pending)
        texts[f"queue.{pipeline.name}"] = queue_text(pipeline.queue_age_s)
    for state in RunState:
        texts[f"count.{state.value}"] = str(status.counts.get(state.value, 0))
    bars = {}
    active = [run for run in status.runs if run.state in ACTIVE]
    for run in active:
        texts[f"state.{run.run_id}"] = run.state.value
        texts[f"attempt.{run.run_id}"] = str(run.attempt)
        texts[f"progress.{run.run_id}"] = run_text(run)
        bars[run.run_id] = share(run)
    complete = len(active) == sum(status.counts.get(state.value, 0) for state in ACTIVE)
    return {"texts": texts, "bars": bars, "active": [run.run_id for run in active], "complete": complete}


def run_text(run: RunLine) -> str:
    """Return how far a run is, or why it is where it is."""
    return progress_text(run.progress) or run.sentence


def share(run: RunLine) -> float:
    """Return how much of a run's frames are done in the stage that it is in, 0 to 1."""
    progress = run.progress
    if progress is None or not progress.frames_total:
        return 0.0
    return round(min(1.0, progress.frames_done / progress.frames_total), 3)


def leader_text(leader: str | None) -> str:
    """Return who leads."""
    return leader or "none is running"


def queue_text(seconds: float) -> str:
    """Return how long the oldest run that could start has waited."""
    return duration_text(seconds) if seconds >= 1 else "none waits"
