"""Carry out actions, one at a time, each under the leader's epoch."""

from __future__ import annotations

import hashlib
import logging
from typing import assert_never

from fmdj_cloud import names
from fmdj_cloud.contracts import AttemptRecord, FailureClass, JobRequest, Outcome, RunRecord, RunState
from fmdj_cloud.control.actions import (
    Action,
    Cancel,
    Confirm,
    Create,
    Fail,
    Forget,
    Hold,
    Launch,
    Note,
    Publish,
    Retry,
    Stop,
    Supersede,
    Unhold,
)
from fmdj_cloud.control.decide import RunView
from fmdj_cloud.control.launchers.base import Launcher
from fmdj_cloud.control.leader import Leader
from fmdj_cloud.control.measure import show_end
from fmdj_cloud.control.observe import Scene
from fmdj_cloud.control.profiles import Profiles
from fmdj_cloud.control.report import Tally
from fmdj_cloud.control.retry import limits_for
from fmdj_cloud.control.specs import build_spec, spec_bytes, spec_uri
from fmdj_cloud.errors import ConfigError, DatabaseError, FmdjError, ObjectMissingError, StorageError
from fmdj_cloud.logs import log_context
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.telemetry import LAUNCHES

_log = logging.getLogger(__name__)
_CAPTURED = "captured/run.log"
_SPEC_MAX_BYTES = 64 << 20


