"""Shards as processes of this machine: bounded, tried again, and never left over; then whole runs in stages."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.contracts import (
    Engine,
    FailureClass,
    JobPhase,
    JobRequest,
    Kind,
    Limits,
    Manifest,
    RunSpec,
    RunState,
    Stage,
    Wanted,
)
from fmdj_cloud.control.launchers import supervisor
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.progress import read_progress
from fmdj_cloud.names import job_name
from fmdj_cloud.settings import ControllerSettings, LocalSettings, Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import commit_manifest
from tests.support.shards.commits import WHEN, a_file
from tests.support.shards.work import Work

pytestmark = pytest.mark.integration
RUN = "svd-0123456789abcdef"
NAME = job_name(RUN, 1, "fmdj", Stage.PROJECT)
WORKER = Path(__file__).with_name("shard_worker.py")


def request(*, shards: int = 3, pods: int = 2, **changes: Any) -> JobRequest:
    limits = Limits(time_budget_s=600.0, memory_mib=1, scratch_mib=1, threads=1)
    fields = {"name": NAME, "run_id": RUN, "attempt": 1, "kind": Kind.SVD, "stage": Stage.PROJECT}
    about = {"spec_uri": "nothing", "spec_sha256": "s1", "limits": limits, "shards": shards, "pods": pods}
    return JobRequest(**fields | about | changes)


@dataclass
class Shards:
    """What the workers of shards do, and have done."""

    folder: Path

    def behave(self, **behaviours: list[str] | str) -> None:
        """Say what a stage's tries do: ``project_1=[...]`` is shard 1."""
        told = {name.replace("_", "/"): [how] if isinstance(how, str) else how for name, how in behaviours.items()}
        (self.folder / "behaviours.json").write_text(json.dumps(told))

    def release(self) -> None:
        (self.folder / "go").touch()

    def lines(self, name: str) -> list[list[str]]:
        path = self.folder / name
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def starts(self, what: str = "") -> list[list[str]]:
        """``<what> <pid> <nonce>`` of every start."""
        return [line for line in self.lines("starts") if line[0].startswith(what)]

    def pids(self) -> list[int]:
        return [int(line[1]) for line in self.starts()]


@pytest.fixture(scope="session")
def database_server(postgres_settings):
    """One kind of server: the ledger's own tests run on every kind."""
    return postgres_settings


