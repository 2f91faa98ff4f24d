"""populate() with the real worker: a generated video becomes rows, and points found elsewhere are imported."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from fmdj_cloud.contracts import Kind, RunState
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    spec = RecordingSpec(name="cam", width=160, height=120, nframes=(300,))
    return generate(spec, tmp_path_factory.mktemp("recordings"))


def test_a_video_becomes_rows(real, recording):
    rois = recording.rois("running")
    key = real.insert_task(video=recording.videos[0][0].read_bytes(), facemap_params={"sbin": 4, "rois": rois})
    real.element.FacemapTask.update1({**key, "do_mov_svd": False})
    assert real.element.FacemapProcessing.populate()["success_count"] == 1
    assert real.element.FacialSignal.populate()["success_count"] == 1
    assert real.run_of(key).state is RunState.LOADED
    motion = (real.element.Region & key & {"roi_no": 0}).fetch1("motion")
    assert motion.shape == (300,)
    running = (real.lab.signals.Running & key).fetch1("displacement")
    assert np.corrcoef(running[1:, 1], recording.truth.running[1:, 1])[0, 1] > 0.9
    assert (real.element.RecordingInfo & key).fetch1("nframes") == 300
    assert (real.element.FacemapTask & key).fetch1("facemap_output_dir").endswith("/facemap/main")


def test_points_that_facemap_found_elsewhere_are_imported(real, tmp_path):
    spec = RecordingSpec(name="cam", width=160, height=120, nframes=(20,))
    video = generate(spec, tmp_path).videos[0][0]
    points = np.random.default_rng(0).uniform(0, (160, 120, 1), (len(BODY_PARTS), 20, 3)).astype(np.float32)
    with h5py.File(tmp_path / "found.h5", "w") as file:
        for part, values in zip(BODY_PARTS, points, strict=True):
            for place, name in enumerate(("x", "y", "likelihood")):
                file[f"Facemap/{part}/{name}"] = values[:, place]
    key = real.insert_pose_task(video=video.read_bytes(), task_mode="load", facemap_inference_output_dir="m1/old poses")
    place = f"{real.bucket}/processed/m1/old poses/cam{real.recordings}_FacemapPose.h5"
    real.store.upload(tmp_path / "found.h5", place)

    assert real.inference.FacemapInference.populate() == {"success_count": 1, "error_list": []}

    run = real.run_of(key)
    assert (run.kind, run.task_kind, run.state) == (Kind.IMPORT, Kind.POSE, RunState.LOADED)
    table = real.inference.FacemapInference.get_trajectory(key)
    for part, values in zip(BODY_PARTS, points, strict=True):
        np.testing.assert_array_equal(table["small"][part].to_numpy(), values)
    row = (real.inference.FacemapInference & key).fetch1()
    assert (row["total_frame_count"], row["inference_run_duration"]) == (20, 0)  # without metadata nothing tells
    task = (real.inference.FacemapInferenceTask & key).fetch1()
    assert task["facemap_inference_output_dir"] == "m1/old poses"
