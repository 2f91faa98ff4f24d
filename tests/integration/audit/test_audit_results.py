"""Results that a faulty loader left are found, and mended from their files; what was there is kept."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datajoint as dj
import h5py
import numpy as np
import pytest

from fmdj_cloud.audit.files import Files, OpenFiles
from fmdj_cloud.audit.findings import Certainty, KeyReport
from fmdj_cloud.audit.look import Mending, audit_result
from fmdj_cloud.cli import app
from fmdj_cloud.contracts import Kind
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from tests.integration.audit.conftest import Audited
from tests.integration.load.killing import settings_json
from tests.support.audit import moving
from tests.support.pose.signals import points
from tests.unit.importing.conftest import saved

pytestmark = pytest.mark.integration
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
C, L, P = Certainty.CERTAIN, Certainty.LIKELY, Certainty.POSSIBLE
FAULTS = [
    (Audited.slice_along_frames, "axis", C, C),
    (Audited.pop_motions, "motion_roi", C, L),
    (Audited.mix_svds, "svd_table", C, L),
    (Audited.leave_motion_early, "alignment", C, L),
    (Audited.multiply_duration, "duration", C, C),
    (Audited.transpose_masks, "axis", C, C),
    (Audited.forget_files, "frames", C, L),
]
"""What is done to the rows, what must be found against the file, and in the rows alone."""


class NoFiles(Files):
    """As if all files were gone."""

    @contextlib.contextmanager
    def opened(self, lab: Any, task: Any) -> Iterator[OpenFiles]:
        yield OpenFiles(None, "themselves", problem="They are gone.")


def _found(report: KeyReport) -> set[tuple[str, Certainty]]:
    return {(finding.check, finding.certainty) for finding in report.findings}


def _audit(audited: Audited, key: dict[str, Any], kind: Kind = Kind.SVD, **options: Any) -> KeyReport:
    files = options.pop("files", Files)(audited.settings, audited.ledger, audited.store)
    usual = {"renumber": False, "folder": audited.folder / "kept", "slice_bytes": 1 << 20}
    return audit_result(audited.choice(key, kind), files, Mending(**usual | options) if options else None, NOW)


def test_every_fault_is_found_and_mended(audited: Audited) -> None:
    svd, pose = audited.load()
    for key, kind in ((svd, Kind.SVD), (pose, Kind.POSE)):
        for files in (Files, NoFiles):
            report = _audit(audited, key, kind, files=files)
            assert (report.findings, report.sound) == ((), True)
    sound = audited.everything(svd)
    for spoil, check, sure, alone in FAULTS:
        spoil(audited, svd)
        assert (check, alone) in _found(_audit(audited, svd, files=NoFiles)), spoil.__name__
        report = _audit(audited, svd)
        assert (check, sure) in _found(report), spoil.__name__
        assert report.against.startswith("run svd-")
        spoiled = audited.everything(svd)
        assert "would be mended: add --yes" in _audit(audited, svd, really=False).note
        np.testing.assert_equal(audited.everything(svd), spoiled)  # a dry run

        report = _audit(audited, svd, really=True)

        assert (report.repaired, _audit(audited, svd).findings) == (True, ()), spoil.__name__
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


def test_points_are_reloaded_and_old_numbers_only_when_asked(audited: Audited) -> None:
    svd, pose = audited.load()
    sound = audited.everything(pose)
    for row in sound["BodyPartPosition"]:
        where = {**pose, "body_part": row["body_part"]}
        short = {name: row[name][:40] for name in ("x_pos", "y_pos", "likelihood")}
        audited.update(audited.pose.inference.BodyPartPosition, where, **short)
    audited.update(audited.pose.inference.FacemapInference, pose, total_frame_count=40)
    assert ("frames", C) in _found(_audit(audited, pose, Kind.POSE))
    assert _audit(audited, pose, Kind.POSE, really=True).repaired
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
    report = _audit(audited, svd)
    assert _found(report) == {("numbering", C)}
    assert "11 is 1, 12 is 2" in report.findings[0].sentence
    report = _audit(audited, svd, really=True)
    assert not report.repaired
    assert "add --renumber" in report.note
    assert _audit(audited, svd, really=True, renumber=True).repaired
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
    report = _audit(audited, svd, really=True)
    assert not report.repaired
    assert "Other tables of the lab's depend on rows that would be replaced" in report.note
    np.testing.assert_equal(audited.everything(svd), spoiled)
    assert not list((audited.folder / "kept").glob("*"))
    table.drop_quick()
    assert _audit(audited, svd, really=True).repaired


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

    report = _audit(audited, key)
    assert report.against.endswith("m1/old/101_proc.npy"), report.note
    assert _found(report) == {("alignment", C)}
    report = _audit(audited, key, really=True)
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
    report = _audit(audited, key, Kind.POSE)
    assert (report.against, report.findings) == ("themselves", ())
    assert name in report.note
    audited.store.upload(audited.folder / name, f"{folder}/{name}")
    report = _audit(audited, key, Kind.POSE, really=True)
    assert (report.against, _found(report), report.repaired) == (f"{folder}/{name}", {("axis", C)}, True), report.note
    for row in audited.everything(key)["BodyPartPosition"]:
        number = BODY_PARTS.index(row["body_part"])
        np.testing.assert_array_equal(row["x_pos"], points(0, number)[:, 0])


def test_the_command_tells_and_mends(
    audited: Audited, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    svd, _ = audited.load()
    (audited.folder / "config.yaml").write_text(settings_json(audited.pose))  # JSON is YAML
    monkeypatch.setenv("FMDJ_CONFIG", str(audited.folder / "config.yaml"))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def fmdj(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fmdj", "audit", *words])
        capsys.readouterr()
        try:
            code = int(app.main())
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        return code, capsys.readouterr().out

    code, out = fmdj()
    assert (code, "2 results: 2 sound; 0 of them have no files" in out) == (0, True)
    audited.leave_motion_early(svd)
    code, out = fmdj("-o", "json", f"recording_id={svd['recording_id']}")
    (report,) = json.loads(out)
    assert (code, report["task"], {one["check"] for one in report["findings"]}) == (
        *(1, f"subject=m1 session_id=1 recording_id={svd['recording_id']} facemap_task_id=0"),
        {"alignment"},
    )
    kept = audited.folder / "kept"
    assert fmdj("--repair", "--keep", str(kept))[0] == 1
    assert not kept.exists()
    code, out = fmdj("--repair", "--yes", "--keep", str(kept))
    assert (code, "1 sound, 1 mended" in out, len(list(kept.iterdir()))) == (0, True, 1)
    assert fmdj("--yes")[0] == 2
