"""Documents and files that are larger than they look, or than they may be, cost nothing and stop nothing.

What hostile signals.h5, pickles, keypoints and model files do is in tests/unit/load/test_hostile_signals.py,
tests/unit/importing and tests/unit/pose/test_pose_model.py; manifests that aren't one in
tests/unit/storage/test_hostile_documents.py.
"""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest

from fmdj_cloud.control import traces
from fmdj_cloud.control.traces import read_traces
from fmdj_cloud.errors import ConfigError, IntegrityError, LoadError
from fmdj_cloud.settings import FileSettings
from fmdj_cloud.signals_h5.vetting import vet
from fmdj_cloud.storage.file import FileStore
from fmdj_cloud.storage.manifests import pinned_bytes
from fmdj_cloud.worker import fetch

RUN = "svd-0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return FileStore(FileSettings(roots=(tmp_path,)))


def sparse(path, size):
    """A file that claims a size and takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return f"file://{path}"


def test_a_worker_reads_no_spec_beyond_its_limit(store, tmp_path):
    uri = sparse(tmp_path / "spec.json", 1 << 40)
    with pytest.raises(IntegrityError, match="more than the"):
        fetch.read_spec(store, uri, "0" * 64)


@pytest.mark.parametrize("data", [b"[" * 100_000, b"{}", b"\xff", b'{"run_id": "' + b"x" * 1_000_000 + b'"}'])
def test_a_spec_that_is_none_is_refused_in_a_short_sentence(store, tmp_path, data):
    (tmp_path / "spec.json").write_bytes(data)
    with pytest.raises(ConfigError) as refused:
        fetch.read_spec(store, f"file://{tmp_path}/spec.json", hashlib.sha256(data).hexdigest())
    assert len(refused.value.sentence) < 1000


@pytest.mark.parametrize("kind", ["huge", "deep", "junk"])
def test_recovery_passes_over_what_somebody_has_put_in_the_place_of_a_spec(store, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(traces, "_SPEC_BYTES", 1 << 20)
    path = tmp_path / "m1" / RUN / "a1" / "spec.json"
    sparse(path, 1 << 40)
    if kind != "huge":
        path.write_bytes(b"[" * 100_000 if kind == "deep" else b"\x1b[2J{}")
    assert read_traces(store, f"file://{tmp_path}", "lab", ()) == ()


def test_a_huge_manifest_is_none(store, tmp_path):
    sparse(tmp_path / "a1" / "manifest.json", 1 << 40)
    sparse(tmp_path / "a1" / "pod" / "manifest.json", 1 << 40)
    assert pinned_bytes(store, f"file://{tmp_path}/a1", "0" * 64) is None


def bomb(path):
    """A signals.h5 of some kilobytes whose one dataset unpacks to gigabytes."""
    with h5py.File(path, "w") as file:
        shape = (1 << 15, 1 << 15)
        made = file.create_dataset("avgframe", shape, "f4", chunks=(1 << 12, 1 << 12), compression="gzip")
        made[: 1 << 12, : 1 << 12] = np.zeros((1 << 12, 1 << 12), "f4")


def claims(path):
    """One that says it holds a petabyte, none of which was written."""
    with h5py.File(path, "w") as file:
        file.create_dataset("avgframe", (1 << 25, 1 << 25), "f4", chunks=(1 << 10, 1 << 10))


@pytest.mark.parametrize("make", [bomb, claims])
def test_signals_that_unpack_to_much_more_are_refused_by_what_they_claim(tmp_path, make):
    path = tmp_path / "signals.h5"
    make(path)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30));"
        "from pathlib import Path; from fmdj_cloud.signals_h5.vetting import vet; vet(Path(sys.argv[1]))"
    )
    answer = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert "LoadError" in answer.stderr
    assert "isn't laid out as documented" in answer.stderr
    assert "MemoryError" not in answer.stderr
    with pytest.raises(LoadError):
        vet(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20  # KiB: nothing was unpacked here
