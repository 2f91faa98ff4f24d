"""Faults in what is said of a recording as a whole: its duration, and frames of files that are missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from fmdj_cloud.audit.facts import RecordingFacts
from fmdj_cloud.audit.findings import Certainty, Finding, Repair

_CLOSE = 1e-4
_APART = 0.05
_COUNTS = 2
"""Frames by which headers and decoded frames may differ."""


def check_duration(recording: RecordingFacts) -> Iterator[Finding]:
    """Check ``duration``: RecordingInfo's is frames / fps; element-facemap has written frames x fps."""
    frames, fps, duration = recording.nframes, recording.fps, recording.duration_s
    if not frames or not fps or duration is None:
        return
    right, wrong = frames / fps, frames * fps
    if fps != 1 and abs(duration - wrong) <= _CLOSE * wrong:
        yield Finding(
            check="duration",
            table="RecordingInfo",
            certainty=Certainty.CERTAIN,
            sentence=f"RecordingInfo says a duration of {duration:g} s, which is frames x fps; {frames} frames at "
            f"{fps:g} per second take {right:g} s.",
            remedy="Have it corrected with --repair.",
            repair=Repair.DURATION,
        )
    elif abs(duration - right) > max(1.0, _APART * right):
        yield Finding(
            check="duration",
            table="RecordingInfo",
            certainty=Certainty.POSSIBLE,
            sentence=f"RecordingInfo says a duration of {duration:g} s; {frames} frames at {fps:g} per second take "
            f"{right:g} s.",
            remedy="Correct whichever of nframes, fps and recording_duration is wrong.",
        )


def check_length(
    length: int, recording: RecordingFacts, nframes: int | None, table: str, roi_no: int | None, remedy: str
) -> Iterator[Finding]:
    """Check ``frames``: results cover all sequential files.

    Parameters
    ----------
    length : int
        Frames of the result.
    recording : RecordingFacts
    nframes : int or None
        Of the file that was compared with; None where there is none.
    table : str
    roi_no : int or None
    remedy : str
        Where the file has all frames.
    """
    claimed = recording.nframes
    best = max(nframes or 0, claimed or 0)
    if not best or best - length <= _COUNTS:
        return
    several = recording.files > 1
    in_file = nframes is not None and nframes - length > _COUNTS
    sure = Certainty.CERTAIN if in_file else Certainty.LIKELY if several else Certainty.POSSIBLE
    of = f"region {roi_no}" if roi_no is not None else "it"
    why = f": those of {recording.files - 1} sequential files or part of them are missing" if several else ""
    yield Finding(
        check="frames",
        table=table,
        roi_no=roi_no,
        certainty=sure,
        sentence=f"{table}: {of} has {length} frames of {best}{why}.",
        remedy=remedy if in_file else "Delete the result and set task_mode='trigger', so that all files are computed.",
        repair=Repair.RELOAD if in_file else Repair.NONE,
    )
