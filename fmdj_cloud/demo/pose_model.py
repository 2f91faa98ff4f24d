"""A small pose network that learns in seconds to find the parts of generated faces.

It is Facemap's network class with few channels, so that everything that runs Facemap's models runs this one. What it
learns is where parts lie in faces of any size, part of a frame and direction, not where they lie in one picture.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from fmdj_cloud.contracts import BBox
from fmdj_cloud.demo.face import Face
from fmdj_cloud.demo.truth import write_script
from fmdj_cloud.worker.pose.arithmetic import picture
from fmdj_cloud.worker.pose.levels import levels
from fmdj_cloud.worker.pose.model import facemap_parts
from fmdj_cloud.worker.pose.window import window

Floats = npt.NDArray[np.float64]

CHANNELS = (4, 8, 16, 24, 24)
_MAPS = 64
"""Rows and columns of the network's maps."""
_STEP, _REACH = 4, 6.0
"""Pixels of the input per pixel of the maps; pixels of the maps per unit of the offset maps."""
_SIZES = ((120, 160), (192, 256), (240, 320))
_SEEDS = 8
_FRAMES = 6
_BATCH = 4
_STEPS = 300
_RATE = 8e-3
_NEAR = 3.0
"""Pixels of the maps around a point in which the offsets are learned."""


def keypoints(height: int, width: int, *, mirrored: bool = False) -> dict[str, tuple[float, float]]:
    """Return where the body parts of a generated face are, x and y in pixels: the same in every frame.

    Parameters
    ----------
    height, width : int
        Of the frame.
    mirrored : bool
        As every second camera sees it.
    """
    boxes = Face(height, width).boxes
    found = {part: _inside(boxes[box], down, right) for part, (box, down, right) in _PLACES.items()}
    return {part: (width - 1 - x if mirrored else x, y) for part, (x, y) in found.items()}


_PLACES = {
    "eye(front)": ("eye", 0.5, 0.03),
    "eye(back)": ("eye", 0.5, 0.97),
    "eye(top)": ("eye", 0.03, 0.5),
    "eye(bottom)": ("eye", 0.97, 0.5),
    "nose(tip)": ("snout", 0.5, 0.25),
    "nose(top)": ("snout", 0.1, 0.5),
    "nose(bottom)": ("snout", 0.9, 0.5),
    "nose(r)": ("snout", 0.5, 0.6),
    "nosebridge": ("snout", 0.0, 1.2),
    "whisker(I)": ("whisker", 0.2, 0.5),
    "whisker(II)": ("whisker", 0.5, 0.5),
    "whisker(III)": ("whisker", 0.8, 0.5),
    "mouth": ("snout", 1.15, 0.7),
    "lowerlip": ("snout", 1.3, 0.9),
    "paw": ("running", 0.1, 0.1),
}
"""Body part -> box of the face, and the place in it: down and right, 0 to 1."""


