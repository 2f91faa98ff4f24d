"""A lab with real programs over it, which may be killed at any time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fmdj_cloud.contracts import AttemptRecord, Kind, RunRecord
from fmdj_cloud.demo.keeper import plain
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, S3Settings, Settings
from fmdj_cloud.storage import Store, open_store
from tests.support.kills.tripwire import Shot, Trip, read_trips
from tests.support.kills.zygote import Forked, Zygote

PIPELINE = "lab"
WAIT_S = 60.0
WORKER = (sys.executable, "-m", "tests.support.kills.worker")
_ROOT = Path(__file__).parents[3]


def eventually(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
    """Wait until something is true, and return it."""
    give_up = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < give_up, f"{what} didn't happen within {timeout_s:.0f} s"
        time.sleep(0.08)
    return found


def process_state(pid: int) -> str:
    """Return the state letter of a process (``T`` stopped, ``Z`` zombie), empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@dataclass
class Program:
    """A controller or loader under way."""

    role: str
    process: subprocess.Popen[bytes] | Forked
    log: Path
    shot: Shot | None = None
    asked: bool = False
    """Whether the test asked it to stop."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_stopped(self) -> bool:
        return process_state(self.pid) == "T"

    def said(self, words: str) -> bool:
        """Tell whether some words stand in its log."""
        return self.log.exists() and words in self.log.read_text()

    def send(self, name: str) -> None:
        self.process.send_signal(signal.Signals[name])

    def kill(self) -> None:
        self.send("SIGKILL")
        self.process.wait()

    def check_end(self) -> None:
        """A program that has ended did so because of a signal that the test sent."""
        allowed = {-signal.SIGKILL} if self.shot is not None and self.shot.signal == "SIGKILL" else {0}
        terminated = self.asked or (self.shot is not None and self.shot.signal == "SIGTERM")
        assert self.process.returncode in allowed or (terminated and self.process.returncode == 0), (
            f"{self.role} {self.pid} ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}"
        )


@dataclass
class World:
    """The lab, its ledger, and its programs."""

    settings: Settings
    database: Database
    ledger: Ledger
    lab: Lab
    store: Store
    bucket: str
    folder: Path
    zygote: Zygote | None = None
    """What forks programs; without one each is started by itself, which takes a second."""
    worker: Sequence[str] = WORKER
    environment: dict[str, str] = field(default_factory=dict)
    programs: list[Program] = field(default_factory=list)
    recordings: int = 0

    def start(self, role: str, shot: Shot | None = None, **controller: Any) -> Program:
        """Start ``fmdj controller`` or ``fmdj loader``; keywords are settings of the controller's."""
        number = len(self.programs)
        log = self.folder / f"{role}-{number}.log"
        config = self.folder / f"config-{number}.yaml"
        config.write_text(yaml.safe_dump(self._config(controller)))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FMDJ")}
        environment |= {
            "FMDJ_CONFIG": str(config),
            "FMDJKILL_DIR": str(self.folder),
            "FMDJKILL_WORKER": json.dumps(self.worker),
            "PYTHONPATH": str(_ROOT),
            "TMPDIR": str(self.folder / "tmp"),
            **self.environment,
        }
        if shot is not None:
            environment["FMDJKILL_SHOT"] = str(shot)
        program = Program(role, self._process(role, log, environment), log, shot)
        self.programs.append(program)
        return program

    def _process(self, role: str, log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes] | Forked:
        if self.zygote is not None:
            return Forked(self.zygote, role, log, environment)
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.support.kills.program", role],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    def _config(self, controller: dict[str, Any]) -> dict[str, Any]:
        config = plain(self.settings)
        config["controller"] |= controller
        return config

    def stop_programs(self) -> None:
        """Ask all programs to stop, as an operator would, and see that they do."""
        asked_before = {trip.pid for trip in self.trips() if trip.signal == "SIGTERM"}
        for program in self.programs:
            if program.process.poll() is None:
                program.asked = True
                program.send("SIGCONT")
                if program.pid not in asked_before:
                    program.send("SIGTERM")
        for program in self.programs:
            program.process.wait(20)
            if program.asked:
                program.check_end()

    def trips(self) -> list[Trip]:
        return read_trips(self.folder)

    def processes(self) -> dict[int, str]:
        """Return every process that was started in this world and still is there: pid -> command line."""
        mark = str(self.folder).encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if mark in command or mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found

    def end(self) -> None:
        """Kill whatever is left: for the end of a test that failed."""
        for _ in range(20):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for program in self.programs:
                if program.process.poll() is None:
                    program.kill()
            if not self.processes():
                return
            time.sleep(0.05)

    def insert_task(self, video: bytes = b"video" * 1000, **changes: Any) -> dict[str, Any]:
        """Insert a recording with one video and a task; return the task's key."""
        self.recordings += 1
        element = self.lab.element
        recording = {"subject": "m1", "session_id": 1, "recording_id": self.recordings}
        path = f"rec{self.recordings}/cam.avi"
        self.store.put_bytes(f"{self.bucket}/videos/{path}", video)
        element.VideoRecording.insert1({**recording, "device": "camera"})
        element.VideoFile.insert1({**recording, "file_id": 0, "file_path": path})
        key = {**recording, "facemap_task_id": 0}
        row = {"task_mode": "trigger", "facemap_params": {"sbin": 4}, "do_mot_svd": True, "do_mov_svd": False}
        element.FacemapTask.insert1(key | row | changes)
        return key

    def run_of(self, key: dict[str, Any]) -> RunRecord | None:
        """Return the run that a task is bound to, if it is."""
        binding = self.ledger.binding(PIPELINE, Kind.SVD, key)
        return self.ledger.run(binding.run_id) if binding is not None and binding.run_id is not None else None

    def attempt_of(self, key: dict[str, Any]) -> AttemptRecord:
        """Return the current attempt of a task's run."""
        run = self.run_of(key)
        assert run is not None
        attempt = self.ledger.attempt(run.run_id, run.attempt)
        assert attempt is not None
        return attempt

    def until(self, key: dict[str, Any], state: str, timeout_s: float = WAIT_S) -> RunRecord:
        """Wait until a task's run is in a state."""

        def there() -> RunRecord | None:
            run = self.run_of(key)
            return run if run is not None and run.state == state else None

        try:
            return eventually(there, f"{state} of {key}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from error

    def story(self) -> str:
        """Return all that helps to understand a failure."""
        runs = "\n".join(f"{run.state} attempt {run.attempt}: {run.sentence}" for run in self.ledger.runs())
        trips = "\n".join(map(str, self.trips()))
        logs = "\n".join(f"--- {p.log.name} ({p.shot})\n{p.log.read_text()[-2500:]}" for p in self.programs)
        return f"{runs}\n{trips}\n{logs}"


@contextlib.contextmanager
def kill_world(database_settings: DatabaseSettings, s3: S3Settings, bucket: str, folder: Path) -> Iterator[World]:
    """A lab without tasks, whose programs are quick to act and quick to give a lease up."""
    for name in ("jobs", "scratch", "load", "tmp"):
        (folder / name).mkdir()
    database = Database(database_settings)
    prefix = database_settings.prefix
    linked = declare_lab(database, f"{prefix}lab")
    linked.Subject.insert1({"subject": "m1"})
    linked.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": "2026-01-31 09:00:00"})
    linked.Device.insert1({"device": "camera"})
    declare_element(database, f"{prefix}facemap", linking_module=linked)
    settings = Settings(
        database=database_settings.model_copy(update={"idle_transaction_s": 1}),
        storage={"s3": s3.model_copy(update={"part_size_mib": 5})},
        pipelines=(
            {
                "name": PIPELINE,
                "behavior_schema": f"{prefix}facemap",
                "video_roots": (f"{bucket}/videos",),
                "processed_root": f"{bucket}/processed",
            },
        ),
        controller={
            "interval_s": 0.1,
            "max_active": 2,
            "lease_s": 1.2,
            "renew_s": 0.3,
            "retry": {"backoff_s": 0.1},
        },
        local={"state_dir": folder / "jobs", "stop_grace_s": 2},
        worker={"scratch_dir": folder / "scratch", "progress_s": 0.2},
        load={"interval_s": 0.1, "workdir": folder / "load"},
    )
    ledger = Ledger(database)
    lab = open_lab(database, ledger, settings.pipelines[0])
    world = World(settings, database, ledger, lab, open_store(settings.storage), bucket, folder)
    try:
        yield world
    finally:
        world.end()
        database.close()
