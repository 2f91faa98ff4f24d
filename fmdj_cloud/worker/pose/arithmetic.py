"""What is done to frames before the network sees them, and to its maps after."""

from __future__ import annotations

from typing import Any

import torch

from fmdj_cloud.worker.pose.window import INPUT, Window

_STEP = 4
"""Pixels of the input per pixel of the maps."""
_REACH = 6.0
"""Pixels of the maps by which the offset maps can move a peak, per unit; they point away from the point."""


def find(heat: torch.Tensor, along_y: torch.Tensor, along_x: torch.Tensor, seen: Window) -> torch.Tensor:
    """Find every body part's point in every picture.

    A point is the highest pixel of its heat map, moved by what the two offset maps say there.

    Parameters
    ----------
    heat, along_y, along_x : Tensor, shape (pictures, body parts, rows, columns)
        The network's three outputs.
    seen : Window
        What of the frame the pictures show.

    Returns
    -------
    Tensor of float32, shape (pictures, body parts, 3)
        x and y in pixels of the frame, and the likelihood.
    """
    columns = heat.shape[-1]
    highest, place = heat.float().flatten(-2).max(-1)
    offsets: list[Any] = [
        maps.float().flatten(-2).gather(-1, place.unsqueeze(-1)).squeeze(-1) for maps in (along_x, along_y)
    ]
    pixels = (place % columns, torch.div(place, columns, rounding_mode="floor"))
    x, y = (
        (pixel - _REACH * offset) * _STEP * seen.scale + origin
        for pixel, offset, origin in zip(pixels, offsets, seen.origin, strict=True)
    )
    return torch.stack([x, y, torch.sigmoid(highest)], -1)


def picture(gray: torch.Tensor, low: torch.Tensor, high: torch.Tensor, seen: Window) -> torch.Tensor:
    """Return what the network takes.

    Parameters
    ----------
    gray : Tensor of uint8, shape (pictures, rows, columns)
        The window's box of each frame.
    low, high : Tensor of float32, shape (pictures,)
        Gray levels that become 0 and 1, of each frame's own: nothing depends on the others in the batch.
    seen : Window

    Returns
    -------
    Tensor of float32, shape (pictures, 1, 256, 256)
    """
    low, high = low[:, None, None], high[:, None, None]
    scaled = ((gray.float() - low) / (high - low)).unsqueeze(1)
    if any(seen.margins):
        scaled = torch.nn.functional.pad(scaled, seen.margins)
    if seen.side != INPUT:
        scaled = torch.nn.functional.interpolate(scaled, size=(INPUT, INPUT), mode="bilinear")
    return scaled
