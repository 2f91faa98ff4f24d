"""Planning a pose task: its model is put where workers reach it, its box is checked, its outputs have their place."""

from __future__ import annotations

import hashlib
import os
from types import SimpleNamespace
from typing import Any

import pytest

from fmdj_cloud.contracts import BBox, Kind, ModelFile, Precision
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.inspect import preview
from fmdj_cloud.control.models import Models, models_of
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.errors import InputError, InputMissingError, LostRaceError
from fmdj_cloud.pipeline.inference_tables import BODY_PARTS
from tests.support.pose import videos

pytestmark = pytest.mark.integration

WEIGHTS = b"weights " * 1000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def database_server(postgres_settings):
    """One kind of database: planning only sees what the tasks' tables have made of it."""
    return postgres_settings


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """160 pixels wide, 120 high."""
    return videos.write(tmp_path_factory.mktemp("video") / "cam.avi", videos.pictures(8, 120, 160))


@pytest.fixture
def ready(world, video):
    """A world whose one recording is there, and whose model is registered."""
    world.upload(video, "raw/m1/cam.avi")
    world.add_model(WEIGHTS)
    return world


def exported(world):
    return sorted(info.uri for info in world.store.list(f"{world.bucket}/processed/.fmdj"))


def test_a_task_becomes_a_run(ready):
    key = ready.insert_task("m1/cam.avi", bbox=[10, 100, 0, 160])
    found = ready.plan(key)
    plan, pose = found.plan, found.plan.pose
    uri = f"{ready.bucket}/processed/.fmdj/models/{SHA256}.pt"
    assert (pose.model_uri, pose.model_sha256) == (uri, SHA256)
    assert ready.store.get_bytes(uri, max_bytes=1 << 20) == WEIGHTS
    assert (pose.bbox, pose.pose_view, pose.precision) == ((BBox(y0=10, y1=100, x0=0, x1=160),), 0, Precision.FP32)
    assert pose.body_parts == tuple(sorted(BODY_PARTS))
    assert found.run_id.startswith("pose-")
    assert found.output_dir_uri == f"{ready.bucket}/processed/m1/facemap_recordingid5_model7/{found.run_id}"
    assert (plan.svd, plan.imports, plan.limits.gpu) == (None, (), 0)
    assert (plan.estimate.frames, plan.estimate.height, plan.estimate.width) == (8, 120, 160)
    assert plan.estimate.source == "header"


def test_a_plan_on_paper_writes_nothing_and_is_the_same_run(ready):
    key = ready.insert_task("m1/cam.avi")
    on_paper = ready.plan(key, export=False)
    assert exported(ready) == []
    assert ready.plan(key).run_id == on_paper.run_id
    assert len(exported(ready)) == 1


def test_an_export_is_written_once_and_anew_if_it_was_damaged(ready):
    key = ready.insert_task("m1/cam.avi")
    uri = ready.plan(key).plan.pose.model_uri
    first = ready.store.head(uri)
    ready.plan(key)
    assert ready.store.head(uri).modified == first.modified
    ready.store.put_bytes(uri, WEIGHTS[:-1] + b"!")
    ready.plan(key)
    assert ready.store.get_bytes(uri, max_bytes=1 << 20) == WEIGHTS


def test_what_changes_the_points_is_another_run_and_where_the_model_lies_is_not(ready):
    key = ready.insert_task("m1/cam.avi")
    base = ready.plan(key)
    half = ready.settings.model_copy(
        update={"worker": ready.settings.worker.model_copy(update={"pose_precision": Precision.BF16})}
    )
    models = models_of(ready.lab, ready.store, export=True)
    task = ready.task(key)
    assert plan_task(task, ready.pipeline, ready.store, half, models=models).run_id != base.run_id
    boxed = task.model_copy(update={"bbox": [0, 100, 0, 100]})
    assert plan_task(boxed, ready.pipeline, ready.store, ready.settings, models=models).run_id != base.run_id
    elsewhere = ready.upload(WEIGHTS, "models/other.pt")
    file = ModelFile(name="other.pt", uri=elsewhere)
    moved = task.model_copy(update={"model": task.model.model_copy(update={"files": (file,)})})
    found = plan_task(moved, ready.pipeline, ready.store, ready.settings, models=models)
    assert found.plan.pose.model_uri == elsewhere
    assert (found.content_digest, found.run_id) == (base.content_digest, base.run_id)


