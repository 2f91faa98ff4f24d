"""Keypoints that exist become signals.h5: files joined, what is no number left empty, other recordings' refused."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from fmdj_cloud.contracts import BBox, Kind, Origin
from fmdj_cloud.errors import InputError
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.importing.imported import Imported
from fmdj_cloud.worker.importing.pose import PoseFile, PoseJob, convert_pose

PARTS = ("mouth", "eye(top)", "whisker(I)")
HEIGHT, WIDTH = 48, 64


@dataclasses.dataclass
class Keypoints:
    """Writes files as Facemap does, and converts them."""

    folder: Path

    def points(self, frames: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return (rng.random((frames, len(PARTS), 3)) * (WIDTH, HEIGHT, 1)).astype(np.float32)

    def write(self, points: np.ndarray, name: str = "cam", parts: tuple[str, ...] = PARTS) -> Path:
        path = self.folder / f"{name}_FacemapPose.h5"
        with h5py.File(path, "w") as file:
            for number, part in enumerate(parts):
                for place, field in enumerate(("x", "y", "likelihood")):
                    file[f"Facemap/{part}/{field}"] = points[:, number, place]
        return path

    def metadata(self, path: Path, frames: int, **changes: Any) -> Path:
        values = {
            "batch_size": 1,
            "image_size": ([HEIGHT], [WIDTH]),
            "bbox": [0, HEIGHT, 0, WIDTH],
            "total_frames": np.int64(frames),
            "bodyparts": list(PARTS),
            "inference_speed": np.float64(4.0),
        }
        metadata = path.with_name(f"{path.stem}_metadata.pkl")
        metadata.write_bytes(pickle.dumps(values | changes, protocol=5))
        return metadata

    def convert(self, *files: PoseFile, **changes: Any) -> tuple[Imported, np.ndarray]:
        """Return what was made, and the points in the file, in the order of the parts' names."""
        values: dict[str, Any] = {"body_parts": PARTS, "size": (HEIGHT, WIDTH), "max_bad_frames": 2}
        signals = self.folder / "signals.h5"
        imported = convert_pose(PoseJob(files=files, **values | changes), signals, run_id="import-0", fps=30.0)
        with SignalsReader(signals) as reader:
            (self.info,) = reader.pose_views()
            assert reader.nframes == imported.nframes
            points = [
                np.stack(reader.keypoints(self.info.view, part), -1) for part in reader.body_parts(self.info.view)
            ]
        return imported, np.stack(points, 1)


@pytest.fixture
def keypoints(tmp_path: Path) -> Keypoints:
    return Keypoints(tmp_path)


def by_name(points: np.ndarray) -> np.ndarray:
    return points[:, np.argsort(PARTS)]


def test_points_are_imported_as_they_are(keypoints) -> None:
    points = keypoints.points(20)
    path = keypoints.write(points)
    file = PoseFile(points=str(path), metadata=str(keypoints.metadata(path, 20)), frames=20, known=(20,))
    imported, found = keypoints.convert(file)
    np.testing.assert_array_equal(found, by_name(points))
    assert (imported.nframes, imported.warnings, imported.seconds) == (20, (), 5.0)
    (signal,) = imported.signals
    assert (signal.signal, signal.origin) == ("pose", Origin.IMPORT)
    info = keypoints.info
    assert (info.origin, info.batch_size, info.precision, info.bbox) == (Origin.IMPORT, 1, "", (0, HEIGHT, 0, WIDTH))


def test_files_follow_each_other(keypoints) -> None:
    first, second = keypoints.points(20, 1), keypoints.points(7, 2)
    paths = keypoints.write(first, "a"), keypoints.write(second, "b")
    _, found = keypoints.convert(*(PoseFile(points=str(path)) for path in paths), view=1)
    np.testing.assert_array_equal(found, by_name(np.concatenate([first, second])))
    assert keypoints.info.view == 1


def test_without_metadata_nothing_is_made_up(keypoints) -> None:
    imported, _ = keypoints.convert(PoseFile(points=str(keypoints.write(keypoints.points(20)))), size=None)
    assert imported.seconds == 0
    assert (keypoints.info.batch_size, keypoints.info.bbox) == (0, ())


def test_double_precision_and_compression_are_read_too(keypoints) -> None:
    points = keypoints.points(500)
    path = keypoints.folder / "cam_FacemapPose.h5"
    with h5py.File(path, "w") as file:
        for number, part in enumerate(PARTS):
            for place, field in enumerate(("x", "y", "likelihood")):
                file.create_dataset(
                    f"Facemap/{part}/{field}", data=points[:, number, place].astype(float), compression="gzip"
                )
    _, found = keypoints.convert(PoseFile(points=str(path)))
    np.testing.assert_array_equal(found, by_name(points))


