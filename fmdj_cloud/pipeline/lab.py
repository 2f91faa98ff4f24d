"""A pipeline of the settings, opened: its tables, its tasks, its signal tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fmdj_cloud.contracts import Kind, RunRecord
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, open_element
from fmdj_cloud.pipeline.inference import Inference, open_inference
from fmdj_cloud.pipeline.kept import KeptBlobs
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.pose_tasks import PoseTasks
from fmdj_cloud.pipeline.signals import SignalTables, declare_signals
from fmdj_cloud.pipeline.svd_tasks import SvdTasks
from fmdj_cloud.pipeline.tasks import Tasks
from fmdj_cloud.settings import PipelineSettings
from fmdj_cloud.storage import Store


@dataclass(frozen=True)
class Lab:
    """One lab's pipeline, ready for use.

    Attributes
    ----------
    settings : PipelineSettings
    element : Element
    inference : Inference or None
        None where the pipeline has no inference_schema.
    tables : tuple of Tasks
        Its task tables: FacemapTask, and FacemapInferenceTask where there is one.
    signals : SignalTables
    kept : KeptBlobs
        What its tables keep in object stores.
    """

    settings: PipelineSettings
    element: Element
    inference: Inference | None
    tables: tuple[Tasks, ...]
    signals: SignalTables
    kept: KeptBlobs

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.settings.name

    @property
    def kinds(self) -> frozenset[Kind]:
        """Kinds of the task tables."""
        return frozenset(tasks.kind for tasks in self.tables)

    def tasks(self, kind: Kind) -> Tasks:
        """Return the tasks of one task table.

        Raises
        ------
        ConfigError
            If the pipeline has none of that kind.
        """
        for tasks in self.tables:
            if tasks.kind is kind:
                return tasks
        raise ConfigError(f"Pipeline {self.name!r} has no {kind} tasks: set its inference_schema in the settings.")

    def tasks_of(self, run: RunRecord) -> Tasks:
        """Return the tasks that a run's task is one of.

        Raises
        ------
        ConfigError
            If the pipeline has none of that kind (any more).
        """
        return self.tasks(run.task_kind)

    def has(self, run: RunRecord) -> bool:
        """Tell whether a run is of one of these task tables."""
        return run.pipeline == self.name and run.task_kind in self.kinds

    def count_pending(self) -> int:
        """Return how many tasks are pending, in all task tables."""
        return sum(tasks.count_pending() for tasks in self.tables)

    def pending(self, limit: int, kinds: Collection[Kind] | None = None) -> list[tuple[Tasks, dict[str, Any]]]:
        """Return the first pending tasks: the most urgent first, and in turn from each task table.

        Parameters
        ----------
        limit : int
        kinds : collection of Kind, optional
            Of the task tables; all by default.
        """
        found: list[tuple[tuple[int, int, int], Tasks, dict[str, Any]]] = []
        for number, tasks in enumerate(self.tables):
            if kinds is not None and tasks.kind not in kinds:
                continue
            turns: Counter[int] = Counter()
            for priority, key in tasks.pending_by_priority(limit):
                found.append(((priority, turns[priority], number), tasks, key))
                turns[priority] += 1
        found.sort(key=lambda one: one[0])
        return [(tasks, key) for _, tasks, key in found[:limit]]


def open_lab(
    database: Database,
    ledger: Ledger,
    settings: PipelineSettings,
    *,
    objects: Store | None = None,
    claimed_only: bool = False,
) -> Lab:
    """Open a pipeline's schemas and make sure that our own tables for it exist.

    Parameters
    ----------
    database : Database
    ledger : Ledger
    settings : PipelineSettings
    objects : Store, optional
        For programs that read or write results: columns may keep theirs in an object store.
    claimed_only : bool
        Whether only tasks that belong to a FacemapRun are pending (``controller.trigger: facemapruns``).

    Raises
    ------
    ConfigError
        If a schema isn't there or isn't an Element's, or keeps values where the settings don't say.
    DatabaseError
        If the server is gone.
    """
    return database.guarded(_open_lab, database, ledger, settings, objects, claimed_only)


def _open_lab(
    database: Database, ledger: Ledger, settings: PipelineSettings, objects: Store | None, claimed_only: bool
) -> Lab:
    element = open_element(database, settings.behavior_schema)
    kept = KeptBlobs(settings.stores, objects)
    for table in (element.Region, element.MotionSVD, element.MovieSVD, element.Summary):
        kept.require(table)
    inference = None
    tables: tuple[Tasks, ...] = (SvdTasks(database, element, ledger, settings, claimed_only=claimed_only),)
    if settings.inference_schema is not None:
        inference = open_inference(database, settings.inference_schema, element=element)
        kept.require(inference.BodyPartPosition)
        tables += (PoseTasks(database, element, inference, ledger, settings, claimed_only=claimed_only),)
    return Lab(
        settings=settings,
        element=element,
        inference=inference,
        tables=tables,
        signals=declare_signals(database, element, settings.name),
        kept=kept,
    )
