"""What is wrong with videos is found, by the pod that can, and said as in an unsharded run."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import Stage, SvdParams
from fmdj_cloud.demo.recordings import truncate_video
from fmdj_cloud.errors import ChangedError, InputError, InputMissingError
from tests.support.pose.videos import damage
from tests.support.shards.pods import LIMITS
from tests.support.shards.same import assert_same_svd
from tests.support.turbo import coded

pytestmark = pytest.mark.integration
FRAMES = 1230


@pytest.fixture(scope="module")
def clip(premises):
    return coded.write(premises / "clip.avi", coded.moving(FRAMES, 48, 64))


def refused(lab, spec, stage=Stage.BASIS, index=None):
    with pytest.raises(InputError) as caught:
        lab.do(spec, stage, index)
    return caught.value


def test_a_truncated_file_is_found_before_anything_is_projected(lab, premises, face, plain):
    path = premises / "cut.avi"
    truncate_video(face.videos[0][0], path, 0.6)
    error = refused(lab, lab.spec([[path]], svd=plain, shards=2))
    assert error.check == "missing_frames"
    assert error.sentence.startswith("cut.avi claims 2300 frames and ")


def test_a_damaged_end_counts_as_far_as_it_can_be_decoded(lab, premises, clip, plain):
    path = damage(clip, premises / "end.avi", FRAMES - 2)
    whole = lab.spec([[path]], svd=plain)
    assert lab.do_all(whole).nframes == FRAMES - 2
    spec = lab.spec([[path]], svd=plain, shards=2)
    manifest = lab.do_all(spec)
    assert f"the {FRAMES - 2} frames count" in manifest.warnings[0]
    assert_same_svd(lab, whole, spec)


def test_a_longer_damaged_end_is_refused(lab, premises, clip, plain):
    path = damage(clip, premises / "longer.avi", FRAMES - 1)
    limits = LIMITS.model_copy(update={"max_missing_frames": 0})
    error = refused(lab, lab.spec([[path]], svd=plain, shards=2, limits=limits))
    assert (error.check, f"and {FRAMES - 1} can be decoded" in error.sentence) == ("missing_frames", True)


def test_a_damaged_frame_is_named_by_the_shard_that_meets_it(lab, premises, record, plain):
    video = record("longish", (2300,)).videos[0][0]
    path = damage(video, premises / "hole.avi", 2120)
    spec = lab.spec([[path]], svd=SvdParams(full_svd=False, rois=()), shards=3)
    lab.do(spec, Stage.BASIS)
    lab.do(spec, Stage.PROJECT, 0)
    error = refused(lab, spec, Stage.PROJECT, 2)
    assert error.check == "missing_frames"
    assert error.sentence.startswith("hole.avi promises 2300 frames and 2120 can be decoded")
    assert "accept the check missing_frames" in error.sentence

    accepted = lab.again(spec, accept=("missing_frames",))
    whole = lab.spec([[path]], svd=spec.svd, accept=("missing_frames",))
    assert lab.do_all(accepted).nframes == lab.do_all(whole).nframes == 2120
    assert_same_svd(lab, whole, accepted)


def test_parameters_are_checked_against_the_videos(lab, face, rois_of):
    roi = rois_of(face, "snout")[0].model_copy(update={"x1": 200})
    error = refused(lab, lab.spec(face.videos, svd=SvdParams(rois=(roi,)), shards=2))
    assert error.check == "roi_inside"


def test_a_video_that_was_replaced_between_stages_is_changed(lab, premises, clip, plain):
    path = premises / "other.avi"
    path.write_bytes(clip.read_bytes())
    spec = lab.spec([[path]], svd=plain, shards=2)
    lab.do(spec, Stage.BASIS)
    path.write_bytes(clip.read_bytes()[::-1])
    with pytest.raises(ChangedError, match=r"other\.avi was replaced since the run was planned"):
        lab.do(spec, Stage.PROJECT, 0)
    path.unlink()
    with pytest.raises(InputMissingError, match="is gone"):
        lab.do(spec, Stage.PROJECT, 0)
