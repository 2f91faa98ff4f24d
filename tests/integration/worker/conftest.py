"""A bench for the worker: real videos in a real S3 server, the worker as its own process."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fmdj_cloud.contracts import (
    BitMask,
    Kind,
    Limits,
    Manifest,
    Roi,
    RoiKind,
    RunSpec,
    SvdParams,
    TerminationMessage,
    VideoRef,
)
from fmdj_cloud.demo.recordings import Recording, RecordingSpec, generate
from fmdj_cloud.errors import ObjectMissingError
from fmdj_cloud.settings import S3Settings, StorageSettings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage.client import make_client

LIMITS = Limits(time_budget_s=300, memory_mib=8192, scratch_mib=8192, threads=1)
ROIS = ("whisker", "pupil", "blink", "running", "snout")


def to_roi(saved: dict[str, Any]) -> Roi:
    """Return a ROI of the GUI as the spec holds it."""
    kind = RoiKind.from_rind(saved["rind"])
    eye = kind in (RoiKind.PUPIL, RoiKind.BLINK)
    return Roi(
        kind=kind,
        view=int(saved["ivid"]),
        y0=int(saved["yrange"][0]),
        y1=int(saved["yrange"][-1]) + 1,
        x0=int(saved["xrange"][0]),
        x1=int(saved["xrange"][-1]) + 1,
        saturation=float(saved["saturation"]) if eye else None,
        pupil_sigma=float(saved["pupil_sigma"]) if kind is RoiKind.PUPIL else None,
        ellipse=BitMask.from_array(saved["ellipse"]) if eye else None,
    )


@dataclasses.dataclass
class Ran:
    """What a worker left behind."""

    exit_code: int
    message: TerminationMessage | None
    manifest: Manifest | None
    seconds: float
    output: str
    spec: RunSpec
    folder: Path
    scratch: Path
    store: Store

    @property
    def signals(self) -> Path:
        return self.fetch("signals.h5")

    def fetch(self, relative: str) -> Path:
        """Download a published file."""
        path = self.folder / "fetched" / relative
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.store.download(f"{self.spec.attempt_uri}/pod-1/{relative}", path)
        return path

    def proc(self, part: str = "main") -> dict[str, Any]:
        """Load the file that Facemap wrote in a pass."""
        (name,) = [file.path for file in self.manifest.files if f"/facemap/{part}/" in file.path]
        return np.load(self.fetch(name.partition("/")[2]), allow_pickle=True).item()

    def published(self) -> list[str]:
        """Names of everything in the attempt folder, but the spec."""
        base = len(self.spec.attempt_uri) + 1
        return sorted(
            name for info in self.store.list(self.spec.attempt_uri) if (name := info.uri[base:]) != "spec.json"
        )


class Bench:
    """Runs the worker on recordings in a bucket of its own."""

    def __init__(self, s3: S3Settings, bucket: str, folder: Path) -> None:
        self.s3 = s3
        self.bucket = bucket
        self.folder = folder
        self.store = open_store(StorageSettings(s3=s3))
        self._count = 0

    def rois(self, recording: Recording, *names: str) -> tuple[Roi, ...]:
        """Return ROIs of a recording as a spec holds them."""
        return tuple(to_roi(roi) for roi in recording.rois(*names))

    def upload(self, videos: tuple[tuple[Path, ...], ...]) -> tuple[tuple[VideoRef, ...], ...]:
        def ref(path: Path) -> VideoRef:
            info = self.store.upload(path, f"{self.bucket}/videos/{path.name}")
            return VideoRef(uri=info.uri, name=path.name, size=info.size, etag=info.etag)

        return tuple(tuple(ref(path) for path in row) for row in videos)

    def spec(self, videos: tuple[tuple[VideoRef, ...], ...], params: SvdParams | None, **fields: Any) -> RunSpec:
        self._count += 1
        return RunSpec(
            **{
                "run_id": f"svd-{self._count:016x}",
                "kind": Kind.SVD,
                "pipeline": "lab",
                "task": '{"subject":"m1"}',
                "task_digest": "t" * 64,
                "content_digest": "c" * 64,
                "attempt": 1,
                "attempt_uri": f"{self.bucket}/out/{self._count}/a1",
                "videos": videos,
                "svd": params,
                "limits": LIMITS,
                **fields,
            }
        )

    def start(self, spec: RunSpec, *, sha256: str | None = None, **settings: Any) -> subprocess.Popen[str]:
        """Start the worker on a spec."""
        data = spec.model_dump_json().encode()
        uri = f"{spec.attempt_uri}/spec.json"
        self.store.put_bytes(uri, data)
        folder = self.folder / spec.run_id
        (folder / "scratch").mkdir(parents=True, exist_ok=True)
        config = {
            "storage": {
                "s3": {
                    **self.s3.model_dump(mode="json", exclude={"access_key_id", "secret_access_key", "session_token"}),
                    "access_key_id": self.s3.access_key_id.get_secret_value(),
                    "secret_access_key": self.s3.secret_access_key.get_secret_value(),
                }
            },
            "worker": {"scratch_dir": str(folder / "scratch"), "progress_s": 0.5, "log_upload_s": 1, **settings},
        }
        (folder / "config.json").write_text(json.dumps(config))  # JSON is YAML
        command = [sys.executable, "-m", "fmdj_cloud.worker", "--spec", uri, "--nonce", "pod-1"]
        command += ["--sha256", sha256 or hashlib.sha256(data).hexdigest()]
        command += ["--termination-log", str(folder / "last-word")]
        with (folder / "output").open("w") as output:
            return subprocess.Popen(
                command,
                env={**os.environ, "FMDJ_CONFIG": str(folder / "config.json")},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def finish(self, process: subprocess.Popen[str], spec: RunSpec, began: float) -> Ran:
        """Wait for the worker and collect what it left."""
        code = process.wait(timeout=300)
        seconds = time.monotonic() - began
        folder = self.folder / spec.run_id
        word = folder / "last-word"
        try:
            manifest = Manifest.model_validate_json(
                self.store.get_bytes(f"{spec.attempt_uri}/manifest.json", max_bytes=1 << 24)
            )
        except ObjectMissingError:
            manifest = None
        return Ran(
            exit_code=code,
            message=TerminationMessage.model_validate_json(word.read_bytes()) if word.exists() else None,
            manifest=manifest,
            seconds=seconds,
            output=(folder / "output").read_text(),
            spec=spec,
            folder=folder,
            scratch=folder / "scratch",
            store=self.store,
        )

    def run(self, spec: RunSpec, **options: Any) -> Ran:
        """Run the worker to its end."""
        began = time.monotonic()
        return self.finish(self.start(spec, **options), spec, began)


@pytest.fixture(scope="session")
def bench(s3_settings: S3Settings, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    client = make_client(s3_settings)
    client.create_bucket(Bucket="worker-tests")
    client.close()
    return Bench(s3_settings, "s3://worker-tests", tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recording]:
    """Generate a recording, small unless it matters."""

    def make(name: str, **fields: Any) -> Recording:
        return generate(
            RecordingSpec(name=name, **{"width": 160, "height": 120, **fields}), tmp_path_factory.mktemp(name)
        )

    return make


@pytest.fixture(scope="session")
def face(record: Callable[..., Recording]) -> Recording:
    """One camera, 320x240, long enough for several chunks."""
    return record("face", width=320, height=240, nframes=(2100,), seed=3)


@pytest.fixture(scope="session")
def face_run(bench: Bench, face: Recording) -> Ran:
    """Full frame, two motion ROIs, pupil, blink, running; movie SVD too."""
    params = SvdParams(sbin=8, mov_svd=True, rois=bench.rois(face, *ROIS), drawn_on=((240, 320),))
    ran = bench.run(bench.spec(bench.upload(face.videos), params))
    assert ran.exit_code == 0, ran.output
    return ran
