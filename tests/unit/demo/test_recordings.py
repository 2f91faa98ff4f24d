"""Generated recordings: what their truth says is what their pixels show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fmdj_cloud.contracts import RoiKind
from fmdj_cloud.demo.face import BLINK_SATURATION, PUPIL_SATURATION, Face
from fmdj_cloud.demo.recordings import (
    ROI_NAMES,
    Recording,
    RecordingSpec,
    generate,
    gui_proc,
    load_truth,
    truncate_video,
)
from fmdj_cloud.demo.truth import write_script

SMALL = {"width": 160, "height": 120}


def decode(path: Path) -> np.ndarray:
    """Return all frames as Facemap sees them: (n, height, width) uint8."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY))
    return np.array(frames)


def crop(frames: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    y0, y1, x0, x1 = box
    return frames[:, y0:y1, x0:x1].astype(float)


def energy(frames: np.ndarray) -> np.ndarray:
    """Return the sum of |frame k+1 - frame k|, (n - 1,)."""
    return np.abs(np.diff(frames, axis=0)).sum(axis=(1, 2))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@pytest.fixture(scope="module", params=["mjpeg", "h264"])
def recording(request, tmp_path_factory) -> Recording:
    spec = RecordingSpec("mouse", nframes=(300,), codec=request.param, seed=7, **SMALL)
    return generate(spec, tmp_path_factory.mktemp("recording"))


@pytest.fixture(scope="module")
def frames(recording) -> np.ndarray:
    return decode(recording.videos[0][0])


def test_every_frame_is_there_in_the_size_asked_for(frames):
    assert frames.shape == (300, 120, 160)


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_gray_levels_survive_the_codec(codec, tmp_path):
    spec = RecordingSpec("plain", nframes=(20,), codec=codec, noise=0, **SMALL)
    face = Face(spec.height, spec.width, spec.seed, 0)
    drawn = face.draw(write_script(20, spec.seed, face.max_speed), 0, 20).astype(float)
    difference = decode(generate(spec, tmp_path).videos[0][0]) - drawn
    assert abs(difference.mean()) < 0.1
    assert difference.std() < 2


def test_the_pupil_is_where_and_as_large_as_the_truth_says(recording, frames):
    y0, _, x0, _ = recording.boxes["eye"]
    eye = crop(frames, recording.boxes["eye"])
    dark = np.maximum(0, PUPIL_SATURATION - eye)
    weight = dark.sum(axis=(1, 2))
    opened = recording.truth.eye_open
    y = (dark.sum(axis=2) @ np.arange(eye.shape[1]))[opened] / weight[opened] + y0
    x = (dark.sum(axis=1) @ np.arange(eye.shape[2]))[opened] / weight[opened] + x0
    assert np.abs(np.stack([y, x], axis=1) - recording.truth.pupil_center[opened]).max() < 0.3
    area = (eye < PUPIL_SATURATION).sum(axis=(1, 2))
    assert correlation(area[opened], recording.truth.pupil_area[opened]) > 0.98
    assert area[opened] == pytest.approx(recording.truth.pupil_area[opened], rel=0.12)
    assert area[~opened].max() == 0


def test_the_eye_is_bright_in_blinks_and_only_then(recording, frames):
    eye = crop(frames, recording.boxes["eye"])
    dark = np.maximum(0, BLINK_SATURATION - eye).sum(axis=(1, 2))
    assert len(recording.truth.blinks) == 2
    assert dark[~recording.truth.eye_open].max() < 0.5 * dark[recording.truth.eye_open].min()


def test_motion_energy_is_that_of_its_own_box(recording, frames):
    truth = recording.truth
    whisker, snout = (energy(crop(frames, recording.boxes[name])) for name in ("whisker", "snout"))
    assert correlation(whisker, truth.whisker_energy[1:]) > 0.98
    assert correlation(snout, truth.snout_energy[1:]) > 0.98
    assert abs(correlation(whisker, truth.snout_energy[1:])) < 0.3
    assert abs(correlation(snout, truth.whisker_energy[1:])) < 0.3
    assert truth.whisker_energy[0] == truth.whisker_energy[1]


def test_the_surface_moves_down_and_right_for_positive_truth(recording, frames):
    surface = crop(frames, recording.boxes["running"])
    for number in range(1, 300, 23):
        dy, dx = recording.truth.running[number].astype(int)
        before = np.roll(surface[number - 1], (dy, dx), axis=(0, 1))[8:-8, 8:-8]
        assert np.abs(surface[number][8:-8, 8:-8] - before).mean() < 3
    assert np.array_equal(recording.truth.running[0], recording.truth.running[1])
    assert set(np.unique(recording.truth.running[:, 1])) >= {-5, 0, 5}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("nframes", [200, 1000])
def test_energies_are_independent_whatever_the_seed(seed, nframes, tmp_path):
    truth = generate(RecordingSpec("m", width=96, height=72, nframes=(nframes,), seed=seed), tmp_path).truth
    assert abs(correlation(truth.whisker_energy, truth.snout_energy)) < 0.3


def test_the_same_spec_yields_the_same_bytes_and_another_seed_others(tmp_path):
    def content(folder: str, seed: int) -> list[bytes]:
        spec = RecordingSpec("m", nframes=(40,), views=2, codec="h264", seed=seed, **SMALL)
        return [video.read_bytes() for video in generate(spec, tmp_path / folder).videos[0]]

    assert content("a", 1) == content("b", 1)
    assert content("a", 1) != content("c", 2)


def test_the_subject_goes_on_from_one_file_to_the_next(tmp_path):
    whole = generate(RecordingSpec("whole", nframes=(150,), seed=3, noise=0, **SMALL), tmp_path)
    parts = generate(RecordingSpec("parts", nframes=(70, 80), seed=3, noise=0, **SMALL), tmp_path)
    assert [len(decode(row[0])) for row in parts.videos] == [70, 80]
    joined = np.concatenate([decode(row[0]) for row in parts.videos])
    difference = joined.astype(int) - decode(whole.videos[0][0])
    assert difference.std(axis=(1, 2)).max() < 0.5, "only the codec's rounding differs"
    for name in ("pupil_area", "pupil_center", "whisker_energy", "snout_energy", "running"):
        np.testing.assert_array_equal(getattr(parts.truth, name), getattr(whole.truth, name))


def test_a_second_camera_sees_the_mirror_image(tmp_path):
    recording = generate(RecordingSpec("pair", nframes=(12,), views=2, noise=0, **SMALL), tmp_path)
    left, right = (decode(video).astype(float) for video in recording.videos[0])
    assert correlation(left.ravel(), right[:, :, ::-1].ravel()) > 0.99
    y0, y1, x0, x1 = recording.boxes["eye"]
    assert recording.box("eye", 1) == (y0, y1, 160 - x1, 160 - x0)
    center = recording.pupil_center(1)[0].round().astype(int)
    assert right[0][tuple(center)] < PUPIL_SATURATION
    np.testing.assert_array_equal(recording.running(1), recording.truth.running * [1, -1])


def test_the_truth_lies_beside_the_videos(recording):
    loaded = load_truth(recording.videos[0][0].parent / "mouse_truth.npz")
    assert loaded.blinks == recording.truth.blinks
    np.testing.assert_array_equal(loaded.running, recording.truth.running)
    np.testing.assert_array_equal(loaded.pupil_center, recording.truth.pupil_center)


def test_files_are_named_by_camera_and_part_only_where_there_are_several():
    assert RecordingSpec("m").filename(0, 0) == "m.avi"
    assert RecordingSpec("m", views=2, nframes=(5, 5), codec="h264").filename(1, 0) == "m_cam0_part1.mp4"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"width": 161, "height": 120}, "161x120 can't be drawn"),
        ({"width": 90, "height": 60}, "at least 96x72"),
        ({"nframes": ()}, "at least 2 frames"),
        ({"views": 0}, "at least one camera"),
    ],
)
def test_a_spec_that_cant_be_generated_is_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        RecordingSpec("m", **wrong)


