"""Files that a disk has no room for, in one process, where no disk of a test's own can be mounted."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

VARIABLE = "FMDJKILL_DISK"
"""The folder that stands for the disk."""
TAKEN = "somebody-elses"
"""File in it that takes all the room there is."""


def no_room_from_environment() -> None:
    """Refuse to open files but locks for writing below the folder, while the file that takes all room is there."""
    folder = os.environ.get(VARIABLE)
    if folder is None or Path(folder).is_mount():
        return
    taken = Path(folder, TAKEN)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str | os.PathLike):
            return
        path, mode, flags = Path(arguments[0]), arguments[1], arguments[2]
        writes = set(mode) & set("wax+") if isinstance(mode, str) else int(str(flags)) & (os.O_WRONLY | os.O_RDWR)
        if (
            writes
            and path.is_relative_to(folder)
            and path.suffix != ".lock"
            and path.name != ".lock"
            and taken.exists()
        ):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    sys.addaudithook(audit)
