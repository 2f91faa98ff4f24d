"""Container headers of real videos are read in few ranged reads; no bytes make it hang or fall over."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmdj_cloud.control.headers import VideoHeader, read_header
from fmdj_cloud.demo.recordings import RecordingSpec, generate


class Bytes:
    """A file behind ranged reads."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads = 0

    def read(self, offset: int, length: int) -> bytes:
        self.reads += 1
        return self.data[offset : offset + length]


def header_of(data: bytes) -> VideoHeader | None:
    return read_header(Bytes(data).read, len(data))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Codec -> the bytes of a video of 160 x 120 pixels, 50 frames at 25 Hz."""
    found = {}
    for codec in ("mjpeg", "h264"):
        spec = RecordingSpec(name=codec, width=160, height=120, nframes=(50,), fps=25.0, codec=codec)
        found[codec] = generate(spec, tmp_path_factory.mktemp(codec)).videos[0][0].read_bytes()
    return found


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_real_videos(videos, codec):
    source = Bytes(videos[codec])
    header = read_header(source.read, len(source.data))
    assert (header.width, header.height, header.frames) == (160, 120, 50)
    assert header.fps == pytest.approx(25.0, rel=0.01)
    assert source.reads <= 4


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\x1a\x45\xdf\xa3" * 100, b"not a video at all, just text"])
def test_what_is_no_video_is_none(data):
    assert header_of(data) is None


def test_a_reader_that_fails_is_heard():
    def read(offset: int, length: int) -> bytes:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        read_header(read, 1000)


@given(
    st.binary(max_size=400), st.sampled_from([b"RIFF\xff\xff\xff\x7fAVI LIST\xff\xff\xff\x7fhdrl", b"\0\0\0\x08ftyp"])
)
def test_garbage_never_hangs_or_raises(tail, start):
    header_of(start + tail)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_video_never_hangs_or_raises(videos, data):
    codec = data.draw(st.sampled_from(["mjpeg", "h264"]))
    damaged = bytearray(videos[codec])
    interesting = st.integers(0, 600) if codec == "mjpeg" else st.integers(len(damaged) - 2500, len(damaged) - 1)
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(interesting | st.integers(0, 64))
        damaged[place] = data.draw(st.sampled_from([0, 1, 255]) | st.integers(0, 255))
    header = header_of(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))
    assert header is None or (0 < header.width <= 1 << 15 and header.frames >= 0)
