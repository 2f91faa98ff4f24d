"""Facemap's network, arranged for speed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fmdj_cloud.contracts import Precision
from fmdj_cloud.worker.pose.arithmetic import find, picture
from fmdj_cloud.worker.pose.device import Device
from fmdj_cloud.worker.pose.window import Window

Points = npt.NDArray[np.float32]
"""(frames, body parts, 3): x, y, likelihood."""


class Finder:
    """Finds body parts in batches of frames.

    Parameters
    ----------
    network : Module
        As :func:`fmdj_cloud.worker.pose.model.build` returns it; it is changed.
    device : Device
    precision : Precision
    """

    def __init__(self, network: torch.nn.Module, device: Device, precision: Precision) -> None:
        _fuse(network)
        # With the channels of a pixel side by side, CPUs convolve half as fast again
        self._network: Callable[[torch.Tensor], tuple[torch.Tensor, ...]] = network.to(
            device.torch, memory_format=torch.channels_last
        )
        self._device = device.torch
        self._half = precision is Precision.BF16

    def find(self, gray: npt.NDArray[np.uint8], levels: npt.NDArray[np.float32], seen: Window) -> Points:
        """Return the points in a batch of frames; those of a frame don't depend on the others.

        Parameters
        ----------
        gray : ndarray, shape (frames, rows, columns)
            The window's box of each.
        levels : ndarray, shape (frames, 2)
            Gray levels that become 0 and 1.
        seen : Window
        """
        with torch.inference_mode():
            low, high = self._there(levels).unbind(1)
            pictures = picture(self._there(gray), low, high, seen).contiguous(memory_format=torch.channels_last)
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                maps = self._network(pictures)
            points: Points = find(maps[0], maps[1], maps[2], seen).cpu().numpy()
        return points

    def _there(self, array: npt.NDArray[np.uint8] | npt.NDArray[np.float32]) -> torch.Tensor:
        tensor = torch.from_numpy(array)
        if self._device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)


def _fuse(network: torch.nn.Module) -> None:
    """Put each block's second normalisation into the convolution before it: a pass over memory less."""
    for block in (*network.Conv, *network.Up_conv):
        first, second = block.conv
        first[-1] = fuse_conv_bn_eval(first[-1], second[0])
        second[0] = torch.nn.Identity()
