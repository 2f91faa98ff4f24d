"""The turbo engine against Facemap itself, and against what the subject did where Facemap is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.contracts import Origin, RoiKind
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.compare import compare
from fmdj_cloud.worker.svd.geometry import of_kind, roi_number

pytestmark = pytest.mark.integration

NEAR = 0.005
"""Components whose singular values differ by less (relative) are turned into each other by rounding."""
ROUNDING = 2e-5
WINDOW = 25


def figures(theirs, ours, signal: str, measure: str) -> list[float]:
    with theirs.reader as a, ours.reader as b:
        return [d.value for d in compare(a, b) if d.signal == signal and d.measure == measure]


def masks(reader: SignalsReader, number: int, basis: str) -> np.ndarray:
    found = reader.components(number, basis, 0, reader.n_components(number, basis))[0]
    return found.reshape(len(found), -1).astype(np.float64)


def unlikeness(a: np.ndarray, b: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return 1 - |r| of each component with its counterpart, or with those that it may be mixed with."""
    common = min(len(a), len(b))
    near = np.abs(values[:common, None] / values[None, :common] - 1) < NEAR
    return 1 - np.sqrt(((a[:common] @ b[:common].T) ** 2 * near).sum(axis=1))


def svds(reader: SignalsReader):
    for region in reader.regions():
        for basis in ("mot", "mov"):
            if reader.n_components(region.roi_no, basis):
                yield region.roi_no, basis


def test_mean_frames_agree(case):
    for signal in ("avgframe", "avgmotion"):
        (difference,) = figures(case.facemap, case.exact, signal, "max difference")
        assert difference < 1e-3


def test_aligned_motion_is_equal(case):
    with case.facemap.reader as a, case.exact.reader as b:
        for number, basis in svds(b):
            if basis == "mot":
                np.testing.assert_allclose(a.motion(number), b.motion(number), rtol=2e-6)


def of_all_svds(case, measure: str, size: int) -> list[float]:
    """Return a figure for every SVD that has so many components with both engines: none is left out."""
    found = [value for signal in ("motSVD", "movSVD") for value in figures(case.facemap, case.exact, signal, measure)]
    with case.facemap.reader as a, case.exact.reader as b:
        counts = [min(reader.n_components(*place) for reader in (a, b)) for place in svds(b)]
    assert len(found) == sum(count >= size for count in counts)
    return found


def test_the_first_components_are_facemaps(case):
    found = of_all_svds(case, "least |r| of 10", 1)
    assert found
    assert min(found) >= 0.998


@pytest.mark.parametrize(("size", "least"), [(10, 0.999), (50, 0.999), (100, 0.99), (200, 0.99)])
def test_leading_subspaces_are_facemaps(case, size, least):
    found = of_all_svds(case, f"overlap of {size}", size)
    assert found
    assert min(found) >= least


def test_no_less_energy_is_captured(case):
    found = of_all_svds(case, "energy", 1)
    assert found
    assert min(found) >= 0.9999


def test_signs_are_facemaps(case):
    with case.facemap.reader as a, case.exact.reader as b:
        for number, basis in svds(b):
            assert np.all(np.einsum("ij,ij->i", masks(a, number, basis)[:5], masks(b, number, basis)[:5]) > 0)


def around(values: np.ndarray) -> np.ndarray:
    """Return for each component the largest value of those near it: one difference is one throw of a die."""
    return np.array([values[max(0, k - WINDOW) : k + WINDOW + 1].max() for k in range(len(values))])


def test_facemaps_own_basis_is_found_component_by_component(case):
    """Each is as close as twice what Facemap's own differ by between one and two threads of BLAS."""
    compared = 0
    with case.facemap.reader as a, case.facemap_two_threads.reader as b, case.randomized.reader as c:
        for number, basis in svds(c):
            theirs, again, ours = (masks(reader, number, basis) for reader in (a, b, c))
            values = c.singular_values(number, basis)
            found = unlikeness(theirs, ours, values)
            own = around(unlikeness(theirs, again, values)[: len(found)])
            # Those of nothing but rounding, which Facemap keeps, are left out of ours
            assert len(found) == len(ours)
            assert len(theirs) == len(ours) or a.singular_values(number, basis)[len(ours)] < 1e-6 * values[0]
            np.testing.assert_array_less(found, 2 * np.maximum(own, ROUNDING))
            compared += 1
        assert compared == len(list(svds(a)))


def test_masks_are_orthonormal(case):
    with case.exact.reader as reader:
        for number, basis in svds(reader):
            found = masks(reader, number, basis)
            np.testing.assert_allclose(found @ found.T, np.eye(len(found)), atol=2e-3)


