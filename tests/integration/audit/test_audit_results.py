"""Results that a faulty loader left are found, and mended from their files; what was there is kept."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import datajoint as dj
import h5py
import numpy as np
import pytest

from fmdj_cloud.audit.files import Files, OpenFiles
from fmdj_cloud.audit.findings import Certainty
from fmdj_cloud.audit.repair import Repairer
from fmdj_cloud.contracts import Kind
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.settings.quality import DarknessThreshold
from tests.integration.audit.conftest import NOW, Audited, NoFiles, checks_of, look_at
from tests.integration.load.conftest import World
from tests.support.audit import moving
from tests.support.pose.signals import points
from tests.unit.importing.conftest import saved

pytestmark = pytest.mark.integration
C, L, P = Certainty.CERTAIN, Certainty.LIKELY, Certainty.POSSIBLE
FAULTS = [
    (Audited.slice_along_frames, "axis", C, C),
    (Audited.pop_motions, "motion_roi", C, L),
    (Audited.mix_svds, "svd_table", C, L),
    (Audited.leave_motion_early, "alignment", C, L),
    (Audited.multiply_duration, "duration", C, C),
    (Audited.transpose_masks, "axis", C, C),
    (Audited.forget_files, "frames", C, L),
    (Audited.leave_noise, "running", C, P),
    (Audited.lose_svd, "missing", C, L),
    (Audited.lose_region, "missing", C, L),
    (Audited.lose_component, "missing", C, C),
]
"""What is done to the rows, what must be found against the file, and in the rows alone."""


def test_every_fault_is_found_and_mended(audited: Audited) -> None:
    svd, pose = audited.load()
    for key, kind in ((svd, Kind.SVD), (pose, Kind.POSE)):
        for files in (Files, NoFiles):
            report = look_at(audited, key, kind, files=files)
            assert (report.findings, report.sound) == ((), True)
    sound = audited.everything(svd)
    for spoil, check, sure, alone in FAULTS:
        spoil(audited, svd)
        assert (check, alone) in checks_of(look_at(audited, svd, files=NoFiles)), spoil.__name__
        report = look_at(audited, svd)
        assert (check, sure) in checks_of(report), spoil.__name__
        assert report.against.startswith("run svd-")
        spoiled = audited.everything(svd)
        assert "would be mended: add --yes" in look_at(audited, svd, really=False).note
        np.testing.assert_equal(audited.everything(svd), spoiled)  # a dry run

        report = look_at(audited, svd, really=True)

        assert (report.repaired, look_at(audited, svd).findings) == (True, ()), spoil.__name__
        np.testing.assert_equal(audited.everything(svd), sound)
        assert Path(report.kept).parent == audited.folder / "kept"
        Path(report.kept).rename(audited.folder / f"{spoil.__name__}.h5")
    with h5py.File(audited.folder / "pop_motions.h5") as kept:
        np.testing.assert_array_equal(kept["Region/1/motion"][()], moving.early(moving.regions()[1].motion))
        assert kept["Region/1"].attrs["roi_no"] == 1
        assert len(kept["MotionSVD"]) == 3 * moving.COMPONENTS
    with h5py.File(audited.folder / "multiply_duration.h5") as kept:
        assert set(kept) == {"RecordingInfo"}
        assert kept["RecordingInfo/0"].attrs["recording_duration"] == pytest.approx(moving.NFRAMES * 30)


def test_a_pupil_and_a_blink_that_are_not_the_files_are_found_and_mended(audited: Audited) -> None:
    pose, signals = audited.pose, audited.lab.signals
    world = World(pose.settings, pose.database, pose.ledger, pose.lab, pose.store, pose.folder)
    world.epoch = pose.epoch
    key = world.insert_task()
    nan = {"area": np.where(np.arange(60) % 30 == 7, np.nan, 60.0 + np.arange(60) % 5)}
    world.publish(key, file={"pupil": nan})
    assert [result.end.value for result in world.loader().run_pass()] == ["loaded"]
    world.others.pop().close()
    assert look_at(audited, key).findings == ()
    sound = audited.everything(key)
    audited.update(signals.Pupil, {**key, "roi_no": 2}, com=np.zeros((60, 2)))
    audited.update(signals.Blink, {**key, "roi_no": 3}, trace=np.zeros(59))

    found = look_at(audited, key).findings
    assert [(one.check, one.certainty, one.table, one.roi_no) for one in found] == [
        ("values", L, "Pupil", 2),
        ("length", C, "Blink", 3),
    ]
    assert "(com)" in found[0].sentence
    assert look_at(audited, key, really=True).repaired
    np.testing.assert_equal(audited.everything(key), sound)


def test_two_simultaneous_views_are_sound_however_their_frames_are_counted(audited: Audited) -> None:
    key = audited.svd.insert_task(facemap_params=moving.task_params() | {"views": [[0, 1]]})
    recording = {name: key[name] for name in audited.lab.element.RecordingInfo.primary_key}
    audited.lab.element.VideoFile.insert1({**recording, "file_id": 1, "file_path": "m1/b.avi"})
    audited.svd.publish(key)
    assert [result.end.value for result in audited.svd.loader().run_pass()] == ["loaded"]
    audited.svd.others.pop().close()
    for nframes, fps in ((2 * moving.NFRAMES, 30), (2 * moving.NFRAMES - 2, 29)):
        info = {"nframes": nframes, "fps": fps, "recording_duration": nframes / fps}
        audited.update(audited.lab.element.RecordingInfo, recording, **info)
        for files in (Files, NoFiles):
            assert look_at(audited, key, files=files).findings == ()
    audited.update(audited.lab.element.RecordingInfo, recording, nframes=2 * moving.NFRAMES + 100)
    assert ("frames", P) in checks_of(look_at(audited, key, files=NoFiles))


def test_views_that_only_the_file_tells_of_count_too(audited: Audited) -> None:
    class OfTwoViews(Files):
        @contextlib.contextmanager
        def opened(self, lab: Any, task: Any) -> Iterator[OpenFiles]:
            with super().opened(lab, task) as found:
                yield replace(found, signals=None, views=2)

    svd, _ = audited.load()
    recording = {name: svd[name] for name in audited.lab.element.RecordingInfo.primary_key}
    audited.lab.element.VideoFile.insert1({**recording, "file_id": 1, "file_path": "m1/b.avi"})
    twice = {"nframes": 2 * moving.NFRAMES, "recording_duration": 2 * moving.NFRAMES / 30}
    audited.update(audited.lab.element.RecordingInfo, recording, **twice)
    assert ("frames", L) in checks_of(look_at(audited, svd, files=NoFiles))
    assert look_at(audited, svd, files=OfTwoViews).findings == ()


def test_a_duration_is_computed_by_the_videos_own_rate(audited: Audited) -> None:
    svd, _ = audited.load()
    audited.multiply_duration(svd)
    (finding,) = look_at(audited, svd, files=NoFiles).findings
    task = audited.lab.tasks(Kind.SVD).get(svd)
    assert task is not None
    repairer = Repairer(audited.lab, task, audited.folder / "kept", audited.settings.load, 29.97)
    repairer.mend([finding], OpenFiles(None, "themselves"), 0, NOW)
    (row,) = audited.rows(audited.lab.element.RecordingInfo, {name: svd[name] for name in ("subject", "recording_id")})
    assert row["recording_duration"] == pytest.approx(
        moving.NFRAMES / 29.97, rel=1e-5
    )  # a float of MySQL is shown with six digits


def test_rows_that_a_file_lacks_are_not_replaced(audited: Audited) -> None:
    svd, pose = audited.load()
    element = audited.lab.element
    (row,) = (row for row in audited.rows(element.Region, svd) if row["roi_no"] == 1)
    element.Region.insert1({**row, "roi_no": 7, "xrange": row["xrange"] + 1}, allow_direct_insert=True)
    audited.multiply_duration(svd)
    audited.leave_motion_early(svd)
    spoiled = audited.everything(svd)
    for really in (False, True):
        report = look_at(audited, svd, really=really)
        assert f"Rows are not replaced: {report.against} lacks region 7, which would be lost" in report.note
    assert not report.repaired
    np.testing.assert_equal(audited.everything(svd), spoiled)
    assert ("duration", C) not in checks_of(look_at(audited, svd))  # which no file is needed for

    table = audited.pose.inference.BodyPartPosition
    (table & pose & {"body_part": BODY_PARTS[0]}).delete_quick()
    assert checks_of(look_at(audited, pose, Kind.POSE, files=NoFiles)) == {("missing", L)}
    assert checks_of(look_at(audited, pose, Kind.POSE)) == {("missing", C)}
    assert look_at(audited, pose, Kind.POSE, really=True).repaired
    assert len(audited.rows(table, pose)) == len(BODY_PARTS)


def test_a_repair_loads_what_the_loader_would(audited: Audited) -> None:
    svd, _ = audited.load()
    audited.leave_motion_early(svd)
    spoiled = audited.everything(svd)
    load = audited.settings.load
    strict = load.quality.model_copy(update={"darkness": DarknessThreshold(warn=0, fail=0)})

    report = look_at(audited, svd, limits=load.model_copy(update={"quality": strict}), really=True)
    assert not report.repaired
    assert f"{report.against} wouldn't be loaded" in report.note
    assert "of the mean frame is always black" in report.note
    np.testing.assert_equal(audited.everything(svd), spoiled)

    # the settings leave components out that are there: these rows are sound, and what is loaded anew is less
    few = load.model_copy(update={"max_components": 3})
    assert checks_of(look_at(audited, svd, limits=few)) == {("alignment", C)}
    report = look_at(audited, svd, limits=few, really=True)
    assert report.repaired, report.note
    assert {row["component_id"] for row in audited.everything(svd)["MotionSVD"]} == {0, 1, 2}
    assert checks_of(look_at(audited, svd)) == {("missing", P)}
    assert not look_at(audited, svd, really=True).kept  # what may be meant so stays
    audited.multiply_duration(svd)
    report = look_at(audited, svd, really=True)  # and keeps nothing else from being mended
    assert (report.repaired, report.faulty, [one.check for one in report.left]) == (True, False, ["missing"] * 6)


def test_points_are_reloaded_and_old_numbers_only_when_asked(audited: Audited) -> None:
    svd, pose = audited.load()
    sound = audited.everything(pose)
    for row in sound["BodyPartPosition"]:
        where = {**pose, "body_part": row["body_part"]}
        short = {name: row[name][:40] for name in ("x_pos", "y_pos", "likelihood")}
        audited.update(audited.pose.inference.BodyPartPosition, where, **short)
    audited.update(audited.pose.inference.FacemapInference, pose, total_frame_count=40)
    assert ("frames", C) in checks_of(look_at(audited, pose, Kind.POSE))
    assert look_at(audited, pose, Kind.POSE, really=True).repaired
    np.testing.assert_equal(audited.everything(pose), sound)

    # regions 1 and 2 by the numbers 11 and 12, as a lab's own loader numbered them
    sound = audited.everything(svd)
    element = audited.lab.element
    for table in (element.MotionSVD, element.MovieSVD, element.Region):
        rows = [row for row in audited.rows(table, svd) if row["roi_no"] in (1, 2)]
        for row in rows:
            (table & {name: row[name] for name in table.primary_key}).delete_quick()
    for table in (element.Region, element.MotionSVD, element.MovieSVD):
        name = {element.Region: "Region", element.MotionSVD: "MotionSVD"}.get(table, "MovieSVD")
        rows = [{**row, "roi_no": row["roi_no"] + 10} for row in sound[name] if row["roi_no"] in (1, 2)]
        table.insert(rows, allow_direct_insert=True)
    report = look_at(audited, svd)
    assert checks_of(report) == {("numbering", C)}
    assert "11 is 1, 12 is 2" in report.findings[0].sentence
    report = look_at(audited, svd, really=True)
    assert not report.repaired
    assert "add --renumber" in report.note
    assert look_at(audited, svd, really=True, renumber=True).repaired
    np.testing.assert_equal(audited.everything(svd), sound)


def test_what_other_tables_depend_on_stays_and_that_is_said(audited: Audited) -> None:
    svd, _ = audited.load()
    schema = audited.pose.database.instance.Schema(f"{audited.settings.database.prefix}lab")

    class Whisking(dj.Manual):
        definition = """
        -> Region
        ---
        whisks : int32
        """

    table = schema(Whisking, context={"Region": audited.lab.element.Region})
    table.insert1({**svd, "roi_no": 1, "whisks": 7})
    audited.leave_motion_early(svd)
    spoiled = audited.everything(svd)
    report = look_at(audited, svd, really=True)
    assert not report.repaired
    assert "Other tables of the lab's depend on rows that would be replaced" in report.note
    np.testing.assert_equal(audited.everything(svd), spoiled)
    assert not list((audited.folder / "kept").glob("*"))
    table.drop_quick()
    assert look_at(audited, svd, really=True).repaired


def test_rows_that_somebody_else_wrote_are_compared_with_existing_files(audited: Audited) -> None:
    key = audited.svd.insert_task(task_mode="load", facemap_output_dir="m1/old", facemap_params=moving.task_params())
    element = audited.lab.element
    proc = saved(moving.proc(), audited.folder / "101_proc.npy")
    audited.store.upload(proc, f"{audited.lab.settings.processed_root}/m1/old/101_proc.npy")
    made = {"processing_time": dt.datetime(2025, 1, 1), "package_version": "1.0.8"}
    element.FacemapProcessing.insert1(key | made, allow_direct_insert=True)
    element.FacialSignal.insert1(key, allow_direct_insert=True)
    for number, found in moving.rows():
        row = {"roi_no": number, "motion": moving.early(found.motion)}
        element.Region.insert1(key | row, allow_direct_insert=True)

    report = look_at(audited, key)
    assert report.against.endswith("m1/old/101_proc.npy"), report.note
    task = audited.lab.tasks(Kind.SVD).get(key)
    with Files(audited.settings, audited.ledger, audited.store).opened(audited.lab, task) as found:
        assert found.views == 1
    # no SVD and no mean frame; a loader of the lab's may leave the running ROI out
    assert checks_of(report) == {("alignment", C), ("missing", L), ("missing", P)}
    report = look_at(audited, key, really=True)
    assert report.repaired, report.note
    rows = audited.everything(key)
    for row in rows["Region"][:3]:
        np.testing.assert_array_equal(row["motion"], moving.regions()[row["roi_no"]].motion)
    assert len(rows["MotionSVD"]) == 3 * moving.COMPONENTS


def test_points_that_somebody_else_wrote_are_compared_with_existing_files(audited: Audited) -> None:
    key = audited.pose.insert_task(task_mode="load", facemap_inference_output_dir="m1/old")
    name = f"{key['recording_id']}_FacemapPose.h5"
    folder = f"{audited.lab.settings.processed_root}/m1/old"
    inference = audited.pose.inference
    made = {"inference_completion_time": dt.datetime(2025, 1, 1), "inference_run_duration": 12.5}
    inference.FacemapInference.insert1(key | made | {"total_frame_count": 60}, allow_direct_insert=True)
    with h5py.File(audited.folder / name, "w") as file:
        for number, part in enumerate(BODY_PARTS):
            x, y, likelihood = points(0, number).T
            for what, values in (("x", x), ("y", y), ("likelihood", likelihood)):
                file[f"Facemap/{part}/{what}"] = values
            row = {"body_part": part, "x_pos": y, "y_pos": x, "likelihood": likelihood}
            inference.BodyPartPosition.insert1(key | row, allow_direct_insert=True)

    audited.store.put_bytes(f"{folder}/{name}", b"no HDF5")
    report = look_at(audited, key, Kind.POSE)
    assert (report.against, report.findings) == ("themselves", ())
    assert name in report.note
    audited.store.upload(audited.folder / name, f"{folder}/{name}")
    report = look_at(audited, key, Kind.POSE, really=True)
    assert (report.against, checks_of(report), report.repaired) == (f"{folder}/{name}", {("axis", C)}, True), (
        report.note
    )
    for row in audited.everything(key)["BodyPartPosition"]:
        number = BODY_PARTS.index(row["body_part"])
        np.testing.assert_array_equal(row["x_pos"], points(0, number)[:, 0])
