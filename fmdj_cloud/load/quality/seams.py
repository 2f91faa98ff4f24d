"""Jumps of traces at the borders of chunks.

Facemap projects frames in chunks of 500, and shards begin where such chunks do. Right results run on across these
borders. Pieces that were computed apart and then joined don't: each has a mean and a basis of its own, and the sign of
a component is up to chance. A trace that is one frame early in the first chunk (F1) jumps there, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmdj_cloud.signals_h5 import Array

CHUNK = 500
"""Frames that Facemap projects at a time."""
_AROUND = 50
"""Frames before and after a border that it is compared with."""
_LEAST = 20
"""Of these, so many must be there."""
_TIMES = 4.0
"""A seam is so many times larger than the largest change around, squared: twice in amplitude. If all is chance, the
largest of a hundred changes lies on a given frame one time in a hundred, and is twice the next far more seldom."""


class StepMeter:
    """Sums what happens from frame to frame over traces, which may come one after the other.

    Parameters
    ----------
    nframes : int

    Attributes
    ----------
    changes : ndarray of float64, shape (nframes - 1,)
        Squared; entry k is from frame k to k + 1.
    energy : ndarray of float64, shape (nframes,)
        Sum of the squares in a frame.
    """

    def __init__(self, nframes: int) -> None:
        self.changes: Array = np.zeros(max(0, nframes - 1))
        self.energy: Array = np.zeros(nframes)
        self._products: Array = np.zeros(max(0, nframes - 1))

    def add(self, trace: Array) -> None:
        """Add a trace, (nframes,); one with values that are no numbers is left out."""
        if not np.isfinite(trace).all():
            return
        values = trace.astype(np.float64)
        self.changes += np.diff(values) ** 2
        self.energy += values**2
        self._products += values[1:] * values[:-1]

    @property
    def turns(self) -> Array:
        """How far all traces together turn from frame k to k + 1: 0 not at all, 1 to what has nothing in common."""
        scale = np.sqrt(self.energy[1:]) * np.sqrt(self.energy[:-1])
        turns: Array = 1 - self._products / np.where(scale > 0, scale, 1.0)
        return turns


def borders(nframes: int, files: Sequence[int] = ()) -> list[int]:
    """Return the frames that begin a chunk, but for those that begin a file: a new file may look different.

    Parameters
    ----------
    nframes : int
    files : sequence of int
        Frames of every sequential file.
    """
    begins = set(np.cumsum(files).tolist())
    return [frame for frame in range(CHUNK, nframes, CHUNK) if frame not in begins]


def count_seams(changes: Array, at: Sequence[int]) -> tuple[int, int]:
    """Return how many borders are seams, and how many could be judged.

    Parameters
    ----------
    changes : ndarray of float64, shape (nframes - 1,)
        Squared; entry k is the change from frame k to k + 1.
    at : sequence of int
        Frames that begin a chunk.
    """
    seams = judged = 0
    for frame in at:
        middle = frame - 1  # the change into the border's first frame; F1 shows in the one before it, too
        before = changes[max(0, middle - 1 - _AROUND) : max(0, middle - 1)]
        after = changes[middle + 2 : middle + 2 + _AROUND]
        around = np.concatenate((before, after))
        if around.size < _LEAST:
            continue
        judged += 1
        jump = float(np.max(changes[max(0, middle - 1) : middle + 2], initial=0.0))
        seams += jump > _TIMES * float(np.max(around))
    return seams, judged


def excess_at(steps: Array, at: Sequence[int]) -> float:
    """Return by how many standard errors steps into some frames are larger than others, as their ranks have it.

    This is Wilcoxon's rank-sum test against steps that all stand the same chance (F. Wilcoxon, Biometrics Bulletin 1,
    1945): where pieces were computed apart, traces run on less across all of their borders, though no single border
    stands out.

    Parameters
    ----------
    steps : ndarray, shape (nframes - 1,)
        Entry k is from frame k to k + 1.
    at : sequence of int
        Frames, not 0.

    Returns
    -------
    float
        0 for none; at most 1.73 times the root of their number.
    """
    if not len(at):
        return 0.0
    ordered = np.sort(steps)
    chosen = steps[np.asarray(at) - 1]
    below, upto = np.searchsorted(ordered, chosen, "left"), np.searchsorted(ordered, chosen, "right")
    ranks = (below + upto) / 2 / len(steps)
    return float((ranks.mean() - 0.5) * np.sqrt(12 * len(at)))
