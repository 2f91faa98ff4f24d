"""What is small, short, still or unusual."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.contracts import Basis, Roi, RoiKind, SvdParams
from tests.support.turbo import coded, runs

pytestmark = pytest.mark.integration


def video(folder, pictures: np.ndarray, name: str = "v.avi"):
    return coded.write(folder / name, pictures, "ffv1", "gray")


def noise(frames: int, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    slow = np.sin(np.arange(frames) / 5)[:, None, None] * rng.normal(20, 5, (height, width))
    return np.clip(128 + slow + rng.normal(0, 3, (frames, height, width)), 0, 255).astype(np.uint8)


def motion_roi(y0: int, y1: int, x0: int, x1: int) -> Roi:
    return Roi(kind=RoiKind.MOTION_SVD, y0=y0, y1=y1, x0=x0, x1=x1)


@pytest.mark.parametrize("basis", list(Basis))
@pytest.mark.parametrize("frames", [2, 3, 40, 999, 1001])
def test_short_recordings(tmp_path, frames, basis):
    path = video(tmp_path, noise(frames))
    ran = runs.turbo([[path]], SvdParams(sbin=2, mov_svd=True), tmp_path / "run", basis=basis)
    with ran.reader as reader:
        for kind in ("mot", "mov"):
            count = reader.n_components(0, kind)
            assert int(kind == "mov") <= count <= min(frames, 12 * 16 - 1)  # the one difference of two is its mean
            if frames > 3:
                assert count >= min(frames - 1, 190) - 1
            masks, projections = reader.components(0, kind, 0, count)
            np.testing.assert_allclose((masks**2).sum(axis=(1, 2)), 1, atol=1e-4)
            assert projections.shape == (count, frames)
            assert np.isfinite(projections).all()
        assert reader.motion(0)[0] == reader.motion(0)[1]


def test_a_still_video_has_no_components_and_no_motion(tmp_path):
    path = video(tmp_path, np.full((50, 24, 32), 77, np.uint8))
    ran = runs.turbo([[path]], SvdParams(sbin=2, mov_svd=True), tmp_path / "run")
    with ran.reader as reader:
        assert reader.n_components(0, "mot") == reader.n_components(0, "mov") == 0
        assert not reader.motion(0).any()
        assert (reader.summary()[0] == 77).all()
    assert ran.proc()["motMask"][0].shape == (12 * 16, 0)


def test_rois_of_few_pixels(tmp_path):
    path = video(tmp_path, noise(300))
    rois = (motion_roi(0, 5, 0, 4), motion_roi(3, 24, 5, 32), motion_roi(3, 24, 5, 32))
    ran = runs.turbo([[path]], SvdParams(sbin=2, full_svd=False, rois=rois), tmp_path / "run")
    with ran.reader as reader:
        assert reader.n_components(0, "mot") == 2 * 2 - 1
        for first, second in zip(reader.components(1, "mot", 0, 20), reader.components(2, "mot", 0, 20), strict=True):
            np.testing.assert_array_equal(first, second)  # ROIs on top of each other
        np.testing.assert_array_equal(reader.motion(1), reader.motion(2))
    proc = ran.proc()
    assert [m.shape for m in proc["motSVD"]] == [(0, 1), (300, 3), *[m.shape for m in proc["motSVD"][2:]]]
    assert proc["motion"][0].shape == (0,)


def test_more_bins_than_16_bits_hold(tmp_path):
    path = video(tmp_path, noise(60, 60, 80))
    ran = runs.turbo([[path]], SvdParams(sbin=20), tmp_path / "run")
    binned = noise(60, 60, 80).reshape(60, 3, 20, 4, 20).mean(axis=(2, 4))
    with ran.reader as reader:
        np.testing.assert_allclose(reader.motion(0)[1:], np.abs(np.diff(binned, axis=0)).sum(axis=(1, 2)), rtol=1e-6)


def test_nothing_asked_but_mean_frames(tmp_path):
    path = video(tmp_path, noise(30))
    params = SvdParams(sbin=2, full_svd=False, mot_svd=False, rois=(motion_roi(2, 20, 2, 20),))
    ran = runs.turbo([[path]], params, tmp_path / "run")
    with ran.reader as reader:
        (region,) = reader.regions()
        assert (region.roi_no, reader.motion(0)) == (0, None)
    proc = ran.proc()
    assert proc["motMask"] == proc["motSv"] == proc["motSVD"] == []


def test_the_movie_svd_alone(tmp_path):
    path = video(tmp_path, noise(80))
    ran = runs.turbo([[path]], SvdParams(sbin=2, mot_svd=False, mov_svd=True), tmp_path / "run")
    with ran.reader as reader:
        assert reader.n_components(0, "mot") == 0
        assert reader.n_components(0, "mov") > 70
        assert reader.motion(0).all()


def test_weak_components_beside_a_strong_one_are_orthogonal(tmp_path):
    """A flashing light is a thousand times what moves beside it."""
    rng = np.random.default_rng(4)
    pictures = np.full((600, 24, 32), 100, np.int64)
    pictures[:, :12] += np.where(np.arange(600) % 2, 100, -100)[:, None, None]
    pictures[:, 12:, :4] += rng.integers(-1, 2, (600, 12, 4)) * (rng.random((600, 12, 4)) < 0.02)
    ran = runs.turbo([[video(tmp_path, pictures.astype(np.uint8))]], SvdParams(sbin=1, mov_svd=True), tmp_path / "run")
    with ran.reader as reader:
        for kind in ("mot", "mov"):
            count = reader.n_components(0, kind)
            masks = reader.components(0, kind, 0, count)[0].reshape(count, -1).astype(np.float64)
            np.testing.assert_allclose(masks @ masks.T, np.eye(count), atol=1e-4)


def test_matlab_gets_a_file_where_one_is_asked_for(tmp_path):
    from scipy.io import loadmat

    rois = (motion_roi(2, 20, 2, 20),)
    ran = runs.turbo([[video(tmp_path, noise(60))]], SvdParams(sbin=2, save_mat=True, rois=rois), tmp_path / "run")
    proc, found = ran.proc(), loadmat(ran.procs["main"].with_suffix(".mat"), squeeze_me=True)
    for name in ("motMask", "motMask_reshape", "motSVD", "motion"):
        for place in (0, 1):
            np.testing.assert_array_equal(found[f"{name}_{place}"], proc[name][place])
    np.testing.assert_array_equal(found["avgframe_reshape"], proc["avgframe_reshape"])
    assert (int(found["sbin"]), found["rois"].item()[1]) == (2, "motion SVD")
