"""The header of an ``.npy`` file that holds one pickled object."""

from __future__ import annotations

import re

from fmdj_cloud.worker.importing.refusal import RefusedError

_MAGIC = b"\x93NUMPY"
_HEADER_MAX = 1024
_OBJECT = re.compile(rb"\{'descr': '\|O', 'fortran_order': (?:True|False), 'shape': \(\), \} *\n")
"""The one header that ``numpy.save`` writes for a dict; anything else isn't evaluated but refused."""


def pickle_start(data: memoryview) -> int:
    """Return where the pickle begins.

    Parameters
    ----------
    data : memoryview
        The whole file.

    Raises
    ------
    RefusedError
        If it isn't an ``.npy`` file of version 1.0 or 2.0 that holds one object.
    """
    if bytes(data[:6]) != _MAGIC or len(data) < 12:
        raise RefusedError("it isn't an .npy file")
    major, minor = data[6], data[7]
    if (major, minor) not in ((1, 0), (2, 0)):
        raise RefusedError(f"it is an .npy file of version {major}.{minor}, which Facemap doesn't write")
    start = 10 if major == 1 else 12
    length = int.from_bytes(data[8:start], "little")
    if length > _HEADER_MAX or start + length > len(data):
        raise RefusedError("its .npy header is cut off or far too long")
    if not _OBJECT.fullmatch(data[start : start + length]):
        raise RefusedError("it is an .npy file without the dict that Facemap saves")
    return start + length
