"""An NWB file holds what the database holds, is what other programs expect, and is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nwbinspector import Importance, inspect_nwbfile
from pynwb import NWBHDF5IO, NWBFile, validate

from fmdj_cloud.cli import app
from fmdj_cloud.errors import InputError, UsageError
from fmdj_cloud.export.nwb import NwbOptions, Written, export_nwb
from fmdj_cloud.export.select import choose
from fmdj_cloud.pipeline.codec import decode, pack
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from tests.integration.export.conftest import POSE, RECORDING, SVD, VIDEOS, Recorded
from tests.integration.load.killing import settings_json

pytestmark = pytest.mark.integration


def _rows(table: Any, key: dict[str, Any]) -> list[dict[str, Any]]:
    heading = table().heading
    return [{name: decode(heading[name], value) for name, value in row.items()} for row in (table & key).to_dicts()]


def _export(recorded: Recorded, restriction: dict[str, Any], out: Path, **options: Any) -> Written:
    choice = choose([recorded.lab], recorded.ledger, restriction)
    return export_nwb(choice, recorded.ledger, recorded.store, out, NwbOptions(**options))


@contextlib.contextmanager
def _read(path: Path) -> Iterator[NWBFile]:
    with NWBHDF5IO(str(path), mode="r") as io:
        yield io.read()


def test_a_file_holds_what_the_database_holds(recorded: Recorded) -> None:
    out = recorded.folder / "m1.nwb"
    said = {"subject": {"age": "P90D", "species": "Mus musculus"}, "nwbfile": {"lab": "ours"}}
    told: list[tuple[int, int]] = []
    written = _export(
        recorded,
        RECORDING,
        out,
        videos=recorded.videos(),
        slice_bytes=1,
        metadata=said,
        progress=lambda done, total: told.append((done, total)),
    )
    assert (written.path, written.nframes) == (out, 60)
    assert told[-1][0] == told[-1][1] > 0
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    findings = list(inspect_nwbfile(nwbfile_path=str(out)))
    assert [found for found in findings if found.importance.value >= Importance.BEST_PRACTICE_VIOLATION.value] == []
    assert {found.check_function_name for found in findings} <= {"check_experimenter_exists", "check_institution"}
    assert written.notes == ()
    assert validate(path=str(out)) == []
    with _read(out) as file:
        _check_head(recorded, file)
        behavior = file.processing["behavior"]
        _check_svd(recorded, behavior)
        _check_traces(recorded, behavior)
        _check_pose(recorded, file, behavior["PoseEstimation"])
    assert sorted(path.name for path in recorded.folder.glob("*.nwb")) == ["m1.nwb"]
    assert not list(recorded.folder.glob(".*"))

    # the same again only where it is asked for
    with pytest.raises(UsageError, match="--overwrite"):
        _export(recorded, RECORDING, out)
    _export(recorded, SVD, out, overwrite=True)
    with _read(out) as file:
        assert "PoseEstimation" not in file.processing["behavior"].data_interfaces


def _check_head(recorded: Recorded, file: NWBFile) -> None:
    assert file.session_start_time == dt.datetime(2026, 1, 15, tzinfo=dt.UTC)
    assert (file.lab, file.subject.age) == ("ours", "P90D")
    assert (file.session_id, file.subject.subject_id, file.subject.sex) == ("m1_1", "m1", "U")
    for view, names in enumerate((VIDEOS[::2], VIDEOS[1::2])):
        video = file.acquisition[f"FaceVideoView{view}"]
        assert list(video.external_file[:]) == [f"videos/{name}" for name in names]
        assert list(video.starting_frame[:]) == [0, 40]
        assert (video.num_samples, list(video.dimension[:]), video.starting_time) == (60, [48, 32], 5.0)
        assert video.rate == pytest.approx(29.97, rel=1e-5)
        assert video.device.name == "camera"
    said = json.loads(str(file.scratch["fmdj_provenance"].data))
    svd, pose = said["sources"]
    runs = {run.task_kind: run for run in recorded.ledger.runs()}
    for source in (svd, pose):
        run = runs["svd" if source is svd else "pose"]
        assert (source["run_id"], source["manifest_sha256"]) == (run.run_id, run.manifest_sha256)
        assert source["versions"]["facemap"] == "1.0.8"
        assert run.run_id in file.notes
    assert svd["signals"][0]["repairs"] == ["F1"]
    assert "F1" in file.notes
    assert svd["parameters"]["sbin"] == 4


def _check_svd(recorded: Recorded, behavior: Any) -> None:
    element = recorded.lab.element
    for number in (0, 1):
        for title, table, mask in (
            ("MotionSVD", element.MotionSVD, "motmask"),
            ("MovieSVD", element.MovieSVD, "movmask"),
        ):
            rows = sorted(_rows(table, {**SVD, "roi_no": number}), key=lambda row: row["component_id"])
            masks, series = behavior[f"{title}MasksRegion{number}"], behavior[f"{title}SeriesRegion{number}"]
            np.testing.assert_array_equal(masks["image_mask"][:], np.stack([row[mask] for row in rows]))
            assert list(masks.id[:]) == [row["component_id"] for row in rows]
            values = [np.nan if row["singular_value"] is None else row["singular_value"] for row in rows]
            assert ("singular_value" in masks.colnames) is (title == "MotionSVD")  # nobody knows the others
            if "singular_value" in masks.colnames:
                np.testing.assert_array_equal(masks["singular_value"][:], values)
            assert set(masks["downsampling_factor"][:]) == {4.0}
            np.testing.assert_array_equal(series.data[:], np.stack([row["projection"] for row in rows], axis=1))
            assert series.starting_time == 5.0
    assert behavior["MotionSVDMasksRegion1"]["mask_coordinates"][0].tolist() == [0, 0, 6, 4]
    regions = behavior["FacemapRegions"].to_dataframe()
    assert regions["view"].tolist() == [-1, 0, 0, 0, 0]
    assert regions.loc[1, ["x1", "y1", "x2", "y2"]].tolist() == [0, 0, 24, 16]
    (summary,) = _rows(element.Summary, SVD)
    np.testing.assert_array_equal(behavior["FacemapSummary"]["AverageFrame"].data[:], summary["avgframe"])
    np.testing.assert_array_equal(behavior["FacemapSummary"]["AverageMotion"].data[:], summary["avgmotion"])


def _check_traces(recorded: Recorded, behavior: Any) -> None:
    signals = recorded.lab.signals
    series = behavior["BehavioralTimeSeries"].time_series
    motions = {row["roi_no"]: row["motion"] for row in _rows(recorded.lab.element.Region, SVD)}
    assert set(series) == {"MotionEnergyRegion0", "MotionEnergyRegion1", "BlinkRegion3", "RunningRegion4"}
    for number in (0, 1):
        np.testing.assert_array_equal(series[f"MotionEnergyRegion{number}"].data[:], motions[number])
    assert "repaired: F1" in series["MotionEnergyRegion0"].description
    (blink,) = _rows(signals.Blink, SVD)
    np.testing.assert_array_equal(series["BlinkRegion3"].data[:], blink["trace"])
    (running,) = _rows(signals.Running, SVD)
    np.testing.assert_array_equal(series["RunningRegion4"].data[:], running["displacement"])
    (pupil,) = _rows(signals.Pupil, SVD)
    sizes = behavior["PupilTracking"].time_series
    for name, column in (("Area", "area"), ("AreaSmooth", "area_smooth"), ("AxisLengths", "axlen")):
        np.testing.assert_array_equal(sizes[f"Pupil{name}Region2"].data[:], pupil[column])
    np.testing.assert_array_equal(sizes["PupilAxisDirectionsRegion2"].data[:], pupil["axdir"])
    centers = behavior["EyeTracking"].spatial_series
    np.testing.assert_array_equal(centers["PupilCenterRegion2"].data[:], pupil["com"][:, ::-1])
    np.testing.assert_array_equal(centers["PupilCenterSmoothRegion2"].data[:], pupil["com_smooth"][:, ::-1])


def _check_pose(recorded: Recorded, file: NWBFile, pose: Any) -> None:
    rows = {row["body_part"]: row for row in _rows(recorded.pose.inference.BodyPartPosition, POSE)}
    assert list(pose.skeleton.nodes[:]) == sorted(BODY_PARTS)
    for part in BODY_PARTS:
        series = pose.pose_estimation_series[part]
        np.testing.assert_array_equal(series.data[:], np.stack([rows[part]["x_pos"], rows[part]["y_pos"]], axis=1))
        np.testing.assert_array_equal(series.confidence[:], rows[part]["likelihood"])
    assert pose.source_video is file.acquisition["FaceVideoView1"]
    assert (pose.scorer, pose.source_software, pose.source_software_version) == ("small", "Facemap", "1.0.8")


def test_rows_that_are_not_what_they_should_be_leave_no_file(recorded: Recorded) -> None:
    table = recorded.lab.element.MotionSVD
    where = " AND ".join(f"{name} = %s" for name in (*SVD, "roi_no", "component_id"))
    recorded.pose.database.execute(
        f"UPDATE {table.full_table_name} SET projection = %s WHERE {where}",
        (pack(np.zeros(5, np.float32)), *SVD.values(), 0, 6),
    )
    with pytest.raises(InputError, match=r"component_id=6\) is of shape \(5,\), not \(60,\): `fmdj audit`"):
        _export(recorded, SVD, recorded.folder / "bad.nwb")
    assert not list(recorded.folder.glob("*.nwb"))
    assert not list(recorded.folder.glob(".*"))

    # what nobody knows is left out, and said
    recorded.lab.element.VideoFile.delete_quick()
    written = _export(recorded, POSE, recorded.folder / "pose.nwb", session_start=dt.datetime(2025, 1, 1))
    assert "the animal's age or date of birth and species, which archives such as DANDI ask for" in written.notes[-1]
    assert any("no files in VideoRecording.File" in note for note in written.notes)
    with _read(written.path) as file:
        assert not file.acquisition
        assert file.session_start_time.year == 2025


def test_the_command_writes_a_file_and_tells_what_it_assumed(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = recorded.folder / "config.yaml"
    config.write_text(settings_json(recorded.pose))  # JSON is YAML
    monkeypatch.setenv("FMDJ_CONFIG", str(config))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    run_id = next(run.run_id for run in recorded.ledger.runs() if run.task_kind == "svd")
    out = recorded.folder / "of run.nwb"
    capsys.readouterr()

    def fmdj(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["fmdj", "export", "nwb", *words])
        try:
            return int(app.main())
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)

    assert fmdj(run_id, str(out), "-o", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["path"], said["frames"]) == (str(out), 60)
    assert any("There is no video 'm1/left_0.avi'" in note for note in said["notes"])
    assert out.exists()
    assert fmdj("recording_id=2", str(out)) == 2
    assert "No task matches recording_id=2" in capsys.readouterr().err
    assert fmdj(run_id, str(out), "--timezone", "Mars/Olympus") == 2
    assert fmdj(str(out)) == 2


def test_a_long_recording_takes_the_memory_of_a_slice(recorded: Recorded) -> None:
    database, table = recorded.pose.database, recorded.lab.element.MotionSVD
    frames = 200_000
    names = (*SVD, "roi_no", "component_id")
    where = " AND ".join(f"{name} = %s" for name in (*SVD, "roi_no"))
    database.execute(f"DELETE FROM {recorded.lab.element.MovieSVD.full_table_name}")
    database.execute(f"DELETE FROM {table.full_table_name} WHERE roi_no = 1")
    for signal in ("Pupil", "Blink", "Running"):
        database.execute(f"DELETE FROM {getattr(recorded.lab.signals, signal).full_table_name}")
    trace = np.arange(frames, dtype=np.float32)
    database.execute(
        f"UPDATE {table.full_table_name} SET projection = %s WHERE {where}", (pack(trace), *SVD.values(), 0)
    )
    database.execute(f"UPDATE {recorded.lab.element.Region.full_table_name} SET motion = %s", (pack(trace),))
    for component in range(7, 40):
        row = [pack(trace), *SVD.values(), 0, component]
        database.execute(
            f"INSERT INTO {table.full_table_name} (motmask, projection, {', '.join(names)}) "
            f"SELECT motmask, %s, {', '.join(['%s'] * len(names))} FROM {table.full_table_name} "
            f"WHERE {where} AND component_id = 0",
            (*row, *SVD.values(), 0),
        )
    tracemalloc.start()
    written = _export(recorded, SVD, recorded.folder / "long.nwb", slice_bytes=4 * frames * 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    whole = 40 * trace.nbytes
    assert written.nframes == frames
    assert peak < whole / 2
    with _read(written.path) as file:
        data = file.processing["behavior"]["MotionSVDSeriesRegion0"].data
        assert data.shape == (frames, 40)
        np.testing.assert_array_equal(data[-1], np.full(40, frames - 1))
