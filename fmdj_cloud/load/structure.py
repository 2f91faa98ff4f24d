"""Checks of a signals.h5 file's structure: is everything there that was asked for, in agreeing shapes?"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from fmdj_cloud.contracts import Manifest, QualityFinding, RoiKind, SvdParams
from fmdj_cloud.load.verdict import judge, label
from fmdj_cloud.signals_h5 import FULL_FRAME, PUPIL_FIELDS, Basis, RegionInfo, SignalsReader

MAX_COMPONENTS = 500
"""Facemap keeps no more."""
NAME_MAX = 16
"""Characters of a region's name that the tables hold."""
BASES: tuple[Basis, ...] = ("mot", "mov")
_SVD_KINDS = (FULL_FRAME, RoiKind.MOTION_SVD.value)
_DATASETS = {
    "motion": ("motion",),
    "mot": ("mot/projections",),
    "mov": ("mov/projections",),
    "pupil": tuple(f"pupil/{field}" for field in PUPIL_FIELDS),
    "blink": ("blink/trace",),
    "running": ("running/displacement",),
}
"""Datasets of each signal that have one row per frame."""


def expected_regions(params: SvdParams) -> dict[int, tuple[str, int, frozenset[str]]]:
    """Return the regions that parameters ask for.

    Returns
    -------
    dict
        roi_no -> (kind, view, names of signals). The full frame has a number only if it was computed.
    """
    svd = (["mot"] if params.mot_svd else []) + (["mov"] if params.mov_svd else [])
    svd += ["motion"] if svd else []  # comes with either
    full = params.full_svd and bool(svd)
    regions = {0: (FULL_FRAME, -1, frozenset(svd))} if full else {}
    for number, roi in enumerate(params.rois, start=int(full)):
        wanted = svd if roi.kind is RoiKind.MOTION_SVD else [roi.kind.value]
        regions[number] = (roi.kind.value, roi.view, frozenset(wanted))
    return regions


def check_regions(signals: SignalsReader, params: SvdParams) -> Iterator[QualityFinding]:
    """Check ``regions``: those that were asked for and no other, each of its kind, with its signals."""
    expected = expected_regions(params)
    found = {region.roi_no: region for region in signals.regions()}
    yield judge(
        "regions",
        None,
        set(found) == set(expected),
        _numbers(found),
        _numbers(expected),
        f"signals.h5 has the regions {_numbers(found)}, but {_numbers(expected)} were asked for:"
        " compute the task again and report this.",
    )
    for number in sorted(set(found) & set(expected)):
        region = found[number]
        has = [name for name, paths in _DATASETS.items() if all(signals.shape(number, path) for path in paths)]
        is_, should = _describe(region.kind, region.view, has), _describe(*expected[number])
        yield judge(
            "regions",
            region,
            is_ == should,
            is_,
            should,
            f"signals.h5: {label(region)} is {is_}, but {should} was asked for: compute it again and report this.",
        )
        yield _short_name(region)


def check_imported_regions(signals: SignalsReader) -> Iterator[QualityFinding]:
    """Check ``regions`` where nobody asked for any: numbers without a gap, and only signals of each one's kind."""
    regions = signals.regions()
    numbers = [region.roi_no for region in regions]
    sentence = f"signals.h5 has the regions {_numbers(numbers)}: numbers are missing; import the outputs again."
    wanted = list(range(len(numbers)))
    yield judge("regions", None, bool(numbers) and numbers == wanted, _numbers(numbers), _numbers(wanted), sentence)
    for region in regions:
        possible = ("motion", *BASES) if region.kind in _SVD_KINDS else (region.kind,)
        has = [name for name, paths in _DATASETS.items() if any(signals.shape(region.roi_no, path) for path in paths)]
        sentence = f"signals.h5: {label(region)} has {', '.join(has)}, which a {region.kind} region doesn't have."
        yield judge("regions", region, set(has) <= set(possible), ", ".join(has), ", ".join(possible), sentence)
        yield _short_name(region)


