"""A lab, a cluster, and a keeper between them; the rest of a controller is what a test says."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from fmdj_cloud.contracts import (
    Estimate,
    Kind,
    Limits,
    Outcome,
    Progress,
    RunPlan,
    RunRecord,
    RunState,
    SvdParams,
    VideoRef,
    Wanted,
)
from fmdj_cloud.control.facemapruns.keeper import FacemapRunKeeper
from fmdj_cloud.control.kube.cache import Cache
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.recorder import EventRecorder
from fmdj_cloud.control.kube.resources import FACEMAPRUNS
from fmdj_cloud.control.report import Tally
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.names import attempt_folder, parse_key
from fmdj_cloud.names import run_id as make_run_id
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import (
    ControllerSettings,
    DatabaseSettings,
    KubernetesSettings,
    PipelineSettings,
    ProfileSettings,
    Settings,
)
from fmdj_cloud.storage import Store, open_store
from tests.support.kube.cluster import FakeCluster

CRD = yaml.safe_load(
    (Path(__file__).parents[3] / "helm/fmdj-cloud/files/facemapruns.fmdj.dev.yaml").read_text(encoding="utf-8")
)
LIMITS = Limits(time_budget_s=21600, memory_mib=1000, scratch_mib=1000, threads=1)
PLAN = RunPlan(
    videos=((VideoRef(uri="s3://b/v.avi", name="v.avi", size=10, etag="e"),),),
    svd=SvdParams(sbin=4),
    limits=LIMITS,
    estimate=Estimate(frames=100, height=10, width=20, seconds=5, memory_mib=500, scratch_mib=10, source="guess"),
)
SHA = "ab" * 32
PIPELINE = "lab"
WAIT_S = 10.0


def eventually(condition: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < give_up, f"it didn't happen within {WAIT_S:.0f} s"
        time.sleep(0.005)
    return found


@dataclass
class Laboratory:
    """The lab's database and our ledger."""

    settings: Settings
    database: Database
    element: Element
    session: Any
    ledger: Ledger = field(init=False)
    lab: Lab = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.database)
        self.lab = open_lab(self.database, self.ledger, self.settings.pipelines[0], claimed_only=True)

    @property
    def everything(self) -> Lab:
        """The lab as a controller sees it that computes all tasks."""
        return open_lab(self.database, self.ledger, self.settings.pipelines[0])

    def empty(self) -> None:
        element, database = self.element, self.database
        tables = (element.FacialSignal, element.FacemapProcessing, element.FacemapTask, element.VideoRecording)
        for table in tables:
            database.execute(f"DELETE FROM {table.full_table_name}")
        last = ["run__job", "run__attempt", "run"]
        ours = database.tables(database.ledger_schema) - {"~lineage", "schema_version", *last}
        for name in [*(name for name in ours if not name.startswith("_")), *last]:
            database.execute(f"DELETE FROM {database.quote(database.ledger_schema, name)}")

    def add_task(self, number: int, **columns: Any) -> dict[str, Any]:
        session = {"subject": "m1", "session_id": 1}
        key = {**session, "recording_id": number}
        self.element.VideoRecording.insert1({**key, "device": "camera"}, skip_duplicates=True)
        key["facemap_task_id"] = 0
        self.element.FacemapTask.insert1({"facemap_params": {"sbin": 4}, "task_mode": "trigger", **columns, **key})
        return key

    def add_result(self, key: dict[str, Any]) -> None:
        row = {**key, "processing_time": "2026-01-31 12:00:00"}
        self.element.FacemapProcessing.insert1(row, allow_direct_insert=True)
        self.element.FacialSignal.insert1(key, allow_direct_insert=True)

    def delete_result(self, key: dict[str, Any]) -> None:
        (self.element.FacialSignal & key).delete(prompt=False)

    # what the rest of the controller, and the loader, would do

    def plan_pending(self, folder: str = "file:///nowhere") -> list[int]:
        """Plan what is pending; return the numbers of the recordings."""
        planned = []
        for key in self.lab.tasks(Kind.SVD).pending(1000):
            task = self.lab.tasks(Kind.SVD).get(key)
            assert task is not None
            run_id = make_run_id(Kind.SVD, task.task_digest, "c")
            asked = self.ledger.overrides([task.task_digest])[task.task_digest]
            plan = PLAN.model_copy(update={"profile": asked.profile})
            self.ledger.plan(task, run_id, "c", plan, f"{folder}/{run_id}", manifest_verifies=lambda *_: False, epoch=1)
            planned.append(key["recording_id"])
        return planned

    def run_of(self, number: int) -> RunRecord:
        """The newest run of a recording's task."""
        return [run for run in self.ledger.runs() if parse_key(run.task)["recording_id"] == number][-1]

    def launch(self, *numbers: int) -> None:
        for number in numbers:
            run = self.run_of(number)
            assert self.ledger.launch(
                run.run_id,
                run.attempt,
                folder=attempt_folder(run.output_dir, run.attempt),
                spec_sha256=SHA,
                launcher="kubernetes",
                job_name=f"job-{number}",
                limits=LIMITS,
                epoch=1,
            )

    def publish(self, *numbers: int) -> None:
        for number in numbers:
            run = self.run_of(number)
            assert self.ledger.publish(run.run_id, run.attempt, SHA, epoch=1)

    def load(self, *numbers: int) -> None:
        for number in numbers:
            run = self.run_of(number)
            if run.state is RunState.READY:
                self.launch(number)
            if run.state is not RunState.PUBLISHED:
                self.publish(number)
            self.add_result(parse_key(run.task))
            assert self.ledger.mark_loaded(run.run_id, run.attempt, SHA)

    def fail(self, *numbers: int) -> None:
        for number in numbers:
            run = self.run_of(number)
            outcome = Outcome(failure_class="input", sentence=f"The video of {number} is empty.")
            assert self.ledger.fail(run.run_id, run.state, run.attempt, outcome, epoch=1)

    def obey(self) -> None:
        """Do to runs what is wanted of them, as the controller does once it is confirmed that their Jobs are over."""
        for run in self.ledger.runs({RunState.READY, RunState.LAUNCHED, RunState.PUBLISHED, RunState.HELD}):
            if run.wanted is Wanted.CANCEL:
                assert self.ledger.cancel(run.run_id, run.state, run.attempt, epoch=1)
            elif run.wanted is Wanted.HOLD and run.state is RunState.READY:
                assert self.ledger.hold(run.run_id, run.state, run.attempt, epoch=1)
            elif run.wanted is Wanted.RUN and run.state is RunState.HELD:
                assert self.ledger.unhold(run.run_id, run.attempt, epoch=1)

    def binding_state(self, key: dict[str, Any]) -> str | None:
        binding = self.ledger.binding(PIPELINE, Kind.SVD, key)
        return None if binding is None else binding.state.value


