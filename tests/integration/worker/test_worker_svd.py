"""What the worker publishes, against Facemap's own files and against what the subject did."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import Kind, Origin, SvdParams
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.svd.engine import _counted
from fmdj_cloud.worker.svd.geometry import Box, binned_box
from fmdj_cloud.worker.svd.passes import Pass, frames_before_projection

pytestmark = pytest.mark.integration

NUMBERS = {"full frame": 0, "whisker": 1, "pupil": 2, "blink": 3, "running": 4, "snout": 5}
SLOTS = {"full frame": 0, "whisker": 1, "snout": 2}


@pytest.fixture(scope="module")
def signals(face_run):
    with SignalsReader(face_run.signals) as reader:
        yield reader


@pytest.fixture(scope="module")
def proc(face_run) -> dict[str, Any]:
    return face_run.proc()


def r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def all_components(reader: SignalsReader, number: int, basis: str) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (y, x, c) and projections (n, c) of a region."""
    masks, projections = reader.components(number, basis, 0, reader.n_components(number, basis))
    return np.moveaxis(masks, 0, -1), projections.T


def gray(recording, view: int) -> np.ndarray:
    import cv2

    frames = []
    for row in recording.videos:
        capture = cv2.VideoCapture(str(row[view]))
        while (read := capture.read())[0]:
            frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY))
    return np.array(frames)


def test_everything_published_is_named_with_size_and_digest(face_run):
    manifest = face_run.manifest
    assert face_run.published() == sorted(
        [*(f.path for f in manifest.files), "manifest.json", "pod-1/manifest.json", "pod-1/progress.json"]
    )
    roles = {f.path.removeprefix("pod-1/"): f.role for f in manifest.files}
    assert roles == {
        "signals.h5": "signals",
        "facemap/main/face_proc.npy": "facemap",
        "facemap/pupil1/face_proc.npy": "facemap",
        "facemap/blink1/face_proc.npy": "facemap",
        "run.log": "log",
    }
    for file in manifest.files:
        info = face_run.store.head(f"{face_run.spec.attempt_uri}/{file.path}")
        assert (info.size, info.sha256) == (file.size, file.sha256)
    assert manifest.gui_file == "pod-1/facemap/main/face_proc.npy"


def test_the_manifest_says_what_was_done(face_run):
    manifest, spec = face_run.manifest, face_run.spec
    assert (manifest.run_id, manifest.attempt, manifest.kind, manifest.nonce) == (spec.run_id, 1, Kind.SVD, "pod-1")
    assert manifest.content_digest == spec.content_digest
    assert manifest.nframes == 2100
    assert manifest.views[0].frames == manifest.views[0].header_frames == (2100,)
    assert manifest.versions["facemap"] == "1.0.8"
    assert manifest.threads == 1
    assert manifest.device.startswith("cpu")
    assert {"fetch", "check", "main", "pupil1", "blink1", "running", "assemble", "publish"} <= set(manifest.timings_s)
    assert manifest.warnings == ()
    assert face_run.message.manifest_sha256 is not None


def test_the_origin_of_every_signal_is_told(face_run):
    origins = {(s.signal, s.roi_no): (s.origin, s.repairs) for s in face_run.manifest.signals}
    assert origins[("avgframe", None)] == (Origin.FACEMAP, ())
    assert origins[("motion", 0)] == (Origin.REPAIRED, ("F1", "F3"))
    assert origins[("motSVD", 0)] == (Origin.FACEMAP, ("F3", "F6"))
    assert origins[("motSVD", 5)] == (Origin.FACEMAP, ("F3",))
    assert origins[("pupil", 2)] == (Origin.FACEMAP, ("F3",))
    assert origins[("blink", 3)] == (Origin.FACEMAP, ("F3", "F10"))
    assert origins[("running", 4)] == (Origin.REPAIRED, ("F4",))
    assert len(origins) == len(face_run.manifest.signals)


def test_scratch_is_empty_and_progress_is_done(face_run):
    assert list(face_run.scratch.iterdir()) == []
    progress = face_run.fetch("progress.json").read_text()
    assert '"stage":"done"' in progress
    assert f'"frames_done":{4 * 2100}' in progress  # three passes and running


def test_the_log_holds_facemaps_lines_and_ours(face_run):
    log = face_run.fetch("run.log").read_text()
    assert "computed video chunk" in log
    assert "passes: main, pupil1, blink1" in log


