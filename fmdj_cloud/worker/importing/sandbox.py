"""What the process that reads a stranger's file may use."""

from __future__ import annotations

import resource

_BASE_BYTES = 2 << 30
"""Python, numpy and HDF5 take 0.5 GB of address space; the steps of the reader at most 0.5 GB more."""
_TIMES_FILE = 4
"""The file itself, a copy of an array of it that is repaired, and what HDF5 holds while it is written."""
_BASE_CPU_S = 60
_BYTES_PER_CPU_S = 10 << 20
_OPEN_FILES = 64


def memory_bytes(size: int) -> int:
    """Return the address space for reading a file of `size` bytes."""
    return _BASE_BYTES + _TIMES_FILE * size


def cpu_s(size: int) -> int:
    """Return the CPU seconds for reading a file of `size` bytes."""
    return _BASE_CPU_S + size // _BYTES_PER_CPU_S


def wall_s(size: int) -> float:
    """Return the seconds after which a process that reads `size` bytes is killed, however idle it is."""
    return 3.0 * cpu_s(size)


def enter(size: int) -> None:
    """Limit this process for good: memory, CPU time, files, and no process more.

    Parameters
    ----------
    size : int
        Bytes of the file that it is going to read.
    """
    limits = {
        resource.RLIMIT_AS: memory_bytes(size),
        resource.RLIMIT_CPU: cpu_s(size),
        resource.RLIMIT_FSIZE: 2 * size + (64 << 20),
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for what, most in limits.items():
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))
