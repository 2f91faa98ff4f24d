"""Poses computed in shards are those computed in one piece, bit for bit."""

from __future__ import annotations

import hashlib

import pytest
import torch

from fmdj_cloud.contracts import BBox, Kind, PoseParams, Stage
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.pose.blocks import POSE_BLOCK
from fmdj_cloud.worker.pose.desk import own_parts
from fmdj_cloud.worker.pose.model import facemap_parts
from fmdj_cloud.worker.pose.parts import part_infos
from tests.support.pose import models
from tests.support.pose.videos import damage, pictures, write
from tests.support.shards.pods import LIMITS
from tests.support.shards.same import assert_same_poses

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def params(premises):
    path = models.save(premises / "model.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return PoseParams(model_uri=f"file://{path}", model_sha256=digest, body_parts=facemap_parts())


@pytest.fixture(scope="module")
def clip(premises):
    """A file of four blocks and a bit."""
    return write(premises / "pose.avi", pictures(4 * POSE_BLOCK + 5, 64, 96, 1))


@pytest.fixture(scope="module")
def whole(lab, clip, params):
    spec = lab.spec([[clip]], Kind.POSE, pose=params)
    lab.do_all(spec)
    return spec


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_a_file_in_shards_of_which_some_are_empty(lab, clip, params, whole, shards):
    spec = lab.spec([[clip]], Kind.POSE, pose=params, shards=shards)
    manifest = lab.do_all(spec)
    assert_same_poses(lab, whole, spec)
    assert manifest.warnings == ()
    assert {"pose", "network", "model", "write", "fetch"} <= set(manifest.timings_s)
    assert "torch" in manifest.versions


def test_views_and_sequential_files_of_odd_lengths(lab, premises, params):
    """Batches of two begin at odd frames of the whole recording, and at even ones of each file."""
    lengths = (39, 47)
    rows = [
        [write(premises / f"v{view}f{file}.mp4", pictures(frames, 64, 96, 2 * view + file)) for view in (0, 1)]
        for file, frames in enumerate(lengths)
    ]
    boxes = (BBox(y0=0, y1=64, x0=0, x1=96), BBox(y0=4, y1=60, x0=10, x1=90))
    seen = params.model_copy(update={"bbox": boxes, "pose_view": 1})
    whole = lab.spec(rows, Kind.POSE, pose=seen)
    lab.do_all(whole)
    spec = lab.spec(rows, Kind.POSE, pose=seen, shards=3)
    manifest = lab.do_all(spec)
    assert [lab.part(spec, index).range.stop for index in range(3)] == [32, 64, 86]
    assert manifest.gui_file.endswith("/facemap/pose/v1f0_FacemapPose.h5")
    assert_same_poses(lab, whole, spec)


def test_an_end_that_cant_be_decoded_is_found_by_the_shard_that_meets_it(lab, premises, clip, params):
    frames = 4 * POSE_BLOCK + 5
    path = damage(clip, premises / "pose_end.avi", 40, frames - 2, frames - 1)
    whole = lab.spec([[path]], Kind.POSE, pose=params)
    spec = lab.spec([[path]], Kind.POSE, pose=params, shards=3)
    assert lab.do_all(whole).nframes == lab.do_all(spec).nframes == frames - 2
    assert_same_poses(lab, whole, spec)
    assert lab.manifest(whole).warnings == lab.manifest(spec).warnings


def test_bad_frames_of_all_shards_together_are_bounded(lab, premises, clip, params):
    path = damage(clip, premises / "pose_bad.avi", 3, 120)
    limits = LIMITS.model_copy(update={"max_bad_frames": 1})
    spec = lab.spec([[path]], Kind.POSE, pose=params, shards=2, limits=limits)
    for index in range(2):
        lab.do(spec, Stage.PROJECT, index)
    with pytest.raises(InputError, match="More than 1 frames of view 0"):
        lab.do(spec, Stage.MERGE)


def test_the_next_attempt_uses_finished_shards(lab, clip, params, whole):
    spec = lab.spec([[clip]], Kind.POSE, pose=params, shards=2)
    lab.do(spec, Stage.PROJECT, 1)
    again = lab.again(spec)
    lab.do_all(again)
    assert [lab.part(again, index).reused for index in range(2)] == ["", spec.attempt_uri]
    assert_same_poses(lab, whole, again)
    otherwise = lab.again(again, shards=3)
    lab.do_all(otherwise)
    assert [lab.part(otherwise, index).reused for index in range(3)] == ["", "", ""]
    assert_same_poses(lab, whole, otherwise)


def test_another_try_of_a_shard_goes_on_from_what_the_first_has_kept(lab, clip, params, whole):
    spec = lab.spec([[clip]], Kind.POSE, pose=params, shards=2)
    first = lab.pod(spec, Stage.PROJECT, 0)
    first.part_s = 1e-6
    lab.at_work(first)
    assert part_infos(own_parts(first.desk))
    (lab.folder / spec.attempt_uri.removeprefix(f"file://{lab.folder}/") / "part-0.json").unlink()
    second = lab.do(spec, Stage.PROJECT, 0)
    assert lab.part(spec, 0).nonce == second.nonce
    assert not part_infos(own_parts(second.desk))  # nothing was left to compute
    lab.do(spec, Stage.PROJECT, 1)
    lab.do(spec, Stage.MERGE)
    assert_same_poses(lab, whole, spec)


def test_poses_have_no_basis(lab, clip, params):
    spec = lab.spec([[clip]], Kind.POSE, pose=params, shards=2)
    with pytest.raises(Exception, match="has no stage basis"):
        lab.do(spec, Stage.BASIS)
