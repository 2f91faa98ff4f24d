"""The room that a turbo run has: whether it is enough, and how much of it a cache of frames may take."""

from __future__ import annotations

from pathlib import Path

from fmdj_cloud.contracts import Basis, Limits, SvdParams
from fmdj_cloud.errors import DiskFullError, MemoryExhaustedError
from fmdj_cloud.worker.scratch import free_mib
from fmdj_cloud.worker.turbo.frames import Cache
from fmdj_cloud.worker.turbo.inputs import Inputs
from fmdj_cloud.worker.turbo.needs import cache_bytes, turbo_needs

_MIB = 1 << 20


def cache_within(
    limits: Limits, params: SvdParams, inputs: Inputs, fetched_mib: int, folder: Path, *, basis: Basis = Basis.EXACT
) -> Cache:
    """Return a cache in the room that a run leaves of what it was given, once it is clear that it fits.

    Parameters
    ----------
    limits : Limits
    params : SvdParams
    inputs : Inputs
    fetched_mib : int
        What was fetched to scratch.
    folder : Path
        For the cache's file, on the scratch disk.
    basis : Basis

    Raises
    ------
    MemoryExhaustedError, DiskFullError
        If it doesn't fit.
    """
    least = turbo_needs(params, inputs.sizes, inputs.nframes, limits.threads, basis)
    free = min(free_mib(folder), limits.scratch_mib - fetched_mib)
    if least.memory_mib > limits.memory_mib:
        raise MemoryExhaustedError(
            f"{inputs.nframes} frames of this size with sbin {params.sbin} need at least {least.memory_mib} MiB of "
            f"memory and the run has {limits.memory_mib}: it is tried again with more; a larger sbin needs less."
        )
    if least.scratch_mib > free:
        raise DiskFullError(
            f"The results need {least.scratch_mib} MiB of scratch beside {fetched_mib} MiB of videos and {free} MiB "
            "are left: it is tried again with more (worker.scratch_dir)."
        )
    wanted = cache_bytes(params, inputs.sizes, inputs.counts.frames)
    memory = min(wanted, (limits.memory_mib - least.memory_mib) * _MIB // 2)
    return Cache(memory, min(wanted, (free - least.scratch_mib) * _MIB), folder)
