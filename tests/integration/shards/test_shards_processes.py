"""Workers as processes of their own, as launchers start them; killed ones too."""

from __future__ import annotations

import signal
import time

import pytest

from fmdj_cloud.contracts import Stage, TerminationMessage
from fmdj_cloud.errors import ObjectMissingError
from tests.support.shards.same import assert_same_svd

pytestmark = pytest.mark.integration
PATIENCE_S = 120


@pytest.fixture(scope="module")
def videos(record):
    return record("brief", (1100,)).videos


@pytest.fixture(scope="module")
def whole(lab, videos, plain):
    spec = lab.spec(videos, svd=plain)
    lab.do_all(spec)
    return spec


def run(lab, spec, stage, index=None, nonce=""):
    """Let a worker do a stage; return its exit code and its last word."""
    process = lab.start(spec, stage, index, nonce=nonce)
    code = process.wait(PATIENCE_S)
    (word,) = (lab.folder / "pods").glob(f"{spec.run_id}-{nonce}/last-word")
    return code, TerminationMessage.model_validate_json(word.read_bytes())


def kill_at(lab, spec, stage, index, nonce):
    """Kill a worker as soon as its child computes, and return what is left on its scratch disk."""
    process = lab.start(spec, stage, index, nonce=nonce)
    scratch = lab.folder / "pods" / f"{spec.run_id}-{nonce}" / "scratch"
    give_up = time.monotonic() + PATIENCE_S
    while not list(scratch.glob("*/told.json")):
        assert process.poll() is None, (scratch.parent / "output").read_text()
        assert time.monotonic() < give_up
        time.sleep(0.01)
    process.kill()
    assert process.wait(PATIENCE_S) == -signal.SIGKILL


def test_each_stage_is_a_process_that_says_how_it_ended(lab, videos, plain, whole):
    spec = lab.spec(videos, svd=plain, shards=2)
    code, word = run(lab, spec, Stage.PROJECT, 0, "early")
    assert (code, word.code) == (30, "storage")  # there is no basis yet
    for number, (stage, index) in enumerate([(Stage.BASIS, None), (Stage.PROJECT, 1), (Stage.PROJECT, 0)]):
        code, word = run(lab, spec, stage, index, f"p{number}")
        assert (code, word.code, word.manifest_sha256) == (0, "done", None)
    code, word = run(lab, spec, Stage.MERGE, None, "m")
    assert (code, word.code) == (0, "done")
    assert len(word.manifest_sha256) == 64
    assert run(lab, spec, Stage.MERGE, None, "m2")[1].manifest_sha256 == word.manifest_sha256
    assert lab.manifest(spec).nonce == "m"
    assert_same_svd(lab, whole, spec)


def test_killed_pods_leave_nothing_that_counts_and_the_next_attempt_goes_on(lab, videos, plain, whole):
    spec = lab.spec(videos, svd=plain, shards=2)
    kill_at(lab, spec, Stage.BASIS, None, "b")
    assert lab.basis(spec) is None
    lab.do(spec, Stage.BASIS)
    kill_at(lab, spec, Stage.PROJECT, 0, "p")
    assert lab.part(spec, 0) is None
    lab.do(spec, Stage.PROJECT, 1)
    again = lab.again(spec)
    lab.do(again, Stage.BASIS)
    for index in range(2):
        lab.do(again, Stage.PROJECT, index)
    assert [lab.part(again, index).reused for index in range(2)] == ["", spec.attempt_uri]
    kill_at(lab, again, Stage.MERGE, None, "m")
    with pytest.raises(ObjectMissingError):
        lab.manifest(again)
    lab.do(again, Stage.MERGE)
    assert_same_svd(lab, whole, again)
