"""FacialSignal -> NWB: motion and movie SVD by region, and the averages.

Masks and projections stand as in ndx-facemap-motionsvd (a table of image masks, and a series with a column for each),
but in core types, since that extension is in no package index: ``MotionSVDMasksRegion<n>`` is a DynamicTable whose
row i is the mask of column i of the TimeSeries ``MotionSVDSeriesRegion<n>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from hdmf.common import DynamicTable, ElementIdentifiers, VectorData
from pynwb import ProcessingModule, TimeSeries
from pynwb.base import Images
from pynwb.image import GrayscaleImage

from fmdj_cloud.export.iterators import columns
from fmdj_cloud.export.provenance import Source
from fmdj_cloud.export.svd_rows import BASES, Region, SvdRows
from fmdj_cloud.export.timing import Timing

_COMPONENTS = 8
"""Fetched and written at a time, where a slice holds as many."""
_FLOAT32 = 4
_EDGES = {
    "x1": "Its first (leftmost)",
    "y1": "Its first (uppermost)",
    "x2": "The first to the right of it,",
    "y2": "The first below it,",
}


def add_svd(behavior: ProcessingModule, rows: SvdRows, timing: Timing, source: Source, slice_bytes: int) -> None:
    """Add regions, averages, masks and time courses; large arrays are fetched when the file is written.

    Parameters
    ----------
    behavior : ProcessingModule
    rows : SvdRows
    timing : Timing
    source : Source
    slice_bytes : int
        Of masks or time courses in memory at a time; a single component may have more.
    """
    behavior.add(_regions(rows.regions))
    summary = rows.summary.one("sbin", "avgframe", "avgmotion")
    sbin = np.nan
    if summary is not None:
        sbin = float(summary["sbin"])
        names = (("AverageFrame", "avgframe", "Mean"), ("AverageMotion", "avgmotion", "Mean motion"))
        pictures = [
            GrayscaleImage(
                name=name,
                data=np.asarray(summary[column], np.float32),
                description=f"{what} over frames, (y, x), binned by {sbin:g} pixels, all views in one picture.",
            )
            for name, column, what in names
        ]
        behavior.add(Images(name="FacemapSummary", images=pictures, description="Averages over the video."))
    for region in rows.regions:
        for basis in BASES:
            ids = rows.components(basis, region.number)
            if ids:
                behavior.add(_masks(rows, region, basis, ids, sbin, slice_bytes))
                behavior.add(_courses(rows, region, basis, ids, timing, source, slice_bytes))


def _regions(regions: Sequence[Region]) -> DynamicTable:
    boxes = np.array([region.box() for region in regions]).reshape(-1, 4)
    views = [-1 if region.roi is None else region.roi.view for region in regions]
    cells = [
        VectorData(name="roi_no", description="As in FacialSignal.Region.", data=[one.number for one in regions]),
        VectorData(name="roi_name", description="Name of the region.", data=[one.name for one in regions]),
        VectorData(name="view", description="Of the ROI; -1 for all views, or not known.", data=views),
        *(
            VectorData(name=name, description=f"{what} pixel of the view; NaN where unknown.", data=boxes[:, place])
            for place, (name, what) in enumerate(_EDGES.items())
        ),
    ]
    return DynamicTable(
        name="FacemapRegions",
        description="Regions of the video: the full frame (0, if there is one) and ROIs.",
        id=ElementIdentifiers(name="id", data=[region.number for region in regions]),
        columns=cells,
    )


def _masks(
    rows: SvdRows, region: Region, basis: str, ids: Sequence[int], sbin: float, slice_bytes: int
) -> DynamicTable:
    shape = rows.mask_shape(basis, region.number, ids[0])
    fetch = partial(rows.masks, basis, region.number)
    step = _step(shape[0] * shape[1], slice_bytes)
    singular = rows.singular_values(basis, region.number, ids)
    known = {} if np.all(np.isnan(singular)) else {"singular_value": ("NaN where it isn't known.", singular)}
    values = known | {
        "downsampling_factor": ("Pixels per bin, in y and in x.", np.full(len(ids), sbin)),
        "mask_coordinates": (
            "(x1, y1, x2, y2) of the mask in the binned view; x2, y2 are beyond.",
            np.tile(np.array(region.box("_bin")), (len(ids), 1)),
        ),
    }
    return DynamicTable(
        name=f"{BASES[basis][0]}Masks{region.suffix}",
        description=f"Masks of the {BASES[basis][1]} SVD's components in {region.text}.",
        id=ElementIdentifiers(name="id", data=list(ids)),
        columns=[
            VectorData(
                name="image_mask",
                description="Spatial mask (y, x), binned.",
                data=columns(fetch, ids, (len(ids), *shape), axis=0, step=step),
            ),
            *(VectorData(name=name, description=text, data=data) for name, (text, data) in values.items()),
        ],
    )


def _courses(
    rows: SvdRows, region: Region, basis: str, ids: Sequence[int], timing: Timing, source: Source, slice_bytes: int
) -> TimeSeries:
    title, what = BASES[basis]
    fetch = partial(rows.projections, basis, region.number)
    step = _step(rows.nframes, slice_bytes)
    origin = source.repairs(region.number, f"{basis}SVD")
    return TimeSeries(
        name=f"{title}Series{region.suffix}",
        data=columns(fetch, ids, (rows.nframes, len(ids)), axis=1, step=step),
        unit="a.u.",
        description=f"Time courses of the {what} SVD's components in {region.text}. {origin}".rstrip(),
        comments=f"Column i is of the mask in row i of {title}Masks{region.suffix}.",
        rate=timing.rate,
        starting_time=timing.starting_time,
    )


def _step(values: int, slice_bytes: int) -> int:
    return max(1, min(_COMPONENTS, slice_bytes // max(1, values * _FLOAT32)))
