"""How all of the demo's figures look."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#1f2933"
FAINT = "#7b8794"
SHADE = "#eceff2"
TRUTH = "#b4c0cc"
COLORS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9")
"""Distinct for colour-blind readers too (after Okabe and Ito); one per ROI or body part, in order."""
WIDTH_IN = 14.0
_DPI = 130


def page(title: str, height_in: float) -> Figure:
    """Return an empty figure with its title."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.03, y=1 - 0.28 / height_in, ha="left", va="top", fontsize=14, weight="bold", color=INK)
    return figure


def explain(figure: Figure, words: Sequence[str]) -> None:
    """Say at the lower right what the colours mean."""
    y = 0.1 / float(figure.get_figheight())
    figure.text(0.985, y, "   ·   ".join(words), ha="right", va="bottom", fontsize=9, color=FAINT)


def quiet(axes: Axes) -> None:
    """Let a trace's axes stand back."""
    axes.locator_params(axis="y", nbins=3)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))
    axes.yaxis.get_offset_text().set(fontsize=7, color=FAINT)
    axes.tick_params(colors=FAINT, labelsize=8, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)


def bare(axes: Axes) -> None:
    """Take away everything around a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
