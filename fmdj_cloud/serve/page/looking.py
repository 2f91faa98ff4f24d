"""Looks at ledger, lab and object store for the pages: one connection, which only reads, in one thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from fmdj_cloud.contracts import AttemptRecord, BindingState, FailureClass, Progress, RunRecord, RunState
from fmdj_cloud.control.advice import ADVICE
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.explain import Explanation, explain
from fmdj_cloud.control.inspect import observe_task, read_log
from fmdj_cloud.control.progress import read_progress
from fmdj_cloud.control.status import RunLine, binding_line, gather_status, key_orders, run_line
from fmdj_cloud.control.usage import usage_of
from fmdj_cloud.errors import ConfigError, FmdjError, UsageError
from fmdj_cloud.export.provenance import manifest_of
from fmdj_cloud.names import parse_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.ledger_search import RunFilter
from fmdj_cloud.serve.page.model import FailedRuns, Failures, Overview, RunList, RunPage
from fmdj_cloud.serve.page.run import run_page
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store

_log = logging.getLogger(__name__)
_OPEN_AGAIN_S = 60.0
"""A pipeline whose schemas aren't there yet is tried again so often."""
_EXAMPLES = 10
_REFUSED = 200
_LOG_TAIL = 16 * 1024
_PROGRESS_S = 3
"""Progress is read anew after so many times `refresh_s`: pods write it every 15 s."""


