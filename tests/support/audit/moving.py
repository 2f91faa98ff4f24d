"""What Facemap makes of a small video in which two regions move each for itself: consistent as real results are.

As a signals.h5 with its manifest, as a ``_proc.npy`` dict, and as the facts that an audit reads.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Kind, Manifest, Origin, Roi, RoiKind, SvdParams
from fmdj_cloud.signals_h5 import FULL_FRAME, RegionInfo, SignalsWriter
from tests.unit.importing.conftest import roi as gui_roi
from tests.unit.load import conftest as load

NFRAMES, HEIGHT, WIDTH, SBIN, COMPONENTS = 620, 32, 48, 4, 8
BOXES = {1: (0, 16, 0, 24), 2: (16, 32, 20, 48)}
"""roi_no -> y0, y1, x0, x1; whole bins, which Facemap's rules for edges leave as they are."""
BINNED = {0: (8, 12), 1: (4, 6), 2: (4, 7)}
RUNNING = 3


@dataclass(frozen=True)
class Region:
    """Results of one region: motion (n,), masks (y, x, c), courses (n, c)."""

    motion: np.ndarray
    mot: tuple[np.ndarray, np.ndarray]
    mov: tuple[np.ndarray, np.ndarray]


@functools.cache
def regions() -> dict[int, Region]:
    """Results by roi_no: full frame and two ROIs."""
    rng = np.random.default_rng(3)
    activity = rng.gamma(1.0, 1.0, (NFRAMES, 2))
    frames = np.full((NFRAMES, *BINNED[0]), 100.0)
    for column, box in enumerate(BOXES.values()):
        y0, y1, x0, x1 = (edge // SBIN for edge in box)
        patterns = rng.standard_normal((4, (y1 - y0) * (x1 - x0)))
        weights = rng.standard_normal((NFRAMES, 4)) * activity[:, column : column + 1]
        frames[:, y0:y1, x0:x1] += (weights @ patterns).reshape(NFRAMES, y1 - y0, x1 - x0)
    frames += rng.standard_normal(frames.shape) * 0.05
    found = {0: _region(frames)}
    for number, box in BOXES.items():
        y0, y1, x0, x1 = (edge // SBIN for edge in box)
        found[number] = _region(frames[:, y0:y1, x0:x1])
    return found


def _region(frames: np.ndarray) -> Region:
    shape = frames.shape[1:]
    flat = frames.reshape(len(frames), -1)
    changes = np.abs(np.diff(flat, axis=0, prepend=flat[:1]))
    changes[0] = changes[1]
    return Region(
        motion=changes.sum(1).astype(np.float32), mot=_decomposed(changes, shape), mov=_decomposed(flat, shape)
    )


def _decomposed(data: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    centred = data - data.mean(0)
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    masks = components[:COMPONENTS].T
    return masks.reshape(*shape, COMPONENTS).astype(np.float32), (centred @ masks).astype(np.float32)


def running() -> np.ndarray:
    """A surface's displacement: smooth."""
    return np.cumsum(np.random.default_rng(5).standard_normal((NFRAMES, 2)), axis=0)


def noise() -> np.ndarray:
    """What Facemap 1.0.8 makes of it (F4)."""
    return np.random.default_rng(6).integers(-20, 20, (NFRAMES, 2)).astype(np.float64)


def early(motion: np.ndarray) -> np.ndarray:
    """A motion trace as Facemap 1.0.8 stores it (F1)."""
    stored = motion.copy()
    stored[:499], stored[499] = motion[1:500], 0
    return stored


def params() -> SvdParams:
    """Full frame, two motion ROIs, a running ROI."""
    rois = tuple(Roi(kind=RoiKind.MOTION_SVD, y0=y0, y1=y1, x0=x0, x1=x1) for y0, y1, x0, x1 in BOXES.values())
    return SvdParams(sbin=SBIN, mov_svd=True, rois=(*rois, Roi(kind=RoiKind.RUNNING, y0=16, y1=32, x0=0, x1=16)))


def task_params() -> dict[str, Any]:
    """The same as a lab writes it into FacemapTask."""
    boxes = [gui_roi(1, number, box[:2], box[2:]) for number, box in BOXES.items()]
    return {"sbin": SBIN, "movSVD": True, "rois": [*boxes, gui_roi(3, 3, (16, 32), (0, 16))]}


def write(path: Path, *, run_id: str = "svd-0123456789abcdef", seed: int = 0) -> Path:
    """Write signals.h5."""
    with SignalsWriter(path, kind=Kind.SVD, run_id=run_id, nframes=NFRAMES, sbin=SBIN, fps=30.0) as writer:
        picture = np.linspace(0, 255, BINNED[0][0] * BINNED[0][1]).reshape(BINNED[0])
        writer.summary(picture, picture / 10)
        for number, found in regions().items():
            writer.region(_info(number))
            writer.motion(number, found.motion)
            for basis in ("mot", "mov"):
                masks, courses = getattr(found, basis)
                writer.components(number, basis, masks, courses, np.arange(COMPONENTS, 0, -1))
        writer.region(_info(RUNNING))
        writer.running(RUNNING, running())
    return path


def _info(number: int) -> RegionInfo:
    kind = FULL_FRAME if number == 0 else RoiKind.RUNNING if number == RUNNING else RoiKind.MOTION_SVD
    y0, y1, x0, x1 = {0: (0, HEIGHT, 0, WIDTH), RUNNING: (16, 32, 0, 16), **BOXES}[number]
    binned = BINNED.get(number, (0, 0))
    return RegionInfo(
        roi_no=number,
        kind=str(kind),
        name=f"region{number}",
        view=-1 if number == 0 else 0,
        yrange=np.arange(y0, y1),
        xrange=np.arange(x0, x1),
        yrange_bin=np.arange(y0 // SBIN, y0 // SBIN + binned[0]),
        xrange_bin=np.arange(x0 // SBIN, x0 // SBIN + binned[1]),
        origin=Origin.FACEMAP,
    )


def proc() -> dict[str, Any]:
    """The same results as Facemap 1.0.8 saves them, faults and all."""
    found = list(regions().values())
    picture = np.linspace(0, 255, BINNED[0][0] * BINNED[0][1], dtype=np.float32).reshape(BINNED[0])
    svds = {
        f"{basis}{name}": [getattr(one, basis)[place] for one in found]
        for basis in ("mot", "mov")
        for place, name in enumerate(("Mask_reshape", "SVD"))
    }
    masks = {
        f"{basis}Mask": [mask.reshape(-1, COMPONENTS) for mask in svds[f"{basis}Mask_reshape"]]
        for basis in ("mot", "mov")
    }
    values = np.arange(COMPONENTS, 0, -1).astype(np.float32)
    return {
        "filenames": [["/data/101.avi"]],
        "save_path": "/data",
        "Ly": [HEIGHT],
        "Lx": [WIDTH],
        "sbin": SBIN,
        "fullSVD": True,
        "avgframe": [picture.ravel()],
        "avgmotion": [picture.ravel()],
        "avgframe_reshape": picture,
        "avgmotion_reshape": picture,
        "motion": [early(one.motion) for one in found],
        "motSv": values,
        "movSv": values,
        **svds,
        **masks,
        "pupil": [],
        "running": [noise()],
        "blink": [],
        "rois": task_params()["rois"],
    }


def manifest(**changes: Any) -> Manifest:
    """The manifest of that file."""
    from fmdj_cloud.contracts import SignalOrigin, ViewFrames

    views = (ViewFrames(height=HEIGHT, width=WIDTH, fps=30.0, frames=(NFRAMES,), header_frames=(NFRAMES,)),)
    signals = (SignalOrigin(signal="running", roi_no=RUNNING, origin=Origin.REPAIRED, repairs=("F4",)),)
    return load.manifest(**{"nframes": NFRAMES, "views": views, "signals": signals} | changes)


def rows() -> Iterator[tuple[int, Region]]:
    """Regions that have an SVD, by number."""
    yield from sorted(regions().items())
