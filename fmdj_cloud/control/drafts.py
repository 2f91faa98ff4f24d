"""Tasks that are about to be planned, with what the object store says of their files: asked in advance, by threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from fmdj_cloud.contracts import Kind, PipelineRecord, RunPlan, TaskRecord
from fmdj_cloud.control.courtesy import PutOff
from fmdj_cloud.control.models import models_of
from fmdj_cloud.control.plan import PlannedRun, plan_task
from fmdj_cloud.errors import InputError
from fmdj_cloud.logs import log_context
from fmdj_cloud.names import display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.tasks import Tasks
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store

_PLAN_MAX_BYTES = 4 << 20
"""A quarter of what the strictest server takes by default (MariaDB, 16 MiB), and ten times a recording of a thousand
files."""


@dataclass(frozen=True)
class Due:
    """A task to plan.

    Attributes
    ----------
    lab : Lab
    tasks : Tasks
    record : PipelineRecord
    key : dict
    elsewhere : PutOff or None
        Why it is left to somebody else instead.
    """

    lab: Lab
    tasks: Tasks
    record: PipelineRecord
    key: dict[str, Any]
    elsewhere: PutOff | None


@dataclass(frozen=True)
class Draft:
    """A task as its row was, and what would become of it.

    Attributes
    ----------
    task : TaskRecord or None
        None if it was deleted.
    planned : callable
        Returns the plan, or raises why there is none.
    """

    task: TaskRecord | None
    planned: Callable[[], PlannedRun]


class Drafter:
    """Makes drafts.

    Parameters
    ----------
    settings : Settings
    store : Store
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def prepare(self, due: Due) -> Callable[[], Draft]:
        """Read a task's row, and return what drafts its plan: that uses no database, so that any thread may do it.

        What goes wrong with the row is raised by the draft.
        """
        try:
            task = due.tasks.get(due.key)
        except Exception as caught:
            error = caught
            return lambda: _fail(error)
        if task is None or due.elsewhere is not None:
            return lambda: Draft(task, lambda: _fail(LookupError("nothing is planned")))
        if task.kind is Kind.POSE:  # weights may lie in the database
            return lambda: Draft(task, lambda: self._plan(due, task))
        return lambda: self._draft(due, task)

    def _draft(self, due: Due, task: TaskRecord) -> Draft:
        try:
            with log_context(task=display_key(due.key)):
                planned = self._plan(due, task)
        except Exception as caught:
            error = caught
            return Draft(task, lambda: _fail(error))
        return Draft(task, lambda: planned)

    def _plan(self, due: Due, task: TaskRecord) -> PlannedRun:
        planned = plan_task(
            task,
            due.lab.settings,
            self._store,
            self._settings,
            engine=due.record.engine,
            basis=due.record.basis,
            models=models_of(due.lab, self._store, export=True),
        )
        check_size(planned.plan)
        return planned


def check_size(plan: RunPlan) -> None:
    """Refuse a plan that no ledger would take: to the server it would be a statement that breaks the connection.

    Raises
    ------
    InputError
        If it is too large (check ``rois``).
    """
    size = len(plan.model_dump_json())
    if size > _PLAN_MAX_BYTES:
        raise InputError(
            f"What is to be computed takes {size / 2**20:.0f} MiB to say, more than {_PLAN_MAX_BYTES >> 20}: give it "
            "fewer ROIs, or ROIs whose pixels aren't drawn one by one.",
            check="rois",
        )


def _fail(error: Exception) -> NoReturn:
    raise error
