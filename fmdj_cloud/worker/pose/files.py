"""Facemap's own files of pose inference, as its GUI and the Element open them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from fmdj_cloud.worker.pose.parts import Points

_SCORER = "Facemap"
_PROTOCOL = 5
FOLDER = "pose"


@dataclass(frozen=True)
class Metadata:
    """What the second of Facemap's two files says.

    Attributes
    ----------
    batch_size : int
    heights, widths : list of int
        Of the frames of all views.
    bbox : list of int
        Rows and columns looked at, Facemap's x1, x2, y1, y2.
    total_frames : int
    bodyparts : list of str
        In the order of the network's outputs.
    inference_speed : float
        Frames per second.
    """

    batch_size: int
    heights: list[int]
    widths: list[int]
    bbox: list[int]
    total_frames: int
    bodyparts: list[str]
    inference_speed: float


def write_facemap_files(folder: Path, video: str, points: Points, metadata: Metadata) -> Path:
    """Write both files of a video; everything in them is plain, so that nothing but Python is needed to read them.

    Parameters
    ----------
    folder : Path
        Made if it doesn't exist.
    video : str
        Its base name.
    points : ndarray, shape (frames, body parts, 3)
    metadata : Metadata

    Returns
    -------
    Path
        The file with the points, which the GUI opens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{Path(video).stem}_FacemapPose.h5"
    with h5py.File(path, "w") as file:
        for number, part in enumerate(metadata.bodyparts):
            for place, name in enumerate(("x", "y", "likelihood")):
                file[f"{_SCORER}/{part}/{name}"] = np.ascontiguousarray(points[:, number, place])
    plain = {
        "batch_size": metadata.batch_size,
        "image_size": (metadata.heights, metadata.widths),
        "bbox": metadata.bbox,
        "total_frames": metadata.total_frames,
        "bodyparts": metadata.bodyparts,
        "inference_speed": metadata.inference_speed,
    }
    path.with_name(f"{path.stem}_metadata.pkl").write_bytes(pickle.dumps(plain, protocol=_PROTOCOL))
    return path


def folders(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the folder of each video's files: one for all, as long as their names without suffix differ."""
    seen: dict[str, int] = {}
    chosen = []
    for name in names:
        stem = Path(name).stem
        seen[stem] = seen.get(stem, 0) + 1
        chosen.append(FOLDER if seen[stem] == 1 else f"{FOLDER}{seen[stem]}")
    return tuple(chosen)
