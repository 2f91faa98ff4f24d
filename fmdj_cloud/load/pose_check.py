"""Checks of the keypoints in a signals.h5 file: those of the model's body parts, in every frame, and really points."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fmdj_cloud.contracts import Manifest, QualityFinding, Verdict
from fmdj_cloud.load.quality.keypoints import PointMeter
from fmdj_cloud.load.structure import check_counts
from fmdj_cloud.load.verdict import grade, judge
from fmdj_cloud.settings import QualitySettings
from fmdj_cloud.signals_h5 import KEYPOINT_FIELDS, SignalsReader

_SLICE_FRAMES = 1 << 18
"""Frames of a body part that are looked at together: 3 MiB."""
_MIN_FRAMES = 3


def check_views(signals: SignalsReader, view: int) -> Iterator[QualityFinding]:
    """Check ``pose_view``: the view that is loaded has keypoints."""
    views = [info.view for info in signals.pose_views()]
    found = ", ".join(map(str, views)) or "none"
    sentence = f"signals.h5 has keypoints of the views {found}, and view {view} is asked for: compute the task again."
    yield judge("pose_view", None, view in views, found, view, sentence)


def check_body_parts(signals: SignalsReader, declared: Collection[str]) -> Iterator[QualityFinding]:
    """Check ``body_parts``: every view has keypoints of the body parts that the model declares, and of no other."""
    for info in signals.pose_views():
        found = signals.body_parts(info.view)
        missing = ", ".join(sorted(set(declared) - set(found)))
        unknown = ", ".join(sorted(set(found) - set(declared)))
        differences = [f"{missing} missing" if missing else "", f"{unknown} unknown to the model" if unknown else ""]
        sentence = (
            f"signals.h5 has keypoints of other body parts than the task's model declares (view {info.view}: "
            f"{', '.join(filter(None, differences))}): correct FacemapModel.BodyPart, or give the task the model that "
            "found them."
        )
        good = not missing and not unknown
        yield judge("body_parts", None, good, ", ".join(found), ", ".join(sorted(declared)), sentence)


def check_keypoint_frames(signals: SignalsReader, manifest: Manifest) -> Iterator[QualityFinding]:
    """Check ``frames``: file, manifest, videos and every body part have the same number."""
    yield from check_counts(signals, manifest)
    wanted = ((signals.nframes,),) * len(KEYPOINT_FIELDS)
    for info in signals.pose_views():
        for part in signals.body_parts(info.view):
            shapes = signals.keypoint_shapes(info.view, part)
            sentence = (
                f"signals.h5: {part} of view {info.view} has x, y and likelihood of the shapes "
                f"{', '.join(map(str, shapes))} for {signals.nframes} frames: compute the task again."
            )
            yield judge(
                "frames", None, shapes == wanted, str(shapes), str(wanted), sentence, what=f"view {info.view} {part}"
            )


def check_points(signals: SignalsReader, limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``nan``, ``likelihood``, ``low_likelihood`` and ``flat`` of every part, ``empty_frames`` of every view.

    ``likelihoods`` judges nothing: it keeps the histogram of every part.
    """
    for info in signals.pose_views():
        meters = {part: _look_at(signals, info.view, part, limits) for part in signals.body_parts(info.view)}
        for part, meter in meters.items():
            yield from _check_part(f"{part} of view {info.view}", f"view {info.view} {part}", meter, limits)
        if signals.nframes >= _MIN_FRAMES:
            yield from _check_flat(info.view, meters, limits)
        empty = max((meter.empty for meter in meters.values()), default=0)
        share = empty / max(1, signals.nframes)
        sentence = (
            f"{empty} of {signals.nframes} frames of view {info.view} ({share:.1%}) hold no points (at most {{limit}} "
            "may): they can't be decoded or are of one gray level; x and y are NaN there, the likelihood is 0."
        )
        yield grade("empty_frames", None, share, limits.empty_frames, sentence, what=f"view {info.view}")


def _check_part(where: str, part: str, meter: PointMeter, limits: QualitySettings) -> Iterator[QualityFinding]:
    sentence = (
        f"signals.h5: {where} has {meter.wrong} frames whose x or y is no number though its likelihood isn't 0: "
        "compute the task again."
    )
    yield judge("nan", None, not meter.wrong, meter.wrong, 0, sentence, what=part)
    sentence = f"signals.h5: {where} has {meter.beyond} frames whose likelihood doesn't lie between 0 and 1."
    yield judge("likelihood", None, not meter.beyond, meter.beyond, 0, sentence, what=part)
    sentence = (
        f"The likelihood of {where} is below {limits.low_likelihood.below:g} in {meter.low:.3g} of the frames (at most "
        f"{{limit}}; half of them reach {meter.median:.2f}): it is out of sight, or the model doesn't know such videos."
    )
    yield grade("low_likelihood", None, meter.low, limits.low_likelihood, sentence, what=part)
    yield QualityFinding(
        check="likelihoods",
        part=part,
        value=meter.median,
        threshold=None,
        verdict=Verdict.PASS,
        sentence=f"Frames by tenths of likelihood, from 0 to 1: {', '.join(map(str, meter.tenths))}.",
    )


def _check_flat(view: int, meters: Mapping[str, PointMeter], limits: QualitySettings) -> Iterator[QualityFinding]:
    """Check ``flat``: one part may stay where it is for long, but all of a view only if its video stands still."""
    fail = limits.flat.fail
    still = fail is not None and all(meter.rest > fail for meter in meters.values())
    for part, meter in meters.items():
        sentence = (
            f"{part} of view {view} doesn't move over {meter.rest:.3g} of the recording (at most {{limit}}): check "
            "that the video doesn't stand still, and that each view has its own points."
        )
        yield grade("flat", None, meter.rest, limits.flat, sentence, what=f"view {view} {part}", may_fail=still)


def _look_at(signals: SignalsReader, view: int, part: str, limits: QualitySettings) -> PointMeter:
    meter = PointMeter(limits.low_likelihood.below)
    for start in range(0, signals.nframes, _SLICE_FRAMES):
        meter.add(*signals.keypoints(view, part, start, start + _SLICE_FRAMES))
    return meter
