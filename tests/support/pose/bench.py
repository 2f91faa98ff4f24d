"""The worker as its own process, on files in a shared folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fmdj_cloud.contracts import Kind, Limits, Manifest, PoseParams, RunSpec, TerminationMessage, VideoRef
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.worker.pose.model import facemap_parts

LIMITS = Limits(time_budget_s=300, memory_mib=4096, scratch_mib=4096, threads=1)


@dataclasses.dataclass
class Ran:
    """What a worker left behind."""

    exit_code: int
    message: TerminationMessage | None
    manifest: Manifest | None
    output: str
    spec: RunSpec
    folder: Path
    """The attempt folder."""
    scratch: Path
    nonce: str

    @property
    def pod(self) -> Path:
        return self.folder / self.nonce

    def points(self, view: int = 0) -> np.ndarray:
        """Return what the loader reads, (frames, body parts, 3), in the order of the parts' names."""
        with SignalsReader(self.pod / "signals.h5") as reader:
            return np.stack([np.stack(reader.keypoints(view, part), -1) for part in reader.body_parts(view)], 1)

    def facemap(self, stem: str, folder: str = "pose") -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return Facemap's two files of a video."""
        path = self.pod / "facemap" / folder / f"{stem}_FacemapPose.h5"
        with h5py.File(path) as file:
            points = {
                part: np.stack([group[name][()] for name in ("x", "y", "likelihood")], -1)
                for part, group in file["Facemap"].items()
            }
        return points, pickle.loads(path.with_name(f"{path.stem}_metadata.pkl").read_bytes())

    def parts(self) -> list[dict[str, Any]]:
        """Return the descriptions of the parts that this attempt finished."""
        return [json.loads(path.read_text()) for path in sorted((self.pod / "parts").glob("*.json"))]


class Bench:
    """Runs the worker on videos and a model in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def refs(self, *rows: tuple[Path, ...]) -> tuple[tuple[VideoRef, ...], ...]:
        return tuple(
            tuple(VideoRef(uri=f"file://{path}", name=path.name, size=path.stat().st_size) for path in row)
            for row in rows
        )

    def params(self, model: Path, **fields: Any) -> PoseParams:
        digest = hashlib.sha256(model.read_bytes()).hexdigest()
        return PoseParams(
            **{"model_uri": f"file://{model}", "model_sha256": digest, "body_parts": facemap_parts(), **fields}
        )

    def spec(self, videos: tuple[tuple[VideoRef, ...], ...], params: PoseParams | None, **fields: Any) -> RunSpec:
        self._count += 1
        return RunSpec(
            **{
                "run_id": f"pose-{self._count:016x}",
                "kind": Kind.POSE,
                "pipeline": "lab",
                "task": '{"subject":"m1"}',
                "task_digest": "t" * 64,
                "content_digest": f"{self._count:064x}",
                "attempt": 1,
                "attempt_uri": f"file://{self.folder}/out/{self._count}/a1",
                "videos": videos,
                "pose": params,
                "limits": LIMITS,
                **fields,
            }
        )

    def start(self, spec: RunSpec, *, nonce: str = "pod-1", **settings: Any) -> subprocess.Popen[str]:
        """Start the worker on a spec."""
        data = spec.model_dump_json().encode()
        attempt = Path(spec.attempt_uri.removeprefix("file://"))
        attempt.mkdir(parents=True, exist_ok=True)
        (attempt / "spec.json").write_bytes(data)
        own = self._own(spec, nonce)
        (own / "scratch").mkdir(parents=True)
        config = {
            "storage": {"file": {"roots": [str(self.folder)]}},
            "worker": {"scratch_dir": str(own / "scratch"), "progress_s": 0.2, "log_upload_s": 1, **settings},
        }
        (own / "config.json").write_text(json.dumps(config))  # JSON is YAML
        command = [sys.executable, "-m", "fmdj_cloud.worker", "--spec", f"{spec.attempt_uri}/spec.json"]
        command += ["--nonce", nonce, "--sha256", hashlib.sha256(data).hexdigest()]
        command += ["--termination-log", str(own / "last-word")]
        with (own / "output").open("w") as output:
            return subprocess.Popen(
                command,
                env={**os.environ, "FMDJ_CONFIG": str(own / "config.json")},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def finish(self, process: subprocess.Popen[str], spec: RunSpec, *, nonce: str = "pod-1") -> Ran:
        """Wait for the worker and collect what it left."""
        code = process.wait(timeout=300)
        own = self._own(spec, nonce)
        attempt = Path(spec.attempt_uri.removeprefix("file://"))
        word, manifest = own / "last-word", attempt / "manifest.json"
        return Ran(
            exit_code=code,
            message=TerminationMessage.model_validate_json(word.read_bytes()) if word.exists() else None,
            manifest=Manifest.model_validate_json(manifest.read_bytes()) if manifest.exists() else None,
            output=(own / "output").read_text(),
            spec=spec,
            folder=attempt,
            scratch=own / "scratch",
            nonce=nonce,
        )

    def run(self, spec: RunSpec, *, nonce: str = "pod-1", **settings: Any) -> Ran:
        """Run the worker to its end."""
        return self.finish(self.start(spec, nonce=nonce, **settings), spec, nonce=nonce)

    def _own(self, spec: RunSpec, nonce: str) -> Path:
        return self.folder / "own" / f"{spec.run_id}-a{spec.attempt}-{nonce}"


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
