"""Errors of libraries that mean something to us."""

from __future__ import annotations

import errno

from fmdj_cloud.errors import DiskFullError, FmdjError, GpuError, MemoryExhaustedError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXTS = tuple(f"errno = {number}," for number in _FULL)
"""How HDF5 says it: its errors carry no number of their own."""
_MEMORY_TEXTS = ("Insufficient memory", "std::bad_alloc", "DefaultCPUAllocator: can't allocate memory")
"""How OpenCV, C++ libraries and torch say it."""
_GPU_TEXTS = ("CUDA out of memory", "CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS")
"""How torch says that a GPU has no room or doesn't work any more."""


def as_ours(error: BaseException) -> FmdjError | None:
    """Return our error for one of a library's that has a remedy, or None.

    Parameters
    ----------
    error : BaseException
        One of ours is returned as it is.
    """
    if isinstance(error, FmdjError):
        return error
    text = str(error)
    if isinstance(error, RuntimeError) and any(sign in text for sign in _GPU_TEXTS):
        return GpuError(
            f"The GPU failed while it computed ({text.splitlines()[0]}): it is tried on another machine; if that fails "
            "too, see whether somebody else uses the GPU, and look at its driver."
        )
    if isinstance(error, MemoryError) or any(sign in text for sign in _MEMORY_TEXTS):
        return MemoryExhaustedError(
            f"There was no memory for the next step ({text or 'none left'}): it is tried again with more."
        )
    if isinstance(error, OSError) and (error.errno in _FULL or any(sign in text for sign in _FULL_TEXTS)):
        return DiskFullError("The scratch disk is full: it is tried again with more (worker.scratch_dir).")
    return None
