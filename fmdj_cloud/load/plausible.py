"""Checks of the traces in a signals.h5 file: are they what a camera and Facemap can yield?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fmdj_cloud.contracts import Manifest, QualityFinding
from fmdj_cloud.load.quality.seams import StepMeter, borders, count_seams, excess_at
from fmdj_cloud.load.quality.traces import longest_rest, not_numbers, share_not_numbers, zeros_at_end
from fmdj_cloud.load.structure import file_frames
from fmdj_cloud.load.verdict import grade, judge, label
from fmdj_cloud.settings import FlatThreshold, QualitySettings
from fmdj_cloud.signals_h5 import Array, RegionInfo, SignalsReader

_MIN_FRAMES = 3
"""Row 0 of a motion trace copies row 1: with fewer frames, every trace is flat."""


def check_finite(signals: SignalsReader, limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``nan`` of mean frame, mean motion and every trace."""
    summary = signals.summary()
    for name, picture in zip(("mean frame", "mean motion"), summary or (), strict=False):
        yield finite(None, name, not_numbers(picture))
    for region in signals.regions():
        for name, trace in (
            ("motion", signals.motion(region.roi_no)),
            ("blink", signals.blink(region.roi_no)),
            ("running", signals.running(region.roi_no)),
        ):
            if trace is not None:
                yield finite(region, name, not_numbers(trace))
        if (pupil := signals.pupil(region.roi_no)) is not None:
            share, field = max((share_not_numbers(trace), name) for name, trace in pupil.items())
            sentence = (
                f"The pupil trace {field} of {label(region)} has no value in {share:.3g} of the frames (at most "
                "{limit}): check the ROI and its saturation on the video."
            )
            yield grade("nan", region, share, limits.nan, sentence, what="pupil")


def check_tails(signals: SignalsReader, manifest: Manifest, limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``tail``: zeros at the end of every motion trace of a view mean black frames (F7).

    One region that stands still while another of the same view moves is flagged only: a compressed video of a still
    scene has exact zeros too.
    """
    views = max(len(manifest.views), 1)
    zeros: dict[int, tuple[RegionInfo, int]] = {}
    for region in signals.regions():
        motion = signals.motion(region.roi_no)
        if motion is not None and np.any(motion):  # all zeros is ``flat``
            zeros[region.roi_no] = region, zeros_at_end(motion)
    fail = limits.tail.fail
    for region, count in zeros.values():
        witnesses = [n for other, n in zeros.values() if _same_picture(region, other, views)]
        sentence = (
            f"The motion of {label(region)} ends with {count} zeros (at most {{limit}}): the video turned black or"
            " stood still before its end; look at its last frames."
        )
        ended = fail is not None and min(witnesses) > fail
        yield grade("tail", region, count, limits.tail, sentence, what="motion", may_fail=ended)


def check_flat(signals: SignalsReader, limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``flat``: motion and pupil area vary; blink and running are flagged if they never do."""
    if signals.nframes < _MIN_FRAMES:
        return
    never = FlatThreshold(warn=limits.flat.fail, fail=None)
    for region in signals.regions():
        if (motion := signals.motion(region.roi_no)) is not None:
            yield flat(region, "motion", longest_rest(motion), limits.flat)
        if (pupil := signals.pupil(region.roi_no)) is not None:
            yield flat(region, "pupil area", longest_rest(pupil["area"]), limits.flat)
        if (blink := signals.blink(region.roi_no)) is not None:
            yield flat(region, "blink trace", longest_rest(blink), never)
        if (running := signals.running(region.roi_no)) is not None:
            yield flat(region, "running", longest_rest(running), never)


def check_seams(signals: SignalsReader, manifest: Manifest, limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``seams`` and ``pieces`` of motion: it runs on across the borders of Facemap's chunks."""
    at = borders(signals.nframes, file_frames(manifest))
    for region in signals.regions():
        if (motion := signals.motion(region.roi_no)) is not None:
            meter = StepMeter(signals.nframes)
            meter.add(motion)
            yield from seams(region, "motion", meter.changes, at, limits)
            yield from pieces(region, "motion", excess_at(meter.changes, at), at, limits)


def finite(region: RegionInfo | None, name: str, count: int) -> QualityFinding:
    """Return what ``nan`` says of a dataset with `count` values that aren't finite numbers."""
    where = name if region is None else f"{name} of {label(region)}"
    sentence = f"signals.h5: {where} has {count} values that aren't finite numbers: compute the task again."
    return judge("nan", region, count == 0, count, 0, sentence, what=name)


def flat(region: RegionInfo, name: str, rest: float, limits: FlatThreshold) -> QualityFinding:
    """Return what ``flat`` says of a trace whose longest rest is `rest` of it."""
    sentence = (
        f"The {name} of {label(region)} is flat: it doesn't change over {rest:.3g} of the recording (at most "
        "{limit}); check that the ROI lies where something moves, and that the video doesn't stand still."
    )
    return grade("flat", region, rest, limits, sentence, what=name)


def seams(
    region: RegionInfo, name: str, changes: Array, at: list[int], limits: QualitySettings
) -> Iterator[QualityFinding]:
    """Yield what ``seams`` says of the changes of a trace, or of several together; nothing where there is no border."""
    count, judged = count_seams(changes, at)
    if not judged:
        return
    sentence = (
        f"The {name} of {label(region)} jumps at {count} of {judged} borders of chunks as it does nowhere around (a "
        f"share of {count / judged:.3g}, at most {{limit}}): its pieces may have been computed apart; compute the task"
        " again."
    )
    yield grade("seams", region, count / judged, limits.seams, sentence, what=name)


def pieces(
    region: RegionInfo, name: str, excess: float, at: list[int], limits: QualitySettings
) -> Iterator[QualityFinding]:
    """Yield what ``pieces`` says of a trace, or of several together; nothing where there is no border."""
    if not at:
        return
    sentence = (
        f"The {name} of {label(region)} runs on less across the {len(at)} borders of chunks than elsewhere, by "
        f"{excess:.3g} standard errors (at most {{limit}}): it may have been computed in pieces that don't fit; "
        "compute the task again."
    )
    yield grade("pieces", region, max(0.0, excess), limits.pieces, sentence, what=name)


def _same_picture(region: RegionInfo, other: RegionInfo, views: int) -> bool:
    """Whether `other` looks at the picture of `region`: the full frame of several views shows them all at once."""
    return region.view == other.view or (views == 1 and -1 in (region.view, other.view))
