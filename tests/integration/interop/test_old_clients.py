"""A lab with DataJoint 0.14: everything that we write, its client reads, restricts, joins and deletes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fmdj_cloud.signals_h5 import SignalsReader
from tests.support.datajoint014.lab import NEW, OLD, OldLab
from tests.unit.load import conftest as svd

from .outputs import SESSIONS, loaded

pytestmark = pytest.mark.integration
MakeLab = Callable[..., OldLab]


@pytest.mark.parametrize("keys", SESSIONS)
def test_what_is_loaded_is_read_joined_and_deleted_by_the_labs_client(make_old_lab: MakeLab, keys: str) -> None:
    session, values, shape = SESSIONS[keys]
    lab = make_old_lab(session, shape)
    key = lab.add_task(values)
    loaded(lab, key)
    signals = SignalsReader(lab.folder / f"signals{lab.prefix}.h5")
    component = "component_id" if shape == NEW else "pc_no"
    read = lab.run(
        """
        our = element.opened(ours)
        result = {
            "tasks": len(FacemapTask & key), "pending": len(FacemapTask - FacialSignal),
            "processing": (FacemapProcessing & key).fetch1(),
            "info": (RecordingInfo & key).fetch1("nframes"),
            "regions": (FacialSignal.Region & key).fetch("roi_no", "roi_name", "xrange", "xrange_bin", "motion"),
            "motion": (FacialSignal * FacialSignal.Region * FacialSignal.MotionSVD & key & "roi_no = 0").fetch(
                component, "motmask", "projection", "singular_value", order_by=component),
            "movie": (FacialSignal.MovieSVD & key & {"roi_no": 1, component: 2}).fetch1("movmask", "projection"),
            "summary": (FacialSignal.Summary & key).fetch1("sbin", "avgframe", "avgmotion"),
            "pupil": (FacialSignal * our.LabPupil & key).fetch1("KEY", "area", "com", "axdir"),
            "blink": (FacialSignal.Region * our.LabBlink & key).fetch1("roi_name", "trace"),
            "running": (our.LabRunning & (FacialSignal & key)).fetch1("displacement"),
            "run": (our.LabBindingSvd.proj("run_id") * our.Run & key).fetch1(),
            "quality": (our.LabBindingSvd.proj("run_id") * our.Quality & key).fetch(
                "check_name", "part", "verdict", "value", order_by="check_no"),
            "attempts": len(our.Run.Attempt.proj("folder") * our.Run.Job.proj("job_name") & our.Run.proj()),
        }
        """,
        key=key,
        component=component,
    )
    assert (read["tasks"], read["pending"], read["info"]) == (1, 0, svd.NFRAMES)
    assert read["processing"]["package_version"] == "1.0.8"
    numbers, names, xranges, binned, motions = read["regions"]
    assert (numbers.tolist(), names[0]) == ([0, 1, 2, 3, 4], "FullSVD")
    np.testing.assert_array_equal(xranges[0], np.arange(svd.WIDTH))
    np.testing.assert_array_equal(motions[1], signals.motion(1))
    if shape == OLD:  # whose columns can't be NULL
        assert (binned[2].shape, motions[2].shape) == ((0,), (0,))
    else:
        assert (binned[2], motions[2]) == (None, None)
    components, masks, projections, singular = read["motion"]
    assert components.tolist() == list(range(svd.COMPONENTS))
    np.testing.assert_allclose(singular, signals.singular_values(0, "mot"), rtol=1e-6)
    for found, wanted in zip((masks, projections), signals.components(0, "mot", 0, svd.COMPONENTS), strict=True):
        np.testing.assert_array_equal(np.stack(found), wanted)
    for found, wanted in zip(read["movie"], signals.components(1, "mov", 2, 3), strict=True):
        np.testing.assert_array_equal(found, wanted[0])
    summary = signals.summary()
    assert summary is not None
    np.testing.assert_array_equal(read["summary"][1], summary[0])
    pupil = signals.pupil(2)
    assert pupil is not None
    assert {name: str(value) for name, value in read["pupil"][0].items() if name in values} == {
        name: str(value) for name, value in values.items()
    }
    for read_array, name in zip(read["pupil"][1:], ("area", "com", "axdir"), strict=True):
        np.testing.assert_array_equal(read_array, pupil[name])
    np.testing.assert_array_equal(read["blink"][1], signals.blink(3))
    np.testing.assert_array_equal(read["running"], signals.running(4))
    assert (read["run"]["state"], read["run"]["run_id"], read["attempts"]) == (
        "loaded",
        lab.run_id_of(key, f"signals{lab.prefix}.h5"),
        1,
    )
    checks, parts, verdicts, values = read["quality"]
    assert (checks[0], verdicts[0], set(verdicts)) == ("regions", "pass", {"pass"})
    assert values[list(parts).index("region 2 pupil area")] is not None
    left = lab.run(
        """
        (FacialSignal & key).delete()
        again = len(FacemapTask - FacialSignal)
        (Session & key).delete()
        result = [again] + [len(table()) for table in
                            (FacialSignal.MotionSVD, FacemapProcessing, FacemapTask, VideoRecording.File, Session)]
        """,
        key=key,
    )
    assert left == [1, 0, 0, 0, 0, 0]
