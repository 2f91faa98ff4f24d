"""Pupil and blink, against the installed Facemap on the same frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import BitMask, Reflector, Roi, RoiKind, SvdParams
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.worker.svd.engine import run_pass
from fmdj_cloud.worker.svd.geometry import pixel_box
from fmdj_cloud.worker.svd.passes import Pass
from fmdj_cloud.worker.turbo.eyes import join_pupil, measure_blink, measure_pupil, smooth, smooth_pupil
from fmdj_cloud.worker.turbo.frames import Wanted
from tests.support.turbo import coded

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::RuntimeWarning:facemap.*", "ignore::RuntimeWarning:numpy.*"),
]

Y0, Y1, X0, X1 = 10, 48, 14, 66
SHAPE = (Y1 - Y0, X1 - X0)


def ellipse() -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return ((y - SHAPE[0] / 2) / (SHAPE[0] / 2)) ** 2 + ((x - SHAPE[1] / 2) / (SHAPE[1] / 2)) ** 2 < 1


def reflector(y0: int, x0: int, height: int, width: int) -> Reflector:
    mask = np.ones((height, width), bool)
    mask[0, 0] = False
    return Reflector(y0=y0, y1=y0 + height, x0=x0, x1=x0 + width, ellipse=BitMask.from_array(mask))


def eye(kind: RoiKind, saturation: float, **more: Any) -> Roi:
    return Roi(
        kind=kind,
        y0=Y0,
        y1=Y1,
        x0=X0,
        x1=X1,
        saturation=saturation,
        ellipse=BitMask.from_array(ellipse()),
        **({"pupil_sigma": 2.5, **more} if kind is RoiKind.PUPIL else more),
    )


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A pupil that wanders and changes its size; now and then nothing dark is seen."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:60, :80]
    frames = []
    for number in range(130):
        cy, cx, radius = rng.uniform(22, 34), rng.uniform(30, 46), rng.uniform(4, 9)
        image = 150 + 30 * np.sin(x / 7) + rng.normal(0, 6, x.shape)
        image -= np.clip(radius - np.hypot(y - cy, (x - cx) * rng.uniform(0.5, 1)), 0, 1) * 110
        if number % 17 == 0:
            image = 200 + rng.normal(0, 6, x.shape)
        frames.append(np.clip(image, 0, 255).astype(np.uint8))
    return coded.write(tmp_path_factory.mktemp("eyes") / "v.avi", np.array(frames))


def facemaps(video, roi, folder) -> dict[str, Any]:
    """Return what Facemap's `process.run` writes for one ROI alone."""
    path = run_pass(
        Pass("alone", False, False, False, (0,)), SvdParams(rois=(roi,)), [[video]], [(60, 80)], folder, lambda _: None
    )
    return np.load(path, allow_pickle=True).item()


def blocks(video, roi, size=40):
    with coded.record(video) as recording:
        want = Wanted(binned=False, crops=(pixel_box(roi),))
        return [block.crops[0].copy() for block in recording.blocks(0, recording.nframes, size=size, want=want)]


