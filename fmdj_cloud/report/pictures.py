"""Draw the mean frame with its ROIs, motion masks, and where keypoints are; traces: see its own module.

Every function takes :class:`~fmdj_cloud.report.signals.Signals`, such as an open
:class:`~fmdj_cloud.signals_h5.SignalsReader`, and returns a PNG, or None where the result has no such thing. They
share no state: any number may be drawn at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, Rectangle

from fmdj_cloud.contracts import ViewFrames
from fmdj_cloud.errors import InputError
from fmdj_cloud.report.envelope import SLICE_FRAMES
from fmdj_cloud.report.panels import is_eye, named
from fmdj_cloud.report.signals import Signals
from fmdj_cloud.report.style import LIGHT, Theme, as_png, bare, new_figure
from fmdj_cloud.report.traces import traces_png
from fmdj_cloud.signals_h5 import FULL_FRAME, Array, RegionInfo
from fmdj_cloud.worker.turbo.layout import lay_out

_WIDTH_IN = 8.0
_MASKS = 4
"""Of every region, the first."""
_MASK_REGIONS = 8
_CELL_IN = 0.95 * _WIDTH_IN / _MASKS
_TITLE_IN = 0.28
_ROBUST = 99.5
"""Percentile of a mask that is its strongest colour: single pixels don't pale the rest."""


def mean_frame_png(signals: Signals, views: Sequence[ViewFrames] = (), theme: Theme = LIGHT) -> bytes | None:
    """Draw the mean frame with the ROIs on it.

    Parameters
    ----------
    signals : Signals
    views : sequence of ViewFrames
        Of the manifest: tells where several views lie in the picture; ROIs of views whose place isn't known are left
        out.
    theme : Theme

    Returns
    -------
    bytes or None
        PNG; None if there is no mean frame.

    Raises
    ------
    InputError
        If it is no picture, as rows may hold that others wrote.
    """
    summary = signals.summary()
    if summary is None:
        return None
    frame = summary[0]
    if frame.ndim != 2:
        raise InputError(f"The mean frame is of shape {frame.shape}, not a picture.", check="rows")
    height, width = frame.shape
    figure = new_figure(theme, _WIDTH_IN, max(_WIDTH_IN * height / max(width, 1), 1.0))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(frame, cmap="gray", vmin=0, vmax=max(float(np.nanmax(frame, initial=0.0)), 1.0), aspect="auto")
    corners = _corners(views, signals.sbin, frame.shape)
    taken: dict[tuple[float, ...], float] = {}
    for region in signals.regions():
        corner = corners.get(region.view)
        if region.kind != FULL_FRAME and corner is not None and region.yrange.size and region.xrange.size:
            _outline(axes, region, _box(region, signals.sbin, corner), taken, theme.color(region.roi_no))
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    bare(axes)
    return as_png(figure)


def masks_png(signals: Signals, views: Sequence[ViewFrames] = (), theme: Theme = LIGHT) -> bytes | None:
    """Draw the first motion masks of every region that has any: red and blue are the two signs.

    Parameters
    ----------
    signals : Signals
    views : sequence of ViewFrames
        Not needed.
    theme : Theme

    Returns
    -------
    bytes or None
        PNG; None if there is no motion SVD.
    """
    regions = [region for region in signals.regions() if signals.n_components(region.roi_no, "mot")][:_MASK_REGIONS]
    if not regions:
        return None
    heights = [_row_in(signals.masks(region.roi_no, "mot", 0, 1)) for region in regions]
    height = sum(heights) + _TITLE_IN * (len(regions) + 1)
    figure = new_figure(theme, _WIDTH_IN, height)
    mean = sum(heights) / len(heights)
    grid = figure.add_gridspec(
        *(len(regions), _MASKS),
        height_ratios=heights,
        left=0.01,
        right=0.99,
        top=1 - _TITLE_IN / height,
        bottom=0.1 / height,
        hspace=_TITLE_IN / mean,
    )
    for row, region in enumerate(regions):
        count = min(_MASKS, signals.n_components(region.roi_no, "mot"))
        for column, mask in enumerate(signals.masks(region.roi_no, "mot", 0, count)):
            axes = figure.add_subplot(grid[row, column])
            limit = float(np.nanpercentile(np.abs(mask), _ROBUST)) if mask.size else 0.0
            axes.imshow(mask, cmap="RdBu_r", vmin=-(limit or 1.0), vmax=limit or 1.0, interpolation="nearest")
            title = f"{named(region.name, region.roi_no)}, mask {column + 1}"
            axes.set_title(title, loc="left", fontsize=8, color=theme.ink, pad=3)
            bare(axes)
            for spine in axes.spines.values():
                spine.set(visible=True, color=theme.color(region.roi_no), linewidth=1.5)
    return as_png(figure)


