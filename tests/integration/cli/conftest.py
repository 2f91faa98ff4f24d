"""``fmdj`` in this process, over a lab whose workers only write a manifest, or are real but for what they compute."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datajoint as dj
import pytest
import yaml

from fmdj_cloud.cli import app, common
from fmdj_cloud.contracts import JobObservation, JobPhase
from fmdj_cloud.control.launchers.local import LocalLauncher
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.demo.keeper import plain
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.populate.runner import PopulateRunner
from fmdj_cloud.settings import DatabaseSettings, S3Settings, Settings
from fmdj_cloud.storage import open_store
from fmdj_cloud.storage.client import make_client
from tests.support.kills.world import WORKER, World, eventually, kill_world

_ROOT = Path(__file__).parents[3]
_TINY = (sys.executable, "-I", str(_ROOT / "tests" / "integration" / "control" / "tiny_worker.py"))


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in (0, 1), self.err
        return json.loads(self.out)


@dataclass
class Site:
    """A lab, its programs in this process, and its command line."""

    world: World
    run: Callable[..., Answer]
    folder: Path
    databases: list[Database] = field(default_factory=list)

    real_workers: bool = False
    """Whether workers are real but for what they compute, so that it can be loaded."""

    @property
    def gate(self) -> Path:
        """If it exists, real workers wait until ``go`` is in this folder."""
        return self.folder / "gate"

    def behave(self, *behaviours: str) -> None:
        """Set what the workers of attempt 1, 2, ... do; the last one goes on."""
        (self.folder / "behaviours.json").write_text(json.dumps(behaviours))

    def let_go(self) -> None:
        """Let workers that wait go on."""
        (self.folder / "go").touch()

    @property
    def environment(self) -> dict[str, str]:
        """What the workers' environment is made from."""
        environment = {**os.environ, "TINY_WORKER": str(self.folder), "TMPDIR": str(self.folder / "tmp")}
        environment |= {"PYTHONPATH": str(_ROOT), "FMDJKILL_DIR": str(self.folder)}
        if self.gate.exists():
            environment["FMDJKILL_GATE"] = str(self.gate)
        return environment

    def launcher(self, settings: Settings | None = None) -> LocalLauncher:
        command = WORKER if self.real_workers else _TINY
        return LocalLauncher(settings or self.world.settings, worker_command=command, environment=self.environment)

    def element(self, settings: Settings) -> Element:
        """The Element's tables as a script of the lab's has them, with a ``populate()`` whose workers are real."""
        database, pipeline = self.connect(settings), settings.pipelines[0]
        linked = types.ModuleType("lab")
        schema = dj.Schema(
            f"{settings.database.prefix}lab", connection=database.connection, create_schema=False, create_tables=False
        )
        schema.make_classes(linked.__dict__)
        runner = PopulateRunner(settings, pipeline, database, worker_command=WORKER, environment=self.environment)
        return declare_element(database, pipeline.behavior_schema, linking_module=linked, runner=runner)

    def pretend_loaded(self, key: dict[str, Any]) -> None:
        """Do what the loader does, without signals."""
        run, element = self.world.run_of(key), self.world.lab.element
        assert run is not None
        assert self.world.ledger.mark_loaded(run.run_id, run.attempt, str(run.manifest_sha256))
        made = {"processing_time": "2026-01-31 12:00:00", "package_version": "1.0.8"}
        element.FacemapProcessing.insert1(key | made, allow_direct_insert=True)
        element.FacialSignal.insert1(key, allow_direct_insert=True)

    def controller(self, settings: Settings | None = None) -> Controller:
        """A new controller; the lease of the last one is over."""
        self.end_lease()
        chosen = settings or self.world.settings
        return Controller(chosen, self.connect(chosen), open_store(chosen.storage), self.launcher(chosen))

    def loader(self, settings: Settings | None = None) -> Loader:
        chosen = settings or self.world.settings
        return Loader(chosen, self.connect(chosen), open_store(chosen.storage))

    def connect(self, settings: Settings) -> Database:
        self.databases.append(Database(settings.database))
        return self.databases[-1]

    def end_lease(self) -> None:
        leader = self.world.ledger.leader()
        if leader is not None:
            self.world.ledger.resign(leader[0], leader[1])

    def settle(self) -> None:
        """Run controller and loader until all is done."""
        assert self.controller().drain(60)
        self.loader().run_pass()

    def until(self, controller: Controller, key: dict[str, Any], state: str) -> Any:
        """Run passes until a task's run is in a state."""

        def step() -> Any:
            controller.run_pass()
            run = self.world.run_of(key)
            return run if run is not None and run.state == state else None

        return eventually(step, f"{state} of {key}")

    def order(self, *arguments: str) -> Any:
        """Give an order, and return what it came to, task by task."""
        command, *rest = arguments
        return self.run(command, "-o", "json", *rest).json