def test_another_model_is_another_run(ready):
    base = ready.plan(ready.insert_task("m1/cam.avi"))
    ready.add_model(WEIGHTS + b"!", 8)
    other = ready.plan(ready.insert_task(model=8))
    assert other.content_digest != base.content_digest
    assert other.output_dir_uri.startswith(f"{ready.bucket}/processed/m1/facemap_recordingid5_model8/")
    assert len(exported(ready)) == 2


def test_an_object_that_wraps_weights_as_datajoint_does_is_unwrapped(ready):
    task = ready.task(ready.insert_task("m1/cam.avi"))
    file = ModelFile(name="net.pt", uri=ready.upload(b"net.pt\0" + WEIGHTS, "store/net.pt"), wrapped=True)
    models = Models(ready.store, ready.pipeline, lambda model, file: b"", export=True)
    ref = models.ref(task.model.model_copy(update={"files": (file,)}))
    assert (ref.sha256, ref.size) == (SHA256, len(WEIGHTS))
    assert ready.store.get_bytes(ref.uri, max_bytes=1 << 20) == WEIGHTS


@pytest.mark.parametrize(
    ("content", "wrapped", "words"),
    [
        (None, False, "isn't in the object store"),
        (b"", False, "is empty"),
        (os.urandom(8000).replace(b"\0", b"0"), True, "isn't an attachment"),
        (b"net.pt\0", True, "is empty"),
    ],
)
def test_an_object_that_is_no_model_is_refused(ready, content, wrapped, words):
    task = ready.task(ready.insert_task("m1/cam.avi"))
    uri = f"{ready.bucket}/store/net.pt"
    if content is not None:
        ready.upload(content, "store/net.pt")
    broken = task.model.model_copy(update={"files": (ModelFile(name="net.pt", uri=uri, wrapped=wrapped),)})
    models = Models(ready.store, ready.pipeline, lambda model, file: b"", export=True)
    with pytest.raises(InputError, match=words) as refused:
        models.ref(broken)
    assert refused.value.check == "model"
    assert exported(ready) == []


def test_a_model_that_is_replaced_meanwhile_is_looked_at_again(ready):
    task = ready.task(ready.insert_task("m1/cam.avi"))
    models = Models(ready.store, ready.pipeline, lambda model, file: b"other weights", export=True)
    with pytest.raises(LostRaceError, match="replaced at this moment"):
        plan_task(task, ready.pipeline, ready.store, ready.settings, models=models)
    assert exported(ready) == []


class Racing:
    """A store in which somebody replaces an object whenever it is about to be read."""

    def __init__(self, store: Any, uri: str) -> None:
        self._store, self._uri = store, uri

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get_bytes(self, uri: str, **options: Any) -> bytes:
        if uri == self._uri:
            self._store.put_bytes(uri, b"net.pt\0" + os.urandom(100))
        return self._store.get_bytes(uri, **options)


def test_a_plan_on_paper_tells_of_a_model_that_is_replaced_meanwhile(ready):
    key = ready.insert_task("m1/cam.avi")
    task, uri = ready.task(key), ready.upload(b"net.pt\0" + WEIGHTS, "store/net.pt")
    file = ModelFile(name="net.pt", uri=uri, wrapped=True)
    tasks = SimpleNamespace(
        get=lambda key: task.model_copy(update={"model": task.model.model_copy(update={"files": (file,)})})
    )
    racing = Racing(ready.store, uri)
    report = preview(ready.lab, ready.ledger, racing, ready.settings, [Choice(ready.lab, tasks, key)], 1)
    (line,) = report.lines
    assert (line.run_id, line.failure_class) == (None, None)
    assert "was replaced at this moment: look again" in line.sentence


