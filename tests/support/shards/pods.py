"""Pods of sharded runs on files in a folder: as processes of their own, or, faster, within the test's."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from fmdj_cloud.contracts import Engine, Kind, Limits, Manifest, RunSpec, Stage, VideoRef
from fmdj_cloud.settings import FileSettings
from fmdj_cloud.storage.file import FileStore
from fmdj_cloud.storage.manifests import manifest_uri, parse_manifest
from fmdj_cloud.storage.stages import Identity, read_basis, read_part
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.mishaps import as_ours
from fmdj_cloud.worker.pod import Pod, now
from fmdj_cloud.worker.progress import Reporter
from fmdj_cloud.worker.stages import STEPS
from fmdj_cloud.worker.stop import Stop

LIMITS = Limits(time_budget_s=300, memory_mib=8192, scratch_mib=8192, threads=1)
_MAX = 1 << 24


class HerePod(Pod):
    """A pod whose child is this process: nothing is imported anew."""

    def run_child(self, job: ChildJob, module: str) -> ChildResult:
        self.desk.home.mkdir()
        try:
            with threadpool_limits(1, user_api="blas"):
                result: ChildResult = importlib.import_module(module).compute(self.desk, job)
        except Exception as error:
            raise as_ours(error) or error from error
        return ChildResult.model_validate_json(result.model_dump_json())


class Lab:
    """A folder with attempts of runs, and pods that work on them.

    Parameters
    ----------
    folder : Path
        Everything that the store may read lies below its parent.
    roots : sequence of Path
    """

    def __init__(self, folder: Path, roots: Sequence[Path]) -> None:
        self.folder = folder
        self.roots = tuple(roots)
        self.store = FileStore(FileSettings(roots=self.roots))
        self._runs = 0
        self._pods = 0

    def refs(self, rows: Sequence[Sequence[Path]]) -> tuple[tuple[VideoRef, ...], ...]:
        def ref(path: Path) -> VideoRef:
            info = self.store.head(f"file://{path}")
            return VideoRef(uri=info.uri, name=path.name, size=info.size, etag=info.etag)

        return tuple(tuple(ref(path) for path in row) for row in rows)

    def spec(self, videos: Sequence[Sequence[Path]], kind: Kind = Kind.SVD, **fields: Any) -> RunSpec:
        self._runs += 1
        return RunSpec(
            **{
                "run_id": f"{kind.value}-{self._runs:016x}",
                "kind": kind,
                "pipeline": "lab",
                "task": '{"subject":"m1"}',
                "task_digest": "t" * 64,
                "content_digest": f"{self._runs:064x}",
                "attempt": 1,
                "attempt_uri": f"file://{self.folder}/{self._runs}/a1",
                "videos": self.refs(videos),
                "engine": Engine.TURBO,
                "limits": LIMITS,
                **fields,
            }
        )

    def again(self, spec: RunSpec, **fields: Any) -> RunSpec:
        """Return the spec of the next attempt, which may use what the others have left."""
        number = spec.attempt + 1
        uri = f"{spec.attempt_uri.rpartition('/')[0]}/a{number}"
        resumed = (spec.attempt_uri, *spec.resume_from)
        return spec.model_copy(update={"attempt": number, "attempt_uri": uri, "resume_from": resumed, **fields})

    def identity(self, spec: RunSpec) -> Identity:
        return Identity(
            run_id=spec.run_id,
            attempt=spec.attempt,
            spec_sha256=self.put(spec)[1],
            content_digest=spec.content_digest,
        )

    def put(self, spec: RunSpec) -> tuple[str, str]:
        """Write a spec, and return its URI and SHA-256."""
        data = spec.model_dump_json().encode()
        uri = f"{spec.attempt_uri}/spec.json"
        Path(uri.removeprefix("file://")).parent.mkdir(parents=True, exist_ok=True)
        self.store.put_bytes(uri, data)
        return uri, hashlib.sha256(data).hexdigest()

    def pod(self, spec: RunSpec, stage: Stage = Stage.ALL, index: int | None = None, nonce: str = "") -> HerePod:
        """Return a pod that computes here, on a desk of its own."""
        self._pods += 1
        nonce = nonce or f"pod-{self._pods}"
        folder = self.folder / "desks" / nonce
        folder.mkdir(parents=True)
        desk = Desk(folder)
        desk.log.touch()
        reporter = Reporter(
            self.store,
            f"{spec.attempt_uri}/{nonce}",
            run_id=spec.run_id,
            attempt=spec.attempt,
            told=desk.told,
            log_path=desk.log,
            progress_s=60,
            log_upload_s=60,
            index=index,
        )
        return HerePod(
            store=self.store,
            spec=spec,
            spec_sha256=self.put(spec)[1],
            nonce=nonce,
            desk=desk,
            stop=Stop(),
            reporter=reporter,
            part_s=60,
            stage=stage,
            index=index,
            started=now(),
        )

    def do(self, spec: RunSpec, stage: Stage = Stage.ALL, index: int | None = None) -> HerePod:
        """Let a pod do a stage here, and return it."""
        return self.at_work(self.pod(spec, stage, index))

    def at_work(self, pod: HerePod) -> HerePod:
        """Let a pod do its stage."""
        pod.check()
        pod.reporter.start()
        with contextlib.ExitStack() as stack:
            stack.callback(pod.reporter.close, 5)
            STEPS[pod.stage](pod)
        return pod

    def do_all(self, spec: RunSpec) -> Manifest:
        """Let pods do all stages here, one after the other."""
        if spec.shards is None:
            self.do(spec)
            return self.manifest(spec)
        shards = spec.shards
        if spec.kind is Kind.SVD:
            self.do(spec, Stage.BASIS)
            shards = len(self.basis(spec).shards)
        for index in reversed(range(shards)):
            self.do(spec, Stage.PROJECT, index)
        self.do(spec, Stage.MERGE)
        return self.manifest(spec)

    def basis(self, spec: RunSpec) -> Any:
        return read_basis(self.store, spec.attempt_uri, self.identity(spec))

    def part(self, spec: RunSpec, index: int) -> Any:
        digest = self.basis(spec).digest if spec.kind is Kind.SVD else ""
        return read_part(self.store, spec.attempt_uri, self.identity(spec), index, basis_digest=digest)

    def manifest(self, spec: RunSpec) -> Manifest:
        return parse_manifest(self.store.get_bytes(manifest_uri(spec.attempt_uri), max_bytes=_MAX))[0]

    def output(self, spec: RunSpec, ending: str) -> Path:
        """Return the published file with such an ending."""
        (path,) = [file.path for file in self.manifest(spec).files if file.path.endswith(ending)]
        return Path(spec.attempt_uri.removeprefix("file://")) / path

    def start(
        self, spec: RunSpec, stage: Stage, index: int | None = None, *, nonce: str = "", **settings: Any
    ) -> subprocess.Popen[bytes]:
        """Start a pod as a process of its own."""
        self._pods += 1
        nonce = nonce or f"pod-{self._pods}"
        own = self.folder / "pods" / f"{spec.run_id}-{nonce}"
        (own / "scratch").mkdir(parents=True)
        config = {
            "storage": {"file": {"roots": [str(root) for root in self.roots]}},
            "worker": {"scratch_dir": str(own / "scratch"), "progress_s": 0.2, "log_upload_s": 1, **settings},
        }
        (own / "config.json").write_text(json.dumps(config))  # JSON is YAML
        uri, sha256 = self.put(spec)
        command = [sys.executable, "-m", "fmdj_cloud.worker", "--spec", uri, "--nonce", nonce, "--sha256", sha256]
        command += ["--stage", stage.value, "--termination-log", str(own / "last-word")]
        if index is not None:
            command += ["--index", str(index)]
        with (own / "output").open("wb") as output:
            return subprocess.Popen(
                command,
                env={**os.environ, "FMDJ_CONFIG": str(own / "config.json")},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
