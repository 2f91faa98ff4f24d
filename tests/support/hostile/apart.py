"""What becomes of a process that reads something hostile: it may fail, but neither hang nor take all memory."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

from fmdj_cloud.errors import FmdjError

READ, REFUSED, OTHER = 0, 1, 2
_CPU_S = 20
_PATIENCE_S = 300
"""For what hangs without computing, on a machine however busy."""


def outcome(read: Callable[[], object], *, memory: int) -> tuple[int, str]:
    """Read something in a forked process.

    Parameters
    ----------
    read : callable
    memory : int
        Bytes of address space that it may take beyond what is taken.

    Returns
    -------
    int
        READ; REFUSED in one printable sentence; OTHER for any other exception; -n for death by signal n, also
        of one that takes too long.
    str
        The sentence, or the exception.
    """
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        code, told = OTHER, ""
        try:
            os.close(reading)
            _limit(memory)
            read()
            code = READ
        except FmdjError as error:
            told = error.sentence
            code = REFUSED if told.isprintable() and len(told) < 1500 else OTHER
        except BaseException as error:
            told = repr(error)
        finally:
            os.write(writing, told.encode(errors="backslashreplace")[:4000])
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def _limit(memory: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_PATIENCE_S)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
