"""The worker on pose runs: what it publishes, and what it goes on from."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from fmdj_cloud.contracts import BBox, Kind, Origin
from fmdj_cloud.signals_h5 import SignalsReader
from tests.support.pose import models
from tests.support.pose.bench import LIMITS, wait_for
from tests.support.pose.oracle import assert_equal
from tests.support.pose.videos import damage

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def files(video):
    """Two views of two sequential files each, the first longer than the second."""
    return {
        (view, file): video(f"cam{view}_{file}.avi", 20 + 6 * file, 120, 160 if view == 0 else 100, 2 * view + file)
        for view in (0, 1)
        for file in (0, 1)
    }


@pytest.fixture(scope="module")
def ran(bench, files, model_file):
    """A run over all of it, with a box in each view."""
    videos = bench.refs((files[0, 0], files[1, 0]), (files[0, 1], files[1, 1]))
    boxes = (BBox(y0=0, y1=120, x0=0, x1=160), BBox(y0=10, y1=90, x0=5, x1=95))
    ran = bench.run(bench.spec(videos, bench.params(model_file, bbox=boxes, pose_view=1)))
    assert ran.exit_code == 0, ran.output
    return ran


@pytest.fixture(scope="module")
def facemaps(oracle, files):
    """What Facemap finds in each file, computed for itself."""
    box = BBox(y0=10, y1=90, x0=5, x1=95)
    return {place: oracle.points(path, box if place[0] else None) for place, path in files.items()}


@pytest.mark.parametrize("view", [0, 1])
def test_each_view_has_its_own_points_and_files_follow_each_other(ran, facemaps, model, view):
    both = np.concatenate([facemaps[view, 0], facemaps[view, 1]])
    alphabetical = np.argsort(model.body_parts)
    assert_equal(ran.points(view), both[:, alphabetical])


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_every_video_has_facemaps_two_files(ran, facemaps, model, place):
    points, metadata = ran.facemap(f"cam{place[0]}_{place[1]}")
    assert list(points) == sorted(model.body_parts)
    assert all(array.dtype == np.float32 for array in points.values())
    ours = np.stack([points[part] for part in model.body_parts], 1)
    assert_equal(ours, facemaps[place])
    assert list(metadata) == ["batch_size", "image_size", "bbox", "total_frames", "bodyparts", "inference_speed"]
    assert metadata["total_frames"] == len(ours)
    assert metadata["bodyparts"] == list(model.body_parts)
    assert metadata["image_size"] == ([120, 120], [160, 100])
    assert metadata["bbox"] == [[0, 120, 0, 160], [10, 90, 5, 95]][place[0]]
    assert metadata["inference_speed"] > 0


def test_the_manifest_says_what_computed(ran):
    manifest = ran.manifest
    assert (manifest.kind, manifest.nframes) == (Kind.POSE, 46)
    assert [view.frames for view in manifest.views] == [(20, 26), (20, 26)]
    assert manifest.gui_file == "pod-1/facemap/pose/cam1_0_FacemapPose.h5"  # of the view that the task names
    assert manifest.device.startswith("cpu (")
    assert {"facemap", "torch", "opencv", "fmdj", "numpy"} <= set(manifest.versions)
    assert {"check", "model", "pose", "network", "write"} <= set(manifest.timings_s)
    assert [(signal.signal, signal.origin) for signal in manifest.signals] == [("pose", Origin.FACEMAP)] * 2
    assert "fp32, 2 frame(s) at once" in manifest.signals[0].note
    assert manifest.warnings == ()


def test_signals_h5_can_be_read_in_slices(ran):
    with SignalsReader(ran.pod / "signals.h5") as reader:
        views = reader.pose_views()
        assert [(info.view, info.bbox, info.precision) for info in views] == [
            (0, (0, 120, 0, 160), "fp32"),
            (1, (10, 90, 5, 95), "fp32"),
        ]
        assert reader.body_parts(2) == ()
        whole = reader.keypoints(1, "nose(tip)")
        slices = [reader.keypoints(1, "nose(tip)", start, start + 20) for start in (0, 20, 40)]
        assert reader.keypoint_shapes(1, "nose(tip)") == ((46,),) * 3
    for name, pieces in zip(whole, zip(*slices, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(pieces), name)


def test_damaged_frames_are_empty_and_shift_nothing(bench, video, model_file, tmp_path, facemaps, model):
    whole = video("cam0_1.avi", 26, 120, 160, 1)
    path = damage(whole, bench.folder / "damaged.avi", 3, 4, 15)
    ran = bench.run(bench.spec(bench.refs((path,)), bench.params(model_file)))
    assert ran.exit_code == 0, ran.output
    points, facemap = ran.points(), facemaps[0, 1][:, np.argsort(model.body_parts)]
    bad = np.isin(np.arange(26), (3, 4, 15))
    assert np.isnan(points[bad][..., :2]).all()
    assert (points[bad][..., 2] == 0).all()
    assert_equal(points[~bad], facemap[~bad])
    assert "3 frame(s) of view 0 can't be decoded" in ran.manifest.warnings[0]


def test_more_damaged_frames_than_allowed_are_refused_unless_accepted(bench, video, model_file):
    path = damage(video("cam0_1.avi"), bench.folder / "worse.avi", 3, 4, 15)
    limits = LIMITS.model_copy(update={"max_bad_frames": 2})
    videos, params = bench.refs((path,)), bench.params(model_file)
    refused = bench.run(bench.spec(videos, params, limits=limits))
    assert (refused.exit_code, refused.message.check) == (10, "bad_frames")
    assert "More than 2 frames of view 0" in refused.message.sentence
    accepted = bench.run(bench.spec(videos, params, limits=limits, accept=("bad_frames",)))
    assert accepted.exit_code == 0


def test_a_model_that_is_a_program_runs_nothing(bench, video, tmp_path):
    path, proof = hostile(tmp_path), tmp_path / "proof"
    ran = bench.run(bench.spec(bench.refs((video("cam0_0.avi"),)), bench.params(path)))
    assert (ran.exit_code, ran.message.check) == (10, "model")
    assert "could run as a program" in ran.message.sentence
    assert not proof.exists()
    assert ran.manifest is None


def test_a_gpu_that_was_promised_and_isnt_there_is_never_replaced_by_the_cpu(bench, video, model_file, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    limits = LIMITS.model_copy(update={"gpu": 1})
    ran = bench.run(bench.spec(bench.refs((video("cam0_0.avi"),)), bench.params(model_file), limits=limits))
    assert (ran.exit_code, ran.message.code) == (40, "gpu")
    assert "promised a GPU" in ran.message.sentence


def test_a_model_that_was_replaced_since_is_changed(bench, video, tmp_path):
    path = models.save(tmp_path / "model.pt")
    params = bench.params(path)
    models.save(path, seed=9)
    ran = bench.run(bench.spec(bench.refs((video("cam0_0.avi"),)), params))
    assert (ran.exit_code, ran.message.code) == (12, "changed")


def test_a_view_that_isnt_there_is_refused(bench, video, model_file):
    ran = bench.run(bench.spec(bench.refs((video("cam0_0.avi"),)), bench.params(model_file, pose_view=1)))
    assert (ran.exit_code, ran.message.check) == (10, "pose_view")


def test_a_killed_attempt_leaves_parts_from_which_the_next_goes_on(bench, video, tmp_path):
    model = bench.params(models.save(tmp_path / "medium.pt", (16, 32, 64, 64, 64)))  # slow enough to be killed
    videos = bench.refs((video("long.avi", 90, 96, 128, 8),))
    first = bench.spec(videos, model, content_digest="d" * 64)
    process = bench.start(first, part_s=0.1)
    parts = Path(first.attempt_uri.removeprefix("file://")) / "pod-1" / "parts"
    wait_for(lambda: len(list(parts.glob("*.json"))) >= 2)
    process.kill()
    killed = bench.finish(process, first)
    assert (killed.exit_code, killed.manifest) == (-signal.SIGKILL, None)
    kept = killed.parts()
    assert 0 < kept[-1]["stop"] < 90

    again = {"attempt": 2, "attempt_uri": first.attempt_uri[:-1] + "2", "resume_from": (first.attempt_uri,)}
    resumed = bench.run(first.model_copy(update=again))
    assert resumed.exit_code == 0, resumed.output
    frames = max(part["stop"] for part in kept)
    assert resumed.manifest.warnings[0].startswith(f"{frames} of 90 frames were taken over from an earlier attempt")
    assert min(part["start"] for part in resumed.parts()) == frames
    passed = sum(part["seconds"] for part in (*kept, *resumed.parts()))
    assert resumed.manifest.timings_s["pose"] > 0.9 * passed > 0  # that of both attempts
    _, metadata = resumed.facemap("long")
    network = sum(part["network_s"] for part in (*kept, *resumed.parts()))
    assert metadata["inference_speed"] == pytest.approx(90 / network)

    alone = bench.run(bench.spec(videos, model))
    np.testing.assert_array_equal(resumed.points(), alone.points())


def hostile(folder: Path) -> Path:
    """Write a model file that writes a file when it is loaded as Facemap would."""
    import torch

    class Program:
        def __reduce__(self):
            return (Path.write_text, (folder / "proof", "ran"))

    path = folder / "hostile.pt"
    torch.save({"Conv2_1x1.conv0.weight": Program()}, path)
    return path
