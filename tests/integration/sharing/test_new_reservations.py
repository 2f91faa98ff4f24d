"""Reservations in DataJoint 2's job tables, both ways, with a colleague's own ``populate(reserve_jobs=True)``."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import datajoint as dj
import pytest

from fmdj_cloud.contracts import FailureClass, Kind, Outcome, RunState
from fmdj_cloud.control.doctor_courtesy import diagnose_courtesy
from fmdj_cloud.control.finding import Verdict
from fmdj_cloud.control.orders import Order
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.courtesy import owner_of
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.job_tables import queues_of
from tests.support.sharing.bench import Bench

from .conftest import MakeSite, Site

pytestmark = pytest.mark.integration


class Rows:
    """What a colleague's computation comes to: one row."""

    def __init__(self, table: Any, more: dict[str, Any]) -> None:
        self._table = table
        self._more = more

    def insert(self, key: Any) -> None:
        self._table.insert1({**key, **self._more})


class Colleague:
    """Somebody whose populate() computes by itself, on a connection of their own."""

    def __init__(self, site: Site, lab: int = 0) -> None:
        database = site.connect()
        linked = dj.VirtualModule(
            "linked", f"{database.settings.prefix}lab", create_tables=False, connection=database.connection
        )
        schema = site.bench.settings.pipelines[lab].behavior_schema
        self.element: Element = declare_element(database, schema, linking_module=linked, runner=self)
        self.made: list[tuple[str, str]] = []
        self.passes: threading.Semaphore | None = None
        for table in self.tables:
            table().jobs.refresh()

    @property
    def tables(self) -> tuple[Any, Any]:
        return self.element.FacemapProcessing, self.element.FacialSignal

    def fetch(self, key: Any) -> tuple[Any, ...]:
        return (1,)

    def process(self, key: Any) -> Rows:
        self.made.append(("FacemapProcessing", canonical_key(key)))
        if self.passes is not None:  # as long as the controller takes for a pass
            assert self.passes.acquire(timeout=60)
        return Rows(
            self.element.FacemapProcessing, {"processing_time": "2026-01-31 12:00:00", "package_version": "theirs"}
        )

    def extract(self, key: Any) -> Rows:
        self.made.append(("FacialSignal", canonical_key(key)))
        return Rows(self.element.FacialSignal, {})

    def populate(self) -> None:
        for table in self.tables:
            table.populate(reserve_jobs=True)

    def rows(self) -> list[tuple[str, str]]:
        """(user, status) of all rows in both job tables that aren't pending."""
        found = [(table.jobs & "status <> 'pending'").proj("user", "status").to_dicts() for table in self.tables]
        return [(row["user"], row["status"]) for rows in found for row in rows]


@pytest.fixture
def colleague(site: Site) -> Colleague:
    return Colleague(site)


def test_a_colleagues_populate_skips_what_is_reserved(site: Site, colleague: Colleague) -> None:
    key = site.add_task()
    site.bench.jobs.waits = True
    before = site.bench.database.tables(site.elements[0].schema)
    site.bench.step()
    owner = owner_of(site.bench.run_of(key).run_id)
    assert colleague.rows() == [(owner, "reserved")] * 2
    colleague.populate()
    assert colleague.made == []
    site.bench.jobs.finish_all()
    site.settle()
    assert colleague.rows() == []
    assert len(colleague.element.FacialSignal()) == 1
    assert site.bench.times_computed(key) == 1
    assert site.bench.database.tables(site.elements[0].schema) == before


def test_what_waited_in_the_labs_queue_waits_in_it_again(site: Site, colleague: Colleague) -> None:
    key = site.add_task()
    colleague.element.FacemapProcessing.jobs.refresh(priority=2)
    site.bench.jobs.waits = True
    site.bench.step()
    assert len(colleague.rows()) == 2
    site.bench.order(Order.CANCEL, key)
    for _ in range(3):
        site.bench.step()
    jobs = colleague.element.FacemapProcessing.jobs
    row = jobs.fetch1()
    assert (row["status"], row["priority"], row["user"], row["reserved_time"]) == ("pending", 2, "", None)
    assert len(colleague.element.FacialSignal.jobs) == 0
    colleague.populate()
    assert len(colleague.made) == 2


def test_a_failure_of_what_waited_in_the_labs_queue_waits_in_it_again(site: Site, colleague: Colleague) -> None:
    key = site.add_task()
    jobs = colleague.element.FacemapProcessing.jobs
    jobs.refresh(priority=2)
    queue = queues_of(site.bench.database, site.bench.lab(), Kind.SVD)[0]
    assert queue.take(key, "svd-0123456789abcdef") is None
    queue.fail("svd-0123456789abcdef", "fmdj input: The video is broken.", "stack")
    assert jobs.fetch1()["status"] == "error"
    queue.release("svd-0123456789abcdef", over=False)
    row = jobs.fetch1()
    assert (row["status"], row["priority"], row["user"], row["error_message"]) == ("pending", 2, "", "")
    assert (row["reserved_time"], row["completed_time"], row["error_stack"]) == (None, None, None)
    queue.take(key, "svd-0123456789abcdef")
    queue.fail("svd-0123456789abcdef", "fmdj input: The video is broken.", "stack")
    queue.release("svd-0123456789abcdef", over=True)
    assert len(jobs) == 0


