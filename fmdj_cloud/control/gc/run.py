"""One round of housekeeping."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence

from fmdj_cloud.control.courtesy import Courtesy
from fmdj_cloud.control.courtesy_words import Fate, fate_of
from fmdj_cloud.control.gc.decide import decide
from fmdj_cloud.control.gc.facts import Leftover, Thing
from fmdj_cloud.control.gc.look import look
from fmdj_cloud.control.gc.sweep import Sweeper, lost_rows
from fmdj_cloud.control.launchers.base import Launcher
from fmdj_cloud.pipeline.courtesy import JobStatus
from fmdj_cloud.pipeline.job_tables import queues_of
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store


def housekeep(
    settings: Settings,
    ledger: Ledger,
    labs: Sequence[Lab],
    store: Store,
    launcher: Launcher | None,
    *,
    now: dt.datetime,
    delete: bool,
) -> list[Leftover]:
    """Find what is left over and, if asked for, delete it.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    labs : sequence of Lab
        All pipelines of the settings.
    store : Store
    launcher : Launcher or None
        None leaves Jobs alone.
    now : datetime
        The database's clock, naive UTC.
    delete : bool

    Returns
    -------
    list of Leftover
        The largest first.

    Raises
    ------
    StorageError, DatabaseError, LaunchError, ConfigError
        If something can't be looked at or deleted; what was deleted before that is gone, the rest as it was.
    """
    facts = look(ledger, labs, store, launcher, now)
    lines = [*decide(facts, settings.gc), *lost_rows(ledger, labs), *_reservations(settings, ledger, labs)]
    if delete:
        lines = list(Sweeper(ledger, labs, store, launcher, settings.gc, facts).sweep(lines))
        if any(line.thing is Thing.RESERVATIONS for line in lines):
            courtesy = Courtesy(settings.controller, ledger, time.monotonic)
            courtesy.open({lab.name: lab for lab in labs})
            courtesy.keep(())  # as a controller does in every pass
    return sorted(lines, key=lambda line: (not line.goes, -(line.size or 0), line.where))


def _reservations(settings: Settings, ledger: Ledger, labs: Sequence[Lab]) -> Iterator[Leftover]:
    if not settings.controller.courtesy:
        return
    for lab in labs:
        for tasks in lab.tables:
            for queue in queues_of(ledger.database, lab, tasks.kind):
                rows = queue.ours((JobStatus.RESERVED, JobStatus.ERROR))
                runs = {run.run_id: run for run in ledger.runs_by_id({row.run_id for row in rows})}
                for row in rows:
                    if row.refused:  # of a task that can't be planned: the controller keeps it in step
                        continue
                    fate = fate_of(row, runs.get(row.run_id), settings.controller.courtesy_renew_s)
                    if fate in (Fate.RELEASE, Fate.REMOVE):
                        yield Leftover(
                            thing=Thing.RESERVATIONS,
                            where=row.jobs,
                            run_id=row.run_id,
                            age_s=row.age_s,
                            why=f"A reservation of {row.table} without a run that is under way.",
                        )
