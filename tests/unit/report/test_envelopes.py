"""A trace in few columns loses no extreme, however it is read."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fmdj_cloud.report.envelope import Envelope, envelope

TRACES = arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e9, 1e9) | st.just(np.nan) | st.just(np.inf))


@given(TRACES, st.integers(1, 400), st.integers(1, 400))
def test_each_column_has_the_extremes_of_its_own_frames(trace: np.ndarray, columns: int, step: int) -> None:
    found = envelope(lambda start, stop: trace[start:stop], len(trace), columns, step)
    assert found.columns == min(columns, len(trace))
    assert found.missing == np.count_nonzero(~np.isfinite(trace))
    column = np.arange(len(trace)) * found.columns // len(trace)
    for number in range(found.columns):
        mine = trace[column == number]
        known = mine[np.isfinite(mine)]
        low, high = (known.min(), known.max()) if known.size else (np.nan, np.nan)
        np.testing.assert_array_equal([found.low[number], found.high[number]], [low, high])
        assert found.positions[number] == np.flatnonzero(column == number)[0]


@given(TRACES)
def test_a_short_trace_is_drawn_frame_by_frame(trace: np.ndarray) -> None:
    found = envelope(lambda start, stop: trace[start:stop], len(trace), 1000)
    finite = np.where(np.isfinite(trace), trace, np.nan)
    np.testing.assert_array_equal(found.low, finite)
    np.testing.assert_array_equal(found.high, finite)
    assert found.positions.tolist() == list(range(len(trace)))


def test_the_mean_leaves_out_what_is_no_number() -> None:
    found = Envelope(4, 2)
    assert found.mean == 0.0
    found.add(0, np.array([1.0, np.nan]))
    found.add(2, np.array([np.inf, 3.0]))
    assert (found.mean, found.missing) == (2.0, 2)


def test_values_outside_of_the_trace_are_refused() -> None:
    with pytest.raises(ValueError, match="aren't part of 3 frames"):
        Envelope(3, 2).add(2, np.zeros(2))
    with pytest.raises(ValueError, match="can't be drawn"):
        Envelope(3, 0)


def test_a_long_trace_takes_the_memory_of_a_slice() -> None:
    tracemalloc.start()
    found = envelope(lambda start, stop: np.arange(start, stop, dtype=np.float32), 10_000_000, 1000, 100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.low[0], found.high[-1]) == (0, 9_999_999)
    assert peak < 8 << 20
