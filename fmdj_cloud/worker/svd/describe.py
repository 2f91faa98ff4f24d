"""What is said of regions in signals.h5 and in the manifest, whichever engine computed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import Origin, RoiKind, SignalOrigin, SvdParams
from fmdj_cloud.signals_h5 import FULL_FRAME, RegionInfo, SignalsWriter
from fmdj_cloud.worker.svd.faults import Fault
from fmdj_cloud.worker.svd.geometry import Size, binned_box, region_name, roi_number

Array = npt.NDArray[Any]
Signals = Sequence[tuple[str, tuple[Fault, ...]]]
"""Signals of a region, each with the faults of Facemap that would have spoilt it."""

_ALL_VIEWS = -1


class Describer:
    """Describes regions, and keeps where every signal comes from.

    Parameters
    ----------
    writer : SignalsWriter
    params : SvdParams
    sizes : sequence of (int, int)
        Height and width of every view.
    faults : frozenset of Fault
        Those that count: others aren't named.
    notes : Mapping
        What was done about each.
    plain : Origin
        Of signals that aren't `repaired`.
    changed : frozenset of Fault
        Faults after whose repair a signal's origin is ``repaired``.
    """

    def __init__(
        self,
        writer: SignalsWriter,
        params: SvdParams,
        sizes: Sequence[Size],
        *,
        faults: frozenset[Fault],
        notes: Mapping[Fault, str],
        plain: Origin,
        changed: frozenset[Fault] = frozenset(),
    ) -> None:
        self._writer = writer
        self._params = params
        self._sizes = sizes
        self._faults = faults
        self._notes = notes
        self._plain = plain
        self._changed = changed
        self._origins: list[SignalOrigin] = []

    @property
    def origins(self) -> tuple[SignalOrigin, ...]:
        """Where everything described so far comes from."""
        return tuple(self._origins)

    def summary(self, avgframe: Array, avgmotion: Array) -> None:
        """Write mean frame and mean motion, each (y, x)."""
        self._writer.summary(avgframe, avgmotion)
        self._origins += [SignalOrigin(signal=name, origin=self._plain) for name in ("avgframe", "avgmotion")]

    def full_frame(self, binned: Size, signals: Signals) -> int:
        """Describe the full frame, whose views make up a picture of so many bins, and return its number."""
        height, width = binned
        sbin = self._params.sbin
        # Several views have no common pixels before binning: those that make up the bins of the laid-out picture
        y, x = self._sizes[0] if len(self._sizes) == 1 else (height * sbin, width * sbin)
        ranges = (np.arange(y), np.arange(x), np.arange(height), np.arange(width))
        self._describe(0, FULL_FRAME, FULL_FRAME, _ALL_VIEWS, ranges, signals)
        return 0

    def region(self, index: int, signals: Signals) -> int:
        """Describe a ROI by its place in the parameters, and return its number."""
        roi = self._params.rois[index]
        number = roi_number(self._params, index)
        binned = (np.arange(0), np.arange(0))
        if roi.kind is RoiKind.MOTION_SVD:
            box = binned_box(roi, self._params.sbin)
            binned = (np.arange(box.y0, box.y1), np.arange(box.x0, box.x1))
        ranges = (np.arange(roi.y0, roi.y1), np.arange(roi.x0, roi.x1), *binned)
        self._describe(number, roi.kind.value, region_name(self._params, index), roi.view, ranges, signals)
        return number

    def has_eyes(self, index: int | None) -> bool:
        """Tell whether Facemap would paint a pupil or blink ROI over frames that a region (None: all) sees."""
        view = None if index is None else self._params.rois[index].view
        return any(r.kind in (RoiKind.PUPIL, RoiKind.BLINK) and view in (None, r.view) for r in self._params.rois)

    def _describe(
        self,
        number: int,
        kind: str,
        name: str,
        view: int,
        ranges: tuple[Array, Array, Array, Array],
        signals: Signals,
    ) -> None:
        origins = [self._origin(number, signal, faults) for signal, faults in signals]
        self._origins += origins
        repairs = tuple(dict.fromkeys(Fault(fault) for origin in origins for fault in origin.repairs))
        self._writer.region(
            RegionInfo(
                roi_no=number,
                kind=kind,
                name=name,
                view=view,
                yrange=ranges[0],
                xrange=ranges[1],
                yrange_bin=ranges[2],
                xrange_bin=ranges[3],
                origin=self._origin_of(repairs),
                repairs=tuple(fault.value for fault in repairs),
                note=self._note_of(repairs),
            )
        )

    def _origin(self, number: int, signal: str, faults: tuple[Fault, ...]) -> SignalOrigin:
        present = tuple(fault for fault in faults if fault in self._faults)
        return SignalOrigin(
            signal=signal,
            roi_no=number,
            origin=self._origin_of(present),
            repairs=tuple(fault.value for fault in present),
            note=self._note_of(present),
        )

    def _origin_of(self, repairs: tuple[Fault, ...]) -> Origin:
        return Origin.REPAIRED if self._changed.intersection(repairs) else self._plain

    def _note_of(self, repairs: tuple[Fault, ...]) -> str:
        return "; ".join(self._notes[fault] for fault in repairs)
