"""Published runs become rows, once, and only if everything is as it should be."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
import pytest

from fmdj_cloud.contracts import FailureClass, Kind, RunState, Wanted
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.codec import decode
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import open_element
from fmdj_cloud.signals_h5 import SignalsReader

pytestmark = pytest.mark.integration

ALL_ROWS = {
    "FacemapProcessing": 1,
    "FacialSignal": 1,
    "Region": 5,
    "MotionSVD": 14,
    "MovieSVD": 14,
    "Summary": 1,
    "Pupil": 1,
    "Blink": 1,
    "Running": 1,
}
NO_ROWS = dict.fromkeys(ALL_ROWS, 0)


def _fetch(table, restriction) -> list[dict]:
    rows = (table & restriction).to_dicts()
    heading = table().heading
    return [{name: decode(heading[name], value) for name, value in row.items()} for row in rows]


def _equal(found, expected) -> None:
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_every_table_holds_what_the_file_holds(world) -> None:
    key = world.insert_task()
    run = world.publish(key)

    (result,) = world.loader().run_pass()

    assert (result.end, result.run_id, result.attempt) == (LoadEnd.LOADED, run.run_id, 1)
    assert result.rows == ALL_ROWS | {"RecordingInfo": 1}
    assert world.rows(key) == ALL_ROWS
    assert world.run(run).state is RunState.LOADED
    element, signals = world.lab.element, world.lab.signals
    with SignalsReader(world.folder / "n1.h5") as file:
        for row, region in zip(_fetch(element.Region, key), file.regions(), strict=True):
            assert (row["roi_no"], row["roi_name"]) == (region.roi_no, region.name)
            _equal(row["xrange"], region.xrange)
            _equal(row["yrange"], region.yrange)
            motion = file.motion(region.roi_no)
            if motion is None:
                assert (row["motion"], row["xrange_bin"], row["yrange_bin"]) == (None, None, None)
            else:
                _equal(row["motion"], motion)
                _equal(row["xrange_bin"], region.xrange_bin)
                _equal(row["yrange_bin"], region.yrange_bin)
        for table, basis in ((element.MotionSVD, "mot"), (element.MovieSVD, "mov")):
            for roi_no in (0, 1):
                masks, projections = file.components(roi_no, basis, 0, 7)
                rows = _fetch(table, key | {"roi_no": roi_no})
                assert [row["component_id"] for row in rows] == list(range(7))
                for row in rows:
                    _equal(row[f"{basis}mask"], masks[row["component_id"]])
                    _equal(row["projection"], projections[row["component_id"]])
                expected = [7, 6, 5, 4, 3, 2, 1] if basis == "mot" else [None] * 7
                found = [row["singular_value"] for row in rows]
                assert [None if value is None or np.isnan(value) else value for value in found] == expected
        (summary,) = _fetch(element.Summary, key)
        assert summary["sbin"] == 4
        _equal(summary["avgframe"], file.summary()[0])
        _equal(summary["avgmotion"], file.summary()[1])
        (pupil,) = _fetch(signals.Pupil, key)
        assert pupil["roi_no"] == 2
        for name, trace in file.pupil(2).items():
            _equal(pupil[name], trace)
        (blink,) = _fetch(signals.Blink, key)
        _equal(blink["trace"], file.blink(3))
        (running,) = _fetch(signals.Running, key)
        _equal(running["displacement"], file.running(4))
    (processing,) = _fetch(element.FacemapProcessing, key)
    assert str(processing["processing_time"]) == "2026-11-01 09:05:00"
    assert processing["package_version"] == "1.0.8"
    (info,) = _fetch(element.RecordingInfo, {"recording_id": key["recording_id"]})
    assert (info["px_height"], info["px_width"], info["nframes"], info["fps"]) == (32, 48, 60, 30)
    assert info["recording_duration"] == pytest.approx(60 / 29.97, rel=1e-5)  # MySQL tells six digits of a float
    (task,) = _fetch(element.FacemapTask, key)
    assert task["facemap_output_dir"] == f"m1/facemap_0/{run.run_id}/a1/n1/facemap/main"


def test_loading_twice_changes_nothing(world) -> None:
    key = world.insert_task()
    world.publish(key)
    loader = world.loader()
    loader.run_pass()
    before = {name: _fetch(getattr(world.lab.element, name), key) for name in ("FacemapProcessing", "FacemapTask")}

    assert loader.run_pass() == []
    assert world.loader().run_pass() == []
    assert world.rows(key) == ALL_ROWS
    after = {name: _fetch(getattr(world.lab.element, name), key) for name in before}
    assert repr(after) == repr(before)


def test_nothing_is_left_on_scratch(world) -> None:
    world.publish(world.insert_task())

    world.loader().run_pass()

    assert not [path for path in (world.folder / "scratch").glob("*/*") if path.is_dir()]


def test_small_slices_load_the_same_rows(world) -> None:
    key = world.insert_task()
    world.publish(key)
    world.settings = world.settings.model_copy(update={"load": world.settings.load.model_copy(update={"slice_mib": 0})})

    assert [result.end for result in world.loader().run_pass()] == [LoadEnd.LOADED]
    assert world.rows(key) == ALL_ROWS


def test_recording_info_that_is_there_is_never_changed(world) -> None:
    key = world.insert_task()
    recording = {name: value for name, value in key.items() if name != "facemap_task_id"}
    known = {"px_height": 1, "px_width": 2, "nframes": 3, "fps": 4, "recording_duration": 5.0}
    world.lab.element.RecordingInfo.insert1(recording | known, allow_direct_insert=True)
    world.publish(key)

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    assert "RecordingInfo" not in result.rows
    (info,) = _fetch(world.lab.element.RecordingInfo, recording)
    assert {name: info[name] for name in known} == known


def test_processing_without_signals_tells_of_the_new_result(world) -> None:
    key = world.insert_task()
    row = key | {"processing_time": "2020-01-01 00:00:00", "package_version": "0.2"}
    world.lab.element.FacemapProcessing.insert1(row, allow_direct_insert=True)
    world.publish(key)

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    assert world.rows(key) == ALL_ROWS
    (processing,) = _fetch(world.lab.element.FacemapProcessing, key)
    assert processing["package_version"] == "1.0.8"
    assert str(processing["processing_time"]) == "2026-11-01 09:05:00"


def test_result_rows_deleted_by_the_lab_are_loaded_again(world) -> None:
    key = world.insert_task()
    run = world.publish(key)
    world.loader().run_pass()
    (world.lab.element.FacemapProcessing & key).delete(prompt=False)
    assert world.rows(key) == NO_ROWS | {"Pupil": 1, "Blink": 1, "Running": 1}

    task = world.lab.tasks(Kind.SVD).get(key)
    plan = world.ledger.plan_of(run.run_id)
    world.ledger.plan(
        *(task, run.run_id, run.content_digest, plan, run.output_dir),
        manifest_verifies=lambda *_: True,
        epoch=world.epoch,
    )
    assert world.run(run).state is RunState.PUBLISHED

    assert [result.end for result in world.loader().run_pass()] == [LoadEnd.LOADED]
    assert world.rows(key) == ALL_ROWS


def test_a_deleted_task_is_superseded_and_nothing_is_written(world) -> None:
    key = world.insert_task()
    run = world.publish(key)
    (world.lab.element.FacemapTask & key).delete(prompt=False)

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.SUPERSEDED
    assert world.rows(key) == NO_ROWS
    assert world.run(run).state is RunState.SUPERSEDED
    assert world.run(run).sentence == "The task was deleted while it was computed."


def test_an_edited_task_is_superseded_and_nothing_is_written(world) -> None:
    key = world.insert_task()
    run = world.publish(key)
    world.lab.element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.SUPERSEDED
    assert world.rows(key) == NO_ROWS
    assert world.run(run).sentence == "The task's parameters were edited while it was computed."


def test_an_edited_description_does_not_matter(world) -> None:
    key = world.insert_task()
    world.publish(key)
    world.lab.element.FacemapTask.update1(key | {"task_description": "for the paper", "facemap_output_dir": "x"})

    assert [result.end for result in world.loader().run_pass()] == [LoadEnd.LOADED]


def test_a_result_that_is_not_ours_stays_as_it_is(world) -> None:
    key = world.insert_task()
    run = world.publish(key)
    element = world.lab.element
    element.FacemapProcessing.insert1(key | {"processing_time": "2020-01-01 00:00:00"}, allow_direct_insert=True)
    element.FacialSignal.insert1(key, allow_direct_insert=True)

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.SUPERSEDED
    assert world.rows(key) == NO_ROWS | {"FacemapProcessing": 1, "FacialSignal": 1}
    assert world.run(run).state is RunState.SUPERSEDED
    (task,) = _fetch(element.FacemapTask, key)
    assert task["facemap_output_dir"] == ""


def test_a_run_that_people_want_held_is_left_alone(world) -> None:
    key = world.insert_task()
    run = world.publish(key)
    world.ledger.set_wanted(run.run_id, Wanted.HOLD)

    assert world.loader().run_pass() == []
    assert world.rows(key) == NO_ROWS

    world.ledger.set_wanted(run.run_id, Wanted.RUN)
    assert [result.end for result in world.loader().run_pass()] == [LoadEnd.LOADED]


def test_outputs_that_fail_quality_control_are_final_and_kept(world) -> None:
    key = world.insert_task()
    run = world.publish(key, nframes=61)

    (result,) = world.loader().run_pass()

    failed = world.run(run)
    assert result.end is LoadEnd.FAILED
    assert (failed.state, failed.failure_class) == (RunState.FAILED, FailureClass.LOAD)
    assert failed.sentence == result.sentence
    assert "signals.h5 has 60 frames, its manifest says 61" in failed.sentence
    assert world.rows(key) == NO_ROWS
    assert world.store.head(f"{run.output_dir}/a1/n1/signals.h5").size > 0
    assert world.loader().run_pass() == []


def test_one_failed_run_does_not_hinder_the_others(world) -> None:
    bad, good = world.insert_task(), world.insert_task()
    world.publish(bad, content="bad", nframes=61)
    world.publish(good, content="good")

    assert [result.end for result in world.loader().run_pass()] == [LoadEnd.FAILED, LoadEnd.LOADED]
    assert world.rows(good) == ALL_ROWS


def test_two_loaders_racing_load_once(world) -> None:
    keys = [world.insert_task() for _ in range(4)]
    for number, key in enumerate(keys):
        world.publish(key, content=str(number))
    loaders = [world.loader() for _ in range(2)]
    start = threading.Barrier(2)
    results: list[list] = [[], []]

    def work(number: int) -> None:
        start.wait()
        results[number] = loaders[number].run_pass()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ends = [result.end for some in results for result in some]
    assert ends.count(LoadEnd.LOADED) == 4
    assert set(ends) <= {LoadEnd.LOADED, LoadEnd.LOST}
    assert all(world.rows(key) == ALL_ROWS for key in keys)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("edit", "The task's parameters were edited while it was computed."),
        ("result", "The task has a result that somebody else inserted; it stays as it is."),
    ],
)
def test_what_others_do_to_the_task_at_the_same_moment_is_waited_for_and_seen(world, what: str, why: str) -> None:
    key = world.insert_task()
    run = world.publish(key)
    loader, results = world.loader(), []
    thread = threading.Thread(target=lambda: results.extend(loader.run_pass()))
    other = Database(world.settings.database)
    world.others.append(other)
    element = open_element(other, world.lab.element.schema)
    with other.transaction():
        if what == "edit":
            element.FacemapTask.update1(key | {"facemap_params": {"sbin": 8}})
        else:
            processing = key | {"processing_time": "2020-01-01 00:00:00"}
            element.FacemapProcessing.insert1(processing, allow_direct_insert=True)
            element.FacialSignal.insert1(key, allow_direct_insert=True)
        thread.start()
        deadline = time.monotonic() + 30
        while not world.sessions_waiting() and time.monotonic() < deadline:
            time.sleep(0.02)
    thread.join()

    assert [(result.end, result.sentence) for result in results] == [(LoadEnd.SUPERSEDED, why)]
    assert world.run(run).state is RunState.SUPERSEDED
    assert world.rows(key)["Region"] == 0


def test_run_forever_loads_what_appears_and_stops_when_asked(world) -> None:
    world.settings = world.settings.model_copy(
        update={"load": world.settings.load.model_copy(update={"interval_s": 0.05})}
    )
    loader, stop = world.loader(), threading.Event()
    thread = threading.Thread(target=loader.run_forever, args=(stop,))
    thread.start()
    run = world.publish(world.insert_task())

    deadline = time.monotonic() + 30
    while world.run(run).state is not RunState.LOADED and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    thread.join(10)

    assert world.run(run).state is RunState.LOADED
    assert not thread.is_alive()


def test_runs_of_a_pipeline_that_is_not_configured_are_left_alone(world) -> None:
    world.publish(world.insert_task())
    world.settings = world.settings.model_copy(update={"pipelines": ()})

    assert world.loader().run_pass() == []


def test_a_pipeline_that_cannot_be_opened_is_told_and_stops_no_other(world) -> None:
    run = world.publish(world.insert_task())
    broken = world.settings.pipelines[0].model_copy(update={"name": "broken", "behavior_schema": "nowhere"})
    world.settings = world.settings.model_copy(update={"pipelines": (broken, *world.settings.pipelines)})
    loader = world.loader()

    for _ in range(2):
        with pytest.raises(ConfigError, match=r"Pipeline broken can't be opened: .*nowhere"):
            loader.run_pass()

    assert world.run(run).state is RunState.LOADED


def test_what_was_loaded_is_logged(world, caplog: pytest.LogCaptureFixture) -> None:
    world.publish(world.insert_task())
    with caplog.at_level(logging.INFO, logger="fmdj_cloud.load"):
        world.loader().run_pass()
    assert caplog.messages[-1] == "Loaded."


def test_warnings_of_quality_control_are_reported_and_rows_are_loaded(world) -> None:
    key = world.insert_task()
    world.publish(key, file={"blink": np.full(60, 3.0)})

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    assert result.warnings[0].startswith("The blink trace of region 3 (blink_3) is flat")


def test_a_schema_of_element_facemap_0_1_gets_its_names_and_no_nulls(world) -> None:
    """Its components are called pc_no, and its regions can't have NULL."""
    element, database = world.lab.element, world.database
    for table in (element.MotionSVD, element.MovieSVD):
        database.execute(f"ALTER TABLE {table.full_table_name} RENAME COLUMN component_id TO pc_no")
    regions = element.Region.full_table_name
    for name in ("xrange", "yrange", "xrange_bin", "yrange_bin", "motion"):
        if database.backend == "postgresql":
            database.execute(f"ALTER TABLE {regions} ALTER COLUMN {name} SET NOT NULL")
        else:
            database.execute(f"ALTER TABLE {regions} MODIFY {name} LONGBLOB NOT NULL COMMENT ':<blob>:'")
    key = world.insert_task()
    world.publish(key)

    (result,) = world.loader().run_pass()

    assert result.end is LoadEnd.LOADED
    ((count,),) = database.query(f"SELECT COUNT(DISTINCT pc_no) FROM {element.MotionSVD.full_table_name}")
    assert count == 7
    regions = {row["roi_no"]: row for row in _fetch(element.Region, key)}
    assert regions[2]["motion"].shape == (0,)
