"""Only the manifest of this very attempt counts; whatever else lies there is ignored."""

from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.contracts import Estimate, Kind, Manifest, ManifestFile, RunRecord, RunState, Wanted
from fmdj_cloud.storage.manifests import commit_manifest, manifest_uri, manifest_verifies, read_manifest

pytestmark = pytest.mark.integration
NOW = dt.datetime(2026, 1, 31)
RUN = RunRecord(
    run_id="svd-0123456789abcdef",
    kind=Kind.SVD,
    task_kind=Kind.SVD,
    pipeline="lab",
    task="{}",
    task_digest="t",
    content_digest="c",
    param_digest="p",
    state=RunState.LAUNCHED,
    wanted=Wanted.RUN,
    attempt=2,
    priority=0,
    output_dir="",
    manifest_sha256=None,
    failure_class=None,
    sentence="",
    not_before=None,
    failures={},
    estimate=Estimate(frames=1, height=1, width=1, seconds=1, memory_mib=1, scratch_mib=1, source="header"),
    created=NOW,
    updated=NOW,
)
MANIFEST = Manifest(
    run_id=RUN.run_id,
    attempt=2,
    kind=Kind.SVD,
    nonce="pod-1",
    spec_sha256="s",
    content_digest="c",
    files=(ManifestFile(path="pod-1/signals.h5", role="signals", size=3, sha256="x"),),
    nframes=1,
    views=(),
    versions={},
    device="cpu",
    threads=1,
    timings_s={},
    signals=(),
    started=NOW,
    finished=NOW,
)


@pytest.fixture
def folder(bucket):
    return f"{bucket}/processed/a2"


def read(store, folder):
    return read_manifest(store, folder, RUN, 2, "s")


def test_a_manifest_is_read_with_its_digest(store, folder):
    sha256 = commit_manifest(store, folder, MANIFEST)
    assert read(store, folder) == (MANIFEST, sha256)


def test_there_is_none(store, folder):
    assert read(store, folder) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"run_id": 3}'])
def test_what_is_no_manifest_is_ignored(store, folder, data):
    store.put_bytes(manifest_uri(folder), data)
    assert read(store, folder) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": "svd-ffffffffffffffff"},
        {"attempt": 1},
        {"spec_sha256": "other"},
        {"content_digest": "other"},
        {"kind": Kind.POSE},
        {"files": (ManifestFile(path="pod-2/signals.h5", role="signals", size=3, sha256="x"),)},
        {"files": (ManifestFile(path="pod-1/../../a1/signals.h5", role="signals", size=3, sha256="x"),)},
    ],
)
def test_the_manifest_of_another_attempt_is_ignored(store, folder, changes):
    commit_manifest(store, folder, MANIFEST.model_copy(update=changes))
    assert read(store, folder) is None


def test_a_pinned_manifest_verifies_while_its_files_are_there_in_their_size(store, folder):
    sha256 = commit_manifest(store, folder, MANIFEST)
    assert not manifest_verifies(store, folder, sha256)
    store.put_bytes(f"{folder}/pod-1/signals.h5", b"123")
    assert manifest_verifies(store, folder, sha256)
    assert not manifest_verifies(store, folder, "0" * 64)
    store.put_bytes(f"{folder}/pod-1/signals.h5", b"1234")
    assert not manifest_verifies(store, folder, sha256)