def test_every_roi_is_a_region_with_the_elements_number(signals, face):
    regions = {region.roi_no: region for region in signals.regions()}
    assert sorted(regions) == list(range(6))
    assert [regions[n].kind for n in range(6)] == [
        "full frame",
        "motion SVD",
        "pupil",
        "blink",
        "running",
        "motion SVD",
    ]
    assert [regions[n].name for n in range(6)] == [
        "full frame",
        "motion SVD 1",
        "pupil 1",
        "blink 1",
        "running 1",
        "motion SVD 2",
    ]
    assert (regions[0].yrange.size, regions[0].xrange_bin.size, regions[0].view) == (240, 40, -1)
    y0, y1, x0, x1 = face.box("eye")
    np.testing.assert_array_equal(regions[2].yrange, np.arange(y0, y1))
    np.testing.assert_array_equal(regions[2].xrange, np.arange(x0, x1))
    assert (signals.nframes, signals.sbin, signals.fps) == (2100, 8, 30.0)


def test_bins_are_those_that_facemap_took(signals, proc):
    regions = {region.roi_no: region for region in signals.regions()}
    for name, roi in zip(("whisker", "snout"), proc["rois"], strict=True):
        np.testing.assert_array_equal(regions[NUMBERS[name]].yrange_bin, roi["yrange_bin"])
        np.testing.assert_array_equal(regions[NUMBERS[name]].xrange_bin, roi["xrange_bin"])


@pytest.mark.parametrize("basis", ["mot", "mov"])
@pytest.mark.parametrize("name", list(SLOTS))
def test_masks_and_projections_equal_facemaps(signals, proc, name, basis):
    masks, projections = all_components(signals, NUMBERS[name], basis)
    np.testing.assert_array_equal(masks, proc[f"{basis}Mask_reshape"][SLOTS[name]])
    np.testing.assert_array_equal(projections, proc[f"{basis}SVD"][SLOTS[name]])


@pytest.mark.parametrize("basis", ["mot", "mov"])
def test_singular_values_are_the_last_regions_and_absent_elsewhere(signals, proc, basis):
    np.testing.assert_array_equal(signals.singular_values(NUMBERS["snout"], basis), proc[f"{basis}Sv"])
    assert signals.singular_values(NUMBERS["full frame"], basis) is None
    assert signals.singular_values(NUMBERS["whisker"], basis) is None


def test_mean_frame_and_motion_equal_facemaps(signals, proc):
    avgframe, avgmotion = signals.summary()
    np.testing.assert_array_equal(avgframe, proc["avgframe_reshape"])
    np.testing.assert_array_equal(avgmotion, proc["avgmotion_reshape"])


def binned_frames(face, box: Box | None) -> np.ndarray:
    """Return the frames binned by 8, as Facemap does, in a box of bins."""
    import cv2

    capture = cv2.VideoCapture(str(face.videos[0][0]))
    frames = np.stack([cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2GRAY) for _ in range(2100)])
    binned = frames.reshape(2100, 30, 8, 40, 8).mean(axis=(2, 4))
    return binned if box is None else binned[:, box.y0 : box.y1, box.x0 : box.x1]


@pytest.mark.parametrize("name", list(SLOTS))
def test_motion_is_that_of_its_own_frame_and_region(signals, face_run, face, name):
    index = NUMBERS[name] - 1
    box = None if index < 0 else binned_box(face_run.spec.svd.rois[index], 8)
    true = np.abs(np.diff(binned_frames(face, box), axis=0)).sum(axis=(1, 2))
    motion = signals.motion(NUMBERS[name])
    np.testing.assert_allclose(motion[1:], true, rtol=1e-4)
    assert motion[0] == motion[1]


def test_motion_follows_what_moved_and_not_the_other(signals, face):
    whisker, snout = signals.motion(NUMBERS["whisker"]), signals.motion(NUMBERS["snout"])
    assert r(whisker, face.truth.whisker_energy) > 0.9
    assert r(snout, face.truth.snout_energy) > 0.9
    assert abs(r(whisker, face.truth.snout_energy)) < 0.3
    assert abs(r(snout, face.truth.whisker_energy)) < 0.3


def test_the_pupil_is_right(signals, face):
    pupil, seen = signals.pupil(NUMBERS["pupil"]), face.truth.eye_open
    assert r(pupil["area"][seen], face.truth.pupil_area[seen]) > 0.95
    y0, _, x0, _ = face.box("eye")
    error = pupil["com"][seen] + (y0, x0) - face.pupil_center()[seen]
    assert np.abs(error).max() < 1


