"""Reservations in ``~jobs``, both ways, with a real DataJoint 0.14 client's ``populate(reserve_jobs=True)``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fmdj_cloud.contracts import BindingState, FailureClass, Kind, Outcome, RunState
from fmdj_cloud.control.doctor_courtesy import diagnose_courtesy
from fmdj_cloud.control.finding import Verdict
from fmdj_cloud.control.grants import Program, database_grants, grant_statements
from fmdj_cloud.control.orders import Order
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.courtesy import owner_of
from fmdj_cloud.pipeline.job_tables import queues_of
from tests.support.datajoint014.lab import OldLab
from tests.support.sharing.bench import Bench

from .outputs import SESSIONS

pytestmark = pytest.mark.integration
MakeLab = Callable[..., OldLab]
MakeBench = Callable[..., Bench]

COLLEAGUE = """
def process(self, key):
    made.append((self.table_name, str(sorted(key.items()))))
    if self.table_name == "__facemap_processing":
        self.insert1({**key, "processing_time": "2026-01-31 12:00:00", "package_version": "theirs"})
    else:
        self.insert1(key)

made = []
for table in (FacemapProcessing, FacialSignal):
    table.make = process
behavior = dj.Schema(prefix + "behavior")
"""
JOBS = "(behavior.jobs & restriction).fetch('table_name', 'status', 'user', 'error_message', as_dict=True)"


@pytest.fixture
def make_bench() -> Iterator[MakeBench]:
    made: list[Bench] = []

    def make(lab: OldLab, **controller: Any) -> Bench:
        settings = lab.settings
        given = {"max_active": 20, "first_start_limit": 1000, "plan_batch": 1000, "courtesy_wait_s": 0} | controller
        made.append(Bench(settings.model_copy(update={"controller": settings.controller.model_copy(update=given)})))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def lab(make_old_lab: MakeLab) -> OldLab:
    """A lab whose colleague has used ``populate(reserve_jobs=True)`` before."""
    return with_jobs(make_old_lab())


def with_jobs(lab: OldLab) -> OldLab:
    (lab.folder / "raw" / "m1").mkdir(exist_ok=True)
    (lab.folder / "raw" / "m1" / "face.avi").write_bytes(b"video" * 1000)
    lab.run(COLLEAGUE, prefix=lab.prefix)
    lab.run("FacemapProcessing.populate(reserve_jobs=True)")
    lab.before = lab.lab_tables()
    assert "~jobs" in lab.before[f"{lab.prefix}behavior"]
    return lab


def rows(lab: OldLab, **restriction: Any) -> list[dict[str, Any]]:
    found = lab.run(f"result = sorted({JOBS}, key=lambda row: row['table_name'])", restriction=restriction)
    return list(found)


def statuses(lab: OldLab) -> list[tuple[str, str]]:
    return [(row["table_name"], row["status"]) for row in rows(lab)]


BOTH = ["__facemap_processing", "_facial_signal"]


@pytest.mark.parametrize("name", SESSIONS)
def test_the_labs_populate_skips_what_is_reserved_whatever_its_key_is_made_of(
    make_old_lab: MakeLab, make_bench: MakeBench, name: str
) -> None:
    session, values, shape = SESSIONS[name]
    lab = with_jobs(make_old_lab(session, shape))
    key = lab.add_task(values)
    bench = make_bench(lab)
    bench.jobs.waits = True
    assert bench.step().launched == 1
    owner = owner_of(bench.run_of(key).run_id)
    assert [(row["table_name"], row["status"], row["user"]) for row in rows(lab)] == [
        (table, "reserved", owner) for table in BOTH
    ]
    assert lab.run("result = [sorted(one) for one in behavior.jobs.fetch('key')]") == [sorted(key)] * 2
    assert lab.run("result = [one == key for one in behavior.jobs.fetch('key')]", key=key) == [True, True]
    lab.run("FacemapProcessing.populate(reserve_jobs=True)")
    assert lab.run("result = made") == []
    bench.jobs.finish_all()
    bench.step()
    assert [result.end for result in bench.load()] == [LoadEnd.LOADED]
    bench.step()
    assert rows(lab) == []
    assert bench.times_computed(key) == 1


def test_what_a_colleague_has_reserved_is_left_to_them(lab: OldLab, make_bench: MakeBench) -> None:
    key = lab.add_task({"subject": "m1"})
    lab.run("behavior.jobs.reserve('__facemap_processing', key)", key=key)
    bench = make_bench(lab)
    report = bench.step()
    assert (report.waiting, report.planned) == (1, 0)
    binding = bench.ledger.binding("lab", Kind.SVD, key)
    assert binding is not None
    assert binding.state is BindingState.WAITING
    told = bench.explain(key)
    assert told.why.startswith("Left to somebody else: ")
    assert "has reserved it for FacemapProcessing.populate() since 20" in told.why
    assert f"{lab.prefix}behavior.~jobs" in told.why
    assert "fmdj never takes what others have reserved" in told.advice
    assert statuses(lab) == [("__facemap_processing", "reserved")]
    lab.run("behavior.jobs.complete('__facemap_processing', key)", key=key)
    bench.order(Order.RETRY, key)
    assert bench.step().launched == 1


def test_a_reservation_made_after_planning_is_seen_before_the_launch(lab: OldLab, make_bench: MakeBench) -> None:
    first, key = lab.add_task({"subject": "m1"}, 1), lab.add_task({"subject": "m1"}, 2)
    bench = make_bench(lab, max_active=1)
    bench.jobs.waits = True
    bench.step()
    lab.run("behavior.jobs.reserve('_facial_signal', key)", key=key)
    bench.jobs.finish_all()
    for _ in range(3):
        bench.step()
    assert bench.times_computed(first) == 1
    assert bench.times_computed(key) == 0
    assert bench.explain(key).state == "waiting"
    assert ("_facial_signal", "reserved") in statuses(lab)


def test_what_is_marked_as_to_be_ignored_waits(lab: OldLab, make_bench: MakeBench) -> None:
    key = lab.add_task({"subject": "m1"})
    lab.run("behavior.jobs.ignore('__facemap_processing', key)", key=key)
    bench = make_bench(lab)
    bench.step()
    assert "marked it as to be ignored by FacemapProcessing.populate()" in bench.explain(key).why


def test_a_colleagues_error_hinders_nothing_and_stays(lab: OldLab, make_bench: MakeBench) -> None:
    key = lab.add_task({"subject": "m1"})
    lab.run("behavior.jobs.error('__facemap_processing', key, 'no luck')", key=key)
    bench = make_bench(lab)
    assert bench.step().launched == 1
    bench.step()
    assert [result.end for result in bench.load()] == [LoadEnd.LOADED]
    bench.step()
    assert [row["error_message"] for row in rows(lab)] == ["no luck"]


def test_a_final_failure_is_an_error_where_people_look_until_it_is_retried(lab: OldLab, make_bench: MakeBench) -> None:
    key = lab.add_task({"subject": "m1"})
    bench = make_bench(lab)
    bench.jobs.ends = Outcome(failure_class=FailureClass.INPUT, sentence="The video is broken.")
    bench.step()
    bench.step()
    assert bench.run_of(key).state is RunState.FAILED
    errors = rows(lab, status="error")
    assert [row["table_name"] for row in errors] == BOTH
    assert {row["error_message"] for row in errors} == {"fmdj input: The video is broken."}
    stack = lab.run("result = (behavior.jobs & 'status=\"error\"').fetch('error_stack', limit=1)[0]")
    assert "fmdj explain" in stack
    lab.run("FacemapProcessing.populate(reserve_jobs=True)")
    assert lab.run("result = made") == []
    bench.jobs.ends = None
    bench.order(Order.RETRY, key)
    bench.step()
    assert {row["status"] for row in rows(lab)} == {"reserved"}
    bench.step()
    bench.load()
    bench.step()
    assert rows(lab) == []


def test_an_error_that_people_have_deleted_is_not_written_again(lab: OldLab, make_bench: MakeBench) -> None:
    lab.add_task({"subject": "m1"})
    bench = make_bench(lab)
    bench.jobs.ends = Outcome(failure_class=FailureClass.INPUT, sentence="The video is broken.")
    bench.step()
    bench.step()
    lab.run("(behavior.jobs & 'status=\"error\"').delete()")
    bench.step(3600)
    assert rows(lab) == []


@pytest.mark.parametrize("order", [Order.CANCEL, Order.HOLD])
def test_what_people_end_is_let_go(lab: OldLab, make_bench: MakeBench, order: Order) -> None:
    key = lab.add_task({"subject": "m1"})
    bench = make_bench(lab)
    bench.jobs.waits = True
    bench.step()
    assert len(rows(lab)) == 2
    bench.order(order, key)
    for _ in range(3):
        bench.step()
    assert rows(lab) == []
    lab.run("FacemapProcessing.populate(reserve_jobs=True)")
    assert len(lab.run("result = made")) == 1


def test_what_is_edited_changes_hands(lab: OldLab, make_bench: MakeBench) -> None:
    key = lab.add_task({"subject": "m1"})
    bench = make_bench(lab)
    bench.jobs.waits = True
    bench.step()
    lab.run("FacemapTask.update1({**key, 'facemap_params': {'sbin': 8}})", key=key)
    for _ in range(4):
        bench.step()
    run = bench.run_of(key)
    assert run.state is RunState.LAUNCHED
    assert {row["user"] for row in rows(lab)} == {owner_of(run.run_id)}


def test_reservations_are_renewed_and_found_again_by_the_next_controller(lab: OldLab, make_bench: MakeBench) -> None:
    lab.add_task({"subject": "m1"})
    bench = make_bench(lab)
    bench.jobs.waits = True
    bench.step()
    table = f"`{lab.prefix}behavior`.`~jobs`"
    age = f"UPDATE {table} SET `timestamp` = CURRENT_TIMESTAMP - INTERVAL 2 DAY, connection_id = 0"
    fresh = (
        f"SELECT COUNT(*) FROM {table} WHERE `timestamp` > CURRENT_TIMESTAMP - INTERVAL 1 MINUTE AND connection_id > 0"
    )
    lab.database.execute(age)
    bench.step()
    assert lab.database.query(fresh) == [(0,)]
    bench.step(bench.settings.controller.courtesy_renew_s)
    assert lab.database.query(fresh) == [(2,)]
    lab.database.execute(age)
    bench.restart()
    bench.step()
    assert lab.database.query(fresh) == [(2,)]
    lab.database.execute(f"DELETE FROM {table}")
    bench.step(bench.settings.controller.courtesy_renew_s)
    assert lab.database.query(fresh) == [(2,)]


def test_what_a_killed_controller_left_behind_is_let_go_by_the_next(lab: OldLab, make_bench: MakeBench) -> None:
    key = lab.add_task({"subject": "m1"})
    bench = make_bench(lab)
    bench.step()
    bench.step()
    bench.load()
    assert len(rows(lab)) == 2
    bench.restart()
    bench.step()
    assert rows(lab) == []
    assert bench.run_of(key).state is RunState.LOADED


def test_switched_off_nothing_is_reserved_and_what_was_is_let_go(lab: OldLab, make_bench: MakeBench) -> None:
    lab.add_task({"subject": "m1"})
    bench = make_bench(lab)
    bench.jobs.waits = True
    bench.step()
    assert len(rows(lab)) == 2
    bench.restart(courtesy=False)
    bench.step()
    assert rows(lab) == []


def test_a_lab_without_a_job_table_is_served_without_one(make_old_lab: MakeLab, make_bench: MakeBench) -> None:
    lab = make_old_lab()
    (lab.folder / "raw" / "m1").mkdir()
    (lab.folder / "raw" / "m1" / "face.avi").write_bytes(b"video" * 1000)
    key = lab.add_task({"subject": "m1"})
    bench = make_bench(lab)
    bench.step()
    bench.step()
    assert [result.end for result in bench.load()] == [LoadEnd.LOADED]
    assert bench.times_computed(key) == 1
    (finding,) = diagnose_courtesy(bench.database, bench.lab(), wanted=True)
    assert finding.verdict is Verdict.NOT_APPLICABLE


def test_without_the_right_runs_go_on_and_the_doctor_says_so(lab: OldLab, make_bench: MakeBench) -> None:
    key = lab.add_task({"subject": "m1"})
    admin = make_bench(lab)
    user = f"{lab.prefix}controller"
    lab.database.execute(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'secret'")
    grants = database_grants(Program.CONTROLLER, lab.database, [admin.lab()])
    assert [one.rights for one in grants if one.table == "~jobs"] == [("SELECT", "INSERT", "UPDATE", "DELETE")]
    without = [one.model_copy(update={"rights": ("SELECT",)}) if one.table == "~jobs" else one for one in grants]
    lab.database.execute(f"GRANT SELECT ON `{lab.prefix}lab`.* TO '{user}'@'%'")
    for statement in grant_statements(without, "mysql", user):
        lab.database.execute(statement)
    server = lab.server.model_copy(update={"user": user, "password": "secret"})
    settings = admin.settings.model_copy(update={"database": type(lab.server)(**server.model_dump())})
    bench = Bench(settings)
    try:
        assert bench.step().launched == 1
        bench.step()
        assert bench.run_of(key).state is RunState.PUBLISHED
        (finding,) = diagnose_courtesy(bench.database, bench.lab(), wanted=True)
    finally:
        bench.close()
    assert finding.verdict is Verdict.WARN
    assert f"INSERT on {lab.prefix}behavior.~jobs" in finding.found
    assert rows(lab) == []


def test_a_task_that_a_colleague_has_half_done_is_given_time(lab: OldLab, make_bench: MakeBench) -> None:
    key = lab.add_task({"subject": "m1"})
    lab.run("FacemapProcessing.populate(reserve_jobs=True)")
    bench = make_bench(lab, courtesy_wait_s=600)
    bench.step()
    assert "has made its FacemapProcessing; their FacialSignal is awaited for 10 min" in bench.explain(key).why
    assert rows(lab) == []
    bench.order(Order.RETRY, key)  # as 10 min do
    assert bench.step().launched == 1


def test_racing_a_colleague_nothing_is_done_twice(lab: OldLab, make_bench: MakeBench) -> None:
    number = 200
    lab.run(
        """
        Session.insert1({"subject": "m1"})
        recordings = [{"subject": "m1", "recording_id": i} for i in range(number)]
        VideoRecording.insert([{**one, "device": "cam"} for one in recordings])
        VideoRecording.File.insert([{**one, "file_id": 0, "file_path": f"m1/{one['recording_id']}.avi"}
                                    for one in recordings])
        FacemapTask.insert([{**one, "facemap_task_id": 0, "task_mode": "trigger", "facemap_params": {"sbin": 4}}
                            for one in recordings])
        """,
        number=number,
    )
    for i in range(number):
        (lab.folder / "raw" / "m1" / f"{i}.avi").write_bytes(b"video" * 100)
    bench = make_bench(lab, plan_batch=20, max_active=5, courtesy_wait_s=600)

    def populate() -> None:
        lab.run(
            """
            import time
            def slowly(self, key):
                process(self, key)
                time.sleep(0.02)
            for table in (FacemapProcessing, FacialSignal):
                table.make = slowly
            for table in (FacemapProcessing, FacialSignal):
                table.populate(reserve_jobs=True, order="random", suppress_errors=True)
            """
        )

    colleague = threading.Thread(target=populate)
    colleague.start()
    while colleague.is_alive():
        bench.step()
        bench.load()
    lab.database.execute(f"UPDATE {bench.ledger.binding_table('lab', Kind.SVD).name} SET next_look = '2000-01-01'")
    for _ in range(200):
        bench.step()
        bench.load()
        if lab.run("result = len(FacemapTask - FacialSignal)") == 0:
            break
    bench.step()
    assert lab.run("result = len(FacialSignal())") == number
    theirs = lab.run("result = sorted(made)")
    assert len(theirs) == len({tuple(one) for one in theirs})
    processed = sum(table == "__facemap_processing" for table, _ in theirs)
    signals = sum(table == "_facial_signal" for table, _ in theirs)
    computed = sum(bench.jobs.computed.values())
    assert (processed, signals + computed) == (signals, number)
    assert processed
    assert computed
    assert set(bench.jobs.computed.values()) == {1}
    assert rows(lab) == []


def test_a_controller_that_dies_before_its_launch_goes_on_with_its_reservation(
    lab: OldLab, make_bench: MakeBench
) -> None:
    key = lab.add_task({"subject": "m1"})
    bench = make_bench(lab)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    bench.controller._ledger.launch = die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        bench.step()
    assert len(rows(lab)) == 2
    assert bench.run_of(key).state is RunState.READY
    bench.restart()
    bench.jobs.waits = True
    assert bench.step().launched == 1
    assert len(rows(lab)) == 2


def test_an_inference_is_reserved_in_its_own_schema(make_old_lab: MakeLab, make_bench: MakeBench) -> None:
    lab = make_old_lab()
    key = lab.add_pose_task({"subject": "m1"}, b"weights", ["eye"])
    lab.run(
        """
        inference = dj.Schema(prefix + "inference")
        made = []
        FacemapInference.make = lambda self, key: made.append(key)
        FacemapInference.populate("FALSE", reserve_jobs=True)
        """,
        prefix=lab.prefix,
    )
    lab.before = lab.lab_tables()
    bench = make_bench(lab)
    (queue,) = queues_of(bench.database, bench.lab(), Kind.POSE)
    assert queue.take(key, "pose-0123456789abcdef") is None
    lab.run("FacemapInference.populate(reserve_jobs=True)")
    assert lab.run("result = made") == []
    queue.release("pose-0123456789abcdef", over=False)
    lab.run("inference.jobs.reserve('__facemap_inference', key)", key=key)
    found = queue.take(key, "pose-0123456789abcdef")
    assert found is not None
    assert (found.table, found.run_id) == ("FacemapInference", "")