def test_what_a_colleague_has_reserved_is_left_to_them(site: Site, colleague: Colleague) -> None:
    key = site.add_task()
    colleague.element.FacemapProcessing.jobs.refresh(delay=-1)
    assert colleague.element.FacemapProcessing.jobs.reserve(key)
    assert site.bench.step().waiting == 1
    told = site.bench.explain(key)
    assert (told.state, told.run_id) == ("waiting", None)
    assert f"(process {os.getpid()} on " in told.why
    assert f"facemap_lab.~~{'facemap_processing'}" in told.why
    colleague.element.FacemapProcessing.jobs.delete()
    site.bench.order(Order.RETRY, key)
    assert site.bench.step().launched == 1


def test_a_final_failure_is_an_error_in_the_labs_jobs_until_it_is_retried(site: Site, colleague: Colleague) -> None:
    key = site.add_task()
    site.bench.jobs.ends = Outcome(failure_class=FailureClass.INPUT, sentence="The video is broken.")
    site.bench.step()
    site.bench.step()
    for table in colleague.tables:
        row = table.jobs.errors.fetch1()
        assert row["error_message"] == "fmdj input: The video is broken."
        assert "fmdj explain" in row["error_stack"]
        assert row["completed_time"]
    colleague.populate()
    assert colleague.made == []
    site.bench.jobs.ends = None
    site.bench.order(Order.RETRY, key)
    site.settle(passes=3)
    assert colleague.rows() == []
    assert site.bench.run_of(key).state is RunState.LOADED


def test_a_task_that_cant_be_planned_is_an_error_in_the_labs_jobs_until_it_is_edited(
    site: Site, colleague: Colleague
) -> None:
    key = site.add_task(facemap_params={"sbin": 0})
    assert site.bench.step().refused == 1
    for table in colleague.tables:
        row = table.jobs.errors.fetch1()
        assert row["error_message"].startswith("fmdj input: ")
        assert "sbin" in row["error_message"]
        assert "fmdj explain" in row["error_stack"]
    colleague.populate()
    assert colleague.made == []
    site.bench.step(3600)
    assert len(colleague.element.FacemapProcessing.jobs.errors) == 1
    colleague.element.FacemapTask.update1({**key, "facemap_params": {"sbin": 4}})
    site.settle(passes=4)
    site.bench.step(3600)
    assert colleague.rows() == []
    assert len(colleague.element.FacialSignal()) == 1


def test_what_becomes_of_a_refused_task_takes_its_errors_place(site: Site, colleague: Colleague) -> None:
    key = site.add_task(facemap_params={"sbin": 0})
    site.bench.step()
    colleague.element.FacemapTask.update1({**key, "facemap_params": {"sbin": 4}})
    site.bench.jobs.ends = Outcome(failure_class=FailureClass.INPUT, sentence="The video is broken.")
    for _ in range(3):
        site.bench.step()
    assert site.bench.run_of(key).state is RunState.FAILED
    for table in colleague.tables:
        assert table.jobs.errors.fetch1()["error_message"] == "fmdj input: The video is broken."


def test_a_refusal_whose_error_people_have_deleted_stays_deleted(site: Site, colleague: Colleague) -> None:
    site.add_task(facemap_params={"sbin": 0})
    site.bench.step()
    for table in colleague.tables:
        (table.jobs & "status = 'error'").delete_quick()
    site.bench.restart()
    for _ in range(3):
        site.bench.step(3600)
    assert colleague.rows() == []


def test_a_controller_that_dies_while_it_refuses_leaves_an_error(site: Site, colleague: Colleague) -> None:
    site.add_task(facemap_params={"sbin": 0})
    site.bench.step()
    for table in colleague.tables:
        site.bench.database.execute(f"UPDATE {table().jobs.full_table_name} SET status = 'reserved'")
    site.bench.restart()
    site.bench.step()
    assert {status for _, status in colleague.rows()} == {"error"}
    site.bench.restart(courtesy=False)
    site.bench.step()
    assert colleague.rows() == []


def test_reservations_are_renewed_so_that_no_refresh_takes_them_for_orphans(site: Site, colleague: Colleague) -> None:
    site.add_task()
    site.bench.jobs.waits = True
    site.bench.step()
    jobs = colleague.element.FacemapProcessing.jobs
    key = jobs.fetch1("KEY")
    jobs.update1({**key, "reserved_time": "2020-01-01 00:00:00"})
    site.bench.step(site.bench.settings.controller.courtesy_renew_s)
    jobs.refresh(orphan_timeout=60)
    assert jobs.fetch1("status") == "reserved"