def test_pupil_and_blink_equal_facemaps_own_passes(signals, face_run):
    alone = face_run.proc("pupil1")["pupil"][0]
    for name, trace in signals.pupil(NUMBERS["pupil"]).items():
        np.testing.assert_array_equal(trace, alone[name])
    np.testing.assert_array_equal(signals.blink(NUMBERS["blink"]), face_run.proc("blink1")["blink"][0])


def test_every_blink_is_seen(signals, face):
    trace = signals.blink(NUMBERS["blink"])
    closed = trace < np.median(trace) * 0.5
    for start, stop in face.truth.blinks:
        assert closed[start:stop].any()
    assert not (closed & face.truth.eye_open).any()


def test_running_is_exact(signals, face):
    np.testing.assert_array_equal(signals.running(NUMBERS["running"]), face.running())


def test_frames_read_are_as_foreseen(face, tmp_path):
    """Progress leaves out what Facemap reads before it projects: the formula against the real thing."""
    from facemap import process

    for number, (mot, full) in enumerate([(True, True), (False, False)]):
        seen = []
        (tmp_path / str(number)).mkdir()
        run = {"sbin": 16, "fullSVD": full, "save_mat": False, "rois": None, "sy": 0, "sx": 0}
        with _counted(seen.append), contextlib.redirect_stdout(io.StringIO()):
            process.run(
                [[str(face.videos[0][0])]], motSVD=mot, movSVD=False, proc=run, savepath=str(tmp_path / str(number))
            )
        part = Pass("main", full, mot, False, ())
        assert sum(seen) == frames_before_projection(part, [2100]) + 2100


@pytest.fixture(scope="module")
def two_views(bench, record):
    """Two views in two files each, fewer than 2,000 frames, overlapping and eye ROIs, in the second view too."""
    recording = record("pair", nframes=(400, 300), views=2, codec="h264", seed=5)
    rois = list(bench.rois(recording, "whisker", "whisker@1", "snout@1", "pupil@1", "running@1"))
    box = rois[1]
    rois.insert(2, box.model_copy(update={"y0": box.y0 + 4, "name": "overlapping"}))
    params = SvdParams(sbin=2, rois=tuple(rois), save_mat=False)
    ran = bench.run(bench.spec(bench.upload(recording.videos), params))
    assert ran.exit_code == 0, ran.output
    return recording, ran


@pytest.fixture(scope="module")
def pair_signals(two_views):
    with SignalsReader(two_views[1].signals) as reader:
        yield reader


def test_sequential_files_and_views_are_told_apart(two_views):
    manifest = two_views[1].manifest
    assert manifest.nframes == 700
    assert [view.frames for view in manifest.views] == [(400, 300), (400, 300)]
    assert {file.path for file in manifest.files if file.role == "facemap"} == {
        f"pod-1/facemap/{part}/{two_views[0].videos[0][0].stem}_proc.npy" for part in ("main", "overlap1", "pupil1")
    }


