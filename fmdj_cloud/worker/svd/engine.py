"""One pass of the published Facemap package, called as its documentation says."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Roi, RoiKind, SvdParams
from fmdj_cloud.worker.svd.geometry import Size
from fmdj_cloud.worker.svd.passes import Pass

log = logging.getLogger(__name__)

_RTYPES = {
    RoiKind.PUPIL: "Pupil",
    RoiKind.MOTION_SVD: "motion SVD",
    RoiKind.BLINK: "Blink",
    RoiKind.RUNNING: "Running",
}
_COLOR = (180.0, 0.0, 50.0)
_GUI_SATURATION = 255.0


def run_pass(
    part: Pass,
    params: SvdParams,
    videos: Sequence[Sequence[Path]],
    sizes: Sequence[Size],
    folder: Path,
    on_frames: Callable[[int], None],
) -> Path:
    """Let Facemap compute one pass.

    Parameters
    ----------
    part : Pass
    params : SvdParams
    videos : nested sequence of Path
        Outer sequential, inner simultaneous.
    sizes : sequence of (int, int)
        Height and width of every view.
    folder : Path
        New folder for what Facemap writes.
    on_frames : callable
        Called with the number of frames, each time that Facemap has read some.

    Returns
    -------
    Path
        Facemap's file.
    """
    from facemap import process  # slow to import: only once all checks have passed
    from facemap.utils import video_placement

    folder.mkdir(parents=True)
    heights, widths = (np.array(extent) for extent in zip(*sizes, strict=True))
    _, _, sy, sx = video_placement(heights, widths)
    with _counted(on_frames):
        written = process.run(
            [[str(path) for path in row] for row in videos],
            motSVD=part.mot_svd,
            movSVD=part.mov_svd,
            proc={
                "sbin": params.sbin,
                "fullSVD": part.full_svd,
                "save_mat": params.save_mat,
                "rois": [roi_dict(params.rois[index], number) for number, index in enumerate(part.rois)] or None,
                "sy": sy,
                "sx": sx,
                "savepath": None,
            },
            savepath=str(folder),
        )
    return Path(written)


def roi_dict(roi: Roi, number: int) -> dict[str, Any]:
    """Return a ROI as Facemap's GUI saves it, which can so open our files too.

    Parameters
    ----------
    roi : Roi
    number : int
        Its place in the file.
    """
    extent = (roi.y1 - roi.y0, roi.x1 - roi.x0)
    made: dict[str, Any] = {
        "rind": roi.kind.rind,
        "rtype": _RTYPES[roi.kind],
        "iROI": number,
        "ivid": roi.view,
        "color": roi.color or _COLOR,
        "yrange": np.arange(roi.y0, roi.y1),
        "xrange": np.arange(roi.x0, roi.x1),
        # a float: an int would wrap in Facemap's uint8 arithmetic
        "saturation": _GUI_SATURATION if roi.saturation is None else float(roi.saturation),
        "ellipse": np.ones(extent, bool) if roi.ellipse is None else roi.ellipse.to_array(),
    }
    if roi.pupil_sigma is not None:
        made["pupil_sigma"] = roi.pupil_sigma
    if roi.reflectors:
        made["reflector"] = [
            {
                "yrange": np.arange(reflector.y0, reflector.y1),
                "xrange": np.arange(reflector.x0, reflector.x1),
                "ellipse": reflector.ellipse.to_array(),
            }
            for reflector in roi.reflectors
        ]
    return made


@contextlib.contextmanager
def _counted(on_frames: Callable[[int], None]) -> Iterator[None]:
    """Count the frames that Facemap reads, which it doesn't tell: what it reads and computes stays as it is."""
    from facemap import utils

    read = utils.get_frames

    def counting(pictures: list[Any], *arguments: Any) -> None:
        read(pictures, *arguments)
        on_frames(pictures[0].shape[0])

    utils.get_frames = counting
    try:
        yield
    finally:
        utils.get_frames = read
