"""Reading only what is needed of a file, by a reader that stands for its ranges."""

from __future__ import annotations

import io

import numpy as np
import pytest

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.header_index import header_index
from fmdj_cloud.worker.index import read_index
from fmdj_cloud.worker.turbo.frames import Recording
from tests.support.turbo import coded

N = 90
H264 = {"crf": "18", "preset": "medium", "b_strategy": "0"}
FILES = {
    "mjpeg": (".avi", "mjpeg", "yuvj420p", {}),
    "h264": (".mp4", "libx264", "yuv420p", {**H264, "g": "10", "bf": "0"}),
    "h264 with B-frames": (".mp4", "libx264", "yuv420p", {**H264, "g": "10", "bf": "2"}),
}


class Watched(io.BytesIO):
    """Notes which bytes are read of it."""

    def __init__(self, data: bytes, seen: np.ndarray) -> None:
        super().__init__(data)
        self._seen = seen

    def read(self, size=-1):
        start = self.tell()
        data = super().read(size)
        self._seen[start : self.tell()] = True
        return data


@pytest.fixture(params=FILES)
def video(request, tmp_path):
    suffix, codec, pixel_format, options = FILES[request.param]
    luma = np.random.default_rng(0).integers(0, 256, (N, 96, 128), np.uint8)
    return coded.write(tmp_path / f"v{suffix}", luma, codec, pixel_format, options=options)


def index_of(path):
    data = path.read_bytes()
    return header_index(path.name, io.BytesIO(data), len(data))


def test_the_header_tells_what_the_packets_tell(video):
    found, expected = index_of(video), read_index(video)
    assert (found.keys, found.stamps) == (expected.keys, expected.stamps)
    assert found.facts.frames == found.facts.header_frames == N
    np.testing.assert_allclose(found.times_ms, expected.times_ms)


def test_a_range_is_all_that_is_read(video):
    data = video.read_bytes()
    seen = np.zeros(len(data), bool)
    with Recording([[lambda: Watched(data, seen)]], [[index_of(video)]], [N], 4, threads=2) as recording:
        found = coded.taken(recording, 60, 80, size=10)
        assert recording.by_luma
    np.testing.assert_array_equal(found, coded.sums(coded.seen(video), 4)[60:80])
    # what lies between the first frames, by which files are told apart, and the range
    assert not seen[len(data) * 30 // N : len(data) * 48 // N].any()


def test_colour_needs_the_whole_file(tmp_path):
    path = coded.write(tmp_path / "v.avi", coded.moving(20, 48, 64), chroma=99)
    data = path.read_bytes()
    with (
        Recording([[lambda: io.BytesIO(data)]], [[index_of(path)]], [20], 4) as recording,
        pytest.raises(InputError, match=r"v\.avi has colour.*fetch it first") as caught,
    ):
        coded.taken(recording)
    assert caught.value.check == "whole_file"


@pytest.mark.parametrize("open_gop", [False, True])
@pytest.mark.parametrize("start", [20, 31, 38, 40, 57])
def test_of_groups_that_arent_closed_no_frame_is_wrong(tmp_path, open_gop, start):
    options = {**H264, "g": "10", "bf": "2", **({"x264-params": "open-gop=1"} if open_gop else {})}
    path = coded.write(tmp_path / "v.mp4", coded.moving(N, 48, 64), "libx264", "yuv420p", options=options)
    data, expected = path.read_bytes(), coded.sums(coded.seen(path), 4)
    with Recording([[lambda: io.BytesIO(data)]], [[index_of(path)]], [N], 4) as recording:
        try:
            found = coded.taken(recording, start, start + 15)
        except InputError:
            found = expected[start : start + 15] if open_gop else None  # told that the whole file is needed
    np.testing.assert_array_equal(found, expected[start : start + 15])


def test_where_the_header_doesnt_tell_there_is_no_index(tmp_path):
    avi = coded.write(tmp_path / "v.avi", coded.moving(N, 48, 64), "libx264", "yuv420p", options={**H264, "bf": "0"})
    assert index_of(avi) is None
    options = {**H264, "g": "10", "bf": "2"}
    mkv = coded.write(tmp_path / "v.mkv", coded.moving(N, 48, 64), "libx264", "yuv420p", options=options)
    assert index_of(mkv) is None
    stamps = np.cumsum(np.random.default_rng(4).integers(5, 190, N))
    irregular = tmp_path / "v.mp4"
    coded.write(irregular, coded.moving(N, 48, 64), "libx264", "yuv420p", options=options, stamps=stamps)
    assert index_of(irregular) is None


def test_frames_that_lie_beyond_the_files_end_dont_count(video):
    data = video.read_bytes()
    cut = len(data) // 2
    found = header_index(video.name, io.BytesIO(data), cut)
    assert found is None or 0 < found.facts.frames < N


def test_what_is_no_video_is_an_error():
    with pytest.raises(InputError, match="can't be read as a video"):
        header_index("v.avi", io.BytesIO(b"nothing" * 99), 693)