def _make(settings: DatabaseSettings) -> Laboratory:
    database = Database(settings)
    linked = declare_lab(database, f"{settings.prefix}lab")
    linked.Subject.insert1({"subject": "m1"})
    linked.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": "2026-01-31 09:00:00"})
    linked.Device.insert1({"device": "camera"})
    pipeline = PipelineSettings(
        name=PIPELINE, behavior_schema=f"{settings.prefix}facemap", video_roots=("s3://v",), processed_root="s3://p"
    )
    element = declare_element(database, pipeline.behavior_schema, linking_module=linked)
    profiles = {"big": ProfileSettings(image="w@sha256:" + "0" * 64)}
    whole = Settings(
        database=settings,
        pipelines=(pipeline,),
        controller=ControllerSettings(launcher="kubernetes", trigger="facemapruns"),
        kubernetes=KubernetesSettings(profiles=profiles),
    )
    return Laboratory(whole, database, element, linked.Session)


@pytest.fixture(scope="session")
def shared_laboratory(database_server: DatabaseSettings, once_per_server: Callable[..., Any]) -> Laboratory:
    settings = database_server.model_copy(update={"prefix": f"{database_server.prefix}fmr_"})

    @contextlib.contextmanager
    def make() -> Iterator[Laboratory]:
        made = _make(settings)
        yield made
        made.database.close()

    return once_per_server("facemapruns", settings, make)


@pytest.fixture
def laboratory(shared_laboratory: Laboratory) -> Laboratory:
    """A lab with a mouse and a session, without recordings; epoch 1 leads."""
    shared_laboratory.empty()
    assert shared_laboratory.ledger.acquire("me", 1000) == 1
    return shared_laboratory


