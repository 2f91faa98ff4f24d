"""Many tasks in one pass: their files are asked for and their Jobs made at the same time, and nothing else changes."""

from __future__ import annotations

import threading

import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, RunState
from fmdj_cloud.settings import DatabaseSettings
from tests.support.kube import behaviour as does
from tests.support.kube_controller.fixtures import kube_premises, world
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
