"""What ``populate()`` does with a task: plan, claim, compute, verify; the rows go in through populate's connection."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fmdj_cloud.contracts import FailureClass, Kind, Outcome, PipelineRecord, RunRecord, TaskRecord
from fmdj_cloud.control.launchers.environment import worker_environment
from fmdj_cloud.control.launchers.local import WORKER_COMMAND
from fmdj_cloud.control.models import models_of
from fmdj_cloud.control.places import PlannedRun
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.control.profiles import Machine
from fmdj_cloud.control.retry import limits_for
from fmdj_cloud.control.specs import build_spec, spec_bytes
from fmdj_cloud.errors import BusyError, ConfigError, InputError, InputMissingError, LostRaceError
from fmdj_cloud.load.prepare import published
from fmdj_cloud.logs import log_context
from fmdj_cloud.names import attempt_folder, display_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger_populate import Claim, Launching, PopulateLedger
from fmdj_cloud.pipeline.silence import populates
from fmdj_cloud.populate.attempt import Attempter
from fmdj_cloud.populate.holder import holding, is_gone
from fmdj_cloud.populate.outputs import ProcessingOutputs, SignalOutputs
from fmdj_cloud.settings import PipelineSettings, Settings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage.manifests import manifest_verifies, read_manifest

_log = logging.getLogger(__name__)
_CLAIM_TRIES = 3
"""Whoever loses a race looks again: by then the winner is there to be seen."""


@dataclass(frozen=True)
class _Tools:
    """All that is opened once per process."""

    pid: int
    ledger: PopulateLedger
    lab: Lab
    store: Store
    attempter: Attempter


class TaskRunner:
    """Computes tasks of one task table on this machine.

    Parameters
    ----------
    settings : Settings
    pipeline : PipelineSettings
        Whose tables are populated.
    database : Database
        Their connection.
    worker_command : sequence of str
        How a worker is started; its arguments follow.
    environment : mapping of str to str, optional
        What the worker's environment is made from; this process's by default.
    """

    kind: ClassVar[Kind]
    """Of the task table."""

    def __init__(
        self,
        settings: Settings,
        pipeline: PipelineSettings,
        database: Database,
        *,
        worker_command: Sequence[str] = WORKER_COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._database = database
        self._command = tuple(worker_command)
        self._environment = environment
        self._opened: _Tools | None = None

    def fetch(self, key: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return a task's parameter digest and files: what its computation rests on.

        Raises
        ------
        LostRaceError
            If there is no such task any more.
        """
        task = self._task(key)
        return task.param_digest, task.files

    def _signals(self, key: Mapping[str, Any]) -> SignalOutputs:
        """Fetch and check a task's outputs, computing them if need be."""
        tools = self._tools()
        task = self._task(key)
        with log_context(task=display_key(task.key)):
            run = self._published(task)
            return SignalOutputs(tools.store, tools.ledger, tools.lab, run, self._settings.load)

    def _published(self, task: TaskRecord) -> RunRecord:
        """Return the task's published run, computing it if need be."""
        tools = self._tools()
        self._find_left_behind(task)
        planned = self._plan(task)
        with holding() as holder:
            claim = self._claim(task, planned, holder)
            if claim.launching is None:
                return claim.run
            _log.info(
                "Computing run %s, attempt %d, about %.0f s.",
                *(claim.run.run_id, claim.run.attempt, claim.run.estimate.seconds),
            )
            return tools.attempter.compute(claim.run, claim.launching)

    def _plan(self, task: TaskRecord) -> PlannedRun:
        tools = self._tools()
        try:
            models = models_of(tools.lab, tools.store, export=True)
            record = self._pipeline_record()
            return plan_task(
                task,
                self._pipeline,
                tools.store,
                self._settings,
                engine=record.engine,
                basis=record.basis,
                models=models,
            )
        except InputMissingError:
            raise  # nothing is wrong yet: a controller would wait for it
        except InputError as error:
            outcome = Outcome(failure_class=FailureClass.INPUT, sentence=error.sentence, check=error.check)
            try:
                tools.ledger.refuse(task, outcome, epoch=None)
            except LostRaceError as lost:
                _log.info("%s", lost.sentence)
            raise

    def _pipeline_record(self) -> PipelineRecord:
        """Return the pipeline's record: its engine and basis are fixed when it is first seen."""
        tools, controller = self._tools(), self._settings.controller
        known = {record.name: record for record in tools.ledger.pipelines()}
        if self._pipeline.name in known:
            return known[self._pipeline.name]
        pending = tools.lab.count_pending()
        return tools.ledger.see_pipeline(
            self._pipeline.name,
            engine=controller.engine,
            pending=pending,
            limit=controller.first_start_limit,
            basis=controller.basis,
        )

    def _claim(self, task: TaskRecord, planned: PlannedRun, holder: str) -> Claim:
        tools = self._tools()
        self._check_worker()
        if tools.lab.tasks(self.kind).has_result([task.key]):
            raise BusyError(f"Task {display_key(task.key)} has its result already: somebody else was quicker.")
        lost: LostRaceError | None = None
        for _ in range(_CLAIM_TRIES):
            try:
                return tools.ledger.claim(
                    task,
                    planned.run_id,
                    planned.content_digest,
                    planned.plan,
                    planned.output_dir_uri,
                    manifest_verifies=self._verifies,
                    launching=self._launching,
                    holder=holder,
                    is_gone=is_gone,
                    silent_s=self._settings.controller.populate_silent_s,
                )
            except LostRaceError as error:
                lost = error
        raise BusyError(f"Task {display_key(task.key)} changes all the time: populate it again.") from lost

    def _launching(self, run: RunRecord) -> Launching:
        tools = self._tools()
        plan = tools.ledger.plan_of(run.run_id)
        limits = limits_for(
            plan.limits, run.failures, self._settings.controller.retry, Machine(self._settings.controller).bounds(run)
        )
        spec = build_spec(run, plan, run.attempt, limits, accept=tools.ledger.accepted(run))
        data, sha256 = spec_bytes(spec)
        return Launching(folder=spec.attempt_uri, spec=data, spec_sha256=sha256, limits=limits)

    def _find_left_behind(self, task: TaskRecord) -> None:
        """Publish what a ``populate()`` that was killed had finished."""
        tools = self._tools()
        run = tools.ledger.run_of(task)
        attempt = tools.ledger.attempt(run.run_id, run.attempt) if run is not None else None
        if run is None or attempt is None or not populates(run, attempt):
            return
        found = read_manifest(tools.store, attempt.folder, run, run.attempt, attempt.spec_sha256)
        if found is not None:
            tools.ledger.publish(run.run_id, run.attempt, found[1], epoch=None)

    def _verifies(self, output_dir: str, attempt: int, manifest_sha256: str) -> bool:
        return manifest_verifies(self._tools().store, attempt_folder(output_dir, attempt), manifest_sha256)

    def _check_worker(self) -> None:
        if self._command == WORKER_COMMAND and importlib.util.find_spec("facemap") is None:
            raise ConfigError(
                "populate() computes here, and facemap isn't installed: install the worker's packages with "
                "`pip install 'fmdj-cloud[worker]'`, or have `fmdj controller` compute elsewhere."
            )

    def _task(self, key: Mapping[str, Any]) -> TaskRecord:
        task = self._tools().lab.tasks(self.kind).get(key)
        if task is None:
            raise LostRaceError(f"There is no task {display_key(key)} any more.")
        return task

    def _tools(self) -> _Tools:
        """Open what is needed; a process that was forked off, as by ``populate(processes=2)``, opens its own."""
        if self._opened is None or self._opened.pid != os.getpid():
            ledger = PopulateLedger(self._database)
            store = open_store(self._settings.storage)
            lab = open_lab(self._database, ledger, self._pipeline, objects=store)
            base = os.environ if self._environment is None else self._environment
            environment = worker_environment(self._settings, base)
            attempter = Attempter(self._settings, ledger, store, self._command, environment)
            self._opened = _Tools(os.getpid(), ledger, lab, store, attempter)
        return self._opened


