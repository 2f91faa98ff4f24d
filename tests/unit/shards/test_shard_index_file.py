from __future__ import annotations

import h5py
import numpy as np
import pytest

from fmdj_cloud.errors import StorageError
from fmdj_cloud.worker.index import read_index
from fmdj_cloud.worker.index_file import read_indices, write_indices
from fmdj_cloud.worker.reach import Extent, Reach, read_reach, write_reach
from tests.support.turbo import coded


@pytest.fixture(scope="module")
def indices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("indices")
    luma = coded.moving(20, 48, 64)
    stamps = np.cumsum(np.random.default_rng(0).integers(20, 60, 20))
    paths = [coded.write(folder / f"{name}.avi", luma[:count]) for name, count in (("a", 20), ("b", 20), ("ü c", 9))]
    options = {"codec": "libx264", "pixel_format": "yuv420p", "options": {"bf": "0"}}
    paths.append(coded.write(folder / "d.mp4", luma[:9], **options, stamps=stamps[:9]))
    found = [read_index(path) for path in paths]
    return ((found[0], found[1]), (found[2], found[3]))


def test_indices_are_read_as_they_were_written(indices, tmp_path):
    write_indices(tmp_path / "indices.h5", indices, (20, 9))
    assert read_indices(tmp_path / "indices.h5") == (indices, (20, 9))


def test_the_same_indices_are_the_same_bytes(indices, tmp_path):
    for name in ("one", "two"):
        write_indices(tmp_path / name, indices, (20, 9))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_more_than_ten_files_keep_their_order(indices, tmp_path):
    many = tuple((indices[k % 2][0],) for k in range(13))
    write_indices(tmp_path / "many.h5", many, (9,) * 13)
    assert read_indices(tmp_path / "many.h5")[0] == many


def test_another_file_is_no_indices(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"] = "other"
    (tmp_path / "none.h5").write_bytes(b"nothing")
    for name in ("other.h5", "none.h5"):
        with pytest.raises(StorageError, match="compute the task again"):
            read_indices(tmp_path / name)


def test_what_shards_need_is_read_as_it_was_written(tmp_path):
    reach = Reach(ranged=True, shards=((Extent(row=0, view=1, start=5, stop=9),), ()))
    write_reach(tmp_path / "reach.json", reach)
    assert read_reach(tmp_path / "reach.json") == reach
    (tmp_path / "reach.json").write_text("{}")
    with pytest.raises(StorageError, match=r"reach\.json can't be understood"):
        read_reach(tmp_path / "reach.json")
