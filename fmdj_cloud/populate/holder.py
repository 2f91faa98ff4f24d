"""Names for those who compute a task, which no other has, and whether one so named still does, where that is known."""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

_HOST_MAX = 60
_here: set[str] = set()
"""Holders that this process is, in all of its threads."""


@contextlib.contextmanager
def holding() -> Iterator[str]:
    """Be a holder for the time of the context.

    Yields
    ------
    str
        ``<host>/<pid>/<start>/<machine>/<8 hex>``: start in ticks of the boot clock, machine as of this boot.
    """
    holder = f"{_this_process()}/{uuid.uuid4().hex[:8]}"
    _here.add(holder)
    try:
        yield holder
    finally:
        _here.discard(holder)


def is_gone(holder: str) -> bool:
    """Tell whether a holder is known to compute no more; of another machine or container nothing is known."""
    process, _, _ = holder.rpartition("/")
    if process == _this_process():
        return holder not in _here
    parts = process.split("/")
    if len(parts) != 4 or not parts[1].isdigit():
        return False
    _, pid, start, machine = parts
    return machine == _machine() and _start(int(pid)) != start


def _this_process() -> str:
    return f"{socket.gethostname()[:_HOST_MAX]}/{os.getpid()}/{_start(os.getpid())}/{_machine()}"


def _start(pid: int) -> str:
    """Return when a process started, empty if it doesn't run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


def _machine() -> str:
    """Return what only processes share that see each other: the boot, and the namespace of process numbers."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
