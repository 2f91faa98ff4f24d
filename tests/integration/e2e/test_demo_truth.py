"""What arrived in the database is right: against the truth of the generated recordings."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from fmdj_cloud import __version__
from fmdj_cloud.contracts import Verdict
from fmdj_cloud.demo.pose_model import keypoints
from fmdj_cloud.demo.scenarios import SCENARIOS
from fmdj_cloud.pipeline.trajectory import get_trajectory
from tests.integration.e2e.demo_world import Demo

pytestmark = pytest.mark.integration


def rows(table: Any, key: dict[str, Any]) -> list[dict[str, Any]]:
    return (table & key).to_dicts(order_by="KEY")


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(np.asarray(a, float), np.asarray(b, float))[0, 1])


def test_every_recording_ends_as_it_should(demo: Demo) -> None:
    assert demo.report["ok"] is True
    ends = {run["name"]: (run["state"], run["failure_class"]) for run in demo.report["runs"]}
    assert ends == {
        "one-camera": ("loaded", None),
        "two-views": ("loaded", None),
        "gui-rois": ("loaded", None),
        "truncated": ("failed", "input"),
        "shared-folder": ("loaded", None),
        "imported": ("loaded", None),
        "pose": ("loaded", None),
    }


def test_the_report_says_what_each_run_took_and_wrote(demo: Demo) -> None:
    run = demo.run("one-camera")
    assert set(run) == {
        "name", "run_id", "kind", "state", "failure_class", "sentence", "frames", "seconds", "rows",
        "median_error_px",
    }  # fmt: skip
    assert run["run_id"].startswith("svd-")
    assert run["kind"] == "svd"
    assert run["frames"] == 2400
    assert run["seconds"] > 0
    # full frame and five ROIs; 500 components of the full frame and as many of each motion ROI as it has pixels
    assert run["rows"]["FacialSignal.Region"] == 6
    assert run["rows"]["FacialSignal.MotionSVD"] > 500
    assert run["rows"]["FacialSignal.MovieSVD"] == 0
    assert (run["rows"]["Pupil"], run["rows"]["Blink"], run["rows"]["Running"]) == (1, 1, 1)


def test_quality_control_flags_nothing_in_good_recordings(demo: Demo) -> None:
    for run in demo.report["runs"]:
        found = demo.ledger.quality(run["run_id"]) if run["state"] == "loaded" else ()
        assert bool(found) == (run["state"] == "loaded")
        assert [one.sentence for one in found if one.verdict is not Verdict.PASS] == []


def test_each_loaded_run_has_a_figure(demo: Demo) -> None:
    figures = {path.stem for path in demo.workdir.glob("*.png")}
    assert figures == {"one-camera", "two-views", "gui-rois", "shared-folder", "imported", "pose"}


def test_the_truncated_video_is_refused_with_a_sentence_a_scientist_understands(demo: Demo) -> None:
    run = demo.run("truncated")
    assert "truncated.avi" in run["sentence"]
    assert "900" in run["sentence"]  # what the header claims
    assert not any(run["rows"].values())


def regions(demo: Demo, name: str) -> dict[str, dict[str, Any]]:
    return {row["roi_name"]: row for row in rows(demo.lab.element.Region, demo.key(name))}


def test_pupil_area_and_centre_follow_the_truth(demo: Demo) -> None:
    truth = demo.truth("one-camera")
    region = regions(demo, "one-camera")["pupil 1"]
    (row,) = rows(demo.lab.signals.Pupil, demo.key("one-camera"))
    seen = truth.eye_open
    assert row["roi_no"] == region["roi_no"]
    assert correlation(row["area"][seen], truth.pupil_area[seen]) > 0.95
    centre = row["com"] + [region["yrange"][0], region["xrange"][0]]
    assert np.abs(centre - truth.pupil_center)[seen].max() < 1


def test_every_blink_is_found_and_nothing_else(demo: Demo) -> None:
    truth = demo.truth("one-camera")
    (row,) = rows(demo.lab.signals.Blink, demo.key("one-camera"))
    trace = row["trace"]
    threshold = (np.median(trace) + min(trace[a:b].min() for a, b in truth.blinks)) / 2
    below = np.flatnonzero(np.diff(np.concatenate([[0], (trace < threshold).astype(int), [0]])))
    found = [tuple(pair) for pair in below.reshape(-1, 2)]
    assert len(truth.blinks) >= 3
    assert len(found) == len(truth.blinks)
    for (start, stop), (a, b) in zip(found, truth.blinks, strict=True):
        assert start < b
        assert stop > a


def test_running_is_right_in_sign_and_size(demo: Demo) -> None:
    truth = demo.truth("one-camera")
    (row,) = rows(demo.lab.signals.Running, demo.key("one-camera"))
    running = row["displacement"]
    moving = [axis for axis in (0, 1) if truth.running[:, axis].std() > 0]
    assert moving
    for axis in moving:
        assert correlation(running[:, axis], truth.running[:, axis]) > 0.9
        slope = np.polyfit(truth.running[:, axis], running[:, axis], 1)[0]
        assert slope == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", ["one-camera", "gui-rois"])
def test_motion_energy_belongs_to_its_own_roi(demo: Demo, name: str) -> None:
    truth = demo.truth(name)
    found = regions(demo, name)
    whisker, snout = found["motion SVD 1"]["motion"], found["motion SVD 2"]["motion"]
    assert correlation(whisker, truth.whisker_energy) > 0.9
    assert correlation(snout, truth.snout_energy) > 0.9
    assert abs(correlation(whisker, truth.snout_energy)) < 0.5
    assert abs(correlation(snout, truth.whisker_energy)) < 0.5


def facemap_file(demo: Demo, name: str) -> dict[str, Any]:
    """Facemap's own file, found where the task row says."""
    (task,) = rows(demo.lab.element.FacemapTask, demo.key(name))
    folder = f"{demo.lab.settings.processed_root}/{task['facemap_output_dir']}"
    (info,) = [i for i in demo.store.list(f"{folder}/") if i.uri.endswith("_proc.npy")]
    return np.load(io.BytesIO(demo.store.get_bytes(info.uri, max_bytes=1 << 30)), allow_pickle=True).item()


