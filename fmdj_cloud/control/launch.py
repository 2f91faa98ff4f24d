"""Start attempts and their stages: first the ledger, then the spec, then the Job."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

from fmdj_cloud import names
from fmdj_cloud.contracts import AttemptRecord, FailureClass, JobRequest, Kind, Outcome, RunRecord, RunState, Stage
from fmdj_cloud.contracts.shards import first_stage
from fmdj_cloud.control.actions import Advance, Launch
from fmdj_cloud.control.courtesy import Courtesy
from fmdj_cloud.control.launchers.base import Launcher
from fmdj_cloud.control.outbox import Send
from fmdj_cloud.control.profiles import Profiles
from fmdj_cloud.control.report import Tally
from fmdj_cloud.control.retry import limits_for
from fmdj_cloud.control.slots import pods_at_first
from fmdj_cloud.control.specs import build_spec, read_spec, spec_bytes, spec_uri
from fmdj_cloud.errors import ConfigError, ObjectMissingError
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.telemetry import LAUNCHES, STAGES

_log = logging.getLogger(__name__)


class Starter:
    """Starts attempts and their stages.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    store : Store
    launcher : Launcher
    profiles : Profiles
    courtesy : Courtesy
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        launcher: Launcher,
        profiles: Profiles,
        courtesy: Courtesy,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._launcher = launcher
        self._profiles = profiles
        self._courtesy = courtesy

    def launch(self, action: Launch, run: RunRecord, epoch: int, tally: Tally, send: Send) -> None:
        """Start the current attempt of a ready run with its first stage, unless somebody else has the task in hand."""
        put_off = self._courtesy.take(run)
        if put_off is not None:
            self._courtesy.leave(run, put_off, epoch, tally)
            return
        plan = self._ledger.plan_of(run.run_id)
        limits = limits_for(plan.limits, run.failures, self._settings.controller.retry, self._profiles.bounds(run))
        spec = build_spec(run, plan, run.attempt, limits, accept=self._ledger.accepted(run))
        data, sha256 = spec_bytes(spec)
        stage = first_stage(run.shards, has_basis=run.kind is Kind.SVD)
        # the ledger first: who leads no more must not write over the spec of who does
        launched = self._ledger.launch(
            run.run_id,
            run.attempt,
            folder=spec.attempt_uri,
            spec_sha256=sha256,
            launcher=self._launcher.name,
            job_name=self._job_name(run, run.attempt, stage),
            limits=limits,
            epoch=epoch,
            stage=stage,
            shards=pods_at_first(run),
            pods=action.pods,
        )
        attempt = self._ledger.attempt(run.run_id, run.attempt) if launched else None
        if attempt is not None:
            tally.tell(True, "launched", f"Attempt {run.attempt} is launched{_of_stage(attempt)}")
            LAUNCHES.labels(run.kind, run.pipeline).inc()
            self._create(run, attempt, epoch, tally, send, spec=data)

    def advance(self, action: Advance, run: RunRecord, epoch: int, tally: Tally, send: Send) -> None:
        """Begin the stage that follows one whose commit is there."""
        done = self._ledger.advance(
            run.run_id,
            action.attempt,
            action.stage,
            action.following,
            launcher=self._launcher.name,
            job_name=self._job_name(run, action.attempt, action.following),
            shards=action.shards,
            pods=action.pods,
            epoch=epoch,
        )
        attempt = self._ledger.attempt(run.run_id, action.attempt) if done else None
        tally.tell(attempt is not None, "advanced", f"Stage {action.stage} of attempt {action.attempt} is done")
        if attempt is not None:
            STAGES.labels(action.stage, run.kind, run.pipeline).inc()
            self._create(run, attempt, epoch, tally, send)

    def create_again(self, run: RunRecord, attempt: AttemptRecord, epoch: int, tally: Tally, send: Send) -> None:
        """Create the Job of a launched run; who launched it may have died before its spec was written."""
        plan = self._ledger.plan_of(run.run_id)
        spec = build_spec(run, plan, attempt.attempt, attempt.limits, accept=self._ledger.accepted(run))
        data, sha256 = spec_bytes(spec)
        if sha256 == attempt.spec_sha256:
            self._create(run, attempt, epoch, tally, send, spec=data)
            return
        if not self._has_spec(attempt):
            # a check was accepted since, or another version launched it: nobody can write its spec any more
            sentence = f"The controller ended before it had written the spec of attempt {attempt.attempt}."
            outcome = Outcome(failure_class=FailureClass.DISRUPTED, sentence=sentence)
            done = self._ledger.retry(run.run_id, attempt.attempt, outcome, not_before_s=0.0, epoch=epoch)
            tally.tell(done, "retried", f"Attempt {attempt.attempt} is given up: {sentence}")
            return
        self._create(run, attempt, epoch, tally, send)

    def _job_name(self, run: RunRecord, attempt: int, stage: Stage) -> str:
        return names.job_name(run.run_id, attempt, self._settings.instance, stage)

    def _has_spec(self, attempt: AttemptRecord) -> bool:
        try:
            data = read_spec(self._store, attempt.folder)
        except ObjectMissingError:
            return False
        return hashlib.sha256(data).hexdigest() == attempt.spec_sha256

    def _create(
        self, run: RunRecord, attempt: AttemptRecord, epoch: int, tally: Tally, send: Send, spec: bytes | None = None
    ) -> None:
        """Make an attempt's Job, its spec first if that is to be written."""
        request = JobRequest(
            name=attempt.job_name,
            run_id=run.run_id,
            attempt=attempt.attempt,
            kind=run.kind,
            spec_uri=spec_uri(attempt.folder),
            spec_sha256=attempt.spec_sha256,
            limits=attempt.limits,
            pipeline=run.pipeline,
            task=run.task,
            profile=run.profile,
            disruptions=run.failures.get(FailureClass.DISRUPTED.value, 0),
            stage=attempt.stage,
            shards=attempt.shards,
            pods=attempt.pods,
        )

        def make() -> str | ConfigError:
            if spec is not None:
                self._store.put_bytes(spec_uri(attempt.folder), spec)
            try:
                return self._launcher.create(request)
            except ConfigError as error:  # what is wrong with the store is tried again, what is wrong with the Job not
                return error

        def note(made: Callable[[], str | ConfigError]) -> None:
            uid = made()
            if isinstance(uid, ConfigError):
                outcome = Outcome(failure_class=FailureClass.CONFIG, sentence=uid.sentence)
                done = self._ledger.fail(run.run_id, RunState.LAUNCHED, attempt.attempt, outcome, epoch=epoch)
                tally.tell(done, "failed", f"Failed for good: {uid.sentence}")
            else:
                self._ledger.confirm(run.run_id, attempt.attempt, job_uid=uid, epoch=epoch, stage=attempt.stage)

        send(make, note)


def _of_stage(attempt: AttemptRecord) -> str:
    if attempt.stage is Stage.ALL:
        return ""
    pods = f", {attempt.pods} of {attempt.shards} shards at a time" if attempt.shards > 1 else ""
    return f" with stage {attempt.stage.value}{pods}"
