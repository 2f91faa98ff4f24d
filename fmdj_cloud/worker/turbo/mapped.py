"""Arrays of HDF5 files as memory that the kernel reads when it is needed, and can take back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def mapped(path: Path, dataset: h5py.Dataset) -> Array:
    """Return a dataset of a file that is complete, mapped where it is stored in one piece.

    Parameters
    ----------
    path : Path
        The file.
    dataset : h5py.Dataset
    """
    offset = dataset.id.get_offset()
    if offset is None or not dataset.size:
        return np.asarray(dataset[()])
    whole = np.memmap(path, dataset.dtype, "r", offset, dataset.shape)
    return whole.view(np.ndarray)
