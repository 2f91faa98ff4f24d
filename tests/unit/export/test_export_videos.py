"""Where a file says the videos are, and what it does where their frames aren't known."""

from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.contracts import Kind, Manifest, TaskRecord, ViewFrames
from fmdj_cloud.export.videos import view_videos
from fmdj_cloud.settings import PipelineSettings, Settings
from fmdj_cloud.storage import open_store
from tests.unit.load import conftest as load

FILES = ((0, "m1/a.avi"), (1, "m1/b.avi"))
TASK = TaskRecord(
    pipeline="lab",
    kind=Kind.SVD,
    table="FacemapTask",
    key={"recording_id": 1},
    task_digest="d",
    param_digest="p",
    mode="trigger",
    output_dir="",
    task_id=0,
    files=FILES,
)
VIEW = ViewFrames(height=32, width=48, fps=30.0, frames=(40, 20), header_frames=(40, 20))


@pytest.fixture
def find(tmp_path):
    for _, path in FILES:
        (tmp_path / "raw" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "raw" / path).write_bytes(b"no video")
    lab = PipelineSettings(
        name="lab",
        behavior_schema="b",
        video_roots=(f"file://{tmp_path}/raw",),
        processed_root=f"file://{tmp_path}/processed",
    )
    (tmp_path / "out").mkdir()

    def find(grouping, *, manifest: Manifest | None = None, videos=None):
        out = tmp_path / "out" / "x.nwb"
        store = open_store(Settings(pipelines=(lab,)).storage)
        return view_videos(TASK, grouping, lab, store, out=out, videos=videos, manifest=manifest, nframes=60)

    return find


def test_files_of_a_shared_folder_are_relative_to_the_exported_one(find) -> None:
    (view,), notes = find(((0,), (1,)), manifest=load.manifest(views=(VIEW,), started=dt.datetime(2026, 1, 1)))
    assert view.files == ("../raw/m1/a.avi", "../raw/m1/b.avi")
    assert (view.starting_frames, view.size, notes) == ((0, 40), (32, 48), ())


def test_a_single_file_has_all_frames_whatever_its_header_says(find) -> None:
    views, _ = find(((0, 1),))
    assert [(view.view, view.files, view.starting_frames) for view in views] == [
        (0, ("../raw/m1/a.avi",), (0,)),
        (1, ("../raw/m1/b.avi",), (0,)),
    ]


def test_files_that_nothing_puts_in_their_place_are_left_out(find) -> None:
    views, notes = find(((0,), (1,)))
    assert views == ()
    assert "The videos of view 0 are left out" in notes[0]


def test_readers_may_have_the_videos_elsewhere(find, tmp_path) -> None:
    copies = tmp_path / "copies" / "m1"
    copies.mkdir(parents=True)
    (copies / "a.avi").write_bytes(b"no video")
    (tmp_path / "raw" / "m1" / "a.avi").unlink()
    (view, _), notes = find(((0, 1),), videos=tmp_path / "copies")
    assert view.files == ("../copies/m1/a.avi",)
    assert notes == (f"There is no file {copies / 'b.avi'}, which the file refers to: readers need it there.",)