def test_a_truncated_copy_still_claims_every_frame(recording, tmp_path):
    video = recording.videos[0][0]
    cut = truncate_video(video, tmp_path / f"cut{video.suffix}", 0.5)
    assert cv2.VideoCapture(str(cut)).get(cv2.CAP_PROP_FRAME_COUNT) == 300
    assert 100 < len(decode(cut)) < 200


def test_rois_are_as_the_gui_saves_them(recording):
    rois = recording.rois(*ROI_NAMES)
    assert [RoiKind.from_rind(roi["rind"]).value for roi in rois] == [roi["rtype"] for roi in rois]
    assert [roi["iROI"] for roi in rois] == [0, 1, 2, 3, 4]
    for roi in rois:
        assert roi["yrange"].dtype == roi["xrange"].dtype == np.int32
        assert np.all(np.diff(roi["yrange"]) == 1)
        assert isinstance(roi["saturation"], float)
        assert roi["ellipse"].dtype == bool
        assert roi["ellipse"].shape == (len(roi["yrange"]), len(roi["xrange"]))
    assert rois[0]["pupil_sigma"] == 2.0


def test_an_unknown_roi_or_view_is_refused(recording):
    for name in ("tail", "pupil@1"):
        with pytest.raises(ValueError, match="is no ROI of mouse"):
            recording.rois(name)


def test_a_gui_export_holds_all_that_a_run_takes(tmp_path):
    recording = generate(RecordingSpec("m", nframes=(5, 5), views=2, **SMALL), tmp_path)
    proc = gui_proc(recording, recording.rois("whisker", "snout@1"), 4, False, True, True)
    assert proc["Ly"] == [120, 120]
    assert proc["Lx"] == [160, 160]
    assert (proc["sbin"], proc["fullSVD"], proc["motSVD"], proc["movSVD"]) == (4, False, True, True)
    assert [roi["ivid"] for roi in proc["rois"]] == [0, 1]
    assert [[Path(name).name for name in row] for row in proc["filenames"]] == [
        ["m_cam0_part0.avi", "m_cam1_part0.avi"],
        ["m_cam0_part1.avi", "m_cam1_part1.avi"],
    ]
    assert (proc["LY"], proc["LX"]) == (120, 320), "two views lie side by side"
