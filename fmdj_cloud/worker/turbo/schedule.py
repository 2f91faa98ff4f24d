"""Which frames the mean and the basis are made of: Facemap's choice, as it was seen to read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fmdj_cloud.worker.turbo.frames import Range

CHUNK = 1000
"""Frames of one chunk of the basis."""
BASIS_FRAMES = 15_000
"""Frames of all chunks together, at most."""
_RUN = 100
_MEAN_FRAMES = 1000


def mean_runs(frames: Sequence[int]) -> tuple[Range, ...]:
    """Return the runs of consecutive frames that mean frame and mean motion are taken from.

    Ten runs of 100 frames, evenly over the recording; shorter ones and as many more where a file is shorter.

    Parameters
    ----------
    frames : sequence of int
        Frames of each sequential file.
    """
    total = sum(frames)
    run = min(_RUN, *frames) if len(frames) > 1 else min(_RUN, total)
    return _spread(total - run, min(_MEAN_FRAMES, total) // run, run)


def basis_chunks(nframes: int) -> tuple[Range, ...]:
    """Return the chunks of consecutive frames that the basis is made of.

    Parameters
    ----------
    nframes : int
        Frames of the whole recording.
    """
    chunk = min(CHUNK, nframes)
    return _spread(max(0, nframes - chunk - 1), max(1, min(BASIS_FRAMES // chunk, nframes // chunk)), chunk)


def sampled(frames: Sequence[int], *, basis: bool) -> tuple[Range, ...]:
    """Return all frames that a basis stage reads, each once: disjoint ranges in order.

    Parameters
    ----------
    frames : sequence of int
        Frames of each sequential file.
    basis : bool
        Whether a basis is made, or mean frame and mean motion alone.
    """
    chosen = [*mean_runs(frames), *(basis_chunks(sum(frames)) if basis else ())]
    joined: list[Range] = []
    for start, stop in sorted(chosen):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return tuple(joined)


def _spread(last: int, count: int, length: int) -> tuple[Range, ...]:
    return tuple((int(start), int(start) + length) for start in np.linspace(0, last, count))
