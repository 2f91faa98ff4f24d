"""The dict of a ``_proc.npy``, asked for what it should hold."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.importing.machine import load_pickle
from fmdj_cloud.worker.importing.npy import pickle_start
from fmdj_cloud.worker.importing.numpy_values import PickledArray
from fmdj_cloud.worker.importing.refusal import RefusedError

Array = npt.NDArray[Any]

_LONGEST_LIST = 1 << 15
"""Entries of a list that is gone through: the pixels of a ROI's side are the longest."""


def read_proc_file(path: Path) -> Proc:
    """Read a ``_proc.npy`` that nobody vouches for; its arrays stay on disk and are read-only.

    Raises
    ------
    InputError
        If it can't be read safely (check ``import_file``).
    """
    try:
        if path.stat().st_size == 0:
            raise RefusedError("it is empty")
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        root = load_pickle(data[pickle_start(data) :])
        values = unwrapped(root)
        if not isinstance(values, dict):
            raise RefusedError("it doesn't hold the dict that Facemap saves")
    except RefusedError as error:
        raise InputError(
            f"{path.name} can't be imported, since {error}: upload the file again as Facemap wrote it, or set "
            "task_mode='trigger' to compute it.",
            check="import_file",
        ) from error
    return Proc(path.name, values)


def unwrapped(value: Any) -> Any:
    """Return what stands behind an array of one object, or the array itself.

    Raises
    ------
    RefusedError
        If the array was never filled.
    """
    if not isinstance(value, PickledArray):
        return value
    if value.array is not None:
        return value.array
    if value.items is None:
        raise RefusedError("it holds an array without content")
    if value.shape == ():
        (only,) = value.items
        return None if isinstance(only, PickledArray) and only is value else _once(only)
    return value.items


def _once(value: Any) -> Any:
    """Unwrap one level more; what is wrapped deeper is no Facemap output's."""
    if isinstance(value, PickledArray):
        return value.array
    return value


class Proc:
    """The values of a proc dict, each checked as it is asked for.

    Parameters
    ----------
    name : str
        Of the file, for sentences.
    values : Mapping
    """

    def __init__(self, name: str, values: Mapping[Any, Any]) -> None:
        self.name = name
        self._values = values

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def wrong(self, key: str, what: str) -> InputError:
        """Return the error for a value that isn't what Facemap writes."""
        return InputError(
            f"{self.name} can't be imported, since its {key!r} {what}: upload the file again as Facemap wrote it, or "
            "set task_mode='trigger' to compute it.",
            check="import_content",
        )

    def list(self, key: str) -> list[Any]:
        """Return the elements of a list (or of an array that stands for one); none if it isn't there.

        A boolean in the place of results, as the GUI saves it, is none too.
        """
        value = self._unwrapped(key, self._values.get(key))
        if isinstance(value, list | tuple):
            return list(value)
        if isinstance(value, np.ndarray) and value.ndim:
            if len(value) > _LONGEST_LIST:
                raise self.wrong(key, f"has {len(value)} entries")
            return list(value)
        return []

    def array(self, key: str, value: Any, *, dimensions: int) -> Array:
        """Return an element as an array of numbers.

        Parameters
        ----------
        key : str
            Where it stands, for sentences.
        value : object
        dimensions : int
            That it must have.
        """
        found = self._unwrapped(key, value)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf" or found.ndim != dimensions:
            raise self.wrong(key, f"isn't an array of numbers with {dimensions} dimension(s)")
        return found

    def optional_array(self, key: str, *, dimensions: int) -> Array | None:
        """Return an array, None if it isn't there."""
        return self.array(key, self._values[key], dimensions=dimensions) if key in self else None

    def integers(self, key: str) -> tuple[int, ...]:
        """Return whole numbers, one or a list of them; none if they aren't there."""
        if key not in self:
            return ()
        value = self._unwrapped(key, self._values[key])
        listed = value if isinstance(value, list | tuple) else np.ravel(value).tolist() if _is_numeric(value) else None
        if listed is None or len(listed) > _LONGEST_LIST:
            raise self.wrong(key, "isn't a whole number, or a list of some")
        return tuple(self.integer(key, item) for item in listed)

    def integer(self, key: str, value: Any) -> int:
        """Return an element as a whole number."""
        found = self._unwrapped(key, value)
        if _is_numeric(found) and np.size(found) == 1:
            number = np.ravel(found)[0].item()
            if isinstance(number, int) or (isinstance(number, float) and number.is_integer()):
                return int(number)
        raise self.wrong(key, "isn't a whole number")

    def dict(self, key: str, value: Any) -> Proc:
        """Return an element that is itself a dict."""
        found = self._unwrapped(key, value)
        if not isinstance(found, dict):
            raise self.wrong(key, "isn't a dict")
        return Proc(self.name, found)

    def value(self, key: str) -> Any:
        """Return a value as it is, None if it isn't there."""
        return self._unwrapped(key, self._values.get(key))

    def numbers(self, key: str, value: Any) -> Array:
        """Return an element's numbers, whatever its shape, in one dimension; none if it isn't made of numbers."""
        found = self._unwrapped(key, value)
        if isinstance(found, list | tuple):
            found = np.array([x for x in found if isinstance(x, int | float)], np.float64)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf":
            return np.zeros(0)
        return np.ravel(found)

    def _unwrapped(self, key: str, value: Any) -> Any:
        try:
            return unwrapped(value)
        except RefusedError as error:
            raise self.wrong(key, f"can't be read, since {error}") from error


def _is_numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return bool(value.dtype.kind in "biuf" and value.size <= _LONGEST_LIST)
    return isinstance(value, bool | int | float | np.integer | np.floating | np.bool_)
