"""A hundred thousand tasks, ten thousand of them pending, cost a pass no more questions than a hundred."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.control.observe import Observer
from fmdj_cloud.control.report import Tally
from fmdj_cloud.control.status import gather_status
from fmdj_cloud.storage import open_store
from tests.support.counting import statements

pytestmark = pytest.mark.integration


def test_a_scan_asks_at_most_three_questions(many):
    scan = many.scan()
    assert len(scan.due) == 100
    assert scan.unplanned
    assert len(scan.asked) <= 3, scan.asked


def test_a_scan_asks_as_much_for_one_task_as_for_a_thousand(many):
    one, thousand = many.scan(1), many.scan(1000)
    assert (len(one.due), len(thousand.due)) == (1, 1000)
    assert len(one.asked) == len(thousand.asked)


def test_the_first_pending_tasks_are_those_without_a_result_or_a_run(many):
    first = many.scan().due[0].key
    assert (first["recording_id"], first["facemap_task_id"]) == (906, 0)
    assert many.lab.count_pending() == 9500


class NoJobs:
    """A launcher that has none."""

    name = "local"

    def observe(self):
        return ()


def test_looking_at_all_runs_reads_only_what_there_is_to_decide_about(many):
    observer = Observer(many.ledger, open_store(many.settings.storage), NoJobs())
    with statements(many.database) as asked:
        scene = observer.gather({many.lab.name: many.lab}, 50, Tally())
    assert {view.run.state for view in scene.views} == {RunState.FAILED}
    assert len(scene.views) == 50
    assert len(asked) <= 12, asked


def test_the_status_counts_all_and_shows_a_page_with_what_is_not_done_first(many):
    with statements(many.database) as asked:
        report = gather_status(many.ledger, [many.lab], open_store(many.settings.storage), limit=600)
    assert report.counts == {"loaded": 90_000, "failed": 500}
    assert report.pipelines[0].pending == 9500
    assert [run.state for run in report.runs] == [RunState.FAILED] * 500 + [RunState.LOADED] * 100
    assert report.runs[0].task == {"facemap_task_id": 0, "recording_id": 901, "session_id": 1, "subject": "m1"}
    assert len(asked) <= 12, asked


def test_a_page_that_is_full_of_what_is_not_done_shows_nothing_else(many):
    report = gather_status(many.ledger, [many.lab], open_store(many.settings.storage))
    assert [run.state for run in report.runs] == [RunState.FAILED] * 50


@pytest.fixture
def job_tables(many):
    """Those of the lab, as ``populate(reserve_jobs=True)`` of DataJoint 2 declares them, for one test."""
    names = []
    for table in (many.lab.element.FacemapProcessing, many.lab.element.FacialSignal):
        jobs = table().jobs
        if not jobs.is_declared:
            jobs.declare()
        names.append(jobs.full_table_name)
    yield
    for name in names:
        many.database.execute(f"DROP TABLE {name}")


def test_a_scan_asks_no_more_where_people_reserve_jobs(many, job_tables):
    scan = many.scan()
    assert any("UNION ALL" in sql for sql in scan.asked)
    assert len(scan.asked) <= 3, scan.asked
