from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.export.iterators import columns, trace


@pytest.mark.parametrize("step", [1, 3, 8])
@pytest.mark.parametrize("axis", [0, 1])
def test_columns_are_fetched_some_at_a_time_and_put_in_place(step, axis) -> None:
    whole = np.arange(35, dtype=np.float32).reshape(7, 5)
    ids = [10 + number for number in range(whole.shape[axis])]
    asked = []

    def fetch(some):
        asked.append(len(some))
        return np.take(whole, [one - 10 for one in some], axis=axis)

    pieces = columns(fetch, ids, whole.shape, axis, step)
    built = np.full(pieces.maxshape, np.nan, pieces.dtype)
    for piece in pieces:
        built[piece.selection] = piece.data
    np.testing.assert_array_equal(built, whole)
    assert max(asked) <= step
    assert pieces.recommended_chunk_shape()[axis] == min(step, whole.shape[axis])


def test_chunks_stay_small_however_long_the_other_side_is() -> None:
    for frames in (100_000, 10_000_001):
        pieces = columns(lambda _: np.zeros(0), range(500), (frames, 500), axis=1, step=8)
        rows, components = pieces.recommended_chunk_shape()
        assert rows * components * 4 <= 1 << 20
        assert -(-frames // rows) * rows < 1.01 * frames  # next to nothing hangs over


def test_a_trace_is_fetched_when_it_is_written() -> None:
    fetched = []
    whole = np.arange(6.0).reshape(3, 2)

    def fetch():
        fetched.append(1)
        return whole

    pieces = trace(fetch, (3, 2), "float64")
    assert not fetched
    (piece,) = pieces
    np.testing.assert_array_equal(piece.data, whole)
