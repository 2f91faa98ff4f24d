"""The merge stage: parts -> signals.h5 and Facemap's file.

Memory doesn't depend on how many pixels there are, and of what depends on frames holds the projections of one region
at a time, beside the traces: masks and parts are mapped from their files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import Origin, RoiKind, SignalOrigin, SvdParams
from fmdj_cloud.signals_h5 import PUPIL_FIELDS, SignalsWriter
from fmdj_cloud.worker.svd.describe import Describer
from fmdj_cloud.worker.svd.faults import FAULTS, Fault
from fmdj_cloud.worker.svd.geometry import binned_box, binned_size, of_kind
from fmdj_cloud.worker.svd.repairs import ONE_CHUNK_BELOW
from fmdj_cloud.worker.turbo.bases import Bases
from fmdj_cloud.worker.turbo.eyes import PupilTrace, smooth_pupil
from fmdj_cloud.worker.turbo.layout import Layout, lay_out
from fmdj_cloud.worker.turbo.mat_file import save_mat
from fmdj_cloud.worker.turbo.meters import KINDS
from fmdj_cloud.worker.turbo.part import Parts
from fmdj_cloud.worker.turbo.pickling import save_object
from fmdj_cloud.worker.turbo.proc_file import Recorded, laid_out, proc_of
from fmdj_cloud.worker.turbo.regions import Region, movements, svd_regions

Array = npt.NDArray[Any]

NOTES = {
    Fault.F1: "aligned to its frames",
    Fault.F2: "overlapping ROIs leave each other's frames alone",
    Fault.F3: "pupil and blink ROIs paint over nothing that others see",
    Fault.F4: "phase correlation of the crops",
    Fault.F5: "of unit norm, however short the recording",
    Fault.F6: "singular values of its own",
    Fault.F10: "raw, as Facemap stores it",
    Fault.F11: "merged and of unit norm without a motion SVD too",
}
"""What Facemap would have got wrong, and how it is here."""


def merge(
    recorded: Recorded, params: SvdParams, bases: Bases, parts: Parts, writer: SignalsWriter, scratch: Path
) -> tuple[SignalOrigin, ...]:
    """Write signals.h5 and Facemap's file.

    Parameters
    ----------
    recorded : Recorded
        Its folder is made.
    params : SvdParams
    bases : Bases
    parts : Parts
    writer : SignalsWriter
    scratch : Path
        Existing folder: masks of several views are laid out there.

    Returns
    -------
    tuple of SignalOrigin
    """
    return _Merge(recorded, params, bases, parts, writer, scratch).run()


class _Merge:
    def __init__(
        self,
        recorded: Recorded,
        params: SvdParams,
        bases: Bases,
        parts: Parts,
        writer: SignalsWriter,
        scratch: Path,
    ) -> None:
        self._recorded = recorded
        self._params = params
        self._bases = bases
        self._parts = parts
        self._writer = writer
        self._scratch = scratch
        self._layout = lay_out([binned_size(size, params.sbin) for size in recorded.sizes])
        self._regions = svd_regions(params, recorded.sizes)
        self._describer = Describer(
            writer,
            params,
            recorded.sizes,
            faults=FAULTS[max(FAULTS)],
            notes=NOTES,
            plain=Origin.TURBO,
        )

    def run(self) -> tuple[SignalOrigin, ...]:
        """Write everything."""
        picture = self._layout.picture
        self._describer.summary(picture(self._bases.avgframe), picture(self._bases.avgmotion))
        for region in self._regions:
            self._add_svd(region)
        if not self._regions:
            for index in of_kind(self._params, RoiKind.MOTION_SVD):
                self._describer.region(index, [])
        eyes = {index: self._add_eye(index) for index, roi in enumerate(self._params.rois) if roi.kind in KINDS}
        self._recorded.folder.mkdir(parents=True, exist_ok=True)
        save_object(self._recorded.path, self._proc(eyes))
        if self._params.save_mat:
            save_mat(self._recorded.path.with_suffix(".mat"), self._proc(eyes))
        return self._describer.origins

    def _proc(self, eyes: Mapping[int, Mapping[str, Array]]) -> dict[str, Any]:
        return proc_of(self._recorded, self._params, self._bases, self._parts, eyes)

    def _add_svd(self, region: Region) -> None:
        number = self._describe_svd(region)
        self._writer.motion(number, self._parts.whole(f"{region.slot}/motion"))
        for movement in movements(self._params):
            subspace = self._bases.subspaces[region.slot, movement]
            masks = _shaped(subspace.masks, region, self._layout, self._scratch)
            projections = self._parts.whole(f"{region.slot}/{movement}")
            self._writer.components(number, movement, masks, projections, subspace.singular_values)

    def _describe_svd(self, region: Region) -> int:
        common = (Fault.F2,) * self._overlaps(region) + (Fault.F3,) * self._describer.has_eyes(region.roi)
        last = region is self._regions[-1]
        scaled = (Fault.F5,) if self._bases.nframes < ONE_CHUNK_BELOW else () if last else (Fault.F6,)
        signals = [("motion", (Fault.F1, *common))]
        for movement in movements(self._params):
            alone = (Fault.F11,) if movement == "mov" and not self._params.mot_svd else ()
            signals.append((f"{movement}SVD", (*common, *scaled, *alone)))
        if region.roi is None:
            return self._describer.full_frame((self._layout.height, self._layout.width), signals)
        return self._describer.region(region.roi, signals)

    def _overlaps(self, region: Region) -> bool:
        """Whether a motion ROI overlaps one before it, whose mean Facemap would have taken off its frames."""
        if region.roi is None:
            return False
        params = self._params
        box = binned_box(params.rois[region.roi], params.sbin)
        before = (other.roi for other in self._regions if other.slot < region.slot)
        return any(binned_box(params.rois[roi], params.sbin).overlaps(box) for roi in before if roi is not None)

    def _add_eye(self, index: int) -> Mapping[str, Array]:
        roi = self._params.rois[index]
        if roi.kind is RoiKind.RUNNING:
            traces = {"displacement": self._parts.whole(f"rois/{index}/displacement")}
            self._writer.running(self._describer.region(index, [("running", (Fault.F4,))]), traces["displacement"])
        elif roi.kind is RoiKind.BLINK:
            traces = {"trace": self._parts.whole(f"rois/{index}/trace")}
            number = self._describer.region(index, [("blink", (Fault.F3, Fault.F10))])
            self._writer.blink(number, traces["trace"])
        else:
            fields = (field.name for field in dataclasses.fields(PupilTrace))
            traces = smooth_pupil(PupilTrace(**{name: self._parts.whole(f"rois/{index}/{name}") for name in fields}))
            number = self._describer.region(index, [("pupil", (Fault.F3,))])
            self._writer.pupil(number, {name: traces[name] for name in PUPIL_FIELDS})
        return traces


def _shaped(masks: Array, region: Region, layout: Layout, scratch: Path) -> Array:
    """Return masks of a region, (y, x, c); those of several views are laid out in a file."""
    count = masks.shape[1]
    if region.roi is not None:
        return masks.reshape(*region.shape, count)
    shape = layout.height, layout.width, count
    if len(layout.sizes) == 1 or not count:
        return masks.reshape(shape) if len(layout.sizes) == 1 else np.zeros(shape, np.float32)
    path = scratch / "laid-out"
    picture = np.memmap(path, np.float32, "w+", shape=(layout.height * layout.width, count))
    path.unlink()
    place = 0
    for part in laid_out(masks, layout):
        picture[place : place + len(part)] = part
        place += len(part)
    return picture.view(np.ndarray).reshape(shape)
