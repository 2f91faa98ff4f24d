from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest

from fmdj_cloud.errors import UsageError
from fmdj_cloud.export.timing import contradiction, frame_rate, timing

PARIS = zoneinfo.ZoneInfo("Europe/Paris")
NINE, TEN = dt.datetime(2026, 1, 31, 9), dt.datetime(2026, 1, 31, 10)


@pytest.mark.parametrize(
    ("fps", "nframes", "duration", "rate"),
    [
        (30, 6000, 200.2002, 6000 / 200.2002),  # 29.97, which the column can't hold
        (29, 6000, 200.2002, 6000 / 200.2002),  # cut, as the Element does
        (29, 6000, 174_000.0, 29.0),
        (30, 6000, 200.000001, 30.0),  # what single precision leaves
        (30, 6000, 180_000.0, 30.0),  # frames times fps, as the Element's own loader wrote
        (30, None, None, 30.0),
        (30, 6000, 0.0, 30.0),
        (0, 6000, 200.0, None),
        (None, 6000, 200.0, None),
    ],
)
def test_the_exact_rate_follows_from_a_duration_that_agrees(fps, nframes, duration, rate) -> None:
    assert frame_rate(fps, nframes, duration) == rate


@pytest.mark.parametrize(
    ("fps", "nframes", "duration", "video", "rate"),
    [
        (29, 6000, 174_000.0, 29.97, 29.97),  # the Element: cut, and a duration of frames times fps
        (30, 6000, 200.0, 29.97, 29.97),
        (30, 6000, 200.2002, 29.97, 29.97),
        (30, 6000, 201.0, 29.97, 29.97),  # whole seconds
        (30, 108_000, 3610.0, 30.0, 108_000 / 3610.0),  # somebody measured
        (29, 6000, None, 0.0, 29.0),
        (100, 6000, 60.0, 30.0, 100.0),  # a trigger that the file knows nothing of
        (None, None, None, 29.97, 29.97),
        (None, None, None, 0.0, None),
    ],
)
def test_the_videos_own_rate_is_believed_where_it_agrees(fps, nframes, duration, video, rate) -> None:
    assert frame_rate(fps, nframes, duration, video) == rate


def test_rates_that_contradict_each_other_are_told() -> None:
    assert "100 frames per second and the video 30:" in contradiction(100, 30.0)
    assert [contradiction(*both) for both in ((29, 29.97), (29, None), (None, 30.0), (29, 0.0))] == [""] * 4


def test_frames_are_timed_from_the_sessions_start() -> None:
    clock = timing(rate=30.0, session_start=NINE, recording_start=TEN, zone=PARIS)
    assert (clock.session_start, clock.starting_time, clock.notes) == (NINE.replace(tzinfo=PARIS), 3600.0, ())


def test_what_is_assumed_is_said() -> None:
    alone = timing(rate=30.0, session_start=None, recording_start=TEN, zone=dt.UTC)
    assert (alone.starting_time, alone.session_start.hour) == (0.0, 10)
    assert "no time of the session" in alone.notes[0]
    unknown = timing(rate=30.0, session_start=NINE, recording_start=None, zone=dt.UTC)
    assert (unknown.starting_time, len(unknown.notes)) == (0.0, 1)
    early = timing(rate=30.0, session_start=TEN, recording_start=NINE, zone=dt.UTC)
    assert early.starting_time == -3600.0
    assert "3600 s before" in early.notes[0]


def test_a_rate_or_time_that_nobody_knows_is_asked_for() -> None:
    with pytest.raises(UsageError, match="--rate"):
        timing(rate=None, session_start=NINE, recording_start=None, zone=dt.UTC)
    with pytest.raises(UsageError, match="--session-start"):
        timing(rate=30.0, session_start=None, recording_start=None, zone=dt.UTC)
