"""Which regions a proc dict holds, and where their results stand in its lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from fmdj_cloud.contracts import Roi, RoiKind, SvdParams
from fmdj_cloud.errors import InputError
from fmdj_cloud.signals_h5 import Basis
from fmdj_cloud.worker.importing.proc import Array, Proc
from fmdj_cloud.worker.svd.geometry import Size, of_kind

_MAX_ROIS = 1000
_MAX_SIDE = 1 << 15


@dataclass(frozen=True)
class Layout:
    """What a proc dict holds.

    Attributes
    ----------
    params : SvdParams
        As the results show them: `full_svd` whether the full frame was computed, whatever the flag says.
    sizes : tuple of (int, int)
        Height and width of every view.
    nframes : int
    shift : int
        Place of the first motion ROI in Facemap's lists: 1, since the full frame has place 0, computed or not.
    """

    params: SvdParams
    sizes: tuple[Size, ...]
    nframes: int
    shift: int

    def slot(self, index: int | None) -> int:
        """Return the place of a region in the lists of motion and SVD results.

        Parameters
        ----------
        index : int or None
            Place of a motion ROI among the ROIs; None is the full frame.
        """
        return 0 if index is None else self.shift + of_kind(self.params, RoiKind.MOTION_SVD).index(index)

    @property
    def svd_regions(self) -> tuple[int | None, ...]:
        """The full frame (None), if it was computed, and the motion ROIs."""
        full: tuple[int | None, ...] = (None,) if self.params.full_svd else ()
        return full + of_kind(self.params, RoiKind.MOTION_SVD)

    @property
    def bases(self) -> tuple[Basis, ...]:
        """The SVDs that were computed."""
        made: list[Basis] = ["mot"] if self.params.mot_svd else []
        return (*made, "mov") if self.params.mov_svd else tuple(made)


def lay_out(proc: Proc) -> Layout:
    """Find out what a proc dict holds.

    Raises
    ------
    InputError
        If it holds no results (check ``import_results``), or they contradict each other (``import_content``).
    """
    projections: dict[str, list[Any]] = {name: proc.list(name) for name in ("motSVD", "movSVD")}
    traces = [*_traces(proc, projections)]
    if not traces:
        raise InputError(
            f"{proc.name} holds no results: it is what 'Save ROIs' in the Facemap GUI writes, or its processing didn't "
            "come to an end. Process the video in Facemap, or set task_mode='trigger' to have it computed.",
            check="import_results",
        )
    lengths = {length for _, length in traces}
    if len(lengths) > 1:
        told = ", ".join(f"{name} {length}" for name, length in dict(traces).items())
        raise proc.wrong("motSVD", f"and the other traces have different numbers of frames ({told})")
    sizes = _sizes(proc)
    rois = tuple(_roi(proc, number, value, sizes) for number, value in enumerate(_rois(proc)))
    motion_rois = sum(roi.kind is RoiKind.MOTION_SVD for roi in rois)
    full, shift = _full_and_shift(proc, projections, motion_rois)
    made = {name: any(np.size(value) for value in values) for name, values in projections.items()}
    (sbin,) = proc.integers("sbin")[:1] or (1,)
    if not 1 <= sbin <= _MAX_SIDE:
        raise proc.wrong("sbin", f"is {sbin}")
    params = SvdParams(sbin=sbin, full_svd=full, mot_svd=made["motSVD"], mov_svd=made["movSVD"], rois=rois)
    return Layout(params, sizes, lengths.pop(), shift)


def _traces(proc: Proc, projections: dict[str, list[Any]]) -> list[tuple[str, int]]:
    """Return (name, frames) of every trace that was computed."""
    for name, values in projections.items():
        projections[name] = [proc.array(name, value, dimensions=2) for value in values]
    found = [(name, value) for name, values in projections.items() for value in values]
    found += [("blink", proc.array("blink", value, dimensions=1)) for value in proc.list("blink")]
    found += [("running", proc.array("running", value, dimensions=2)) for value in proc.list("running")]
    for value in proc.list("pupil"):
        pupil = proc.dict("pupil", value)
        found.append(("pupil", proc.array("pupil", pupil.value("area"), dimensions=1)))
    return [(name, len(value)) for name, value in found if value.size]


def _full_and_shift(proc: Proc, projections: dict[str, list[Array]], motion_rois: int) -> tuple[bool, int]:
    """Return whether the full frame was computed, and the place of the first motion ROI."""
    answers = set()
    for name, values in projections.items():
        if not any(value.size for value in values):
            continue
        shift = len(values) - motion_rois
        if shift not in (0, 1) or any(value.size == 0 for value in values[shift:]):
            raise proc.wrong(name, f"has {len(values)} entries, which doesn't fit {motion_rois} motion ROI(s)")
        answers.add((shift == 1 and values[0].size > 0, shift))
    if len(answers) > 1:
        raise proc.wrong("motSVD", "and 'movSVD' have different regions")
    return answers.pop() if answers else (False, 1)


def _sizes(proc: Proc) -> tuple[Size, ...]:
    heights, widths = proc.integers("Ly"), proc.integers("Lx")
    if not heights or len(heights) != len(widths):
        raise proc.wrong("Ly", "and 'Lx' aren't one size per view")
    if not all(0 < side <= _MAX_SIDE for side in (*heights, *widths)):
        raise proc.wrong("Ly", "or 'Lx' isn't the size of a video")
    return tuple(zip(heights, widths, strict=True))


def _rois(proc: Proc) -> Sequence[Any]:
    rois = proc.list("rois")
    if len(rois) > _MAX_ROIS:
        raise proc.wrong("rois", f"has {len(rois)} entries")
    return rois


def _roi(proc: Proc, number: int, value: Any, sizes: tuple[Size, ...]) -> Roi:
    roi = proc.dict("rois", value)
    if "rind" not in roi:
        raise proc.wrong("rois", f"has no rind in ROI {number}")
    view = roi.integer("ivid", roi.value("ivid")) if "ivid" in roi else 0
    if not 0 <= view < len(sizes):
        raise proc.wrong("rois", f"has ROI {number} in view {view} of {len(sizes)}")
    (y0, y1), (x0, x1) = _range(roi, "yrange"), _range(roi, "xrange")
    if y1 > sizes[view][0] or x1 > sizes[view][1]:
        raise proc.wrong("rois", f"has ROI {number} beyond its view")
    name = roi.value("name")
    try:
        return Roi(
            kind=RoiKind.from_rind(roi.integer("rind", roi.value("rind"))),
            view=view,
            y0=y0,
            y1=y1,
            x0=x0,
            x1=x1,
            name=name.strip()[:16] if isinstance(name, str) and name.strip() and name.isprintable() else None,
        )
    except (ValidationError, ValueError) as error:
        raise proc.wrong("rois", f"has an impossible ROI {number}") from error


def _range(roi: Proc, key: str) -> tuple[int, int]:
    """Return (start, stop) of consecutive pixels."""
    pixels = roi.integers(key) if not isinstance(roi.value(key), np.ndarray) else None
    indices = np.asarray(pixels) if pixels is not None else roi.array(key, roi.value(key), dimensions=1)
    if not 0 < indices.size <= _MAX_SIDE or not np.all(np.isfinite(indices)):
        raise roi.wrong(key, "of a ROI is empty or far too long")
    start, stop = float(indices[0]), float(indices[-1]) + 1
    if start < 0 or stop - start != indices.size or np.any(indices != start + np.arange(indices.size)):
        raise roi.wrong(key, "of a ROI doesn't list its pixels one after the other")
    return int(start), int(stop)
