"""How two signals.h5 of one task differ: engines side by side, signal by signal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import field_serializer

from fmdj_cloud.contracts import Frozen
from fmdj_cloud.signals_h5 import Basis, RegionInfo, SignalsReader

Array = npt.NDArray[Any]

SUBSPACES = (10, 50, 100, 200)
"""Sizes of leading subspaces that are compared."""
_LEADING = 10
_BASES: tuple[Basis, ...] = ("mot", "mov")
_AT_ONCE = 64


class Difference(Frozen):
    """One measure of one signal."""

    roi_no: int | None
    """None for what belongs to the whole recording."""
    region: str
    signal: str
    measure: str
    value: float | None
    """None where it can't be told, such as for a signal that one of both doesn't have; in JSON, which has no
    infinity, also where one of both has no number for a frame."""

    @field_serializer("value", when_used="json")
    def _finite(self, value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None


def compare(theirs: SignalsReader, ours: SignalsReader) -> tuple[Difference, ...]:
    """Compare what two engines made of one task.

    Parameters
    ----------
    theirs, ours : SignalsReader
        Facemap's and turbo's.

    Returns
    -------
    tuple of Difference
        ``region``: `only Facemap's` or `only turbo's`, of one that the other doesn't have. ``avgframe``,
        ``avgmotion``: `max difference`, gray levels. ``motion``: `max difference`, part of the largest value.
        ``motSVD``, ``movSVD``: `components` (ours less theirs), `least |r| of 10` (correlation of each of the first
        masks with its counterpart), `overlap of <k>` (of the subspaces of the first k masks, 0 to 1), `singular values
        of 10` (largest relative difference), `energy` (of our projections, in parts of theirs). ``pupil``: `area` and
        `centre`, largest relative difference (centre: pixels); `axes`, the same of the ellipse's matrix of second
        moments, in which lengths and directions are one. ``blink``: `max difference`, part of the largest value.
        ``running``: `equal`, part of the frames.
    """
    return tuple(_all(theirs, ours))


def _all(theirs: SignalsReader, ours: SignalsReader) -> Iterator[Difference]:
    for name, pair in zip(("avgframe", "avgmotion"), _pairs(theirs.summary(), ours.summary()), strict=True):
        value = None if pair is None else _largest(_apart(*pair))
        yield Difference(roi_no=None, region="", signal=name, measure="max difference", value=value)
    both = [{region.roi_no: region.name for region in reader.regions()} for reader in (theirs, ours)]
    for number in sorted(both[0].keys() ^ both[1].keys()):
        whose = int(number in both[1])
        name, measure = both[whose][number], ("only Facemap's", "only turbo's")[whose]
        yield Difference(roi_no=number, region=name, signal="region", measure=measure, value=None)
    for region in ours.regions():
        if region.roi_no not in both[0]:
            continue
        for signal, measure, value in _region(theirs, ours, region):
            yield Difference(roi_no=region.roi_no, region=region.name, signal=signal, measure=measure, value=value)


def _pairs(
    theirs: tuple[Array, Array] | None, ours: tuple[Array, Array] | None
) -> tuple[tuple[Array, Array] | None, ...]:
    if theirs is None or ours is None:
        return None, None
    return tuple(zip(theirs, ours, strict=True))


def _region(theirs: SignalsReader, ours: SignalsReader, region: RegionInfo) -> Iterator[tuple[str, str, float | None]]:
    number = region.roi_no
    traces = theirs.motion(number), ours.motion(number)
    if _any(*traces):
        yield "motion", "max difference", _relative(*traces)
    for basis in _BASES:
        yield from _basis(theirs, ours, number, basis)
    pupils = theirs.pupil(number), ours.pupil(number)
    if pupils[0] is not None and pupils[1] is not None:
        area, mine = pupils[0]["area"], pupils[1]["area"]
        yield "pupil", "area", _largest(_apart(area, mine) / np.fmax(np.abs(area), 1.0))
        yield "pupil", "centre", _largest(_apart(pupils[0]["com"], pupils[1]["com"]))
        yield "pupil", "axes", _axes(pupils[0], pupils[1])
    elif pupils != (None, None):
        yield "pupil", "area", None
    traces = theirs.blink(number), ours.blink(number)
    if _any(*traces):
        yield "blink", "max difference", _relative(*traces)
    traces = theirs.running(number), ours.running(number)
    if _any(*traces):
        equal = None if traces[0] is None or traces[1] is None else float(np.mean(np.all(traces[0] == traces[1], 1)))
        yield "running", "equal", equal


def _basis(
    theirs: SignalsReader, ours: SignalsReader, number: int, basis: Basis
) -> Iterator[tuple[str, str, float | None]]:
    counts = theirs.n_components(number, basis), ours.n_components(number, basis)
    if not any(counts):
        return
    signal = f"{basis}SVD"
    yield signal, "components", float(counts[1] - counts[0])
    common = min(counts)
    if not common:
        return
    a, b = (
        _masks(reader, number, basis, min(count, max(SUBSPACES)))
        for reader, count in zip((theirs, ours), counts, strict=True)
    )
    likeness = np.abs(np.einsum("ij,ij->i", a[: min(common, _LEADING)], b[: min(common, _LEADING)]))
    yield signal, f"least |r| of {_LEADING}", float(likeness.min())
    for size in SUBSPACES:
        if size <= common:
            yield signal, f"overlap of {size}", float(np.sum((a[:size] @ b[:size].T) ** 2) / size)
    yield (
        signal,
        f"singular values of {_LEADING}",
        _singular(*(reader.singular_values(number, basis) for reader in (theirs, ours))),
    )
    energies = [_energy(reader, number, basis) for reader in (theirs, ours)]
    yield signal, "energy", energies[1] / energies[0] if energies[0] else None


def _masks(reader: SignalsReader, number: int, basis: Basis, count: int) -> Array:
    """Return the first masks, (c, pixels) float64, of unit norm."""
    masks = reader.components(number, basis, 0, count)[0].reshape(count, -1).astype(np.float64)
    return np.asarray(masks / np.maximum(np.linalg.norm(masks, axis=1, keepdims=True), np.finfo(float).tiny))


def _singular(theirs: Array | None, ours: Array | None) -> float | None:
    """Return how far leading singular values are apart; Facemap keeps those of one region alone."""
    if theirs is None or ours is None:
        return None
    leading = min(len(theirs), len(ours), _LEADING)
    values = theirs[:leading]
    return _largest(_apart(values, ours[:leading]) / np.maximum(values, np.finfo(np.float32).tiny))


def _axes(theirs: Mapping[str, Array], ours: Mapping[str, Array]) -> float:
    """Return how far ellipses are apart, whatever the order and the signs of their axes."""
    a, b = (
        np.einsum("nij,nj,nkj->nik", pupil["axdir"], pupil["axlen"], pupil["axdir"]).reshape(-1, 4)
        for pupil in (theirs, ours)
    )
    size = np.linalg.norm(a, axis=1, keepdims=True)
    return _largest(_apart(a, b) / np.fmax(size, 1.0))


def _energy(reader: SignalsReader, number: int, basis: Basis) -> float:
    total, count = 0.0, reader.n_components(number, basis)
    for start in range(0, count, _AT_ONCE):
        projections = reader.components(number, basis, start, min(start + _AT_ONCE, count))[1]
        total += float(np.sum(projections.astype(np.float64) ** 2))
    return total


def _any(theirs: Array | None, ours: Array | None) -> bool:
    return theirs is not None or ours is not None


def _relative(theirs: Array | None, ours: Array | None) -> float | None:
    if theirs is None or ours is None:
        return None
    return _largest(_apart(theirs, ours)) / max(_largest(np.abs(theirs)), float(np.finfo(float).tiny))


def _apart(theirs: Array, ours: Array) -> Array:
    """Return how far values are apart: not at all where both are no number, infinitely where one of them is."""
    apart: Array = np.abs(theirs.astype(np.float64) - ours)
    apart[np.isnan(theirs) | np.isnan(ours)] = np.inf
    apart[np.isnan(theirs) & np.isnan(ours)] = 0.0
    return apart


def _largest(values: Array) -> float:
    """Return the largest value that is a number."""
    return float(np.fmax.reduce(values, axis=None, initial=0.0))
