"""A disk that is full: a file system of a few MiB of its own, in memory.

Programs and test must see the same one, so a user namespace won't do: it takes root. Where that may not mount either,
as in a container, a folder stands for the disk (:mod:`tests.support.weather.no_room`).
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.weather.no_room import TAKEN


@contextlib.contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    """Mount a disk of so many KiB on an empty folder, for the time of the context."""
    folder.mkdir(exist_ok=True)
    options = f"size={kib}k,mode=0777"
    with contextlib.suppress(OSError):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False)
    try:
        yield folder
    finally:
        if folder.is_mount():
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill what is left of a disk; return the file to remove."""
    path = folder / TAKEN
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while folder.is_mount() and file.write(bytes(4096)) == 4096:
            pass
    return path
