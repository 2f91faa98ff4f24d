"""What the demo's pose run came to, against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from fmdj_cloud.demo.entries import Entry
from fmdj_cloud.demo.pose_figure import pose_figure
from fmdj_cloud.demo.pose_model import keypoints
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.trajectory import get_trajectory

LARGEST_ERROR_PX = 5.0
"""Median over frames and parts, in frames of 320 x 240 pixels, that the small network must stay below."""
SHOWN = ("nose(tip)", "eye(front)", "eye(back)")


def median_error(lab: Lab, entry: Entry) -> float:
    """Return how far what the database holds lies from the truth: the median over frames and parts, pixels."""
    found, truth = _points(lab, entry), _truth(entry)
    distances = [np.hypot(*(found[part] - truth[part]).T) for part in SHOWN]
    return round(float(np.median(distances)), 2)


def draw_poses(lab: Lab, entry: Entry, folder: Path) -> Path:
    """Draw a loaded run from what the database holds, against the truth."""
    found, truth = _points(lab, entry), _truth(entry)
    return pose_figure(
        folder / f"{entry.scenario.name}.png",
        title=f"{entry.scenario.name}: {entry.scenario.story}",
        frame=_first_frame(entry.recording.videos[0][0]),
        found={part: found[part] for part in SHOWN},
        truth={part: np.broadcast_to(truth[part], found[part].shape) for part in SHOWN},
        others={part: points for part, points in found.items() if part not in SHOWN},
        shaded=entry.recording.truth.blinks,
        fps=entry.scenario.spec.fps,
    )


def _points(lab: Lab, entry: Entry) -> dict[str, npt.NDArray[Any]]:
    """Return x and y of every body part, each (n, 2), from the database."""
    table = get_trajectory(lab.inference, entry.key)
    (model,) = table.columns.unique("model")
    return {part: table[model][part][["x", "y"]].to_numpy() for part in BODY_PARTS}


def _truth(entry: Entry) -> dict[str, tuple[float, float]]:
    spec = entry.scenario.spec
    return keypoints(spec.height, spec.width)


def _first_frame(video: Path) -> npt.NDArray[Any]:
    read, frame = cv2.VideoCapture(str(video)).read()
    assert read  # noqa: S101 - the demo wrote it, and it was computed
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
