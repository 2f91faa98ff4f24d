"""Draw traces on one time axis."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from fmdj_cloud.report.envelope import envelope
from fmdj_cloud.report.panels import Panel, panels
from fmdj_cloud.report.signals import Signals
from fmdj_cloud.report.style import DPI, LIGHT, Theme, as_png, new_figure, quiet

_WIDTH_IN = 12.0
_PANEL_IN = 0.95
_TOP_IN, _BOTTOM_IN = 0.35, 0.55
_LEFT, _RIGHT = 0.07, 0.985
_MOST = 64
"""Panels in one picture, which is 60 inches high then."""
_COLUMNS = round((_RIGHT - _LEFT) * _WIDTH_IN * DPI)
"""Of pixels that a trace has."""
_ALPHA = (1.0, 0.55)


def traces_png(signals: Signals, theme: Theme = LIGHT, *, columns: int = _COLUMNS) -> bytes | None:
    """Draw pupil, motion, running, blink and keypoints on one time axis.

    Where there are more frames than columns of pixels, every column shows all values from the least to the greatest
    of its frames. The axes reach from the least to the greatest value of the whole trace.

    Parameters
    ----------
    signals : Signals
        Read in slices: no trace is ever in memory as a whole.
    theme : Theme
    columns : int
        Of pixels at most.

    Returns
    -------
    bytes or None
        PNG; None if there is no trace.
    """
    every = panels(signals)
    found = every[:_MOST]
    if not found or not signals.nframes:
        return None
    height = _PANEL_IN * len(found) + _TOP_IN + _BOTTOM_IN
    figure = new_figure(theme, _WIDTH_IN, height)
    grid = figure.add_gridspec(
        len(found), 1, left=_LEFT, right=_RIGHT, top=1 - _TOP_IN / height, bottom=_BOTTOM_IN / height, hspace=0.75
    )
    rate = signals.fps or 1.0
    shared: Axes | None = None
    for number, panel in enumerate(found):
        axes = figure.add_subplot(grid[number], sharex=shared)
        shared = shared or axes
        _draw(axes, panel, signals.nframes, rate, columns, theme)
        axes.xaxis.set_visible(number == len(found) - 1)  # ticks take most of the time
    axes.set_xlim(0, max(signals.nframes - 1, 1) / rate)
    axes.set_xlabel(axis_text(signals.fps, len(every)), color=theme.ink, fontsize=9)
    return as_png(figure)


def axis_text(fps: float, count: int) -> str:
    """Return what stands below the traces: their unit, and how many panels a picture has no room for."""
    unit = "time (s)" if fps else "frame"
    return unit if count <= _MOST else f"{unit}; {count - _MOST} of {count} panels are left out"


def _draw(axes: Axes, panel: Panel, nframes: int, rate: float, columns: int, theme: Theme) -> None:
    color = theme.color(panel.owner)
    lowest, highest = float("inf"), float("-inf")
    missing = 0
    for place, line in enumerate(panel.lines):
        drawn = envelope(line.read, nframes, columns)
        shift = drawn.mean if line.centred else 0.0
        low, high = drawn.low - shift, drawn.high - shift
        # Where least and greatest are equal, the edge of what is filled is the line
        axes.fill_between(drawn.positions / rate, low, high, color=color, alpha=_ALPHA[min(place, 1)], lw=0.9)
        missing = max(missing, drawn.missing)
        known = np.isfinite(low)
        if known.any():
            lowest, highest = min(lowest, float(low[known].min())), max(highest, float(high[known].max()))
    if lowest <= highest:
        margin = 0.05 * (highest - lowest) or 1.0
        axes.set_ylim(lowest - margin, highest + margin)
    axes.set_title(f"{panel.name} ({panel.unit})", loc="left", fontsize=9, weight="bold", color=color, pad=3)
    said = [line.label for line in panel.lines if line.label]
    words = [f"{' strong, '.join(said)} pale"] if len(said) == len(_ALPHA) else []
    words += [f"{missing} frames without a number"] if missing else []
    axes.set_title("; ".join(words), loc="right", fontsize=8, color=theme.faint, pad=3)
    quiet(axes, theme)