class Looker:
    """All that the pages ask. Not thread-safe: one thread asks.

    Parameters
    ----------
    settings : Settings
    database : Database
    store : Store
    clock : callable
        Monotonic seconds.

    Raises
    ------
    ConfigError
        If there is no ledger, or one of another version.
    DatabaseError
        If the server is gone, or refuses.
    """

    def __init__(
        self, settings: Settings, database: Database, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._ledger = Ledger(database)
        self._opened: dict[str, Lab] = {}
        self._problems: dict[str, str] = {}
        self._opening = clock()
        self._open()
        self._progress: dict[tuple[str, int], tuple[float, Progress | None]] = {}

    @property
    def _labs(self) -> tuple[Lab, ...]:
        return tuple(self._opened.values())

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes of the keys of all tasks, in their order."""
        names = (name for lab in self._labs for tasks in lab.tables for name in tasks.table.primary_key)
        return tuple(dict.fromkeys(names))

    @property
    def pipelines(self) -> tuple[str, ...]:
        """Names of the pipelines."""
        return tuple(lab.name for lab in self._labs)

    def overview(self) -> Overview:
        """Return what ``fmdj status`` says."""
        self._connect()
        status = gather_status(self._ledger, self._labs, self._store, limit=self._settings.page.rows, look=self._look)
        failed = status.counts.get(RunState.FAILED.value, 0)
        now = self._ledger.database.now()
        refused = sum(self._count_refused().values())
        return Overview(status=status, failed=failed + refused, problems=tuple(self._problems.values()), at=now)

    def runs(self, wanted: RunFilter, page: int) -> RunList:
        """Return one page of the runs that are wanted."""
        self._connect()
        rows = self._settings.page.rows
        pipelines = [name for name in self.pipelines if name in (wanted.pipelines or self.pipelines)] or [""]
        wanted = RunFilter(pipelines, wanted.states, wanted.failure_class, wanted.task)
        found = self._ledger.count_found(wanted)
        pages = max(1, -(-found // rows))
        page = min(max(1, page), pages)
        records = self._ledger.find_runs(wanted, limit=rows, offset=(page - 1) * rows)
        return RunList(
            runs=self._lines(records),
            found=found,
            page=page,
            pages=pages,
            pipelines=self.pipelines,
            attributes=self.attributes,
        )

    def failures(self) -> Failures:
        """Return what failed, by class, most first."""
        self._connect()
        numbers: dict[FailureClass, int] = {}
        for count in self._ledger.count_failures():
            if count.pipeline in self.pipelines:
                numbers[count.failure_class] = numbers.get(count.failure_class, 0) + count.runs
        refused = [
            binding_line(binding)
            for lab in self._labs
            for tasks in lab.tables
            for binding in self._ledger.bindings(lab.name, tasks.kind, states={BindingState.REFUSED}, limit=_REFUSED)
        ]
        counted = self._count_refused()
        return Failures(
            classes=tuple(
                FailedRuns(
                    failure_class=kind,
                    remedy=ADVICE[kind],
                    runs=numbers.get(kind, 0),
                    examples=self._failed(kind) if kind in numbers else (),
                    refused=tuple(line for line in refused if line.failure_class is kind),
                    refused_found=counted.get(kind, 0),
                )
                for kind in numbers | counted
            )
        )

    def _count_refused(self) -> dict[FailureClass, int]:
        numbers: dict[FailureClass, int] = {}
        for lab in self._labs:
            for tasks in lab.tables:
                for kind, number in self._ledger.count_refused(lab.name, tasks.kind).items():
                    numbers[kind] = numbers.get(kind, 0) + number
        return numbers

    def run(self, run_id: str) -> RunPage:
        """Return all about a run.

        Raises
        ------
        UsageError
            If there is none of that id.
        """
        self._connect()
        ledger, record = self._ledger, self._record(run_id)
        attempts = [(attempt, ledger.stages(run_id, attempt.attempt)) for attempt in ledger.attempts(run_id)]
        now = ledger.database.now()
        manifest, problem = (None, "") if not record.manifest_sha256 else manifest_of(ledger, self._store, record)
        log, no_log = self._log([attempt for attempt, _ in attempts], run_id)
        return run_page(
            record,
            ledger.plan_of(run_id),
            attempts,
            self._lines([record])[0],
            explanation=self._explain(record),
            successor="" if ledger.binding_of(run_id) is not None else self._successor(record),
            usage=usage_of(record, attempts, self._settings, now),
            prices=self._settings.page,
            manifest=manifest,
            manifest_problem=problem,
            quality=ledger.quality(run_id),
            log=log,
            log_problem=no_log,
            now=now,
        )

    def log(self, run_id: str, attempt: int | None) -> str:
        """Return the end of the log of an attempt, the newest by default.

        Raises
        ------
        UsageError
            If there is none.
        """
        self._connect()
        self._record(run_id)
        attempts = self._ledger.attempts(run_id)
        return read_log(attempts, run_id, self._store, attempt, self._settings.page.log_kib * 1024)

    def ready(self) -> None:
        """Ask the database.

        Raises
        ------
        DatabaseError
            If it doesn't answer.
        """
        self._connect()
        self._ledger.database.now()

    def _connect(self) -> None:
        self._ledger.database.ensure_connected()
        if self._problems and self._clock() - self._opening >= _OPEN_AGAIN_S:
            self._opening = self._clock()
            self._open()

    def _open(self) -> None:
        """Open the pipelines that aren't yet; of one that can't be, the others are shown nevertheless."""
        claimed_only = self._settings.controller.claimed_only
        for one in self._settings.pipelines:
            if one.name in self._opened:
                continue
            try:
                self._opened[one.name] = open_lab(self._ledger.database, self._ledger, one, claimed_only=claimed_only)
                self._problems.pop(one.name, None)
            except ConfigError as error:
                _log.warning("Pipeline %s can't be shown: %s", one.name, error.sentence)
                self._problems[one.name] = f"Pipeline {one.name} can't be shown: {error.sentence}"

    def _record(self, run_id: str) -> RunRecord:
        record = self._ledger.run(run_id) if run_id.isprintable() else None
        if record is None or record.pipeline not in self.pipelines:
            raise UsageError(f"There is no run {run_id} in the ledger; the list of runs has those that there are.")
        return record

    def _lines(self, records: Sequence[RunRecord]) -> tuple[RunLine, ...]:
        reused = self._ledger.reused([record.run_id for record in records])
        orders = key_orders(self._labs)
        return tuple(
            run_line(
                record,
                self._store,
                reused.get(record.run_id, ""),
                order=orders.get((record.pipeline, record.task_kind), ()),
                look=self._look,
            )
            for record in records
        )

    def _failed(self, kind: FailureClass) -> tuple[RunLine, ...]:
        wanted = RunFilter(self.pipelines, (RunState.FAILED,), kind)
        return self._lines(self._ledger.find_runs(wanted, limit=_EXAMPLES))

    def _look(self, store: Store, run: RunRecord) -> Progress | None:
        """Return a run's progress, which is read again after a while."""
        key, now = (run.run_id, run.attempt), self._clock()
        lasting = _PROGRESS_S * self._settings.page.refresh_s
        self._progress = {one: said for one, said in self._progress.items() if now - said[0] < lasting}
        if key not in self._progress:
            self._progress[key] = now, read_progress(store, run)
        return self._progress[key][1]

    def _lab(self, record: RunRecord) -> Lab | None:
        return next((lab for lab in self._labs if lab.has(record)), None)

    def _explain(self, record: RunRecord) -> Explanation | None:
        lab = self._lab(record)
        if lab is None:
            return None
        choice = Choice(lab, lab.tasks_of(record), parse_key(record.task))
        silent_s = self._settings.controller.populate_silent_s
        return explain(observe_task(choice, self._ledger, self._store, silent_s))

    def _successor(self, record: RunRecord) -> str:
        others = [run for run in self._ledger.runs_of(record.task_digest) if run.state is not RunState.SUPERSEDED]
        return others[-1].run_id if others and others[-1].run_id != record.run_id else ""

    def _log(self, attempts: Sequence[AttemptRecord], run_id: str) -> tuple[str, str]:
        if not attempts:
            return "", "It has no attempt yet."
        try:
            return read_log(attempts, run_id, self._store, None, _LOG_TAIL), ""
        except FmdjError as error:  # the rest of the page is of use without it
            return "", error.sentence
