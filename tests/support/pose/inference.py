"""Our own inference without the worker around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmdj_cloud.contracts import BBox, Precision
from fmdj_cloud.worker.index import read_index
from fmdj_cloud.worker.pose.batches import Source
from fmdj_cloud.worker.pose.bounds import Bound
from fmdj_cloud.worker.pose.device import choose, set_precision
from fmdj_cloud.worker.pose.infer import Inference, Keeper
from fmdj_cloud.worker.pose.model import Model, build
from fmdj_cloud.worker.pose.network import Finder
from fmdj_cloud.worker.pose.window import window


def source(path: Path, bbox: BBox | None = None, view: int = 0, file: int = 0) -> Source:
    index = read_index(path)
    return Source(view, file, path, index, window(index.facts.height, index.facts.width, bbox))


def infer(
    model: Model,
    path: Path,
    folder: Path,
    *,
    bbox: BBox | None = None,
    batch: int = 4,
    gpus: int = 0,
    precision: Precision = Precision.FP32,
    max_bad: int = 0,
) -> np.ndarray:
    """Return x, y, likelihood of a file, (frames, body parts, 3)."""
    set_precision(precision)
    device = choose(gpus, precision)
    inference = Inference(
        Finder(build(model), device, precision),
        [source(path, bbox)],
        batch_size=batch,
        body_parts=len(model.body_parts),
        bound=Bound(max_bad, waived=False),
    )
    folder.mkdir(parents=True, exist_ok=True)
    inference.run(Keeper(folder, content_digest="c" * 64, device=device.name, every_s=60), lambda frames: None)
    (trace,) = inference.traces
    return trace.points(trace.frames)
