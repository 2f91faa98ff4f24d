"""How all pictures look: two themes, and figures that share no state."""

from __future__ import annotations

import io
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 100


@dataclass(frozen=True)
class Theme:
    """Colours.

    Attributes
    ----------
    paper, ink, faint : str
    colors : tuple of str
        Of regions and body parts, in their order.
    """

    paper: str
    ink: str
    faint: str
    colors: tuple[str, ...]

    def color(self, owner: int) -> str:
        """Return the colour of a region or body part."""
        return self.colors[owner % len(self.colors)]


# Colours that colour-blind readers can tell apart (after Okabe and Ito), darker on white, lighter on black
LIGHT = Theme("#ffffff", "#1f2933", "#616e7c", ("#323f4b", "#0072b2", "#b34700", "#00795a", "#9c4a7c", "#7a6200"))
DARK = Theme("#14181d", "#e8ecf0", "#9aa5b1", ("#cbd2d9", "#56b4e9", "#ff9248", "#2fc9a0", "#e59bc4", "#e6c84c"))


def new_figure(theme: Theme, width_in: float, height_in: float) -> Figure:
    """Return an empty figure of its own canvas; nothing of pyplot's state is touched."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor=theme.paper)
    FigureCanvasAgg(figure)
    return figure


def as_png(figure: Figure) -> bytes:
    """Return a figure as a PNG without a date: equal figures are equal bytes."""
    data = io.BytesIO()
    figure.savefig(data, format="png", facecolor=figure.get_facecolor(), metadata={"Software": "fmdj-cloud"})
    return data.getvalue()


def bare(axes: Axes) -> None:
    """Take away everything around a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def quiet(axes: Axes, theme: Theme) -> None:
    """Let a trace's axes stand back."""
    axes.set_facecolor(theme.paper)
    axes.locator_params(axis="y", nbins=3)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 5))
    axes.yaxis.get_offset_text().set(fontsize=7, color=theme.faint)
    axes.tick_params(colors=theme.faint, labelsize=8, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.faint)
