"""Real video files: what they hold, and copies of exactly the frames that count."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fmdj_cloud.demo.recordings import truncate_video
from fmdj_cloud.demo.video_files import SUFFIXES, GrayWriter
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.cut import cut_copy
from fmdj_cloud.worker.video import count_frames, read_facts

N = 120


def decode(path: Path) -> np.ndarray:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1][..., 0])
    return np.array(frames)


@pytest.fixture(scope="module", params=["mjpeg", "h264"])
def video(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / f"cam 1{SUFFIXES[request.param]}"
    pictures = np.random.default_rng(0).integers(0, 255, (N, 48, 64)).astype(np.uint8)
    with GrayWriter(path, codec=request.param, width=64, height=48, fps=25) as writer:
        writer.write(pictures)
    return path


def test_an_intact_file(video):
    seen = []
    facts = read_facts(video, seen.append)
    assert (facts.name, facts.height, facts.width, facts.fps) == (video.name, 48, 64, 25.0)
    assert (facts.frames, facts.header_frames) == (N, N)


@pytest.mark.parametrize("keep", [0.4, 0.9, 0.99])
def test_a_truncated_file_holds_fewer_frames_than_its_header_says(video, tmp_path, keep):
    facts = read_facts(truncate_video(video, tmp_path / video.name, keep))
    assert facts.header_frames == N
    assert 0.3 * N < facts.frames < N


def test_the_last_frame_of_a_truncated_mjpeg_doesnt_count_though_it_can_be_shown(tmp_path):
    path = tmp_path / "a.avi"
    with GrayWriter(path, codec="mjpeg", width=64, height=48, fps=25) as writer:
        writer.write(np.random.default_rng(0).integers(0, 255, (N, 48, 64)).astype(np.uint8))
    cut = truncate_video(path, tmp_path / "cut.avi", 0.5)
    shown = len(decode(cut))
    assert read_facts(cut).frames == shown - 1


def test_a_frame_in_the_middle_that_cant_be_decoded_is_found(video, tmp_path):
    data = bytearray(video.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(6000)
    path = tmp_path / video.name
    path.write_bytes(data)
    assert read_facts(path).frames < N


@pytest.mark.parametrize("content", [b"", b"hello" * 1000])
def test_what_is_no_video_is_refused(tmp_path, content):
    path = tmp_path / "notes.avi"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"notes\.avi can't be read as a video \(") as caught:
        read_facts(path)
    assert caught.value.check == "readable"


def test_a_header_without_a_frame_is_refused(video, tmp_path):
    path = tmp_path / video.name
    path.write_bytes(video.read_bytes()[:6000])
    with pytest.raises(InputError) as caught:
        read_facts(path)
    assert caught.value.check == "readable"


def test_a_copy_holds_exactly_the_frames_asked_for(video, tmp_path):
    copy = cut_copy(video, tmp_path, N - 7)
    assert copy.name == video.name
    assert count_frames(copy) == (N - 7, N - 7)
    np.testing.assert_array_equal(decode(copy), decode(video)[: N - 7])


def test_a_copy_of_a_truncated_file_leaves_out_what_is_incomplete(video, tmp_path):
    cut = truncate_video(video, tmp_path / video.name, 0.7)
    facts = read_facts(cut)
    (tmp_path / "copies").mkdir()
    copy = cut_copy(cut, tmp_path / "copies", facts.frames)
    np.testing.assert_array_equal(decode(copy), decode(video)[: facts.frames])


def test_a_copy_of_more_frames_than_there_are_is_refused(video, tmp_path):
    with pytest.raises(InputError, match=f"can't be cut to the {N + 1} frames") as caught:
        cut_copy(video, tmp_path, N + 1)
    assert caught.value.check == "cut"
