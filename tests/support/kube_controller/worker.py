"""Containers as functions: what a worker publishes, without the worker."""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import (
    Kind,
    Manifest,
    ManifestFile,
    Origin,
    RunSpec,
    SignalOrigin,
    Stage,
    TerminationMessage,
    ViewFrames,
)
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.launchers.kubernetes.indexed import INDEX_LABEL
from fmdj_cloud.errors import StorageError
from fmdj_cloud.names import parse_key
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import commit_manifest
from tests.support.kills import signals
from tests.support.kube.behaviour import Behaviour, ContainerStart, Exit
from tests.support.kube.cluster import FakeCluster
from tests.support.shards.work import Work

LASTS_S = 3.0
_NOW = dt.datetime(2026, 1, 31, 12, 0)


class Workers:
    """What the pods of a cluster do: they publish, unless a test says otherwise.

    Attributes
    ----------
    size : tuple of int
        Frames, height and width of every recording.
    starts : Counter
        How often a container of an attempt was started, by run and attempt.
    published : Counter
        Likewise, how often it published.
    doubled : list of str
        Runs of which two pods computed at a time, unless as two shards.
    stages : list of tuple
        What the pods of stages did, in order: stage, shard (-1 for none), attempt, and ``done``, ``reused`` or
        ``found``.
    merged : list of str
        What merges yielded.
    """

    def __init__(self, cluster: FakeCluster, store: Store) -> None:
        self._cluster = cluster
        self._store = store
        self._lock = threading.Lock()
        self._signals: dict[tuple[str, int, int], bytes] = {}
        self.size = (signals.NFRAMES, signals.HEIGHT, signals.WIDTH)
        self.starts: Counter[tuple[str, str]] = Counter()
        self.published: Counter[tuple[str, str]] = Counter()
        self.doubled: list[str] = []
        self.merged: list[str] = []
        self.stages: list[tuple[str, int, int, str]] = []
        cluster.scripted.default = self.good()

    def good(self, **changes: Any) -> Behaviour:
        """Publish and exit with 0."""
        return self.does(**({"finish": self.publish} | changes))

    def does(self, **fields: Any) -> Behaviour:
        """Return a behaviour whose start is noted."""
        return Behaviour(**({"lasts_s": LASTS_S, "run": self.note} | fields))

    def note(self, start: ContainerStart) -> None:
        """Note that a container has started, and whether another of its run computes."""
        mine = start.pod["metadata"]
        run = mine["labels"][labels.RUN]
        with self._lock:
            self.starts[run, mine["labels"][labels.ATTEMPT]] += 1
            for pod in self._cluster.list("pods"):
                meta = pod["metadata"]
                other = meta.get("labels") or {}
                same = other.get(labels.RUN) == run and other.get(INDEX_LABEL) == mine["labels"].get(INDEX_LABEL)
                if meta["uid"] != mine["uid"] and same and _computes(pod):
                    self.doubled.append(f"{meta['name']} and {mine['name']}")

    def publish(self, start: ContainerStart) -> Exit:
        """Do what the worker does in the end, of its stage."""
        stage = Stage(start.arg("--stage")) if "--stage" in start.args else Stage.ALL
        try:
            if stage is not Stage.ALL and not self._do_stage(start, stage):
                return Exit(0, TerminationMessage(code="done", exit_code=0).model_dump_json())
        except StorageError as error:
            word = TerminationMessage(code=error.code, exit_code=30, sentence=error.sentence)
            return Exit(30, word.model_dump_json())
        spec, nonce = self._spec(start), start.arg("--nonce")
        data = self._signals_of(spec)
        self._store.put_bytes(f"{spec.attempt_uri}/{nonce}/signals.h5", data)
        sha256 = commit_manifest(
            self._store, spec.attempt_uri, _manifest(spec, start.arg("--sha256"), nonce, data, self.size)
        )
        with self._lock:
            self.published[spec.run_id, str(spec.attempt)] += 1
        return Exit(0, TerminationMessage(code="done", exit_code=0, manifest_sha256=sha256).model_dump_json())

    def _do_stage(self, start: ContainerStart, stage: Stage) -> bool:
        """Do a stage; return whether a manifest follows."""
        spec = self._spec(start)
        work = Work(self._store, spec, start.arg("--sha256"), start.arg("--nonce"))
        index = int(start.arg("--index")) if stage is Stage.PROJECT else -1
        if stage is Stage.BASIS:
            said = work.basis()
        elif stage is Stage.PROJECT:
            said = work.project(index)
        else:
            said = "done"
            self.merged.append(work.merge())
        with self._lock:
            self.stages.append((stage.value, index, spec.attempt, said))
        return stage is Stage.MERGE

    def lie(self, start: ContainerStart) -> Exit:
        """Publish something whose sizes and digests aren't those of its files."""
        spec, nonce = self._spec(start), start.arg("--nonce")
        data = self._signals_of(spec)
        self._store.put_bytes(f"{spec.attempt_uri}/{nonce}/signals.h5", data[:-1] + bytes([data[-1] ^ 1]))
        commit_manifest(self._store, spec.attempt_uri, _manifest(spec, start.arg("--sha256"), nonce, data, self.size))
        return Exit(0)

    def _spec(self, start: ContainerStart) -> RunSpec:
        data = self._store.get_bytes(start.arg("--spec"), max_bytes=1 << 24)
        assert hashlib.sha256(data).hexdigest() == start.arg("--sha256"), "the spec isn't the one that was launched"
        return RunSpec.model_validate_json(data)

    def _signals_of(self, spec: RunSpec) -> bytes:
        assert spec.svd is not None
        key = (spec.run_id, parse_key(spec.task)["recording_id"], spec.svd.sbin)
        if key not in self._signals:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "signals.h5"
                signals.write(path, key[1], spec.run_id, key[2])
                self._signals[key] = path.read_bytes()
        return self._signals[key]


def _computes(pod: dict[str, Any]) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any("running" in (status.get("state") or {}) for status in statuses)


def _manifest(spec: RunSpec, sha256: str, nonce: str, data: bytes, size: tuple[int, int, int]) -> Manifest:
    nframes, height, width = size
    frames = (nframes,)
    return Manifest(
        run_id=spec.run_id,
        attempt=spec.attempt,
        kind=Kind.SVD,
        nonce=nonce,
        spec_sha256=sha256,
        content_digest=spec.content_digest,
        files=(
            ManifestFile(
                path=f"{nonce}/signals.h5", role="signals", size=len(data), sha256=hashlib.sha256(data).hexdigest()
            ),
        ),
        nframes=nframes,
        views=(ViewFrames(height=height, width=width, fps=30.0, frames=frames, header_frames=frames),),
        versions={"facemap": "1.0.8"},
        device="cpu",
        threads=1,
        timings_s={},
        signals=(SignalOrigin(signal="motion", roi_no=0, origin=Origin.FACEMAP),),
        started=_NOW,
        finished=_NOW,
    )
