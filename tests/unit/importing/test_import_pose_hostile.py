"""Files with keypoints that nobody vouches for: refused with a sentence, and nothing but they themselves is opened."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.importing.pose import PoseFile, PoseJob
from fmdj_cloud.worker.importing.pose_h5 import read_points
from fmdj_cloud.worker.importing.pose_metadata import read_metadata
from fmdj_cloud.worker.importing.reader import ReaderJob, read_apart

FIELDS = ("x", "y", "likelihood")


def write(path: Path, **datasets: Any) -> Path:
    """Write a file with the body part mouth; a dataset is data, or a function that makes it."""
    with h5py.File(path, "w") as file:
        group = file.create_group("Facemap/mouth")
        for name in FIELDS:
            made = datasets.get(name, np.arange(8, dtype=np.float32))
            if callable(made):
                made(group, name)
            else:
                group[name] = made
    return path


def external_raw(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (8,), np.float32, external=[("/etc/passwd", 0, 32)])


def virtual(group: h5py.Group, name: str) -> None:
    layout = h5py.VirtualLayout((8,), np.float32)
    layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (8,))
    group.create_virtual_dataset(name, layout)


def bomb(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (1 << 27,), np.float32, chunks=(1 << 20,), compression="gzip")


def claimed(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (1 << 40,), np.float32, chunks=(1 << 20,))


def external_link(group: h5py.Group, name: str) -> None:
    group[name] = h5py.ExternalLink("/etc/other.h5", "/x")


def soft_link(group: h5py.Group, name: str) -> None:
    group["there"] = np.arange(8, dtype=np.float32)
    group[name] = h5py.SoftLink("/Facemap/mouth/there")


def no_dataset(group: h5py.Group, name: str) -> None:
    group.create_group(name)


def left_out(group: h5py.Group, name: str) -> None:
    pass


def texts(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, data=[b"a"] * 8, dtype=h5py.string_dtype())


def references(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, data=[group.ref] * 8, dtype=h5py.ref_dtype)


def ragged(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (8,), h5py.vlen_dtype(np.float32))


def without_space(group: h5py.Group, name: str) -> None:
    group[name] = h5py.Empty("f4")


def scale_offset(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, data=np.arange(8, dtype=np.float32), chunks=(8,), scaleoffset=2)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (external_raw, "lies in another file"),
        (virtual, "lies in another file"),
        (claimed, "shape"),
        (external_link, "link to somewhere else"),
        (soft_link, "link to somewhere else"),
        (no_dataset, "is a Group"),
        (left_out, "has no 'y'"),
        (texts, "plain numbers"),
        (references, "plain numbers"),
        (ragged, "plain numbers"),
        (without_space, "shape"),
        (scale_offset, "filter"),
        (np.arange(9, dtype=np.float32), "numbers and others 8"),
        (np.zeros((8, 2), np.float32), "shape"),
        (np.zeros(0, np.float32), "shape"),
        (np.arange(8), "plain numbers"),
        (np.zeros(8, complex), "plain numbers"),
        (np.zeros(8, [("a", "f4")]), "plain numbers"),
    ],
)
def test_a_dataset_that_facemap_doesn_t_write_is_refused(tmp_path: Path, made: Any, words: str) -> None:
    path = write(tmp_path / "cam_FacemapPose.h5", y=made)
    with pytest.raises(InputError, match=words) as refused:
        read_points(path, ("mouth",))
    assert refused.value.check == "import_file"
    assert refused.value.sentence.startswith("cam_FacemapPose.h5 can't be imported, since ")
    assert refused.value.sentence.isprintable()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda path: path.touch(), "it is empty"),
        (lambda path: path.write_bytes(os.urandom(4000)), "isn't an HDF5 file"),
        (lambda path: os.truncate(write(path), 900), "cut off"),
        (lambda path: h5py.File(path, "w").close(), "has no 'Facemap'"),
        (lambda path: h5py.File(path, "w").create_group("df_with_missing").file.close(), "table of pandas"),
        (lambda path: h5py.File(path, "w").create_dataset("Facemap", data=[1.0]).file.close(), "is a Dataset"),
    ],
)
def test_a_file_that_facemap_doesn_t_write_is_refused(tmp_path: Path, content: Callable, words: str) -> None:
    path = tmp_path / "cam_FacemapPose.h5"
    content(path)
    with pytest.raises(InputError, match=words):
        read_points(path, ("mouth",))


def test_numbers_that_aren_t_there_are_never_allocated(tmp_path: Path) -> None:
    path = write(tmp_path / "cam_FacemapPose.h5", x=bomb, y=bomb, likelihood=bomb)
    with pytest.raises(InputError, match="declares 1610612736 bytes of numbers"):
        read_points(path, ("mouth",))


def test_a_link_to_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # whoever opens it hangs
    with h5py.File(tmp_path / "cam_FacemapPose.h5", "w") as file:
        file["Facemap"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/")
    with pytest.raises(InputError, match="link to somewhere else"):
        read_points(tmp_path / "cam_FacemapPose.h5", ("mouth",))


class Program:
    """A pickle that runs a program."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._trace),)


