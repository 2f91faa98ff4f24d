"""What a pose run is expected to need grows with what it has to do, and never beyond the caps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.control.estimate import ViewSize
from fmdj_cloud.control.estimate_pose import estimate_pose
from fmdj_cloud.settings import ControllerSettings

CAPS = ControllerSettings(memory_cap_mib=8192, scratch_cap_mib=20480)


def estimate(*views: ViewSize, **changes):
    values = {
        "body_parts": 15,
        "video_bytes": 10**8,
        "model_bytes": 5 * 10**6,
        "gpu": 0,
        "threads": 1,
        "settings": CAPS,
    }
    return estimate_pose(views, "header", **values | changes)


HOUR = ViewSize(480, 640, 108_000)


def test_an_hour_at_30_frames_per_second():
    found, notes = estimate(HOUR)
    assert (found.frames, found.height, found.width, found.source) == (108_000, 480, 640, "header")
    assert 2.5 < found.seconds / 3600 < 6  # 10 frames a second and core, on the large side
    assert 1024 < found.memory_mib < 3072
    assert notes == ()


def test_a_gpu_is_an_order_of_magnitude_faster_and_needs_memory_of_its_host():
    (slow, _), (fast, _) = estimate(HOUR), estimate(HOUR, gpu=1)
    assert fast.seconds < slow.seconds / 10
    assert fast.memory_mib > slow.memory_mib


def test_views_are_computed_one_after_the_other():
    one, two = estimate(HOUR)[0], estimate(HOUR, HOUR)[0]
    assert two.seconds > 1.9 * (one.seconds - 60)
    assert two.frames == one.frames


def test_more_threads_take_less_time():
    assert estimate(HOUR, threads=4)[0].seconds < 0.6 * estimate(HOUR)[0].seconds


def test_what_lies_beyond_a_cap_is_told():
    found, notes = estimate(HOUR, video_bytes=10**12)
    assert found.scratch_mib == 20480
    assert "controller.scratch_cap_mib=20480" in notes[0]


@given(
    frames=st.integers(1, 10**8),
    sides=st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
    gpu=st.integers(0, 1),
    threads=st.integers(1, 64),
)
def test_more_frames_never_need_less_and_caps_hold(frames, sides, gpu, threads):
    less, _ = estimate(ViewSize(*sides, frames), gpu=gpu, threads=threads)
    more, _ = estimate(ViewSize(*sides, 2 * frames), gpu=gpu, threads=threads)
    for name in ("seconds", "memory_mib", "scratch_mib"):
        assert 0 < getattr(less, name) <= getattr(more, name)
    assert more.memory_mib <= CAPS.memory_cap_mib
    assert more.scratch_mib <= CAPS.scratch_cap_mib