def check_summary(signals: SignalsReader) -> Iterator[QualityFinding]:
    """Check ``summary``: mean frame and mean motion are pictures of one shape."""
    summary = signals.summary()
    value = "missing" if summary is None else f"{summary[0].shape} and {summary[1].shape}"
    good = summary is not None and summary[0].shape == summary[1].shape and summary[0].ndim == 2
    sentence = f"signals.h5: mean frame and mean motion are {value}, not two pictures of one shape."
    yield judge("summary", None, good, value, "two of one shape", sentence)


def check_frames(signals: SignalsReader, manifest: Manifest) -> Iterator[QualityFinding]:
    """Check ``frames``: file, manifest, videos and every trace have the same number."""
    yield from check_counts(signals, manifest)
    count = signals.nframes
    for region in signals.regions():
        for path in (path for paths in _DATASETS.values() for path in paths):
            if (shape := signals.shape(region.roi_no, path)) is not None:
                sentence = f"signals.h5: {path} of {label(region)} has {shape[0]} rows for {count} frames."
                yield judge("frames", region, shape[0] == count, shape[0], count, sentence, what=path)


def check_counts(signals: SignalsReader, manifest: Manifest) -> Iterator[QualityFinding]:
    """Check ``frames`` of the whole file: it, the manifest and the videos have the same number."""
    count = signals.nframes
    sentence = f"signals.h5 has {count} frames, its manifest says {manifest.nframes}: compute the task again."
    yield judge("frames", None, count == manifest.nframes, count, manifest.nframes, sentence)
    if manifest.views:
        decoded = sum(file_frames(manifest))
        sentence = (
            f"{manifest.nframes} frames were computed, but the videos have {decoded} decodable frames (the shortest"
            " view counts): some were made up or lost; look at the videos and compute the task again."
        )
        yield judge("frames", None, decoded == manifest.nframes, manifest.nframes, decoded, sentence)


def file_frames(manifest: Manifest) -> tuple[int, ...]:
    """Return the decodable frames that all views have in each file; none if views have other numbers of files."""
    if len({len(view.frames) for view in manifest.views}) != 1:
        return ()
    return tuple(min(frames) for frames in zip(*(view.frames for view in manifest.views), strict=True))


def check_components(signals: SignalsReader) -> Iterator[QualityFinding]:
    """Check ``components``: masks, projections, singular values agree; at most what Facemap can yield."""
    for region in signals.regions():
        for basis in BASES:
            if signals.shape(region.roi_no, f"{basis}/projections") is not None:
                yield from _check_basis(signals, region, basis)


def _check_basis(signals: SignalsReader, region: RegionInfo, basis: Basis) -> Iterator[QualityFinding]:
    count = signals.n_components(region.roi_no, basis)
    masks = signals.shape(region.roi_no, f"{basis}/masks") or ()
    values = signals.shape(region.roi_no, f"{basis}/singular_values")
    found = f"{count} projections, masks {masks}, singular values {'none' if values is None else values}"
    agree = len(masks) == 3 and masks[2] == count and (values is None or values == (count,))
    sentence = f"signals.h5: {basis}SVD of {label(region)} doesn't agree in number: {found}."
    yield judge("components", region, agree, found, "equal numbers", sentence, what=f"{basis}SVD")
    if not agree:
        return
    motion = signals.motion(region.roi_no)
    least = 0 if motion is None or not np.any(motion) else 1  # where nothing moves there is nothing to decompose
    most = min(MAX_COMPONENTS, masks[0] * masks[1], signals.nframes)
    sentence = (
        f"signals.h5: {basis}SVD of {label(region)} has {count} components; from {masks[0]} x {masks[1]} pixels and"
        f" {signals.nframes} frames come {least} to {most}."
    )
    yield judge("components", region, least <= count <= most, count, most, sentence, what=f"{basis}SVD")


def _short_name(region: RegionInfo) -> QualityFinding:
    sentence = f"signals.h5: the name of {label(region)} has more than {NAME_MAX} characters."
    return judge("regions", region, len(region.name) <= NAME_MAX, len(region.name), NAME_MAX, sentence)


def _numbers(regions: Collection[int]) -> str:
    return ", ".join(map(str, sorted(regions))) or "none"


def _describe(kind: str, view: int, names: Collection[str]) -> str:
    where = "" if view < 0 else f" of view {view}"
    return f"{kind}{where} with {', '.join(sorted(names)) or 'no signal'}"
