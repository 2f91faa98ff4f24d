"""FacemapProcessing.populate() and FacialSignal.populate() do what a DataJoint user expects."""

from __future__ import annotations

import threading
import types

import datajoint as dj
import pytest

from fmdj_cloud.contracts import FailureClass, Kind, RunState
from fmdj_cloud.errors import ConfigError, CrashError, InputError, InputMissingError, LoadError
from fmdj_cloud.populate import activate

pytestmark = pytest.mark.integration


@pytest.fixture
def processing(world):
    return world.element.FacemapProcessing


@pytest.fixture
def signal(world):
    return world.element.FacialSignal


def test_processing_is_computed_and_signals_follow(world, processing, signal):
    key = world.insert_task()
    assert processing.populate() == {"success_count": 1, "error_list": []}
    assert world.run_of(key).state is RunState.PUBLISHED
    assert (processing & key).fetch1("package_version") == "1.0.8"
    assert not signal()
    assert signal.populate() == {"success_count": 1, "error_list": []}
    assert len(world.element.MotionSVD & key) == len(world.element.MovieSVD & key) == 7
    assert (world.element.FacemapTask & key).fetch1("facemap_output_dir").startswith("m1/facemap_0/svd-")
    assert (world.element.RecordingInfo & key).fetch1("nframes") == 60
    assert world.run_of(key).state is RunState.LOADED
    (attempt,) = world.attempts(key)
    assert (attempt.launcher, attempt.outcome) == ("populate", "published")
    assert len(world.workers.starts()) == 1


def test_restrictions_limits_and_progress_count_as_usual(world, processing):
    first, second, third = (world.insert_task() for _ in range(3))
    assert processing.progress() == (3, 3)
    assert processing.populate(second)["success_count"] == 1
    assert processing.progress() == (2, 3)
    assert processing.populate(max_calls=1)["success_count"] == 1
    assert processing.progress() == (1, 3)
    assert processing & second
    assert len(processing & [first, third]) == 1
    assert processing.populate() == {"success_count": 1, "error_list": []}
    assert processing.populate() == {"success_count": 0, "error_list": []}


def test_an_input_that_fails_raises_its_sentence_and_is_tried_again_when_asked(world, processing):
    world.workers.behave("exit 10", "publish")
    key = world.insert_task()
    with pytest.raises(InputError, match=r"^Told to exit 10\.$") as caught:
        processing.populate(key)
    assert caught.value.check == "frames"
    run = world.run_of(key)
    assert (run.state, run.failure_class, run.sentence) == (RunState.FAILED, FailureClass.INPUT, "Told to exit 10.")
    assert not processing & key
    assert processing.populate(key)["success_count"] == 1
    assert [attempt.outcome for attempt in world.attempts(key)] == ["input", "published"]


def test_what_may_pass_is_left_ready_for_whoever_is_next(world, processing):
    world.workers.behave("silent 1", "publish")
    key = world.insert_task()
    with pytest.raises(CrashError, match="exit code 1"):
        processing.populate(key)
    run = world.run_of(key)
    assert (run.state, run.attempt, run.failures) == (RunState.READY, 2, {"crash": 1})
    first = world.attempts(key)[0].folder
    (log,) = [info.uri for info in world.store.list(first) if info.uri.endswith("captured/run.log")]
    assert b"tiny worker says silent 1" in world.store.get_bytes(log, max_bytes=10_000)
    assert processing.populate(key)["success_count"] == 1


def test_a_task_that_cannot_be_planned_is_refused_in_the_ledger(world, processing):
    empty, missing = world.insert_task(video=b""), world.insert_task(video=None)
    with pytest.raises(InputError, match="is empty"):
        processing.populate(empty)
    assert "is empty" in world.ledger.binding("lab", Kind.SVD, empty).sentence
    with pytest.raises(InputMissingError):
        processing.populate(missing)
    assert world.ledger.binding("lab", Kind.SVD, missing) is None
    assert not world.workers.starts()


