"""Names in the file, and what is said of a region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy.typing as npt

from fmdj_cloud.contracts import Origin

FORMAT = "fmdj-signals"
VERSION = 1
FULL_FRAME = "full frame"
"""`kind` of the region that is the whole picture."""
PUPIL_FIELDS = ("area", "area_smooth", "com", "com_smooth", "axdir", "axlen")
Basis = Literal["mot", "mov"]
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class RegionInfo:
    """Description of one region.

    Attributes
    ----------
    roi_no : int
        The Element's number of the region.
    kind : str
        ``"full frame"`` or the value of a :class:`~fmdj_cloud.contracts.RoiKind`.
    name : str
        At most 16 characters.
    view : int
        View of a ROI, -1 for the full frame.
    yrange, xrange : ndarray of int64
        Unbinned pixels.
    yrange_bin, xrange_bin : ndarray of int64
        Binned pixels; empty where nothing is binned.
    origin : Origin
    repairs : tuple of str
    note : str
    """

    roi_no: int
    kind: str
    name: str
    view: int
    yrange: Array
    xrange: Array
    yrange_bin: Array
    xrange_bin: Array
    origin: Origin
    repairs: tuple[str, ...] = ()
    note: str = ""
