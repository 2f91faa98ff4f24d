"""What is computed in shards is what is computed in one piece, bit for bit."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import Basis, Stage, SvdParams
from tests.support.shards.same import assert_same_svd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def everything(lab, face, rois_of):
    """All kinds of ROI, one of them twice in part, motion and movie SVD."""
    rois = list(rois_of(face, "whisker", "pupil", "snout", "blink", "running"))
    rois.append(rois[0].model_copy(update={"y0": rois[0].y0 + 6}))
    spec = lab.spec(face.videos, svd=SvdParams(sbin=4, mov_svd=True, rois=tuple(rois)))
    lab.do_all(spec)
    return spec


@pytest.fixture(scope="module")
def cameras(lab, record, rois_of):
    """Two views of three sequential files, the second shorter than a block; edges of shards lie anywhere in them."""
    recording = record("cams", (730, 211, 900), views=2, codec="h264", seed=5)
    rois = rois_of(recording, "snout@1", "pupil", "running@1")
    spec = lab.spec(recording.videos, svd=SvdParams(sbin=5, rois=rois))
    lab.do_all(spec)
    return spec


def in_shards(lab, spec, shards):
    videos = [[lab.folder.parent / ref.name for ref in row] for row in spec.videos]
    made = lab.spec(videos, svd=spec.svd, basis=spec.basis, shards=shards)
    return made, lab.do_all(made)


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_all_that_a_run_can_ask_for(lab, everything, shards):
    made, manifest = in_shards(lab, everything, shards)
    assert len(lab.basis(made).shards) == shards
    assert_same_svd(lab, everything, made)
    assert manifest.warnings == ()


@pytest.mark.parametrize("shards", [2, 4])
def test_views_and_sequential_files(lab, cameras, shards):
    made, _ = in_shards(lab, cameras, shards)
    assert [shard.stop for shard in lab.basis(made).shards] == {2: [1000, 1841], 4: [500, 1000, 1500, 1841]}[shards]
    assert_same_svd(lab, cameras, made)


def test_a_recording_of_a_single_block(lab, record):
    recording = record("tiny", (37,))
    spec = lab.spec(recording.videos, svd=SvdParams(sbin=3))
    lab.do_all(spec)
    made, manifest = in_shards(lab, spec, 5)
    assert_same_svd(lab, spec, made)
    assert manifest.warnings == (
        "1 shard(s) instead of the 5 asked for: the recording has 37 frames, and a shard whole blocks of 500.",
    )


def test_eyes_alone_need_no_basis_of_components(lab, face, rois_of):
    params = SvdParams(full_svd=False, rois=rois_of(face, "pupil", "blink", "running"))
    spec = lab.spec(face.videos, svd=params)
    lab.do_all(spec)
    assert_same_svd(lab, spec, in_shards(lab, spec, 3)[0])


def test_facemaps_basis(lab, record):
    recording = record("short", (1100,))
    spec = lab.spec(recording.videos, svd=SvdParams(sbin=6), basis=Basis.FACEMAP)
    lab.do_all(spec)
    assert_same_svd(lab, spec, in_shards(lab, spec, 3)[0])


def test_the_manifest_adds_up_what_all_pods_did(lab, face, plain):
    spec = lab.spec(face.videos, svd=plain, shards=2)
    manifest = lab.do_all(spec)
    parts = [lab.part(spec, index) for index in range(2)]
    assert manifest.timings_s["project"] == pytest.approx(sum(part.timings_s["project"] for part in parts))
    assert {"check", "basis", "project", "merge", "fetch", "publish"} <= set(manifest.timings_s)
    assert {"numpy", "numba", "fmdj"} <= set(manifest.versions)
    assert "facemap" not in manifest.versions
    assert manifest.started == lab.basis(spec).started < parts[0].started < manifest.finished
    assert manifest.gui_file.endswith("/facemap/main/face_proc.npy")
    assert {file.role for file in manifest.files} == {"signals", "facemap", "log"}
    assert lab.manifest(spec) == manifest


def test_progress_says_the_shard_and_counts_its_frames(lab, face, plain):
    spec = lab.spec(face.videos, svd=plain, shards=2)
    lab.do(spec, Stage.BASIS)
    pod = lab.do(spec, Stage.PROJECT, 1)
    progress = pod.reporter.progress()
    assert (progress.index, progress.stage, progress.frames_done, progress.frames_total) == (1, "done", 800, 800)
