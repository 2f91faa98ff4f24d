"""Frames of a recording, decoded to the gray levels that Facemap gets, binned exactly, in blocks."""

from fmdj_cloud.worker.turbo.frames.block import BLOCK, Block, Range, Wanted, edges, sum_type
from fmdj_cloud.worker.turbo.frames.cache import Cache
from fmdj_cloud.worker.turbo.frames.luma import Source
from fmdj_cloud.worker.turbo.frames.opencv import FramesEndError
from fmdj_cloud.worker.turbo.frames.recording import Recording

__all__ = [
    "BLOCK",
    "Block",
    "Cache",
    "FramesEndError",
    "Range",
    "Recording",
    "Source",
    "Wanted",
    "edges",
    "sum_type",
]
