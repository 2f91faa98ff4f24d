"""Checks of what can be seen at all: the mean frame, the pupil, and how many frames the lab counts."""

from __future__ import annotations

from collections.abc import Iterator

from fmdj_cloud.contracts import QualityFinding
from fmdj_cloud.load.quality.clipping import share_at_edge
from fmdj_cloud.load.quality.pictures import share_black, share_lost, share_white
from fmdj_cloud.load.verdict import grade, label
from fmdj_cloud.settings import QualitySettings
from fmdj_cloud.signals_h5 import SignalsReader


def check_pictures(signals: SignalsReader, limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``saturation`` and ``darkness`` of the mean frame."""
    summary = signals.summary()
    if summary is None:
        return
    white, black = share_white(summary[0]), share_black(summary[0])
    sentence = (
        f"{white:.3g} of the mean frame is always white (at most {{limit}}): nothing is seen to move there; use less "
        "light or a shorter exposure."
    )
    yield grade("saturation", None, white, limits.saturation, sentence, what="mean frame")
    sentence = (
        f"{black:.3g} of the mean frame is always black (at most {{limit}}): nothing is seen to move there; use more "
        "light, or crop the video."
    )
    yield grade("darkness", None, black, limits.darkness, sentence, what="mean frame")


def check_pupils(signals: SignalsReader, limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``lost_pupil`` and ``pupil_clipping`` of every pupil ROI."""
    for region in signals.regions():
        pupil = signals.pupil(region.roi_no)
        if pupil is None:
            continue
        height, width = region.yrange.size, region.xrange.size
        lost = share_lost(pupil["area"], height * width)
        sentence = (
            f"The pupil of {label(region)} is lost in {lost:.3g} of the frames (at most {{limit}}): its area is no "
            "number, zero, or more than the ROI holds; check the ROI and its saturation on the video."
        )
        yield grade("lost_pupil", region, lost, limits.lost_pupil, sentence, what="pupil area")
        clipped = share_at_edge(pupil["area"], pupil["com"], height, width)
        sentence = (
            f"The pupil of {label(region)} reaches the edge of its ROI in {clipped:.3g} of the frames (at most "
            "{limit}): its area is too small there; draw the ROI larger."
        )
        yield grade("pupil_clipping", region, clipped, limits.pupil_clipping, sentence, what="pupil")


def check_recorded(signals: SignalsReader, recorded: int | None, limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``recording_frames``: the lab's RecordingInfo, where it says any, counts the frames that were computed."""
    if recorded is None:
        return
    apart = abs(signals.nframes - recorded)
    sentence = (
        f"{signals.nframes} frames were computed and RecordingInfo says {recorded}, {apart} apart (at most {{limit}}): "
        "look whether files are missing, and correct whichever is wrong."
    )
    yield grade("recording_frames", None, apart, limits.recording_frames, sentence)


def of_one_view(recorded: int, nframes: int, views: int) -> int:
    """Return what a lab's count of frames says of one view: element-facemap 0.3.0 adds up all files of a recording.

    Parameters
    ----------
    recorded : int
        RecordingInfo.nframes, which others than the Element may have counted otherwise.
    nframes : int
        Frames of each view that were computed.
    views : int
        Simultaneous videos.
    """
    return min((recorded, round(recorded / views)), key=lambda count: abs(count - nframes))
