"""Estimates lie above what was measured, and by a known margin."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import RecordingInfo, SvdParams
from fmdj_cloud.control.estimate import FileFacts, ViewSize, estimate_svd, first_limits, measure
from fmdj_cloud.control.headers import VideoHeader
from fmdj_cloud.settings import ControllerSettings, WorkerSettings

SETTINGS = ControllerSettings()


def estimate(height: int, width: int, frames: int, sbin: int, **settings):
    view = ViewSize(height, width, frames)
    return estimate_svd(SvdParams(sbin=sbin), (view,), "header", 10**8, ControllerSettings(**settings))


@pytest.mark.parametrize(
    ("height", "width", "frames", "sbin", "measured_gb"),
    [
        (480, 640, 6000, 4, 3.0),
        (480, 640, 6000, 8, 2.4),
        (240, 320, 2500, 1, 2.0),
        (240, 320, 2500, 2, 1.5),
        (240, 320, 2500, 4, 1.1),
    ],
)
def test_memory_covers_measured_peaks_without_waste(height, width, frames, sbin, measured_gb):
    gigabytes = estimate(height, width, frames, sbin)[0].memory_mib * 2**20 / 1e9
    assert measured_gb < gigabytes < 2.2 * measured_gb


def test_time_is_near_the_measured_one():
    assert 84 < estimate(480, 640, 6000, 4)[0].seconds < 250


def test_an_estimate_above_the_cap_is_cut_and_noted():
    found, notes = estimate(480, 640, 6000, 4, memory_cap_mib=1024)
    assert found.memory_mib == 1024
    assert "MiB of memory" in notes[0]


def test_the_budget_is_four_estimates_or_the_least():
    found, _ = estimate(480, 640, 10_000_000, 4)
    assert first_limits(found, SETTINGS, WorkerSettings()).time_budget_s == 4 * found.seconds
    short, _ = estimate(120, 160, 100, 4)
    assert first_limits(short, SETTINGS, WorkerSettings()).time_budget_s == 6 * 3600


def test_recording_info_wins_over_headers():
    facts = [[FileFacts("a.avi", 10, VideoHeader(1, 1, 1, 1.0))]]
    views, source = measure(facts, RecordingInfo(height=480, width=640, nframes=99))
    assert (views, source) == ((ViewSize(480, 640, 99),), "RecordingInfo")


def test_headers_add_up_over_sequential_files_per_view():
    def file(frames: int, width: int) -> FileFacts:
        return FileFacts("a.avi", 10, VideoHeader(width, 480, frames, 30.0))

    views, source = measure([[file(10, 640), file(10, 320)], [file(5, 640), file(5, 320)]], None)
    assert (views, source) == ((ViewSize(480, 640, 15), ViewSize(480, 320, 15)), "header")


@pytest.mark.parametrize("header", [None, VideoHeader(640, 480, 0, 30.0)])
def test_what_headers_do_not_say_is_guessed_from_the_bytes(header):
    (view,), source = measure([[FileFacts("a.mp4", 2_000_000, header)]], None)
    assert source == "guess"
    assert view.frames == 1000