@pytest.mark.parametrize(
    ("name", "regions_of_file"), [("one-camera", {0: 0, 1: 1, 2: 2}), ("two-views", {0: 0}), ("gui-rois", {0: 1, 1: 2})]
)
def test_masks_and_projections_are_those_of_facemaps_own_file(
    demo: Demo, name: str, regions_of_file: dict[int, int]
) -> None:
    proc = facemap_file(demo, name)
    for roi_no, index in regions_of_file.items():
        found = rows(demo.lab.element.MotionSVD, {**demo.key(name), "roi_no": roi_no})
        assert [row["component_id"] for row in found] == list(range(len(found)))
        masks = np.stack([row["motmask"] for row in found], axis=-1)
        projections = np.stack([row["projection"] for row in found], axis=-1)
        expected_masks, expected = proc["motMask_reshape"][index], proc["motSVD"][index]
        assert masks.shape == expected_masks.shape
        assert projections.shape == expected.shape
        np.testing.assert_array_equal(masks, expected_masks)
        np.testing.assert_array_equal(projections, expected)


def test_movie_svd_goes_into_its_own_table(demo: Demo) -> None:
    proc = facemap_file(demo, "gui-rois")
    found = rows(demo.lab.element.MovieSVD, {**demo.key("gui-rois"), "roi_no": 0})
    assert len(found) == proc["movSVD"][1].shape[1]
    assert found[0]["projection"].shape == (1200,)
    assert correlation(found[0]["projection"], proc["movSVD"][1][:, 0]) == pytest.approx(1, abs=1e-6)


def test_without_the_full_frame_rois_are_numbered_from_zero(demo: Demo) -> None:
    assert [row["roi_no"] for row in rows(demo.lab.element.Region, demo.key("gui-rois"))] == [0, 1, 2]


