"""Pods that meet what other pods have left: of the same stage, of another basis, of an earlier attempt, damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmdj_cloud.contracts import Stage
from fmdj_cloud.errors import ConfigError, IntegrityError, ObjectMissingError, StorageError
from fmdj_cloud.storage.manifests import file_uri
from fmdj_cloud.storage.stages import basis_uri, commit_basis, commit_part, part_uri
from tests.support.shards.pods import HerePod
from tests.support.shards.same import assert_same_svd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def videos(record):
    return record("brief", (1100,)).videos


@pytest.fixture(scope="module")
def whole(lab, videos, plain):
    spec = lab.spec(videos, svd=plain)
    lab.do_all(spec)
    return spec


@pytest.fixture
def spec(lab, videos, plain):
    return lab.spec(videos, svd=plain, shards=3)


def computed(pod: HerePod) -> bool:
    return pod.child is not None or pod.desk.outputs.exists()


def on_disk(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def spoil(spec, file):
    path = on_disk(file_uri(spec.attempt_uri, file.path))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_pod_that_finds_its_work_committed_has_nothing_to_do(lab, spec):
    pods = {"basis": (Stage.BASIS, None), "part": (Stage.PROJECT, 1)}
    lab.do_all(spec)
    commits = [lab.basis(spec), lab.part(spec, 1), lab.manifest(spec)]
    for stage, index in (*pods.values(), (Stage.MERGE, None)):
        assert not computed(lab.do(spec, stage, index))
    assert [lab.basis(spec), lab.part(spec, 1), lab.manifest(spec)] == commits


def test_of_two_pods_of_one_shard_either_counts(lab, spec, whole):
    lab.do(spec, Stage.BASIS)
    for index in range(3):
        lab.do(spec, Stage.PROJECT, index)
    first = lab.part(spec, 1)
    on_disk(part_uri(spec.attempt_uri, 1)).unlink()  # as the second saw it when it began
    lab.do(spec, Stage.PROJECT, 1)
    second = lab.part(spec, 1)
    assert first.nonce != second.nonce
    assert [file.sha256 for file in first.files] == [file.sha256 for file in second.files]
    commit_part(lab.store, spec.attempt_uri, first)
    lab.do(spec, Stage.MERGE)
    assert_same_svd(lab, whole, spec)


def test_of_two_basis_pods_either_counts_and_parts_fit_both(lab, spec, whole):
    lab.do(spec, Stage.BASIS)
    first = lab.basis(spec)
    on_disk(basis_uri(spec.attempt_uri)).unlink()
    lab.do(spec, Stage.BASIS)
    second = lab.basis(spec)
    assert first.nonce != second.nonce
    assert first.digest == second.digest
    for index in range(3):
        lab.do(spec, Stage.PROJECT, index)
    commit_basis(lab.store, spec.attempt_uri, first)
    lab.do(spec, Stage.MERGE)
    assert_same_svd(lab, whole, spec)


def test_a_part_of_another_basis_is_no_part(lab, spec, whole):
    lab.do(spec, Stage.BASIS)
    basis = lab.basis(spec)
    lab.do(spec, Stage.PROJECT, 0)
    stale = lab.part(spec, 0).model_copy(update={"basis_digest": "0" * 64})
    commit_part(lab.store, spec.attempt_uri, stale)
    for index in (1, 2):
        lab.do(spec, Stage.PROJECT, index)
    with pytest.raises(StorageError, match="doesn't hold a part that counts of each of its 3 shards"):
        lab.do(spec, Stage.MERGE)
    assert computed(lab.do(spec, Stage.PROJECT, 0))
    assert lab.part(spec, 0).basis_digest == basis.digest
    lab.do(spec, Stage.MERGE)
    assert_same_svd(lab, whole, spec)


@pytest.mark.parametrize("stage", [Stage.PROJECT, Stage.MERGE])
def test_without_a_basis_nothing_follows(lab, spec, stage):
    lab.put(spec)
    with pytest.raises(StorageError, match="holds no basis that counts"):
        lab.do(spec, stage, 0 if stage is Stage.PROJECT else None)


def test_a_basis_whose_file_is_lost_ends_the_attempt_and_the_next_makes_it_anew(lab, spec, whole):
    lab.do(spec, Stage.BASIS)
    lab.do(spec, Stage.PROJECT, 0)
    lost = next(file for file in lab.basis(spec).files if file.path.endswith("basis.h5"))
    on_disk(file_uri(spec.attempt_uri, lost.path)).unlink()
    with pytest.raises(ObjectMissingError):
        lab.do(spec, Stage.PROJECT, 1)
    again = lab.again(spec)
    lab.do_all(again)
    assert lab.basis(again).reused == ""
    assert [lab.part(again, index).reused for index in range(3)] == [spec.attempt_uri, "", ""]  # the basis is the same
    assert_same_svd(lab, whole, again)


def test_a_damaged_part_ends_the_attempt_and_the_next_computes_just_that(lab, spec, whole):
    lab.do(spec, Stage.BASIS)
    for index in range(3):
        lab.do(spec, Stage.PROJECT, index)
    spoil(spec, lab.part(spec, 1).files[0])
    with pytest.raises(IntegrityError):
        lab.do(spec, Stage.MERGE)
    again = lab.again(spec)
    lab.do_all(again)
    old = spec.attempt_uri
    assert lab.basis(again).reused == old
    assert [lab.part(again, index).reused for index in range(3)] == [old, "", old]
    assert_same_svd(lab, whole, again)


def test_what_a_later_attempt_reuses_of_an_earlier_is_told_of_the_first(lab, spec, whole):
    lab.do(spec, Stage.BASIS)
    lab.do(spec, Stage.PROJECT, 2)
    second = lab.again(spec)
    lab.do(second, Stage.BASIS)
    lab.do(second, Stage.PROJECT, 2)
    third = lab.again(second)
    manifest = lab.do_all(third)
    assert lab.basis(third).reused == lab.part(third, 2).reused == spec.attempt_uri
    assert {file.path.partition("/")[0] for file in manifest.files} == {manifest.nonce}
    assert_same_svd(lab, whole, third)


def test_an_earlier_basis_of_more_shards_than_allowed_is_not_used(lab, spec):
    lab.do(spec, Stage.BASIS)
    fewer = lab.again(spec, shards=2)
    lab.do(fewer, Stage.BASIS)
    assert (lab.basis(fewer).reused, len(lab.basis(fewer).shards)) == ("", 2)


def test_a_merge_that_dies_before_its_commit_is_done_again(lab, spec, whole):
    lab.do(spec, Stage.BASIS)
    for index in range(3):
        lab.do(spec, Stage.PROJECT, index)
    pod = lab.pod(spec, Stage.MERGE, nonce="dies")
    refuses = on_disk(spec.attempt_uri) / "manifest.json"
    refuses.mkdir()  # nothing can be written there
    with pytest.raises(Exception, match=r"manifest\.json"):
        lab.at_work(pod)
    refuses.rmdir()
    lab.do(spec, Stage.MERGE)
    assert lab.manifest(spec).nonce != "dies"
    assert_same_svd(lab, whole, spec)


def test_a_shard_that_isnt_there_is_a_wrong_order(lab, spec):
    lab.do(spec, Stage.BASIS)
    with pytest.raises(ConfigError, match="no shard 3 among 3"):
        lab.do(spec, Stage.PROJECT, 3)


@pytest.mark.parametrize(
    ("stage", "index", "changes"),
    [
        (Stage.BASIS, 0, {}),
        (Stage.PROJECT, None, {}),
        (Stage.PROJECT, -1, {}),
        (Stage.BASIS, None, {"shards": None}),
        (Stage.BASIS, None, {"engine": "facemap"}),
    ],
)
def test_orders_that_make_no_sense_are_refused(lab, spec, stage, index, changes):
    wrong = type(spec).model_validate(spec.model_dump() | changes)
    with pytest.raises(ConfigError):
        lab.do(wrong, stage, index)
