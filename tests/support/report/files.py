"""Small signals.h5 files to draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmdj_cloud.contracts import Kind, Origin, RoiKind
from fmdj_cloud.signals_h5 import FULL_FRAME, RegionInfo, SignalsWriter

SBIN, HEIGHT, WIDTH = 4, 48, 64


def write_svd(path: Path, nframes: int = 300, *, spike: int | None = None) -> Path:
    """Write one region of each type; motion of region 0 has a spike in one frame."""
    rng = np.random.default_rng(0)
    kinds = [(FULL_FRAME, -1), *((kind, 0) for kind in (RoiKind.MOTION_SVD, RoiKind.PUPIL, RoiKind.BLINK))]
    kinds.append((RoiKind.RUNNING, 0))
    with SignalsWriter(path, kind=Kind.SVD, run_id="svd-" + "0" * 16, nframes=nframes, sbin=SBIN, fps=30.0) as writer:
        picture = np.linspace(20, 200, HEIGHT * WIDTH // SBIN**2).reshape(HEIGHT // SBIN, WIDTH // SBIN)
        writer.summary(picture, picture / 10)
        for number, (kind, view) in enumerate(kinds):
            y, x = np.arange(8 * number, 8 * number + 12), np.arange(8 * number, 8 * number + 20)
            full = kind == FULL_FRAME
            y, x = (np.arange(HEIGHT), np.arange(WIDTH)) if full else (y, x)
            none = np.arange(0)
            name = "FullSVD" if full else f"{kind} 1"
            writer.region(RegionInfo(number, str(kind), name, view, y, x, none, none, Origin.FACEMAP))
        for number in (0, 1):
            motion = rng.uniform(100, 110, nframes)
            if spike is not None and number == 0:
                motion[spike] = 5000
            writer.motion(number, motion)
            masks = rng.normal(size=(12, 16, 5)).astype(np.float32)
            writer.components(number, "mot", masks, rng.normal(size=(nframes, 5)), np.arange(5, 0, -1))
        trace = 60 + 20 * np.sin(np.arange(nframes) / 20)
        place = np.stack([trace, -trace], axis=1)
        fields = {"area": trace, "area_smooth": trace, "com": place, "com_smooth": place, "axlen": place}
        writer.pupil(2, fields | {"axdir": np.ones((nframes, 2, 2))})
        writer.blink(3, rng.uniform(0, 900, nframes))
        writer.running(4, rng.normal(size=(nframes, 2)))
    return path