def test_suppressed_errors_are_collected_and_the_others_done(world, processing):
    bad, good = world.insert_task(video=b""), world.insert_task()
    done = processing.populate(suppress_errors=True)
    assert done["success_count"] == 1
    ((failed, message),) = done["error_list"]
    assert failed == bad
    assert message.startswith("InputError: The video ")
    assert processing & good


def test_reserved_jobs_work_and_keep_their_errors(world, processing):
    bad, good = world.insert_task(video=b""), world.insert_task()
    done = processing.populate(reserve_jobs=True, suppress_errors=True)
    assert (done["success_count"], len(done["error_list"])) == (1, 1)
    assert processing & good
    assert "is empty" in (processing.jobs.errors & bad).fetch1("error_message")


def test_several_processes_share_the_work(world, processing):
    keys = [world.insert_task() for _ in range(2)]
    assert processing.populate(processes=2) == {"success_count": 2, "error_list": []}
    assert len({world.attempts(key)[0].job_uid for key in keys}) == 2


def test_outputs_that_fail_their_checks_are_not_inserted(world, processing, signal):
    key = world.insert_task(do_mov_svd=False)  # the worker's signals have a movie SVD nobody asked for
    assert processing.populate(key)["success_count"] == 1
    with pytest.raises(LoadError):
        signal.populate(key)
    assert not signal & key
    assert (world.run_of(key).state, world.run_of(key).failure_class) == (RunState.FAILED, FailureClass.LOAD)


def test_deleted_results_are_inserted_again_without_computing(world, processing, signal):
    key = world.insert_task()
    processing.populate()
    signal.populate()
    (processing & key).delete(prompt=False)
    assert processing.populate()["success_count"] == signal.populate()["success_count"] == 1
    assert len(world.workers.starts()) == 1


def test_existing_outputs_are_imported(world, processing, signal):
    key = world.insert_task(task_mode="load", facemap_output_dir="m1/old")
    world.store.put_bytes(f"{world.bucket}/processed/m1/old/cam{world.recordings}_proc.npy", b"an old file")
    processing.populate(key)
    signal.populate(key)
    assert world.run_of(key).kind is Kind.IMPORT
    assert signal & key


def test_a_task_edited_while_it_is_computed_gets_nothing(world, processing, eventually):
    world.workers.behave("wait")
    key = world.insert_task()

    def edit():
        eventually(world.workers.starts)
        database = world.connect()
        table = world.element.FacemapTask.full_table_name
        with database.transaction():
            database.execute(f"UPDATE {table} SET task_mode = 'load' WHERE recording_id = %s", (key["recording_id"],))
        world.workers.release()

    thread = threading.Thread(target=edit)
    thread.start()
    with pytest.raises(dj.DataJointError, match="Referential integrity"):
        processing.populate(key)
    thread.join()
    assert not processing & key


def test_in_a_thread_datajoint_refuses_reserved_jobs_and_nothing_is_claimed(world, processing):
    key = world.insert_task()
    refusals = []

    def populate():
        try:
            processing.populate(reserve_jobs=True)
        except ValueError as error:
            refusals.append(str(error))

    thread = threading.Thread(target=populate)
    thread.start()
    thread.join()
    assert "main thread" in refusals[0]
    assert world.ledger.binding("lab", Kind.SVD, key) is None


def test_tables_are_activated_on_the_labs_own_connection(world):
    database = world.connect()
    lab_schema = dj.Schema(f"{world.settings.database.prefix}lab", connection=database.connection)
    linked = types.ModuleType("lab")
    lab_schema.make_classes(linked.__dict__)
    element = activate(world.settings.pipelines[0].behavior_schema, linking_module=linked, settings=world.settings)
    assert element.FacemapProcessing.connection is database.connection
    world.insert_task(video=b"")
    with pytest.raises(InputError, match="is empty"):
        element.FacemapProcessing.populate()


def test_a_schema_that_no_pipeline_has_is_refused(world):
    with pytest.raises(ConfigError, match="No pipeline in the settings has behavior_schema 'elsewhere'"):
        activate("elsewhere", linking_module=world.linked, settings=world.settings)
