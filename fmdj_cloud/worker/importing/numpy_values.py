"""Stand-ins for the few names of numpy that Facemap's pickles ask for.

Each checks what it is asked to make against the bytes that are there, so that nothing is ever allocated
that the file doesn't hold: arrays are views of the file.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.importing.refusal import RefusedError, shown

_NUMBER = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")
_TEXT = re.compile(r"[<>|=]?([US])([0-9]{1,6})")
_OBJECT = re.compile(r"[<>|=]?O[48]?")
_ORDERS = ("<", ">", "|", "=")
_MAX_DIMENSIONS = 8
_MAX_LENGTH = 1 << 40


class Known(enum.Enum):
    """The names that a pickle may ask for: they stand for themselves, nothing is imported for them."""

    DTYPE = "numpy.dtype"
    NDARRAY = "numpy.ndarray"
    RECONSTRUCT = "numpy.core.multiarray._reconstruct"
    SCALAR = "numpy.core.multiarray.scalar"


_NAMES = {
    ("numpy", "dtype"): Known.DTYPE,
    ("numpy", "ndarray"): Known.NDARRAY,
    ("numpy.core.multiarray", "_reconstruct"): Known.RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): Known.SCALAR,
    ("numpy._core.multiarray", "_reconstruct"): Known.RECONSTRUCT,  # numpy 2 writers
    ("numpy._core.multiarray", "scalar"): Known.SCALAR,
}


class Dtype:
    """A dtype under construction: numbers, text or objects, never a structure."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        if not (_NUMBER.fullmatch(code) or _TEXT.fullmatch(code) or _OBJECT.fullmatch(code)):
            raise RefusedError(f"it holds an array of type {shown(code)}, which Facemap doesn't write")
        self.order = code[0] if code[0] in _ORDERS else "="
        self.code = code.lstrip("<>|=")

    @property
    def is_object(self) -> bool:
        """Whether elements are objects."""
        return self.code[0] == "O"

    def build(self, state: object) -> None:
        """Take the byte order of a pickled dtype's state: (version, order, None, None, None, ...)."""
        if not isinstance(state, tuple) or not 5 <= len(state) <= 9 or state[1] not in _ORDERS:
            raise RefusedError("it holds a dtype whose state isn't numpy's")
        if any(part is not None for part in state[2:5]):
            raise RefusedError("it holds a structured array, which Facemap doesn't write")
        self.order = str(state[1])

    def numpy(self) -> npt.DTypeLike:
        """Return the dtype that it stands for."""
        return np.dtype(f"{self.order}{self.code}")


class PickledArray:
    """An array under construction; its numbers stay where they are in the file."""

    __slots__ = ("array", "items", "shape")

    def __init__(self) -> None:
        self.array: npt.NDArray[Any] | None = None
        """Numbers or text."""
        self.items: list[Any] | None = None
        """Elements of an array of objects, flat."""
        self.shape: tuple[int, ...] = ()

    def build(self, state: object) -> None:
        """Take what numpy pickles of an array: (version, shape, dtype, whether Fortran order, bytes or list)."""
        if self.array is not None or self.items is not None:
            raise RefusedError("it builds an array twice")
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedError("it holds an array whose state isn't numpy's")
        _, shape, dtype, fortran, content = state
        self.shape = _shape(shape)
        count = math.prod(self.shape)
        if not isinstance(dtype, Dtype) or not isinstance(fortran, bool):
            raise RefusedError("it holds an array whose state isn't numpy's")
        if dtype.is_object:
            if not isinstance(content, list) or len(content) != count:
                raise RefusedError(f"it declares an array of {count} objects that aren't there")
            self.items = content
            return
        self.array = _view(content, dtype, count).reshape(self.shape, order="F" if fortran else "C")


def find(module: object, name: object) -> Known:
    """Return the stand-in for a name.

    Raises
    ------
    RefusedError
        If it isn't among the few that Facemap's files hold.
    """
    known = _NAMES.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
    if known is None:
        raise RefusedError(f"its pickle asks for {shown(f'{module}.{name}')}, which no Facemap output does")
    return known


def call(function: object, arguments: object) -> Any:
    """Do what a pickle asks of one of the names.

    Raises
    ------
    RefusedError
        If that isn't what numpy's own pickles ask.
    """
    make = _CALLS.get(function) if isinstance(function, Known) else None
    if make is None or not isinstance(arguments, tuple):
        asked = function.value if isinstance(function, Known) else type(function).__name__
        raise RefusedError(f"its pickle calls {asked}, which no Facemap output does")
    return make(arguments)


def _dtype(arguments: tuple[Any, ...]) -> Dtype:
    if not 1 <= len(arguments) <= 3 or not isinstance(arguments[0], str):
        raise RefusedError("it holds a dtype that isn't made as numpy makes it")
    return Dtype(arguments[0])


def _reconstruct(arguments: tuple[Any, ...]) -> PickledArray:
    if len(arguments) != 3 or arguments[0] is not Known.NDARRAY or arguments[1] != (0,):
        raise RefusedError("it holds an array that isn't made as numpy makes it")
    return PickledArray()


def _scalar(arguments: tuple[Any, ...]) -> bool | int | float | str | bytes:
    if len(arguments) != 2 or not isinstance(arguments[0], Dtype) or arguments[0].is_object:
        raise RefusedError("it holds a number that isn't made as numpy makes it")
    value: bool | int | float | str | bytes = _view(arguments[1], arguments[0], 1)[0].item()
    return value


_CALLS: dict[Known, Callable[[tuple[Any, ...]], Any]] = {
    Known.DTYPE: _dtype,
    Known.RECONSTRUCT: _reconstruct,
    Known.SCALAR: _scalar,
}


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > _MAX_DIMENSIONS:
        raise RefusedError("it holds an array whose shape isn't one")
    for length in value:
        if type(length) is not int or not 0 <= length <= _MAX_LENGTH:
            raise RefusedError(f"it holds an array with a side of {shown(length)}")
    return value


def _view(content: object, dtype: Dtype, count: int) -> npt.NDArray[Any]:
    numpy = np.dtype(dtype.numpy())
    if not isinstance(content, memoryview) or numpy.itemsize == 0 or len(content) != count * numpy.itemsize:
        found = f"{len(content)} bytes" if isinstance(content, memoryview) else "none"
        raise RefusedError(f"it declares an array of {count} x {numpy.itemsize} bytes and holds {found}")
    return np.frombuffer(content, numpy)
