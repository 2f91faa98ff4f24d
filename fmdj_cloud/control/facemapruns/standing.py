"""How the tasks of a FacemapRun stand, in its own words: pure."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fmdj_cloud.contracts import BindingState, Progress, RunState
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.survey import TaskStanding

CANCELLED = "cancelled"
"""What stands for a failure class where a person cancelled the task."""


class Stand(enum.StrEnum):
    """How a task stands; each has a count in the status."""

    WAITING = "waiting"
    RUNNING = "running"
    LOADED = "loaded"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (Stand.LOADED, Stand.FAILED)


_OF_RUNS = {
    RunState.LAUNCHED: Stand.RUNNING,
    RunState.PUBLISHED: Stand.RUNNING,
    RunState.FAILED: Stand.FAILED,
    RunState.CANCELLED: Stand.FAILED,
}
"""A run that is loaded or superseded, without a result, is planned anew."""


def stand_of(task: TaskStanding) -> Stand:
    """Return how a task stands."""
    if task.has_result:
        return Stand.LOADED
    if task.binding in (BindingState.REFUSED, BindingState.CANCELLED):
        return Stand.FAILED
    if task.binding is BindingState.PLANNED and task.run_state is not None:
        return _OF_RUNS.get(task.run_state, Stand.WAITING)
    return Stand.WAITING


def afresh(task: TaskStanding, digests: Collection[str]) -> TaskStanding:
    """Return a task as it will be in a moment, if that is as if nothing had ever been known of it.

    Parameters
    ----------
    task : TaskStanding
    digests : collection of str
        Of tasks whose run is being cancelled since another FacemapRun selects them no more, or that failed and are
        asked for again.
    """
    if task.task_digest not in digests or task.has_result:
        return task
    return TaskStanding(key=task.key, task_digest=task.task_digest, bound=task.bound)


def failed_at(task: TaskStanding) -> dt.datetime | None:
    """Return when a task that failed did so."""
    return task.updated if task.binding is BindingState.PLANNED else task.since


@dataclass(frozen=True)
class Failure:
    """A task that failed."""

    task: str
    """As people type it."""
    failure_class: str
    sentence: str


def failures_of(tasks: Sequence[TaskStanding]) -> Iterator[Failure]:
    """Yield what failed, in the order of `tasks`."""
    for task in tasks:
        if stand_of(task) is not Stand.FAILED:
            continue
        planned = task.binding is BindingState.PLANNED
        failure = task.run_failure if planned else task.binding_failure
        sentence = task.run_sentence if planned else task.binding_sentence
        name = CANCELLED if failure is None else failure.value
        yield Failure(display_key(task.key), name, sentence or "Somebody cancelled it.")


@dataclass(frozen=True)
class Frames:
    """How far the computing is.

    Attributes
    ----------
    done, total : int
        Frames of the tasks that are planned and haven't failed.
    eta_s : float or None
        Seconds that are left at the speed of now; None where that isn't known.
    """

    done: int
    total: int
    eta_s: float | None


def frames_of(tasks: Sequence[TaskStanding], progress: Mapping[str, Progress]) -> Frames:
    """Return how far the computing is.

    Parameters
    ----------
    tasks : sequence of TaskStanding
    progress : mapping of str to Progress
        What the workers say, by run id.
    """
    done = total = 0
    speed, known = 0.0, True
    for task in tasks:
        stand = stand_of(task)
        if stand is Stand.FAILED:
            continue
        frames = task.frames
        finished = frames if stand is Stand.LOADED or task.run_state is RunState.PUBLISHED else 0
        said = progress.get(task.run_id)
        if said is not None and said.frames_total > 0 and task.run_state is RunState.LAUNCHED:
            frames = said.frames_total
            finished = min(said.frames_done, frames)
            speed += max(0.0, said.frames_per_s)
        known = known and (frames > 0 or stand is Stand.LOADED)
        done, total = done + finished, total + frames
    eta_s = (total - done) / speed if speed > 0 and known else None
    return Frames(done, total, eta_s)
