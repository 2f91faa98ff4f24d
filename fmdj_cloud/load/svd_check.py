"""Checks of the numbers of masks and projections, which are read once, in slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fmdj_cloud.contracts import Manifest, QualityFinding, Verdict
from fmdj_cloud.load.plausible import finite, flat, pieces, seams
from fmdj_cloud.load.quality.clipping import EnergyMeter, edge_excess
from fmdj_cloud.load.quality.likeness import seems_early
from fmdj_cloud.load.quality.seams import StepMeter, borders, excess_at
from fmdj_cloud.load.quality.traces import longest_rest, not_numbers
from fmdj_cloud.load.slices import ComponentSlice, component_slices
from fmdj_cloud.load.structure import BASES, file_frames
from fmdj_cloud.load.verdict import grade, judge, label
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import Basis, RegionInfo, SignalsReader

_MIB = 1 << 20
_MIN_FRAMES = 3
_HARDLY = 0.01
"""A trace that rests no longer than this is none that stands still: the others needn't be asked."""


class ComponentMeter:
    """Measures a region's components, a few at a time.

    Parameters
    ----------
    height, width : int
        Of the masks.
    nframes : int

    Attributes
    ----------
    bad : int
        Values that aren't finite numbers.
    deviation : float
        How far from 1 the norm of a mask is, the farthest.
    rest : float
        Longest stretch without any change, of the first component that hardly rests, else of the one that rests least.
    steps : StepMeter
    energy : EnergyMeter
    """

    def __init__(self, height: int, width: int, nframes: int) -> None:
        self.bad = 0
        self.deviation = 0.0
        self.rest = 1.0
        self.steps = StepMeter(nframes)
        self.energy = EnergyMeter(height, width)

    def add(self, part: ComponentSlice) -> None:
        """Add components."""
        self.bad += not_numbers(part.masks) + not_numbers(part.projections)
        for mask, projection in zip(part.masks, part.projections, strict=True):
            with np.errstate(all="ignore"):
                norm = float(np.linalg.norm(mask.astype(np.float64)))
            self.deviation = max(self.deviation, abs(norm - 1))
            if self.rest > _HARDLY:
                self.rest = min(self.rest, longest_rest(projection))
            self.steps.add(projection)
            self.energy.add(mask, projection)


def check_svd(signals: SignalsReader, manifest: Manifest, limits: LoadSettings) -> Iterator[QualityFinding]:
    """Check ``nan``, ``norm``, ``flat``, ``seams``, ``pieces``, ``alignment`` and ``clipping`` of all components.

    It takes two slices of `limits.slice_mib`, or of eight components where these are larger, and 100 bytes for every
    frame.
    """
    at = borders(signals.nframes, file_frames(manifest))
    for region in signals.regions():
        for basis in BASES:
            if signals.n_components(region.roi_no, basis):
                yield from _check_basis(signals, region, basis, at, limits)


def _check_basis(
    signals: SignalsReader, region: RegionInfo, basis: Basis, at: list[int], limits: LoadSettings
) -> Iterator[QualityFinding]:
    height, width, _ = signals.shape(region.roi_no, f"{basis}/masks") or (0, 0, 0)
    meter = ComponentMeter(height, width, signals.nframes)
    for part in component_slices(signals, region.roi_no, basis, limits.slice_mib * _MIB):
        meter.add(part)
    values = signals.singular_values(region.roi_no, basis)
    bad = meter.bad + (0 if values is None else not_numbers(values))
    name = f"{basis}SVD"
    yield finite(region, name, bad)
    if bad:  # what else they say is nothing to go by
        return
    sentence = (
        f"The {name} masks of {label(region)} have norms up to {meter.deviation:.3g} away from 1 (at most {{limit}}):"
        " their scale can't be compared between recordings (F5)."
    )
    yield grade("norm", region, meter.deviation, limits.quality.norm, sentence, what=name)
    if signals.nframes >= _MIN_FRAMES:
        yield flat(region, name, meter.rest, limits.quality.flat)
    yield from seams(region, name, meter.steps.changes, at, limits.quality)
    excess = max(excess_at(meter.steps.changes, at), excess_at(meter.steps.turns, at))
    yield from pieces(region, name, excess, at, limits.quality)
    if basis == "mot":
        yield from _check_alignment(signals, region, meter)
        excess = edge_excess(meter.energy.energy)
        sentence = (
            f"At the edge of {label(region)} there is {excess:.3g} times as much motion as elsewhere (at most "
            "{limit}): what moves is cut off; draw the ROI larger, or turn the camera."
        )
        yield grade("clipping", region, excess, limits.quality.clipping, sentence, what=name)


def _check_alignment(signals: SignalsReader, region: RegionInfo, meter: ComponentMeter) -> Iterator[QualityFinding]:
    """Check ``alignment``: motion follows the motion SVD's energy as it stands (F1 is put right)."""
    motion = signals.motion(region.roi_no)
    if motion is None:
        return
    early = seems_early(motion, meter.steps.energy)
    sentence = (
        f"The motion of {label(region)} is one frame early in its first 500 frames, as Facemap stores it (F1): import "
        "or compute the task again."
    )
    yield judge("alignment", region, not early, early, 0, sentence, what="motion", otherwise=Verdict.WARN)
