"""Checks of the keypoints in a signals.h5 file: those of the model's body parts, in every frame, and really points."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from fmdj_cloud.contracts import Manifest
from fmdj_cloud.load.structure import check_counts
from fmdj_cloud.load.verdict import Check, Verdict, judge
from fmdj_cloud.signals_h5 import KEYPOINT_FIELDS, Array, SignalsReader

_SLICE_FRAMES = 1 << 20
"""Frames of a body part that are looked at together: 12 MiB."""


def check_views(signals: SignalsReader, view: int) -> Iterator[Check]:
    """Check ``pose_view``: the view that is loaded has keypoints."""
    views = [info.view for info in signals.pose_views()]
    found = ", ".join(map(str, views)) or "none"
    sentence = f"signals.h5 has keypoints of the views {found}, and view {view} is asked for: compute the task again."
    yield judge("pose_view", None, view in views, found, view, sentence)


def check_body_parts(signals: SignalsReader, declared: Collection[str]) -> Iterator[Check]:
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


def check_keypoint_frames(signals: SignalsReader, manifest: Manifest) -> Iterator[Check]:
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
            yield judge("frames", None, shapes == wanted, str(shapes), str(wanted), sentence)


def check_points(signals: SignalsReader) -> Iterator[Check]:
    """Check ``nan`` and ``likelihood`` of every body part, and ``empty_frames`` of every view."""
    for info in signals.pose_views():
        empty = 0
        for part in signals.body_parts(info.view):
            found = _look_at(signals, info.view, part)
            where = f"{part} of view {info.view}"
            sentence = (
                f"signals.h5: {where} has {found.wrong} frames whose x or y is no number though its likelihood isn't "
                "0: compute the task again."
            )
            yield judge("nan", None, not found.wrong, found.wrong, 0, sentence)
            sentence = f"signals.h5: {where} has {found.beyond} frames whose likelihood doesn't lie between 0 and 1."
            yield judge("likelihood", None, not found.beyond, found.beyond, 0, sentence)
            empty = max(empty, found.empty)
        share = empty / max(1, signals.nframes)
        sentence = (
            f"{empty} of {signals.nframes} frames of view {info.view} ({share:.1%}) hold no points: they can't be "
            "decoded or are of one gray level; x and y are NaN there, the likelihood is 0."
        )
        yield judge("empty_frames", None, not empty, share, 0, sentence, otherwise=Verdict.WARN)


@dataclass
class _Found:
    """Frames of a body part that hold no point, that should hold one, and whose likelihood is none."""

    empty: int = 0
    wrong: int = 0
    beyond: int = 0


def _look_at(signals: SignalsReader, view: int, part: str) -> _Found:
    found = _Found()
    for start in range(0, signals.nframes, _SLICE_FRAMES):
        x, y, likelihood = signals.keypoints(view, part, start, start + _SLICE_FRAMES)
        no_point = np.isnan(x) & np.isnan(y) & (likelihood == 0)
        found.empty += _count(no_point)
        found.wrong += _count(~no_point & ~(np.isfinite(x) & np.isfinite(y)))
        found.beyond += _count(~((likelihood >= 0) & (likelihood <= 1)))  # NaN is neither
    return found


def _count(mask: Array) -> int:
    return int(np.count_nonzero(mask))
