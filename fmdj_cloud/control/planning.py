"""Plan pending tasks: each becomes a run, waits, or is refused with a sentence. The shell around :mod:`plan`."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from fmdj_cloud.contracts import BindingState, FailureClass, Outcome, PipelineRecord, TaskRecord
from fmdj_cloud.control.facemapruns.overrides import overridden
from fmdj_cloud.control.leader import Leader
from fmdj_cloud.control.places import PlannedRun
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.control.report import Tally
from fmdj_cloud.errors import (
    ConfigError,
    DatabaseError,
    FmdjError,
    InputError,
    InputMissingError,
    LostRaceError,
    StorageError,
)
from fmdj_cloud.logs import log_context
from fmdj_cloud.names import attempt_folder, display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import ControllerSettings, Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import manifest_verifies

_log = logging.getLogger(__name__)


def next_look_s(waited_s: float, settings: ControllerSettings) -> float:
    """Return after how many seconds to look for an input again: as long as it was waited for, within bounds."""
    return max(settings.inputs_look_s, min(settings.inputs_look_max_s, waited_s))


class Planner:
    """Plans tasks.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    store : Store
    leader : Leader
    clock : callable
        Monotonic seconds: planning ends for this pass after a while, so that what runs is looked at.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, store: Store, leader: Leader, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._leader = leader
        self._clock = clock

    def plan_pending(self, lab: Lab, tally: Tally) -> None:
        """Plan a pipeline's pending tasks, as many as one pass takes."""
        controller = self._settings.controller
        self._leader.check()
        record = self._see(lab)
        if record.brake:
            return
        give_up = self._clock() + controller.lease_s
        for key in lab.tasks.pending(controller.plan_batch):
            if self._clock() > give_up:
                return
            with log_context(task=display_key(key)):
                self._plan(lab, record, key, tally)

    def _see(self, lab: Lab) -> PipelineRecord:
        """Return the pipeline's record; counting its tasks is only needed when it is first seen."""
        known = {record.name: record for record in self._ledger.pipelines()}
        if lab.name in known:
            return known[lab.name]
        controller = self._settings.controller
        # what a FacemapRun selects was asked for: nothing is held that nobody meant to start
        pending = 0 if controller.claimed_only else lab.tasks.count_pending()
        record = self._ledger.see_pipeline(
            lab.name, engine=controller.engine, pending=pending, limit=controller.first_start_limit
        )
        if record.brake:
            _log.warning(
                "Pipeline %s has %d pending tasks at first sight, more than %d: all are held. `fmdj plan` shows what "
                "they will cost, `fmdj release` lets them go",
                *(lab.name, pending, controller.first_start_limit),
            )
        return record

    def _plan(self, lab: Lab, record: PipelineRecord, key: dict[str, Any], tally: Tally) -> None:
        epoch = self._leader.check()
        try:
            task = lab.tasks.get(key)
            if task is not None:
                self._plan_task(lab, record, task, epoch, tally)
        except (ConfigError, DatabaseError):  # of the whole pipeline
            raise
        except FmdjError as error:
            # such as somebody who was quicker with this task; whether we still lead is checked before the next
            tally.trouble(error.sentence)
        except Exception as error:  # one task whose row can't be read must not stop the others
            _log.exception("The task can't be read")
            sentence = (
                f"The task can't be read ({type(error).__name__}: {error}): correct its row and those of its recording."
            )
            self._refuse(lab.tasks.stand_in(key, sentence), FailureClass.CRASH, sentence, "", epoch, tally)

    def _plan_task(self, lab: Lab, record: PipelineRecord, task: TaskRecord, epoch: int, tally: Tally) -> None:
        try:
            planned = plan_task(task, lab.settings, self._store, self._settings, engine=record.engine)
            asked = self._ledger.overrides([task.task_digest]).get(task.task_digest)
            plan = planned.plan if asked is None else overridden(planned.plan, asked, self._settings.controller)
            run = self._ledger.plan(
                task,
                planned.run_id,
                planned.content_digest,
                plan,
                planned.output_dir_uri,
                manifest_verifies=self._verifies,
                epoch=epoch,
            )
        except (DatabaseError, LostRaceError):
            raise
        except InputMissingError as error:
            self._await_input(task, error, epoch, tally)
        except InputError as error:
            self._refuse(task, FailureClass.INPUT, error.sentence, error.check, epoch, tally)
        except (StorageError, ConfigError) as error:
            # not the task's fault: the store is down, or refuses everybody. It passes, or somebody mends it.
            _log.warning("Planning must wait: %s", error.sentence)
            waited_s = self._waited_s(task)
            self._ledger.wait(task, error.sentence, next_look_s(waited_s, self._settings.controller), epoch=epoch)
            tally.counts["waiting"] += 1
        except Exception as error:  # a task that can't be planned for a fault of ours must not stop the others
            _log.exception("Planning failed")
            sentence = (
                f"Planning failed with {type(error).__name__}: {error}. Please report it with the controller's log."
            )
            self._refuse(task, FailureClass.CRASH, sentence, "", epoch, tally)
        else:
            tally.counts["planned"] += 1
            self._tell(run.run_id, planned)

    def _tell(self, run_id: str, planned: PlannedRun) -> None:
        estimate = planned.plan.estimate
        _log.info(
            "Planned as %s: %d frames of %d x %d (%s), about %.0f s",
            *(run_id, estimate.frames, estimate.width, estimate.height, estimate.source, estimate.seconds),
        )
        for note in planned.plan.notes:
            _log.info("Note: %s", note)

    def _await_input(self, task: TaskRecord, error: InputMissingError, epoch: int, tally: Tally) -> None:
        controller = self._settings.controller
        waited_s = self._waited_s(task)
        if waited_s > controller.inputs_wait_h * 3600:
            sentence = f"{error.sentence} It was waited for {waited_s / 3600:.0f} h."
            self._refuse(task, FailureClass.INPUT, sentence, error.check, epoch, tally)
            return
        self._ledger.wait(task, error.sentence, next_look_s(waited_s, controller), epoch=epoch)
        tally.counts["waiting"] += 1
        _log.info("Waiting: %s", error.sentence)

    def _waited_s(self, task: TaskRecord) -> float:
        binding = self._ledger.binding(task.pipeline, task.kind, task.key)
        if binding is None or binding.state is not BindingState.WAITING:
            return 0.0
        return max(0.0, (self._ledger.database.now() - binding.since) / dt.timedelta(seconds=1))

    def _refuse(
        self, task: TaskRecord, failure: FailureClass, sentence: str, check: str, epoch: int, tally: Tally
    ) -> None:
        self._ledger.refuse(task, Outcome(failure_class=failure, sentence=sentence, check=check), epoch=epoch)
        tally.counts["refused"] += 1
        _log.warning("Refused: %s", sentence)

    def _verifies(self, output_dir: str, attempt: int, manifest_sha256: str) -> bool:
        return manifest_verifies(self._store, attempt_folder(output_dir, attempt), manifest_sha256)
