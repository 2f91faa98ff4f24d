"""When frames were taken: rate and start from what the database knows, pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from fmdj_cloud.errors import UsageError

_SAME = 1e-5
"""Relative difference that single precision and rounding leave."""
_WHOLE = 1.0
"""What a rate loses, and less, when it becomes a whole number: the Element cuts 29.97 to 29, others round it."""
_SECOND = 1.0
"""What a duration in whole seconds may be off by."""


@dataclass(frozen=True)
class Timing:
    """The clock of a file.

    Attributes
    ----------
    session_start : datetime
        With a time zone: time 0 of the file.
    starting_time : float
        Seconds from there to the first frame.
    rate : float
        Frames per second.
    notes : tuple of str
        What is assumed.
    """

    session_start: dt.datetime
    starting_time: float
    rate: float
    notes: tuple[str, ...]


def frame_rate(
    fps: float | None, nframes: int | None, duration_s: float | None, video_fps: float | None = None
) -> float | None:
    """Return the exact frame rate that RecordingInfo and the video tell.

    Parameters
    ----------
    fps : float or None
        RecordingInfo's column, a whole number in element-facemap: 29 or 30 for 29.97.
    nframes : int or None
    duration_s : float or None
        The exact rate follows from it, where it agrees with `fps`; the Element's own loader has left durations of
        frames times fps, which don't.
    video_fps : float or None
        As the video's file says, 0 where it doesn't. It is taken where it agrees with `fps`, unless the duration says
        otherwise by more than whole seconds would.

    Returns
    -------
    float or None
        Frames per second; None where it isn't known.
    """
    video = video_fps if video_fps and video_fps > 0 else None
    if not fps or fps <= 0:
        return video
    measured = None
    if nframes and duration_s and duration_s > 0:
        exact = nframes / duration_s
        measured = exact if _SAME * fps < abs(exact - fps) < _WHOLE else None
    if video is not None and abs(video - fps) < _WHOLE:
        off = 0.0 if measured is None or not nframes else abs(nframes / measured - nframes / video)
        return video if measured is None or off <= _SECOND else measured
    return float(fps) if measured is None else measured


def contradiction(fps: float | None, video_fps: float | None) -> str:
    """Return what people must know where RecordingInfo and the video tell different rates, else nothing.

    Parameters
    ----------
    fps, video_fps : float or None
        As in :func:`frame_rate`.
    """
    if not fps or not video_fps or fps <= 0 or video_fps <= 0 or abs(video_fps - fps) < _WHOLE:
        return ""
    return (
        f"RecordingInfo tells {fps:g} frames per second and the video {video_fps:g}: RecordingInfo's are used; "
        "--rate chooses others."
    )


def timing(
    *,
    rate: float | None,
    session_start: dt.datetime | None,
    recording_start: dt.datetime | None,
    zone: dt.tzinfo,
) -> Timing:
    """Return the clock of a file.

    Parameters
    ----------
    rate : float or None
        Frames per second.
    session_start, recording_start : datetime or None
        As the database has them, without a time zone.
    zone : tzinfo
        That the lab's times are in.

    Raises
    ------
    UsageError
        If the rate, or any time of the session, isn't known.
    """
    if rate is None or rate <= 0:
        raise UsageError(
            "The frame rate is not known (RecordingInfo has no row, or no fps): insert it, or give it with --rate."
        )
    notes = []
    start = session_start
    if start is None:
        start = recording_start
        notes.append("The lab's tables tell no time of the session: the file's time 0 is the start of the recording.")
    if start is None:
        raise UsageError(
            "Neither a session's time nor RecordingInfo.recording_time is known, and NWB needs one: give it with "
            "--session-start 2026-01-31T09:30:00."
        )
    offset = 0.0
    if recording_start is not None:
        offset = (_in(recording_start, zone) - _in(start, zone)).total_seconds()
    else:
        notes.append("RecordingInfo has no recording_time: the first frame is taken for the start of the session.")
    if offset < 0:
        notes.append(f"The recording began {-offset:g} s before the session's time: times of its frames are negative.")
    return Timing(_in(start, zone), offset, rate, tuple(notes))


def _in(moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
