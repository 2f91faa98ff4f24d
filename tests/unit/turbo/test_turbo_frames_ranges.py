"""Reading only what is needed of a file, by a reader that stands for its ranges."""

from __future__ import annotations

import io
from fractions import Fraction

import cv2
import numpy as np
import pytest

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.header_index import header_index
from fmdj_cloud.worker.index import read_index
from fmdj_cloud.worker.turbo.frames import Recording
from tests.support.turbo import coded

N = 90
H264 = {"crf": "18", "preset": "medium", "b_strategy": "0"}
LIBX264 = {"codec": "libx264", "pixel_format": "yuv420p", "options": {"g": "10", "bf": "0"}}
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


UNEVEN = np.r_[np.arange(45) * 10, 450 + np.arange(45) * 100]
HELD = {
    "ntsc.avi": {"rate": Fraction(30000, 1001)},
    "ntsc.mp4": {**LIBX264, "rate": Fraction(30000, 1001)},
    "uneven.mp4": {**LIBX264, "stamps": UNEVEN},
    "uneven.mov": {"stamps": UNEVEN},
    "uneven.mkv": {**LIBX264, "stamps": UNEVEN},
    "odd.avi": {**LIBX264, "codec": "mpeg4", "rate": Fraction(2997, 100), "options": {}},
    "fragments.mp4": {**LIBX264, "container": {"movflags": "frag_keyframe+empty_moov"}},
    "bare.h264": LIBX264,
}


@pytest.mark.parametrize("name", HELD)
def test_rate_and_frames_that_a_header_claims_are_opencvs_wherever_a_file_lies(tmp_path, name):
    path = coded.write(tmp_path / name, coded.moving(N, 48, 64), **HELD[name])
    capture = cv2.VideoCapture(str(path))
    claimed = capture.get(cv2.CAP_PROP_FPS), max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    here, remote = read_index(path), index_of(path)
    assert (here.facts.fps, here.facts.header_frames) == claimed
    assert remote is None or remote.facts == here.facts


@pytest.mark.parametrize("flags", ["frag_keyframe", "frag_keyframe+empty_moov", "frag_keyframe+global_sidx"])
def test_an_index_in_fragments_is_not_relied_on(tmp_path, flags):
    """Of what is behind the first fragments nothing may be known, and frames at the end would be missing."""
    for more in ("", "+default_base_moof"):
        made = {**LIBX264, "container": {"movflags": flags + more}}
        path = coded.write(tmp_path / "f.mp4", coded.moving(4 * N, 48, 64), **made)
        assert read_index(path).facts.frames == 4 * N
        assert index_of(path) is None


def test_an_avi_with_frames_behind_its_index_is_not_relied_on(tmp_path):
    luma = coded.moving(4 * N, 96, 128)
    first, second = (coded.write(tmp_path / f"{k}.avi", luma[2 * N * k :][: 2 * N]).read_bytes() for k in (0, 1))
    start = second.index(b"movi")
    more = second[start - 8 : start + int.from_bytes(second[start - 4 : start], "little")]
    path = tmp_path / "long.avi"
    path.write_bytes(first + b"RIFF" + (4 + len(more)).to_bytes(4, "little") + b"AVIX" + more)
    assert len(read_index(path).stamps or read_index(path).keys) > 2 * N
    assert index_of(path) is None
    assert index_of(tmp_path / "0.avi") is not None


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


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_files_that_were_passed_are_closed(tmp_path, suffix):
    luma = coded.moving(400, 16, 16)
    codec = {".avi": {}, ".mp4": {"codec": "libx264", "pixel_format": "yuv420p", "options": {"g": "99"}}}[suffix]
    paths = [coded.write(tmp_path / f"{k}{suffix}", luma[10 * k : 10 * k + 10], **codec) for k in range(40)]
    files: list[io.BytesIO] = []
    most = 0

    def opened(path):
        def anew():
            nonlocal most
            files.append(io.BytesIO(path.read_bytes()))
            most = max(most, sum(not file.closed for file in files))
            return files[-1]

        return anew

    indices = [[read_index(path)] for path in paths]
    with Recording([[opened(path)] for path in paths], indices, [10] * 40, 1, threads=2) as recording:
        found = coded.taken(recording, size=25)
    np.testing.assert_array_equal(found, coded.taken(coded.record(*paths)))
    assert most <= 3 * 2  # decoding, waiting, and read for a copy of a file's start
    assert all(file.closed for file in files)
