"""A lab whose runs are in every state, and the status page over it, as a program of its own."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fmdj_cloud.contracts import (
    FailureClass,
    Kind,
    Limits,
    Manifest,
    ManifestFile,
    Origin,
    Outcome,
    Progress,
    QualityFinding,
    RunRecord,
    RunState,
    SignalOrigin,
    ViewFrames,
)
from fmdj_cloud.control.plan import plan_task
from fmdj_cloud.demo.keeper import plain
from fmdj_cloud.errors import StoppedError
from fmdj_cloud.names import attempt_folder
from fmdj_cloud.storage.manifests import commit_manifest
from tests.support.kills.world import World

_ADDRESS = re.compile(r"http://\S+/")
_SHA = hashlib.sha256(b"").hexdigest()
LIMITS = Limits(time_budget_s=21600, memory_mib=4096, scratch_mib=2048, threads=2)
QUALITY = (
    QualityFinding(
        check="nan", part="region 0 motion", roi_no=0, value=0.0, threshold=0.5, verdict="pass", sentence=""
    ),
    QualityFinding(
        check="flat",
        part="region 0 motion",
        roi_no=0,
        value=0.61,
        threshold=0.5,
        verdict="warn",
        sentence="Motion doesn't vary in 61 % of the frames: was the camera covered?",
    ),
)


@dataclass
class Site:
    """Runs that tests make and change as controller and workers would."""

    world: World
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)

    def planned(self) -> RunRecord:
        """A new task with its run."""
        return self.plan(self.world.insert_task())

    def plan(self, key: dict[str, Any]) -> RunRecord:
        """Plan a task."""
        world, tasks = self.world, self.world.lab.tasks(Kind.SVD)
        task = tasks.get(key)
        assert task is not None
        planned = plan_task(task, world.lab.settings, world.store, world.settings, models=None)
        run = world.ledger.plan(
            task,
            planned.run_id,
            planned.content_digest,
            planned.plan,
            planned.output_dir_uri,
            manifest_verifies=lambda *_: False,
            epoch=None,
        )
        self.keys[run.run_id] = key
        return run

    def launched(self) -> RunRecord:
        """A run whose first attempt is under way."""
        return self.launch(self.planned())

    def launch(self, run: RunRecord) -> RunRecord:
        """Begin the attempt that a run has come to."""
        folder = attempt_folder(run.output_dir, run.attempt)
        name = f"fmdj-{run.run_id}-a{run.attempt}"
        done = self.world.ledger.launch(
            run.run_id,
            run.attempt,
            folder=folder,
            spec_sha256=_SHA,
            launcher="local",
            job_name=name,
            limits=LIMITS,
            epoch=None,
        )
        assert done
        return self.now(run)

    def now(self, run: RunRecord) -> RunRecord:
        """The run as it is."""
        found = self.world.ledger.run(run.run_id)
        assert found is not None
        return found

    def report(self, run: RunRecord, frames: int, total: int = 60_000, rate: float = 412.0) -> None:
        """Write what a worker writes of its progress."""
        said = Progress(
            run_id=run.run_id,
            attempt=run.attempt,
            stage="project",
            frames_done=frames,
            frames_total=total,
            frames_per_s=rate,
            eta_s=(total - frames) / rate,
            at_epoch_s=1.0 + frames,
        )
        self.put(run, "w1/progress.json", said.model_dump_json())

    def put(self, run: RunRecord, name: str, text: str) -> None:
        """Write a file of the attempt's."""
        self.world.store.put_bytes(f"{attempt_folder(run.output_dir, run.attempt)}/{name}", text.encode())

    def fail(self, run: RunRecord, failure: FailureClass, sentence: str) -> RunRecord:
        """End a run."""
        outcome = Outcome(failure_class=failure, sentence=sentence)
        assert self.world.ledger.fail(run.run_id, self.now(run).state, run.attempt, outcome)
        return self.now(run)

    def failed(self, failure: FailureClass, sentence: str) -> RunRecord:
        """A run that failed in its first attempt, with a log."""
        run = self.launched()
        self.put(run, "w1/run.log", f"INFO starts\nERROR {sentence}\n")
        return self.fail(run, failure, sentence)

    def published(self) -> tuple[RunRecord, str]:
        """A run with a manifest, and its SHA-256."""
        run = self.launched()
        self.put(run, "w1/run.log", "INFO starts\nINFO computed svd\nINFO published\n")
        made = Manifest(
            run_id=run.run_id,
            attempt=run.attempt,
            kind=run.kind,
            nonce="w1",
            spec_sha256=_SHA,
            content_digest=run.content_digest,
            files=(ManifestFile(path="w1/signals.h5", role="signals", size=0, sha256=_SHA),),
            nframes=60_000,
            views=(ViewFrames(height=480, width=640, fps=60, frames=(60_000,), header_frames=(60_000,)),),
            versions={"facemap": "1.0.8", "fmdj": "0.1", "numpy": "1.26.4", "python": "3.11"},
            device="cpu",
            threads=2,
            timings_s={"fetch": 3.2, "basis": 41.0, "project": 77.5, "publish": 1.1},
            signals=(
                SignalOrigin(signal="motion", roi_no=0, origin=Origin.REPAIRED, repairs=("F1",), note="Aligned."),
                SignalOrigin(signal="motSVD", roi_no=0, origin=Origin.FACEMAP),
            ),
            warnings=("The header of cam.avi claims 1 frame more than can be decoded.",),
            started=dt.datetime(2026, 1, 31, 9, 0),
            finished=dt.datetime(2026, 1, 31, 9, 3),
        )
        sha256 = commit_manifest(self.world.store, attempt_folder(run.output_dir, run.attempt), made)
        assert self.world.ledger.publish(run.run_id, run.attempt, sha256, epoch=None)
        return self.now(run), sha256

    def loaded(self) -> RunRecord:
        """A run whose results are in the database, as far as anybody can tell."""
        run, sha256 = self.published()
        assert self.world.ledger.mark_loaded(run.run_id, run.attempt, sha256)
        self.world.ledger.keep_quality(run.run_id, run.attempt, QUALITY)
        key, element = self.keys[run.run_id], self.world.lab.element
        made = {"processing_time": "2026-01-31 12:00:00", "package_version": "1.0.8"}
        element.FacemapProcessing.insert1(key | made, allow_direct_insert=True)
        element.FacialSignal.insert1(key, allow_direct_insert=True)
        return self.now(run)

    def refused(self, sentence: str) -> None:
        """A task that planning refused."""
        tasks = self.world.lab.tasks(Kind.SVD)
        task = tasks.get(self.world.insert_task())
        assert task is not None
        self.world.ledger.refuse(task, Outcome(failure_class=FailureClass.INPUT, sentence=sentence), epoch=None)


