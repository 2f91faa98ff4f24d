"""The worker on keypoints that Facemap found elsewhere: headless, in its GUI, or in a file that was tampered with."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fmdj_cloud.contracts import Kind, Origin, PoseParams, VideoRef
from fmdj_cloud.errors import InputError
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.pose.model import facemap_parts
from tests.support.pose.videos import damage

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def written(oracle, video):
    """Two sequential files, and what Facemap itself wrote for each."""
    found = {}
    for name, frames in (("a.avi", 20), ("b.avi", 9)):
        path = video(f"import_{name}", frames, seed=frames)
        oracle.points(path)
        found[path] = oracle.folder / "videos" / f"{path.stem}_FacemapPose.h5"
    return found


@pytest.fixture
def importing(bench, tmp_path):
    """Run an import of files, each with its metadata where there are any."""

    def run(videos: tuple[tuple[Path, ...], ...], *files: Path, accept: tuple[str, ...] = (), **params: Any):
        imports = []
        for path in files:
            for one in (path, path.with_name(f"{path.stem}_metadata.pkl")):
                if one.exists():
                    imports.append(VideoRef(uri=f"file://{one}", name=one.name, size=one.stat().st_size))
        pose = PoseParams(**{"body_parts": facemap_parts(), **params})
        spec = bench.spec(bench.refs(*videos), pose, kind=Kind.IMPORT, imports=tuple(imports), accept=accept)
        return bench.run(spec)

    return run


def stored(*paths: Path) -> np.ndarray:
    """What files hold, (frames, body parts, 3), by the parts' names."""
    whole = []
    for path in paths:
        with h5py.File(path) as file:
            group = file["Facemap"]
            fields = ("x", "y", "likelihood")
            whole.append(np.stack([np.stack([group[p][f][()] for f in fields], -1) for p in sorted(group)], 1))
    return np.concatenate(whole)


def gui_copy(source: Path, folder: Path, change: Any = None, **metadata: Any) -> Path:
    """Copy both files to where the GUI saves them: a folder of its user's, with what the GUI writes otherwise."""
    path = Path(shutil.copy(source, folder / source.name))
    pickled = source.with_name(f"{source.stem}_metadata.pkl")
    values = pickle.loads(pickled.read_bytes()) | metadata
    path.with_name(pickled.name).write_bytes(pickle.dumps(values, protocol=pickle.HIGHEST_PROTOCOL))
    if change is not None:
        with h5py.File(path, "a") as file:
            change(file["Facemap"])
    return path


def test_sequential_files_are_joined(importing, written):
    ran = importing(tuple((path,) for path in written), *written.values())
    assert ran.exit_code == 0, ran.output
    np.testing.assert_array_equal(ran.points(), stored(*written.values()))
    manifest = ran.manifest
    assert (manifest.kind, manifest.nframes, manifest.warnings) == (Kind.IMPORT, 29, ())
    assert [signal.origin for signal in manifest.signals] == [Origin.IMPORT]
    assert manifest.gui_file == f"file://{next(iter(written.values()))}"
    lying = [file.path for file in manifest.files if file.role == "facemap"]
    assert len(lying) == 4
    assert all(path.startswith("file://") for path in lying)
    assert manifest.timings_s["pose"] > 0
    assert not (ran.pod / "parts").exists()


def test_the_gui_saves_elsewhere_with_other_batches_and_a_box(importing, written, tmp_path):
    path, source = next(iter(written.items()))
    copy = gui_copy(source, tmp_path, batch_size=8, bbox=[[0, 120, 20, 140]], inference_speed=12.5)
    ran = importing(((path,),), copy)
    assert ran.exit_code == 0, ran.output
    np.testing.assert_array_equal(ran.points(), stored(source))
    with SignalsReader(ran.pod / "signals.h5") as reader:
        (info,) = reader.pose_views()
    assert (info.batch_size, info.bbox) == (8, (0, 120, 20, 140))
    assert ran.manifest.timings_s["pose"] == pytest.approx(20 / 12.5)


def test_keypoints_alone_are_enough(importing, written, tmp_path):
    source = next(iter(written.values()))
    copy = Path(shutil.copy(source, tmp_path / source.name))
    ran = importing((), copy)
    assert ran.exit_code == 0, ran.output
    assert (ran.manifest.nframes, ran.manifest.views) == (20, ())
    assert "The videos aren't there" in ran.manifest.warnings[0]


def test_the_second_of_two_views_as_facemap_computes_it_is_refused(importing, oracle, written, video, tmp_path):
    path, source = next(iter(written.items()))
    still = np.repeat(stored(source)[:1], 20, 0)

    def stand_still(group: h5py.Group) -> None:
        for place, part in enumerate(sorted(group)):
            for number, field in enumerate(("x", "y", "likelihood")):
                group[part][field][:] = still[:, place, number]

    copy = gui_copy(source, tmp_path, stand_still)
    other = video("import_view1.avi", 20, seed=5)
    ran = importing(((other, path),), copy, pose_view=1)
    assert (ran.exit_code, ran.message.check) == (InputError.exit_code, "flat")
    assert "second simultaneous view" in ran.message.sentence


def test_another_recordings_keypoints_are_refused(importing, written, video):
    (first, source), (_, shorter) = written.items()
    ran = importing(((first,),), shorter)
    assert (ran.exit_code, ran.message.check) == (InputError.exit_code, "import_frames")
    larger = video("import_larger.avi", 20, 240, 320, seed=6)
    ran = importing(((larger,),), source)
    assert (ran.exit_code, ran.message.check) == (InputError.exit_code, "import_size")


def test_a_model_that_is_declared_otherwise_is_refused(importing, written):
    path, source = next(iter(written.items()))
    ran = importing(((path,),), source, body_parts=("mouth", "tail"))
    assert (ran.exit_code, ran.message.check) == (InputError.exit_code, "body_parts")
    assert "lacks tail and holds eye(back), eye(bottom), eye(front)" in ran.message.sentence


def test_a_hostile_file_opens_nothing_and_says_so_in_a_sentence(importing, written, tmp_path):
    path, source = next(iter(written.items()))
    os.mkfifo(tmp_path / "pipe")  # whoever opens it hangs

    def link(group: h5py.Group) -> None:
        del group["mouth"]
        group["mouth"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/")

    ran = importing(((path,),), gui_copy(source, tmp_path, link))
    assert (ran.exit_code, ran.message.check) == (InputError.exit_code, "import_file")
    assert "link to somewhere else" in ran.message.sentence


class Program:
    """A pickle that runs a program."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._trace),)


def test_metadata_that_are_a_program_run_nothing(importing, written, tmp_path):
    path, source = next(iter(written.items()))
    copy = gui_copy(source, tmp_path, bodyparts=Program(tmp_path / "trace"))
    ran = importing(((path,),), copy)
    assert (ran.exit_code, ran.message.check) == (InputError.exit_code, "import_file")
    assert not (tmp_path / "trace").exists()


def test_the_frames_that_count_are_those_that_can_be_decoded(importing, written, tmp_path):
    path, source = next(iter(written.items()))
    broken = damage(path, tmp_path / path.name, 18, 19)
    ran = importing(((broken,),), source)
    assert ran.exit_code == 0, ran.output
    np.testing.assert_array_equal(ran.points(), stored(source)[:18])
    assert any("has 20 frames, of which the first 18 count" in warning for warning in ran.manifest.warnings)