def train(path: Path, *, seed: int = 0, budget_s: float = 60.0, steps: int = _STEPS) -> Path:
    """Train a network and write its weights, as the Facemap GUI does.

    Parameters
    ----------
    path : Path
        New file.
    seed : int
    budget_s : float
        Seconds after which it ends with what it has learned so far; with time enough, the same seed gives the same.
    steps : int
        After which it ends in any case.

    Returns
    -------
    Path
        `path`.
    """
    rng = np.random.default_rng(seed)
    network, heat = _network(seed)
    network.to(memory_format=torch.channels_last)
    faces = _Faces(rng)
    rates = torch.optim.Adam(network.parameters(), _RATE)
    network.train()
    with _one_thread():
        began = time.monotonic()
        for step in range(steps):
            left = 1 - max(step / steps, (time.monotonic() - began) / budget_s)
            if left <= 0:
                break
            inputs, points, seen = faces.batch(rng)
            for group in rates.param_groups:
                group["lr"] = _RATE * left
            rates.zero_grad()
            _, along_y, along_x = network(inputs)
            loss = _loss(heat[0], along_y, along_x, points, seen)
            loss.backward()
            rates.step()
    torch.save(network.state_dict(), path)
    return path


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: so small a network gains nothing by more, and loses much where others are at work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Faces:
    """Frames of generated faces, and what the network would see of them."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._frames: list[npt.NDArray[np.uint8]] = []
        for number in range(_SEEDS):
            height, width = _SIZES[number % len(_SIZES)]
            face = Face(height, width, seed=int(rng.integers(1 << 16, 1 << 20)))
            script = write_script(60, face.seed, face.max_speed)
            drawn = face.draw(script, 0, 60)[:: 60 // _FRAMES]
            face.add_noise(drawn, 0, 0)
            self._frames += list(drawn)

    def batch(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return inputs, points as x and y in pixels of the maps, and which points can be seen."""
        inputs, points, seen = [], [], []
        for number in rng.integers(0, len(self._frames), _BATCH):
            frame = self._frames[number]
            mirrored = bool(rng.integers(2))
            frame = np.ascontiguousarray(frame[:, ::-1] if mirrored else frame)
            height, width = frame.shape
            shown = window(height, width, _box(rng, height, width) if rng.random() < 0.7 else None)
            pair = levels(frame)
            assert pair is not None  # noqa: S101 - faces have contrast
            part = frame[shown.box.y0 : shown.box.y1, shown.box.x0 : shown.box.x1].copy()
            low, high = (torch.tensor([level], dtype=torch.float32) for level in pair)
            inputs.append(picture(torch.from_numpy(part)[None], low, high, shown)[0])
            truth = keypoints(height, width, mirrored=mirrored)
            places = np.array([truth[name] for name in facemap_parts()])
            inside = (places >= (shown.box.x0, shown.box.y0)) & (places < (shown.box.x1, shown.box.y1))
            points.append((places - shown.origin) / shown.scale / _STEP)
            seen.append(inside.all(1))
        return (
            torch.stack(inputs).contiguous(memory_format=torch.channels_last),
            torch.from_numpy(np.array(points, np.float32)),
            torch.from_numpy(np.array(seen)),
        )


def _network(seed: int) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    """Return a fresh network, and a list that holds its heat maps as they are before negative values are cut off."""
    from facemap.pose.facemap_network import FMnet

    torch.manual_seed(seed)
    parts = facemap_parts()
    network: torch.nn.Module = FMnet(
        img_ch=1,
        output_ch=len(parts),
        labels_id=list(parts),
        channels=list(CHANNELS),
        kernel=3,
        device=torch.device("cpu"),
    )
    heat: list[torch.Tensor] = []

    def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        heat[:] = [output]

    network.Conv2_1x1[0].register_forward_hook(keep)
    return network, heat


def _loss(
    heat: torch.Tensor, along_y: torch.Tensor, along_x: torch.Tensor, points: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """Return how far the maps are from showing the points."""
    grid = torch.arange(_MAPS, dtype=torch.float32)
    dx = grid[None, None, None, :] - points[:, :, 0, None, None]
    dy = grid[None, None, :, None] - points[:, :, 1, None, None]
    distance = dx**2 + dy**2
    wanted = torch.exp(-distance / 2).flatten(2)
    wanted = wanted / wanted.sum(-1, keepdim=True).clamp_min(1e-6)
    peak = -(wanted * functional.log_softmax(heat.flatten(2), -1)).sum(-1)
    high = -(wanted * functional.logsigmoid(heat.flatten(2) - 2)).sum(-1)  # the highest pixel must be above zero
    low = functional.softplus(heat).flatten(2).mean(-1)
    near = (distance < _NEAR**2).float()
    off = ((along_y - dy / _REACH).abs() + (along_x - dx / _REACH).abs()) * near
    offset = off.sum((-1, -2)) / near.sum((-1, -2)).clamp_min(1)
    each = peak + high + low + 3 * offset
    return (each * seen).sum() / seen.sum().clamp_min(1)


def _box(rng: np.random.Generator, height: int, width: int) -> BBox:
    """Return a part of the frame that leaves out something at each side."""
    y0, x0 = (int(side * rng.uniform(0, 0.06)) for side in (height, width))
    y1, x1 = (int(side * rng.uniform(0.9, 1)) for side in (height, width))
    return BBox(y0=y0, y1=y1, x0=x0, x1=x1)


def _inside(box: tuple[int, int, int, int], down: float, right: float) -> tuple[float, float]:
    y0, y1, x0, x1 = box
    return x0 + right * (x1 - x0 - 1), y0 + down * (y1 - y0 - 1)
