"""Checks of the numbers in a signals.h5 file: are they what a camera and Facemap can yield?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fmdj_cloud.contracts import Manifest
from fmdj_cloud.load.slices import component_slices
from fmdj_cloud.load.structure import BASES
from fmdj_cloud.load.verdict import Check, Verdict, judge, label
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import Array, Basis, RegionInfo, SignalsReader

_NORM_TOLERANCE = 0.01
_MIN_FRAMES = 3
"""Row 0 of a motion trace copies row 1: with fewer frames, every trace is flat."""
_MIB = 1 << 20


def check_finite(signals: SignalsReader, limits: LoadSettings) -> Iterator[Check]:
    """Check ``nan`` in every dataset, and ``norm`` of the masks on the way."""
    summary = signals.summary()
    for name, picture in zip(("mean frame", "mean motion"), summary or (), strict=False):
        yield _finite(None, name, _not_finite(picture))
    for region in signals.regions():
        for name, trace in (
            ("motion", signals.motion(region.roi_no)),
            ("blink", signals.blink(region.roi_no)),
            ("running", signals.running(region.roi_no)),
        ):
            if trace is not None:
                yield _finite(region, name, _not_finite(trace))
        for basis in BASES:
            yield from _check_basis(signals, region, basis, limits)
        yield from _check_pupil(signals, region, limits)


def check_tails(signals: SignalsReader, manifest: Manifest, limits: LoadSettings) -> Iterator[Check]:
    """Check ``tail``: zeros at the end of every motion trace of a view mean black frames (F7).

    One region that stands still while another of the same view moves is a warning: a compressed video
    of a still scene has exact zeros too.
    """
    views = max(len(manifest.views), 1)
    zeros: dict[int, tuple[RegionInfo, int]] = {}
    for region in signals.regions():
        motion = signals.motion(region.roi_no)
        if motion is not None and np.any(motion):  # all zeros is ``flat``
            zeros[region.roi_no] = region, int(np.argmax(motion[::-1] != 0))
    for region, count in zeros.values():
        witnesses = [n for other, n in zeros.values() if _same_picture(region, other, views)]
        ended = min(witnesses) > limits.max_tail_zeros
        sentence = (
            f"The motion of {label(region)} ends with {count} zeros (at most {limits.max_tail_zeros}): the video turned"
            " black or stood still before its end; look at its last frames."
        )
        yield judge(
            "tail",
            region,
            count <= limits.max_tail_zeros,
            count,
            limits.max_tail_zeros,
            sentence,
            otherwise=Verdict.FAIL if ended else Verdict.WARN,
        )


def check_flat(signals: SignalsReader, limits: LoadSettings) -> Iterator[Check]:
    """Check ``flat``: motion and pupil area vary; a blink trace that doesn't is a warning."""
    if signals.nframes < _MIN_FRAMES:
        return
    for region in signals.regions():
        if (motion := signals.motion(region.roi_no)) is not None:
            yield _flat(region, "motion", motion, limits, Verdict.FAIL)
        if (pupil := signals.pupil(region.roi_no)) is not None:
            yield _flat(region, "pupil area", pupil["area"], limits, Verdict.FAIL)
        if (blink := signals.blink(region.roi_no)) is not None:
            yield _flat(region, "blink trace", blink, limits, Verdict.WARN)


def _not_finite(values: Array) -> int:
    return int(values.size - np.count_nonzero(np.isfinite(values)))


def _finite(region: RegionInfo | None, name: str, count: int) -> Check:
    where = name if region is None else f"{name} of {label(region)}"
    sentence = f"signals.h5: {where} has {count} values that aren't finite numbers: compute the task again."
    return judge("nan", region, count == 0, count, 0, sentence)


def _check_basis(signals: SignalsReader, region: RegionInfo, basis: Basis, limits: LoadSettings) -> Iterator[Check]:
    if not signals.n_components(region.roi_no, basis):
        return
    bad, deviation = 0, 0.0
    for part in component_slices(signals, region.roi_no, basis, limits.slice_mib * _MIB):
        bad += _not_finite(part.masks) + _not_finite(part.projections)
        norms = np.linalg.norm(part.masks.reshape(len(part.masks), -1).astype(np.float64), axis=1)
        deviation = max(deviation, float(np.max(np.abs(norms - 1))))
    values = signals.singular_values(region.roi_no, basis)
    bad += 0 if values is None else _not_finite(values)
    yield _finite(region, f"{basis}SVD", bad)
    if not bad:
        sentence = (
            f"The {basis}SVD masks of {label(region)} have norms up to {deviation:.3g} away from 1: their scale"
            " can't be compared between recordings (F5)."
        )
        good = deviation <= _NORM_TOLERANCE
        yield judge("norm", region, good, deviation, _NORM_TOLERANCE, sentence, otherwise=Verdict.WARN)


def _check_pupil(signals: SignalsReader, region: RegionInfo, limits: LoadSettings) -> Iterator[Check]:
    pupil = signals.pupil(region.roi_no)
    if pupil is None:
        return
    share, field = max((_not_finite(trace) / max(1, trace.size), name) for name, trace in pupil.items())
    sentence = (
        f"The pupil trace {field} of {label(region)} has no value in {share:.0%} of the frames (at most"
        f" {limits.max_nan_fraction:.0%}): check the ROI and its saturation on the video."
    )
    yield judge("nan", region, share <= limits.max_nan_fraction, share, limits.max_nan_fraction, sentence)


def _flat(region: RegionInfo, name: str, trace: Array, limits: LoadSettings, otherwise: Verdict) -> Check:
    finite = trace[np.isfinite(trace)]
    variance = float(np.var(finite, dtype=np.float64)) if finite.size else 0.0
    sentence = (
        f"The {name} of {label(region)} is flat: its variance is {variance:.3g} (more than {limits.min_variance:g} is"
        " asked); check that the ROI lies where something moves, and the video."
    )
    return judge(
        "flat", region, variance > limits.min_variance, variance, limits.min_variance, sentence, otherwise=otherwise
    )


def _same_picture(region: RegionInfo, other: RegionInfo, views: int) -> bool:
    """Whether `other` looks at the picture of `region`: the full frame of several views shows them all at once."""
    return region.view == other.view or (views == 1 and -1 in (region.view, other.view))
