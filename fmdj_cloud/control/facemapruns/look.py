"""What a FacemapRun selects, or why it isn't accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.facemapruns.model import FacemapRun, FacemapRunSpec, read_spec
from fmdj_cloud.control.facemapruns.status import Verdict
from fmdj_cloud.control.report import Tally
from fmdj_cloud.errors import DatabaseError, UsageError
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.ledger_base import Sql
from fmdj_cloud.pipeline.survey import Surveyor, TaskStanding
from fmdj_cloud.pipeline.tasks import Tasks
from fmdj_cloud.settings import Settings

UNKNOWN_PIPELINE = "UnknownPipeline"


@dataclass(frozen=True)
class View:
    """A FacemapRun, looked at.

    Attributes
    ----------
    run : FacemapRun
    verdict : Verdict
    spec : FacemapRunSpec or None
        None unless it is accepted.
    tasks : tuple of TaskStanding
        That it selects.
    """

    run: FacemapRun
    verdict: Verdict
    spec: FacemapRunSpec | None = None
    tasks: tuple[TaskStanding, ...] = ()


class Looker:
    """Looks at FacemapRuns.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    """

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._surveyors: dict[tuple[str, Kind], Surveyor] = {}

    @property
    def plans_all(self) -> bool:
        """Whether tasks are computed without any FacemapRun, too."""
        return self._settings.controller.trigger == "all"

    def look(self, run: FacemapRun, labs: Mapping[str, Lab], brakes: Mapping[str, bool], tally: Tally) -> View:
        """Return what a FacemapRun selects, and whether it is accepted: total over whatever people write.

        Parameters
        ----------
        run : FacemapRun
        labs : mapping of str to Lab
            Open pipelines.
        brakes : mapping of str to bool
            Whether the first-start brake holds a pipeline, by name.
        tally : Tally

        Raises
        ------
        DatabaseError
            If the database doesn't answer.
        """
        try:
            spec = read_spec(run.spec)
        except UsageError as error:
            return View(run, Verdict("InvalidSpec", error.sentence))
        refusal = self._refusal(spec, labs)
        if refusal is not None:
            return View(run, refusal)
        try:
            tables, tasks = self._select(spec, labs[spec.pipeline])
        except UsageError as error:
            return View(run, Verdict("InvalidRestriction", error.sentence))
        except DatabaseError as error:
            raise error
        except Exception as error:  # one FacemapRun must not stop the others
            tally.trouble(f"FacemapRun {run.name} can't be looked at: {error}", unforeseen=True)
            sentence = f"It can't be looked at ({type(error).__name__}: {error}): see the controller's log."
            return View(run, Verdict("Trouble", sentence))
        message = " ".join([f"It selects tasks of {' and '.join(tables)}.", *self._notes(spec, brakes)])
        return View(run, Verdict("Accepted", message, accepted=True), spec, tasks)

    def _refusal(self, spec: FacemapRunSpec, labs: Mapping[str, Lab]) -> Verdict | None:
        names = [pipeline.name for pipeline in self._settings.pipelines]
        if spec.pipeline not in names:
            known = ", ".join(names) or "none"
            return Verdict(
                UNKNOWN_PIPELINE, f"There is no pipeline {spec.pipeline!r} in the settings: known are {known}."
            )
        if spec.kind is Kind.POSE and self._settings.pipeline(spec.pipeline).inference_schema is None:
            return Verdict(
                "UnknownKind",
                f"Pipeline {spec.pipeline} has no pose tasks: set its inference_schema in the settings.",
            )
        profiles = self._settings.kubernetes.profiles
        if spec.profile and spec.profile not in profiles:
            known = ", ".join(profiles) or "none"
            return Verdict(
                "UnknownProfile",
                f"There is no profile {spec.profile!r} under kubernetes.profiles in the settings: known are {known}.",
            )
        if spec.pipeline not in labs:
            return Verdict("PipelineClosed", f"Pipeline {spec.pipeline} can't be opened now: see the controller's log.")
        return None

    def _select(self, spec: FacemapRunSpec, lab: Lab) -> tuple[list[str], tuple[TaskStanding, ...]]:
        """Return the tables that have tasks of the kind and all attributes, and the tasks that are selected."""
        fitting: list[tuple[Tasks, Surveyor, Sql]] = []
        misfits: list[UsageError] = []
        for tasks in lab.tables:
            surveyor = self._surveyor(lab, tasks)
            if not surveyor.knows(spec.kind):
                continue
            try:
                fitting.append((tasks, surveyor, surveyor.condition(spec.restriction, spec.keys)))
            except UsageError as error:
                misfits.append(error)
        if not fitting:
            raise misfits[0]
        found = [task for _, surveyor, condition in fitting for task in self._look(surveyor, spec.kind, condition)]
        return [tasks.name for tasks, _, _ in fitting], tuple(found)

    def _surveyor(self, lab: Lab, tasks: Tasks) -> Surveyor:
        name = lab.name, tasks.kind
        if name not in self._surveyors:
            self._surveyors[name] = Surveyor(self._ledger.database, tasks, self._ledger, lab.name)
        return self._surveyors[name]

    def _look(self, surveyor: Surveyor, kind: Kind, condition: Sql) -> list[TaskStanding]:
        try:
            return surveyor.look(kind, condition)
        except DatabaseError:
            self._ledger.database.ensure_connected()
        surveyor.look(kind, ("FALSE", ()))  # what isn't the restriction's fault shows without it, too
        try:
            return surveyor.look(kind, condition)
        except DatabaseError as error:
            raise UsageError(f"The database refuses the restriction: {error.sentence}") from error

    def _notes(self, spec: FacemapRunSpec, brakes: Mapping[str, bool]) -> list[str]:
        notes = []
        if self.plans_all:
            notes.append(
                "All pending tasks are computed anyway (controller.trigger is all): it sets priority, profile and time "
                "budget, and watches; suspending it holds nothing, and deleting it cancels nothing."
            )
        if brakes.get(spec.pipeline):
            notes.append("The first-start brake holds the pipeline: `fmdj release` lets its tasks go.")
        return notes
