"""populate() with Facemap itself: a generated video becomes rows, here and now."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.demo.recordings import RecordingSpec, generate

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
