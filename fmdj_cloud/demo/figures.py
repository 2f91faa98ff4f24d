"""One figure per run: where was looked, what moved, and how it compares with the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Ellipse, Rectangle

from fmdj_cloud.contracts import RoiKind
from fmdj_cloud.demo.figure_style import COLORS, FAINT, INK, SHADE, TRUTH, WIDTH_IN, bare, explain, page, quiet
from fmdj_cloud.demo.truth import Box

Image = npt.NDArray[Any]
Trace = npt.NDArray[Any]

_LEFT, _MIDDLE = 0.03, 0.40
_TRACE_IN = 0.98
_MASKS_PER_ROW = 3
_MASK_IN = 1.9
_ROBUST = (0.1, 99.9)
"""Percentiles within which a trace is drawn: what a blink does to a fit must not flatten the rest."""


@dataclass(frozen=True)
class RoiOutline:
    """A ROI on the mean frame.

    Attributes
    ----------
    name : str
        Traces whose name begins with it get its colour.
    kind : RoiKind
        Pupil and blink ROIs are drawn as ellipses, as the Facemap GUI does.
    box : (float, float, float, float)
        y0, y1, x0, x1 in pixels of the mean frame (binned, views side by side).
    """

    name: str
    kind: RoiKind
    box: Box | tuple[float, float, float, float]


def run_figure(
    path: Path,
    *,
    title: str,
    avgframe: Image,
    rois: Sequence[RoiOutline],
    masks: Mapping[str, Image],
    traces: Mapping[str, Trace],
    truth: Mapping[str, Trace],
    shaded: Sequence[tuple[int, int]] = (),
    fps: float = 30.0,
) -> Path:
    """Draw a run as a PNG.

    Parameters
    ----------
    path : Path
        New file.
    title : str
    avgframe : ndarray, shape (y, x)
        Mean frame, gray levels.
    rois : sequence of RoiOutline
        In the order of the run.
    masks : mapping of str to ndarray, shape (y, x)
        Motion masks by the names they are shown with.
    traces : mapping of str to ndarray, shape (n,)
        Signals by name, drawn from top to bottom on one time axis.
    truth : mapping of str to ndarray, shape (n,)
        What is known of them, by the same names; scaled to the signal where units differ.
    shaded : sequence of (int, int)
        Frames ``start:stop`` to shade: the blinks.
    fps : float

    Returns
    -------
    Path
        `path`.
    """
    mask_rows = -(-len(masks) // _MASKS_PER_ROW)
    aspect = avgframe.shape[0] / avgframe.shape[1]
    left_in = (_MIDDLE - _LEFT) * WIDTH_IN
    frame_in = min(left_in * aspect, 5.0)
    height = max(frame_in + (_MASK_IN + 0.35) * mask_rows + 1.6, _TRACE_IN * len(traces) + 1.7, 5.0)
    figure = page(title, height)
    top, bottom = 1 - 1.0 / height, 0.78 / height
    colors = {roi.name: COLORS[number % len(COLORS)] for number, roi in enumerate(rois)}

    frame_bottom = top - frame_in / height
    place = GridSpec(1, 1, figure=figure, left=_LEFT, right=_MIDDLE, top=top, bottom=frame_bottom)
    _draw_frame(figure.add_subplot(place[0]), avgframe, rois, colors)
    for number, (name, mask) in enumerate(masks.items()):
        row, column = divmod(number, _MASKS_PER_ROW)
        row_top = frame_bottom - (0.5 + row * (_MASK_IN + 0.35)) / height
        cells = GridSpec(
            1,
            _MASKS_PER_ROW,
            figure=figure,
            left=_LEFT,
            right=_MIDDLE,
            top=row_top,
            bottom=row_top - _MASK_IN / height,
            wspace=0.10,
        )
        _draw_mask(figure.add_subplot(cells[column]), name, mask, _color_of(name, colors, FAINT))
    if traces:
        right = GridSpec(len(traces), 1, figure=figure, left=0.475, right=0.985, top=top, bottom=bottom, hspace=0.42)
        shared: Axes | None = None
        for number, (name, trace) in enumerate(traces.items()):
            axes = figure.add_subplot(right[number], sharex=shared)
            shared = shared or axes
            color = _color_of(name, colors, INK)
            _draw_trace(axes, name, trace, truth.get(name), color=color, shaded=shaded, fps=fps)
            axes.tick_params(labelbottom=number == len(traces) - 1)
        axes.set_xlabel("time (s)", color=INK)
        _explain(figure, truth=bool(truth), shaded=bool(shaded))
    figure.savefig(path)
    return path


def _color_of(name: str, colors: Mapping[str, str], otherwise: str) -> str:
    """Return the colour of the ROI whose name begins a trace's or mask's name; the longest wins."""
    matches = [roi for roi in colors if name == roi or name.startswith(f"{roi} ")]
    return colors[max(matches, key=len)] if matches else otherwise


def _draw_frame(axes: Axes, avgframe: Image, rois: Sequence[RoiOutline], colors: Mapping[str, str]) -> None:
    height, width = avgframe.shape
    axes.imshow(avgframe, cmap="gray", vmin=0, vmax=max(float(avgframe.max()), 1.0), interpolation="nearest")
    tags: dict[tuple[float, ...], float] = {}
    for roi in rois:
        y0, y1, x0, x1 = roi.box
        color = colors[roi.name]
        if roi.kind in (RoiKind.PUPIL, RoiKind.BLINK):
            center = (x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2
            # Of two ROIs on the same spot, the second is dashed, so that both are seen.
            style = "-" if roi.box not in tags else (0, (4, 4))
            axes.add_patch(Ellipse(center, x1 - x0, y1 - y0, fill=False, ec=color, lw=2.2, ls=style))
        else:
            axes.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, ec=color, lw=2.2))
        offset = tags.get(roi.box, 0.0)
        tags[roi.box] = offset + 10 + 5.6 * len(roi.name)
        axes.annotate(
            roi.name,
            (max(x0 - 0.5, 0), max(y0 - 0.5, 0.06 * height)),
            xytext=(2 + offset, 3),
            textcoords="offset points",
            color="white",
            fontsize=8.5,
            weight="bold",
            va="bottom",
            bbox={"boxstyle": "round,pad=0.22", "fc": color, "ec": "none"},
        )
    axes.set_title(f"mean frame, {width} x {height} binned pixels", loc="left", fontsize=10, color=INK)
    axes.set_anchor("NW")
    bare(axes)


def _draw_mask(axes: Axes, name: str, mask: Image, color: str) -> None:
    limit = float(np.nanpercentile(np.abs(mask), 99.5)) or 1.0
    axes.imshow(mask, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_title(name, loc="left", fontsize=9, color=INK)
    axes.set_anchor("NW")
    bare(axes)
    for spine in axes.spines.values():
        spine.set(visible=True, color=color, linewidth=2)


def _draw_trace(
    axes: Axes,
    name: str,
    trace: Trace,
    truth: Trace | None,
    *,
    color: str,
    shaded: Sequence[tuple[int, int]],
    fps: float,
) -> None:
    time = np.arange(len(trace)) / fps
    for start, stop in shaded:
        axes.axvspan((start - 0.5) / fps, (stop - 0.5) / fps, color=SHADE, lw=0)
    axes.plot(time, trace, color=color, lw=1.0, zorder=3)
    shown = [np.nanpercentile(trace, _ROBUST)]
    if truth is not None:
        known = _eye_open(len(trace), shaded) & np.isfinite(trace)
        scaled, r = _scale(truth, trace, known)
        axes.plot(time, scaled, color=TRUTH, lw=3.6, zorder=2, solid_capstyle="round")
        shown.append(np.nanpercentile(scaled, _ROBUST))
        axes.set_title(f"r = {r:.3f}", loc="right", fontsize=9, color=FAINT, pad=3)
    low, high = float(np.min(shown)), float(np.max(shown))
    margin = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlim(0, time[-1])
    axes.set_title(name, loc="left", fontsize=10, weight="bold", color=color, pad=3)
    quiet(axes)


def _eye_open(nframes: int, shaded: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    eye_open = np.ones(nframes, dtype=bool)
    for start, stop in shaded:
        eye_open[start:stop] = False
    return eye_open


def _scale(truth: Trace, trace: Trace, known: npt.NDArray[np.bool_]) -> tuple[Trace, float]:
    """Return the truth in the trace's units (least squares) and their correlation."""
    x, y = np.asarray(truth, float), np.asarray(trace, float)
    spread = x[known].std()
    if known.sum() < 2 or spread == 0 or y[known].std() == 0:
        return x, float("nan")
    slope, offset = np.polyfit(x[known], y[known], 1)
    return slope * x + offset, float(np.corrcoef(x[known], y[known])[0, 1])


def _explain(figure: Figure, *, truth: bool, shaded: bool) -> None:
    words = ["colour: loaded from the database"]
    if truth:
        words.append("broad gray: truth, scaled to it")
    if shaded:
        words.append("shaded: blinks, left out of r")
    explain(figure, words)
