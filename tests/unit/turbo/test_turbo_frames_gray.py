"""Gray levels, pixel for pixel those of OpenCV."""

from __future__ import annotations

import logging

import av
import numpy as np
import pytest

from tests.support.turbo import coded

N = 12
LOSSLESS = {"qp": "0", "preset": "ultrafast"}
H264 = {"crf": "18", "g": "5", "bf": "2", "preset": "medium"}


def check(path, size, *, luma: bool, seed=0):
    expected = coded.seen(path)
    assert expected.shape[1:] == size
    with coded.record(path) as recording:
        found = coded.taken(recording, size=7)
        assert recording.by_luma is luma
    np.testing.assert_array_equal(found, expected.reshape(len(expected), -1))


GRAY = [
    ("mjpeg", ".avi", "yuvj420p", {}, {}),
    ("mjpeg", ".avi", "yuvj422p", {}, {}),
    ("mjpeg", ".avi", "yuvj444p", {}, {}),
    ("mjpeg", ".mkv", "yuvj420p", {}, {}),
    ("libx264", ".mp4", "yuv420p", H264, {}),
    ("libx264", ".mkv", "yuv420p", H264, {}),
    ("libx264", ".avi", "yuv420p", {**H264, "bf": "0"}, {}),
    ("libx264", ".mp4", "yuv420p", H264, {"color_range": coded.FULL}),
    ("libx264", ".mp4", "yuv422p", H264, {}),
    ("libx264", ".mp4", "yuv444p", LOSSLESS, {}),
    ("libx264", ".mp4", "gray", H264, {}),
    ("libx265", ".mp4", "yuv420p", {"x265-params": "log-level=none", "preset": "ultrafast"}, {}),
    ("ffv1", ".mkv", "gray", {}, {}),
    ("ffv1", ".mkv", "yuv420p", {}, {"color_range": coded.FULL}),
    ("ffv1", ".avi", "yuv444p", {}, {}),
    ("rawvideo", ".avi", "gray", {}, {}),
    ("rawvideo", ".avi", "yuv420p", {}, {}),
]


@pytest.mark.parametrize(("codec", "suffix", "pixel_format", "options", "extras"), GRAY)
def test_gray_content_is_read_off_the_luma_plane(tmp_path, codec, suffix, pixel_format, options, extras):
    path = coded.write(tmp_path / f"v{suffix}", coded.moving(N, 50, 70), codec, pixel_format, options=options, **extras)
    check(path, (50, 70), luma=True)


@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format", "options", "extras"), [case for case in GRAY if case[2] != "gray"]
)
def test_colour_is_left_to_opencv(tmp_path, codec, suffix, pixel_format, options, extras):
    path = coded.write(
        tmp_path / f"v{suffix}", coded.moving(N, 50, 70), codec, pixel_format, chroma=101, options=options, **extras
    )
    check(path, (50, 70), luma=False)


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
@pytest.mark.parametrize("turns", [1, 5, N - 1])
def test_a_video_may_turn_colourful(tmp_path, codec, turns):
    chroma = np.full(N, 128)
    chroma[turns:] = 90
    suffix, options = (".avi", {}) if codec == "mjpeg" else (".mp4", {**LOSSLESS, "g": "4"})
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = coded.write(
        tmp_path / f"v{suffix}", coded.moving(N, 48, 64), codec, pixel_format, chroma=chroma, options=options
    )
    check(path, (48, 64), luma=False)


@pytest.mark.parametrize("seed", range(12))
def test_any_size_and_format(tmp_path, seed):
    rng = np.random.default_rng(seed)
    height, width = (int(k) for k in rng.integers(18, 150, 2))
    codec, suffix, formats = [
        ("mjpeg", ".avi", ("yuvj420p", "yuvj422p", "yuvj444p")),
        ("ffv1", ".mkv", ("gray", "yuv420p", "yuv422p", "yuv444p")),
        ("mpeg4", ".avi", ("yuv420p",)),
        ("libx264", ".mp4", ("yuv444p",)),
    ][seed % 4]
    pixel_format = formats[int(rng.integers(len(formats)))]
    path = coded.write(tmp_path / f"v{suffix}", coded.moving(N, height, width, seed), codec, pixel_format)
    expected = coded.seen(path)
    with coded.record(path) as recording:
        np.testing.assert_array_equal(coded.taken(recording), expected.reshape(len(expected), -1))


@pytest.mark.parametrize(
    ("suffix", "options"), [(".avi", {"g": "4"}), (".mp4", {"g": "4", "bf": "2"}), (".mp4", {"qp": "0", "g": "1"})]
)
def test_mpeg4_decoders_differ_so_opencvs_is_used(tmp_path, suffix, options):
    check(
        coded.write(tmp_path / f"v{suffix}", coded.moving(N, 50, 70), "mpeg4", "yuv420p", options=options),
        (50, 70),
        luma=False,
    )


def test_odd_sizes_of_gray_mjpeg_are_read_off_the_luma_plane(tmp_path):
    check(coded.write(tmp_path / "v.avi", coded.moving(N, 49, 71)), (49, 71), luma=True)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_is_shown_as_opencv_shows_it(tmp_path, degrees):
    plain = coded.write(tmp_path / "p.mp4", coded.moving(N, 48, 64), "libx264", "yuv420p", options=H264)
    path = tmp_path / "v.mp4"
    with av.open(str(plain)) as source, av.open(str(path), "w") as sink:
        stream = source.streams.video[0]
        copy = sink.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.stream = copy
                sink.mux(packet)
    turn(path, degrees)
    check(path, (48, 64) if degrees == 180 else (64, 48), luma=False)


def turn(path, degrees):
    """Write a rotation into the header of a track."""
    one = 0x10000
    matrix = {
        90: (0, one, -one & 0xFFFFFFFF, 0),
        180: (-one & 0xFFFFFFFF, 0, 0, -one & 0xFFFFFFFF),
        270: (0, -one & 0xFFFFFFFF, one, 0),
    }
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix[degrees]
    for offset, value in zip((0, 4, 12, 16), (a, b, c, d), strict=True):
        data[place + offset : place + offset + 4] = value.to_bytes(4, "big")
    path.write_bytes(data)


def test_an_unproven_format_is_left_to_opencv(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = coded.write(tmp_path / "v.avi", coded.moving(N, 48, 64), "ffv1", "yuv420p10le", chroma=2)
    expected = coded.seen(path)
    with coded.record(path) as recording:
        np.testing.assert_array_equal(coded.taken(recording), expected.reshape(N, -1))
    assert "nothing is proven for ffv1 in yuv420p10le" in caplog.text
