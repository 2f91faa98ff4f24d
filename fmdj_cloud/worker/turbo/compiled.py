"""Functions compiled by numba that need no place to keep what was compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, to run without Python's lock.

    numba costs 0.2 s of CPU to import and 0.1-0.3 s per function to compile: less than what it saves within the
    first thousand frames. What was compiled is kept where numba finds a folder that it may write to
    (``NUMBA_CACHE_DIR``, beside the module, in the home folder); on a file system that is read-only everywhere it
    is compiled anew in each process.
    """
    made: Any
    try:
        made = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba found no such folder
        made = numba.njit(nogil=True)(function)
    return cast(Function, made)
