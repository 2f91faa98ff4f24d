"""The loader: published runs become rows, one after the other, for as long as it runs."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from fmdj_cloud.contracts import RunRecord, RunState, Wanted
from fmdj_cloud.errors import (
    AnsweredError,
    ConfigError,
    DatabaseError,
    DeadlockError,
    FmdjError,
    LoadError,
    LostRaceError,
)
from fmdj_cloud.load.failing import fail_load
from fmdj_cloud.load.insert import Insertion, insert_run
from fmdj_cloud.load.prepare import prepared
from fmdj_cloud.load.read import OutputsMissingError
from fmdj_cloud.load.results import LoadEnd, LoadResult
from fmdj_cloud.logs import log_context
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.turns import in_turn
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage.base import Store
from fmdj_cloud.telemetry import LOADS

logger = logging.getLogger(__name__)

_MIB = 1 << 20
_BACKOFF_MAX_S = 600.0
_PASS_S = 60.0
"""However much one pipeline has published, another's first run isn't kept waiting for all of it."""
_SAME_ANSWERS = 10
"""Pauses between looks at a run grow to ten minutes: what has been the same for most of an hour stays so."""
_DOUBLINGS = 16
"""Enough to get from any interval to the longest pause, and small enough not to overflow."""


class Loader:
    """Load published runs.

    Parameters
    ----------
    settings : Settings
    database : Database
        Of this thread.
    store : Store
    clock : callable
        Seconds, monotonic.
    beat : callable
        Told ``"pass"`` whenever the loop comes round or a run is done, ``"database"`` when the database has answered.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        beat: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._clock = clock
        self._beat = beat
        self._ledger = Ledger(database)
        self._labs: dict[str, Lab] = {}
        self._later: dict[str, tuple[int, float]] = {}
        """run_id -> (tries, when next), for published runs that met trouble."""
        self._missed: dict[str, float] = {}
        """run_id -> since when, for published runs whose outputs aren't all there."""
        self._answers: dict[str, tuple[str, int]] = {}
        """run_id -> what the database answered last, or the error that nobody foresaw, and how often in a row."""

    def run_pass(self, stop: threading.Event | None = None, begin_s: float = math.inf) -> list[LoadResult]:
        """Try every published run that is due once, of each pipeline in turn, and of each the most urgent first.

        Parameters
        ----------
        stop : threading.Event, optional
            Ends the pass after the run in hand.
        begin_s : float
            No further run is begun with after so many seconds: what others have published since is looked at.

        Returns
        -------
        list of LoadResult
            The pass ends early when the database fails, not when it refuses a run's rows.

        Raises
        ------
        DatabaseError
            If the ledger can't be read.
        ConfigError, DatabaseError
            At the end of the pass, if a pipeline can't be opened: its runs were left alone.
        """
        self._database.ensure_connected()
        closed = self._open_labs()
        give_up = self._clock() + begin_s
        published = self._ledger.runs(states={RunState.PUBLISHED})
        known = {run.run_id for run in published}
        self._later = {run_id: later for run_id, later in self._later.items() if run_id in known}
        self._missed = {run_id: since for run_id, since in self._missed.items() if run_id in known}
        self._answers = {run_id: answer for run_id, answer in self._answers.items() if run_id in known}
        self._beat("database")
        results: list[LoadResult] = []
        for run in in_turn(published, lambda run: run.pipeline):
            if (stop is not None and stop.is_set()) or (results and self._clock() > give_up):
                break
            if not self._due(run):
                continue
            with log_context(run_id=run.run_id, task=run.task):
                result, trouble = self._load(run)
            LOADS.labels(result.end, run.pipeline).inc()
            self._beat("pass")
            results.append(result)
            if isinstance(trouble, DatabaseError) and not isinstance(trouble, DeadlockError | AnsweredError):
                break
        if closed:
            raise closed[0]
        return results

    def run_forever(self, stop: threading.Event) -> None:
        """Run passes until `stop` is set; trouble is waited out.

        Parameters
        ----------
        stop : threading.Event
            Looked at between runs: what is begun is finished.
        """
        failures = 0
        told = ""
        while not stop.is_set():
            self._beat("pass")
            try:
                self.run_pass(stop, _PASS_S)
                failures, told = 0, ""
            except ConfigError as error:
                failures = 0
                if error.sentence != told:
                    logger.warning("%s", error.sentence)
                told = error.sentence
            except DatabaseError as error:
                failures += 1
                logger.warning("%s Trying again in %.0f s.", error.sentence, self._pause(failures))
            stop.wait(self._pause(failures))

    def _due(self, run: RunRecord) -> bool:
        _, when = self._later.get(run.run_id, (0, 0.0))
        lab = self._labs.get(run.pipeline)
        return lab is not None and lab.has(run) and run.wanted is Wanted.RUN and self._clock() >= when

    def _load(self, run: RunRecord) -> tuple[LoadResult, Exception | None]:
        began = self._clock()
        rows: dict[str, int] = {}
        warnings: tuple[str, ...] = ()
        trouble: Exception | None = None
        try:
            insertion, warnings = self._prepare_and_insert(run)
            end, sentence, rows = insertion.end, insertion.why, insertion.rows
        except LoadError as error:
            if isinstance(error, OutputsMissingError) and self._may_come(run):
                end, sentence, trouble = LoadEnd.LATER, error.sentence, error
            else:
                end, sentence, trouble = self._fail(run, error)
        except (LostRaceError, AnsweredError) as error:
            if self._is_the_same(run, error.sentence):
                end, sentence, trouble = self._fail(run, LoadError(_same(error)))
            elif isinstance(error, LostRaceError):
                end, sentence = LoadEnd.LOST, error.sentence
            else:
                end, sentence, trouble = LoadEnd.LATER, error.sentence, error
        except FmdjError as error:
            end, sentence, trouble = LoadEnd.LATER, error.sentence, error
        except Exception as error:  # one run that can't be handled must not keep the others from being loaded
            logger.exception("Loading met an error that nobody foresaw: please report it.")
            end, sentence, trouble = LoadEnd.LATER, f"An unforeseen error: {error!r}.", error
            if self._is_the_same(run, type(error).__name__):  # its words may hold a time, or a scratch folder's name
                end, sentence, trouble = self._fail(run, LoadError(_unforeseen(error)))
        self._note(run, end, sentence)
        for warning in warnings:
            logger.warning(warning)
        result = LoadResult(
            run_id=run.run_id,
            attempt=run.attempt,
            end=end,
            sentence=sentence,
            rows=rows,
            warnings=warnings,
            seconds=self._clock() - began,
        )
        return result, trouble

    def _may_come(self, run: RunRecord) -> bool:
        """Tell whether outputs that aren't there are waited for: a manifest may be seen before what it names."""
        now = self._clock()
        return now - self._missed.setdefault(run.run_id, now) < self._settings.load.missing_wait_s

    def _is_the_same(self, run: RunRecord, answer: str) -> bool:
        """Tell whether this has come so often in a row that it will go on to."""
        told, before = self._answers.get(run.run_id, ("", 0))
        times = before + 1 if told == answer else 1
        self._answers[run.run_id] = answer, times
        return times >= _SAME_ANSWERS

    def _prepare_and_insert(self, run: RunRecord) -> tuple[Insertion, tuple[str, ...]]:
        lab = self._labs[run.pipeline]
        limits = self._settings.load
        with prepared(self._store, self._ledger, lab, run, limits) as (outputs, warnings):
            return insert_run(self._database, self._ledger, lab, outputs, limits.slice_mib * _MIB), warnings

    def _open_labs(self) -> list[FmdjError]:
        """Open the pipelines that aren't yet, and return why some can't be."""
        closed: list[FmdjError] = []
        for pipeline in self._settings.pipelines:
            if pipeline.name not in self._labs:
                try:
                    self._labs[pipeline.name] = open_lab(self._database, self._ledger, pipeline, objects=self._store)
                except (ConfigError, DatabaseError) as error:
                    self._database.ensure_connected()
                    closed.append(type(error)(f"Pipeline {pipeline.name} can't be opened: {error.sentence}"))
        return closed

    def _fail(self, run: RunRecord, error: LoadError) -> tuple[LoadEnd, str, Exception | None]:
        try:
            ours = fail_load(self._ledger, run, error)
        except DatabaseError as database_error:
            return LoadEnd.LATER, database_error.sentence, database_error
        return (LoadEnd.FAILED if ours else LoadEnd.LOST), error.sentence, None

    def _note(self, run: RunRecord, end: LoadEnd, sentence: str) -> None:
        if end in (LoadEnd.LATER, LoadEnd.LOST):
            tries = self._later.get(run.run_id, (0, 0.0))[0] + 1
            pause = self._pause(tries)
            self._later[run.run_id] = tries, self._clock() + pause
            logger.warning("Not loaded: %s Looking again in %.0f s.", sentence, pause)
            return
        self._later.pop(run.run_id, None)
        level = logging.ERROR if end is LoadEnd.FAILED else logging.INFO
        word = end.value.capitalize()
        logger.log(level, "%s", f"{word}: {sentence}" if sentence else f"{word}.")

    def _pause(self, failures: int) -> float:
        interval: float = self._settings.load.interval_s
        return max(interval, min(_BACKOFF_MAX_S, interval * 2.0 ** min(failures, _DOUBLINGS))) if failures else interval


def _same(error: FmdjError) -> str:
    return f"{error.sentence.rstrip('.')}: {_SAME_ANSWERS} times in a row. Mend that, and retry the run."


def _unforeseen(error: Exception) -> str:
    return (
        f"Loading met an error that nobody foresaw, {_SAME_ANSWERS} times in a row ({error!r}): report it with "
        "`fmdj bug-report`, and retry the run once that is mended."
    )
