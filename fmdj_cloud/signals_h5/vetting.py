"""A file that somebody else wrote is opened in another process first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fmdj_cloud.errors import LoadError
from fmdj_cloud.signals_h5 import contents

_CPU_S = 10
"""Fifty times what the largest recordings take."""
_WALL_PER_CPU = 30
"""A machine that is busy, or a disk that is slow, may keep the process waiting."""
_CLAUSE_MAX = 1000


def vet(path: Path, *, cpu_s: int = _CPU_S) -> None:
    """Look at what a signals.h5 claims to hold in a process of its own, which may crash or be killed.

    What it opened without harm, :class:`~fmdj_cloud.signals_h5.SignalsReader` opens in the same way.

    Parameters
    ----------
    path : Path
    cpu_s : int
        Seconds that the process may compute for.

    Raises
    ------
    LoadError
        If it isn't laid out as documented, or looking at it crashes, takes too long or too much memory.
    """
    # Isolated: neither the folder nor the environment says what is imported
    command = [sys.executable, "-I", contents.__file__, str(path), str(cpu_s)]
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=cpu_s * _WALL_PER_CPU,
        )
        code, clause = ended.returncode, ended.stdout[:_CLAUSE_MAX].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        code, clause = None, ""
    if code == 0:
        return
    if code != contents.EXIT_MALFORMED:
        clause = "looking at it takes too long" if code is None else f"looking at it ends a process with code {code}"
    raise malformed(path, clause)


def malformed(path: Path, clause: object) -> LoadError:
    """Return the error for a file that isn't as documented, for which a clause says why."""
    return LoadError(
        f"{path.name} isn't laid out as documented ({clause}): it was damaged, or something else wrote it; compute the "
        "task again."
    )
