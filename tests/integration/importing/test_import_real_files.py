"""The reader on files that Facemap itself wrote, whole and damaged."""

from __future__ import annotations

import pickletools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.importing.convert import convert
from fmdj_cloud.worker.importing.layout import lay_out
from fmdj_cloud.worker.importing.machine import load_pickle
from fmdj_cloud.worker.importing.npy import pickle_start
from fmdj_cloud.worker.importing.proc import read_proc_file

pytestmark = pytest.mark.integration


def test_all_that_facemap_wrote_is_read_as_numpy_reads_it(output) -> None:
    proc, found = output.proc(), read_proc_file(output.path)
    assert found.integers("sbin") == (proc["sbin"],)
    assert found.integers("Ly") == tuple(proc["Ly"])
    for name in ("motion", "motSVD", "motMask_reshape", "movSVD", "blink", "running"):
        for mine, theirs in zip(found.list(name), proc[name], strict=True):
            np.testing.assert_array_equal(found.array(name, mine, dimensions=theirs.ndim), theirs)


@pytest.fixture(scope="module")
def opcodes(roi_output) -> tuple[bytes, list[int]]:
    """Facemap's file, and where its opcodes stand."""
    good = roi_output.path.read_bytes()
    start = pickle_start(memoryview(good))
    load_pickle(memoryview(good)[start:])
    return good, [start + at for _, _, at in pickletools.genops(good[start:]) if at is not None]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_of_facemap_is_read_or_refused_in_a_sentence(
    opcodes: tuple[bytes, list[int]], tmp_path: Path, data: st.DataObject
) -> None:
    good, places = opcodes
    damaged = bytearray(good)
    at = data.draw(st.sampled_from(places), "at") + data.draw(st.integers(0, 2), "offset")
    damaged[at : at + data.draw(st.integers(0, 4), "length")] = data.draw(st.binary(max_size=4), "piece")
    path = tmp_path / "m1_proc.npy"
    path.write_bytes(damaged)
    refused = None
    try:
        proc = read_proc_file(path)
        convert(proc, lay_out(proc), tmp_path / "signals.h5", run_id="r", fps=0)
    except InputError as error:
        refused = error
    assert refused is None or refused.sentence.isprintable()
