"""What ``populate()`` does in the ledger: claim a task, show itself, and leave the rest as the controller would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fmdj_cloud.contracts import (
    FINISHED_STATES,
    POPULATE,
    BindingState,
    Limits,
    RunPlan,
    RunRecord,
    RunState,
    TaskRecord,
    Wanted,
)
from fmdj_cloud.errors import BusyError, LostRaceError
from fmdj_cloud.names import display_key, job_name
from fmdj_cloud.pipeline.ledger import Ledger, ManifestVerifies
from fmdj_cloud.pipeline.repeating import repeated
from fmdj_cloud.pipeline.silence import populates, process_of, silenced

_ASKED = "Asked for by populate()."
_EDITED = "The task was edited since it was planned."


@dataclass(frozen=True)
class Launching:
    """What an attempt is launched with.

    Attributes
    ----------
    folder : str
        URI of the attempt folder.
    spec : bytes
    spec_sha256 : str
    limits : Limits
    """

    folder: str
    spec: bytes
    spec_sha256: str
    limits: Limits


@dataclass(frozen=True)
class Claim:
    """A task that nobody else has in hand.

    Attributes
    ----------
    run : RunRecord
        Launched, or published.
    launching : Launching or None
        What this process is to compute; None where outputs are published already.
    """

    run: RunRecord
    launching: Launching | None


class PopulateLedger(Ledger):
    """The ledger as ``populate()`` uses it: without an epoch, beside whatever controller leads.

    A run that ``populate()`` has claimed is launched, with launcher ``populate``. Its process shows itself by
    :meth:`show`; one that doesn't any more loses the run (:meth:`Ledger.retry` with `silent_s`).

    Parameters
    ----------
    database : Database
        The connection of the tables that are populated.
    """

    @repeated
    def claim(
        self,
        task: TaskRecord,
        run_id: str,
        content_digest: str,
        plan: RunPlan,
        output_dir_uri: str,
        *,
        manifest_verifies: ManifestVerifies,
        launching: Callable[[RunRecord], Launching],
        holder: str,
        is_gone: Callable[[str], bool],
        silent_s: float,
    ) -> Claim:
        """Claim a task in one transaction, whose UPDATE from ready to launched is what decides.

        What failed or was cancelled before is asked for again; a run of other parameters than the task's is
        superseded; one that a silent ``populate()`` left behind goes on with its next attempt.

        Parameters
        ----------
        task : TaskRecord
        run_id, content_digest, plan, output_dir_uri
            As :meth:`Ledger.plan`.
        manifest_verifies : callable
            Called before the transaction begins.
        launching : callable
            Returns what the run's current attempt is launched with: pure.
        holder : str
            This process, which no other is called: ``<host>/<pid>/...``, at most 255 characters.
        is_gone : callable
            Whether a holder is known to run no more.
        silent_s : float
            After how many seconds a process that isn't heard of counts as gone.

        Raises
        ------
        BusyError
            If somebody else computes the task, or people hold it.
        LostRaceError
            If the task changed hands at this moment: look again.
        """
        verifies = self._verified(run_id, manifest_verifies)
        with self.database.transaction():
            self._make_way(task, run_id, is_gone, silent_s)
            run = self.plan(task, run_id, content_digest, plan, output_dir_uri, manifest_verifies=verifies, epoch=None)
            if run.state is RunState.PUBLISHED:
                return Claim(run, None)
            made = launching(run)
            ours = run.state is RunState.READY and self.launch(
                run_id,
                run.attempt,
                folder=made.folder,
                spec_sha256=made.spec_sha256,
                launcher=POPULATE,
                job_name=job_name(run_id, run.attempt, POPULATE),
                limits=made.limits,
                epoch=None,
            )
            if not ours or not self.confirm(run_id, run.attempt, job_uid=holder, epoch=None):
                raise LostRaceError(f"Run {run_id} was taken by somebody else at this moment.")
            return Claim(run.model_copy(update={"state": RunState.LAUNCHED}), made)

    @repeated
    def show(self, run_id: str, attempt: int) -> RunRecord | None:
        """Show that this process still runs an attempt; None if the attempt isn't the run's any more."""
        with self.database.transaction():
            if not self._change(run_id, {RunState.LAUNCHED}, attempt, {}, epoch=None):
                return None
            return self.run(run_id)

    def run_of(self, task: TaskRecord) -> RunRecord | None:
        """Return the run that a task is bound to, if it has one."""
        binding = self.binding(task.pipeline, task.kind, task.key)
        return self.run(binding.run_id) if binding is not None and binding.run_id is not None else None

    def _verified(self, run_id: str, manifest_verifies: ManifestVerifies) -> ManifestVerifies:
        """Ask the object store now, so that no transaction waits for it."""
        seen = self.run(run_id)
        place = (seen.output_dir, seen.attempt, seen.manifest_sha256) if seen is not None else None
        good = (
            seen is not None
            and seen.manifest_sha256 is not None
            and manifest_verifies(seen.output_dir, seen.attempt, seen.manifest_sha256)
        )

        def verifies(output_dir: str, attempt: int, manifest_sha256: str) -> bool:
            if (output_dir, attempt, manifest_sha256) != place:
                raise LostRaceError(f"Run {run_id} changed while it was claimed.")
            return good

        return verifies

    def _make_way(self, task: TaskRecord, run_id: str, is_gone: Callable[[str], bool], silent_s: float) -> None:
        """Bring what the task had before into a state from which it can be planned."""
        binding = self.binding(task.pipeline, task.kind, task.key)
        if binding is None:
            return
        run = self.run(binding.run_id) if binding.run_id is not None else None
        held = run is not None and run.state not in FINISHED_STATES and run.wanted is Wanted.HOLD
        if binding.state is BindingState.HELD or held:
            key = display_key(task.key)
            raise BusyError(f"Task {key} is held: let it go with `fmdj release {key}`, then populate it again.")
        if binding.state is not BindingState.PLANNED or run is None or run.state in FINISHED_STATES:
            if binding.state is BindingState.CANCELLED:
                self._demand_change(self.reopen(binding, _ASKED), task)
            return
        if run.state is RunState.LAUNCHED:
            run = self._take_over(task, run, is_gone, silent_s)
        if run.wanted is Wanted.CANCEL and run.state is not RunState.CANCELLED:
            self._demand_change(self.cancel(run.run_id, run.state, run.attempt), task)
            run = run.model_copy(update={"state": RunState.CANCELLED})
        if run.state in (RunState.FAILED, RunState.CANCELLED):
            self._demand_change(self.reopen(binding, _ASKED), task)
        elif run.run_id != run_id or run.param_digest != task.param_digest:
            self._demand_change(self.supersede(run.run_id, run.state, run.attempt, _EDITED), task)

    def _take_over(
        self, task: TaskRecord, run: RunRecord, is_gone: Callable[[str], bool], silent_s: float
    ) -> RunRecord:
        attempt = self.attempt(run.run_id, run.attempt)
        which = f"Task {display_key(task.key)} is being computed (run {run.run_id}, attempt {run.attempt})"
        if attempt is None or not populates(run, attempt):
            raise BusyError(
                f"{which} by the controller's worker: wait for it, or `fmdj cancel {run.run_id}` and populate it then."
            )
        gone = attempt.job_uid is not None and is_gone(attempt.job_uid)
        outcome = silenced(attempt)
        if not self.retry(
            run.run_id, run.attempt, outcome, not_before_s=0, epoch=None, silent_s=0 if gone else silent_s
        ):
            raise BusyError(
                f"{which} by populate() in {process_of(attempt)}: wait for it. If it was killed, the task is free "
                f"{silent_s:.0f} s after it was last heard of."
            )
        freed = self.run(run.run_id)
        if freed is None:
            raise LostRaceError(f"Run {run.run_id} disappeared while it was claimed.")
        return freed

    def _demand_change(self, changed: bool, task: TaskRecord) -> None:
        if not changed:
            raise LostRaceError(f"Task {display_key(task.key)} changed while it was claimed.")