def test_projections_are_those_of_the_masks(case_of):
    """Row t of the motion SVD is (|b_t - b_(t-1)| - mean) U, row 0 that of frame 1."""
    import cv2

    case = case_of("plain")
    capture = cv2.VideoCapture(str(case.videos[0][0]))
    gray = np.stack([cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2GRAY) for _ in range(520)])
    binned = gray.reshape(520, 24, 4, 32, 4).mean(axis=(2, 4)).reshape(520, -1)
    with case.exact.reader as reader:
        _, mean = reader.summary()
        values = (np.abs(np.diff(binned, axis=0)) - mean.ravel()) @ masks(reader, 0, "mot").T
        found = reader.components(0, "mot", 0, len(masks(reader, 0, "mot")))[1].T
        np.testing.assert_allclose(found[1:520], values, atol=1e-3 * np.abs(values).max())
        np.testing.assert_array_equal(found[0], found[1])


def test_pupil_and_blink_are_facemaps_on_clean_frames(case_of):
    case = case_of("everything")
    with case.facemap.reader as a, case.exact.reader as b:
        for index in of_kind(case.params, RoiKind.PUPIL):
            number = roi_number(case.params, index)
            for name, values in b.pupil(number).items():
                if not name.startswith("ax"):
                    np.testing.assert_allclose(values, a.pupil(number)[name], rtol=1e-3, atol=1e-3)
        assert max(figures(case.facemap, case.exact, "pupil", "axes")) < 1e-3
        for index in of_kind(case.params, RoiKind.BLINK):
            number = roi_number(case.params, index)
            np.testing.assert_array_equal(b.blink(number), a.blink(number))


def test_running_is_the_surfaces(case_of):
    case = case_of("everything")
    with case.exact.reader as reader:
        for index in of_kind(case.params, RoiKind.RUNNING):
            true = case.recording.running(case.params.rois[index].view)
            np.testing.assert_array_equal(reader.running(roi_number(case.params, index)), true)


def test_repairs_are_named(case_of):
    named = {(o.signal, o.roi_no): (o.origin, set(o.repairs)) for o in case_of("everything").exact.origins}
    assert named["motion", 0] == (Origin.TURBO, {"F1", "F3"})
    assert named["motion", 4] == (Origin.TURBO, {"F1", "F2", "F3"})  # overlaps the ROI before it
    assert named["motSVD", 7] == (Origin.TURBO, {"F3"})
    assert named["running", 6] == (Origin.TURBO, {"F4"})
    short = {(o.signal, o.roi_no): set(o.repairs) for o in case_of("few frames").exact.origins}
    assert short["motSVD", 0] == {"F3", "F5"}


def test_facemaps_file_has_its_keys_shapes_and_types(case):
    theirs, ours = case.facemap.proc(), case.exact.proc()
    assert list(ours) == list(theirs)
    for name in ("Ly", "Lx", "sbin", "fullSVD", "save_mat"):
        assert ours[name] == theirs[name]
    for name in ("Lybin", "Lxbin", "sybin", "sxbin", "LYbin", "LXbin", "sy", "sx"):
        np.testing.assert_array_equal(ours[name], theirs[name])
        assert ours[name].dtype == theirs[name].dtype
    for name in ("avgframe_reshape", "avgmotion_reshape"):
        assert (ours[name].shape, ours[name].dtype) == (theirs[name].shape, theirs[name].dtype)
    for name in ("motMask", "motMask_reshape", "motSVD", "movMask", "movSVD"):
        # Facemap's has what comes before the first ROI that overlaps another, then others than ours; and junk
        # where no movie SVD was asked for
        for mine, other in zip(ours[name][:2], theirs[name][:2], strict=False):
            assert mine.dtype == other.dtype == np.float32
            assert mine.shape[:-1] == other.shape[:-1]
            assert mine.shape[-1] <= other.shape[-1]  # of a single chunk Facemap keeps empty components
    assert [m.shape for m in ours["motion"][:2]] == [m.shape for m in theirs["motion"][:2]]


def test_the_gui_finds_every_roi(case_of):
    case = case_of("everything")
    proc = case.exact.proc()
    assert [roi["rind"] for roi in proc["rois"]] == [roi.kind.rind for roi in case.params.rois]
    counts = {kind: len(of_kind(case.params, kind)) for kind in RoiKind}
    assert len(proc["pupil"]) == counts[RoiKind.PUPIL]
    assert len(proc["blink"]) == counts[RoiKind.BLINK]
    assert len(proc["running"]) == counts[RoiKind.RUNNING]
    assert len(proc["motSVD"]) == len(proc["movSVD"]) == 1 + counts[RoiKind.MOTION_SVD]
    assert list(proc["pupil"][0]) == ["area", "com", "axdir", "axlen", "area_smooth", "com_smooth"]
    for roi in (roi for roi in proc["rois"] if roi["rind"] == 1):
        assert (len(roi["yrange_bin"]), len(roi["xrange_bin"])) in {m.shape[:2] for m in proc["motMask_reshape"]}