@pytest.mark.parametrize("place", ["total_frames", "bodyparts", "bbox", "inference_speed", None])
def test_metadata_that_are_a_program_run_nothing(tmp_path: Path, place: str | None) -> None:
    trace, path = tmp_path / "trace", tmp_path / "cam_FacemapPose_metadata.pkl"
    program = Program(trace)
    path.write_bytes(pickle.dumps({place: program} if place else program, protocol=5))
    with pytest.raises(InputError, match=r"asks for '(posix|os)\.mkdir'"):
        read_metadata(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2], "doesn't hold the dict"),
        ({"total_frames": "many"}, "'total_frames' isn't a whole number"),
        ({"bodyparts": [1, 2]}, "'bodyparts' isn't a list of names"),
        ({"image_size": [[1], [2], [3]]}, "'image_size' isn't"),
        ({"image_size": [1, 2]}, "'image_size' isn't"),
        ({"image_size": ([1], ["a"])}, "'image_size' isn't a whole number"),
    ],
)
def test_metadata_that_facemap_doesn_t_write_are_refused(tmp_path: Path, values: Any, words: str) -> None:
    path = tmp_path / "cam_FacemapPose_metadata.pkl"
    path.write_bytes(pickle.dumps(values))
    with pytest.raises(InputError, match=words):
        read_metadata(path)


def test_large_metadata_aren_t_read(tmp_path: Path) -> None:
    path = tmp_path / "cam_FacemapPose_metadata.pkl"
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(InputError, match="2097152 bytes"):
        read_metadata(path)


def outcome(path: Path) -> int:
    """Return how a process ends that reads a file: 0, 1 for a sentence, 2 for anything else."""
    if (child := os.fork()) == 0:
        code = 2
        try:
            code = 0 if read_points(path, ("mouth",)).shape[1:] == (1, 3) else 2
        except InputError as error:
            code = 1 if error.sentence.isprintable() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_in_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    path = write(tmp_path / "cam_FacemapPose.h5")
    damaged = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(damaged) - 1), "at")
    damaged[at : at + data.draw(st.integers(0, 8), "length")] = data.draw(st.binary(max_size=8), "piece")
    path.write_bytes(damaged)
    code = outcome(path)
    assert code in (0, 1) or code < 0  # HDF5 may crash on what it hasn't written: so it reads in a process apart


def test_keypoints_are_read_in_the_process_with_limits(tmp_path: Path) -> None:
    path = write(tmp_path / "cam_FacemapPose.h5")
    signals = tmp_path / "signals.h5"
    pose = PoseJob(files=(PoseFile(points=str(path)),), body_parts=("mouth",), max_bad_frames=0)
    job = ReaderJob(pose=pose, signals=str(signals), run_id="r", fps=0, parent=os.getpid())
    assert read_apart(tmp_path / "reader", job).nframes == 8
    hostile = write(tmp_path / "cam_FacemapPose.h5", y=external_link)
    with pytest.raises(InputError, match="link to somewhere else") as refused:
        read_apart(tmp_path / "again", job.model_copy(update={"signals": str(tmp_path / "other.h5")}))
    assert (refused.value.check, hostile.exists()) == ("import_file", True)
