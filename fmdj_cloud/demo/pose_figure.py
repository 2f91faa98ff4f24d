"""The figure of a pose run: where body parts were found, and how that moved, against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.gridspec import GridSpec

from fmdj_cloud.demo.figure_style import COLORS, FAINT, INK, SHADE, TRUTH, bare, explain, page, quiet

Points = npt.NDArray[Any]
"""(n, 2): x, y in pixels."""

_HEIGHT_IN = 7.2
_MARGIN_PX = 6.0
"""Shown around the truth at least, so that a trace that hardly moves doesn't look as if it did."""
_ROBUST = (0.1, 99.9)


def pose_figure(
    path: Path,
    *,
    title: str,
    frame: npt.NDArray[Any],
    found: Mapping[str, Points],
    truth: Mapping[str, Points],
    others: Mapping[str, Points],
    shaded: Sequence[tuple[int, int]] = (),
    fps: float = 30.0,
) -> Path:
    """Draw a run as a PNG.

    Parameters
    ----------
    path : Path
        New file.
    title : str
    frame : ndarray, shape (y, x)
        A frame of the video, gray levels.
    found : mapping of str to ndarray, shape (n, 2)
        Points by body part, drawn on the frame and as traces of x and y; in frames without points NaN.
    truth : mapping of str to ndarray, shape (n, 2)
        Where they really are.
    others : mapping of str to ndarray, shape (n, 2)
        Of further body parts, drawn on the frame alone.
    shaded : sequence of (int, int)
        Frames ``start:stop`` to shade: the blinks. What happens to a point there must not flatten the rest.
    fps : float

    Returns
    -------
    Path
        `path`.
    """
    figure = page(title, _HEIGHT_IN)
    top, bottom = 1 - 1.0 / _HEIGHT_IN, 0.78 / _HEIGHT_IN
    left = GridSpec(1, 1, figure=figure, left=0.03, right=0.40, top=top, bottom=bottom)
    colors = dict(zip(found, COLORS, strict=False))
    _draw_frame(figure.add_subplot(left[0]), frame, found, truth, others, colors)
    right = GridSpec(2 * len(found), 1, figure=figure, left=0.475, right=0.985, top=top, bottom=bottom, hspace=0.5)
    shared: Axes | None = None
    for number, (part, axis) in enumerate((part, axis) for part in found for axis in (0, 1)):
        axes = figure.add_subplot(right[number], sharex=shared)
        shared = shared or axes
        axes.set_title(f"{part} {'xy'[axis]}, px", loc="left", fontsize=10, weight="bold", color=colors[part], pad=3)
        if axis == 0:
            error = np.nanmedian(np.hypot(*(found[part] - truth[part]).T))
            axes.set_title(f"median error {error:.1f} px", loc="right", fontsize=9, color=FAINT, pad=3)
        _draw_trace(axes, found[part][:, axis], truth[part][:, axis], shaded, color=colors[part], fps=fps)
        axes.tick_params(labelbottom=number == 2 * len(found) - 1)
    axes.set_xlabel("time (s)", color=INK)
    words = ("colour: loaded from the database", "broad gray: truth", "shaded: blinks")
    explain(figure, words if shaded else words[:2])
    figure.savefig(path)
    return path


def _draw_frame(
    axes: Axes,
    frame: npt.NDArray[Any],
    found: Mapping[str, Points],
    truth: Mapping[str, Points],
    others: Mapping[str, Points],
    colors: Mapping[str, str],
) -> None:
    height, width = frame.shape
    axes.imshow(frame, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    for points in others.values():
        axes.plot(*np.nanmedian(points, axis=0), "o", ms=4, mfc="none", mec="white", mew=1.2)
    for part, points in found.items():
        x, y = np.nanmedian(points, axis=0)
        axes.plot(*np.nanmedian(truth[part], axis=0), "o", ms=13, mfc="none", mec=TRUTH, mew=3)
        axes.plot(x, y, "o", ms=5, color=colors[part])
        axes.annotate(
            part,
            (x, y),
            xytext=(9, 6),
            textcoords="offset points",
            color="white",
            fontsize=8.5,
            weight="bold",
            bbox={"boxstyle": "round,pad=0.22", "fc": colors[part], "ec": "none"},
        )
    axes.set_title(
        f"first frame, {width} x {height} pixels, and the median of each point", loc="left", fontsize=10, color=INK
    )
    axes.set_anchor("NW")
    bare(axes)


def _draw_trace(
    axes: Axes, trace: Points, truth: Points, shaded: Sequence[tuple[int, int]], *, color: str, fps: float
) -> None:
    time = np.arange(len(trace)) / fps
    usual = np.ones(len(trace), dtype=bool)
    for start, stop in shaded:
        axes.axvspan((start - 0.5) / fps, (stop - 0.5) / fps, color=SHADE, lw=0)
        usual[start:stop] = False
    axes.plot(time, truth, color=TRUTH, lw=3.6, zorder=2, solid_capstyle="round")
    axes.plot(time, trace, color=color, lw=1.0, zorder=3)
    shown = [*np.nanpercentile(trace[usual], _ROBUST), np.min(truth) - _MARGIN_PX, np.max(truth) + _MARGIN_PX]
    axes.set_ylim(min(shown), max(shown))
    axes.set_xlim(0, time[-1])
    quiet(axes)
