"""A pod at work: what every step of every stage needs."""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import os
from dataclasses import dataclass, field
from typing import Any

from fmdj_cloud.contracts import Engine, Kind, ManifestFile, RunSpec, Stage
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.stages import Content, Identity
from fmdj_cloud.worker.compute import Child
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.pose.desk import parts_kept
from fmdj_cloud.worker.progress import Reporter, Where
from fmdj_cloud.worker.publish import publish_log, publish_outputs
from fmdj_cloud.worker.stop import Stop
from fmdj_cloud.worker.timings import Timings

log = logging.getLogger(__name__)

REPORTER_WAIT_S = 5.0
_CHILDREN = {
    Kind.SVD: ("fmdj_cloud.worker.svd.child", ("facemap", "av", "cv2")),
    Kind.POSE: ("fmdj_cloud.worker.pose.child", ("facemap", "torch", "av", "cv2")),
    Kind.IMPORT: ("fmdj_cloud.worker.importing.child", ("av", "cv2")),
}
"""Kind -> the computing child's module, and what it imports."""
_TURBO = ("fmdj_cloud.worker.turbo.child", ("av", "cv2", "numba", "scipy", "threadpoolctl"))
"""Likewise, of the engine turbo."""
_JOIN_POSES = ("fmdj_cloud.worker.pose.merge", ("av", "cv2"))
"""Likewise, of the merge of a pose run."""


@dataclass
class Pod:
    """One worker on one stage of an attempt.

    Attributes
    ----------
    store : Store
    spec : RunSpec
    spec_sha256 : str
    nonce : str
        Name of its folder in the attempt folder.
    desk : Desk
    stop : Stop
    reporter : Reporter
    part_s : float
    stage : Stage
    index : int or None
        The shard, in stage ``project``.
    started : datetime
    child : Child or None
        The last that was started.
    timings : Timings
    """

    store: Store
    spec: RunSpec
    spec_sha256: str
    nonce: str
    desk: Desk
    stop: Stop
    reporter: Reporter
    part_s: float
    stage: Stage
    index: int | None
    started: dt.datetime
    child: Child | None = None
    timings: Timings = field(default_factory=Timings)

    @property
    def identity(self) -> Identity:
        """What commits of its attempt say of themselves."""
        return Identity(
            run_id=self.spec.run_id,
            attempt=self.spec.attempt,
            spec_sha256=self.spec_sha256,
            content_digest=self.spec.content_digest,
        )

    @property
    def content(self) -> Content:
        """What commits of earlier attempts say of themselves."""
        return Content(run_id=self.spec.run_id, content_digest=self.spec.content_digest)

    def check(self) -> None:
        """Find out whether the stage can be computed here.

        Raises
        ------
        ConfigError
            If it can't.
        """
        spec = self.spec
        parameters = {Kind.SVD: spec.svd, Kind.POSE: spec.pose}
        if spec.kind not in _CHILDREN or parameters.get(spec.kind, spec) is None:
            raise ConfigError(f"This worker can't do {spec.kind.value} runs: use a worker image that can.")
        uses_gpu = spec.kind is Kind.POSE or (spec.kind is Kind.SVD and spec.engine is Engine.TURBO)
        if spec.limits.gpu and not uses_gpu:
            raise ConfigError(f"Runs of kind {spec.kind.value} don't use a GPU: set gpu to 0 in its limits.")
        if self.stage is not Stage.ALL:
            self._check_stage()
        missing = [name for name in self._child_of[1] if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"{', '.join(missing)} isn't installed where the worker runs: install fmdj-cloud[worker], or use the "
                "worker image."
            )

    def _check_stage(self) -> None:
        spec = self.spec
        stages: dict[Kind, tuple[Stage, ...]] = {Kind.POSE: (Stage.PROJECT, Stage.MERGE)}
        if spec.kind is Kind.SVD and spec.engine is Engine.TURBO:
            stages[Kind.SVD] = (Stage.BASIS, Stage.PROJECT, Stage.MERGE)
        if spec.shards is None or self.stage not in stages.get(spec.kind, ()):
            raise ConfigError(
                f"{spec.run_id} ({spec.kind.value}, engine {spec.engine.value}, shards {spec.shards}) has no stage "
                f"{self.stage.value}: run controller and worker of the same version."
            )
        if (self.stage is Stage.PROJECT) != (self.index is not None) or (self.index or 0) < 0:
            raise ConfigError(
                f"The shard is {self.index} in stage {self.stage.value}: a number from 0 belongs to stage project, and "
                "to no other."
            )

    @property
    def _child_of(self) -> tuple[str, tuple[str, ...]]:
        if self.spec.kind is Kind.SVD and self.spec.engine is Engine.TURBO:
            return _TURBO
        if self.spec.kind is Kind.POSE and self.stage is Stage.MERGE:
            return _JOIN_POSES
        return _CHILDREN[self.spec.kind]

    def compute(self, **fields: Any) -> ChildResult:
        """Let a child compute, and return what it has made, as :meth:`~fmdj_cloud.worker.compute.Child.run` does.

        Parameters
        ----------
        **fields
            Of :class:`~fmdj_cloud.worker.handover.ChildJob`.
        """
        self.desk.clear()
        job = ChildJob(
            spec=self.spec, parent=os.getpid(), part_s=self.part_s, stage=self.stage, index=self.index, **fields
        )
        self.reporter.at(None)
        with self.timings.of("compute"), parts_kept(self.store, self.spec, self.nonce, self.desk):
            result = self.run_child(job, self._child_of[0])
        for warning in result.warnings:
            log.warning("%s", warning)
        return result

    def run_child(self, job: ChildJob, module: str) -> ChildResult:
        """Run a module in a process of its own on a job."""
        self.child = Child(self.desk, job, module)
        return self.child.run(self.stop)

    def publish(self, role: str = "") -> tuple[ManifestFile, ...]:
        """Upload the child's outputs, and after them the log; what is left to do is the commit.

        Parameters
        ----------
        role : str
            Of all files; empty for what each is by its place, and the log is among them.
        """
        total = self.reporter.progress().frames_total
        self.reporter.at(Where("publish", total, total))
        with self.timings.of("publish"):
            files = publish_outputs(self.store, self.spec, self.nonce, self.desk, stop=self.stop, role=role)
        log.info("%d file(s) published, the commit comes last", len(files))
        self.reporter.close(REPORTER_WAIT_S)  # so that nothing overwrites the last of run.log and progress.json
        logged = publish_log(self.store, self.spec, self.nonce, self.desk, stop=self.stop)
        self.reporter.at(Where("done", total, total))
        self.reporter.write_progress()
        self.stop.check()
        return files if role else (*files, logged)


def now() -> dt.datetime:
    """Return the time as contracts have it, naive UTC."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
