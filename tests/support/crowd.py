"""A lab with a hundred thousand tasks, made by the database server itself, and who looks for what to plan there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.courtesy import Courtesy
from fmdj_cloud.control.drafts import Draft, Drafter, Due
from fmdj_cloud.control.leader import Leader
from fmdj_cloud.control.planning import Planner
from fmdj_cloud.control.report import Tally
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, Settings
from fmdj_cloud.storage import open_store
from tests.support.counting import statements
from tests.support.many_tasks import add_runs, add_tasks, add_videos

PIPELINE = "lab"


@dataclass
class Crowd:
    """A lab with very many tasks: all but the last ones loaded, and of those the first ones failed."""

    settings: Settings
    database: Database
    ledger: Ledger
    lab: Lab

    def open(self) -> Crowd:
        """Return it as another process sees it, on a connection of its own."""
        database = Database(self.settings.database)
        ledger = Ledger(database)
        return Crowd(self.settings, database, ledger, open_lab(database, ledger, self.settings.pipelines[0]))

    def scan(self, plan_batch: int = 100) -> Scan:
        """Look for tasks to plan, as a controller does that has seen the pipeline before."""
        scanner = Scanner(self, plan_batch)
        scanner.plan_pending([self.lab], _guarded, Tally())
        scanner.due.clear()
        tally = Tally()
        with statements(self.database) as asked:
            scanner.plan_pending([self.lab], _guarded, tally)
        return Scan(scanner.due, asked, tally.unplanned)


@dataclass(frozen=True)
class Scan:
    """What a look for tasks has found, what it has asked for that, and whether there is more."""

    due: list[Due]
    asked: list[str]
    unplanned: bool


class Scanner(Planner):
    """Finds what is to be planned, and leaves it at that."""

    def __init__(self, crowd: Crowd, plan_batch: int) -> None:
        changed = crowd.settings.controller.model_copy(update={"plan_batch": plan_batch})
        settings = crowd.settings.model_copy(update={"controller": changed})
        leader = Leader(crowd.ledger, "scanner", lease_s=30, renew_s=10, clock=_still)
        assert leader.lead()
        courtesy = Courtesy(settings.controller, crowd.ledger, _still)
        courtesy.open({crowd.lab.name: crowd.lab})
        super().__init__(settings, crowd.ledger, open_store(settings.storage), leader, _still, courtesy)
        self._drafter = Undrafted(settings, self._store)
        self.due: list[Due] = []

    def _plan(self, due: Due, draft: Callable[[], Draft], tally: Tally) -> None:
        self.due.append(due)


class Undrafted(Drafter):
    """Reads nothing of tasks."""

    def prepare(self, due: Due) -> Callable[[], Draft]:
        return self._nothing

    def _nothing(self) -> Draft:
        raise AssertionError("nobody asks for a draft")


def _still() -> float:
    return 0.0


def _guarded(lab: Lab, do: Callable[[], object]) -> bool:
    do()
    return True


@contextlib.contextmanager
def crowd(server: DatabaseSettings, *, tasks: int, pending: int, failed: int) -> Iterator[Crowd]:
    """Make one; all numbers are multiples of a hundred.

    Parameters
    ----------
    server : DatabaseSettings
    tasks : int
    pending : int
        Without a result.
    failed : int
        Of those, with a run that failed.
    """
    database = Database(server.model_copy(update={"prefix": f"{server.prefix}many_"}))
    prefix = database.settings.prefix
    tables = declare_lab(database, f"{prefix}lab")
    tables.Subject.insert1({"subject": "m1"})
    tables.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": "2026-01-31 09:00:00"})
    tables.Device.insert1({"device": "camera"})
    element = declare_element(database, f"{prefix}facemap", linking_module=tables)
    pipeline = PipelineSettings(
        name=PIPELINE,
        behavior_schema=f"{prefix}facemap",
        video_roots=("file:///nowhere/videos",),
        processed_root="file:///nowhere/processed",
    )
    settings = Settings(
        database=database.settings, pipelines=(pipeline,), controller={"first_start_limit": tasks, "plan_batch": 100}
    )
    ledger = Ledger(database)
    lab = open_lab(database, ledger, pipeline)
    add_tasks(database, element, tasks, pending=pending)
    add_videos(database, element, "cam.avi")
    add_runs(database, ledger, PIPELINE, tasks - pending, RunState.LOADED)
    add_runs(database, ledger, PIPELINE, failed, RunState.FAILED, first=tasks - pending)
    try:
        yield Crowd(settings, database, ledger, lab)
    finally:
        database.close()
