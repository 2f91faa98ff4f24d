"""How much lies on the edge of what was looked at."""

from __future__ import annotations

import numpy as np

from fmdj_cloud.signals_h5 import Array


class EnergyMeter:
    """Sums the energy that components put into every pixel: squares of their projections times those of their masks.

    Parameters
    ----------
    height, width : int
        Pixels of the masks.
    """

    def __init__(self, height: int, width: int) -> None:
        self.energy: Array = np.zeros((height, width))

    def add(self, mask: Array, projection: Array) -> None:
        """Add a component: its mask, (y, x), and projection, (nframes,); what is no number counts as none."""
        with np.errstate(all="ignore"):
            course = projection.astype(np.float64)
            energy = (course @ course) * mask.astype(np.float64) ** 2
        self.energy += np.where(np.isfinite(energy), energy, 0.0)


def edge_excess(energy: Array) -> float:
    """Return how much of the energy lies in the outermost pixels, in units of what an even spread puts there.

    Parameters
    ----------
    energy : ndarray, shape (y, x)

    Returns
    -------
    float
        1 for an even spread; 0 if there is none, or nothing but edge.
    """
    inner = energy[1:-1, 1:-1]
    total = float(energy.sum())
    if not inner.size or not 0 < total < np.inf:
        return 0.0
    edge = (total - float(inner.sum())) / total
    return max(0.0, edge / ((energy.size - inner.size) / energy.size))


def share_at_edge(area: Array, center: Array, height: int, width: int) -> float:
    """Return the share of frames in which a circle of the pupil's area reaches the edge of its ROI.

    Parameters
    ----------
    area : ndarray, shape (n,)
        Pixels.
    center : ndarray, shape (n, 2)
        y, x in pixels from the ROI's corner.
    height, width : int
        Of the ROI.
    """
    with np.errstate(all="ignore"):
        radius = np.sqrt(area / np.pi)
        y, x = center[:, 0], center[:, 1]
        nearest = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x))
        reaches = (area > 0) & (nearest < radius)
    return int(np.count_nonzero(reaches)) / max(1, len(area))
