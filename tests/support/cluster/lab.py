"""A lab whose controller runs here and whose workers run on a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from fmdj_cloud.contracts import RunRecord
from fmdj_cloud.control.kube import labels
from fmdj_cloud.demo.keeper import plain
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import declare_element
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import DatabaseSettings, S3Settings, Settings, StorageSettings
from fmdj_cloud.storage import open_store
from tests.support.cluster.kubectl import Json
from tests.support.cluster.site import Site
from tests.support.kills.world import PIPELINE, Program, World, eventually

MEMORY = {"backoff_s": 0.1, "memory": 5, "memory_factor": 4.0}
"""Retries: from far too little to enough in two steps."""


@dataclasses.dataclass
class ClusterLab(World):
    """The lab. `site` is where its workers run."""

    site: Site = None  # type: ignore[assignment]
    kubernetes: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Settings that differ from the site's."""
    profile: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Likewise, of the workers' profile."""
    kubeconfig: Path | None = None
    """Another way to the API server."""

    def _config(self, controller: dict[str, Any]) -> dict[str, Any]:
        config = plain(self.settings)
        config["controller"] |= {"launcher": "kubernetes"} | controller
        config["kubernetes"] = {
            "namespace": self.site.namespace,
            "kubeconfig": str(self.kubeconfig or self.site.kubeconfig),
            "watch_s": 30,
            "relist_s": 30,
            "image_grace_s": self.site.grace_s,
            "unschedulable_grace_s": self.site.grace_s,
            "start_grace_s": 60,
            "profiles": {"default": {**self.site.profile, **self.profile}},
            **self.kubernetes,
        }
        return config

    def insert_task(self, video: bytes | None = None, **changes: Any) -> dict[str, Any]:
        """Insert a recording with one video and a task; return the task's key."""
        return super().insert_task(self.site.video if video is None else video, **changes)

    def until(self, key: dict[str, Any], state: str, timeout_s: float | None = None) -> RunRecord:
        """Wait until a task's run is in a state."""
        return super().until(key, state, self.site.patience_s if timeout_s is None else timeout_s)

    def story(self) -> str:
        """Return all that helps to understand a failure."""
        seen = self.site.kubectl.run("get", "jobs,pods", "--output=wide", check=False)
        return f"{super().story()}\n{seen.stdout}{seen.stderr}"

    def jobs(self) -> list[Json]:
        """Return this installation's Jobs."""
        return self.site.kubectl.items("jobs", labels.selector(self.settings.instance))

    def running_pod(self, key: dict[str, Any]) -> Json:
        """Wait until a task's worker runs, and return its pod."""

        def running() -> Json | None:
            run = self.run_of(key)
            if run is None:
                return None
            for pod in self.site.kubectl.items("pods", f"{labels.RUN}={run.run_id},{labels.ATTEMPT}={run.attempt}"):
                states = [one.get("state", {}) for one in pod.get("status", {}).get("containerStatuses", ())]
                if any("running" in state for state in states) and "deletionTimestamp" not in pod["metadata"]:
                    return pod
            return None

        return self.eventually(running, f"a worker of {key}")

    def eventually(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until something is true, and return it."""
        try:
            return eventually(condition, what, self.site.patience_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story()}") from error

    def fmdj(self, *words: str) -> str:
        """Run a command of ``fmdj`` as people do, and return what it says."""
        command = [sys.executable, "-m", "fmdj_cloud", *words]
        answer = subprocess.run(command, env=self.of_people(), capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def of_people(self) -> dict[str, str]:
        """Return the environment in which people call ``fmdj``."""
        config = self.folder / "config-people.yaml"
        config.write_text(yaml.safe_dump(self._config({})))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FMDJ")}
        return {**kept, "FMDJ_CONFIG": str(config), **self.environment}

    def outcomes(self, key: dict[str, Any]) -> list[str]:
        """Return how the attempts of a task ended, oldest first: failure classes, and `published`."""
        run = self.run_of(key)
        assert run is not None
        return [str(attempt.outcome) for attempt in self.ledger.attempts(run.run_id)]

    def has_result(self, key: dict[str, Any]) -> bool:
        """Return whether the results of a task are in the lab's tables."""
        return len(self.lab.element.FacialSignal & key) == 1

    def stop(self, program: Program) -> None:
        """Ask a program to stop, as an operator would."""
        program.asked = True
        program.send("SIGTERM")
        program.process.wait(30)
        program.check_end()

    def clear(self) -> None:
        """Delete this installation's Jobs, for the end of a test."""
        selector = labels.selector(self.settings.instance)
        for kind in ("jobs", "pods"):
            options = (f"--selector={selector}", "--wait=false", "--cascade=background", "--grace-period=1")
            self.site.kubectl.run("delete", kind, *options, check=False)


@contextlib.contextmanager
def cluster_lab(
    site: Site, database_settings: DatabaseSettings, folder: Path, instance: str, videos: str = ""
) -> Iterator[ClusterLab]:
    """A lab without tasks.

    Parameters
    ----------
    site : Site
    database_settings : DatabaseSettings
        With a prefix of its own.
    folder : Path
        Of the programs.
    instance : str
        Name of the installation, which its folder of outputs has too.
    videos : str
        Folder of the videos in the bucket; by default a new one.
    """
    for name in ("jobs", "scratch", "load", "tmp"):
        (folder / name).mkdir(parents=True)
    database = Database(database_settings)
    prefix = database_settings.prefix
    linked = declare_lab(database, f"{prefix}lab")
    linked.Subject.insert1({"subject": "m1"})
    linked.Session.insert1({"subject": "m1", "session_id": 1, "session_datetime": "2026-01-31 09:00:00"})
    linked.Device.insert1({"device": "camera"})
    declare_element(database, f"{prefix}facemap", linking_module=linked)
    root = f"s3://{site.bucket}/{instance}"
    settings = Settings(
        instance=instance,
        database=database_settings,
        storage={"s3": _without_credentials(site.s3)},
        pipelines=(
            {
                "name": PIPELINE,
                "behavior_schema": f"{prefix}facemap",
                "video_roots": (f"s3://{site.bucket}/{videos}/videos" if videos else f"{root}/videos",),
                "processed_root": f"{root}/processed",
            },
        ),
        controller={"interval_s": 0.3, "max_active": 2, "lease_s": 5, "renew_s": 1, "retry": MEMORY},
        worker={"progress_s": 1.0},
        load={"interval_s": 0.3, "workdir": folder / "load"},
    )
    ledger = Ledger(database)
    lab = open_lab(database, ledger, settings.pipelines[0])
    store = open_store(StorageSettings(s3=site.s3))
    where = f"s3://{site.bucket}/{videos}" if videos else root
    world = ClusterLab(settings, database, ledger, lab, store, where, folder, worker=(), site=site)
    world.environment |= site.environment | _credentials(site.s3)
    try:
        yield world
    finally:
        world.end()
        world.clear()
        database.close()


def _without_credentials(s3: S3Settings) -> S3Settings:
    """Return what programs and workers share: the rest is in their environment, as on a real site."""
    return s3.model_copy(update={"endpoint_url": None, "access_key_id": None, "secret_access_key": None})


def _credentials(s3: S3Settings) -> dict[str, str]:
    """Return the variables that lead a program to the object store."""
    values = {
        "AWS_ENDPOINT_URL_S3": s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
    }
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }
