"""Carry out actions, one at a time, each under the leader's epoch; where there are many, requests overlap."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar, assert_never

from fmdj_cloud.contracts import AttemptRecord, JobObservation, Outcome
from fmdj_cloud.control.actions import (
    Action,
    Advance,
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
from fmdj_cloud.control.courtesy import Courtesy
from fmdj_cloud.control.decide import RunView
from fmdj_cloud.control.launch import Starter
from fmdj_cloud.control.launchers.base import Launcher
from fmdj_cloud.control.leader import Leader
from fmdj_cloud.control.measure import show_end, show_usage
from fmdj_cloud.control.observe import Scene
from fmdj_cloud.control.outbox import AT_A_TIME, FEW, Outbox, Send
from fmdj_cloud.control.profiles import Profiles
from fmdj_cloud.control.report import Tally
from fmdj_cloud.errors import ConfigError, DatabaseError, FmdjError, StorageError
from fmdj_cloud.logs import log_context
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store

_log = logging.getLogger(__name__)
_CAPTURED = "captured/run.log"
T = TypeVar("T")


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
    courtesy : Courtesy
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        store: Store,
        launcher: Launcher,
        leader: Leader,
        profiles: Profiles,
        courtesy: Courtesy,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._launcher = launcher
        self._leader = leader
        self._starter = Starter(settings, ledger, store, launcher, profiles, courtesy)
        self._late: tuple[Outbox, Tally] | None = None
        """Requests of the last pass that may still be under way, and where what follows from them is told."""

    def act_all(self, actions: Iterable[Action], scene: Scene, tally: Tally) -> None:
        """Carry out actions in their order; what fails is reported and decided anew in the next pass.

        Where the next pass begins at once, it plans while the slowest requests of this one are still being answered:
        :meth:`settle` comes before anything is decided again.

        Raises
        ------
        LeadershipLostError
            If this process leads no more.
        DatabaseError
            If the database doesn't answer.
        """
        actions = tuple(actions)
        many = sum(isinstance(action, Launch | Forget) for action in actions) > FEW
        outbox = Outbox(AT_A_TIME if many else 1)
        try:
            for action in actions:
                self._act(action, scene, tally, outbox)
        except BaseException:
            outbox.drop()
            raise
        self._late = (outbox, tally)
        if not tally.report(leading=True).hurries:
            self.settle(tally)

    def settle(self, tally: Tally) -> None:
        """Wait for the requests of the last pass, and do and tell what follows from them.

        Parameters
        ----------
        tally : Tally
            Of the pass that waits.

        Raises
        ------
        LeadershipLostError, DatabaseError
            As :meth:`act_all`.
        """
        if self._late is None:
            return
        (outbox, theirs), self._late = self._late, None
        if theirs is tally:
            outbox.settle()
            return
        theirs.clear()  # the pass that sent them has reported
        try:
            outbox.settle()
        finally:
            tally.add(theirs)

    def drop(self) -> None:
        """Let nothing follow from what is still under way: another leads, or nobody does."""
        if self._late is not None:
            (outbox, _), self._late = self._late, None
            outbox.drop()

    def _act(self, action: Action, scene: Scene, tally: Tally, outbox: Outbox) -> None:
        epoch = self._leader.check()
        run_id = "" if isinstance(action, Stop | Forget) else action.run_id

        def guarded(do: Callable[[], None]) -> None:
            try:
                do()
            except DatabaseError:
                raise
            except FmdjError as error:
                tally.trouble(f"{type(action).__name__} {run_id} failed and is tried again: {error.sentence}")
            except Exception as error:  # one run's trouble must not stop the others
                tally.trouble(f"{type(action).__name__} {run_id} failed: {error}", unforeseen=True)

        def send(request: Callable[[], T], then: Callable[[Callable[[], T]], None]) -> None:
            outbox.send(request, lambda answer: guarded(lambda: then(answer)))

        with log_context(**({"run_id": run_id, "task": scene.view(run_id).run.task} if run_id else {})):
            guarded(lambda: self._do(action, scene, epoch, tally, send))

    def _do(self, action: Action, scene: Scene, epoch: int, tally: Tally, send: Send) -> None:
        match action:
            case Launch():
                self._starter.launch(action, scene.view(action.run_id).run, epoch, tally, send)
            case Advance():
                self._note_usage(action, scene, epoch)
                self._starter.advance(action, scene.view(action.run_id).run, epoch, tally, send)
            case Create():
                attempt = scene.view(action.run_id).attempt
                if attempt is not None:
                    self._starter.create_again(scene.view(action.run_id).run, attempt, epoch, tally, send)
            case Confirm():
                self._ledger.confirm(action.run_id, action.attempt, job_uid=action.uid, epoch=epoch, stage=action.stage)
            case Note():
                self._ledger.note(action.run_id, action.attempt, action.sentence, epoch=epoch)
            case Publish():
                self._note_end(action, scene, "published", epoch)
                done = self._ledger.publish(action.run_id, action.attempt, action.manifest_sha256, epoch=epoch)
                tally.tell(done, "published", f"Attempt {action.attempt} has published")
            case Retry():
                self._capture_log(action, scene)
                self._note_end(action, scene, str(action.outcome.failure_class), epoch)
                done = self._ledger.retry(
                    action.run_id,
                    action.attempt,
                    action.outcome,
                    not_before_s=action.not_before_s,
                    epoch=epoch,
                    silent_s=action.silent_s,
                )
                wait = f"again in {action.not_before_s:.0f} s" if action.not_before_s else "again at once"
                tally.tell(done, "retried", f"Attempt {action.attempt} failed, {wait}: {_words(action.outcome)}")
                self._tell_job(done, "Retried", action.outcome, scene.view(action.run_id))
            case Fail():
                self._capture_log(action, scene)
                self._note_end(action, scene, str(action.outcome.failure_class), epoch)
                done = self._ledger.fail(action.run_id, action.state, action.attempt, action.outcome, epoch=epoch)
                tally.tell(done, "failed", f"Failed for good: {_words(action.outcome)}")
                self._tell_job(done, "Failed", action.outcome, scene.view(action.run_id))
            case Hold():
                done = self._ledger.hold(action.run_id, action.state, action.attempt, epoch=epoch)
                tally.tell(done, "ended", "Held")
            case Unhold():
                done = self._ledger.unhold(action.run_id, action.attempt, epoch=epoch)
                tally.tell(done, "ended", "Released")
            case Cancel():
                done = self._ledger.cancel(action.run_id, action.state, action.attempt, epoch=epoch)
                tally.tell(done, "ended", "Cancelled")
            case Supersede():
                done = self._ledger.supersede(
                    action.run_id,
                    action.state,
                    action.attempt,
                    action.why,
                    epoch=epoch,
                    count_changed=action.count_changed,
                )
                tally.tell(done, "ended", f"Superseded: {action.why}")
            case Stop():
                self._launcher.stop(action.job_name, action.why)
            case Forget():
                self._forget(action.job_name, scene, send)
            case _:
                assert_never(action)

    def _note_usage(self, action: Advance | Publish | Retry | Fail, scene: Scene, epoch: int) -> None:
        """Record and count what the Job of a stage took; whose it is in the end is decided afterwards."""
        view = scene.view(action.run_id)
        if view.job is None or view.attempt is None:
            return
        gpu_s = (view.job.on_node_s or 0.0) * view.attempt.limits.gpu
        if view.job.node or gpu_s:
            self._ledger.note_usage(
                action.run_id,
                action.attempt,
                node=view.job.node,
                gpu_s=gpu_s,
                epoch=epoch,
                stage=view.attempt.stage,
            )
        show_usage(view.run, gpu_s)

    def _note_end(self, action: Publish | Retry | Fail, scene: Scene, outcome: str, epoch: int) -> None:
        """Record what the last Job of an attempt took, and count the attempt."""
        self._note_usage(action, scene, epoch)
        view = scene.view(action.run_id)
        show_end(view.run, view.attempt, outcome, scene.now)

    def _capture_log(self, action: Retry | Fail, scene: Scene) -> None:
        """Keep what the worker wrote last, where it left no last word itself; the failure stands without it."""
        view = scene.view(action.run_id)
        if view.job is None or view.attempt is None or not view.job.nonces or "code" in action.outcome.evidence:
            return
        nonce = view.job.spoke or view.job.nonces[-1]
        text = self._launcher.read_log(view.job.name, nonce)
        if not text:
            return
        try:
            uri = f"{view.attempt.folder}/{nonce}/{_CAPTURED}"
            self._store.put_bytes(uri, text.encode("utf-8", "replace"))
        except (StorageError, ConfigError) as error:
            _log.warning("The log of %s can't be kept: %s", view.job.name, error.sentence)

    def _forget(self, job_name: str, scene: Scene, send: Send) -> None:
        job = scene.job(job_name)
        attempt = self._ledger.attempt(job.run_id, job.attempt)

        def clear() -> None:
            if attempt is not None:
                self._discard_unfinished(job, attempt)
            self._launcher.forget(job_name)

        send(clear, lambda cleared: cleared())

    def _discard_unfinished(self, job: JobObservation, attempt: AttemptRecord) -> None:
        """Clear away what the uploads of a killed worker left: they cost the bucket's owner and nobody sees them."""
        for nonce in job.nonces:
            try:
                self._store.discard_unfinished(f"{attempt.folder}/{nonce}")
            except (StorageError, ConfigError) as error:
                _log.warning("What uploads of %s have left can't be discarded: %s", job.name, error.sentence)

    def _tell_job(self, done: bool, what: str, outcome: Outcome, view: RunView) -> None:
        if done and view.job is not None:
            self._launcher.tell(view.job.name, what, _words(outcome))


def _words(outcome: Outcome) -> str:
    return f"{outcome.failure_class}: {outcome.sentence}"
