"""When frames were taken: rate and start from what the database knows, pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from fmdj_cloud.errors import UsageError

_SAME = 1e-5
"""Relative difference that single precision and rounding leave."""
_ROUNDED = 0.5
"""What a rate loses when it is rounded to a whole number, at most."""


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


def frame_rate(fps: float | None, nframes: int | None, duration_s: float | None) -> float | None:
    """Return the exact frame rate that RecordingInfo tells.

    Parameters
    ----------
    fps : float or None
        RecordingInfo's column, a whole number in element-facemap: 30 for 29.97.
    nframes : int or None
    duration_s : float or None
        The exact rate follows from it, where it agrees with `fps`; the Element's own loader has left durations of
        frames times fps, which don't.

    Returns
    -------
    float or None
        Frames per second; None where it isn't known.
    """
    if not fps or fps <= 0:
        return None
    if not nframes or not duration_s or duration_s <= 0:
        return float(fps)
    exact = nframes / duration_s
    if abs(exact - fps) <= _SAME * fps or abs(exact - fps) > _ROUNDED:
        return float(fps)
    return exact


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
