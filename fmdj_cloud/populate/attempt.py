"""One attempt of a run, computed by a worker of this process, which shows itself until the worker is done."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import NoReturn

from fmdj_cloud.contracts import FailureClass, Outcome, RunRecord, RunState, Wanted
from fmdj_cloud.control.profiles import Machine
from fmdj_cloud.control.retry import Again, next_step
from fmdj_cloud.control.specs import spec_uri
from fmdj_cloud.errors import (
    BudgetError,
    ChangedError,
    ConfigError,
    CrashError,
    DatabaseError,
    DiskFullError,
    FmdjError,
    GpuError,
    InputError,
    LostRaceError,
    MemoryExhaustedError,
    StoppedError,
    StorageError,
)
from fmdj_cloud.load.scratch import scratch_folder
from fmdj_cloud.names import new_nonce
from fmdj_cloud.pipeline.ledger_populate import Launching, PopulateLedger
from fmdj_cloud.populate.work import Leash, Work, now
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import read_manifest

_log = logging.getLogger(__name__)
_OVERDUE_S = 600.0
"""The worker keeps its time budget itself; the leash ends one that doesn't, so much later."""
_LEASH_SHARE = 0.6
"""Of the time after which a silent run is free: the worker is dead by then."""
_CAPTURED = "captured/run.log"
_ERRORS: dict[FailureClass, type[FmdjError]] = {
    FailureClass.CONFIG: ConfigError,
    FailureClass.CHANGED: ChangedError,
    FailureClass.STORAGE: StorageError,
    FailureClass.MEMORY: MemoryExhaustedError,
    FailureClass.DISK: DiskFullError,
    FailureClass.GPU: GpuError,
    FailureClass.DISRUPTED: StoppedError,
    FailureClass.VANISHED: StoppedError,
    FailureClass.BUDGET: BudgetError,
}


