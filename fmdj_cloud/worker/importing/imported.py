"""What was made of existing files."""

from __future__ import annotations

from fmdj_cloud.contracts import Frozen, SignalOrigin
from fmdj_cloud.worker.svd.geometry import Size


class Imported(Frozen):
    """What was made of the files of one import."""

    nframes: int
    sizes: tuple[Size, ...] = ()
    """Height and width of every view, as a ``_proc.npy`` says."""
    signals: tuple[SignalOrigin, ...]
    warnings: tuple[str, ...]
    seconds: float = 0.0
    """What computing the results took, as the files say; 0 where they don't."""
