"""``signals.h5``: the one documented, pickle-free file that the loader reads, in slices.

Layout (HDF5; n frames, c components, (y, x) pixels; all numbers little-endian)::

    /                       attributes: format "fmdj-signals", version 1, kind, run_id, nframes, sbin, fps
    /summary/avgframe       (y, x) float32, gray levels, binned, all views placed side by side
    /summary/avgmotion      (y, x) float32, gray levels per frame, likewise
    /regions/<roi_no>/      attributes: roi_no, kind ("full frame" or Facemap's ROI type), name, view (-1 for
                            all), origin, repairs ("F1,F5"), note
        yrange, xrange      (k,) int64: unbinned pixels of the view
        yrange_bin, xrange_bin  (k,) int64: binned pixels (empty for pupil, blink and running)
        motion              (n,) float32: sum over pixels of |frame k - frame k-1|, aligned: row 0 copies row 1
        mot/masks, mov/masks                     (y, x, c) float32, unit norm per component
        mot/projections, mov/projections         (n, c) float32
        mot/singular_values, mov/singular_values (c,) float32; absent where Facemap's are another region's (F6)
        pupil/area, pupil/area_smooth            (n,) float64, pixels
        pupil/com, pupil/com_smooth              (n, 2) float64: y, x in pixels from the ROI's corner
        pupil/axdir (n, 2, 2), pupil/axlen (n, 2) float64: axes of the fitted ellipse
        blink/trace         (n,) float64: sum of saturation - gray over dark pixels; raw (F10)
        running/displacement  (n, 2) float64: dy, dx of the surface from frame k-1 to k, pixels, positive down
                            and right; row 0 copies row 1
    /pose/<view>/           attributes: view, origin, batch_size, precision, bbox (y0, y1, x0, x1), note
        <body part>/x, y, likelihood  (n,) float32: pixels of the video, likelihood 0..1; NaN and 0 in frames that
                            can't be decoded or show nothing

Numbers lie in the file itself, all of them and uncompressed; there are no links to elsewhere. A dataset that doesn't
apply is absent. Names of Facemap's faults (F1 to F10) are those of the documentation.
"""

from __future__ import annotations

from fmdj_cloud.signals_h5.layout import FORMAT, FULL_FRAME, PUPIL_FIELDS, VERSION, Array, Basis, RegionInfo
from fmdj_cloud.signals_h5.pose import KEYPOINT_FIELDS, PoseInfo
from fmdj_cloud.signals_h5.reader import SignalsReader
from fmdj_cloud.signals_h5.vetting import vet
from fmdj_cloud.signals_h5.writer import SignalsWriter

__all__ = [
    "FORMAT",
    "FULL_FRAME",
    "KEYPOINT_FIELDS",
    "PUPIL_FIELDS",
    "VERSION",
    "Array",
    "Basis",
    "PoseInfo",
    "RegionInfo",
    "SignalsReader",
    "SignalsWriter",
    "vet",
]