class Attempter:
    """Computes attempts.

    Parameters
    ----------
    settings : Settings
    ledger : PopulateLedger
    store : Store
    command : sequence of str
        How a worker is started; its arguments follow.
    environment : mapping of str to str
        Of the worker.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: PopulateLedger,
        store: Store,
        command: Sequence[str],
        environment: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._command = tuple(command)
        self._environment = environment

    def compute(self, run: RunRecord, launching: Launching) -> RunRecord:
        """Compute an attempt that this process has claimed, and return the published run.

        Parameters
        ----------
        run : RunRecord
            Launched, by this process.
        launching : Launching

        Raises
        ------
        FmdjError
            Of the class of the failure, with the worker's sentence; the ledger has it, too. The run is failed
            or, where the controller would try again, ready for that.
        LostRaceError
            If this process was taken for dead, and the run goes on elsewhere.
        """
        try:
            outcome = self._work(run, launching)
        except FmdjError as error:
            if not isinstance(error, DatabaseError | LostRaceError | StoppedError):
                failure = FailureClass.STORAGE if isinstance(error, StorageError) else FailureClass.CONFIG
                self._settle(run, launching, Outcome(failure_class=failure, sentence=error.sentence))
            raise
        except BaseException as error:  # interrupted: somebody may go on at once
            sentence = f"populate() ended with {type(error).__name__} while it was computed."
            self._settle(run, launching, Outcome(failure_class=FailureClass.DISRUPTED, sentence=sentence))
            raise
        found = read_manifest(self._store, launching.folder, run, run.attempt, launching.spec_sha256)
        if found is not None:
            return self.publish(run, found[1])
        if outcome.ok:
            sentence = "The worker ended without an error but published no valid manifest: see its log."
            outcome = outcome.model_copy(update={"failure_class": FailureClass.CRASH, "sentence": sentence})
        self._settle(run, launching, outcome)
        _raise(outcome)

    def publish(self, run: RunRecord, manifest_sha256: str) -> RunRecord:
        """Pin the manifest of a run's current attempt, and return the run as it is then.

        Raises
        ------
        LostRaceError
            If the run is no longer in that attempt.
        """
        ours = self._ledger.publish(run.run_id, run.attempt, manifest_sha256, epoch=None)
        found = self._ledger.run(run.run_id)
        # the controller may have been quicker: a valid manifest is published, whoever finds it
        done = found is not None and (found.state, found.attempt) == (RunState.PUBLISHED, run.attempt)
        if found is None or not (ours or done):
            raise LostRaceError(f"Run {run.run_id} goes on elsewhere: what was computed here is not used.")
        return found

    def _work(self, run: RunRecord, launching: Launching) -> Outcome:
        controller = self._settings.controller
        leash = Leash(
            silent_s=_LEASH_SHARE * controller.populate_silent_s,
            grace_s=min(self._settings.local.stop_grace_s, controller.populate_silent_s / 10),
            deadline_s=launching.limits.time_budget_s + _OVERDUE_S,
        )
        uri, nonce = spec_uri(launching.folder), new_nonce()
        since = now()
        if self._ledger.show(run.run_id, run.attempt) is None:
            raise LostRaceError(f"Run {run.run_id} was taken by somebody else before it could start.")
        self._store.put_bytes(uri, launching.spec)
        command = [*self._command, "--spec", uri, "--sha256", launching.spec_sha256, "--nonce", nonce]
        with scratch_folder(self._settings.load.workdir) as folder:
            work = Work(command, self._environment, folder, since, leash)
            try:
                outcome = self._attend(run, work)
            except BaseException:
                work.stop()
                work.wait()
                raise
            finally:
                work.close()
            if not outcome.ok and "code" not in outcome.evidence:
                self._keep_log(f"{launching.folder}/{nonce}/{_CAPTURED}", work.log())
            return outcome

    def _attend(self, run: RunRecord, work: Work) -> Outcome:
        """Wait for the worker's end, and show this process until then."""
        beat_s = self._settings.controller.populate_beat_s
        due = time.monotonic() + beat_s
        while (outcome := work.wait(max(0.0, due - time.monotonic()))) is None:
            due = time.monotonic() + beat_s
            when = now()
            try:
                seen = self._ledger.show(run.run_id, run.attempt)
            except DatabaseError as error:  # it may come back; if not, the leash ends the worker in time
                _log.warning("Can't be shown to run: %s", error.sentence)
                continue
            if seen is None:
                raise LostRaceError(f"Run {run.run_id} goes on elsewhere: this process was taken for dead.")
            if seen.wanted is not Wanted.RUN:
                self._end_as_wanted(seen, work)
            work.renew(when)
        return outcome

    def _end_as_wanted(self, run: RunRecord, work: Work) -> NoReturn:
        work.stop()
        work.wait()
        word = "cancelled" if run.wanted is Wanted.CANCEL else "held"
        sentence = f"Run {run.run_id} was {word} while populate() computed it."
        change = self._ledger.cancel if run.wanted is Wanted.CANCEL else self._ledger.hold
        change(run.run_id, RunState.LAUNCHED, run.attempt, sentence=sentence)
        raise StoppedError(sentence)

    def _settle(self, run: RunRecord, launching: Launching, outcome: Outcome) -> None:
        """Record a failure as the controller would."""
        controller = self._settings.controller
        if outcome.failure_class is FailureClass.CHANGED:
            done = self._ledger.supersede(
                run.run_id, RunState.LAUNCHED, run.attempt, outcome.sentence, count_changed=True
            )
        else:
            bounds = Machine(controller).bounds(run)
            step = next_step(outcome, run.failures, launching.limits, run.attempt, run.run_id, controller.retry, bounds)
            if isinstance(step, Again):
                wait = step.not_before_s
                done = self._ledger.retry(run.run_id, run.attempt, outcome, not_before_s=wait, epoch=None)
            else:
                done = self._ledger.fail(run.run_id, RunState.LAUNCHED, run.attempt, step.outcome)
        if not done:
            _log.info("Run %s goes on elsewhere: how it ended here isn't recorded.", run.run_id)

    def _keep_log(self, uri: str, text: str) -> None:
        """Keep what the worker wrote last, where it left no last word itself; the failure stands without it."""
        if not text:
            return
        try:
            self._store.put_bytes(uri, text.encode("utf-8", "replace"))
            _log.error("The worker's log is kept as %s.", uri)
        except (StorageError, ConfigError) as error:
            _log.warning("The worker's log can't be kept: %s", error.sentence)


def _raise(outcome: Outcome) -> NoReturn:
    failure = outcome.failure_class or FailureClass.CRASH
    if failure is FailureClass.INPUT:
        raise InputError(outcome.sentence, check=outcome.check)
    raise _ERRORS.get(failure, CrashError)(outcome.sentence)