@dataclass
class Site:
    """The lab, the cluster, and a keeper."""

    laboratory: Laboratory
    cluster: FakeCluster
    cache: Cache
    client: KubeClient
    store: Store
    folder: Path
    settings: Settings
    keepers: list[FacemapRunKeeper] = field(default_factory=list)
    now: float = 1000.0

    def keeper(self, settings: Settings | None = None, recorder: EventRecorder | None = None) -> FacemapRunKeeper:
        """A fresh keeper, as after a restart."""
        return FacemapRunKeeper(
            settings or self.settings,
            Ledger(self.laboratory.database),
            self.store,
            self.client,
            self.cache,
            recorder,
            clock=lambda: self.now,
        )

    def restart(self, **controller: Any) -> None:
        """Start the keeper anew, with other settings of the controller."""
        changed = self.settings.controller.model_copy(update=controller)
        self.settings = self.settings.model_copy(update={"controller": changed})
        self.keepers.clear()

    def sync(self) -> None:
        """Wait until the cache knows what there is."""

        def versions(things: Any) -> set[tuple[str, str]]:
            return {(thing["metadata"]["uid"], thing["metadata"]["resourceVersion"]) for thing in things}

        eventually(lambda: versions(self.cache.facemapruns()) == versions(self.cluster.list("facemapruns")))

    def reconcile(self, *, later_s: float = 0.0, epoch: int = 1) -> Tally:
        """One pass of the controller, as far as FacemapRuns are concerned."""
        self.sync()
        self.now += later_s
        if not self.keepers:
            self.keepers.append(self.keeper())
        tally = Tally()
        self.keepers[0].reconcile({PIPELINE: self.laboratory.lab}, epoch, tally)
        return tally

    def settle(self) -> None:
        """Passes until nothing changes."""
        for _ in range(4):
            tally = self.reconcile(later_s=100)
            assert tally.errors == []

    def apply(self, name: str, **spec: Any) -> None:
        """``kubectl apply``: what isn't named is the default."""
        spec = {"pipeline": PIPELINE} | ({} if "keys" in spec else {"restriction": "true"}) | spec
        if name in {thing["metadata"]["name"] for thing in self.cluster.list("facemapruns")}:
            self.client.patch(FACEMAPRUNS, name, {"spec": spec})
            return
        self.cluster.advance(1)  # creation times are whole seconds
        metadata = {"name": name, "namespace": self.cluster.namespace}
        self.cluster.create(
            {"apiVersion": "fmdj.dev/v1alpha1", "kind": "FacemapRun", "metadata": metadata, "spec": spec}
        )

    def delete(self, name: str) -> None:
        """``kubectl delete --wait=false``."""
        self.client.delete(FACEMAPRUNS, name)

    def exists(self, name: str) -> bool:
        return name in {thing["metadata"]["name"] for thing in self.cluster.list("facemapruns")}

    def status(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = self.cluster.get("facemapruns", name).get("status", {})
        return status

    def counts(self, name: str) -> dict[str, int]:
        """The counts that aren't 0."""
        status = self.status(name)
        words = ("selected", "waiting", "running", "loaded", "failed")
        return {word: status[word] for word in words if status.get(word)}

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """(status, reason)."""
        found = {one["type"]: one for one in self.status(name)["conditions"]}[kind]
        return found["status"], found["reason"]

    def message(self, name: str, kind: str = "Accepted") -> str:
        return {one["type"]: one["message"] for one in self.status(name)["conditions"]}[kind]

    def owners(self) -> dict[int, str]:
        """Whose each recording's task is."""
        claims = self.laboratory.ledger.claims()
        return {parse_key(one.task)["recording_id"]: one.owner_name for one in claims if not one.leaving}

    def plan(self) -> list[int]:
        return self.laboratory.plan_pending(f"file://{self.folder}")

    def say_progress(self, number: int, done: int, total: int, speed: float) -> None:
        """Write what a worker writes."""
        run = self.laboratory.run_of(number)
        progress = Progress(
            run_id=run.run_id,
            attempt=run.attempt,
            stage="main",
            frames_done=done,
            frames_total=total,
            frames_per_s=speed,
            eta_s=None,
            at_epoch_s=self.now,
        )
        folder = attempt_folder(run.output_dir, run.attempt)
        self.store.put_bytes(f"{folder}/pod/progress.json", json.dumps(progress.model_dump()).encode())


@pytest.fixture
def site(laboratory: Laboratory, tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "processed"
    folder.mkdir()
    base = laboratory.settings
    files = base.storage.file.model_copy(update={"roots": (folder,)})
    storage = base.storage.model_copy(update={"file": files})
    with FakeCluster() as cluster:
        cluster.create(CRD)
        cluster.advance(5)  # until it is established
        kubernetes = base.kubernetes.model_copy(update={"kubeconfig": cluster.kubeconfig(tmp_path / "kubeconfig")})
        settings = base.model_copy(update={"storage": storage, "kubernetes": kubernetes})
        client = KubeClient(kubernetes)
        cache = Cache(client, settings.instance, facemapruns=True)
        cache.start()
        assert cache.wait_synced(WAIT_S)
        yield Site(laboratory, cluster, cache, client, open_store(storage), folder, settings)
        cache.stop()
        client.close()