class PopulateRunner(TaskRunner):
    """The :class:`fmdj_cloud.pipeline.populate.Runner` that computes on this machine."""

    kind = Kind.SVD

    def process(self, key: Mapping[str, Any]) -> ProcessingOutputs:
        """Have a task's outputs computed, unless they are there.

        Raises
        ------
        FmdjError
            Why it can't be, in one sentence; the ledger has it, too.
        """
        tools = self._tools()
        task = self._task(key)
        with log_context(task=display_key(task.key)):
            return ProcessingOutputs(tools.lab, published(tools.store, tools.ledger, self._published(task)))

    def extract(self, key: Mapping[str, Any]) -> SignalOutputs:
        """Fetch and check a task's outputs, computing them if need be.

        Raises
        ------
        FmdjError
            As :meth:`process`.
        LoadError
            If the outputs fail verification or quality control.
        """
        return self._signals(key)


class PoseRunner(TaskRunner):
    """The :class:`fmdj_cloud.pipeline.populate.InferenceRunner` that computes on this machine."""

    kind = Kind.POSE

    def infer(self, key: Mapping[str, Any]) -> SignalOutputs:
        """Fetch and check a task's outputs, computing them if need be.

        Raises
        ------
        FmdjError
            Why they can't be had, in one sentence; the ledger has it, too.
        LoadError
            If the outputs fail verification or quality control.
        """
        return self._signals(key)
