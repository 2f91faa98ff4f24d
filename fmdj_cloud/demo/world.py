"""The demo's servers, and the settings by which all of it is found."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from fmdj_cloud.demo.keeper import BUCKET, CONFIG, running_keeper
from fmdj_cloud.errors import ConfigError, UsageError
from fmdj_cloud.settings import Settings, load_settings

PIPELINE = "demo"
BEHAVIOR_SCHEMA = "demo_facial_behavior"
INFERENCE_SCHEMA = "demo_facemap_inference"
VIDEO_ROOT = f"s3://{BUCKET}/raw"
PROCESSED_ROOT = f"s3://{BUCKET}/processed"
SHARED = "shared"
"""Folder of the demo that stands for a lab's shared folder."""
_STOP_S = 30.0
"""The servers stop within seconds; a busy laptop may take longer."""


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
                "inference_schema": INFERENCE_SCHEMA,
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