class Actor:
    """Carries out actions.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    store : Store
    launcher : Launcher
    leader : Leader
    profiles : Profiles
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        launcher: Launcher,
        leader: Leader,
        profiles: Profiles,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._launcher = launcher
        self._leader = leader
        self._profiles = profiles

    def act(self, action: Action, scene: Scene, tally: Tally) -> None:
        """Carry out an action; what fails is reported and decided anew in the next pass.

        Raises
        ------
        LeadershipLostError
            If this process leads no more.
        DatabaseError
            If the database doesn't answer.
        """
        epoch = self._leader.check()
        run_id = "" if isinstance(action, Stop | Forget) else action.run_id
        with log_context(**({"run_id": run_id, "task": scene.view(run_id).run.task} if run_id else {})):
            try:
                self._do(action, scene, epoch, tally)
            except DatabaseError:
                raise
            except FmdjError as error:
                tally.trouble(f"{type(action).__name__} {run_id} failed and is tried again: {error.sentence}")
            except Exception as error:  # one run's trouble must not stop the others
                tally.trouble(f"{type(action).__name__} {run_id} failed: {error}", unforeseen=True)

    def _do(self, action: Action, scene: Scene, epoch: int, tally: Tally) -> None:
        match action:
            case Launch():
                self._launch(scene.view(action.run_id).run, epoch, tally)
            case Create():
                attempt = scene.view(action.run_id).attempt
                if attempt is not None:
                    self._create_again(scene.view(action.run_id).run, attempt, epoch, tally)
            case Confirm():
                self._ledger.confirm(action.run_id, action.attempt, job_uid=action.uid, epoch=epoch)
            case Note():
                self._ledger.note(action.run_id, action.attempt, action.sentence, epoch=epoch)
            case Publish():
                self._note_usage(action, scene, "published", epoch)
                done = self._ledger.publish(action.run_id, action.attempt, action.manifest_sha256, epoch=epoch)
                self._tell(done, "published", tally, f"Attempt {action.attempt} has published")
            case Retry():
                self._capture_log(action, scene)
                self._note_usage(action, scene, str(action.outcome.failure_class), epoch)
                done = self._ledger.retry(
                    action.run_id,
                    action.attempt,
                    action.outcome,
                    not_before_s=action.not_before_s,
                    epoch=epoch,
                    silent_s=action.silent_s,
                )
                wait = f"again in {action.not_before_s:.0f} s" if action.not_before_s else "again at once"
                self._tell(done, "retried", tally, f"Attempt {action.attempt} failed, {wait}: {_words(action.outcome)}")
                self._tell_job(done, "Retried", action.outcome, scene.view(action.run_id))
            case Fail():
                self._capture_log(action, scene)
                self._note_usage(action, scene, str(action.outcome.failure_class), epoch)
                done = self._ledger.fail(action.run_id, action.state, action.attempt, action.outcome, epoch=epoch)
                self._tell(done, "failed", tally, f"Failed for good: {_words(action.outcome)}")
                self._tell_job(done, "Failed", action.outcome, scene.view(action.run_id))
            case Hold():
                done = self._ledger.hold(action.run_id, action.state, action.attempt, epoch=epoch)
                self._tell(done, "ended", tally, "Held")
            case Unhold():
                done = self._ledger.unhold(action.run_id, action.attempt, epoch=epoch)
                self._tell(done, "ended", tally, "Released")
            case Cancel():
                done = self._ledger.cancel(action.run_id, action.state, action.attempt, epoch=epoch)
                self._tell(done, "ended", tally, "Cancelled")
            case Supersede():
                done = self._ledger.supersede(
                    action.run_id,
                    action.state,
                    action.attempt,
                    action.why,
                    epoch=epoch,
                    count_changed=action.count_changed,
                )
                self._tell(done, "ended", tally, f"Superseded: {action.why}")
            case Stop():
                self._launcher.stop(action.job_name, action.why)
            case Forget():
                self._discard_unfinished(action.job_name, scene)
                self._launcher.forget(action.job_name)
            case _:
                assert_never(action)

    def _launch(self, run: RunRecord, epoch: int, tally: Tally) -> None:
        plan = self._ledger.plan_of(run.run_id)
        limits = limits_for(plan.limits, run.failures, self._settings.controller.retry, self._profiles.bounds(run))
        spec = build_spec(run, plan, run.attempt, limits, accept=self._ledger.accepted(run))
        data, sha256 = spec_bytes(spec)
        # the ledger first: who leads no more must not write over the spec of who does
        launched = self._ledger.launch(
            run.run_id,
            run.attempt,
            folder=spec.attempt_uri,
            spec_sha256=sha256,
            launcher=self._launcher.name,
            job_name=names.job_name(run.run_id, run.attempt, self._settings.instance),
            limits=limits,
            epoch=epoch,
        )
        attempt = self._ledger.attempt(run.run_id, run.attempt) if launched else None
        if attempt is not None:
            self._tell(True, "launched", tally, f"Attempt {run.attempt} is launched")
            LAUNCHES.labels(run.kind, run.pipeline).inc()
            self._store.put_bytes(spec_uri(attempt.folder), data)
            self._create(run, attempt, epoch, tally)

    def _create_again(self, run: RunRecord, attempt: AttemptRecord, epoch: int, tally: Tally) -> None:
        """Create the Job of a launched run; who launched it may have died before its spec was written."""
        plan = self._ledger.plan_of(run.run_id)
        spec = build_spec(run, plan, attempt.attempt, attempt.limits, accept=self._ledger.accepted(run))
        data, sha256 = spec_bytes(spec)
        if sha256 == attempt.spec_sha256:
            self._store.put_bytes(spec_uri(attempt.folder), data)
        elif not self._has_spec(attempt):
            # a check was accepted since, or another version launched it: nobody can write its spec any more
            sentence = f"The controller ended before it had written the spec of attempt {attempt.attempt}."
            outcome = Outcome(failure_class=FailureClass.DISRUPTED, sentence=sentence)
            done = self._ledger.retry(run.run_id, attempt.attempt, outcome, not_before_s=0.0, epoch=epoch)
            self._tell(done, "retried", tally, f"Attempt {attempt.attempt} is given up: {sentence}")
            return
        self._create(run, attempt, epoch, tally)

    def _has_spec(self, attempt: AttemptRecord) -> bool:
        try:
            data = self._store.get_bytes(spec_uri(attempt.folder), max_bytes=_SPEC_MAX_BYTES)
        except ObjectMissingError:
            return False
        return hashlib.sha256(data).hexdigest() == attempt.spec_sha256

    def _create(self, run: RunRecord, attempt: AttemptRecord, epoch: int, tally: Tally) -> None:
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
        )
        try:
            uid = self._launcher.create(request)
        except ConfigError as error:
            outcome = Outcome(failure_class=FailureClass.CONFIG, sentence=error.sentence)
            done = self._ledger.fail(run.run_id, RunState.LAUNCHED, attempt.attempt, outcome, epoch=epoch)
            self._tell(done, "failed", tally, f"Failed for good: {error.sentence}")
        else:
            self._ledger.confirm(run.run_id, attempt.attempt, job_uid=uid, epoch=epoch)

    def _note_usage(self, action: Publish | Retry | Fail, scene: Scene, outcome: str, epoch: int) -> None:
        """Record and count what an attempt took; whose it is in the end is decided afterwards."""
        view = scene.view(action.run_id)
        gpu_s = 0.0
        if view.job is not None and view.attempt is not None:
            gpu_s = (view.job.on_node_s or 0.0) * view.attempt.limits.gpu
            if view.job.node or gpu_s:
                self._ledger.note_usage(action.run_id, action.attempt, node=view.job.node, gpu_s=gpu_s, epoch=epoch)
        show_end(view.run, view.attempt, outcome, gpu_s, scene.now)

    def _capture_log(self, action: Retry | Fail, scene: Scene) -> None:
        """Keep what the worker wrote last, where it left no last word itself; the failure stands without it."""
        view = scene.view(action.run_id)
        if view.job is None or view.attempt is None or not view.job.nonces or "code" in action.outcome.evidence:
            return
        text = self._launcher.read_log(view.job.name)
        if not text:
            return
        try:
            uri = f"{view.attempt.folder}/{view.job.nonces[-1]}/{_CAPTURED}"
            self._store.put_bytes(uri, text.encode("utf-8", "replace"))
        except (StorageError, ConfigError) as error:
            _log.warning("The log of %s can't be kept: %s", view.job.name, error.sentence)

    def _discard_unfinished(self, job_name: str, scene: Scene) -> None:
        """Clear away what the uploads of a killed worker left: they cost the bucket's owner and nobody sees them."""
        job = scene.job(job_name)
        attempt = self._ledger.attempt(job.run_id, job.attempt)
        if attempt is None:
            return
        for nonce in job.nonces:
            try:
                self._store.discard_unfinished(f"{attempt.folder}/{nonce}")
            except (StorageError, ConfigError) as error:
                _log.warning("What uploads of %s have left can't be discarded: %s", job_name, error.sentence)

    def _tell(self, done: bool, what: str, tally: Tally, sentence: str) -> None:
        if done:
            tally.counts[what] += 1
            _log.info("%s", sentence)
        else:
            _log.info("Somebody was quicker; not done: %s", sentence)

    def _tell_job(self, done: bool, what: str, outcome: Outcome, view: RunView) -> None:
        if done and view.job is not None:
            self._launcher.tell(view.job.name, what, _words(outcome))


def _words(outcome: Outcome) -> str:
    return f"{outcome.failure_class}: {outcome.sentence}"