def one_of_each(site: Site) -> dict[str, RunRecord]:
    """Make a run in every state that people see most, and a task that was refused."""
    found = {"loaded": site.loaded()}
    found["memory"] = site.failed(FailureClass.MEMORY, "The worker was killed for memory at 65536 MiB.")
    found["input"] = site.failed(
        FailureClass.INPUT, "cam.avi has 58 decodable frames, but its header claims 60: export it again."
    )
    found["launched"] = site.launched()
    site.report(found["launched"], 18_000)
    found["ready"] = site.planned()
    site.refused("facemap_params['sbin'] is 0: give a whole number of 1 or more.")
    assert found["loaded"].state is RunState.LOADED
    return found


@contextlib.contextmanager
def served(world: World, folder: Path, **page: Any) -> Iterator[str]:
    """``fmdj serve`` as a program of its own; its address."""
    config = folder / "serve.yaml"
    said = plain(world.settings)
    said["page"] = {"port": 0, "refresh_s": 0.3, **page}
    config.write_text(yaml.safe_dump(said))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FMDJ")}
    environment |= {"FMDJ_CONFIG": str(config), "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    log = (folder / "serve.log").open("w")
    command = [sys.executable, "-m", "fmdj_cloud", "serve"]
    with log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as program:
        try:
            assert program.stdout is not None
            line = program.stdout.readline()
            address = _ADDRESS.search(line)
            assert address, f"{line!r}: {(folder / 'serve.log').read_text()}"
            yield address[0].rstrip("/")
        finally:
            program.send_signal(signal.SIGTERM)
            try:
                ended = program.wait(20)
            except subprocess.TimeoutExpired:
                program.kill()
                raise
            assert ended == StoppedError.exit_code, (folder / "serve.log").read_text()
