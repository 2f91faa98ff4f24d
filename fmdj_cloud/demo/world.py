"""The demo's world: servers, a lab's schemas, uploaded recordings and inserted tasks."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fmdj_cloud.demo.existing import run_facemap
from fmdj_cloud.demo.keeper import BUCKET, CONFIG, running_keeper
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.demo.recordings import Recording
from fmdj_cloud.demo.scenarios import SBIN, Scenario
from fmdj_cloud.errors import ConfigError, UsageError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.settings import Settings, load_settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.uri import join

PIPELINE = "demo"
LAB_SCHEMA = "demo_lab"
BEHAVIOR_SCHEMA = "demo_facial_behavior"
VIDEO_ROOT = f"s3://{BUCKET}/raw"
PROCESSED_ROOT = f"s3://{BUCKET}/processed"
SHARED = "shared"
"""Folder of the demo that stands for a lab's shared folder."""
_SUBJECT = "m1"
_CAMERA = "camera"
_STOP_S = 30.0
"""The servers stop within seconds; a busy laptop may take longer."""


@dataclass(frozen=True)
class Entry:
    """One recording of the demo with its task."""

    scenario: Scenario
    recording: Recording
    key: dict[str, Any]


@contextlib.contextmanager
def demo_servers(workdir: Path, *, database: str, keep: bool) -> Iterator[Settings]:
    """Run the servers and write the demo's whole configuration to ``config.yaml``.

    Parameters
    ----------
    workdir : Path
        Folder of the demo.
    database : str
        ``postgresql`` or ``mariadb``.
    keep : bool
        Leave the servers running at the end; :func:`stop_servers` ends them.

    Yields
    ------
    Settings
        ``FMDJ_CONFIG`` points at them for every program started from here.
    """
    if running_keeper(workdir) is not None:
        raise UsageError(
            f"A demo's servers are still running in {workdir}: stop them with "
            f"`fmdj demo --stop --output-dir {workdir}`."
        )
    command = [sys.executable, "-m", "fmdj_cloud.demo.keeper", str(workdir), "--database", database]
    command += ["--stay"] if keep else []
    with (workdir / "servers.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if keep else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdout is not None  # noqa: S101 - asked for above
    try:
        if process.stdout.readline() != b"ready\n":
            raise ConfigError(f"The demo's servers didn't start: {_last_line(workdir / 'servers.log')}")
        yield _configure(workdir)
    except BaseException:
        process.terminate()
        raise
    finally:
        process.stdout.close()
        if process.stdin is not None:
            process.stdin.close()
            process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"see {log}."


def stop_servers(workdir: Path) -> None:
    """Stop the servers that a demo kept, and wait until they are gone.

    Raises
    ------
    UsageError
        If none are running there.
    ConfigError
        If they don't stop.
    """
    pid = running_keeper(workdir)
    if pid is None:
        raise UsageError(f"No demo's servers are running in {workdir}.")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while running_keeper(workdir) is not None:
        if time.monotonic() > deadline:
            raise ConfigError(f"The demo's servers (process {pid}) haven't stopped within {_STOP_S:.0f} s.")
        time.sleep(0.1)


def _configure(workdir: Path) -> Settings:
    path = workdir / CONFIG
    config = yaml.safe_load(path.read_text("utf-8"))
    config |= {
        "instance": "fmdj-demo",
        "pipelines": [
            {
                "name": PIPELINE,
                "behavior_schema": BEHAVIOR_SCHEMA,
                "video_roots": [VIDEO_ROOT, f"file://{workdir / SHARED}"],
                "processed_root": PROCESSED_ROOT,
            }
        ],
        "controller": {"interval_s": 0.5, "max_active": 2},
        "local": {"state_dir": str(workdir / "jobs")},
        "worker": {"scratch_dir": str(workdir / "scratch"), "progress_s": 1.0},
        "load": {"interval_s": 0.5},
    }
    for name in (
        "jobs",
        "scratch",
        SHARED,
    ):  # an earlier demo's Jobs would be taken for this one's: same names, same specs
        shutil.rmtree(workdir / name, ignore_errors=True)
        (workdir / name).mkdir()
    path.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    os.environ["FMDJ_CONFIG"] = str(path)
    return load_settings()


def declare_schemas(database: Database) -> Element:
    """Declare the lab's schema and the Element's."""
    lab = declare_lab(database, LAB_SCHEMA)
    lab.Subject.insert1({"subject": _SUBJECT}, skip_duplicates=True)
    lab.Session.insert1(
        {"subject": _SUBJECT, "session_id": 1, "session_datetime": dt.datetime(2026, 1, 15, 10, 30)},
        skip_duplicates=True,
    )
    lab.Device.insert1({"device": _CAMERA}, skip_duplicates=True)
    return declare_element(database, BEHAVIOR_SCHEMA, linking_module=lab)


def add_recording(
    element: Element, store: Store, settings: Settings, scenario: Scenario, recording_id: int, folder: Path
) -> Entry:
    """Generate a recording, upload its videos, and insert its rows: recording, files, task."""
    recording = scenario.make(folder)
    key: dict[str, Any] = {"subject": _SUBJECT, "session_id": 1, "recording_id": recording_id}
    element.VideoRecording.insert1({**key, "device": _CAMERA})
    root = settings.pipeline(PIPELINE).video_roots[1 if scenario.shared else 0]
    place = f"{_SUBJECT}/session1/{scenario.name}"
    videos = [video for row in recording.videos for video in row]
    for file_id, video in enumerate(videos):
        store.upload(video, join(root, f"{place}/{video.name}"))
        element.VideoFile.insert1({**key, "file_id": file_id, "file_path": f"{place}/{video.name}"})
    output_dir = ""
    if scenario.imported:
        output_dir = f"{place}/facemap"
        existing = run_facemap(videos[0], folder, sbin=SBIN)
        store.upload(existing, join(PROCESSED_ROOT, f"{output_dir}/{existing.name}"))
    task = {**key, "facemap_task_id": 0}
    element.FacemapTask.insert1(
        {
            **task,
            "facemap_output_dir": output_dir,
            "task_mode": "load" if scenario.imported else "trigger",
            "facemap_params": scenario.params(recording),
            "do_mot_svd": scenario.mot_svd,
            "do_mov_svd": scenario.mov_svd,
            "task_description": scenario.story[:128],
        }
    )
    return Entry(scenario, recording, task)
