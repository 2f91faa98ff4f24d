"""What the test's workers compute: numbers that follow from the task alone, so that what was loaded can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmdj_cloud.contracts import Kind, Origin
from fmdj_cloud.signals_h5 import FULL_FRAME, RegionInfo, SignalsWriter

NFRAMES, HEIGHT, WIDTH, SBIN, COMPONENTS = 60, 32, 48, 4, 3


@dataclass(frozen=True)
class Numbers:
    """The signals of the full frame."""

    avgframe: np.ndarray
    avgmotion: np.ndarray
    motion: np.ndarray
    masks: np.ndarray
    projections: np.ndarray
    values: np.ndarray


def numbers(recording_id: int, sbin: int = SBIN) -> Numbers:
    """Return what is computed for a recording; `sbin` stands for all parameters."""
    rng = np.random.default_rng([recording_id, sbin])
    y, x = HEIGHT // sbin, WIDTH // sbin
    masks = rng.normal(size=(y, x, COMPONENTS))
    masks /= np.linalg.norm(masks.reshape(-1, COMPONENTS), axis=0)
    arrays = (
        rng.uniform(0, 255, (y, x)),
        rng.uniform(0, 25, (y, x)),
        rng.uniform(100, 200, NFRAMES),
        masks,
        rng.normal(size=(NFRAMES, COMPONENTS)),
        np.arange(COMPONENTS, 0, -1),
    )
    return Numbers(*(array.astype(np.float32) for array in arrays))


def write(path: Path, recording_id: int, run_id: str, sbin: int = SBIN) -> None:
    """Write them as a worker does."""
    found = numbers(recording_id, sbin)
    info = RegionInfo(
        roi_no=0,
        kind=FULL_FRAME,
        name="FullSVD",
        view=-1,
        yrange=np.arange(HEIGHT),
        xrange=np.arange(WIDTH),
        yrange_bin=np.arange(HEIGHT // sbin),
        xrange_bin=np.arange(WIDTH // sbin),
        origin=Origin.FACEMAP,
    )
    with SignalsWriter(path, kind=Kind.SVD, run_id=run_id, nframes=NFRAMES, sbin=sbin, fps=30.0) as writer:
        writer.summary(found.avgframe, found.avgmotion)
        writer.region(info)
        writer.motion(0, found.motion)
        writer.components(0, "mot", found.masks, found.projections, found.values)
