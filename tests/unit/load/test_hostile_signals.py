"""A signals.h5 that somebody else wrote: loaded or refused in a sentence, and nothing but the file itself is opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fmdj_cloud.errors import LoadError
from fmdj_cloud.load.check import check_keypoints, check_signals, require
from fmdj_cloud.load.pose_rows import position_batches
from fmdj_cloud.load.rows import Shape, signal_batches
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.signals_h5 import SignalsReader, vet
from tests.support.hostile.apart import OTHER, READ, REFUSED, outcome
from tests.support.hostile.mutation import mutated
from tests.support.pose import signals as pose_signals

MIB = 1 << 20
SHORT = 60
LONG = 10_000
MOTION = "regions/0/motion"


def replaced(path: str, make: Callable[[h5py.File, str], Any]) -> Callable[[h5py.File], None]:
    """Put something else in the place of a dataset or group."""

    def attack(file: h5py.File) -> None:
        if path in file:
            del file[path]
        make(file, path)

    return attack


def attribute(path: str, name: str, value: Any, **options: Any) -> Callable[[h5py.File], None]:
    def attack(file: h5py.File) -> None:
        del file[path].attrs[name]
        file[path].attrs.create(name, value, **options)

    return attack


def link(path: str, made: Any) -> Callable[[h5py.File], None]:
    return replaced(path, lambda file, at: file.__setitem__(at, made))


def dataset(path: str, *args: Any, **options: Any) -> Callable[[h5py.File], None]:
    return replaced(path, lambda file, at: file.create_dataset(at, *args, **options))


def virtual(file: h5py.File, at: str) -> None:
    layout = h5py.VirtualLayout((60,), "<f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (60,))
    file.create_virtual_dataset(at, layout)


def itself(file: h5py.File) -> None:
    file["regions/5"] = file["regions"]


def shared(file: h5py.File) -> None:
    for number in range(5, 40):
        file[f"regions/{number}"] = file["regions/0"]


def deep(file: h5py.File) -> None:
    del file["regions/0/mot"]
    group = file["regions/0"]
    for _ in range(300):
        group = group.create_group("mot")


def crowd(file: h5py.File) -> None:
    for number in range(5000):
        file.create_group(f"pose/0/part{number}")
    file["pose/0"].attrs.update({"view": 0, "origin": "facemap", "batch_size": 1, "precision": "", "note": ""})
    file["pose/0"].attrs["bbox"] = np.arange(4)


ATTACKS: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "an external link": (link(MOTION, h5py.ExternalLink("/etc/passwd", "/x")), "motion is a link"),
    "an external link for a group": (link("regions", h5py.ExternalLink("/dev/zero", "/x")), "regions is a link"),
    "a soft link": (link(MOTION, h5py.SoftLink("/summary/avgframe")), "motion is a link"),
    "a soft link to itself": (link("regions/0", h5py.SoftLink("/regions/0")), "0 is a link"),
    "a dangling link": (link("summary", h5py.SoftLink("/nowhere")), "summary is a link"),
    "a group that contains itself": (itself, "doesn't say its roi_no"),
    "one region under many numbers": (shared, "declares more than"),
    "groups in groups": (deep, ""),
    "thousands of body parts": (crowd, "5000 members"),
    "a group where a dataset belongs": (replaced(MOTION, lambda f, at: f.create_group(at)), "not a dataset"),
    "a dataset where a group belongs": (replaced("regions/0/mot", lambda f, at: f.create_dataset(at, data=1)), "group"),
    "a type where a dataset belongs": (link(MOTION, np.dtype("f4")), "is a Datatype"),
    "raw data of another file": (dataset(MOTION, (60,), "<f4", external=[("/etc/passwd", 0, 240)]), "another file"),
    "a virtual dataset": (replaced(MOTION, virtual), "another file"),
    "numbers that were never written": (dataset(MOTION, (60,), "<f4"), "all there"),
    "chunks that were never written": (dataset(MOTION, (4096,), "<f4", chunks=(64,)), "all there"),
    "a petabyte": (dataset(MOTION, (1 << 48,), "<f4", chunks=(1 << 20,)), "declares more than"),
    "a shape beyond 64 bits": (dataset(MOTION, (1 << 31, 1 << 31, 4), "<f4", chunks=(1, 1, 1)), "shape"),
    "a gzip bomb": (
        dataset("regions/0/mot/masks", data=np.zeros((64, 64, 64), "f4"), compression="gzip"),
        "is compressed",
    ),
    "an lzf bomb": (dataset(MOTION, data=np.zeros(1 << 18, "f4"), compression="lzf"), "is compressed"),
    "a checksum": (dataset(MOTION, data=np.zeros(60, "f4"), fletcher32=True), "is compressed"),
    "texts": (dataset(MOTION, data=[b"a"] * 60, dtype=h5py.string_dtype()), "type <f4"),
    "ragged rows": (dataset(MOTION, (60,), h5py.vlen_dtype(np.float32)), "type <f4"),
    "references": (dataset(MOTION, (60,), h5py.ref_dtype), "type <f4"),
    "a structure": (dataset(MOTION, data=np.zeros(60, [("a", "f4")])), "type <f4"),
    "an array for every frame": (dataset(MOTION, data=np.zeros(60, "(9,)f4")), "shape"),
    "numbers of another order": (dataset(MOTION, data=np.zeros(60, ">f4")), "type <f4"),
    "no dimension": (dataset(MOTION, data=np.float32(1)), "shape"),
    "no space": (link(MOTION, h5py.Empty("f4")), "shape"),
    "too many dimensions": (dataset(MOTION, data=np.zeros((60, 1), "f4")), "shape"),
    "a pupil of three coordinates": (dataset("regions/2/pupil/com", data=np.zeros((60, 3))), "shape"),
    "a mask without its projections": (lambda file: file.__delitem__("regions/0/mot/projections"), ""),
    "projections without masks": (lambda file: file.__delitem__("regions/0/mot/masks"), ""),
    "half a pupil": (lambda file: file.__delitem__("regions/2/pupil/com"), ""),
    "no pixels": (lambda file: file.__delitem__("regions/0/yrange"), "yrange"),
    "half a summary": (lambda file: file.__delitem__("summary/avgmotion"), ""),
    "another format": (attribute("/", "format", "something"), "format is something"),
    "a format of bytes": (attribute("/", "format", np.bytes_(b"\xff\xfe")), "it is damaged"),
    "another version": (attribute("/", "version", 2), "version is 2"),
    "no frames": (attribute("/", "nframes", float("nan")), "nframes in another way"),
    "a negative number of frames": (attribute("/", "nframes", -1), "nframes"),
    "a list of frames": (attribute("/", "nframes", [60, 60]), "nframes in another way"),
    "a rate that is no number": (attribute("/", "fps", float("nan")), "fps in another way"),
    "an endless rate": (attribute("/", "fps", float("inf")), "fps in another way"),
    "a bin of 0": (attribute("/", "sbin", 0), "sbin"),
    "a run that is a number": (attribute("/", "run_id", 7), "run_id in another way"),
    "a thousand run ids": (attribute("/", "run_id", ["x" * 1000] * 1000), "run_id in another way"),
    "a long note": (attribute("regions/0", "note", "x" * 60_000 + "\n"), "note in another way"),
    "a name with control characters": (attribute("regions/0", "name", "a\x1b[2Jb"), "name in another way"),
    "a name that isn't UTF-8": (attribute("regions/0", "name", np.bytes_(b"\xff\xff")), ""),
    "an origin that isn't one": (attribute("regions/0", "origin", "heaven"), "origin in it is heaven"),
    "a region that is no number": (lambda file: file.move("regions/4", "regions/four"), "is no number"),
    "a region of another number": (lambda file: file.move("regions/4", "regions/04"), "is no number"),
    "a region of a huge number": (lambda file: file.move("regions/4", f"regions/{'9' * 5000}"), "member with the name"),
}


def load(path: Path, make: Any) -> None:
    """Do what the loader does with a file, without a database."""
    with SignalsReader(path) as signals:
        require(check_signals(signals, make.manifest(), make.params(), LoadSettings(slice_mib=1)))
        for _ in signal_batches({}, signals, Shape(), MIB):
            pass


def load_pose(path: Path) -> None:
    with SignalsReader(path) as signals:
        manifest = pose_signals.manifest()
        require(check_keypoints(signals, manifest, 0, pose_signals.BODY_PARTS, LoadSettings()))
        for _ in position_batches({}, signals, 0, MIB):
            pass


@pytest.mark.parametrize("name", ATTACKS)
def test_a_file_with_more_than_the_layout_names_is_refused(name: str, tmp_path: Path, make: Any) -> None:
    attack, words = ATTACKS[name]
    path = make.write(tmp_path / "signals.h5")
    with h5py.File(path, "r+") as file:
        attack(file)
    code, sentence = outcome(lambda: load(path, make), memory=64 * MIB)
    assert code == REFUSED, sentence
    assert words in sentence


def test_a_link_to_a_pipe_is_never_opened(tmp_path: Path, make: Any) -> None:
    os.mkfifo(tmp_path / "pipe")  # whoever opens it hangs
    path = make.write(tmp_path / "signals.h5")
    with h5py.File(path, "r+") as file:
        link("regions/1", h5py.ExternalLink(str(tmp_path / "pipe"), "/"))(file)
    code, sentence = outcome(lambda: load(path, make), memory=64 * MIB)
    assert (code, "is a link" in sentence) == (REFUSED, True)


def test_a_good_file_passes_the_process_that_looks_first(tmp_path: Path, make: Any) -> None:
    vet(make.write(tmp_path / "signals.h5"))
    vet(pose_signals.write(tmp_path / "pose.h5"))


def test_what_is_wrong_is_told_by_the_process_that_looks_first(tmp_path: Path, make: Any) -> None:
    path = make.write(tmp_path / "signals.h5")
    with h5py.File(path, "r+") as file:
        link(MOTION, h5py.ExternalLink("/etc/passwd", "/x"))(file)
    with pytest.raises(LoadError, match=r"signals\.h5 isn't laid out as documented \(its /regions/0/motion is a link"):
        vet(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(LoadError, match="can't be read as HDF5"):
        vet(path)


def heap_in_circles(path: Path) -> None:
    """Make the library turn in circles: an object of the heap that holds the texts has no length (HDF5 1.14)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"GCOL") + 16
    data[start : start + 16] = bytes(16)
    path.write_bytes(data)


