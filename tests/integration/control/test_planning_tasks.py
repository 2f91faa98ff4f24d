"""Planning asks a real store for sizes, versions and headers, and lays out where outputs go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import Basis, Engine, Kind, RoiKind, TaskRecord
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.demo.gui_export import roi_dict, roi_export
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.errors import ConfigError, InputError, InputMissingError
from fmdj_cloud.settings import PipelineSettings, Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def pipeline(bucket):
    return PipelineSettings(
        name="lab",
        behavior_schema="facemap",
        video_roots=(f"{bucket}/new", f"{bucket}/old"),
        path_map={"/mnt/lab": f"{bucket}/archive"},
        processed_root=f"{bucket}/processed",
    )


@pytest.fixture
def plan(store, bucket, pipeline):
    """Plans a task with the given files; those that `there` names are uploaded first."""

    def build(*paths: str, there: tuple[str, ...] = (), data: bytes = b"x" * 60_000, **changes: Any):
        for name in there:
            store.put_bytes(f"{bucket}/{name}", data)
        values: dict[str, Any] = {
            "pipeline": "lab",
            "kind": Kind.SVD,
            "table": "FacemapTask",
            "key": {"subject": "m1"},
            "task_digest": "t" * 64,
            "param_digest": "p" * 64,
            "mode": "trigger",
            "output_dir": "somewhere/else",
            "task_id": 3,
            "params": {"sbin": 4},
            "do_mot_svd": True,
            "do_mov_svd": False,
            "files": tuple(enumerate(paths)),
        }
        options = {name: changes.pop(name) for name in ("engine", "basis") if name in changes}
        return plan_task(TaskRecord(**values | changes), pipeline, store, Settings(), **options)

    return build


def test_outputs_go_beside_the_video_under_the_processed_root(plan, bucket):
    found = plan("m 1/day#1/cam+1.avi", there=("old/m 1/day#1/cam+1.avi",))
    assert found.output_dir_uri == f"{bucket}/processed/m 1/day#1/facemap_3/{found.run_id}"
    ((video,),) = found.plan.videos
    assert (video.uri, video.name, video.size) == (f"{bucket}/old/m 1/day#1/cam+1.avi", "cam+1.avi", 60_000)
    assert video.etag


def test_a_video_at_the_top_of_its_root(plan, bucket):
    found = plan("cam.avi", there=("new/cam.avi",))
    assert found.output_dir_uri == f"{bucket}/processed/facemap_3/{found.run_id}"


def test_a_path_as_the_lab_mounts_it(plan, bucket):
    found = plan("/mnt/lab/m1/cam.avi", there=("archive/m1/cam.avi",))
    assert found.plan.videos[0][0].uri == f"{bucket}/archive/m1/cam.avi"
    assert found.output_dir_uri == f"{bucket}/processed/m1/facemap_3/{found.run_id}"


def test_the_same_task_is_the_same_run_and_another_content_another(plan):
    first = plan("m1/a.avi", there=("new/m1/a.avi",))
    assert plan("m1/a.avi").run_id == first.run_id
    assert plan("m1/a.avi", params={"sbin": 8}).run_id != first.run_id
    assert plan("m1/a.avi", task_digest="u" * 64).run_id != first.run_id
    assert plan("m1/a.avi", task_digest="u" * 64).content_digest == first.content_digest
    assert plan("m1/a.avi", engine=Engine.FACEMAP).content_digest != first.content_digest
    assert plan("m1/a.avi", basis=Basis.FACEMAP).content_digest != first.content_digest
    assert plan("m1/a.avi", there=("new/m1/a.avi",), data=b"y" * 60_000).run_id != first.run_id


def test_files_of_one_name_get_names_of_their_own(plan):
    found = plan("a/cam.avi", "b/cam.avi", "b/other.avi", there=("new/a/cam.avi", "new/b/cam.avi", "new/b/other.avi"))
    assert [row[0].name for row in found.plan.videos] == ["file0_cam.avi", "file1_cam.avi", "file2_other.avi"]


def test_views_are_grouped(plan):
    files = ("m1/a.avi", "m1/b.avi")
    found = plan(*files, there=tuple(f"new/{name}" for name in files), params={"views": [[1, 0]]})
    assert [[video.name for video in row] for row in found.plan.videos] == [["b.avi", "a.avi"]]


def test_a_missing_video_is_waited_for(plan):
    with pytest.raises(InputMissingError, match=r"m1/lost\.avi"):
        plan("m1/lost.avi")


def test_an_empty_video_is_refused(plan):
    with pytest.raises(InputError, match="0 bytes") as refused:
        plan("m1/a.avi", there=("new/m1/a.avi",), data=b"")
    assert not isinstance(refused.value, InputMissingError)


def test_a_path_that_leaves_the_root_is_refused(plan):
    with pytest.raises(InputError, match=r"\.\."):
        plan("../secret/a.avi")


def test_a_roi_on_a_view_that_is_not_there_is_refused(plan):
    rois = [roi_dict(RoiKind.MOTION_SVD, (0, 8, 0, 8), number=0, view=1)]
    with pytest.raises(InputError, match=r"view 1 .*1 view, counted from 0") as refused:
        plan("m1/a.avi", there=("new/m1/a.avi",), params={"rois": rois})
    assert refused.value.check == "rois"


def test_rois_drawn_on_more_views_than_there_are_files_are_refused(plan):
    rois = [roi_dict(RoiKind.MOTION_SVD, (0, 8, 0, 8), number=0)]
    export = roi_export(rois, [["x.avi", "y.avi"]], height=20, width=20, sbin=1, full_svd=True, mot=True, mov=False)
    with pytest.raises(InputError, match="drawn on 2 views"):
        plan("m1/a.avi", there=("new/m1/a.avi",), params=export | {"filenames": None})


def test_output_dirs_that_the_element_cannot_hold_are_refused(plan):
    long = "/".join(["x" * 40] * 5)
    plan_dir = plan("m1/a.avi", there=("new/m1/a.avi",)).output_dir_uri
    assert len(plan_dir) < 255
    with pytest.raises(InputError, match=r"facemap_output_dir would have up to 2.. characters") as refused:
        plan(f"{long}/a.avi", there=(f"new/{long}/a.avi",))
    assert refused.value.check == "output_dir"


def test_an_import_without_outputs_is_waited_for(plan):
    with pytest.raises(InputMissingError, match="no Facemap output"):
        plan("m1/a.avi", there=("new/m1/a.avi",), mode="load")


def test_a_bucket_that_is_not_there_is_a_matter_of_configuration(plan, pipeline, store):
    other = pipeline.model_copy(update={"video_roots": ("s3://no-such-bucket-here/videos",)})
    task = TaskRecord(
        pipeline="lab",
        kind=Kind.SVD,
        table="FacemapTask",
        key={},
        task_digest="t",
        param_digest="p",
        mode="trigger",
        output_dir="",
        task_id=0,
        params={},
        do_mot_svd=True,
        do_mov_svd=False,
        files=((0, "a.avi"),),
    )
    with pytest.raises((ConfigError, InputMissingError), match="no-such-bucket-here"):
        plan_task(task, other, store, Settings())


@pytest.mark.parametrize(("codec", "suffix"), [("mjpeg", "avi"), ("h264", "mp4")])
def test_headers_give_the_size_and_disagreements_are_noted(plan, store, bucket, tmp_path, codec, suffix):
    spec = RecordingSpec(name="cam", width=160, height=120, nframes=(40,), codec=codec)
    (video,) = generate(spec, tmp_path).videos[0]
    assert video.suffix == f".{suffix}"
    found = plan(
        video.name,
        there=(f"new/{video.name}",),
        data=video.read_bytes(),
        params={"sbin": 4, "motSVD": np.True_},
        do_mot_svd=False,
    ).plan
    assert (found.estimate.width, found.estimate.height, found.estimate.frames) == (160, 120, 40)
    assert found.estimate.source == "header"
    assert "facemap_params wins" in found.notes[0]
    assert found.limits.time_budget_s == 6 * 3600