@pytest.fixture
def shards(tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    found = Shards(folder)
    found.behave()
    return found


@pytest.fixture
def launch(tmp_path, shards, eventually):
    """Makes launchers on one state folder; all of its Jobs are stopped at the end."""
    made = []

    def make(settings: Settings | None = None) -> LocalLauncher:
        base = settings or Settings(controller=ControllerSettings(shard_retries=2))
        launcher = LocalLauncher(
            base.model_copy(update={"local": LocalSettings(state_dir=tmp_path / "state", stop_grace_s=1)}),
            worker_command=(sys.executable, "-I", str(WORKER)),
            environment={**os.environ, "SHARD_WORKER": str(shards.folder)},
            retry_pause_s=0.05,
        )
        made.append(launcher)
        return launcher

    def stopped() -> bool:
        running = [job for job in made[-1].observe() if job.phase is JobPhase.RUNNING]
        for job in running:
            made[-1].stop(job.name)
        return not running

    yield make
    if made:
        eventually(stopped, "the end of all Jobs")


@pytest.fixture
def ended(eventually):
    def wait(launcher):
        return eventually(lambda: next((j for j in launcher.observe() if j.phase is JobPhase.ENDED), None), "the end")

    return wait


def test_every_shard_has_a_process_that_knows_it(launch, shards, ended):
    launcher = launch()
    uid = launcher.create(request())
    job = ended(launcher)
    assert (job.uid, job.stage, job.shards, job.outcome.ok) == (uid, Stage.PROJECT, 3, True)
    assert sorted(line[0] for line in shards.starts()) == ["project/0", "project/1", "project/2"]
    assert sorted(job.nonces) == sorted(line[2] for line in shards.starts())


def test_a_few_run_at_a_time(launch, shards, ended, eventually):
    shards.behave(project="wait")
    launcher = launch()
    launcher.create(request(shards=4, pods=2))
    eventually(lambda: len(shards.starts()) == 2)
    (job,) = launcher.observe()
    assert (job.phase, job.pods, len(shards.starts())) == (JobPhase.RUNNING, 2, 2)
    shards.release()
    assert ended(launcher).outcome.ok
    assert len(shards.starts()) == 4


def test_a_shard_that_fails_is_tried_again(launch, shards, ended):
    shards.behave(project_1=["exit 1", "exit 30", "done"])
    launcher = launch()
    launcher.create(request())
    job = ended(launcher)
    assert job.outcome.ok
    assert len(job.nonces) == len(shards.starts()) == 5


def test_a_shard_that_fails_again_and_again_ends_the_job_once_the_others_are_done(launch, shards, ended):
    shards.behave(project_0="exit 1")
    launcher = launch()
    launcher.create(request())
    job = ended(launcher)
    assert len(shards.starts("project/0")) == 3
    assert len(shards.starts()) == 5
    assert (job.outcome.failure_class, job.outcome.sentence) == (
        FailureClass.CRASH,
        "Shard 0 of 3: Told to exit 1.",
    )
    assert job.spoke == shards.starts("project/0")[-1][2]
    assert launcher.read_log(NAME, job.spoke) == "project/0 says 2\n"


@pytest.mark.parametrize(
    ("how", "failure"), [("exit 50", FailureClass.MEMORY), ("kill", FailureClass.MEMORY), ("exit 60", "budget")]
)
def test_what_another_try_would_not_change_is_not_tried_again(launch, shards, ended, how, failure):
    shards.behave(project_2=how)
    launcher = launch()
    launcher.create(request())
    assert ended(launcher).outcome.failure_class == failure
    assert len(shards.starts()) == 3


def test_a_refused_input_stops_the_others(launch, shards, ended, is_alive):
    shards.behave(project="wait", project_1="exit 10")
    launcher = launch()
    launcher.create(request(pods=3))
    outcome = ended(launcher).outcome
    assert (outcome.failure_class, outcome.evidence["shard"]) == (FailureClass.INPUT, "1")
    assert len(shards.starts()) <= 3
    assert not any(map(is_alive, shards.pids()))


def test_many_failures_stop_the_others(launch, shards, ended, is_alive):
    shards.behave(project="wait", project_0="exit 50", project_1="exit 50")
    launcher = launch()
    launcher.create(request(pods=3))
    assert ended(launcher).outcome.failure_class is FailureClass.MEMORY
    assert not any(map(is_alive, shards.pids()))


def test_a_killed_supervisor_takes_all_shards_along(launch, shards, ended, eventually, is_alive, tmp_path):
    shards.behave(project="wait")
    launcher = launch()
    launcher.create(request())
    eventually(lambda: len(shards.starts()) == 2)
    started = json.loads((tmp_path / "state" / NAME / supervisor.STARTED).read_text())
    os.kill(started["pid"], signal.SIGKILL)
    job = ended(launcher)
    assert job.outcome.failure_class is FailureClass.VANISHED
    assert len(job.nonces) == 2
    eventually(lambda: not any(map(is_alive, shards.pids())))


def test_stopping_ends_all_shards_and_starts_no_others(launch, shards, ended, eventually, is_alive):
    shards.behave(project="wait")
    launcher = launch()
    launcher.create(request())
    eventually(lambda: len(shards.starts()) == 2)
    launcher.stop(NAME)
    assert ended(launcher).outcome.failure_class is FailureClass.DISRUPTED
    assert len(shards.starts()) == 2
    assert not any(map(is_alive, shards.pids()))


def test_a_new_launcher_sees_the_same(launch, shards, ended):
    shards.behave(project_1="exit 50")
    first = launch()
    first.create(request())
    before = ended(first)
    assert launch().observe() == (before,)


# whole runs


class Desk(socketserver.StreamRequestHandler):
    """Does the work of one worker."""

    store: Store

    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        spec = RunSpec.model_validate_json(self.store.get_bytes(asked["spec"], max_bytes=1 << 20))
        work = Work(self.store, spec, asked["sha256"], asked["nonce"])
        if asked["stage"] == "basis":
            said = work.basis()
        elif asked["stage"] == "project":
            said = work.project(asked["index"])
        else:
            said = "done"
            self._publish(spec, asked, work.merge().encode())
        self.wfile.write(f"{spec.attempt} {said}\n".encode())

    def _publish(self, spec: RunSpec, asked: dict[str, Any], data: bytes) -> None:
        path = f"{asked['nonce']}/joined.txt"
        self.store.put_bytes(f"{spec.attempt_uri}/{path}", data)
        given = {"run_id": spec.run_id, "attempt": spec.attempt, "kind": spec.kind, "nonce": asked["nonce"]}
        given |= {"spec_sha256": asked["sha256"], "content_digest": spec.content_digest, "nframes": 100}
        given |= {"files": (a_file(path, data, "log"),), "views": (), "versions": {}, "device": "cpu", "threads": 1}
        given |= {"timings_s": {}, "signals": (), "started": WHEN, "finished": WHEN}
        commit_manifest(self.store, spec.attempt_uri, Manifest(**given))


@pytest.fixture
def desk(store, shards):
    """Where workers have their work done."""
    handler = type("DeskOfThisTest", (Desk,), {"store": store})
    with socketserver.ThreadingUnixStreamServer(str(shards.folder / "desk"), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sharded(world, launch, shards, desk):
    """The lab, its recordings cut into three shards."""
    world.ledger.see_pipeline("lab", engine=Engine.TURBO, pending=0, limit=100)
    world.make_launcher = launch
    world.settings = world.with_controller(shards=3, shard_retries=1, max_active=2)
    return world


@pytest.fixture
def until(sharded):
    def wait(key, state, by):
        return sharded.pass_until(by, lambda: run if (run := sharded.run_of(key)).state is state else None)

    return wait


def joined(world, run):
    """What the merge of a published run yielded."""
    folder = f"{run.output_dir}/a{run.attempt}"
    (file,) = (info for info in world.store.list(folder) if info.uri.endswith("joined.txt"))
    return world.store.get_bytes(file.uri, max_bytes=1 << 20).decode()


def test_a_run_goes_through_its_stages_on_this_machine(sharded, shards, until):
    key = sharded.insert_task()
    run = until(key, RunState.PUBLISHED, sharded.controller())
    stages = sharded.ledger.stages(run.run_id, 1)
    assert [(one.stage, one.shards, one.pods, one.outcome) for one in stages] == [
        (Stage.BASIS, 1, 1, "done"),
        (Stage.PROJECT, 3, 2, "done"),
        (Stage.MERGE, 1, 1, "published"),
    ]
    assert [line[0] for line in shards.lines("work")] == ["basis", *["project"] * 3, "merge"]
    assert [piece.partition(":")[2] for piece in joined(sharded, run).split(";")] == ["0:40", "40:70", "70:100", ""]


def test_shards_are_killed_and_the_next_attempt_uses_what_is_done(sharded, shards, until):
    shards.behave(project_1=["kill", "done"], merge=["kill", "done"])
    key = sharded.insert_task()
    run = until(key, RunState.PUBLISHED, sharded.controller())
    assert run.attempt == 3
    did = [tuple(line) for line in shards.lines("work")]
    assert sorted(line for line in did if line[1] == "2") == [
        ("basis", "2", "reused"),
        ("project", "2", "done"),
        *[("project", "2", "reused")] * 2,
    ]
    assert [line[2] for line in did if line[:2] == ("project", "3")] == ["reused"] * 3
    assert joined(sharded, run).count(";") == 3


def test_work_that_was_committed_counts_although_its_process_was_killed(sharded, shards, until):
    shards.behave(basis="late", project_1="late", merge="late")
    key = sharded.insert_task()
    run = until(key, RunState.PUBLISHED, sharded.controller())
    assert run.attempt == 1


@pytest.mark.parametrize("stage", ["basis", "project", "merge"])
def test_a_restarted_controller_goes_on_from_every_stage(sharded, shards, until, eventually, stage):
    shards.behave(**{stage: "wait"})
    key = sharded.insert_task()
    first = sharded.controller()
    sharded.pass_until(first, lambda: shards.starts(stage))
    second = sharded.controller()
    second.run_pass()
    shards.release()
    # it ends, and the next stage begins, while nobody leads
    run = until(key, RunState.PUBLISHED, second)
    assert run.attempt == 1
    assert len(shards.starts()) == 5


def test_a_held_run_goes_on_with_what_was_done(sharded, shards, until):
    shards.behave(project="wait")
    key = sharded.insert_task()
    controller = sharded.controller()
    sharded.pass_until(controller, lambda: shards.starts("project"))
    sharded.ledger.set_wanted(sharded.run_of(key).run_id, Wanted.HOLD)
    until(key, RunState.HELD, controller)
    shards.release()
    sharded.ledger.set_wanted(sharded.run_of(key).run_id, Wanted.RUN)
    run = until(key, RunState.PUBLISHED, controller)
    assert run.attempt == 2
    assert ["basis", "2", "reused"] in shards.lines("work")


def test_progress_is_shown_while_shards_wait(sharded, shards, until):
    shards.behave(project_2="wait")
    key = sharded.insert_task()
    controller = sharded.controller()
    sharded.pass_until(controller, lambda: len(shards.lines("work")) == 3)
    progress = read_progress(sharded.store, sharded.run_of(key))
    assert (progress.stage, progress.shards_done, progress.shards) == ("project", 2, 3)
    assert (progress.frames_done, progress.frames_total) == (70, 100)
    shards.release()
    until(key, RunState.PUBLISHED, controller)
