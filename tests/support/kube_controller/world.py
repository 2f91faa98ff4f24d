"""A lab on a fake cluster: the real controller and loader, and time that passes only where a test says so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import AttemptRecord, Kind, RunRecord, RunState
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.explain import Explanation, explain
from fmdj_cloud.control.inspect import observe_task
from fmdj_cloud.control.kube import labels
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, S3Settings, Settings
from fmdj_cloud.storage import Store
from tests.support.cluster.site import SECRET_ENV, bucket_secret
from tests.support.kube.behaviour import Behaviour
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.objects import Object
from tests.support.kube_controller.program import Program
from tests.support.kube_controller.worker import Workers

PIPELINE = "lab"


@dataclass
class Premises:
    """A lab's tables and buckets, which many tests use one after the other: a declaration takes as long as a test."""

    settings: Settings
    database: Database
    element: Element
    ledger: Ledger
    lab: Lab
    store: Store
    bucket: str
    recordings: int = 0
    """So many there have ever been: what is in the bucket for one of them stays there."""

    def clean(self) -> None:
        """Delete all rows."""
        self.database.ensure_connected()
        element = self.element
        results = (element.Summary, element.MovieSVD, element.MotionSVD, element.Region, element.FacialSignal)
        tasks = (element.FacemapProcessing, element.FacemapTask, element.RecordingInfo, element.VideoFile)
        for table in (*results, *tasks, element.VideoRecording):
            self.database.execute(f"DELETE FROM {table.full_table_name}")
        schema = self.database.ledger_schema
        kept = {"~lineage", "schema_version"}
        last = ("run__attempt", "run")
        for name in (*sorted(self.database.tables(schema) - kept - {*last}), *last):
            self.database.execute(f"DELETE FROM {self.database.quote(schema, name)}")


@contextlib.contextmanager
def premises(database_settings: DatabaseSettings, s3: S3Settings, store: Store, bucket: str) -> Iterator[Premises]:
    """Declare a lab with one subject and session."""
    prefix = database_settings.prefix
    database = Database(database_settings)
    linked = declare_lab(database, f"{prefix}lab")
    linked.Subject.insert1({"subject": "m1"})
    linked.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": "2026-01-31 09:00:00"})
    linked.Device.insert1({"device": "camera"})
    settings = Settings(
        instance="lab",
        database=database_settings,
        storage={"s3": s3},
        pipelines=(
            {
                "name": PIPELINE,
                "behavior_schema": f"{prefix}facemap",
                "video_roots": (f"{bucket}/videos",),
                "processed_root": f"{bucket}/processed",
            },
        ),
    )
    element = declare_element(database, settings.pipelines[0].behavior_schema, linking_module=linked)
    ledger = Ledger(database)
    lab = open_lab(database, ledger, settings.pipelines[0])
    try:
        yield Premises(settings, database, element, ledger, lab, store, bucket)
    finally:
        database.close()