def test_a_basis_of_one_chunk_has_unit_norm_and_its_singular_values(two_views, pair_signals):
    proc = two_views[1].proc()
    masks, projections = all_components(pair_signals, 0, "mot")
    flat = masks.reshape(-1, masks.shape[-1])
    values = pair_signals.singular_values(0, "mot")
    np.testing.assert_allclose(np.linalg.norm(flat, axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(flat.T @ flat, np.eye(flat.shape[1]), atol=2e-3)
    assert (np.diff(values) <= 0).all()
    assert not proc["motSv"].any()
    stored = proc["motMask_reshape"][0][..., : masks.shape[-1]]
    np.testing.assert_allclose(masks * values, stored, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(projections * values, proc["motSVD"][0][:, : masks.shape[-1]], rtol=1e-4, atol=1e-2)
    origin = next(s for s in two_views[1].manifest.signals if (s.signal, s.roi_no) == ("motSVD", 0))
    assert (origin.origin, "F5" in origin.repairs) == (Origin.REPAIRED, True)


def test_overlapping_rois_have_the_motion_they_have_alone(two_views, pair_signals):
    recording, ran = two_views
    names = {region.name: region.roi_no for region in pair_signals.regions()}
    first, second = names["motion SVD 2"], names["overlapping"]
    rois = ran.spec.svd.rois
    frames = gray(recording, 1)
    for number, roi in ((first, rois[1]), (second, rois[2])):
        box = binned_box(roi, 2)
        part = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2]
        binned = part.reshape(len(part), part.shape[1] // 2, 2, part.shape[2] // 2, 2).mean(axis=(2, 4))
        true = np.abs(np.diff(binned[:, box.y0 : box.y1, box.x0 : box.x1], axis=0)).sum(axis=(1, 2))
        np.testing.assert_allclose(pair_signals.motion(number)[1:], true, rtol=1e-4)
    overlapping = next(s for s in ran.manifest.signals if (s.signal, s.roi_no) == ("motion", second))
    assert "F2" in overlapping.repairs


def test_signals_of_the_second_view_are_right(two_views, pair_signals):
    recording, _ = two_views
    regions = {region.name: region for region in pair_signals.regions()}
    running = pair_signals.running(regions["running 1"].roi_no)
    np.testing.assert_array_equal(running, recording.running(1))
    pupil, seen = pair_signals.pupil(regions["pupil 1"].roi_no), recording.truth.eye_open
    assert r(pupil["area"][seen], recording.truth.pupil_area[seen]) > 0.9
    assert regions["pupil 1"].view == 1


def test_the_full_frame_of_two_views_is_the_laid_out_picture(pair_signals):
    full = pair_signals.regions()[0]
    masks, _ = all_components(pair_signals, 0, "mot")
    assert masks.shape[:2] == (full.yrange_bin.size, full.xrange_bin.size)
    assert pair_signals.summary()[0].shape == masks.shape[:2]


@pytest.fixture(scope="module")
def movie(record):
    """Just long enough for two chunks."""
    return record("movie", nframes=(2010,), seed=6)


def test_a_movie_svd_alone_is_merged_and_brings_no_motion_svd(bench, movie):
    params = SvdParams(
        sbin=4,
        full_svd=False,
        mot_svd=False,
        mov_svd=True,
        rois=bench.rois(movie, "whisker", "running"),
    )
    ran = bench.run(bench.spec(bench.upload(movie.videos), params))
    assert ran.exit_code == 0, ran.output
    with SignalsReader(ran.signals) as reader:
        assert [region.roi_no for region in reader.regions()] == [0, 1]
        assert reader.n_components(0, "mot") == 0
        masks, _ = all_components(reader, 0, "mov")
        assert masks.shape[-1] == masks.shape[0] * masks.shape[1] - 1
        np.testing.assert_allclose(np.linalg.norm(masks, axis=(0, 1)), 1, rtol=1e-4)
        assert r(reader.motion(0), movie.truth.whisker_energy) > 0.9
        assert reader.singular_values(0, "mov") is not None
        assert reader.running(1) is not None
    origin = next(s for s in ran.manifest.signals if s.signal == "movSVD")
    assert "F11" in origin.repairs


def test_with_nothing_asked_the_mean_frame_and_the_regions_are_published(bench, record):
    recording = record("bare", nframes=(50,), width=160, seed=7)
    params = SvdParams(mot_svd=False, save_mat=True, rois=bench.rois(recording, "whisker", "blink"))
    ran = bench.run(bench.spec(bench.upload(recording.videos), params))
    assert ran.exit_code == 0, ran.output
    with SignalsReader(ran.signals) as reader:
        assert [(region.roi_no, region.kind) for region in reader.regions()] == [(0, "motion SVD"), (1, "blink")]
        assert reader.motion(0) is None
        assert reader.n_components(0, "mot") == 0
        assert reader.summary()[0].shape == (120, 160)
        assert reader.blink(1).shape == (50,)
    assert any(file.path.endswith("bare_proc.mat") for file in ran.manifest.files)


def test_facemap_without_a_movie_motion_svd_leaves_the_last_basis_unmerged(movie, tmp_path):
    """The fault F11 in the installed Facemap."""
    from facemap import process

    run = {"sbin": 8, "fullSVD": True, "save_mat": False, "rois": None, "sy": 0, "sx": 0}
    with contextlib.redirect_stdout(io.StringIO()):
        path = process.run([[str(movie.videos[0][0])]], motSVD=False, movSVD=True, proc=run, savepath=str(tmp_path))
    masks = np.load(path, allow_pickle=True).item()["movMask"][0]
    assert masks.shape[1] > masks.shape[0] - 1
    assert np.linalg.norm(masks[:, 0]) > 10
