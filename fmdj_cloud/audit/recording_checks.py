"""Faults in what is said of a recording as a whole: its duration, and frames of files that are missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fmdj_cloud.audit.facts import RecordingFacts
from fmdj_cloud.audit.findings import Certainty, Finding, Repair

_CLOSE = 1e-4
_APART = 0.05
_COUNTS = 2
"""Frames by which headers and decoded frames may differ."""


def agrees(recording: RecordingFacts, length: int) -> bool:
    """Tell whether RecordingInfo's nframes may mean results of this length.

    Element-facemap adds up the frames of all files, those of simultaneous views too.
    """
    claimed = recording.nframes
    if claimed is None:
        return False
    off = _COUNTS * recording.views * max(1, recording.files)
    return abs(claimed - length) <= _COUNTS or (recording.views > 1 and abs(claimed - length * recording.views) <= off)


def check_duration(recording: RecordingFacts) -> Iterator[Finding]:
    """Check ``duration``: RecordingInfo's is frames / fps; element-facemap has written frames x fps."""
    frames, fps, duration = recording.nframes, recording.fps, recording.duration_s
    if not frames or not fps or fps < 0 or duration is None:
        return
    if any(low - off <= duration <= high + off for low, high, off in _durations(frames, fps, recording)):
        return
    right, several = frames / (recording.rate or fps), recording.views > 1
    if any(abs(duration - frames * rate) <= _CLOSE * frames * rate for rate in (fps, recording.rate or fps)):
        yield Finding(
            check="duration",
            table="RecordingInfo",
            certainty=Certainty.CERTAIN,
            sentence=f"RecordingInfo says a duration of {duration:g} s, which is frames x fps; {frames} frames at "
            f"{recording.rate or fps:g} per second take {right:g} s.",
            # Whether nframes counts the frames of one view or of all, only who wrote it knows
            remedy="Correct it by hand: nframes may count the frames of every view."
            if several
            else "Have it corrected with --repair.",
            repair=Repair.NONE if several else Repair.DURATION,
        )
    else:
        yield Finding(
            check="duration",
            table="RecordingInfo",
            certainty=Certainty.POSSIBLE,
            sentence=f"RecordingInfo says a duration of {duration:g} s; {frames} frames at "
            f"{recording.rate or fps:g} per second take {right:g} s.",
            remedy="Correct whichever of nframes, fps and recording_duration is wrong.",
        )


def _durations(frames: int, fps: float, recording: RecordingFacts) -> Iterator[tuple[float, float, float]]:
    """Yield (least, most, and how far off it may be) of what an honest duration lies between, in seconds."""
    fastest = recording.rate or (fps + 1 if fps == int(fps) else fps)  # a whole fps may have been cut
    for counted in {frames, frames / recording.views}:
        yield counted / max(fastest, fps), counted / min(fastest, fps), max(1.0, _APART * counted / fps)


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
    told = agrees(recording, length if nframes is None else nframes)
    best = max(nframes or 0, 0 if told else recording.nframes or 0)
    if not best or best - length <= _COUNTS:
        return
    several = recording.files > 1
    in_file = nframes is not None and nframes - length > _COUNTS
    sure = Certainty.CERTAIN if in_file else Certainty.LIKELY if several else Certainty.POSSIBLE
    of = f"region {roi_no}" if roi_no is not None else "it"
    why = f": those of {recording.files - 1} sequential files or part of them are missing" if several else ""
    if several and recording.views == 1 and agrees(replace(recording, views=recording.files), length):
        why += ", if they aren't simultaneous views (facemap_params['views'] says which are)"
    yield Finding(
        check="frames",
        table=table,
        roi_no=roi_no,
        certainty=sure,
        sentence=f"{table}: {of} has {length} frames of {best}{why}.",
        remedy=remedy if in_file else "Delete the result and set task_mode='trigger', so that all files are computed.",
        repair=Repair.RELOAD if in_file else Repair.NONE,
    )
