"""A lab whose tables DataJoint 0.14 declared, as its people and as fmdj see it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import Estimate, Kind, Limits, Manifest, ManifestFile, RunPlan, RunRecord, RunSpec
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.load.results import LoadResult
from fmdj_cloud.names import run_id, sha256_text
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, PipelineSettings, Settings
from fmdj_cloud.storage import open_store

from .client import Client

NEW, OLD = "0.3", "0.1"
PIPELINE = "lab"
_LIMITS = Limits(time_budget_s=600, memory_mib=1024, scratch_mib=1024, threads=1)
_ESTIMATE = Estimate(frames=60, height=32, width=48, seconds=1, memory_mib=1024, scratch_mib=1024, source="header")


@dataclass
class OldLab:
    """One lab.

    Attributes
    ----------
    client : Client
        Its people's.
    server : DatabaseSettings
        With the prefix of this lab's schemas and of our own.
    session : str
        Definition of Session's key.
    folder : Path
        Of its videos and outputs.
    shape : str
        NEW or OLD.
    """

    client: Client
    server: DatabaseSettings
    session: str
    folder: Path
    shape: str = NEW
    database: Database = field(init=False)
    before: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.run(
            "element.declare(prefix, session, shape, names=globals())",
            prefix=self.prefix,
            session=self.session,
            shape=self.shape,
        )
        for folder in ("raw", "processed"):
            (self.folder / folder).mkdir(exist_ok=True)
        self.database = Database(self.server)
        self.before = self.lab_tables()

    @property
    def prefix(self) -> str:
        """Of all schemas."""
        return self.server.prefix

    @property
    def settings(self) -> Settings:
        """Settings of a release that serves this lab alone."""
        return Settings(
            database=self.server,
            pipelines=(
                PipelineSettings(
                    name=PIPELINE,
                    behavior_schema=f"{self.prefix}behavior",
                    inference_schema=f"{self.prefix}inference" if self.shape == NEW else None,
                    video_roots=(f"file://{self.folder}/raw",),
                    processed_root=f"file://{self.folder}/processed",
                ),
            ),
            load={"workdir": self.folder / "scratch"},
        )

    def run(self, code: str, **values: Any) -> Any:
        """Execute code of the lab's people: their tables are there by name."""
        return self.client.run(self.prefix, code, ours=self.server.ledger_schema, **values)

    def open(self) -> tuple[Ledger, Lab]:
        """Open it as our programs do at their start."""
        ledger = Ledger(self.database)
        return ledger, open_lab(self.database, ledger, self.settings.pipelines[0])

    def lab_tables(self) -> dict[str, set[str]]:
        """Names of all tables in the lab's own schemas, hidden ones too."""
        return {
            f"{self.prefix}{name}": self.database.tables(f"{self.prefix}{name}")
            for name in ("lab", "behavior", "inference")
        }

    def add_task(self, session: dict[str, Any], recording_id: int = 1, **columns: Any) -> dict[str, Any]:
        """Have the lab insert a recording with a task; return the task's key."""
        recording = {**session, "recording_id": recording_id}
        task = {"task_mode": "trigger", "facemap_params": {"sbin": 4}} | columns
        self.run(
            """
            Session.insert1(session, skip_duplicates=True)
            VideoRecording.insert1({**recording, "device": "cam"}, skip_duplicates=True)
            VideoRecording.File.insert1({**recording, "file_id": 0, "file_path": "m1/face.avi"}, skip_duplicates=True)
            FacemapTask.insert1({**recording, "facemap_task_id": 0, **task})
            """,
            session=session,
            recording=recording,
            task=task,
        )
        return {**recording, "facemap_task_id": 0}

    def add_pose_task(self, session: dict[str, Any], model: bytes, parts: list[str]) -> dict[str, Any]:
        """Have the lab register a model with its file, and insert an inference task; return the task's key."""
        key = {"model_id": 1}
        file = self.folder / "face.pt"
        file.write_bytes(model)
        self.run(
            """
            BodyPart.insert([{"body_part": part} for part in parts], skip_duplicates=True)
            FacemapModel.insert1({**key, "model_name": "face"})
            FacemapModel.BodyPart.insert([{**key, "body_part": part} for part in parts])
            FacemapModel.File.insert1({**key, "model_file": file})
            Session.insert1(session, skip_duplicates=True)
            VideoRecording.insert1({**session, "recording_id": 1, "device": "cam"}, skip_duplicates=True)
            VideoRecording.File.insert1(
                {**session, "recording_id": 1, "file_id": 0, "file_path": "m1/face.avi"}, skip_duplicates=True
            )
            FacemapInferenceTask.insert1(
                {**session, "recording_id": 1, **key, "facemap_inference_output_dir": "", "task_mode": "trigger",
                 "bbox": [0, 32, 0, 48]}
            )
            """,
            key=key,
            file=str(file),
            parts=parts,
            session=session,
        )
        return {**session, "recording_id": 1, **key}

    def publish(
        self, key: dict[str, Any], signals: Path, manifest: Manifest, kind: Kind = Kind.SVD, **parameters: Any
    ) -> RunRecord:
        """Do for a task what controller and worker do: plan, launch, and leave these outputs."""
        ledger, lab = self.open()
        epoch = ledger.acquire("test", 600) or 0
        task = lab.tasks(kind).get(key)
        assert task is not None
        content = sha256_text(signals.name)
        name = run_id(kind, task.task_digest, content)
        plan = RunPlan(videos=(), limits=_LIMITS, estimate=_ESTIMATE, **parameters)
        output_dir = f"file://{self.folder}/processed/m1/facemap_0/{name}"
        run = ledger.plan(task, name, content, plan, output_dir, manifest_verifies=lambda *_: False, epoch=epoch)
        folder = f"{output_dir}/a{run.attempt}"
        spec = RunSpec(
            run_id=name,
            kind=run.kind,
            pipeline=PIPELINE,
            task=run.task,
            task_digest=task.task_digest,
            content_digest=content,
            attempt=run.attempt,
            attempt_uri=folder,
            videos=(),
            limits=_LIMITS,
            **parameters,
        )
        store = open_store(self.settings.storage)
        spec_bytes = spec.model_dump_json().encode()
        store.put_bytes(f"{folder}/spec.json", spec_bytes)
        data = signals.read_bytes()
        store.put_bytes(f"{folder}/n1/signals.h5", data)
        assert ledger.launch(
            name,
            run.attempt,
            folder=folder,
            spec_sha256=_sha256(spec_bytes),
            launcher="local",
            job_name=f"fmdj-{name}-a{run.attempt}",
            limits=_LIMITS,
            epoch=epoch,
        )
        file = ManifestFile(path="n1/signals.h5", role="signals", size=len(data), sha256=_sha256(data))
        told = manifest.model_copy(
            update={
                "run_id": name,
                "kind": kind,
                "attempt": run.attempt,
                "spec_sha256": _sha256(spec_bytes),
                "content_digest": content,
                "files": (file,),
            }
        )
        manifest_bytes = told.model_dump_json().encode()
        store.put_bytes(f"{folder}/n1/manifest.json", manifest_bytes)
        store.put_bytes(f"{folder}/manifest.json", manifest_bytes)
        assert ledger.publish(name, run.attempt, _sha256(manifest_bytes), epoch=epoch)
        return run

    def load(self) -> list[LoadResult]:
        """Let a loader make one pass."""
        return Loader(self.settings, self.database, open_store(self.settings.storage)).run_pass()

    def run_id_of(self, key: dict[str, Any], name: str, kind: Kind = Kind.SVD) -> str:
        """The id that :meth:`publish` will give the run of outputs in a file of this name."""
        _, lab = self.open()
        return run_id(kind, lab.tasks(kind).digest(key), sha256_text(name))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
