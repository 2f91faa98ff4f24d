"""State changes of runs and attempts, each one fenced UPDATE."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from fmdj_cloud.contracts import Limits, Outcome, RunState, Stage, Wanted
from fmdj_cloud.pipeline.ledger_base import NOTHING, Sql, one_of
from fmdj_cloud.pipeline.ledger_reading import RunReading
from fmdj_cloud.pipeline.ledger_rows import evidence_json, failure_of, fit
from fmdj_cloud.pipeline.repeating import repeated

_HOLDABLE = frozenset({RunState.READY, RunState.LAUNCHED})
_FAILABLE = frozenset({RunState.READY, RunState.LAUNCHED, RunState.PUBLISHED, RunState.HELD})
_CANCELLABLE = _FAILABLE | {RunState.FAILED}
_SUPERSEDABLE = frozenset(RunState) - {RunState.SUPERSEDED}


class Runs(RunReading):
    """Changes the Run table with its parts.

    A state change returns whether it was ours: False means that the run was no longer in that state or
    attempt, or that the epoch leads no more, and that nothing was written. Inside a transaction of the
    caller's, it belongs to that.
    """

    @repeated
    def note_usage(
        self, run_id: str, attempt: int, *, node: str, gpu_s: float, epoch: int | None, stage: Stage = Stage.ALL
    ) -> None:
        """Record where a stage of an attempt that is about to end ran, and the GPU seconds it held."""
        fence, fence_args = self._fence(epoch)
        with self.database.transaction():
            self.database.execute(
                f"UPDATE {self._job} SET node = %s, gpu_seconds = %s WHERE run_id = %s AND attempt = %s AND stage = %s"
                f"{fence}",
                (node or None, gpu_s, run_id, attempt, stage.value, *fence_args),
            )

    @repeated
    def launch(
        self,
        run_id: str,
        attempt: int,
        *,
        folder: str,
        spec_sha256: str,
        launcher: str,
        job_name: str,
        limits: Limits,
        epoch: int | None,
        stage: Stage = Stage.ALL,
        shards: int = 1,
        pods: int = 1,
    ) -> bool:
        """Ready -> launched, before the Job is created: what was launched without a UID is created again.

        Only while the run is wanted.

        Parameters
        ----------
        run_id : str
        attempt : int
        folder, spec_sha256, launcher, job_name : str
        limits : Limits
        epoch : int or None
        stage : Stage, optional
            With which the attempt begins.
        shards, pods : int, optional
            Pods that its Job takes, in all and at a time.
        """
        sets = {"state": RunState.LAUNCHED.value, "not_before": None, "failure_class": None, "sentence": ""}
        with self.database.transaction():
            wanted = (" AND wanted = %s", (Wanted.RUN.value,))
            if not self._change(run_id, {RunState.READY}, attempt, sets, epoch=epoch, where=wanted):
                return False
            key = {"run_id": run_id, "attempt": attempt}
            row = {"folder": folder, "spec_sha256": spec_sha256, "sentence": "", "evidence": "{}"}
            row |= {"limits": limits.model_dump_json(), "stage": stage.value}
            self.database.insert_new(self._attempt, key | row, list(key), clock=("started",))
            self._insert_job(run_id, attempt, stage, launcher, job_name, shards, pods)
            return True

    @repeated
    def confirm(self, run_id: str, attempt: int, *, job_uid: str, epoch: int | None, stage: Stage = Stage.ALL) -> bool:
        """Record the UID of the Job that a stage of an attempt has; the run stays launched."""
        with self.database.transaction():
            if not self._change(run_id, {RunState.LAUNCHED}, attempt, {}, epoch=epoch):
                return False
            sql = f"UPDATE {self._job} SET job_uid = %s WHERE run_id = %s AND attempt = %s AND stage = %s"
            self.database.execute(sql, (job_uid, run_id, attempt, stage.value))
            return True

    @repeated
    def note(self, run_id: str, attempt: int, sentence: str, *, epoch: int | None) -> bool:
        """Record why a launched attempt doesn't compute yet; the run stays launched."""
        with self.database.transaction():
            return self._change(run_id, {RunState.LAUNCHED}, attempt, {"sentence": fit(sentence)}, epoch=epoch)

    @repeated
    def publish(
        self, run_id: str, attempt: int, manifest_sha256: str, *, epoch: int | None, sentence: str = ""
    ) -> bool:
        """Launched -> published: pins the manifest; `sentence` says what people should know of it."""
        sets = {"state": RunState.PUBLISHED.value, "manifest_sha256": manifest_sha256}
        if sentence:
            sets["sentence"] = fit(sentence)
        with self.database.transaction():
            if not self._change(run_id, {RunState.LAUNCHED}, attempt, sets, epoch=epoch):
                return False
            outcome = Outcome(manifest_sha256=manifest_sha256, sentence=sentence)
            self._close(run_id, attempt, RunState.PUBLISHED.value, outcome)
            return True

    @repeated
    def retry(
        self,
        run_id: str,
        attempt: int,
        outcome: Outcome,
        *,
        not_before_s: float,
        epoch: int | None,
        silent_s: float | None = None,
    ) -> bool:
        """Launched -> ready for the next attempt.

        Parameters
        ----------
        run_id : str
        attempt : int
        outcome : Outcome
            How this attempt failed; its class is counted.
        not_before_s : float
            Wait before the next attempt, seconds.
        epoch : int or None
        silent_s : float, optional
            Only if nothing changed in the run for so many seconds: a ``populate()`` that shows itself keeps it.
        """
        failure = failure_of(outcome)
        with self.database.transaction():
            # Fixed as long as state and attempt are, which the UPDATE demands
            rows = self.database.query(f"SELECT failures FROM {self._run} WHERE run_id = %s", (run_id,))
            if not rows:
                return False
            failures: dict[str, int] = json.loads(rows[0][0])
            failures[failure] = failures.get(failure, 0) + 1
            sets = {
                "state": RunState.READY.value,
                "attempt": attempt + 1,
                "failures": json.dumps(failures),
                "failure_class": failure,
                "sentence": fit(outcome.sentence),
            }
            soon = (f"not_before = {self.database.dialect.soon}", (round(not_before_s * 1_000_000),))
            silent = NOTHING
            if silent_s is not None:
                silent = (f" AND updated <= {self.database.dialect.soon}", (-round(silent_s * 1_000_000),))
            if not self._change(run_id, {RunState.LAUNCHED}, attempt, sets, epoch=epoch, where=silent, also=soon):
                return False
            self._close(run_id, attempt, failure, outcome)
            return True

    @repeated
    def fail(self, run_id: str, state: RunState, attempt: int, outcome: Outcome, *, epoch: int | None = None) -> bool:
        """Ready, launched, published (the loader, without an epoch) or held -> failed."""
        failure = failure_of(outcome)
        sets = {"state": RunState.FAILED.value, "failure_class": failure, "sentence": fit(outcome.sentence)}
        with self.database.transaction():
            if not self._change(run_id, {state} & _FAILABLE, attempt, sets, epoch=epoch):
                return False
            self._close(run_id, attempt, failure, outcome)
            return True

    @repeated
    def hold(self, run_id: str, state: RunState, attempt: int, *, sentence: str = "", epoch: int | None = None) -> bool:
        """Ready or launched (its Job is gone) -> held; what was launched goes on with the next attempt."""
        number = attempt + 1 if state is RunState.LAUNCHED else attempt
        sets = {"state": RunState.HELD.value, "attempt": number, "failure_class": None}
        if sentence:  # else what was noted when somebody asked for it stays
            sets["sentence"] = fit(sentence)
        with self.database.transaction():
            if not self._change(run_id, {state} & _HOLDABLE, attempt, sets, epoch=epoch):
                return False
            self._close(run_id, attempt, RunState.HELD.value, Outcome(sentence=sentence))
            return True

    @repeated
    def unhold(self, run_id: str, attempt: int, *, epoch: int | None = None) -> bool:
        """Held -> ready."""
        sets = {"state": RunState.READY.value, "not_before": None, "sentence": ""}
        with self.database.transaction():
            return self._change(run_id, {RunState.HELD}, attempt, sets, epoch=epoch)

    @repeated
    def cancel(
        self, run_id: str, state: RunState, attempt: int, *, sentence: str = "", epoch: int | None = None
    ) -> bool:
        """Any state but loaded and superseded -> cancelled (a launched run's Job is gone)."""
        sets: dict[str, object] = {"state": RunState.CANCELLED.value, "failure_class": None}
        if sentence:
            sets["sentence"] = fit(sentence)
        with self.database.transaction():
            if not self._change(run_id, {state} & _CANCELLABLE, attempt, sets, epoch=epoch):
                return False
            self._close(run_id, attempt, RunState.CANCELLED.value, Outcome(sentence=sentence))
            return True

    @repeated
    def set_wanted(self, run_id: str, wanted: Wanted) -> bool:
        """Say what people want of a run that isn't over; the controller acts, confirms, and changes the state."""
        over = (RunState.LOADED.value, RunState.SUPERSEDED.value, RunState.CANCELLED.value)
        with self.database.transaction():
            sql = (
                f"UPDATE {self._run} SET wanted = %s, updated = {self._clock} "
                f"WHERE run_id = %s AND state NOT IN ({one_of(over)})"
            )
            return bool(self.database.execute(sql, (wanted.value, run_id, *over)))

    @repeated
    def mark_loaded(self, run_id: str, attempt: int, manifest_sha256: str) -> bool:
        """Published -> loaded: the loader's first statement in its transaction; only while the run is wanted."""
        sets = {"state": RunState.LOADED.value, "failure_class": None, "sentence": ""}
        demand = (" AND wanted = %s AND manifest_sha256 = %s", (Wanted.RUN.value, manifest_sha256))
        with self.database.transaction():
            return self._change(run_id, {RunState.PUBLISHED}, attempt, sets, epoch=None, where=demand)

    def _supersede(self, run_id: str, state: RunState, attempt: int, why: str, epoch: int | None) -> bool:
        sets = {"state": RunState.SUPERSEDED.value, "failure_class": None, "sentence": fit(why)}
        if not self._change(run_id, {state} & _SUPERSEDABLE, attempt, sets, epoch=epoch):
            return False
        self._close(run_id, attempt, RunState.SUPERSEDED.value, Outcome(sentence=why))
        return True

    def _change(
        self,
        run_id: str,
        states: Collection[RunState],
        attempt: int,
        sets: Mapping[str, object],
        *,
        epoch: int | None,
        where: Sql = NOTHING,
        also: Sql = NOTHING,
    ) -> bool:
        if not states:
            return False
        names = tuple(sorted(state.value for state in states))
        fence, fence_args = self._fence(epoch)
        # `updated` always changes: MySQL counts only rows that become different
        pieces = [f"{name} = %s" for name in sets] + ([also[0]] if also[0] else []) + [f"updated = {self._clock}"]
        changed = self.database.execute(
            f"UPDATE {self._run} SET {', '.join(pieces)} "
            f"WHERE run_id = %s AND attempt = %s AND state IN ({one_of(names)}){where[0]}{fence}",
            (*sets.values(), *also[1], run_id, attempt, *names, *where[1], *fence_args),
        )
        return changed == 1

    def _insert_job(
        self, run_id: str, attempt: int, stage: Stage, launcher: str, job_name: str, shards: int, pods: int
    ) -> None:
        key = {"run_id": run_id, "attempt": attempt, "stage": stage.value}
        row = {"launcher": launcher, "job_name": job_name, "shards": shards, "pods": pods}
        self.database.insert_new(self._job, key | row, list(key))

    def _close(self, run_id: str, attempt: int, name: str, outcome: Outcome) -> None:
        """Record how an attempt ended, if it was launched and hasn't ended before."""
        self.database.execute(
            f"UPDATE {self._attempt} SET outcome = %s, sentence = %s, evidence = %s, finished = {self._clock} "
            "WHERE run_id = %s AND attempt = %s AND finished IS NULL",
            (name, fit(outcome.sentence), evidence_json(outcome), run_id, attempt),
        )
        self.database.execute(
            f"UPDATE {self._job} SET outcome = %s WHERE run_id = %s AND attempt = %s AND outcome IS NULL",
            (name, run_id, attempt),
        )
