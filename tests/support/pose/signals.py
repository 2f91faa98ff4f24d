"""A small signals.h5 of keypoints, and its manifest, as the worker leaves them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fmdj_cloud.contracts import Kind, Manifest, ManifestFile, Origin, SignalOrigin, ViewFrames
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.signals_h5 import PoseInfo, SignalsWriter

NFRAMES = 60
HEIGHT, WIDTH = 32, 48
RUN_ID = "pose-0123456789abcdef"


def points(view: int, part: int, nframes: int = NFRAMES) -> np.ndarray:
    """x, y and likelihood of a body part, (nframes, 3): other ones for every view and part."""
    rng = np.random.default_rng((view, part))
    return rng.uniform(0, (WIDTH, HEIGHT, 1), (nframes, 3)).astype(np.float32)


def write(
    path: Path,
    *,
    parts: Sequence[str] = BODY_PARTS,
    views: Sequence[int] = (0, 1),
    nframes: int = NFRAMES,
    run_id: str = RUN_ID,
    change: Callable[[int, str, np.ndarray], None] = lambda *_: None,
    seed: int = 0,
) -> Path:
    """Write points; `change` may spoil those of a view and part in place."""
    with SignalsWriter(path, kind=Kind.POSE, run_id=run_id, nframes=nframes, fps=29.97) as writer:
        for view in views:
            writer.pose(PoseInfo(view, Origin.FACEMAP, 4, "fp32", (0, HEIGHT, 0, WIDTH)))
            for number, part in enumerate(parts):
                values = points(view, number + seed, nframes)
                change(view, part, values)
                writer.keypoints(view, part, values)
    return path


def manifest(**changes: Any) -> Manifest:
    """A manifest of the file that `write` writes: two views, two files."""
    view = ViewFrames(height=HEIGHT, width=WIDTH, fps=29.97, frames=(40, 20), header_frames=(40, 20))
    values: dict[str, Any] = {
        "run_id": RUN_ID,
        "attempt": 1,
        "kind": Kind.POSE,
        "nonce": "n1",
        "spec_sha256": "0" * 64,
        "content_digest": "c" * 64,
        "files": (ManifestFile(path="n1/signals.h5", role="signals", size=1, sha256="0" * 64),),
        "nframes": NFRAMES,
        "views": (view, view),
        "versions": {"facemap": "1.0.8", "torch": "2.13.0"},
        "device": "cpu",
        "threads": 1,
        "timings_s": {"fetch": 0.5, "model": 0.25, "pose": 12.625, "write": 0.125},
        "signals": (SignalOrigin(signal="pose", origin=Origin.FACEMAP),),
        "started": dt.datetime(2026, 11, 1, 9, 0, 0),
        "finished": dt.datetime(2026, 11, 1, 9, 5, 0, 123456),
    }
    return Manifest(**values | changes)
