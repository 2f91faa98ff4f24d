"""A proc dict -> signals.h5, each signal with its origin and what was repaired."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmdj_cloud.contracts import Kind, Origin, RoiKind, SignalOrigin
from fmdj_cloud.errors import InputError
from fmdj_cloud.signals_h5 import FULL_FRAME, PUPIL_FIELDS, Basis, RegionInfo, SignalsWriter
from fmdj_cloud.worker.importing.evidence import is_early, unit_norms
from fmdj_cloud.worker.importing.imported import Imported
from fmdj_cloud.worker.importing.layout import Layout
from fmdj_cloud.worker.importing.proc import Array, Proc
from fmdj_cloud.worker.importing.results import Results
from fmdj_cloud.worker.svd.faults import Fault
from fmdj_cloud.worker.svd.geometry import binned_box, nth_of_kind, region_name, roi_number
from fmdj_cloud.worker.svd.repairs import ONE_CHUNK_BELOW, align_motion, unscale

_NOTES = {
    Fault.F1: "the first 500 frames shifted to their place",
    Fault.F5: "scaled to unit norm",
}
_ALL_VIEWS = -1
_PICTURES = 2
"""Mean frame and mean motion, which every file has."""
_NOTHING = np.arange(0)


def convert(proc: Proc, layout: Layout, path: Path, *, run_id: str, fps: float) -> Imported:
    """Write a proc dict's results as signals.h5.

    Parameters
    ----------
    proc : Proc
    layout : Layout
        Of `proc`.
    path : Path
        New file.
    run_id : str
    fps : float
        Frames per second, 0 where unknown.

    Raises
    ------
    InputError
        If a result isn't what Facemap writes (check ``import_content``).
    """
    with SignalsWriter(
        path, kind=Kind.IMPORT, run_id=run_id, nframes=layout.nframes, sbin=layout.params.sbin, fps=fps
    ) as writer:
        conversion = _Conversion(proc, layout, writer)
        conversion.run()
    return Imported(
        nframes=layout.nframes,
        sizes=layout.sizes,
        signals=tuple(conversion.origins),
        warnings=tuple(conversion.warnings),
    )


class _Conversion:
    def __init__(self, proc: Proc, layout: Layout, writer: SignalsWriter) -> None:
        self._proc = proc
        self._layout = layout
        self._results = Results(proc, layout)
        self._params = layout.params
        self._writer = writer
        self._lists = {name: proc.list(name) for name in ("motion", "pupil", "blink")}
        self.origins: list[SignalOrigin] = []
        self.warnings: list[str] = []

    def run(self) -> None:
        self._summary()
        if self._params.full_svd:
            self._svd_region(None)
        for index, roi in enumerate(self._params.rois):
            if roi.kind is RoiKind.MOTION_SVD:
                self._svd_region(index)
            elif roi.kind is RoiKind.PUPIL:
                self._pupil(index)
            elif roi.kind is RoiKind.BLINK:
                self._blink(index)
            else:
                self._running(index)
        if len(self.origins) == _PICTURES:
            raise InputError(
                f"{self._proc.name} holds no result that can be trusted. {self.warnings[0]} Set task_mode='trigger' to "
                "have it computed.",
                check="import_results",
            )
        self._warn_of_eyes()

    def _summary(self) -> None:
        pictures = [self._results.picture(name) for name in ("avgframe", "avgmotion")]
        self._writer.summary(pictures[0], pictures[1])
        self.origins += [SignalOrigin(signal=name, origin=Origin.IMPORT) for name in ("avgframe", "avgmotion")]

    def _svd_region(self, index: int | None) -> None:
        slot = self._layout.slot(index)
        signals: list[tuple[str, tuple[Fault, ...], str]] = []
        motion, components = None, {}
        if self._layout.bases:
            motion = self._motion(index, slot, signals)
            for basis in self._layout.bases:
                components[basis] = self._components(index, basis, slot, signals)
        masks = next((found[0] for found in components.values() if found is not None), None)
        number = self._describe(index, signals, masks)
        if motion is not None:
            self._writer.motion(number, motion)
        for basis, found in components.items():
            if found is not None:
                self._writer.components(number, basis, *found)

    def _motion(self, index: int | None, slot: int, signals: list[tuple[str, tuple[Fault, ...], str]]) -> Array | None:
        listed = self._lists["motion"]
        motion = self._proc.array("motion", listed[slot], dimensions=1) if slot < len(listed) else None
        if motion is None or (not self._params.mot_svd and not np.any(motion)):
            self._warn(index, "has no motion: Facemap computes it only with the motion SVD")
            return None
        if len(motion) != self._layout.nframes:
            raise self._proc.wrong("motion", f"has {len(motion)} values for {self._layout.nframes} frames")
        early = is_early(motion, self._results.projections("mot", slot) if self._params.mot_svd else None)
        if early is None:
            self._warn(
                index,
                "has a motion that may be one frame early in its first 500 (F1), which nothing in the file shows: it "
                "is left as it is; compute it again",
            )
        overlapped = self._overlaps(index)
        if overlapped:
            self._warn(index, f"overlaps {overlapped}, whose mean Facemap took off twice (F2): compute it again")
        note = "overlaps another ROI: its numbers are as Facemap left them (F2)" if overlapped else ""
        signals.append(("motion", (Fault.F1,) if early else (), note))
        return align_motion(motion) if early else motion

    def _components(
        self, index: int | None, basis: Basis, slot: int, signals: list[tuple[str, tuple[Fault, ...], str]]
    ) -> tuple[Array, Array, Array | None] | None:
        projections = self._results.projections(basis, slot)
        masks = self._results.masks(index, basis, slot)
        if masks.shape[2] != projections.shape[1]:
            raise self._proc.wrong(
                f"{basis}Mask", f"has {masks.shape[2]} components where '{basis}SVD' has {projections.shape[1]}"
            )
        values = self._results.singular_values(basis, slot, projections.shape[1])
        if unit_norms(masks):
            signals.append((f"{basis}SVD", (), "" if values is not None else "no singular values in the file (F6)"))
            return masks, projections, values
        if self._layout.nframes >= ONE_CHUNK_BELOW:
            self._warn(index, f"has a {basis}SVD whose masks were never merged (F11): left out; compute it again")
            return None
        signals.append((f"{basis}SVD", (Fault.F5,), ""))
        return unscale(np.array(masks, np.float32), np.array(projections, np.float32))

    def _pupil(self, index: int) -> None:
        place = nth_of_kind(self._params, index)
        fields: dict[str, Array] = {}
        if place < len(self._lists["pupil"]):
            found = self._proc.dict("pupil", self._lists["pupil"][place])
            for name, dimensions in zip(PUPIL_FIELDS, (1, 1, 2, 2, 3, 2), strict=True):
                if name in found:
                    fields[name] = self._results.of_frames("pupil", found.value(name), dimensions)
        if missing := [name for name in PUPIL_FIELDS if name not in fields]:
            self._warn(index, f"has no {', '.join(missing)} in the file: its pupil is left out")
            self._describe(index, [], None)
            return
        self._writer.pupil(self._describe(index, [("pupil", (), "")], None), fields)

    def _blink(self, index: int) -> None:
        place = nth_of_kind(self._params, index)
        if place >= len(self._lists["blink"]):
            self._warn(index, "has no blink trace in the file")
            self._describe(index, [], None)
            return
        trace = self._results.of_frames("blink", self._lists["blink"][place], 1)
        self._writer.blink(self._describe(index, [("blink", (), "raw (F10)")], None), trace)

    def _running(self, index: int) -> None:
        self._warn(
            index,
            "has a running trace that is left out, since Facemap's is noise (F4): task_mode='trigger' computes it",
        )
        self._describe(index, [], None)

    def _describe(
        self, index: int | None, signals: list[tuple[str, tuple[Fault, ...], str]], masks: Array | None
    ) -> int:
        """Describe a region and return its number."""
        number = 0 if index is None else roi_number(self._params, index)
        notes = ["; ".join(filter(None, (*(_NOTES[fault] for fault in faults), note))) for _, faults, note in signals]
        self.origins += [
            SignalOrigin(signal=name, roi_no=number, origin=Origin.IMPORT, repairs=faults, note=note)
            for (name, faults, _), note in zip(signals, notes, strict=True)
        ]
        kind, name, view, ranges = self._place(index)
        self._writer.region(
            RegionInfo(
                roi_no=number,
                kind=kind,
                name=name,
                view=view,
                yrange=ranges[0],
                xrange=ranges[1],
                yrange_bin=ranges[2] if masks is None or len(ranges[2]) == masks.shape[0] else _NOTHING,
                xrange_bin=ranges[3] if masks is None or len(ranges[3]) == masks.shape[1] else _NOTHING,
                origin=Origin.IMPORT,
                repairs=tuple(dict.fromkeys(fault.value for _, faults, _ in signals for fault in faults)),
                note="; ".join(dict.fromkeys(filter(None, notes))),
            )
        )
        return number

    def _place(self, index: int | None) -> tuple[str, str, int, tuple[Array, Array, Array, Array]]:
        """Return kind, name, view, and the ranges of a region."""
        sbin, sizes = self._params.sbin, self._layout.sizes
        if index is None:
            height, width = self._results.picture("avgframe").shape
            y, x = sizes[0] if len(sizes) == 1 else (height * sbin, width * sbin)
            ranges = (np.arange(y), np.arange(x), np.arange(height), np.arange(width))
            return FULL_FRAME, FULL_FRAME, _ALL_VIEWS, ranges
        roi = self._params.rois[index]
        binned = (_NOTHING, _NOTHING)
        if roi.kind is RoiKind.MOTION_SVD:
            box = binned_box(roi, sbin)
            binned = (np.arange(box.y0, box.y1), np.arange(box.x0, box.x1))
        ranges = (np.arange(roi.y0, roi.y1), np.arange(roi.x0, roi.x1), *binned)
        return roi.kind.value, region_name(self._params, index), roi.view, ranges

    def _overlaps(self, index: int | None) -> str:
        """Return the name of a motion ROI before this one that shares binned pixels with it, empty if none does."""
        if index is None:
            return ""
        sbin, rois = self._params.sbin, self._params.rois
        box = binned_box(rois[index], sbin)
        for other, roi in enumerate(rois[:index]):
            if roi.kind is RoiKind.MOTION_SVD and binned_box(roi, sbin).overlaps(box):
                return region_name(self._params, other)
        return ""

    def _warn_of_eyes(self) -> None:
        eyes = [roi for roi in self._params.rois if roi.kind in (RoiKind.PUPIL, RoiKind.BLINK)]
        if eyes and (self._layout.bases or len(eyes) > 1):
            self.warnings.append(
                f"{self._proc.name} was computed with pupil or blink ROIs among others, which changes the pixels that "
                "Facemap sees after them (F3): blinks and motion SVD may be off by some percent; task_mode='trigger' "
                "avoids it."
            )

    def _warn(self, index: int | None, what: str) -> None:
        name = FULL_FRAME if index is None else region_name(self._params, index)
        self.warnings.append(f"{self._proc.name}: {name} {what}.")
