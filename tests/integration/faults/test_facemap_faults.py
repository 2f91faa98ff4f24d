"""What is silently wrong in the installed Facemap: each test fails when its fault is gone.

Then the repair keyed to this version must be looked at again.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from fmdj_cloud.demo.recordings import Recording

pytestmark = pytest.mark.integration


def decode(path: Path) -> np.ndarray:
    """Return all frames that can be decoded, as Facemap sees them: (n, height, width) uint8."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY))
    return np.array(frames)


def differences(frames: np.ndarray, sbin: int = 2) -> np.ndarray:
    """Return |binned frame k+1 - binned frame k| per pixel, (n - 1, pixels)."""
    n, height, width = frames.shape
    binned = frames.reshape(n, height // sbin, sbin, width // sbin, sbin).astype(np.float32).mean(axis=(2, 4))
    return np.abs(np.diff(binned, axis=0)).reshape(n - 1, -1)


def true_motion(frames: np.ndarray) -> np.ndarray:
    """Return the sum of |binned frame k - binned frame k-1|, (n,); row 0 is NaN."""
    return np.concatenate([[np.nan], differences(frames).sum(axis=1)])


def displacements(crop: np.ndarray) -> np.ndarray:
    """Return the shift from each frame to the next by phase correlation, (n - 1, 2) as dy, dx."""
    spectra = np.fft.fft2(crop - crop.mean(axis=(1, 2), keepdims=True))
    cross = spectra[1:] * spectra[:-1].conj()
    correlation = np.fft.ifft2(cross / np.maximum(np.abs(cross), 1e-9)).real
    size = np.array(crop.shape[1:])
    peaks = np.stack(np.unravel_index(correlation.reshape(len(cross), -1).argmax(axis=1), size), axis=1)
    return np.where(peaks > size // 2, peaks - size, peaks)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


@pytest.fixture(scope="module")
def frames(recording: Recording) -> np.ndarray:
    return decode(recording.videos[0][0])


def test_the_installed_facemap_is_the_one_whose_faults_are_known():
    assert importlib.metadata.version("facemap") == "1.0.8"


def test_f1_motion_is_one_frame_early_in_the_first_500_frames(motion_run, frames):
    motion, truth = motion_run.proc["motion"][0], true_motion(frames)
    np.testing.assert_allclose(motion[:499], truth[1:500], rtol=1e-4)
    assert motion[499] == 0
    np.testing.assert_allclose(motion[500:], truth[500:], rtol=1e-4)


def test_f1_motsvd_is_aligned_and_row_0_copies_row_1(motion_run, frames):
    proc = motion_run.proc
    aligned = (differences(frames) - proc["avgmotion"][0].ravel()) @ proc["motMask"][0]
    np.testing.assert_allclose(proc["motSVD"][0][1:], aligned, rtol=1e-3, atol=1e-3 * np.abs(aligned).max())
    np.testing.assert_array_equal(proc["motSVD"][0][0], proc["motSVD"][0][1])


def test_f2_the_second_of_two_identical_rois_has_another_motion(motion_run):
    _, first, second = motion_run.proc["motion"]
    assert np.median(second) < 0.5 * np.median(first)


def test_f3_eye_rois_change_the_full_frames_projections_but_not_its_masks(motion_run, eye_run):
    without, with_eye = motion_run.proc, eye_run.proc
    np.testing.assert_allclose(with_eye["motMask"][0], without["motMask"][0], rtol=1e-3, atol=1e-3)
    scale = np.abs(without["motSVD"][0]).max(axis=0)
    change = np.abs(with_eye["motSVD"][0] - without["motSVD"][0]).max(axis=0) / scale
    assert change.max() > 0.01
    assert not np.allclose(with_eye["motion"][0], without["motion"][0], rtol=1e-4)


def test_f3_a_pupil_roi_changes_the_blink_roi_around_it(eye_run, trace_run, recording):
    alone, with_pupil = trace_run.proc["blink"][0], eye_run.proc["blink"][0]
    opened = recording.truth.eye_open
    assert np.all(with_pupil[opened] < 0.99 * alone[opened])


def test_f4_running_is_noise(trace_run, frames, recording):
    y0, y1, x0, x1 = recording.boxes["running"]
    truth, facemap = recording.truth.running[1:], trace_run.proc["running"][0][1:]
    ours = displacements(frames[:, y0:y1, x0:x1])
    for axis in range(2):
        assert correlation(ours[:, axis], truth[:, axis]) > 0.98, "the crop holds what is needed"
        assert abs(correlation(facemap[:, axis], truth[:, axis])) < 0.3


def test_f4_two_running_rois_raise_index_error(recording, run_facemap):
    with pytest.raises(IndexError):
        run_facemap(recording.videos, recording.rois("running", "running"), mot=False)


def test_f5_masks_of_a_short_recording_are_scaled_and_singular_values_are_zero(motion_run):
    norms = np.linalg.norm(motion_run.proc["motMask"][0], axis=0)
    assert norms[0] > 100
    assert np.all(np.diff(norms[:50]) < 0), "the norms are the singular values"
    assert not np.any(motion_run.proc["motSv"])


def test_f5_masks_of_two_chunks_have_unit_norm(two_chunk_run):
    np.testing.assert_allclose(np.linalg.norm(two_chunk_run.proc["motMask"][0], axis=0), 1, rtol=1e-3)


def test_f6_singular_values_are_those_of_the_last_roi_only(two_chunk_run):
    full, whisker, snout = (mask.shape[1] for mask in two_chunk_run.proc["motMask"])
    assert two_chunk_run.proc["motSv"].shape == (snout,)
    assert len({full, whisker, snout}) == 3
    assert not np.any(two_chunk_run.proc["movSv"])


def test_f7_a_truncated_video_succeeds_with_black_frames(truncated, run_facemap):
    whole = len(decode(truncated))
    assert 200 < whole < 400
    result = run_facemap([[truncated]], full_svd=True)
    motion = result.proc["motion"][0]
    assert len(motion) == 600
    assert "img load failed" in result.printed
    # The last frame is repeated once, then a jump to black that dwarfs all motion, then nothing; 1 early (F1).
    assert motion[whole - 1] == 0
    assert motion[whole] > 20 * np.median(motion[: whole - 1])
    assert not np.any(motion[whole + 1 :])


def test_f8_the_last_views_frame_count_cuts_the_others(recording, short, run_facemap):
    proc = run_facemap([[recording.videos[0][0], short.videos[0][1]]], full_svd=True).proc
    assert len(proc["motion"][0]) == 120


def test_f8_a_shorter_first_view_is_padded_with_black(recording, short, run_facemap):
    rois = short.rois("whisker@0")
    proc = run_facemap([[short.videos[0][0], recording.videos[0][0]]], rois).proc
    motion = proc["motion"][1]
    assert len(motion) == 600
    assert motion[120] > 5 * motion[:119].max()
    assert not np.any(motion[121:])


def test_f9_one_missing_file_is_reported_as_nan(run_facemap, folder):
    with pytest.raises(ValueError, match="cannot convert float NaN to integer"):
        run_facemap([[folder / "missing.avi"]], full_svd=True)


_SPINNING = """
import faulthandler, json, signal, sys
faulthandler.register(signal.SIGUSR1, file=sys.stdout)
from facemap import process
print("started", flush=True)
process.run(json.loads(sys.argv[1]), savepath=sys.argv[2])
"""
_LOOPING_S = 1.0
"""CPU time that a loop over two views may not take by far: it takes microseconds."""


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def spinning(short, folder) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Facemap in one child process per mistake, all started at once."""
    good, unreadable = str(short.videos[0][0]), folder / "unreadable.avi"
    unreadable.write_bytes(b"not a video")
    mistakes = {"an unreadable second view": [[good, str(unreadable)]], "a flat list of paths": [good, good]}
    children = {
        mistake: subprocess.Popen(
            [sys.executable, "-c", _SPINNING, json.dumps(filenames), str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for mistake, filenames in mistakes.items()
    }
    yield children
    for child in children.values():
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.mark.parametrize("mistake", ["an unreadable second view", "a flat list of paths"])
def test_f9_facemap_never_returns_from(mistake, spinning):
    child = spinning[mistake]
    assert child.stdout.readline() == "started\n"
    start, deadline = cpu_seconds(child.pid), time.monotonic() + 60
    while cpu_seconds(child.pid) - start < _LOOPING_S:
        assert child.poll() is None, "Facemap returned"
        assert time.monotonic() < deadline, "Facemap waits for something"
        time.sleep(0.05)
    child.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    child.kill()
    assert "in video_placement" in child.stdout.read()


def test_f10_the_stored_blink_trace_is_raw(trace_run, frames, recording):
    from facemap import pupil

    (roi,) = recording.rois("blink")
    y0, y1, x0, x1 = recording.boxes["eye"]
    dark = np.maximum(0, roi["saturation"] - frames[:, y0:y1, x0:x1].astype(float))
    raw = dark[:, roi["ellipse"]].sum(axis=1)
    stored = trace_run.proc["blink"][0]
    np.testing.assert_array_equal(stored, raw)
    smoothed, _ = pupil.smooth(stored.copy())
    assert np.abs(smoothed - stored).max() > 0.5 * np.median(stored)