@dataclass
class KubeWorld:
    """One test's cluster over the premises.

    Attributes
    ----------
    settings : Settings
        Of every controller that :meth:`start` makes.
    """

    premises: Premises
    cluster: FakeCluster
    settings: Settings
    workers: Workers
    programs: list[Program] = field(default_factory=list)
    _loader: Loader | None = None

    @property
    def ledger(self) -> Ledger:
        """The ledger, on a connection of the test's own."""
        return self.premises.ledger

    def start(self, settings: Settings | None = None, make: Callable[..., Program] = Program) -> Program:
        """Start a controller."""
        program = make(self.cluster, settings or self.settings, self.premises.store)
        self.programs.append(program)
        return program

    def with_controller(self, **changes: Any) -> Settings:
        """Return the settings with others of the controller's."""
        controller = self.settings.controller.model_copy(update=changes)
        return self.settings.model_copy(update={"controller": controller})

    def with_kubernetes(self, **changes: Any) -> Settings:
        """Return the settings with others of Kubernetes'."""
        kubernetes = self.settings.kubernetes.model_copy(update=changes)
        return self.settings.model_copy(update={"kubernetes": kubernetes})

    def with_profile(self, **changes: Any) -> Settings:
        """Return the settings with another profile."""
        profile = self.settings.kubernetes.profiles["default"]
        return self.with_kubernetes(profiles={"default": type(profile)(**(profile.model_dump() | changes))})

    def insert_task(self, **changes: Any) -> dict[str, Any]:
        """Insert a recording with one video and a task; return the task's key."""
        (key,) = self.insert_tasks(1, **changes)
        return key

    def insert_tasks(self, number: int, **changes: Any) -> list[dict[str, Any]]:
        """Insert as many of them."""
        element, keys = self.premises.element, []
        for _ in range(number):
            self.premises.recordings += 1
            keys.append({"subject": "m1", "session_id": 1, "recording_id": self.premises.recordings})
            self.upload(keys[-1])
        element.VideoRecording.insert({**key, "device": "camera"} for key in keys)
        element.VideoFile.insert({**key, "file_id": 0, "file_path": _path(key)} for key in keys)
        task = {"facemap_task_id": 0, "task_mode": "trigger", "facemap_params": {"sbin": 4}, "do_mov_svd": False}
        element.FacemapTask.insert({**key, **task, **changes} for key in keys)
        return [{**key, "facemap_task_id": 0} for key in keys]

    def upload(self, key: dict[str, Any], video: bytes = b"video") -> None:
        """Put a recording's video where it belongs, in place of the one that may be there."""
        name = str(key["recording_id"]).encode()
        self.premises.store.put_bytes(f"{self.premises.bucket}/videos/{_path(key)}", name + video * 1000)

    def script(self, *behaviours: Behaviour, key: dict[str, Any] | None = None) -> None:
        """Say what the first, the second ... pod does (of a task, if one is named); the last goes on."""

        def of_task(pod: Object) -> bool:
            run = self.run_of(key or {})
            return run is not None and pod["metadata"]["labels"].get(labels.RUN) == run.run_id

        self.cluster.script(None if key is None else of_task, *behaviours)

    def run_of(self, key: dict[str, Any]) -> RunRecord:
        """Return the run that a task is bound to."""
        binding = self.ledger.binding(PIPELINE, Kind.SVD, key)
        assert binding is not None, f"nobody has seen {key}"
        assert binding.run_id is not None, f"{key} is {binding.state}: {binding.sentence}"
        run = self.ledger.run(binding.run_id)
        assert run is not None
        return run

    def attempts(self, key: dict[str, Any]) -> list[AttemptRecord]:
        """Return the attempts of a task's run, oldest first."""
        return self.ledger.attempts(self.run_of(key).run_id)

    def outcomes(self, key: dict[str, Any]) -> list[str | None]:
        """Return how they ended."""
        return [attempt.outcome for attempt in self.attempts(key)]

    def explained(self, key: dict[str, Any]) -> Explanation:
        """Return what ``fmdj explain`` says about a task."""
        there = self.premises
        choice = Choice(there.lab, there.lab.tasks(Kind.SVD), key)
        return explain(observe_task(choice, there.ledger, there.store, 300.0))

    def load(self) -> None:
        """Let the loader look once."""
        if self._loader is None:
            database = Database(self.settings.database)
            self._loader = Loader(self.settings, database, self.premises.store, clock=self.cluster.clock)
        self._loader.run_pass()

    def turn(self, program: Program, seconds: float = 5.0) -> None:
        """Let time pass, then controller and loader look once."""
        self.cluster.advance(seconds)
        program.turn()
        self.load()

    def until(
        self,
        program: Program,
        condition: Callable[[], Any],
        what: str = "it",
        *,
        turns: int = 100,
        seconds: float = 5.0,
    ) -> Any:
        """Take turns until something is so, and return it."""
        for _ in range(turns):
            if found := condition():
                return found
            self.turn(program, seconds)
        raise AssertionError(f"{what} didn't happen within {turns} turns\n{self.story()}")

    def until_state(self, program: Program, key: dict[str, Any], state: RunState, **options: Any) -> RunRecord:
        """Take turns until a task's run is in a state, and nothing is left of its Jobs."""
        program.turn()

        def there() -> RunRecord | None:
            run = self.run_of(key)
            self.cluster.settle()
            left = self.jobs(run.run_id) or self.pods(run.run_id)
            return run if run.state is state and not left else None

        found: RunRecord = self.until(program, there, f"{state} of {key}", **options)
        return found

    def jobs(self, run_id: str = "") -> list[Object]:
        """Return Jobs, of a run if one is named."""
        return self._of("jobs", run_id)

    def pods(self, run_id: str = "") -> list[Object]:
        """Return pods, of a run if one is named."""
        return self._of("pods", run_id)

    def _of(self, kind: str, run_id: str) -> list[Object]:
        found = self.cluster.list(kind)
        return [one for one in found if not run_id or one["metadata"]["labels"].get(labels.RUN) == run_id]

    def story(self) -> str:
        """Return all that helps to understand a failure."""
        lines = [f"at {self.cluster.clock.seconds:.0f} s"]
        for run in self.ledger.runs():
            lines.append(f"{run.run_id} {run.state} attempt {run.attempt} {run.failures}: {run.sentence}")
            lines += [
                f"    a{a.attempt} {a.outcome} {a.job_uid} {a.sentence}" for a in self.ledger.attempts(run.run_id)
            ]
        lines += [f"{job['metadata']['name']} {job['status']}" for job in self.cluster.list("jobs")]
        lines += [f"{pod['metadata']['name']} {pod['status'].get('phase')}" for pod in self.cluster.list("pods")]
        return "\n".join(lines)

    def close(self) -> None:
        """End all programs."""
        for program in self.programs:
            program.close()
        if self._loader is not None:
            self._loader._database.close()


def _path(key: dict[str, Any]) -> str:
    return f"rec{key['recording_id']}/cam.avi"


@contextlib.contextmanager
def kube_world(premises: Premises, folder: Path, *, max_active: int = 2) -> Iterator[KubeWorld]:
    """A cluster of this test's own over the premises, which are cleaned afterwards."""
    with FakeCluster("lab") as cluster:
        s3 = premises.settings.storage.s3
        cluster.create(bucket_secret(s3, s3.endpoint_url or ""))
        settings = premises.settings.model_copy(
            update={
                "controller": type(premises.settings.controller)(
                    launcher="kubernetes",
                    first_start_limit=100_000,
                    plan_batch=1000,
                    retry={"backoff_s": 0, "crash": 2, "vanished": 2, "storage": 2, "gpu": 2, "disrupted": 5},
                ),
                "kubernetes": type(premises.settings.kubernetes)(
                    namespace="lab",
                    kubeconfig=cluster.kubeconfig(folder / "kubeconfig"),
                    profiles={
                        "default": {"image": "registry/worker:1", "secret_env": SECRET_ENV, "max_active": max_active}
                    },
                ),
            }
        )
        world = KubeWorld(premises, cluster, settings, Workers(cluster, premises.store))
        try:
            yield world
        finally:
            world.close()
            premises.clean()
