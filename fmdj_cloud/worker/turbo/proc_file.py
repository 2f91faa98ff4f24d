"""Facemap's own file, ``<video>_proc.npy``, key for key: what people and the GUI open.

Where Facemap's own numbers would be wrong, these are right: motion is aligned to its frames, masks have unit norm
however short the recording, running is the displacement of the surface. Singular values are those of the last
region, since the file has room for one region's only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import RoiKind, SvdParams
from fmdj_cloud.worker.svd.engine import roi_dict
from fmdj_cloud.worker.svd.geometry import Size, binned_box, binned_size, has_full_frame, has_svd, of_kind
from fmdj_cloud.worker.turbo.bases import Bases
from fmdj_cloud.worker.turbo.layout import Layout, lay_out
from fmdj_cloud.worker.turbo.part import Parts
from fmdj_cloud.worker.turbo.pickling import Stream
from fmdj_cloud.worker.turbo.regions import Movement, Region, movements, svd_regions

Array = npt.NDArray[Any]

_COMPONENTS = 500
_PART_BYTES = 1 << 25


@dataclass(frozen=True)
class Recorded:
    """What the file says of the recording itself.

    Attributes
    ----------
    filenames : tuple of tuple of str
        Paths of the videos; outer sequential, inner simultaneous.
    folder : Path
        Where the file is written.
    sizes : tuple of (int, int)
        Height and width of every view.
    """

    filenames: tuple[tuple[str, ...], ...]
    folder: Path
    sizes: tuple[Size, ...]

    @property
    def path(self) -> Path:
        """The file, named as Facemap names it."""
        return self.folder / f"{Path(self.filenames[0][0]).stem}_proc.npy"


def proc_of(
    recorded: Recorded,
    params: SvdParams,
    bases: Bases,
    parts: Parts,
    eyes: Mapping[int, Mapping[str, Array]],
) -> dict[str, Any]:
    """Return what goes into Facemap's file; large arrays as streams.

    Parameters
    ----------
    recorded : Recorded
    params : SvdParams
    bases : Bases
    parts : Parts
    eyes : Mapping
        Traces of pupil, blink and running ROIs by their place in the parameters, as signals.h5 has them.
    """
    binned = tuple(binned_size(size, params.sbin) for size in recorded.sizes)
    layout, wide = lay_out(binned), lay_out(recorded.sizes)
    regions = svd_regions(params, recorded.sizes)
    proc: dict[str, Any] = {
        "filenames": [list(row) for row in recorded.filenames],
        "save_path": str(recorded.folder),
        "Ly": [height for height, _ in recorded.sizes],
        "Lx": [width for _, width in recorded.sizes],
        "sbin": params.sbin,
        "fullSVD": params.full_svd,
        "save_mat": params.save_mat,
        "Lybin": np.array([height for height, _ in binned], np.int32),
        "Lxbin": np.array([width for _, width in binned], np.int32),
        "sybin": np.array(layout.tops),
        "sxbin": np.array(layout.lefts),
        "LYbin": np.int64(layout.height),
        "LXbin": np.int64(layout.width),
        "avgframe": _by_view(bases.avgframe, binned),
        "avgmotion": _by_view(bases.avgmotion, binned),
        "avgframe_reshape": layout.picture(bases.avgframe),
        "avgmotion_reshape": layout.picture(bases.avgmotion),
        "motion": _motions(params, regions, parts),
    }
    asked = movements(params)
    for movement in _BOTH:
        proc[f"{movement}Sv"] = _singular_values(bases, regions, movement, asked)
    for shaped in ("", "_reshape"):
        for movement in _BOTH:
            found = list(_masks(bases, regions, movement, layout if shaped else None)) if movement in asked else []
            proc[f"{movement}Mask{shaped}"] = _placeholder(params, found)
    for movement in _BOTH:
        found = [_projections(bases, parts, region, movement) for region in regions] if movement in asked else []
        proc[f"{movement}SVD"] = _placeholder(params, found)
    proc["pupil"] = [dict(eyes[index]) for index in of_kind(params, RoiKind.PUPIL)]
    proc["running"] = [eyes[index]["displacement"] for index in of_kind(params, RoiKind.RUNNING)]
    proc["blink"] = [eyes[index]["trace"] for index in of_kind(params, RoiKind.BLINK)]
    proc["rois"] = [_roi(params, index) for index in range(len(params.rois))] or None
    proc["sy"], proc["sx"] = np.array(wide.tops), np.array(wide.lefts)
    return proc


_BOTH: tuple[Movement, ...] = ("mot", "mov")


def _by_view(pixels: Array, binned: Sequence[Size]) -> list[Array]:
    return np.split(pixels, np.cumsum([y * x for y, x in binned])[:-1])


def _motions(params: SvdParams, regions: Sequence[Region], parts: Parts) -> list[Array]:
    traces = [parts.whole(f"{region.slot}/motion") for region in regions]
    return traces if has_full_frame(params) else [np.zeros(0, np.float32), *traces]


def _singular_values(
    bases: Bases, regions: Sequence[Region], movement: Movement, asked: Sequence[Movement]
) -> Array | list[Array]:
    if not asked:
        return []
    if movement not in asked or not regions:
        return np.zeros(_COMPONENTS, np.float32)
    return bases.subspaces[regions[-1].slot, movement].singular_values


def _placeholder(params: SvdParams, found: list[Stream]) -> list[Any]:
    """Return arrays with something in the full frame's place, as Facemap keeps it where that isn't computed."""
    if not found or has_full_frame(params) or not has_svd(params):
        return found
    return [np.zeros((0, 1), np.float32), *found]


def _masks(bases: Bases, regions: Sequence[Region], movement: Movement, layout: Layout | None) -> Iterator[Stream]:
    for region in regions:
        masks = bases.subspaces[region.slot, movement].masks
        count = masks.shape[1]
        if layout is None:
            yield Stream(masks.shape, np.float32, _rows(masks))
        elif region.roi is None:
            yield Stream((layout.height, layout.width, count), np.float32, laid_out(masks, layout))
        else:
            yield Stream((*region.shape, count), np.float32, _rows(masks))


def laid_out(masks: Array, layout: Layout) -> Iterator[Array]:
    """Yield masks of all views' pixels, (P, c), as pixels of one picture, a few rows of it at a time."""
    if len(layout.sizes) == 1:
        yield from _rows(masks)
        return
    pixel = np.full(layout.height * layout.width, -1, np.int64)
    pixel[layout.places] = np.arange(len(masks))
    at_once = max(1, _PART_BYTES // max(1, 4 * masks.shape[1]))
    for first in range(0, len(pixel), at_once):
        chosen = pixel[first : first + at_once]
        part = masks[np.maximum(chosen, 0)]
        part[chosen < 0] = 0
        yield part


def _projections(bases: Bases, parts: Parts, region: Region, movement: Movement) -> Stream:
    shape = bases.nframes, bases.subspaces[region.slot, movement].count
    return Stream(shape, np.float32, parts.pieces(f"{region.slot}/{movement}"))


def _rows(values: Array) -> Iterator[Array]:
    at_once = max(1, _PART_BYTES // max(1, 4 * values.shape[1]))
    for first in range(0, len(values), at_once):
        yield values[first : first + at_once]


def _roi(params: SvdParams, index: int) -> dict[str, Any]:
    roi = params.rois[index]
    made = roi_dict(roi, index)
    if roi.kind is RoiKind.MOTION_SVD:
        box = binned_box(roi, params.sbin)
        made["yrange_bin"] = np.arange(box.y0, box.y1)
        made["xrange_bin"] = np.arange(box.x0, box.x1)
    return made
