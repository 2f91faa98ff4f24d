"""Plan pending tasks: each becomes a run, waits, or is refused with a sentence. The shell around :mod:`plan`."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Iterable
from functools import partial

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, Outcome, PipelineRecord, RunPlan, TaskRecord
from fmdj_cloud.control.courtesy import Courtesy, PutOff
from fmdj_cloud.control.drafts import Draft, Drafter, Due
from fmdj_cloud.control.facemapruns.overrides import overridden
from fmdj_cloud.control.leader import Leader
from fmdj_cloud.control.outbox import AT_A_TIME, FEW, in_advance
from fmdj_cloud.control.report import Tally
from fmdj_cloud.control.sharding import sharded
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
from fmdj_cloud.names import attempt_folder, canonical_key, display_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.turns import in_turn
from fmdj_cloud.settings import ControllerSettings, Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import manifest_verifies

_log = logging.getLogger(__name__)


def next_look_s(waited_s: float, settings: ControllerSettings) -> float:
    """Return after how many seconds to look for an input again: as long as it was waited for, within bounds."""
    return max(settings.inputs_look_s, min(settings.inputs_look_max_s, waited_s))


Guard = Callable[[Lab, Callable[[], object]], bool]


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
    courtesy : Courtesy
        Knows which tasks somebody else has in hand.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        leader: Leader,
        clock: Callable[[], float],
        courtesy: Courtesy,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._leader = leader
        self._clock = clock
        self._courtesy = courtesy
        self._drafter = Drafter(settings, store)

    def plan_pending(self, labs: Iterable[Lab], guarded: Guard, tally: Tally) -> None:
        """Plan pending tasks of pipelines in turn, as many of each as one pass takes.

        Parameters
        ----------
        labs : iterable of Lab
        guarded : callable
            Does something for a pipeline; False if that failed, and nothing more is done for it in this pass.
        tally : Tally
        """
        due: list[Due] = []
        for lab in labs:
            before = len(due)
            guarded(lab, partial(self._add_due, lab, due))
            tally.unplanned |= len(due) - before >= self._settings.controller.plan_batch
        give_up = self._clock() + self._settings.controller.lease_s
        broken: set[str] = set()
        at_a_time = AT_A_TIME if len(due) > FEW else 1
        turns = in_turn(due, lambda one: one.lab.name)
        with contextlib.closing(in_advance(turns, self._drafter.prepare, at_a_time)) as drafts:
            for one, draft in drafts:
                if self._clock() > give_up:
                    return
                if one.lab.name not in broken and not guarded(one.lab, partial(self._plan, one, draft, tally)):
                    broken.add(one.lab.name)

    def _add_due(self, lab: Lab, due: list[Due]) -> None:
        """Find the tasks of a pipeline to plan in this pass, the most urgent first."""
        self._leader.check()
        record = self._see(lab)
        if record.brake:
            return
        pending = lab.pending(self._settings.controller.plan_batch)
        elsewhere: dict[tuple[Kind, str], PutOff] = {}
        for tasks in lab.tables:
            keys = [key for table, key in pending if table is tasks]
            elsewhere |= {(tasks.kind, key): why for key, why in self._courtesy.others(lab, tasks, keys).items()}
        due += [Due(lab, tasks, record, key, elsewhere.get((tasks.kind, canonical_key(key)))) for tasks, key in pending]

    def _see(self, lab: Lab) -> PipelineRecord:
        """Return the pipeline's record; counting its tasks is only needed when it is first seen."""
        known = {record.name: record for record in self._ledger.pipelines()}
        if lab.name in known:
            return known[lab.name]
        controller = self._settings.controller
        # what a FacemapRun selects was asked for: nothing is held that nobody meant to start
        pending = 0 if controller.claimed_only else lab.count_pending()
        record = self._ledger.see_pipeline(
            lab.name,
            engine=controller.engine,
            pending=pending,
            limit=controller.first_start_limit,
            basis=controller.basis,
        )
        if record.brake:
            _log.warning(
                "Pipeline %s has %d pending tasks at first sight, more than %d: all are held. `fmdj plan` shows what "
                "they will cost, `fmdj release` lets them go",
                *(lab.name, pending, controller.first_start_limit),
            )
        return record

    def _plan(self, due: Due, draft: Callable[[], Draft], tally: Tally) -> None:
        with log_context(task=display_key(due.key)):
            self._plan_one(due, draft, tally)

    def _plan_one(self, due: Due, draft: Callable[[], Draft], tally: Tally) -> None:
        epoch = self._leader.check()
        tasks, key = due.tasks, due.key
        try:
            drafted = draft()
            task = drafted.task
            if task is not None and due.elsewhere is not None:
                self._ledger.wait(task, due.elsewhere.sentence, due.elsewhere.look_s, epoch=epoch)
                tally.counts["waiting"] += 1
                _log.info("Waiting: %s", due.elsewhere.sentence)
            elif task is not None:
                self._plan_task(task, drafted, epoch, tally)
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
            self._refuse(tasks.stand_in(key, sentence), FailureClass.CRASH, sentence, "", epoch, tally)

    def _plan_task(self, task: TaskRecord, draft: Draft, epoch: int, tally: Tally) -> None:
        try:
            planned = draft.planned()
            asked = self._ledger.overrides([task.task_digest]).get(task.task_digest)
            controller = self._settings.controller
            plan = sharded(planned.plan, "", controller)
            if asked is not None:
                plan = overridden(plan, asked, controller)
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
            self._tell(run.run_id, plan)

    def _tell(self, run_id: str, plan: RunPlan) -> None:
        estimate = plan.estimate
        _log.info(
            "Planned as %s: %d frames of %d x %d (%s), about %.0f s",
            *(run_id, estimate.frames, estimate.width, estimate.height, estimate.source, estimate.seconds),
        )
        for note in plan.notes:
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
        outcome = Outcome(failure_class=failure, sentence=sentence, check=check)
        self._ledger.refuse(task, outcome, epoch=epoch)
        self._courtesy.refuse(task, outcome)
        tally.counts["refused"] += 1
        _log.warning("Refused: %s", sentence)

    def _verifies(self, output_dir: str, attempt: int, manifest_sha256: str) -> bool:
        return manifest_verifies(self._store, attempt_folder(output_dir, attempt), manifest_sha256)
