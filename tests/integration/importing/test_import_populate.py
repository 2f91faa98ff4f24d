"""populate() on a task whose outputs the real Facemap wrote long ago: imported here and now, into every table."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.contracts import Kind, RunState
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.populate.runner import PopulateRunner

pytestmark = pytest.mark.integration


@pytest.fixture
def element(world):
    """The tables as a script has them that computes itself."""
    pipeline = world.settings.pipelines[0]
    runner = PopulateRunner(world.settings, pipeline, world.database)
    return declare_element(world.database, pipeline.behavior_schema, linking_module=world.tables, runner=runner)


def test_old_outputs_become_rows(world, element, output) -> None:
    world.upload(output.video, "raw/m1/m1.avi")
    uri = world.upload(output.path, "processed/m1/old/m1_proc.npy")
    key = world.insert_task(facemap_output_dir="m1/old")

    assert element.FacemapProcessing.populate() == {"success_count": 1, "error_list": []}
    assert element.FacialSignal.populate() == {"success_count": 1, "error_list": []}

    run = world.run(key)
    assert (run.kind, run.state) == (Kind.IMPORT, RunState.LOADED)
    assert [attempt.launcher for attempt in world.ledger.attempts(run.run_id)] == ["populate"]
    proc = output.proc()
    regions = (element.Region & key).to_dicts(order_by="roi_no")
    assert len(regions) == 6
    np.testing.assert_array_equal(regions[0]["motion"][500:], proc["motion"][0][500:])
    components = (element.MotionSVD & key & {"roi_no": 0}).to_dicts(order_by="component_id")
    scale = np.linalg.norm(proc["motMask"][0][:, 0].astype(float))
    np.testing.assert_allclose(components[0]["projection"], proc["motSVD"][0][:, 0] / scale, rtol=1e-4)
    assert len(element.MovieSVD & key) > 0
    (pupil,) = (world.lab.signals.Pupil & key).to_dicts()
    np.testing.assert_array_equal(pupil["area"], proc["pupil"][0]["area"])
    assert (element.FacemapTask & key).fetch1("facemap_output_dir") == "m1/old"
    assert (element.RecordingInfo & key).fetch1("nframes") == 600
    assert world.store.head(uri).size == output.path.stat().st_size  # where it lies, and as it was
