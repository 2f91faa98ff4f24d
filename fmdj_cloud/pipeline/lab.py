"""A pipeline of the settings, opened: its tables, its tasks, its signal tables."""

from __future__ import annotations

from dataclasses import dataclass

from fmdj_cloud.contracts import Kind
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, open_element
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.signals import SignalTables, declare_signals
from fmdj_cloud.pipeline.tasks import Tasks
from fmdj_cloud.settings import PipelineSettings


@dataclass(frozen=True)
class Lab:
    """One lab's pipeline, ready for use.

    Attributes
    ----------
    settings : PipelineSettings
    element : Element
    tasks : Tasks
    signals : SignalTables
    """

    settings: PipelineSettings
    element: Element
    tasks: Tasks
    signals: SignalTables

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.settings.name


def open_lab(database: Database, ledger: Ledger, settings: PipelineSettings, *, claimed_only: bool = False) -> Lab:
    """Open a pipeline's schema and make sure that our own tables for it exist.

    Parameters
    ----------
    database : Database
    ledger : Ledger
    settings : PipelineSettings
    claimed_only : bool
        Whether only tasks that belong to a FacemapRun are pending (``controller.trigger: facemapruns``).

    Raises
    ------
    ConfigError
        If the schema isn't there or isn't an Element's.
    """
    element = open_element(database, settings.behavior_schema)
    ledger.attach(settings.name, Kind.SVD, element.FacemapTask)
    return Lab(
        settings=settings,
        element=element,
        tasks=Tasks(database, element, ledger, settings, claimed_only=claimed_only),
        signals=declare_signals(database, element, settings.name),
    )
