"""Arrays that are fetched while a file is written: what is in memory is a slice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from hdmf.data_utils import AbstractDataChunkIterator, DataChunk

from fmdj_cloud.pipeline.result_rows import Array

_CHUNK_BYTES = 1 << 20
_ROW_BYTES = 8 << 20
"""Of a trace that are handed to HDF5 at once."""


class Pieces(AbstractDataChunkIterator):  # type: ignore[misc]
    """An array as the pieces that a generator yields.

    Parameters
    ----------
    shape : tuple of int
        Of the whole.
    dtype : dtype
    pieces : callable
        Returns an iterator over (selection, array); the selection is a tuple of slices.
    chunks : tuple of int, optional
        HDF5's chunks; None leaves them to hdmf.

    Attributes
    ----------
    on_bytes : callable
        Told how many bytes each piece had, when it is handed over.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        pieces: Callable[[], Iterator[tuple[tuple[slice, ...], Array]]],
        chunks: tuple[int, ...] | None = None,
    ) -> None:
        self._shape = shape
        self._dtype = dtype
        self._make = pieces
        self._chunks = chunks
        self._pieces: Iterator[tuple[tuple[slice, ...], Array]] | None = None
        self.on_bytes: Callable[[int], None] = lambda _: None

    @property
    def nbytes(self) -> int:
        """Bytes of the whole."""
        return math.prod(self._shape) * self._dtype.itemsize

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of every piece."""
        return self._dtype

    @property
    def maxshape(self) -> tuple[int, ...]:
        """Of the whole."""
        return self._shape

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> DataChunk:
        if self._pieces is None:
            self._pieces = self._make()
        selection, data = next(self._pieces)
        piece = DataChunk(np.asarray(data, self._dtype), selection=selection)
        self.on_bytes(piece.data.nbytes)
        return piece

    def recommended_chunk_shape(self) -> tuple[int, ...] | None:
        """Return HDF5's chunks."""
        return self._chunks

    def recommended_data_shape(self) -> tuple[int, ...]:
        """Return the shape of the whole."""
        return self._shape


def trace(fetch: Callable[[], Array], shape: tuple[int, ...], dtype: str) -> Pieces:
    """Return one array that is fetched when its turn to be written comes.

    Parameters
    ----------
    fetch : callable
        Returns it.
    shape : tuple of int
    dtype : str
    """
    kind = np.dtype(dtype)
    step = max(1, _ROW_BYTES // max(1, kind.itemsize * int(np.prod(shape[1:]))))

    def pieces() -> Iterator[tuple[tuple[slice, ...], Array]]:
        whole = fetch()
        others = tuple(slice(0, length) for length in shape[1:])
        for start in range(0, shape[0], step):
            stop = min(start + step, shape[0])
            yield (slice(start, stop), *others), whole[start:stop]

    return Pieces(shape, kind, pieces)


def columns(
    fetch: Callable[[Sequence[int]], Array], ids: Sequence[int], shape: tuple[int, ...], axis: int, step: int
) -> Pieces:
    """Return an array whose columns are fetched some at a time.

    Parameters
    ----------
    fetch : callable
        ids -> array with as many entries along `axis`.
    ids : sequence of int
        One for each column.
    shape : tuple of int
        Of the whole.
    axis : int
        Of the columns.
    step : int
        Columns at a time; HDF5's chunks have as many, so that none is written twice.
    """
    chunks = tuple(min(step, length) if place == axis else length for place, length in enumerate(shape))

    def pieces() -> Iterator[tuple[tuple[slice, ...], Array]]:
        for start in range(0, len(ids), step):
            some = ids[start : start + step]
            part = slice(start, start + len(some))
            yield tuple(part if place == axis else slice(0, length) for place, length in enumerate(shape)), fetch(some)

    return Pieces(shape, np.dtype("float32"), pieces, _bounded(chunks, axis))


def _bounded(chunks: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """Cut the longest other side, since HDF5 takes chunks below 4 GiB, and readers like them small."""
    sides = list(chunks)
    longest = max((place for place in range(len(sides)) if place != axis), key=lambda place: sides[place])
    others = int(np.prod([side for place, side in enumerate(sides) if place != longest])) * 4
    number = -(-sides[longest] // max(1, _CHUNK_BYTES // max(1, others)))
    sides[longest] = -(-sides[longest] // max(1, number))  # equal pieces: what hangs over is stored, too
    return tuple(sides)