@pytest.mark.parametrize(
    ("changes", "check", "words"),
    [
        ({"bbox": [0, 121, 0, 160]}, "bbox", "rows 0:121, columns 0:160, lies outside of its frames of 120 rows"),
        ({"bbox": [0, 0, 0, 160]}, "bbox", "empty"),
        ({"bbox": {"pose_view": 1}}, "pose_view", "1 view, counted from 0"),
    ],
)
def test_a_box_that_doesn_t_fit_is_refused_at_planning(ready, changes, check, words):
    key = ready.insert_task("m1/cam.avi", **changes)
    with pytest.raises(InputError, match=words) as refused:
        ready.plan(key)
    assert refused.value.check == check
    assert exported(ready) == []


def test_recording_info_tells_of_the_size_too(ready):
    key = ready.insert_task("m1/cam.avi", bbox=[0, 120, 0, 160])
    info = {"px_height": 100, "px_width": 160, "nframes": 8, "fps": 30, "recording_duration": 1.0}
    recording = {name: key[name] for name in ready.lab.element.VideoRecording.primary_key}
    ready.lab.element.RecordingInfo.insert1({**recording, **info}, allow_direct_insert=True)
    with pytest.raises(InputError, match="100 rows"):
        ready.plan(key)


@pytest.mark.parametrize("parts", [(), ("mouth",), (*BODY_PARTS, "tail")])
def test_a_model_that_is_declared_otherwise_is_refused(world, video, parts):
    world.upload(video, "raw/m1/cam.avi")
    world.add_model(WEIGHTS, parts=parts)
    with pytest.raises(InputError, match=r"FacemapModel\.BodyPart") as refused:
        world.plan(world.insert_task("m1/cam.avi"))
    assert refused.value.check == "model"


def test_a_missing_video_is_waited_for(ready):
    with pytest.raises(InputMissingError, match=r"m1/lost\.avi"):
        ready.plan(ready.insert_task("m1/lost.avi"))


def test_views_come_from_the_box(ready, video):
    ready.upload(video, "raw/m1/cam2.avi")
    views = {"views": [[1, 0]], "pose_view": 1, "bbox": [[0, 60, 0, 60], [0, 120, 0, 160]]}
    found = ready.plan(ready.insert_task("m1/cam.avi", "m1/cam2.avi", bbox=views))
    assert [[video.name for video in row] for row in found.plan.videos] == [["cam2.avi", "cam.avi"]]
    assert found.plan.pose.pose_view == 1
    assert found.plan.estimate.frames == 8


def test_a_model_is_never_opened_here(ready):
    """Weights that would run a program when they were unpickled are exported as any others."""
    hostile = b"cposix\nsystem\n(S'touch /tmp/never'\ntR."
    ready.add_model(hostile, 9)
    found = ready.plan(ready.insert_task("m1/cam.avi", model=9))
    assert found.plan.pose.model_sha256 == hashlib.sha256(hostile).hexdigest()


def test_profiles_decide_where_the_network_computes(ready):
    task = ready.task(ready.insert_task("m1/cam.avi"))
    models = models_of(ready.lab, ready.store, export=True)
    local = ready.settings.model_copy(
        update={"controller": ready.settings.controller.model_copy(update={"pose_gpu": 1})}
    )
    on_cpu = plan_task(task, ready.pipeline, ready.store, ready.settings, models=models).plan
    on_gpu = plan_task(task, ready.pipeline, ready.store, local, models=models).plan
    assert (on_cpu.limits.gpu, on_gpu.limits.gpu) == (0, 1)
    assert on_gpu.estimate.memory_mib > on_cpu.estimate.memory_mib
    assert any("CPU" in note for note in on_cpu.notes)
    assert not any("CPU" in note for note in on_gpu.notes)


def test_where_existing_keypoints_are_looked_for(ready):
    key = ready.insert_task("m1/cam.avi", task_mode="load", facemap_inference_output_dir="from/gui")
    with pytest.raises(InputMissingError, match=r"cam_FacemapPose\.h5") as missing:
        ready.plan(key)
    rule = f"{ready.bucket}/processed/m1/facemap_recordingid5_model7"
    places = (f"{ready.bucket}/processed/from/gui", rule, f"{ready.bucket}/raw/m1")
    assert ", ".join(places) in missing.value.sentence
    for place in reversed(places):
        ready.store.put_bytes(f"{place}/cam_FacemapPose.h5", b"keypoints")
        found = ready.plan(key)
        assert found.plan.imports[0].uri == f"{place}/cam_FacemapPose.h5"
        assert found.output_dir_uri.startswith(f"{rule}/import-")
    assert found.plan.pose.model_uri == found.plan.pose.model_sha256 == ""
    assert exported(ready) == []