def keypoints_png(signals: Signals, views: Sequence[ViewFrames] = (), theme: Theme = LIGHT) -> bytes | None:
    """Draw where body parts are: mean and two standard deviations of x and y, in pixels of the video.

    Parameters
    ----------
    signals : Signals
        Read in slices.
    views : sequence of ViewFrames
        Of the manifest: tells how large the video is.
    theme : Theme

    Returns
    -------
    bytes or None
        PNG; None if there are no keypoints.
    """
    poses = signals.pose_views()
    if not poses:
        return None
    figure = new_figure(theme, _WIDTH_IN, 5.5 * len(poses))
    grid = figure.add_gridspec(len(poses), 1, left=0.09, right=0.98, top=0.95, bottom=0.08, hspace=0.2)
    for number, info in enumerate(poses):
        axes = figure.add_subplot(grid[number])
        axes.set_facecolor(theme.paper)
        y0, y1, x0, x1 = info.bbox if len(info.bbox) == 4 else (0, 0, 0, 0)
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=theme.faint, lw=1, ls="--"))
        for place, part in enumerate(signals.body_parts(info.view)):
            _point(axes, signals, info.view, part, theme.color(place), theme)
        if info.view < len(views):
            axes.set_xlim(0, views[info.view].width)
            axes.set_ylim(views[info.view].height, 0)
        else:
            axes.autoscale()
            axes.invert_yaxis()
        axes.set_aspect("equal")
        title = f"view {info.view}: mean, and two standard deviations; dashed: what was looked at"
        axes.set_title(title, loc="left", fontsize=9, color=theme.ink)
        axes.tick_params(colors=theme.faint, labelsize=8)
        for spine in axes.spines.values():
            spine.set_color(theme.faint)
    return as_png(figure)


def _traces(signals: Signals, views: Sequence[ViewFrames] = (), theme: Theme = LIGHT) -> bytes | None:
    return traces_png(signals, theme)


@dataclass(frozen=True)
class Drawing:
    """A picture that can be drawn.

    Attributes
    ----------
    title, caption : str
    draw : callable
        ``draw(signals, views, theme)`` returns a PNG, or None; raises InputError where what is there can't be drawn.
    """

    title: str
    caption: str
    draw: Callable[[Signals, Sequence[ViewFrames], Theme], bytes | None]


DRAWINGS: Mapping[str, Drawing] = {
    "mean-frame": Drawing(
        "Mean frame and ROIs",
        "The mean of the frames that Facemap averages, binned; several views side by side. Ellipses are pupil and "
        "blink ROIs, rectangles motion and running ROIs.",
        mean_frame_png,
    ),
    "masks": Drawing(
        "Motion masks",
        f"The first {_MASKS} masks of the motion SVD of each region: where the video moves together. Red and blue "
        "are the two signs; which is which means nothing.",
        masks_png,
    ),
    "keypoints": Drawing(
        "Keypoints",
        "Where each body part is on average, and how far it goes: ellipses of two standard deviations of x and y.",
        keypoints_png,
    ),
    "traces": Drawing(
        "Traces",
        "All signals on one time axis. Where there are more frames than columns of pixels, each column shows all "
        "values from the least to the greatest: no extreme is lost.",
        _traces,
    ),
}
"""By their names, in the order in which they are shown."""


