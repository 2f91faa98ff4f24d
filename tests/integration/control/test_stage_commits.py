"""Only commits of this very attempt count; whatever else lies there is ignored."""

from __future__ import annotations

import json

import pytest

from fmdj_cloud.contracts import Kind, ShardRange, Stage
from fmdj_cloud.control.commits import shards_after
from fmdj_cloud.storage.stages import (
    basis_uri,
    commit_basis,
    commit_part,
    done_parts,
    part_uri,
    read_basis,
    read_part,
    read_parts,
)
from tests.support.shards.commits import IDENTITY, a_basis, a_file, a_part
from tests.support.shards.records import a_run, an_attempt

pytestmark = pytest.mark.integration
BASIS = a_basis()
DIGEST = BASIS.digest
FIRST, SECOND = BASIS.shards


@pytest.fixture
def folder(bucket):
    return f"{bucket}/processed/run/a1"


def put(store, uri, value):
    store.put_bytes(uri, value if isinstance(value, bytes) else json.dumps(value).encode())


def test_what_was_committed_is_read_back(store, folder):
    commit_basis(store, folder, BASIS)
    parts = [a_part(n, shard, basis_digest=DIGEST) for n, shard in enumerate(BASIS.shards)]
    for part in parts:
        commit_part(store, folder, part)
    assert read_basis(store, folder, IDENTITY) == BASIS
    assert read_part(store, folder, IDENTITY, 1, shard=SECOND, basis_digest=DIGEST) == parts[1]
    assert read_parts(store, folder, IDENTITY, BASIS.shards, DIGEST) == parts
    assert done_parts(store, folder) == {0, 1}


def test_nothing_is_there_before_it_is_committed(store, folder):
    assert read_basis(store, folder, IDENTITY) is None
    assert read_part(store, folder, IDENTITY, 0) is None
    assert read_parts(store, folder, IDENTITY, BASIS.shards, DIGEST) is None
    assert done_parts(store, folder) == set()


@pytest.mark.parametrize("garbage", [b"", b"\xff", b"[]", b"{", b"null", b"{}", b" " * (5 << 20)])
def test_garbage_is_no_commit(store, folder, garbage):
    put(store, basis_uri(folder), garbage)
    put(store, part_uri(folder, 0), garbage)
    assert read_basis(store, folder, IDENTITY) is None
    assert read_part(store, folder, IDENTITY, 0) is None


@pytest.mark.parametrize(
    "change", [{"run_id": "svd-f"}, {"attempt": 2}, {"spec_sha256": "6" * 64}, {"content_digest": "d" * 64}]
)
def test_what_another_attempt_committed_does_not_count(store, folder, change):
    commit_basis(store, folder, a_basis(**change))
    commit_part(store, folder, a_part(0, FIRST, **change))
    assert read_basis(store, folder, IDENTITY) is None
    assert read_part(store, folder, IDENTITY, 0) is None


@pytest.mark.parametrize("path", ["other/part.npz", "p0/../../secret", "part.npz", "../a1/p0/part.npz"])
def test_files_outside_of_the_pods_folder_are_refused(store, folder, path):
    commit_part(store, folder, a_part(0, FIRST, files=(a_file(path, b"", "part"),)))
    assert read_part(store, folder, IDENTITY, 0) is None


def test_files_of_an_earlier_attempt_are_named_by_their_uris(store, folder):
    whole = a_file("s3://lab/run/a0/p/part.npz", b"", "part")
    commit_part(store, folder, a_part(0, FIRST, files=(whole,), reused="s3://lab/run/a0"))
    assert read_part(store, folder, IDENTITY, 0).files == (whole,)


def test_a_part_counts_only_for_its_shard_and_its_basis(store, folder):
    commit_part(store, folder, a_part(0, FIRST, basis_digest=DIGEST))
    assert read_part(store, folder, IDENTITY, 0, shard=FIRST, basis_digest=DIGEST) is not None
    assert read_part(store, folder, IDENTITY, 0, shard=SECOND, basis_digest=DIGEST) is None
    assert read_part(store, folder, IDENTITY, 0, shard=FIRST, basis_digest="other") is None
    put(store, part_uri(folder, 1), store.get_bytes(part_uri(folder, 0), max_bytes=1 << 20))
    assert read_part(store, folder, IDENTITY, 1, basis_digest=DIGEST) is None


def test_whichever_of_two_pods_comes_last_wins(store, folder):
    for nonce in ("one", "two"):
        commit_part(store, folder, a_part(0, FIRST, nonce=nonce))
    assert read_part(store, folder, IDENTITY, 0).nonce == "two"


@pytest.mark.parametrize(
    "second",
    [
        {"nframes": 99},
        {"range": ShardRange(start=60, stop=100)},
        {"range": ShardRange(start=50, stop=90)},
    ],
)
def test_shards_that_were_counted_differently_do_not_fit(store, folder, second):
    """Pods that infer poses count for themselves: a file that grew in between is seen."""
    commit_part(store, folder, a_part(0, FIRST))
    commit_part(store, folder, a_part(1, second.pop("range", SECOND), **second))
    assert read_parts(store, folder, IDENTITY, (None, None)) is None


class TestStages:
    """What the controller makes of them."""

    def after(self, store, folder, stage, kind=Kind.SVD, shards=2):
        run = a_run(kind=kind, shards=shards)
        return shards_after(store, run, an_attempt(folder, stage, shards=shards))

    def test_an_unsharded_attempt_and_the_last_stage_end_with_the_manifest(self, store, folder):
        commit_basis(store, folder, BASIS)
        assert self.after(store, folder, Stage.ALL) is None
        assert self.after(store, folder, Stage.MERGE) is None

    def test_the_basis_says_how_many_shards_there_are(self, store, folder):
        assert self.after(store, folder, Stage.BASIS) is None
        commit_basis(store, folder, BASIS)
        assert self.after(store, folder, Stage.BASIS) == 2

    def test_all_shards_are_merged_by_one_pod(self, store, folder):
        commit_basis(store, folder, BASIS)
        commit_part(store, folder, a_part(0, FIRST, basis_digest=DIGEST))
        assert self.after(store, folder, Stage.PROJECT) is None
        commit_part(store, folder, a_part(1, SECOND, basis_digest=DIGEST))
        assert self.after(store, folder, Stage.PROJECT) == 1

    def test_a_basis_that_was_replaced_makes_the_shards_worthless(self, store, folder):
        commit_basis(store, folder, BASIS)
        for number, shard in enumerate(BASIS.shards):
            commit_part(store, folder, a_part(number, shard, basis_digest=DIGEST))
        commit_basis(store, folder, a_basis(nonce="late", data=b"another machine's"))
        assert self.after(store, folder, Stage.PROJECT) is None
        # one that computed the same changes nothing
        commit_basis(store, folder, a_basis(nonce="later"))
        assert self.after(store, folder, Stage.PROJECT) == 1

    def test_a_basis_that_was_lost_too(self, store, folder):
        commit_basis(store, folder, BASIS)
        for number, shard in enumerate(BASIS.shards):
            commit_part(store, folder, a_part(number, shard, basis_digest=DIGEST))
        store.delete(basis_uri(folder))
        assert self.after(store, folder, Stage.PROJECT) is None

    def test_poses_have_no_basis(self, store, folder):
        for number, shard in enumerate(BASIS.shards):
            commit_part(store, folder, a_part(number, shard, run_id="pose-0123456789abcdef"))
        assert self.after(store, folder, Stage.PROJECT, Kind.POSE) == 1
        assert self.after(store, folder, Stage.PROJECT, Kind.POSE, shards=3) is None
