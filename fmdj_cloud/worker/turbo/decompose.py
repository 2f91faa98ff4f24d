"""The exact SVD of wide matrices by the eigenvectors of their small Gram matrix.

For X = U S V' with fewer rows than columns, X X' = U S^2 U': its eigenvectors are the left singular vectors, and
U'X holds the right ones times their singular values. A chunk has 1,000 frames and many times as many bins, so the
frames' Gram matrix is small; of a small ROI, that of the bins is. Columns are taken in pieces of fixed width whose
Gram matrices are added up in order and in double precision: the sum doesn't depend on how many threads there are.

Signs are those of scikit-learn's PCA, and so Facemap's: the largest entry of each component over the frames (the
columns, when chunks are merged) is positive.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.turbo.eigen import largest
from fmdj_cloud.worker.turbo.team import Team

Array = npt.NDArray[Any]

PIECE = 4096
"""Columns that are worked on at a time."""
EMPTY = 1e-6
"""Part of the largest singular value below which a component carries nothing: rounding alone."""
_SMALL = 1000
"""Rows and columns up to which a Gram matrix, and its eigenvectors, are found in double precision: it costs nothing
there. Above, products are made in single precision, which leaves no more to be found in them."""
_TINY = np.finfo(np.float64).tiny


class Wide(Protocol):
    """A matrix that is made piece by piece."""

    rows: int
    pixels: int

    def columns(self, first: int, stop: int, out: Array) -> None:
        """Write columns ``first:stop`` to `out`, (rows, stop - first) float32."""


class Held:
    """A matrix that is there, some rows after the others: each (rows, pixels)."""

    def __init__(self, parts: Sequence[Array]) -> None:
        self._parts = parts
        self.rows = sum(len(part) for part in parts)
        self.pixels = parts[0].shape[1]

    def columns(self, first: int, stop: int, out: Array) -> None:
        """Write columns ``first:stop`` to `out`."""
        np.concatenate([part[:, first:stop] for part in self._parts], out=out)


def components(matrix: Wide, count: int, team: Team, out: Callable[[int], Array]) -> Array:
    """Find the largest components of a matrix.

    Parameters
    ----------
    matrix : Wide
        (rows, pixels).
    count : int
        Of components, at most.
    team : Team
    out : callable
        Gives the array to fill for so many components, (c, pixels) float32.

    Returns
    -------
    ndarray of float32, shape (c,)
        Singular values, falling; c is smaller than `count` where there are no more components. What `out` gave then
        holds each component over the pixels, times its singular value.
    """
    if matrix.pixels <= matrix.rows:
        return _by_pixels(matrix, count, out)
    gram = _gram(matrix, team)
    vectors = signed(_largest(gram, count)[1])
    made = out(vectors.shape[1])
    weights = np.ascontiguousarray(vectors.T, np.float32)
    squares = np.zeros(len(made), np.float64)

    def project(piece: tuple[int, int]) -> Array:
        first, stop = piece
        with _columns(matrix, piece, team) as columns:
            part = team.arithmetic.product(weights, columns)
        made[:, first:stop] = part
        return np.asarray(np.einsum("ij,ij->i", part, part, dtype=np.float64))

    for part in team.map(project, _pieces(matrix.pixels)):
        squares += part
    return np.sqrt(squares).astype(np.float32)


def signed(vectors: Array) -> Array:
    """Return vectors, (n, c), with the sign that makes the largest entry of each positive."""
    if not vectors.size:
        return vectors
    places = np.abs(vectors).argmax(axis=0)
    flips = np.where(vectors[places, np.arange(vectors.shape[1])] < 0, -1, 1)
    flipped: Array = vectors * flips.astype(vectors.dtype)
    return flipped


def _by_pixels(matrix: Wide, count: int, out: Callable[[int], Array]) -> Array:
    whole = np.empty((matrix.rows, matrix.pixels), np.float32)
    matrix.columns(0, matrix.pixels, whole)
    values = whole.astype(np.float64)
    squares, vectors = _largest(values.T @ values, count)
    sizes = np.sqrt(squares)
    frames = values @ vectors / np.maximum(sizes, _TINY)
    flips = np.where(frames[np.abs(frames).argmax(axis=0), np.arange(frames.shape[1])] < 0, -1.0, 1.0)
    out(len(sizes))[:] = (vectors * (sizes * flips)).T
    return sizes.astype(np.float32)


def _gram(matrix: Wide, team: Team) -> Array:
    """Return X X', summed up in double precision; only its upper triangle is meant."""
    total = np.zeros((matrix.rows, matrix.rows), np.float64)
    exact = matrix.rows <= _SMALL and matrix.pixels <= _SMALL

    def part(piece: tuple[int, int]) -> Array:
        with _columns(matrix, piece, team) as columns:
            if exact:
                double = columns.astype(np.float64)
                return np.asarray(double @ double.T)
            return team.arithmetic.gram(columns)

    for made in team.map(part, _pieces(matrix.pixels)):
        total += made
    return total if exact else total.astype(np.float32)


def _largest(gram: Array, count: int) -> tuple[Array, Array]:
    """Return the largest eigenvalues, falling, and their vectors, (n, c); those that are nothing are left out."""
    size = len(gram)
    if not np.any(np.diagonal(gram) > 0):
        return np.zeros(0), np.zeros((size, 0))
    values, vectors = largest(np.ascontiguousarray(gram), count)
    meant = int(np.count_nonzero(values > EMPTY**2 * values[0]))
    return values[:meant], vectors[:, :meant]


@contextlib.contextmanager
def _columns(matrix: Wide, piece: tuple[int, int], team: Team) -> Iterator[Array]:
    """Give some columns, in an array of the team's shelf: of one size, however many regions of any size there are."""
    first, stop = piece
    room = team.shelf.take((matrix.rows * PIECE,), np.dtype(np.float32))
    columns = room[: matrix.rows * (stop - first)].reshape(matrix.rows, stop - first)
    matrix.columns(first, stop, columns)
    yield columns
    team.shelf.give(room)


def _pieces(pixels: int) -> Iterator[tuple[int, int]]:
    for first in range(0, pixels, PIECE):
        yield first, min(first + PIECE, pixels)