def test_what_is_no_number_is_left_empty(keypoints) -> None:
    points = keypoints.points(20)
    points[3] = np.nan
    points[5, 0, 0] = np.inf
    points[6, 1, 2] = np.nan
    imported, found = keypoints.convert(PoseFile(points=str(keypoints.write(points))))
    empty = by_name(points)
    empty[~np.isfinite(empty).all(-1)] = (np.nan, np.nan, 0)
    np.testing.assert_array_equal(found, empty)
    (warning,) = imported.warnings
    assert "1 frame(s) hold no point and 2 point(s) in other frames are no numbers" in warning


def test_many_empty_frames_are_refused_unless_that_is_accepted(keypoints) -> None:
    points = keypoints.points(20)
    points[4:9] = np.nan
    file = PoseFile(points=str(keypoints.write(points)))
    with pytest.raises(InputError, match="5 of 20 frames without any point, and at most 2") as refused:
        keypoints.convert(file)
    assert refused.value.check == "bad_frames"
    assert keypoints.convert(file, accept=("bad_frames",))[0].nframes == 20


def test_frames_that_don_t_count_are_cut_off(keypoints) -> None:
    points = keypoints.points(20)
    file = PoseFile(points=str(keypoints.write(points)), frames=18, known=(18, 20))
    imported, found = keypoints.convert(file)
    np.testing.assert_array_equal(found, by_name(points[:18]))
    assert imported.warnings == ("cam_FacemapPose.h5 has 20 frames, of which the first 18 count.",)


def test_a_box_of_which_the_task_doesn_t_know_is_told(keypoints) -> None:
    path = keypoints.write(keypoints.points(20))
    metadata = keypoints.metadata(path, 20, bbox=[0, 24, 0, 32])
    file = PoseFile(points=str(path), metadata=str(metadata))
    imported, _ = keypoints.convert(file, bbox=BBox(y0=0, y1=48, x0=0, x1=64))
    assert "rows 0:24, columns 0:32" in imported.warnings[0]
    assert keypoints.info.bbox == (0, 24, 0, 32)


@pytest.mark.parametrize("box", [[[0, 24, 0, 32]], [[0, 24, 0, 32], [0, 1, 0, 1]], [], None, [1.5, 2, 3, 4], "all"])
def test_a_box_in_another_shape_stops_nothing(keypoints, box) -> None:
    path = keypoints.write(keypoints.points(20))
    file = PoseFile(points=str(path), metadata=str(keypoints.metadata(path, 20, bbox=box)))
    assert keypoints.convert(file)[0].nframes == 20


def refusal(keypoints: Keypoints, file: PoseFile, **changes: Any) -> InputError:
    with pytest.raises(InputError) as refused:
        keypoints.convert(file, **changes)
    assert refused.value.sentence.isprintable()
    return refused.value


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (("mouth", "eye(top)"), "lacks whisker(I)"),
        (("mouth", "eye(top)", "paw"), "lacks whisker(I) and holds paw"),
        ((*PARTS, "paw"), "holds paw, which the model isn't declared to find"),
    ],
)
def test_other_body_parts_than_the_models_are_refused(keypoints, parts, words) -> None:
    points = np.random.default_rng(0).random((20, len(parts), 3)).astype(np.float32)
    error = refusal(keypoints, PoseFile(points=str(keypoints.write(points, parts=parts))))
    assert words in error.sentence
    assert error.check == "body_parts"


def test_another_videos_keypoints_are_refused(keypoints) -> None:
    path = keypoints.write(keypoints.points(20))
    error = refusal(keypoints, PoseFile(points=str(path), frames=30, known=(30, 31)))
    assert (error.check, "20 frames and its video has 30" in error.sentence) == ("import_frames", True)
    size = keypoints.metadata(path, 20, image_size=([480], [640]))
    error = refusal(keypoints, PoseFile(points=str(path), metadata=str(size)))
    assert (error.check, "640x480 and this view is 64x48" in error.sentence) == ("import_size", True)
    error = refusal(keypoints, PoseFile(points=str(path)), size=(6, 8))
    assert error.check == "import_size"


@pytest.mark.parametrize("changes", [{"total_frames": 19}, {"bodyparts": ["mouth"]}])
def test_metadata_of_another_run_are_refused(keypoints, changes) -> None:
    path = keypoints.write(keypoints.points(20))
    metadata = keypoints.metadata(path, 20, **changes)
    error = refusal(keypoints, PoseFile(points=str(path), metadata=str(metadata)))
    assert (error.check, "different runs" in error.sentence) == ("import_content", True)


def test_frame_0_again_and_again_is_refused_unless_nothing_moves(keypoints) -> None:
    file = PoseFile(points=str(keypoints.write(np.repeat(keypoints.points(1), 20, 0))))
    error = refusal(keypoints, file)
    assert (error.check, "second simultaneous view" in error.sentence) == ("flat", True)
    assert keypoints.convert(file, accept=("flat",))[0].nframes == 20


def test_the_kind_of_the_file_is_import(keypoints) -> None:
    keypoints.convert(PoseFile(points=str(keypoints.write(keypoints.points(20)))))
    with h5py.File(keypoints.folder / "signals.h5") as file:
        assert file.attrs["kind"] == Kind.IMPORT
