"""The points of one file, as they come in."""

from __future__ import annotations

import numpy as np

from fmdj_cloud.worker.pose.parts import Points


class Trace:
    """Points of one file of one view.

    Parameters
    ----------
    promised : int
        Frames that its packets promise.
    body_parts : int
    """

    def __init__(self, promised: int, body_parts: int) -> None:
        self.frames = promised
        """Frames that count: those that the packets promise, until it is known how many can be decoded."""
        self.seconds = 0.0
        """What the network took."""
        self._points = np.zeros((promised, body_parts, 3), np.float32)
        self._points[:, :, :2] = np.nan

    def put(self, start: int, points: Points, *, ends: bool) -> None:
        """Keep the points of frames from `start` on."""
        self._points[start : start + len(points)] = points
        if ends:
            self.frames = min(self.frames, start + len(points))

    def points(self, frames: int) -> Points:
        """Return the points of the first frames."""
        return self._points[:frames]


def bad_frames(points: Points) -> int:
    """Return how many frames hold no point: damaged, of one gray level, or beyond the network."""
    return int(np.count_nonzero(np.isnan(points[:, 0, 0])))
