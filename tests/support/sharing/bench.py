"""A controller and a loader in this process, over Jobs that are done as soon as they are asked for."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import (
    JobObservation,
    JobPhase,
    JobRequest,
    Kind,
    Manifest,
    ManifestFile,
    Origin,
    Outcome,
    RunRecord,
    RunSpec,
    SignalOrigin,
    ViewFrames,
)
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.explain import Explanation, explain
from fmdj_cloud.control.inspect import observe_task
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.control.ordering import Ordering
from fmdj_cloud.control.orders import Order
from fmdj_cloud.control.report import PassReport
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.load.results import LoadResult
from fmdj_cloud.names import canonical_key
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage.manifests import commit_manifest
from tests.support.kills import signals

_NOW = dt.datetime(2026, 1, 31, 12)


class Jobs:
    """A launcher whose Jobs publish at once, or end as `ends` says, or go on while `waits`.

    Parameters
    ----------
    store : Store
    """

    name = "local"

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: dict[str, JobObservation] = {}
        self._asked: dict[str, JobRequest] = {}
        self.waits = False
        self.ends: Outcome | None = None
        self.computed: Counter[str] = Counter()
        """Canonical key -> how often it was computed."""

    def create(self, request: JobRequest) -> str:
        """See :class:`fmdj_cloud.control.launchers.base.Launcher`."""
        if request.name not in self._jobs:
            self._asked[request.name] = request
            self.computed[request.task] += 1
            self._jobs[request.name] = self._observed(request, JobPhase.RUNNING)
            if not self.waits:
                self.finish(request.name)
        return f"uid-{request.name}"

    def finish(self, name: str) -> None:
        """End a Job that waits."""
        request = self._asked[name]
        if self.ends is None:
            self._publish(request)
        self._jobs[name] = self._observed(request, JobPhase.ENDED, self.ends or Outcome())

    def finish_all(self) -> None:
        """End all Jobs that wait."""
        for job in self.observe():
            if job.phase is JobPhase.RUNNING:
                self.finish(job.name)

    def observe(self) -> tuple[JobObservation, ...]:
        return tuple(self._jobs.values())

    def is_gone(self, name: str) -> bool:
        return name not in self._jobs

    def stop(self, name: str, why: Outcome | None = None) -> None:
        self._jobs[name] = self._observed(self._asked[name], JobPhase.ENDED, why or Outcome())

    def forget(self, name: str) -> None:
        self._jobs.pop(name, None)

    def tell(self, name: str, what: str, sentence: str) -> None:
        """Nobody looks at these Jobs."""

    def read_log(self, name: str, nonce: str = "") -> str:
        return ""

    def _observed(self, request: JobRequest, phase: JobPhase, outcome: Outcome | None = None) -> JobObservation:
        return JobObservation(
            name=request.name,
            run_id=request.run_id,
            attempt=request.attempt,
            uid=f"uid-{request.name}",
            spec_sha256=request.spec_sha256,
            phase=phase,
            outcome=outcome,
        )

    def _publish(self, request: JobRequest) -> None:
        spec = RunSpec.model_validate_json(self._store.get_bytes(request.spec_uri, max_bytes=1 << 24))
        assert spec.svd is not None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "signals.h5"
            signals.write(path, 1, spec.run_id, spec.svd.sbin)
            data = path.read_bytes()
        self._store.put_bytes(f"{spec.attempt_uri}/n1/signals.h5", data)
        commit_manifest(self._store, spec.attempt_uri, manifest_of(spec, request.spec_sha256, data))


def manifest_of(spec: RunSpec, sha256: str, data: bytes) -> Manifest:
    """The manifest of a worker that has written these bytes as its signals.h5."""
    frames = (signals.NFRAMES,)
    file = ManifestFile(path="n1/signals.h5", role="signals", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    return Manifest(
        run_id=spec.run_id,
        attempt=spec.attempt,
        kind=Kind.SVD,
        nonce="n1",
        spec_sha256=sha256,
        content_digest=spec.content_digest,
        files=(file,),
        nframes=signals.NFRAMES,
        views=(ViewFrames(height=signals.HEIGHT, width=signals.WIDTH, fps=30.0, frames=frames, header_frames=frames),),
        versions={"facemap": "1.0.8"},
        device="cpu",
        threads=1,
        timings_s={},
        signals=(SignalOrigin(signal="motion", roi_no=0, origin=Origin.FACEMAP),),
        started=_NOW,
        finished=_NOW,
    )


class Bench:
    """One installation, whose time is the test's.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = open_store(settings.storage)
        self.jobs = Jobs(self.store)
        self.now = 0.0
        self.database = Database(settings.database)
        self.ledger = Ledger(self.database)
        self._controller: Controller | None = None
        self._loader: Loader | None = None
        self._opened = [self.database]
        self._labs = [open_lab(self.database, self.ledger, pipeline) for pipeline in settings.pipelines]

    def lab(self, pipeline: int = 0) -> Lab:
        """One of its pipelines."""
        return self._labs[pipeline]

    def restart(self, **controller: Any) -> None:
        """Be another controller process, perhaps of other settings; what runs goes on."""
        leader = self.ledger.leader()
        if leader is not None:
            self.ledger.resign(leader[0], leader[1])
        if controller:
            changed = self.settings.controller.model_copy(update=controller)
            self.settings = self.settings.model_copy(update={"controller": changed})
        self._controller = None

    @property
    def controller(self) -> Controller:
        """The controller, started when it is first needed."""
        if self._controller is None:
            self._controller = Controller(
                self.settings, self._connection(), self.store, self.jobs, clock=lambda: self.now
            )
        return self._controller

    def step(self, seconds: float = 0.0) -> PassReport:
        """Let time pass for the controller, and have it make a pass."""
        self.now += seconds
        return self.controller.run_pass()

    def load(self, begin_s: float = math.inf) -> list[LoadResult]:
        """Have the loader make a pass."""
        if self._loader is None:
            self._loader = Loader(self.settings, self._connection(), self.store)
        return self._loader.run_pass(begin_s=begin_s)

    def run_of(self, key: dict[str, Any], pipeline: str = "lab") -> RunRecord:
        """The run that a task is bound to."""
        binding = self.ledger.binding(pipeline, Kind.SVD, key)
        assert binding is not None
        assert binding.run_id is not None
        run = self.ledger.run(binding.run_id)
        assert run is not None
        return run

    def explain(self, key: dict[str, Any], pipeline: int = 0) -> Explanation:
        """What `fmdj explain` says."""
        lab = self.lab(pipeline)
        return explain(observe_task(Choice(lab, lab.tasks(Kind.SVD), key), self.ledger, self.store, 60))

    def order(self, order: Order, key: dict[str, Any], pipeline: int = 0) -> None:
        """What `fmdj retry`, `cancel`, `hold` and `release` do."""
        lab = self.lab(pipeline)
        Ordering(self.ledger, "somebody").obey(order, Choice(lab, lab.tasks(Kind.SVD), key))

    def recompute(self, key: dict[str, Any], pipeline: int = 0) -> None:
        """What `fmdj retry --recompute` does."""
        lab = self.lab(pipeline)
        Ordering(self.ledger, "somebody").retry(Choice(lab, lab.tasks(Kind.SVD), key), recompute=True)

    def times_computed(self, key: dict[str, Any]) -> int:
        return self.jobs.computed[canonical_key(key)]

    def close(self) -> None:
        for database in self._opened:
            database.close()

    def _connection(self) -> Database:
        self._opened.append(Database(self.settings.database))
        return self._opened[-1]