@pytest.fixture
def run_fmdj(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Runs ``fmdj`` with the settings in config.yaml."""

    def run(*arguments: str) -> Answer:
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["fmdj", *arguments])
            patch.setattr(common.console, "width", 240)
            patch.setenv("FMDJ_CONFIG", str(tmp_path / "config.yaml"))
            try:
                code = app.main()
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                root.handlers[:] = handlers
                root.setLevel(level)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def shared_world(
    database_server: DatabaseSettings,
    s3_settings: S3Settings,
    tmp_path_factory: pytest.TempPathFactory,
    once_per_server: Callable[..., World],
) -> World:
    """Declared once: a declaration takes as long as a test."""
    database = database_server.model_copy(update={"prefix": f"{database_server.prefix}cli_"})

    @contextlib.contextmanager
    def make() -> Iterator[World]:
        bucket = f"s3://cli-{uuid.uuid4().hex}"
        client = make_client(s3_settings)
        client.create_bucket(Bucket=bucket.removeprefix("s3://"))
        client.close()
        with kill_world(database, s3_settings, bucket, tmp_path_factory.mktemp("cli")) as world:
            yield world

    return once_per_server("cli", database, make)


@pytest.fixture
def site(shared_world: World, tmp_path: Path, run_fmdj: Callable[..., Answer]) -> Iterator[Site]:
    """An empty lab, with an empty ledger and roots of its own in the bucket."""
    _empty(shared_world)
    bucket = f"{shared_world.bucket}/{uuid.uuid4().hex}"
    roots = {"video_roots": (f"{bucket}/videos",), "processed_root": f"{bucket}/processed"}
    pipeline = shared_world.settings.pipelines[0].model_copy(update=roots)
    local = shared_world.settings.local.model_copy(update={"state_dir": tmp_path / "jobs"})
    worker = shared_world.settings.worker.model_copy(update={"scratch_dir": tmp_path / "scratch"})
    changes = {"pipelines": (pipeline,), "local": local, "worker": worker}
    settings = shared_world.settings.model_copy(update=changes)
    lab = open_lab(shared_world.database, shared_world.ledger, pipeline)
    world = replace(shared_world, settings=settings, lab=lab, bucket=bucket, folder=tmp_path, recordings=0, programs=[])
    with opened(world, run_fmdj) as found:
        yield found


@pytest.fixture
def own_site(
    database_settings: DatabaseSettings,
    s3_settings: S3Settings,
    bucket: str,
    tmp_path: Path,
    run_fmdj: Callable[..., Answer],
) -> Iterator[Site]:
    """A lab of the test's own, whose ledger it may break."""
    with kill_world(database_settings, s3_settings, bucket, tmp_path) as world, opened(world, run_fmdj) as found:
        yield found


@contextlib.contextmanager
def opened(world: World, run: Callable[..., Answer]) -> Iterator[Site]:
    """A site in a world; all of its Jobs and connections end with it."""
    for name in ("scratch", "tmp"):
        (world.folder / name).mkdir(exist_ok=True)
    (world.folder / "config.yaml").write_text(yaml.safe_dump(plain(world.settings)))
    found = Site(world, run, world.folder)
    found.behave("publish")
    try:
        yield found
    finally:
        launcher = found.launcher()
        eventually(lambda: not _stop_all(launcher), "the end of all Jobs")
        for database in found.databases:
            database.close()


def _stop_all(launcher: LocalLauncher) -> list[JobObservation]:
    running = [job for job in launcher.observe() if job.phase is JobPhase.RUNNING]
    for job in running:
        launcher.stop(job.name)
    return running


def _empty(world: World) -> None:
    element, database = world.lab.element, world.database
    parts = (element.Summary, element.MovieSVD, element.MotionSVD, element.Region, element.FacialSignal)
    tasks = (element.FacemapProcessing, element.FacemapTask, element.RecordingInfo, element.VideoFile)
    for table in (*parts, *tasks, element.VideoRecording):
        database.execute(f"DELETE FROM {table.full_table_name}")
    ours = database.tables(database.ledger_schema) - {"~lineage", "schema_version"}
    last = ["run__job", "run__attempt", "run"]
    for name in [*(ours - set(last)), *last]:
        database.execute(f"DELETE FROM {database.quote(database.ledger_schema, name)}")
