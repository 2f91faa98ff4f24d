"""Large arrays that are used again: the kernel's giving and taking of their pages costs more than filling them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Shelf:
    """Arrays to be taken, and given back by whichever thread is done with them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: dict[tuple[tuple[int, ...], np.dtype[Any]], list[Array]] = {}

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array that nobody else has; what it holds is anything."""
        with self._lock:
            free = self._free.get((shape, dtype))
            if free:
                return free.pop()
        return np.empty(shape, dtype)

    def give(self, *arrays: Array) -> None:
        """Give arrays back."""
        with self._lock:
            for array in arrays:
                self._free.setdefault((array.shape, array.dtype), []).append(array)