def test_every_file_needs_its_keypoints_and_may_have_metadata(ready, video):
    ready.upload(video, "raw/m1/other.avi")
    key = ready.insert_task("m1/cam.avi", "m1/other.avi", task_mode="load")
    ready.upload(b"keypoints", "raw/m1/cam_FacemapPose.h5")
    with pytest.raises(InputMissingError, match=r"other_FacemapPose\.h5"):
        ready.plan(key)
    ready.upload(b"keypoints", "raw/m1/other_FacemapPose.h5")
    ready.upload(b"metadata", "raw/m1/other_FacemapPose_metadata.pkl")
    names = [ref.name for ref in ready.plan(key).plan.imports]
    assert names == ["cam_FacemapPose.h5", "other_FacemapPose.h5", "other_FacemapPose_metadata.pkl"]


def test_videos_of_one_name_have_their_keypoints_beside_them(ready, video):
    ready.upload(video, "raw/m2/cam.avi")
    key = ready.insert_task("m1/cam.avi", "m2/cam.avi", task_mode="load")
    ready.upload(b"one of them", "processed/m1/facemap_recordingid5_model7/cam_FacemapPose.h5")
    with pytest.raises(InputMissingError):
        ready.plan(key)
    for folder in ("m1", "m2"):
        ready.upload(b"keypoints", f"raw/{folder}/cam_FacemapPose.h5")
        ready.upload(b"metadata", f"raw/{folder}/cam_FacemapPose_metadata.pkl")
    refs = ready.plan(key).plan.imports
    assert [ref.uri.rpartition("/raw/")[2] for ref in refs[::2]] == ["m1/cam_FacemapPose.h5", "m2/cam_FacemapPose.h5"]
    assert [ref.name for ref in refs] == [
        "file0_cam_FacemapPose.h5",
        "file0_cam_FacemapPose_metadata.pkl",
        "file1_cam_FacemapPose.h5",
        "file1_cam_FacemapPose_metadata.pkl",
    ]


def test_the_keypoints_of_the_view_that_is_loaded_are_imported(ready, video):
    ready.upload(video, "raw/m1/cam2.avi")
    views = {"views": [[0, 1]], "pose_view": 1}
    key = ready.insert_task("m1/cam.avi", "m1/cam2.avi", task_mode="load", bbox=views)
    ready.upload(b"keypoints", "raw/m1/cam2_FacemapPose.h5")
    found = ready.plan(key)
    assert [ref.name for ref in found.plan.imports] == ["cam2_FacemapPose.h5"]
    assert found.plan.pose.pose_view == 1


def test_the_only_keypoints_in_a_tasks_own_folder_count_whatever_their_name(ready):
    key = ready.insert_task("m1/cam.avi", task_mode="load", facemap_inference_output_dir="gui")
    ready.upload(b"keypoints", "processed/gui/renamed_FacemapPose.h5")
    assert ready.plan(key).plan.imports[0].name == "renamed_FacemapPose.h5"
    ready.upload(b"keypoints", "processed/gui/second_FacemapPose.h5")
    with pytest.raises(InputError, match="several Facemap outputs") as refused:
        ready.plan(key)
    assert refused.value.check == "output"


def test_an_import_without_its_videos_is_planned_and_says_so(world):
    world.add_model(WEIGHTS)
    key = world.insert_task("m1/gone.avi", task_mode="load")
    world.upload(b"keypoints", "processed/m1/facemap_recordingid5_model7/gone_FacemapPose.h5")
    found = world.plan(key)
    assert found.plan.videos == ()
    assert any("without a look at the videos" in note for note in found.plan.notes)
    assert Kind.IMPORT.value in found.run_id
