"""Manifests and commits that somebody else wrote: read, or ignored for a reason that can be printed, in bounds."""

from __future__ import annotations

import datetime as dt
import json
import random
import tracemalloc
from typing import Any

import pytest

from fmdj_cloud.contracts import (
    BasisCommit,
    Frozen,
    Kind,
    Manifest,
    ManifestFile,
    Origin,
    PartCommit,
    ShardRange,
    SignalOrigin,
    ViewFrames,
)
from fmdj_cloud.storage.documents import DocumentError, parse_document
from fmdj_cloud.storage.manifests import parse_manifest
from tests.support.hostile.mutation import mutated

SHORT, LONG = 300, 200_000
FILE = ManifestFile(path="n1/signals.h5", role="signals", size=82_472, sha256="0" * 64)
VIEW = ViewFrames(height=480, width=640, fps=29.97, frames=(40, 20), header_frames=(40, 21))
NOW = dt.datetime(2026, 11, 1, 9, 0, 0)
COMMON: dict[str, Any] = {
    "run_id": "svd-0123456789abcdef",
    "attempt": 1,
    "nonce": "n1",
    "spec_sha256": "0" * 64,
    "content_digest": "c" * 64,
    "files": (FILE,),
    "nframes": 60,
    "versions": {"facemap": "1.0.8"},
    "device": "cpu",
    "threads": 1,
    "timings_s": {"main": 1.5},
    "started": NOW,
    "finished": NOW,
}
MANIFEST = Manifest(
    kind=Kind.SVD,
    views=(VIEW,),
    signals=(SignalOrigin(signal="motion", roi_no=0, origin=Origin.REPAIRED, repairs=("F1",)),),
    **COMMON,
)
DOCUMENTS: tuple[Frozen, ...] = (
    MANIFEST,
    BasisCommit(
        block=20, shards=(ShardRange(start=0, stop=40), ShardRange(start=40, stop=60)), views=(VIEW,), **COMMON
    ),
    PartCommit(index=0, range=ShardRange(start=0, stop=40), basis_digest="d" * 64, **COMMON),
)


def changed(**values: Any) -> bytes:
    return json.dumps(json.loads(MANIFEST.model_dump_json()) | values).encode()


MANY = 2_000_000
HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"\x89HDF\r\n\x1a\n",
    "another document": b"[]",
    "a number": b"1e400",
    "lists in lists": b"[" * MANY,
    "objects in objects": b'{"run_id":' * MANY,
    "lists in lists in a field": changed().replace(b'"cpu"', b"[" * 10_000 + b"]" * 10_000),
    "a million wrong files": changed().replace(b'"files": [', b'"files": [' + b"0," * 1_000_000),
    "a million unknown fields": b"{" + b",".join(b'"a%d":0' % n for n in range(1_000_000)) + b"}",
    "more bytes than a manifest has": changed(device="x" * (5 << 20)),
    "a field that nobody knows": changed(command="rm -rf /"),
    "a field missing": MANIFEST.model_dump_json(exclude={"nonce"}).encode(),
    "a size of minus one": changed(files=[FILE.model_dump() | {"size": -1}]),
    "a size beyond 64 bits": changed(files=[FILE.model_dump() | {"size": 1 << 63}]),
    "a size of ten thousand digits": changed(files=[]).replace(
        b'"files": []', b'"files": [{"path":"n1/x","role":"r","sha256":"","size":' + b"9" * 10_000 + b"}]"
    ),
    "frames that are no number": changed().replace(b'"nframes": 60', b'"nframes": NaN'),
    "frames that are endless": changed().replace(b'"nframes": 60', b'"nframes": Infinity'),
    "frames with a fraction": changed(nframes=60.5),
    "a negative number of frames": changed(nframes=-1),
    "a rate that is no number": changed(views=[VIEW.model_dump() | {"fps": float("nan")}]),
    "a rate that is endless": changed(views=[VIEW.model_dump() | {"fps": float("inf")}]),
    "a negative height": changed(views=[VIEW.model_dump() | {"height": -1}]),
    "a time that is no number": changed(timings_s={"pose": float("nan")}),
    "a time before time": changed(finished=-(10**30)),
    "a year beyond the calendar": changed(finished="99999-01-01T00:00:00"),
    "half a character": changed().replace(b'"cpu"', b'"\\ud800"'),
    "no UTF-8": changed().replace(b'"cpu"', b'"\xff\xfe"'),
    "a wrong value under a long name": changed(versions={"\x1b[2J" * 10_000: 1}),
    "a wrong value under a name that clears the screen": changed(versions={"\x1b[2J": 1}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_manifest_that_isn_t_one_is_refused_in_bounds(name: str) -> None:
    tracemalloc.start()
    with pytest.raises(DocumentError) as refused:
        parse_manifest(HOSTILE[name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1500
    assert peak < 32 << 20


def test_of_a_field_that_is_there_twice_the_last_one_counts() -> None:
    twice = MANIFEST.model_dump_json().encode()[:-1] + b',"nframes":61}'
    assert parse_manifest(twice)[0].nframes == 61


def judge(seed: int) -> None:
    document = DOCUMENTS[seed % len(DOCUMENTS)]
    data = mutated(document.model_dump_json(indent=random.Random(seed).choice((None, 1))).encode(), seed)
    told = ""
    try:
        found = parse_document(type(document), data)
    except DocumentError as error:
        told = str(error)
    else:
        assert found.digest if isinstance(found, BasisCommit) else found.model_dump_json(), f"seed {seed}"
    assert told.isprintable(), f"seed {seed}"


def test_a_spoilt_document_is_read_or_refused() -> None:
    for seed in range(SHORT):
        judge(seed)


@pytest.mark.long
def test_any_spoilt_document_is_read_or_refused() -> None:
    for seed in range(1_000_000, 1_000_000 + LONG):
        judge(seed)