@pytest.mark.parametrize("saturation", [30, 90, 120.5, 255])
def test_blink_is_exact(video, tmp_path, saturation):
    roi = eye(RoiKind.BLINK, saturation)
    expected = facemaps(video, roi, tmp_path / "facemap")["blink"][0]
    found = np.concatenate([measure_blink(crops, roi) for crops in blocks(video, roi)])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("saturation", "more"),
    [
        (90, {}),
        (150, {"pupil_sigma": 1.5}),
        (200, {}),
        (60, {"pupil_sigma": 3.0}),
        (90, {"reflectors": (reflector(12, 20, 5, 6),)}),
        (150, {"reflectors": (reflector(20, 26, 4, 4), reflector(22, 28, 5, 3), reflector(36, 50, 5, 5))}),
        (30, {"reflectors": (reflector(15, 20, 5, 6),)}),
    ],
)
def test_the_pupil_is_facemaps(video, tmp_path, saturation, more):
    roi = eye(RoiKind.PUPIL, saturation, **more)
    expected = facemaps(video, roi, tmp_path / "facemap")["pupil"][0]
    found = smooth_pupil(join_pupil([measure_pupil(crops, roi) for crops in blocks(video, roi)]))
    assert set(found) == set(expected)
    assert any(np.isnan(expected["area"])) is bool(more.get("reflectors"))
    np.testing.assert_allclose(found["area"], expected["area"], rtol=1e-3)
    np.testing.assert_allclose(found["com"], expected["com"], rtol=1e-3)
    np.testing.assert_allclose(found["axlen"], expected["axlen"], rtol=1e-3)
    # of a pupil that is round, the axes point anywhere
    long = expected["axlen"].max(axis=1) > 1.1 * expected["axlen"].min(axis=1)
    np.testing.assert_allclose(found["axdir"][long], expected["axdir"][long], atol=2e-3)
    np.testing.assert_allclose(found["area_smooth"], expected["area_smooth"], rtol=1e-3)
    np.testing.assert_allclose(found["com_smooth"], expected["com_smooth"], rtol=1e-3)


@pytest.mark.parametrize("seed", range(30))
def test_fits_of_noise_are_facemaps(seed):
    from facemap.pupil import process

    rng = np.random.default_rng(seed)
    height, width = rng.integers(6, 45, 2)
    sparse = rng.random((12, height, width)) < rng.uniform(0.02, 0.6)
    crops = np.where(sparse, rng.integers(0, 255, sparse.shape), 255).astype(np.uint8)
    sigma, saturation = float(rng.choice([0.8, 1, 1.5, 2, 2.5])), float(rng.integers(40, 256))
    roi = Roi(kind=RoiKind.PUPIL, y0=0, y1=int(height), x0=0, x1=int(width), saturation=saturation, pupil_sigma=sigma)
    com, area, axdir, axlen = process(crops.copy(), saturation, sigma)
    found = measure_pupil(crops, roi)
    np.testing.assert_allclose(found.area, area, rtol=1e-9)
    np.testing.assert_allclose(found.com, com, rtol=1e-9, atol=1e-12)
    # of an ellipse that lies at 45 degrees, rounding decides which axis comes first
    np.testing.assert_allclose(np.sort(found.axlen), np.sort(axlen), rtol=1e-9)
    long = (axlen.max(axis=1) > 1.01 * axlen.min(axis=1)) & (np.abs(found.axlen - axlen).max(axis=1) < 1e-6)
    np.testing.assert_allclose(found.axdir[long], axdir[long], atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_smoothing_is_facemaps(seed):
    from facemap.pupil import smooth as theirs

    rng = np.random.default_rng(seed)
    trace = rng.gamma(2, 50, rng.integers(1, 160))
    trace[rng.random(len(trace)) < rng.choice([0, 0.01, 0.1, 0.5, 0.95, 1])] = np.nan
    np.testing.assert_allclose(smooth(trace), theirs(trace.copy())[0], rtol=1e-12)


def test_a_generated_subject_is_measured_as_facemap_measures_it(tmp_path):
    recording = generate(RecordingSpec("face", width=160, height=120, nframes=(300,)), tmp_path / "videos")
    y0, y1, x0, x1 = recording.box("eye")
    roi = Roi(kind=RoiKind.PUPIL, y0=y0, y1=y1, x0=x0, x1=x1, saturation=85.0, pupil_sigma=2.0)
    path = run_pass(
        Pass("alone", False, False, False, (0,)),
        SvdParams(rois=(roi,)),
        recording.videos,
        [(120, 160)],
        tmp_path / "facemap",
        lambda _: None,
    )
    expected = np.load(path, allow_pickle=True).item()["pupil"][0]
    found = join_pupil([measure_pupil(crops, roi) for crops in blocks(recording.videos[0][0], roi, size=77)])
    np.testing.assert_allclose(found.area, expected["area"], rtol=1e-3)
    np.testing.assert_allclose(found.com, expected["com"], rtol=1e-3)
