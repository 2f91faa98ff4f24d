"""The whole path in a lab of DataJoint 0.14: its people insert a row, a worker computes, they fetch the result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store
from tests.support.datajoint014.lab import NEW, OLD, OldLab

pytestmark = pytest.mark.integration
FRAMES = 240


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    spec = RecordingSpec(name="face", width=160, height=120, nframes=(FRAMES,))
    return generate(spec, tmp_path_factory.mktemp("recording"))


def settings_of(lab: OldLab, engine: str) -> Settings:
    folder = lab.folder / "computing"
    return Settings(
        database=lab.server,
        pipelines=lab.settings.pipelines,
        controller={"engine": engine},
        local={"state_dir": folder / "state"},
        worker={"scratch_dir": folder},
        load={"workdir": folder},
    )


def compute(settings: Settings) -> list[LoadEnd]:
    """Let controller, worker and loader do all there is to do."""
    settings.worker.scratch_dir.mkdir()
    store = open_store(settings.storage)
    programs = Database(settings.database), Database(settings.database)
    Controller(settings, programs[0], store, LocalLauncher(settings)).drain()
    results = Loader(settings, programs[1], store).run_pass()
    for database in programs:
        database.close()
    return [result.end for result in results]


@pytest.mark.parametrize("engine", ["facemap", "turbo"])
@pytest.mark.parametrize("shape", [OLD, NEW])
def test_a_row_in_a_result_out(
    make_old_lab: Callable[..., OldLab], recording: Recording, shape: str, engine: str
) -> None:
    lab = make_old_lab(shape=shape)
    (lab.folder / "raw" / "m1").mkdir()
    (lab.folder / "raw" / "m1" / "face.avi").write_bytes(recording.videos[0][0].read_bytes())
    rois = recording.rois("running", "whisker")
    key = lab.add_task({"subject": "m1"}, facemap_params={"sbin": 4, "rois": rois})

    assert compute(settings_of(lab, engine)) == [LoadEnd.LOADED]

    found = lab.run(
        """
        rows = FacialSignal.Region & key
        result = {
            "pending": len(FacemapTask - FacialSignal),
            "computed": (FacemapProcessing & key).fetch1("package_version"),
            "frames": (RecordingInfo & key).fetch1("nframes"),
            "motion": {row["roi_name"]: row["motion"] for row in rows.fetch(as_dict=True)},
            "components": len(FacialSignal.MotionSVD & key & "roi_no = 0"),
            "running": (element.opened(ours).LabRunning & key).fetch1("displacement"),
        }
        """,
        key=key,
    )

    assert (found["pending"], found["frames"]) == (0, FRAMES)
    assert (found["computed"] == "1.0.8") == (engine == "facemap")
    assert found["components"] > 100
    whisker = found["motion"]["motion SVD 1"]
    truth = recording.truth
    assert np.corrcoef(whisker[1:], truth.whisker_energy[1:])[0, 1] > 0.9
    assert np.corrcoef(found["running"][1:, 1], truth.running[1:, 1])[0, 1] > 0.9
