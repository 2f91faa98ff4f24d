"""What is compiled runs wherever it is, whether or not it can be kept."""

from __future__ import annotations

from fmdj_cloud.worker.turbo.compiled import compiled


def test_nothing_needs_to_be_kept():
    # of a function without a file, as on a file system that can't be written to, numba finds no place to keep it
    names: dict = {}
    exec("def double(x):\n    return 2 * x", names)
    assert compiled(names["double"])(21) == 42
