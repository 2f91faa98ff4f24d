"""Facemap's files of all passes -> one signals.h5, each signal right and its origin told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import Origin, RoiKind, SignalOrigin, SvdParams
from fmdj_cloud.signals_h5 import PUPIL_FIELDS, Basis, SignalsWriter
from fmdj_cloud.worker.svd.describe import Describer
from fmdj_cloud.worker.svd.faults import Fault
from fmdj_cloud.worker.svd.geometry import Size
from fmdj_cloud.worker.svd.passes import Pass
from fmdj_cloud.worker.svd.repairs import ONE_CHUNK_BELOW, align_motion, unscale

Array = npt.NDArray[Any]
Proc = dict[str, Any]

_NOTES = {
    Fault.F1: "the first 500 frames shifted to their place",
    Fault.F2: "computed apart from the ROIs that it overlaps",
    Fault.F3: "pupil and blink ROIs computed apart from each other and from the rest",
    Fault.F4: "phase correlation on the same crop, since Facemap's running is noise",
    Fault.F5: "scaled to unit norm",
    Fault.F6: "no singular values, since Facemap keeps those of another region",
    Fault.F10: "raw, since Facemap throws its smoothed trace away",
    Fault.F11: "computed along with the motion SVD",
}
_CHANGED = frozenset({Fault.F1, Fault.F4, Fault.F5})
"""Repairs after which the numbers aren't those of Facemap's file; the others are about how it was called."""


def read_proc(path: Path) -> Proc:
    """Read a file that Facemap has just written here: a pickle, so never one from elsewhere."""
    proc: Proc = np.load(path, allow_pickle=True).item()
    return proc


class Assembly:
    """Writes signals.h5 pass by pass, so that the arrays of one pass are in memory at a time.

    Parameters
    ----------
    writer : SignalsWriter
    params : SvdParams
    sizes : sequence of (int, int)
        Height and width of every view.
    nframes : int
    faults : frozenset of Fault
        Those of the Facemap that computed.
    """

    def __init__(
        self, writer: SignalsWriter, params: SvdParams, sizes: Sequence[Size], nframes: int, faults: frozenset[Fault]
    ) -> None:
        self._writer = writer
        self._params = params
        self._nframes = nframes
        self._faults = faults
        self._describer = Describer(
            writer, params, sizes, faults=faults, notes=_NOTES, plain=Origin.FACEMAP, changed=_CHANGED
        )

    @property
    def origins(self) -> tuple[SignalOrigin, ...]:
        """Where everything written so far comes from."""
        return self._describer.origins

    def add_pass(self, part: Pass, proc: Proc) -> None:
        """Write what a pass has computed. Arrays of `proc` are changed, to hold no second copy of them."""
        if not self.origins:  # Facemap computes the mean frame in every pass, always the same
            self._describer.summary(proc["avgframe_reshape"], proc["avgmotion_reshape"])
        if part.has_svd:
            self._add_svd(part, proc)
        else:
            self._add_eyes(part, proc)

    def add_running(self, index: int, displacement: Array) -> None:
        """Write what was computed for a running ROI, (n, 2): dy, dx."""
        number = self._describer.region(index, [("running", (Fault.F4,))])
        self._writer.running(number, displacement)

    def add_bare(self, index: int) -> None:
        """Describe a motion ROI for which nothing was asked."""
        self._describer.region(index, [])

    def _add_svd(self, part: Pass, proc: Proc) -> None:
        regions: list[int | None] = [None] if part.full_svd else []
        regions += part.rois
        for place, index in enumerate(regions):
            slot = place if part.full_svd else place + 1  # Facemap keeps slot 0 for the full frame, computed or not
            last = place == len(regions) - 1
            number = self._describe_svd(part, proc, index, last)
            motion = proc["motion"][slot]
            self._writer.motion(number, align_motion(motion) if Fault.F1 in self._faults else motion)
            for basis in self._bases():
                self._add_basis(proc, basis, slot, number, last)

    def _describe_svd(self, part: Pass, proc: Proc, index: int | None, last: bool) -> int:
        """Describe a region with an SVD and return its number."""
        painted = self._describer.has_eyes(index)
        called = (Fault.F2,) * part.name.startswith("overlap") + (Fault.F3,) * painted
        one_chunk = self._nframes < ONE_CHUNK_BELOW
        scaled = (Fault.F5,) if one_chunk else () if last else (Fault.F6,)
        signals = [("motion", (Fault.F1, *called))]
        for basis in self._bases():
            alone = (Fault.F11,) if basis == "mov" and not self._params.mot_svd else ()
            signals.append((f"{basis}SVD", (*called, *scaled, *alone)))
        if index is None:
            return self._describer.full_frame((int(proc["LYbin"]), int(proc["LXbin"])), signals)
        return self._describer.region(index, signals)

    def _add_basis(self, proc: Proc, basis: Basis, slot: int, number: int, last: bool) -> None:
        # Taken out of the dict, so that they are freed when they are written
        masks = proc[f"{basis}Mask_reshape"][slot]
        projections = proc[f"{basis}SVD"][slot]
        proc[f"{basis}Mask_reshape"][slot] = proc[f"{basis}Mask"][slot] = proc[f"{basis}SVD"][slot] = None
        values: Array | None = proc[f"{basis}Sv"] if last else None
        if self._nframes < ONE_CHUNK_BELOW and Fault.F5 in self._faults:
            masks, projections, values = unscale(masks, projections)
        self._writer.components(number, basis, masks, projections, values)

    def _add_eyes(self, part: Pass, proc: Proc) -> None:
        for place, index in enumerate(part.rois):
            if self._params.rois[index].kind is RoiKind.PUPIL:
                number = self._describer.region(index, [("pupil", (Fault.F3,))])
                self._writer.pupil(number, {name: proc["pupil"][place][name] for name in PUPIL_FIELDS})
            else:
                number = self._describer.region(index, [("blink", (Fault.F3, Fault.F10))])
                self._writer.blink(number, proc["blink"][place])

    def _bases(self) -> tuple[Basis, ...]:
        asked: list[Basis] = ["mot"] if self._params.mot_svd else []
        if self._params.mov_svd:
            asked.append("mov")
        return tuple(asked)