def test_what_a_populate_of_ours_reserved_that_was_killed_is_taken_over(site: Site, colleague: Colleague) -> None:
    key = site.add_task()
    bench = site.bench
    bench.restart(max_active=1)
    bench.jobs.waits = True
    first = site.add_task(video="other.avi")
    bench.ledger.set_task_priority(bench.lab().tasks(Kind.SVD).get(first), -1)
    bench.step()
    run = bench.run_of(key)
    limits = bench.ledger.plan_of(run.run_id).limits
    given: dict[str, Any] = {"folder": f"{run.output_dir}/a1", "spec_sha256": "s", "job_name": "j", "limits": limits}
    assert bench.ledger.launch(run.run_id, 1, launcher="populate", epoch=None, **given)
    assert bench.ledger.confirm(run.run_id, 1, job_uid="rig-3/4711/1/machine/1", epoch=None)
    jobs = colleague.element.FacemapProcessing.jobs
    jobs.refresh(delay=-1)
    assert jobs.reserve(key)
    jobs.update1({**key, "host": "rig-3", "pid": 4711})
    outcome = Outcome(failure_class=FailureClass.DISRUPTED, sentence="It was killed.")
    assert bench.ledger.retry(run.run_id, 1, outcome, not_before_s=0, epoch=None)
    bench.jobs.finish_all()
    for _ in range(3):
        bench.step()
    assert bench.run_of(key).state is RunState.LAUNCHED
    assert (jobs & key).fetch1("user") == owner_of(run.run_id)


def test_the_doctor_tells_of_job_tables(site: Site, colleague: Colleague) -> None:
    (finding,) = diagnose_courtesy(site.bench.database, site.bench.lab(), wanted=True)
    assert finding.verdict is Verdict.OK
    assert "~~facial_signal" in finding.found
    (finding,) = diagnose_courtesy(site.bench.database, site.bench.lab(), wanted=False)
    assert finding.verdict is Verdict.NOT_APPLICABLE


def test_racing_a_colleague_nothing_is_done_twice(make_site: MakeSite) -> None:
    number = 40
    site = make_site(plan_batch=10, max_active=3, courtesy_wait_s=600)
    bench, colleague = site.bench, Colleague(site)
    for _ in range(number):
        site.add_task()
    passes = colleague.passes = threading.Semaphore(0)
    over, troubles = threading.Event(), []

    def serve() -> None:
        try:
            while not over.is_set():
                bench.step()
                bench.load()
                passes.release()
        except BaseException as error:
            troubles.append(error)
            passes.release(number)

    server = threading.Thread(target=serve)
    server.start()
    colleague.populate()
    over.set()
    server.join()
    assert not troubles
    bench.database.execute(f"UPDATE {bench.ledger.binding_table('lab', Kind.SVD).name} SET next_look = '2000-01-01'")
    while len(colleague.element.FacialSignal()) < number:
        bench.step()
        bench.load()
    bench.step()
    theirs = [key for table, key in colleague.made if table == "FacemapProcessing"]
    ours = set(bench.jobs.computed)
    assert len(colleague.made) == len(set(colleague.made))
    assert set(bench.jobs.computed.values()) == {1}
    assert not ours & set(theirs)
    assert len(ours | set(theirs)) == number
    assert theirs
    assert ours
    assert colleague.rows() == []


def test_killed_between_any_two_statements_nothing_stays_reserved(make_site: MakeSite) -> None:
    site = make_site(retry={"backoff_s": 0, "vanished": 100})
    colleague = Colleague(site)
    site.bench.step()
    keys, survived = [], False
    for number in range(0, 200, 5):
        keys.append(site.add_task())
        site.bench.restart()
        if survived := _killed_at(site, number):
            break
    assert survived
    assert len(keys) > 5
    site.bench.restart()
    site.settle(passes=4)
    assert {site.bench.run_of(key).state for key in keys} == {RunState.LOADED}
    assert colleague.rows() == []


def _killed_at(site: Site, number: int) -> bool:
    """Run a pass in a process that kills itself so many statements after it began to reserve; tell if it survived."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return not os.WIFSIGNALED(status)
    code = 1
    try:
        bench = Bench(site.bench.settings)
        database, courtesy = bench.controller._database, bench.controller._courtesy
        run, take, left = database._run, courtesy.take, [-1]
        armed_once: list[bool] = []

        def counted(*args: Any) -> Any:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return run(*args)

        def armed(*args: Any) -> Any:
            left[0] = number if not armed_once else left[0]
            armed_once.append(True)
            return take(*args)

        database._run = counted  # type: ignore[method-assign]
        courtesy.take = armed  # type: ignore[method-assign]
        bench.step()
        code = 0
    finally:
        os._exit(code)
