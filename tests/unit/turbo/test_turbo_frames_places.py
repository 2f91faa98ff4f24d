"""Every frame at its number, wherever reading begins, in whatever order, of whatever file."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.svd.geometry import Box
from fmdj_cloud.worker.turbo.frames import Cache, FramesEndError, Wanted
from tests.support.pose import videos
from tests.support.turbo import coded

N = 60
H264 = {"crf": "18", "preset": "medium", "b_strategy": "0"}
FILES = {
    "every frame a key": (".avi", "mjpeg", "yuvj420p", {}, 128),
    "short groups, B-frames": (".mp4", "libx264", "yuv420p", {**H264, "g": "7", "bf": "3"}, 128),
    "open groups": (".mp4", "libx264", "yuv420p", {**H264, "g": "9", "bf": "3", "x264-params": "open-gop=1"}, 128),
    "one group": (".mkv", "libx264", "yuv420p", {**H264, "g": "300", "bf": "2", "sc_threshold": "0"}, 128),
    "intra refresh": (".mp4", "libx264", "yuv420p", {**H264, "g": "12", "bf": "0", "intra-refresh": "1"}, 128),
    "colour": (".mp4", "libx264", "yuv420p", {**H264, "g": "7", "bf": "2"}, 99),
    "colour, every frame a key": (".avi", "mjpeg", "yuvj420p", {}, 99),
    "colour, one group": (".mkv", "libx264", "yuv420p", {**H264, "g": "300", "bf": "2", "sc_threshold": "0"}, 99),
    "mpeg4": (".avi", "mpeg4", "yuv420p", {"g": "10"}, 128),
    "no times": (".h264", "libx264", "yuv420p", {**H264, "g": "10", "bf": "0"}, 128),
}


@pytest.fixture(scope="module", params=FILES)
def video(request, tmp_path_factory):
    suffix, codec, pixel_format, options, chroma = FILES[request.param]
    path = tmp_path_factory.mktemp("places") / f"v{suffix}"
    coded.write(path, coded.moving(N, 48, 64), codec, pixel_format, chroma=chroma, options=options)
    return path, coded.sums(coded.seen(path), 4)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_ranges_in_any_order(video, threads):
    path, expected = video
    assert len(expected) == N
    with coded.record(path, sbin=4, threads=threads) as recording:
        for start, stop, size in [(50, 60, 7), (0, N, 9), (31, 32, 500), (7, 44, 5), (43, 59, 500), (0, 1, 1)]:
            np.testing.assert_array_equal(coded.taken(recording, start, stop, size=size), expected[start:stop])
        ranges = [(40, 52), (3, 17), (17, 19), (58, 60)]
        found = [(b.start, b.stop, b.binned.copy()) for b in recording.blocks_of(ranges, size=10)]
    assert [edge[:2] for edge in found] == [
        *((40, 50), (50, 52), (3, 10), (10, 17), (17, 19), (58, 60)),
    ]
    for start, stop, binned in found:
        np.testing.assert_array_equal(binned, expected[start:stop])


def test_times_need_not_be_regular(tmp_path):
    stamps = np.cumsum(np.random.default_rng(4).integers(5, 190, N))
    path = tmp_path / "v.mp4"
    coded.write(
        path,
        coded.moving(N, 48, 64),
        "libx264",
        "yuv420p",
        options={**H264, "g": "8", "bf": "2"},
        stamps=stamps - stamps[0],
    )
    expected = coded.sums(coded.seen(path), 4)
    assert len(expected) == N
    with coded.record(path, sbin=4) as recording:
        for start, stop in [(0, N), (33, 41), (9, 30)]:
            np.testing.assert_array_equal(coded.taken(recording, start, stop, size=7), expected[start:stop])
        assert recording.by_luma


def test_irregular_times_of_colour_are_counted_from_the_first_frame(tmp_path):
    stamps = np.cumsum(np.random.default_rng(5).integers(5, 190, N))
    path = tmp_path / "v.mkv"
    options = {**H264, "g": "8", "bf": "2"}
    coded.write(path, coded.moving(N, 48, 64), "libx264", "yuv420p", chroma=80, options=options, stamps=stamps)
    expected = coded.sums(coded.seen(path), 4)
    with coded.record(path, sbin=4) as recording:
        for start, stop in [(50, N), (33, 41), (9, 30)]:
            np.testing.assert_array_equal(coded.taken(recording, start, stop, size=7), expected[start:stop])


@pytest.fixture(scope="module")
def cameras(tmp_path_factory):
    """Three sequential files of two cameras, of which one sees gray and the other colour; one file is longer."""
    folder = tmp_path_factory.mktemp("cameras")
    rows, expected = [], []
    for row, frames in enumerate((20, 13, 31)):
        files = [
            coded.write(folder / f"a{row}.avi", coded.moving(frames, 48, 64, row)),
            coded.write(folder / f"b{row}.avi", coded.moving(frames + 2, 41, 52, 9 + row), chroma=100 + row),
        ]
        rows.append(files)
        expected.append([coded.seen(path)[:frames] for path in files])
    return rows, [np.concatenate(views) for views in zip(*expected, strict=True)]


def test_views_lie_beside_each_other_and_files_behind_each_other(cameras):
    rows, views = cameras
    expected = np.concatenate([coded.sums(view, 3) for view in views], axis=1)
    with coded.record(*rows, sbin=3) as recording:
        assert (recording.nframes, recording.pixels) == (64, 16 * 21 + 13 * 17)
        np.testing.assert_array_equal(coded.taken(recording, size=10), expected)
        np.testing.assert_array_equal(coded.taken(recording, 18, 35, size=10), expected[18:35])


def test_crops_are_unbinned(cameras):
    rows, views = cameras
    crops = (Box(1, 5, 30, 7, 22), Box(0, 0, 48, 0, 64), Box(1, 40, 41, 51, 52))
    with coded.record(*rows, sbin=3) as recording:
        blocks = [
            [crop.copy() for crop in block.crops]
            for block in recording.blocks(10, 50, size=15, want=Wanted(binned=False, crops=crops))
        ]
    for place, box in enumerate(crops):
        found = np.concatenate([block[place] for block in blocks])
        np.testing.assert_array_equal(found, views[box.view][10:50, box.y0 : box.y1, box.x0 : box.x1])


@pytest.mark.parametrize(("memory", "scratch"), [(1 << 20, 0), (0, 1 << 20), (700, 900), (0, 0), (500, 0)])
def test_what_is_kept_isnt_decoded_again(cameras, monkeypatch, tmp_path, memory, scratch):
    rows, views = cameras
    expected = np.concatenate([coded.sums(view, 12) for view in views], axis=1)
    want = Wanted(crops=(Box(0, 1, 3, 1, 4),))
    with Cache(memory, scratch, tmp_path) as cache, coded.record(*rows, sbin=12, cache=cache) as recording:
        ranges = [(4, 9), (23, 40), (30, 36)]
        for block in recording.blocks_of(ranges, size=10, want=want, keep=True):
            np.testing.assert_array_equal(block.binned, expected[block.start : block.stop])
        decoded = []
        fill = recording._fill
        monkeypatch.setattr(recording, "_fill", lambda piece, buffer: (decoded.append(piece), fill(piece, buffer)))
        for block in recording.blocks(0, 64, size=10, want=want):
            np.testing.assert_array_equal(block.binned, expected[block.start : block.stop])
            np.testing.assert_array_equal(block.crops[0], views[0][block.start : block.stop, 1:3, 1:4])
        frames = sum(piece.stop - piece.start for piece in decoded if piece.view == 0)
    if memory + scratch >= 1 << 20:
        assert frames == 64 - 5 - 17
    elif memory + scratch == 0:
        assert frames == 64
    else:
        assert 64 - 5 - 17 < frames < 64


def test_who_stops_early_stops_all(cameras):
    rows, _ = cameras
    with coded.record(*rows) as recording:
        blocks = recording.blocks(0, 64, size=4)
        assert next(blocks).stop == 4
        blocks.close()
        assert len(coded.taken(recording, size=30)) == 64


def test_a_file_that_was_left_between_two_frames_is_sought_anew(cameras):
    rows, views = cameras
    with coded.record(*rows) as recording:
        lane = recording._lanes[0][1]  # in colour: OpenCV's
        for _ in range(2):
            begun = lane.read(3, 20)
            np.testing.assert_array_equal(next(begun), views[1][3])
            begun.close()
        np.testing.assert_array_equal(next(lane.read(9, 10)), views[1][9])


def test_other_frames_than_there_are(cameras):
    rows, _ = cameras
    with coded.record(*rows) as recording, pytest.raises(ValueError, match="64 frames"):
        list(recording.blocks(60, 65))


@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_frames_end_where_opencv_ends(tmp_path, suffix):
    whole = videos.write(tmp_path / f"w{suffix}", videos.pictures(40, 48, 64))
    path = videos.damage(whole, tmp_path / f"v{suffix}", 24)
    expected = coded.sums(coded.seen(path), 4)
    assert 10 < len(expected) < 40
    with coded.record(path, sbin=4) as recording:
        with pytest.raises(FramesEndError, match="promises 40 frames") as caught:
            coded.taken(recording, size=7)
        assert caught.value.frames == len(expected)
        assert isinstance(caught.value, InputError)
        np.testing.assert_array_equal(coded.taken(recording, 0, len(expected), size=7), expected)


def test_a_file_that_was_cut_off_is_found_out_by_its_end(tmp_path):
    whole = videos.write(tmp_path / "w.mp4", videos.pictures(40, 48, 64))
    path = videos.damage(whole, tmp_path / "v.mp4", *range(35, 40))
    with coded.record(whole) as recording:
        recording.check_ends()
    with coded.record(whole, path) as recording, pytest.raises(FramesEndError) as caught:
        recording.check_ends()
    assert caught.value.frames == len(coded.seen(path))
