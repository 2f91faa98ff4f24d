"""Networks with random weights, the same for the same seed, whose maps have clear peaks."""

from __future__ import annotations

from pathlib import Path

import torch
from facemap.pose.facemap_network import FMnet
from facemap.utils import BODYPARTS

SMALL = (8, 8, 12, 16, 16)
"""Channels of a network that takes a fiftieth of the time of Facemap's own."""
FULL = (32, 64, 128, 200, 250)


def network(channels: tuple[int, ...] = SMALL, seed: int = 0, parts: int = len(BODYPARTS)) -> torch.nn.Module:
    torch.manual_seed(seed)
    net = FMnet(
        img_ch=1,
        output_ch=parts,
        labels_id=list(BODYPARTS)[:parts],
        channels=list(channels),
        kernel=3,
        device=torch.device("cpu"),
    )
    heat, *offsets = net.Conv2_1x1
    heat.weight.data.normal_(0, 0.3)
    for head in offsets:  # that move a point by a few pixels, as trained ones do
        head.weight.data.normal_(0, 0.02)
    # As after training: statistics of pictures, so that what is seen decides and no normalisation is the identity
    pictures = torch.nn.functional.interpolate(torch.rand(12, 1, 20, 20), size=(256, 256), mode="bicubic")
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
    net.train()
    with torch.no_grad():
        for batch in pictures.split(4):
            net(batch)
    for norm in norms:
        norm.weight.data.uniform_(0.7, 1.4)
        norm.bias.data.uniform_(-0.1, 0.1)
    return net.eval()


def save(path: Path, channels: tuple[int, ...] = SMALL, seed: int = 0) -> Path:
    """Write a model file."""
    torch.save(network(channels, seed).state_dict(), path)
    return path
