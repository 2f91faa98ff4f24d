"""Frames at their places, and the gray levels that become 0 and 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fmdj_cloud.contracts import Precision
from fmdj_cloud.errors import ConfigError, InputError, MemoryExhaustedError
from fmdj_cloud.worker.index import read_index
from fmdj_cloud.worker.pose.ahead import Ahead
from fmdj_cloud.worker.pose.batches import batches
from fmdj_cloud.worker.pose.device import batch_for, choose, fit_batch, frame_bytes
from fmdj_cloud.worker.pose.levels import levels
from fmdj_cloud.worker.pose.stream import Frames
from fmdj_cloud.worker.pose.window import window
from tests.support.pose import videos
from tests.support.pose.inference import source

N = 36


@pytest.fixture(scope="module", params=["v.avi", "v.mp4"])
def video(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / request.param
    return videos.write(path, videos.pictures(N, 48, 64))


def test_all_frames_are_those_that_facemap_reads(video):
    found = list(Frames(video, read_index(video)).from_frame(0))
    assert [number for number, _ in found] == list(range(N))
    np.testing.assert_array_equal(np.stack([frame for _, frame in found]), videos.decode(video))


def test_reading_can_begin_anywhere(video):
    found = list(Frames(video, read_index(video)).from_frame(17))
    assert [number for number, _ in found] == list(range(17, N))
    np.testing.assert_array_equal(found[0][1], videos.decode(video)[17])


def test_what_cant_be_decoded_is_left_out_and_shifts_nothing(video, tmp_path):
    damaged = videos.damage(video, tmp_path / video.name, 14)
    whole = videos.decode(video)
    assert len(videos.decode(damaged)) < 15  # where OpenCV, and so Facemap, stops
    found = dict(Frames(damaged, read_index(damaged)).from_frame(0))
    lost = [number for number, frame in found.items() if frame is None]
    # All that a key frame after it doesn't make good: in mjpeg every frame is one
    assert lost == [14] if video.suffix == ".avi" else set(lost) <= set(range(10, 20))
    assert list(found) == list(range(N))
    for number, frame in found.items():
        if frame is not None:
            assert np.abs(frame.astype(int) - whole[number]).max() <= 2


def test_frames_that_cant_be_decoded_at_the_end_are_left_out(video, tmp_path):
    damaged = videos.damage(video, tmp_path / video.name, *range(N - 6, N))
    found = list(Frames(damaged, read_index(damaged)).from_frame(0))
    assert N - 12 <= len(found) <= N - 6


def test_batches_hold_what_can_be_seen(tmp_path):
    images = videos.pictures(20, 48, 64)
    images[[4, 5]] = 77
    path = videos.write(tmp_path / "flat.avi", images)
    found = list(batches(source(path), 2, 20, 8))
    assert [(batch.start, batch.stop, batch.ends) for batch in found] == [
        (2, 10, False),
        (10, 18, False),
        (18, 20, True),
    ]
    assert found[0].numbers.tolist() == [2, 3, 6, 7, 8, 9]
    assert found[0].gray.shape == (6, 48, 64)


@pytest.mark.parametrize("shape", [(256, 256), (48, 64), (481, 641), (7, 3)])
def test_levels_are_torchs_quantiles(shape):
    frame = np.random.default_rng(shape[0]).normal(128, 40, shape).clip(0, 255).astype(np.uint8)
    flat = torch.from_numpy(frame).float()
    expected = [float(torch.quantile(flat, fraction)) for fraction in (0.01, 0.99)]
    assert levels(frame) == pytest.approx(expected, rel=1e-6)


def test_a_frame_of_one_gray_level_has_no_levels():
    assert levels(np.full((48, 64), 9, np.uint8)) is None
    frame = np.full((100, 100), 9, np.uint8)
    frame[0, 0] = 255  # one hot pixel shows nothing either
    assert levels(frame) is None


@pytest.mark.parametrize(
    ("free", "kind", "batch"), [(10, "cpu", 2), (100, "cpu", 2), (2, "cpu", 1), (10_000, "cuda", 256), (50, "cuda", 16)]
)
def test_the_batch_fits_the_memory(free, kind, batch):
    assert fit_batch(1, free, kind) == batch


def test_large_frames_need_their_room_on_the_device_before_they_are_scaled():
    small, large = window(480, 640, None), window(2160, 3840, None)
    network = frame_bytes((8, 8, 12, 16, 16), [small])
    assert frame_bytes((8, 8, 12, 16, 16), [small, large]) == 5 * 2160 * 3840 + 4 * 3840**2 > network


def test_frames_that_wait_have_their_share_of_the_memory():
    cpu = choose(0, Precision.FP32)
    roomy = 64 << 10
    assert batch_for(cpu, 1 << 20, 640 * 480, roomy) == 2
    with pytest.raises(MemoryExhaustedError, match="for a frame"):
        batch_for(cpu, 1 << 20, 1 << 40, roomy)


def test_no_room_for_a_frame():
    with pytest.raises(MemoryExhaustedError, match="needs 40 MiB for a frame and 10 MiB are free"):
        fit_batch(40 << 20, 10 << 20, "cpu")


def test_a_cpu_has_no_tf32():
    with pytest.raises(ConfigError, match="tf32 is a precision of GPUs"):
        choose(0, Precision.TF32)


def test_what_runs_ahead_stops_when_nobody_takes_it():
    made = []

    def items():
        for number in range(1000):
            made.append(number)
            yield number

    with Ahead(items(), 2) as ready:
        assert next(ready) == 0
    assert len(made) <= 5


def test_an_error_ahead_is_raised_where_the_items_are_taken():
    def items():
        yield 1
        raise InputError("no", check="readable")

    with Ahead(items(), 2) as ready:
        assert next(ready) == 1
        with pytest.raises(InputError, match="no"):
            next(ready)
