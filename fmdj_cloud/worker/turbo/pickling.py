"""Writes a pickled dict of large arrays without a second copy of any, and beyond 4 GiB.

``numpy.save`` makes pickles of protocol 3, which can't hold 4 GiB in one piece. The stream here has lengths of eight
bytes (protocol 4), and the bytes of large arrays go from where they are to the file, some rows at a time. Any numpy
reads it (``numpy.load(path, allow_pickle=True).item()``). Opcodes are those of Python's module ``pickletools``.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_HEADER = (
    b"\x93NUMPY\x01\x00"
    + (118).to_bytes(2, "little")
    + (b"{'descr': '|O', 'fortran_order': False, 'shape': (), }".ljust(117) + b"\n")
)
"""Of a file of numpy's first version that holds one object."""
_START = pickle.PROTO + bytes([4])
_FRAGMENT = 3
"""Protocol of small values: it numbers what it remembers, so that pickles can follow each other in one stream."""
_LARGE_BYTES = 1 << 16
_PART_BYTES = 1 << 25


@dataclass(frozen=True)
class Stream:
    """An array whose rows come a few at a time.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    parts : iterable of ndarray
        Together the array, in order.
    """

    shape: tuple[int, ...]
    dtype: npt.DTypeLike
    parts: Iterable[Array]


def save_object(path: Path, value: Mapping[str, Any]) -> None:
    """Write a dict as ``numpy.save`` would.

    Parameters
    ----------
    path : Path
        New file.
    value : Mapping
        Of dicts, lists, tuples, numbers, texts, None, arrays and :class:`Stream`.
    """
    with path.open("wb") as file:
        file.write(_HEADER)
        file.write(_START)
        _open_array(file, (), np.dtype(object))
        file.write(pickle.EMPTY_LIST)
        _write(file, value)
        file.write(pickle.APPEND)
        _close_array(file)
        file.write(pickle.STOP)


def _write(file: BinaryIO, value: Any) -> None:
    if isinstance(value, Mapping):
        file.write(pickle.EMPTY_DICT)
        for name, item in value.items():
            file.write(_plain(name))
            _write(file, item)
            file.write(pickle.SETITEM)
    elif isinstance(value, list):
        file.write(pickle.EMPTY_LIST)
        for item in value:
            _write(file, item)
            file.write(pickle.APPEND)
    elif isinstance(value, np.ndarray) and value.nbytes >= _LARGE_BYTES:
        _write_array(file, Stream(value.shape, value.dtype, _parts(value)))
    elif isinstance(value, Stream):
        _write_array(file, value)
    else:
        file.write(_plain(value))


def _write_array(file: BinaryIO, stream: Stream) -> None:
    dtype = np.dtype(stream.dtype)
    _open_array(file, stream.shape, dtype)
    size = int(np.prod(stream.shape, dtype=np.int64)) * dtype.itemsize
    file.write(pickle.BINBYTES8 + size.to_bytes(8, "little"))
    written = 0
    for part in stream.parts:
        written += file.write(np.ascontiguousarray(part, dtype).reshape(-1).view(np.uint8).data)
    if written != size:
        raise ValueError(f"{written} bytes came of an array of {size}")
    _close_array(file)


def _open_array(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Begin an array in C order, whose contents follow: numpy's own way of pickling one."""
    file.write(pickle.GLOBAL + b"numpy.core.multiarray\n_reconstruct\n")
    file.write(pickle.GLOBAL + b"numpy\nndarray\n" + _plain((0,)) + _plain(b"b"))
    file.write(pickle.TUPLE3 + pickle.REDUCE + pickle.MARK + _plain(1) + _plain(shape) + _plain(dtype))
    file.write(pickle.NEWFALSE)


def _close_array(file: BinaryIO) -> None:
    file.write(pickle.TUPLE + pickle.BUILD)


def _plain(value: Any) -> bytes:
    """Return the pickle of a small value, without its first and last opcode."""
    return pickle.dumps(value, protocol=_FRAGMENT)[len(_START) : -len(pickle.STOP)]


def _parts(values: Array) -> Iterator[Array]:
    rows = max(1, _PART_BYTES // max(1, values.nbytes // max(1, len(values))))
    for first in range(0, len(values), rows):
        yield values[first : first + rows]
