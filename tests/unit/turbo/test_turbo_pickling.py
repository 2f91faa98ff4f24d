"""Facemap's file, written in a stream: what numpy and our own reader make of it."""

from __future__ import annotations

import numpy as np
import pytest

from fmdj_cloud.worker.importing.machine import load_pickle
from fmdj_cloud.worker.turbo.pickling import Stream, save_object

LARGE = 70_000


@pytest.fixture
def value():
    return {
        "names": [["a", "b"], ["c", "d"]],
        "nothing": None,
        "number": np.int64(3),
        "flags": [True, False],
        "small": np.arange(5, dtype=np.int32),
        "empty": [np.zeros((0, 1), np.float32)],
        "large": np.arange(LARGE, dtype=np.float32).reshape(-1, 7),
        "turned": np.arange(LARGE, dtype=np.float64).reshape(-1, 7).T,
        "stream": Stream((3, 4), np.float32, (np.full((1, 4), row, np.float64) for row in range(3))),
        "nested": {"mask": np.ones((300, 300), bool), "pair": (1.5, "x")},
    }


def test_numpy_reads_what_was_written(tmp_path, value):
    save_object(tmp_path / "x.npy", value)
    found = np.load(tmp_path / "x.npy", allow_pickle=True)
    assert (found.shape, found.dtype) == ((), object)
    found = found.item()
    assert list(found) == list(value)
    assert found["names"] == value["names"]
    assert found["nothing"] is None
    assert type(found["number"]) is np.int64
    assert found["flags"] == [True, False]
    for name in ("small", "large", "turned"):
        np.testing.assert_array_equal(found[name], value[name])
        assert found[name].dtype == value[name].dtype
    assert found["empty"][0].shape == (0, 1)
    np.testing.assert_array_equal(found["stream"], np.repeat(np.arange(3), 4).reshape(3, 4))
    assert found["stream"].dtype == np.float32
    assert found["nested"]["mask"].all()
    assert found["nested"]["pair"] == (1.5, "x")


def test_what_is_read_can_be_changed(tmp_path, value):
    save_object(tmp_path / "x.npy", value)
    found = np.load(tmp_path / "x.npy", allow_pickle=True).item()
    found["large"][0, 0] = 5
    assert found["large"].flags.owndata or found["large"].flags.writeable


def test_our_own_reader_of_imports_takes_it(tmp_path, value):
    save_object(tmp_path / "x.npy", value)
    load_pickle(memoryview((tmp_path / "x.npy").read_bytes())[128:])


def test_a_stream_that_ends_too_soon_is_an_error(tmp_path):
    short = Stream((3, 4), np.float32, [np.zeros((2, 4), np.float32)])
    with pytest.raises(ValueError, match="32 bytes came of an array of 48"):
        save_object(tmp_path / "x.npy", {"short": short})