def test_two_views_in_two_files_become_one_recording(demo: Demo) -> None:
    key = demo.key("two-views")
    (summary,) = rows(demo.lab.element.Summary, key)
    (component, *_) = rows(demo.lab.element.MotionSVD, key)
    assert component["projection"].shape == (2100,)
    assert component["motmask"].shape == summary["avgframe"].shape
    assert summary["avgframe"].size >= 2 * (256 // 4) * (192 // 4)
    (region,) = rows(demo.lab.element.Region, key)
    assert region["motion"].shape == (2100,)


def test_motion_is_aligned_in_the_table_and_in_facemaps_file(demo: Demo) -> None:
    ours = regions(demo, "one-camera")["full frame"]["motion"]
    np.testing.assert_array_equal(ours, facemap_file(demo, "one-camera")["motion"][0])
    assert ours[0] == ours[1]
    assert ours[min(500, len(ours)) - 1] > 0


def test_a_missing_recording_info_is_filled(demo: Demo) -> None:
    (info,) = rows(demo.lab.element.RecordingInfo, {**demo.key("two-views")})
    assert (info["px_width"], info["px_height"], info["nframes"]) == (256, 192, 2100)
    assert info["recording_duration"] == pytest.approx(70, abs=0.1)


def test_processing_names_what_computed_and_when(demo: Demo) -> None:
    (processing,) = rows(demo.lab.element.FacemapProcessing, demo.key("one-camera"))
    assert processing["package_version"] == f"fmdj {__version__}"[:16]
    assert processing["processing_time"] is not None


def test_a_video_in_a_shared_folder_is_computed_and_published_in_the_bucket(demo: Demo) -> None:
    (task,) = rows(demo.lab.element.FacemapTask, demo.key("shared-folder"))
    folder = f"{demo.lab.settings.processed_root}/{task['facemap_output_dir']}"
    assert folder.startswith("s3://")
    assert [i for i in demo.store.list(folder) if i.uri.endswith("shared-folder_proc.npy")]
    truth, found = demo.truth("shared-folder"), regions(demo, "shared-folder")
    assert correlation(found["motion SVD 1"]["motion"], truth.whisker_energy) > 0.9


def test_a_file_that_facemap_wrote_before_is_imported_as_it_lies(demo: Demo) -> None:
    run = demo.run("imported")
    assert run["kind"] == "import"
    assert run["run_id"].startswith("import-")
    proc = facemap_file(demo, "imported")
    ours = regions(demo, "imported")["full frame"]["motion"]
    np.testing.assert_array_equal(ours[1:500], proc["motion"][0][:499])  # F1 is seen in the data and repaired
    found = rows(demo.lab.element.MotionSVD, {**demo.key("imported"), "roi_no": 0})
    ours_first, theirs = found[0]["projection"], proc["motSVD"][0][:, 0]
    assert correlation(ours_first, theirs) == pytest.approx(1, abs=1e-6)


def test_nose_tip_and_eye_corners_lie_where_they_are(demo: Demo) -> None:
    run = demo.run("pose")
    assert (run["kind"], run["frames"]) == ("pose", 600)
    assert run["rows"] == {"FacemapInference": 1, "FacemapInference.BodyPartPosition": 15}
    assert 0 < run["median_error_px"] < 5
    key = {"subject": "m1", "session_id": 1, "recording_id": 7, "model_id": 1}
    table = get_trajectory(demo.lab.inference, key, ["nose(tip)", "eye(front)", "eye(back)"])["small"]
    truth = keypoints(240, 320)
    for part in ("nose(tip)", "eye(front)", "eye(back)"):
        assert np.median(np.hypot(table[part]["x"] - truth[part][0], table[part]["y"] - truth[part][1])) < 5
        assert table[part]["likelihood"].median() > 0.9


def test_the_demo_covers_every_story_it_tells() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert names == ["one-camera", "two-views", "gui-rois", "truncated", "shared-folder", "imported", "pose"]
