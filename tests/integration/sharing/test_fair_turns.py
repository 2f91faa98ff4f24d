"""A pipeline with much to do keeps no other one waiting: planning, launching and loading take turns."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.settings import DatabaseSettings

from .conftest import MakeSite, Site

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of server: the queries are the ledger's, which are tested on all."""
    return postgres_settings


@pytest.fixture
def busy(make_site: MakeSite) -> Site:
    """Two labs, of which the first has many tasks, all inserted first."""
    site = make_site(labs=2, max_active=1)
    for _ in range(6):
        site.add_task(0)
    for _ in range(2):
        site.add_task(1)
    return site


def test_tasks_are_planned_in_turn(busy: Site) -> None:
    busy.bench.step()
    runs = sorted(busy.bench.ledger.runs(), key=lambda run: run.created)
    assert [run.pipeline for run in runs] == ["lab", "lab1", "lab", "lab1", "lab", "lab", "lab", "lab"]


def test_planning_ends_in_time_and_goes_on_where_the_others_were_served(busy: Site) -> None:
    lease_s = busy.bench.settings.controller.lease_s
    clock = busy.bench.controller._planner._clock

    def slow() -> float:  # every look at the clock takes long
        busy.bench.now += lease_s / 3.5
        return clock()

    busy.bench.controller._planner._clock = slow  # type: ignore[method-assign]
    busy.bench.step()
    assert sorted(run.pipeline for run in busy.bench.ledger.runs()) == ["lab", "lab", "lab1"]


def test_runs_are_launched_in_turn(busy: Site) -> None:
    for _ in range(9):
        busy.bench.step()
    runs = busy.bench.ledger.runs(states={RunState.PUBLISHED})
    assert len(runs) == 8
    started = sorted(runs, key=lambda run: busy.bench.ledger.attempts(run.run_id)[0].started)
    assert [run.pipeline for run in started] == ["lab", "lab1", "lab", "lab1", "lab", "lab", "lab", "lab"]


def test_runs_are_loaded_in_turn_and_a_pass_takes_no_longer_than_it_may(busy: Site) -> None:
    for _ in range(9):
        busy.bench.step()
    pipelines = {run.run_id: run.pipeline for run in busy.bench.ledger.runs()}
    busy.bench.load(begin_s=0)
    (first,) = busy.bench.ledger.runs(states={RunState.LOADED})
    assert first.pipeline == "lab"
    results = busy.bench.load()
    assert [pipelines[result.run_id] for result in results] == ["lab1", "lab", "lab1", "lab", "lab", "lab", "lab"]


def test_a_pipeline_that_breaks_stops_no_other(busy: Site) -> None:
    schema = busy.elements[0].schema
    busy.bench.step()
    busy.bench.database.execute(f'DROP SCHEMA "{schema}" CASCADE')
    key = busy.add_task(1)
    report = busy.bench.step()
    assert any(error.startswith("Pipeline lab: ") for error in report.errors)
    assert busy.bench.run_of(key, "lab1").state in (RunState.READY, RunState.LAUNCHED)