def drawable(signals: Signals) -> tuple[str, ...]:
    """Return the names of the pictures that a result has; nothing is drawn."""
    regions, poses = signals.regions(), signals.pose_views()
    found = {
        "mean-frame": signals.summary() is not None,
        "masks": any(signals.n_components(region.roi_no, "mot") for region in regions),
        "keypoints": bool(poses),
        "traces": bool(poses) or any(_has_trace(signals, region.roi_no) for region in regions),
    }
    return tuple(name for name in DRAWINGS if found[name])


def _has_trace(signals: Signals, roi_no: int) -> bool:
    names = ("motion", "pupil/area", "blink/trace", "running/displacement")
    return any(signals.shape(roi_no, name) is not None for name in names)


def _row_in(masks: Array) -> float:
    """Return how high a row of masks is drawn, inches, however odd their shape."""
    _, y, x = masks.shape
    return min(max(_CELL_IN * y / max(x, 1), 0.3), 2 * _CELL_IN)


def _corners(views: Sequence[ViewFrames], sbin: int, shape: tuple[int, ...]) -> dict[int, tuple[int, int]]:
    """Return the upper left corner of every view in the mean frame, where it is known."""
    if len(views) <= 1:
        return {0: (0, 0)}
    layout = lay_out([(view.height // sbin, view.width // sbin) for view in views])
    if (layout.height, layout.width) != shape:
        return {}
    return dict(enumerate(zip(layout.tops, layout.lefts, strict=True)))


def _box(region: RegionInfo, sbin: int, corner: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return y0, y1, x0, x1 in pixels of the mean frame."""
    top, left = corner
    y0, y1 = region.yrange.min() / sbin + top - 0.5, (region.yrange.max() + 1) / sbin + top - 0.5
    x0, x1 = region.xrange.min() / sbin + left - 0.5, (region.xrange.max() + 1) / sbin + left - 0.5
    return float(y0), float(y1), float(x0), float(x1)


def _outline(
    axes: Axes,
    region: RegionInfo,
    box: tuple[float, float, float, float],
    taken: dict[tuple[float, ...], float],
    color: str,
) -> None:
    """Draw a ROI; of two on the same spot, as pupil and blink often are, the second is dashed, its name beside."""
    y0, y1, x0, x1 = box
    style = "-" if box not in taken else (0, (4, 4))
    if is_eye(region.kind):
        middle = (x0 + x1) / 2, (y0 + y1) / 2
        axes.add_patch(Ellipse(middle, x1 - x0, y1 - y0, fill=False, ec=color, lw=2, ls=style))
    else:
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=color, lw=2, ls=style))
    name = named(region.name, region.roi_no)
    offset = taken.get(box, 3.0)
    taken[box] = offset + 8 + 5.5 * len(name)
    axes.annotate(
        name,
        (max(x0, 0), max(y0, 0)),
        xytext=(offset, -3),
        textcoords="offset points",
        color="white",
        fontsize=8,
        weight="bold",
        va="top",
        bbox={"boxstyle": "round,pad=0.2", "fc": "#1f2933", "ec": color, "alpha": 0.8},
    )


def _point(axes: Axes, signals: Signals, view: int, part: str, color: str, theme: Theme) -> None:
    count = 0
    total, squares = np.zeros(2), np.zeros(2)
    for start in range(0, signals.nframes, SLICE_FRAMES):
        stop = min(start + SLICE_FRAMES, signals.nframes)
        some = np.asarray(signals.keypoints(view, part, start, stop)[:2], np.float64)
        known = some[:, np.isfinite(some).all(axis=0)]
        count += known.shape[1]
        total += known.sum(axis=1)
        squares += (known**2).sum(axis=1)
    if not count:
        return
    x, y = total / count
    spread = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0.0))
    axes.add_patch(Ellipse((x, y), 4 * spread[0], 4 * spread[1], fc=color, ec=color, alpha=0.3))
    axes.plot(x, y, "o", ms=4, color=color)
    axes.annotate(part, (x, y), xytext=(5, 4), textcoords="offset points", fontsize=7.5, color=theme.ink)
