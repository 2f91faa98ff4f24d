"""Many tasks in one pass: their files are asked for and their Jobs made at the same time, and nothing else changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, RunState
from fmdj_cloud.errors import StorageError
from fmdj_cloud.settings import DatabaseSettings
from fmdj_cloud.storage import Store
from tests.support.kube import behaviour as does
from tests.support.kube_controller.fixtures import kube_premises, world
from tests.support.kube_controller.program import Program
from tests.support.kube_controller.world import PIPELINE, KubeWorld

__all__ = ["kube_premises", "world"]
pytestmark = pytest.mark.integration
TASKS = 12


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """One kind of database: these tests are about what is asked of others."""
    return postgres_settings


@pytest.fixture
def crowd(world: KubeWorld) -> KubeWorld:
    """Room for all, and pods that stay."""
    world.settings = world.with_profile(max_active=TASKS)
    world.script(does.stay())
    return world


def test_runs_are_made_in_the_order_of_their_tasks(crowd: KubeWorld) -> None:
    keys = crowd.insert_tasks(TASKS)
    crowd.start().turn()
    runs = [crowd.run_of(key) for key in keys]
    assert [run.created for run in runs] == sorted(run.created for run in runs)
    assert len(crowd.jobs()) == TASKS


def test_every_job_is_recorded_with_its_uid(crowd: KubeWorld) -> None:
    keys = crowd.insert_tasks(TASKS)
    crowd.start().turn()
    uids = {job["metadata"]["name"]: job["metadata"]["uid"] for job in crowd.jobs()}
    for key in keys:
        (attempt,) = crowd.attempts(key)
        assert attempt.job_uid == uids[attempt.job_name]


def test_several_jobs_are_made_at_the_same_time(crowd: KubeWorld) -> None:
    crowd.insert_tasks(TASKS)
    meeting = threading.Barrier(2, timeout=20)
    create = crowd.premises.store.put_bytes
    program = crowd.start()
    met: list[int] = []

    class Meeting:
        """A store whose specs wait for one another, once."""

        def __getattr__(self, name: str) -> object:
            return getattr(crowd.premises.store, name)

        def put_bytes(self, uri: str, data: bytes) -> None:
            if uri.endswith("spec.json") and len(met) < 2:
                met.append(meeting.wait())
            create(uri, data)

    program.controller._actor._starter._store = Meeting()
    program.turn()
    assert sorted(met)[:2] == [0, 1]
    assert len(crowd.jobs()) == TASKS


def test_one_that_waits_and_one_that_is_refused_hinder_no_other(crowd: KubeWorld) -> None:
    keys = crowd.insert_tasks(TASKS)
    element = crowd.premises.element
    lost, empty = ({name: key[name] for name in ("subject", "session_id", "recording_id")} for key in keys[3:5])
    element.VideoFile.update1({**lost, "file_id": 0, "file_path": "rec0/none.avi"})
    crowd.premises.store.put_bytes(f"{crowd.premises.bucket}/videos/rec{empty['recording_id']}/cam.avi", b"")
    report = crowd.start().turn()
    assert (report.planned, report.waiting, report.refused) == (TASKS - 2, 1, 1)
    waits, refused = (crowd.ledger.binding(PIPELINE, Kind.SVD, key) for key in keys[3:5])
    assert waits is not None
    assert refused is not None
    assert waits.state is BindingState.WAITING
    assert (refused.state, refused.failure_class) == (BindingState.REFUSED, FailureClass.INPUT)


def test_jobs_that_an_api_server_refuses_are_made_later(crowd: KubeWorld) -> None:
    keys = crowd.insert_tasks(TASKS)
    program = crowd.start()
    program.catch_up()
    with crowd.cluster.faults.during(crowd.cluster.fail("create jobs", status=500)):
        assert program.turn().errors
    crowd.cluster.heal()
    crowd.until(program, lambda: len(crowd.jobs()) == TASKS, "all Jobs")
    assert all(crowd.run_of(key).state is RunState.LAUNCHED for key in keys)
    assert all(len(crowd.attempts(key)) == 1 for key in keys)


def test_a_full_batch_with_room_left_hurries_on(crowd: KubeWorld) -> None:
    crowd.insert_tasks(TASKS)
    crowd.settings = crowd.with_controller(plan_batch=5)
    program = crowd.start()
    hurried = [program.turn().hurries for _ in range(4)]
    assert hurried == [True, True, False, False]


class HeldUp:
    """A store whose first spec is written when it is let go; it may fail then."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.let_go = threading.Event()
        self.fails = False
        self._first = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def put_bytes(self, uri: str, data: bytes) -> None:
        """Write an object."""
        if uri.endswith("spec.json") and self._first:
            self._first = False
            assert self.let_go.wait(60)
            if self.fails:
                raise StorageError("The bucket is read-only.")
        self._store.put_bytes(uri, data)


@pytest.fixture
def hurried(crowd: KubeWorld) -> Iterator[tuple[KubeWorld, Program, HeldUp]]:
    """After a pass that hurries on while its first request is still under way."""
    crowd.insert_tasks(TASKS)
    crowd.settings = crowd.with_controller(plan_batch=TASKS // 2)
    program = crowd.start()
    held = HeldUp(crowd.premises.store)
    program.controller._actor._starter._store = held  # type: ignore[assignment]
    report = program.turn()
    assert (report.launched, report.hurries) == (TASKS // 2, True)
    yield crowd, program, held
    held.let_go.set()


def test_a_slow_request_does_not_hold_up_what_comes_after(hurried: tuple[KubeWorld, Program, HeldUp]) -> None:
    crowd, program, held = hurried
    assert len(crowd.jobs()) < TASKS // 2
    held.let_go.set()

    def recorded() -> dict[str, str | None]:
        attempts = [crowd.ledger.attempts(run.run_id)[0] for run in crowd.ledger.runs(states=[RunState.LAUNCHED])]
        return {attempt.job_name: attempt.job_uid for attempt in attempts}

    crowd.until(program, lambda: len(found := recorded()) == TASKS and all(found.values()), "the last uid")
    assert recorded() == {job["metadata"]["name"]: job["metadata"]["uid"] for job in crowd.jobs()}


def test_its_trouble_is_told_by_the_pass_that_waits_for_it(hurried: tuple[KubeWorld, Program, HeldUp]) -> None:
    crowd, program, held = hurried
    held.fails = True
    held.let_go.set()
    report = program.turn()
    assert len(report.errors) == 1
    assert report.errors[0].endswith("The bucket is read-only.")
    assert report.launched == TASKS // 2
    crowd.until(program, lambda: len(crowd.jobs()) == TASKS, "all Jobs")


def test_who_leads_no_more_records_nothing_that_comes_late(hurried: tuple[KubeWorld, Program, HeldUp]) -> None:
    crowd, program, held = hurried
    crowd.cluster.settle()
    with crowd.cluster.faults.during(crowd.cluster.fail("update leases", status=500)):
        crowd.cluster.advance(120)
        held.let_go.set()
        assert not program.controller.run_pass().leading
    attempts = [crowd.ledger.attempts(run.run_id)[0] for run in crowd.ledger.runs(states=[RunState.LAUNCHED])]
    assert sum(not attempt.job_uid for attempt in attempts) >= 1
    crowd.cluster.heal()
    crowd.until(program, lambda: len(crowd.jobs()) == TASKS, "all Jobs")
