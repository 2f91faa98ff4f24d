"""A ``_proc.npy`` as Facemap writes it, made by hand: small, and with every signal."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HEIGHT, WIDTH, SBIN, FRAMES = 24, 32, 4, 600
HEADER = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n"


def roi(rind: int, number: int, y: tuple[int, int], x: tuple[int, int]) -> dict[str, Any]:
    kinds = ("pupil", "motion SVD", "blink", "running")
    return {
        "rind": rind,
        "rtype": kinds[rind],
        "iROI": number,
        "ivid": np.int64(0),
        "color": (180.0, 0.0, 50.0),
        "yrange": np.arange(*y, dtype=np.int32),
        "xrange": np.arange(*x, dtype=np.int32),
        "saturation": 255.0,
        "ellipse": np.ones((y[1] - y[0], x[1] - x[0]), bool),
    }


class Maker:
    """Makes proc dicts whose numbers agree with each other."""

    def __init__(self, frames: int = FRAMES, seed: int = 0) -> None:
        self.frames = frames
        self.rng = np.random.default_rng(seed)

    def svd(self, height: int, width: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Masks of unit norm, (y, x, c), and projections, (n, c)."""
        masks, _ = np.linalg.qr(self.rng.standard_normal((height * width, count)))
        projections = self.rng.gamma(2.0, 100.0, (self.frames, 1)) * self.rng.standard_normal((1, count))
        return masks.reshape(height, width, count).astype(np.float32), projections.astype(np.float32)

    def motion(self, projections: np.ndarray, *, early: bool) -> np.ndarray:
        """Motion energy that goes with projections, as Facemap 1.0.8 stores it (early) or aligned."""
        motion = np.linalg.norm(projections, axis=1).astype(np.float32)
        if early:
            last = min(500, len(motion)) - 1
            motion[:last] = motion[1 : last + 1].copy()
            motion[last] = 0
        return motion

    def pupil(self) -> dict[str, np.ndarray]:
        shapes = {"area": (), "com": (2,), "axdir": (2, 2), "axlen": (2,), "area_smooth": (), "com_smooth": (2,)}
        return {name: self.rng.random((self.frames, *shape)) for name, shape in shapes.items()}

    def proc(self, *, full: bool = True, early: bool = True, **changes: Any) -> dict[str, Any]:
        """Full frame (or its placeholder), one motion ROI, pupil, blink, running."""
        masks, projections = self.svd(HEIGHT // SBIN, WIDTH // SBIN, 8)
        if not full:
            masks, projections = np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32)
        roi_masks, roi_projections = self.svd(2, 2, 3)
        motion = self.motion(projections, early=early) if full else np.zeros(0, np.float32)
        picture = self.rng.random((HEIGHT // SBIN, WIDTH // SBIN)).astype(np.float32)
        return {
            "filenames": [["/data/m1.avi"]],
            "save_path": "/data",
            "Ly": [HEIGHT],
            "Lx": [WIDTH],
            "sbin": SBIN,
            "fullSVD": full,
            "avgframe": [picture.ravel()],
            "avgmotion": [picture.ravel()],
            "avgframe_reshape": picture,
            "avgmotion_reshape": picture,
            "motion": [motion, self.motion(roi_projections, early=early)],
            "motSv": np.array([3.0, 2.0, 1.0], np.float32),
            "movSv": np.zeros(3, np.float32),
            "motMask": [masks.reshape(-1, masks.shape[-1]), roi_masks.reshape(-1, 3)],
            "movMask": [np.zeros((4, 4), np.float32)],
            "motMask_reshape": [masks, roi_masks],
            "movMask_reshape": [np.zeros((4, 4), np.float32)],
            "motSVD": [projections, roi_projections],
            "movSVD": [],
            "pupil": [self.pupil()],
            "running": [self.rng.random((self.frames, 2))],
            "blink": [self.rng.random(self.frames)],
            "rois": [
                roi(0, 0, (0, 10), (0, 10)),
                roi(1, 1, (8, 20), (8, 17)),
                roi(2, 2, (12, 20), (20, 30)),
                roi(3, 3, (0, 8), (16, 32)),
            ],
            **changes,
        }


def saved(value: Any, path: Path, *, protocol: int = 3) -> Path:
    """Save as numpy does, with the pickle protocol of one of its versions."""
    whole = np.empty((), object)
    whole[()] = value
    path.write_bytes(HEADER + pickle.dumps(whole, protocol))
    return path


def loadable(value: Any) -> bytes:
    """The bytes of numpy.save, by numpy itself."""
    file = io.BytesIO()
    np.save(file, value, allow_pickle=True)
    return file.getvalue()


@pytest.fixture
def make() -> Callable[..., Maker]:
    return Maker


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def write(value: Any, **options: Any) -> Path:
        return saved(value, tmp_path / "m1_proc.npy", **options)

    return write
