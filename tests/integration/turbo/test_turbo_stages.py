"""Stages alone and together: the same bits, whatever the threads, the parts and the cache."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from fmdj_cloud.errors import StorageError
from fmdj_cloud.worker.turbo.frames import Recording
from fmdj_cloud.worker.turbo.part import Part, Parts
from tests.support.turbo import runs

pytestmark = pytest.mark.integration


def arrays(path) -> dict[str, np.ndarray]:
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.mark.parametrize(
    "otherwise",
    [{"threads": 2}, {"edges": (500, 1500)}, {"edges": (2000,), "cache": False, "threads": 3}],
    ids=["threads", "shards", "shards without a cache"],
)
def test_results_are_the_same_bit_by_bit(case_of, tmp_path, otherwise):
    case = case_of("everything")
    other = runs.turbo(case.videos, case.params, tmp_path / "other", **otherwise)
    expected, found = arrays(case.exact.signals), arrays(other.signals)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    ours, theirs = case.exact.procs["main"].read_bytes(), other.procs["main"].read_bytes()
    folders = [str(ran.procs["main"].parent).encode() for ran in (case.exact, other)]
    assert ours.partition(folders[0])[2] == theirs.partition(folders[1])[2]  # after save_path, all is alike


@pytest.mark.parametrize(("room", "most"), [(1 << 30, 1), (1100 * 768 * 2, 2), (0, 3)])
def test_frames_are_decoded_no_more_often_than_room_to_keep_them_demands(case_of, tmp_path, monkeypatch, room, most):
    case = case_of("plain")
    decoded = np.zeros(2100, int)
    fill = Recording._fill

    def counted(self, piece, buffer):
        decoded[piece.start : piece.stop] += 1
        fill(self, piece, buffer)

    monkeypatch.setattr(Recording, "_fill", counted)
    made = runs.turbo(case.videos, case.params, tmp_path / "made", room=room)
    assert decoded.max() == most
    assert np.count_nonzero(decoded > 2) <= 1000
    expected, found = arrays(case.exact.signals), arrays(made.signals)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_parts_that_leave_frames_out_are_refused(case_of, tmp_path):
    case = case_of("plain")
    folder = tmp_path / "run"
    runs.turbo(case.videos, case.params, folder, edges=(500, 1000))
    parts = [Part(folder / f"part-{start}.h5") for start in (0, 1000)]
    with pytest.raises(StorageError, match="frames 0:500, 1000:2100, not 0:2100"):
        Parts(parts, 2100)


def test_a_file_that_is_no_part_is_refused(case_of, tmp_path):
    with pytest.raises(StorageError, match="not fmdj-turbo-part"):
        Part(case_of("plain").exact.signals)
    broken = tmp_path / "part.h5"
    broken.write_bytes(b"nothing")
    with pytest.raises(StorageError, match="can't be read"):
        Part(broken)
