"""Delete what was decided to go; whatever came back to life meanwhile stays.

A run's row is locked while things of it are deleted, and must be as it was when it was looked at. Whoever brings a run
back changes its row first, so one of the two comes second and sees the other. Deleting goes in small steps, each under
a lock of its own; commits go before what they commit, and a run's outputs are given up in the ledger before the first
of their files. Killed at any point, it is just run again.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from fmdj_cloud.control.gc.decide import kept_s
from fmdj_cloud.control.gc.facts import (
    STORED,
    Facts,
    Leftover,
    RunFact,
    Thing,
    ends_of,
    folders_of,
    is_commit,
    thing_of,
)
from fmdj_cloud.control.launchers.base import Launcher
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.retiring import give_up_outputs, is_named, kept_over, loading_from
from fmdj_cloud.pipeline.signals_gone import count_gone, delete_gone
from fmdj_cloud.settings import GcSettings
from fmdj_cloud.storage import ObjectInfo, Store

_LOCKED_PART = 0.25
"""Of the time after which the server ends an idle transaction: so long a lock is kept at most."""
_ORDER = {thing: number for number, thing in enumerate(STORED)}
_log = logging.getLogger(__name__)


class Sweeper:
    """Deletes.

    Parameters
    ----------
    ledger : Ledger
    labs : sequence of Lab
        All pipelines of the settings.
    store : Store
    launcher : Launcher or None
    keep : GcSettings
    facts : Facts
        What the decisions were made from.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        labs: Sequence[Lab],
        store: Store,
        launcher: Launcher | None,
        keep: GcSettings,
        facts: Facts,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._labs = labs
        self._store = store
        self._launcher = launcher
        self._keep = keep
        self._facts = facts
        self._clock = clock
        self._locked_s = ledger.database.settings.idle_transaction_s * _LOCKED_PART

    def sweep(self, lines: Sequence[Leftover]) -> Iterator[Leftover]:
        """Delete what goes, and yield every line with whether that was done.

        Raises
        ------
        StorageError, DatabaseError, LaunchError, ConfigError
            If something can't be deleted; what comes after it is left for the next time.
        """
        for line in sorted(lines, key=lambda one: _ORDER.get(one.thing, len(_ORDER))):
            done = line.goes and self._delete(line)
            if line.goes and not done:
                _log.info("%s of %s stay: they have come into use meanwhile.", line.thing, line.where)
            yield line.model_copy(update={"done": done})

    def _delete(self, line: Leftover) -> bool:
        match line.thing:
            case Thing.JOBS:
                return self._delete_job(line)
            case Thing.UPLOADS:
                return self._discard(line)
            case Thing.ROWS:
                return self._delete_rows(line)
            case Thing.RESERVATIONS:
                return True  # all at once, by those who have made them
            case _:
                return self._delete_stored(line, self._facts.runs[line.run_id])

    def _delete_stored(self, line: Leftover, run: RunFact) -> bool:
        oldest = self._facts.now - dt.timedelta(seconds=kept_s(line.thing, self._keep))
        found = [info for info in self._store.list(line.where) if _is(info, line) and not info.linked]
        root = self._root_of(line.where)
        if any(info.modified is None or info.modified > oldest for info in found):
            return False  # somebody writes there
        if self._is_loaded_from(line.where.removeprefix(f"{root}/")):
            return False
        if line.thing is Thing.OUTPUTS and line.attempt == run.attempt and run.manifest_sha256 is not None:
            if self._is_named(run):
                return False
            if not give_up_outputs(self._ledger, run.run_id, run.state, run.attempt, run.updated):
                return False
        found.sort(key=lambda info: not is_commit(_name(info, line)))
        left = deque(found)
        while left:
            with kept_over(self._ledger, run.run_id, run.state, run.attempt, run.updated) as over:
                if not over or (line.thing is not Thing.PARTS and self._is_named(run)):
                    return False
                until = self._clock() + self._locked_s
                while left and self._clock() <= until:
                    self._store.delete(left.popleft().uri, below=root)
        return True

    def _root_of(self, folder: str) -> str:
        roots = (lab.settings.processed_root.rstrip("/") for lab in self._labs)
        return max((root for root in roots if folder.startswith(f"{root}/")), key=len)

    def _is_named(self, run: RunFact) -> bool:
        return any(
            is_named(self._ledger.database, tasks.table.full_table_name, tasks.output_dir, run.run_id)
            for lab in self._labs
            for tasks in lab.tables
        )

    def _is_loaded_from(self, place: str) -> bool:
        folders = frozenset(folders_of(place))
        names = sorted({folder.rpartition("/")[2] for folder in folders})
        return any(
            folders & ends_of(given)
            for lab in self._labs
            for tasks in lab.tables
            for given in loading_from(self._ledger.database, tasks.table.full_table_name, tasks.output_dir, names)
        )

    def _discard(self, line: Leftover) -> bool:
        run = self._facts.runs[line.run_id]
        before = self._facts.now - dt.timedelta(seconds=kept_s(Thing.UPLOADS, self._keep))
        with kept_over(self._ledger, run.run_id, run.state, run.attempt, run.updated) as over:
            if not over:
                return False
            self._store.discard_unfinished(line.where.rpartition("/")[0], before=before)
        return True

    def _delete_job(self, line: Leftover) -> bool:
        if self._launcher is None or self._ledger.run(line.run_id) is not None:
            return False
        self._launcher.stop(line.where)
        self._launcher.forget(line.where)  # one that still ends is forgotten the next time
        return self._launcher.is_gone(line.where)

    def _delete_rows(self, line: Leftover) -> bool:
        pipeline, _, table = line.where.partition("/")
        for lab in self._labs:
            if lab.name == pipeline:
                delete_gone(self._ledger.database, lab, table)
        return True


def lost_rows(ledger: Ledger, labs: Sequence[Lab]) -> list[Leftover]:
    """Return signal rows whose FacialSignal is gone, table by table."""
    return [
        Leftover(
            thing=Thing.ROWS,
            where=f"{lab.name}/{table}",
            files=rows,
            size=size,
            why="Their FacialSignal row was deleted.",
        )
        for lab in labs
        for table, (rows, size) in count_gone(ledger.database, lab).items()
    ]


def _is(info: ObjectInfo, line: Leftover) -> bool:
    return thing_of(_name(info, line)) is line.thing


def _name(info: ObjectInfo, line: Leftover) -> str:
    return info.uri.removeprefix(f"{line.where}/")