def judge(path: Path, load: Callable[[], None]) -> None:
    """What opens in a process apart is loaded or refused in this one; what doesn't is refused."""
    code, told = outcome(load, memory=256 * MIB)
    if code in (READ, REFUSED):
        return
    assert code != OTHER, told
    with pytest.raises(LoadError) as refused:  # it died or hung: it must have done so before, elsewhere
        vet(path)
    assert refused.value.sentence.isprintable()


def mutants(seeds: range, folder: Path, make: Any) -> None:
    svd = make.write(folder / "svd.h5").read_bytes()
    pose = pose_signals.write(folder / "pose.h5").read_bytes()
    path = folder / "signals.h5"
    for seed in seeds:
        try:
            path.write_bytes(mutated(pose if seed % 3 == 0 else svd, seed))
            judge(path, (lambda: load_pose(path)) if seed % 3 == 0 else (lambda: load(path, make)))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


def test_a_damaged_file_is_loaded_or_refused_in_a_sentence(tmp_path: Path, make: Any) -> None:
    mutants(range(SHORT), tmp_path, make)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("part", range(4))
def test_any_damaged_file_is_loaded_or_refused_in_a_sentence(part: int, tmp_path: Path, make: Any) -> None:
    mutants(range(1_000_000 + part * LONG // 4, 1_000_000 + (part + 1) * LONG // 4), tmp_path, make)


def test_what_hangs_the_library_is_refused_by_the_process_that_looks_first(tmp_path: Path, make: Any) -> None:
    path = make.write(tmp_path / "signals.h5")
    heap_in_circles(path)
    with pytest.raises(LoadError, match="looking at it ends a process with code -9"):
        vet(path, cpu_s=1)
