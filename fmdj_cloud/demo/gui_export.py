"""ROIs and parameters as the Facemap GUI saves them: what a lab puts into ``facemap_params``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.contracts import RoiKind
from fmdj_cloud.demo.face import BLINK_SATURATION, PUPIL_SATURATION
from fmdj_cloud.demo.truth import Box

_COLORS = {
    RoiKind.PUPIL: (0.0, 200.0, 50.0),
    RoiKind.MOTION_SVD: (180.0, 0.0, 50.0),
    RoiKind.BLINK: (40.0, 100.0, 250.0),
    RoiKind.RUNNING: (150.0, 50.0, 150.0),
}
_SATURATIONS = {RoiKind.PUPIL: PUPIL_SATURATION, RoiKind.BLINK: BLINK_SATURATION}
_PUPIL_SIGMA = 2.0
"""A uniform disc of radius r has a variance of r^2 / 4 per axis: two standard deviations are its radius."""


def inscribed_ellipse(height: int, width: int) -> npt.NDArray[np.bool_]:
    """Return the ellipse that touches all four sides of a box, ndarray of bool, shape (height, width)."""
    y = (np.arange(height)[:, np.newaxis] + 0.5) / (height / 2) - 1
    x = (np.arange(width)[np.newaxis] + 0.5) / (width / 2) - 1
    ellipse: npt.NDArray[np.bool_] = y**2 + x**2 <= 1
    return ellipse


def roi_dict(kind: RoiKind, box: Box, *, number: int, view: int = 0) -> dict[str, Any]:
    """Return one ROI as the Facemap GUI saves it.

    Parameters
    ----------
    kind : RoiKind
    box : (int, int, int, int)
        y0, y1, x0, x1 in pixels of the view, half-open.
    number : int
        Place among all ROIs of the export.
    view : int
    """
    y0, y1, x0, x1 = box
    roi: dict[str, Any] = {
        "rind": kind.rind,
        "rtype": kind.value,
        "iROI": number,
        "ivid": np.int64(view),
        "color": _COLORS[kind],
        "yrange": np.arange(y0, y1, dtype=np.int32),
        "xrange": np.arange(x0, x1, dtype=np.int32),
        "saturation": _SATURATIONS.get(kind, 0.0),
        "pupil_sigma": _PUPIL_SIGMA if kind is RoiKind.PUPIL else 0,
        "ellipse": inscribed_ellipse(y1 - y0, x1 - x0),
    }
    if kind is RoiKind.PUPIL:
        roi["reflector"] = []
    return roi


def roi_export(
    rois: Sequence[dict[str, Any]],
    filenames: Sequence[Sequence[str]],
    *,
    height: int,
    width: int,
    sbin: int,
    full_svd: bool,
    mot: bool,
    mov: bool,
) -> dict[str, Any]:
    """Return what "Save ROIs" in the Facemap GUI writes to ``_proc.npy`` for views of one size.

    Parameters
    ----------
    rois : sequence of dict
        As :func:`roi_dict` makes them.
    filenames : nested sequence of str
        Outer sequential, inner simultaneous.
    height, width : int
        Pixels of every view.
    sbin : int
    full_svd, mot, mov : bool
    """
    views = len(filenames[0])
    rows = 1 if views in (2, 3) else max(1, round(views**0.5 * 0.75))
    place = np.arange(views)
    sy, sx = height * (place % rows), width * (place // rows)
    return {
        "Ly": [height] * views,
        "Lx": [width] * views,
        "sy": sy,
        "sx": sx,
        "LY": int(sy.max()) + height,
        "LX": int(sx.max()) + width,
        "sbin": sbin,
        "fullSVD": full_svd,
        "rois": list(rois) or None,
        "motSVD": mot,
        "movSVD": mov,
        "pose_settings": {"bbox": [], "bbox_set": False, "resize_img": False, "add_padding": False},
        "save_mat": False,
        "save_path": "",
        "filenames": [list(row) for row in filenames],
    }
