"""Is everything there that a run needs? A verdict and a remedy for each thing."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from fmdj_cloud.control.doctor_courtesy import diagnose_courtesy
from fmdj_cloud.control.doctor_database import diagnose_schemas, diagnose_writing
from fmdj_cloud.control.doctor_models import diagnose_models
from fmdj_cloud.control.finding import Finding, Verdict, judged
from fmdj_cloud.control.kube.doctor import diagnose_kubernetes
from fmdj_cloud.control.server import diagnose_grants, diagnose_server
from fmdj_cloud.errors import ConfigError, FmdjError, StorageError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab, open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import PipelineSettings, Settings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage.uri import join

FACEMAP_VERSIONS = ("1.0.8",)
"""Versions whose faults are known (tests/integration/faults shows each)."""


def diagnose_installation(settings: Settings) -> Iterator[Finding]:
    """Check the installation, one thing after the other.

    Parameters
    ----------
    settings : Settings

    Yields
    ------
    Finding
        Settings, Python, the cluster (or worker packages and scratch here), database server, ledger, each pipeline's
        schemas and models, this user's rights, controller, buckets.
    """
    yield _settings(settings)
    yield _python()
    if settings.controller.launcher == "kubernetes":
        yield from diagnose_kubernetes(settings)
    else:
        yield from _workers_here(settings)
    if not settings.pipelines:
        yield Finding(
            check="pipelines",
            verdict=Verdict.FAIL,
            found="The settings name no pipeline.",
            remedy="Add one under `pipelines:` in the file that FMDJ_CONFIG names.",
        )
    store = open_store(settings.storage)
    database: Database | None = None
    try:
        database = Database(settings.database)
        yield Finding(check="database", verdict=Verdict.OK, found=f"{database.backend} answers.")
    except FmdjError as error:
        yield Finding(
            check="database",
            verdict=Verdict.FAIL,
            found=error.sentence,
            remedy="Correct `database:` in the settings, or DataJoint's DJ_HOST, DJ_USER, DJ_PASS, DJ_BACKEND.",
        )
    if database is not None:
        try:
            yield from diagnose_server(database)
            yield from diagnose_writing(database)
            yield from _in_database(settings, database, store)
        finally:
            database.close()
    for pipeline in settings.pipelines:
        yield from _buckets(pipeline, store)


def _workers_here(settings: Settings) -> Iterator[Finding]:
    """Check what workers need that the local launcher starts."""
    yield _facemap(settings)
    yield _writable("scratch", settings.worker.scratch_dir or Path(tempfile.gettempdir()), "worker.scratch_dir")
    yield _writable("launcher", settings.local.state_dir.expanduser(), "local.state_dir")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding(check="fmdj", verdict=Verdict.OK, found=f"{importlib.metadata.version('fmdj-cloud')} on {version}.")


def _settings(settings: Settings) -> Finding:
    file = os.environ.get("FMDJ_CONFIG")
    names = ", ".join(pipeline.name for pipeline in settings.pipelines) or "none"
    found = f"{file or 'No file (FMDJ_CONFIG)'}; pipelines: {names}; up to {_most(settings)} at a time."
    return Finding(check="settings", verdict=Verdict.OK, found=found)


def _most(settings: Settings) -> str:
    if settings.controller.launcher != "kubernetes":
        return str(settings.controller.max_active)
    profiles = settings.kubernetes.profiles
    return ", ".join(f"{profile.max_active} of profile {name}" for name, profile in profiles.items()) or "1"


def _writable(check: str, folder: Path, setting: str) -> Finding:
    there = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
    free = shutil.disk_usage(there).free / 2**30
    good = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    found = f"{folder} can{'' if good else 't'} be written; {free:.0f} GiB are free there.".replace("cant", "can't")
    return judged(check, good, found, f"Set {setting} to a folder that this user may write in.", Verdict.FAIL)


def _facemap(settings: Settings) -> Finding:
    try:
        version = importlib.metadata.version("facemap")
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            check="facemap",
            verdict=Verdict.FAIL,
            found="Facemap isn't installed here, where the local launcher starts workers.",
            remedy="pip install 'fmdj-cloud[worker]'",
        )
    if version not in FACEMAP_VERSIONS and not settings.worker.allow_unknown_facemap:
        return Finding(
            check="facemap",
            verdict=Verdict.FAIL,
            found=f"Facemap {version} is not a version whose faults are known ({', '.join(FACEMAP_VERSIONS)}).",
            remedy=f"pip install facemap=={FACEMAP_VERSIONS[-1]}, or set worker.allow_unknown_facemap.",
        )
    return Finding(check="facemap", verdict=Verdict.OK, found=f"Facemap {version}.")


def _in_database(settings: Settings, database: Database, store: Store) -> Iterator[Finding]:
    ledger: Ledger | None = None

    def open_ledger() -> str:
        nonlocal ledger
        ledger = Ledger(database)
        return f"Schema {database.ledger_schema} is ours."

    yield _try("ledger", open_ledger, "Run `fmdj migrate` as a database user that may create tables.")
    if ledger is None:
        return
    labs: list[Lab] = []
    for pipeline in settings.pipelines:

        def open_pipeline(pipeline: PipelineSettings = pipeline) -> str:
            lab = open_lab(database, ledger, pipeline)
            labs.append(lab)
            pending = lab.count_pending()
            tasks = f"{pending} pending task{'' if pending == 1 else 's'}"
            pose = f", and {pipeline.inference_schema} has its pose inference," if lab.inference is not None else ""
            return f"{pipeline.behavior_schema} is a Facemap Element{pose} with {tasks}."

        yield _try(
            f"pipeline {pipeline.name}",
            open_pipeline,
            "Correct behavior_schema and inference_schema, and give this user the rights that `fmdj grants` prints.",
        )
    for lab in labs:
        yield from diagnose_schemas(database, lab)
        yield from diagnose_courtesy(database, lab, wanted=settings.controller.courtesy)
        yield from diagnose_models(lab, store)
    if labs:
        yield diagnose_grants(database, labs)
    leader = ledger.leader()
    if leader is not None and leader[2] > database.now():
        yield Finding(check="controller", verdict=Verdict.OK, found=f"{leader[0]} leads.")
    else:
        yield Finding(
            check="controller",
            verdict=Verdict.WARN,
            found="No controller is running.",
            remedy="Start `fmdj controller` (and `fmdj loader`).",
        )


def _buckets(pipeline: PipelineSettings, store: Store) -> Iterator[Finding]:
    for root in pipeline.video_roots:

        def read(root: str = root) -> str:
            first = next(iter(store.list(f"{root.rstrip('/')}/")), None)
            return f"{root} can be listed{'' if first else ', and is empty'}."

        yield _try(f"videos of {pipeline.name}", read, "Grant s3:ListBucket and s3:GetObject there: see `fmdj grants`.")

    def write() -> str:
        uri = join(pipeline.processed_root, f".fmdj-doctor-{uuid.uuid4().hex}")
        store.put_bytes(uri, b"fmdj doctor")
        store.get_bytes(uri, max_bytes=64)
        try:
            store.delete(uri)
        except (ConfigError, StorageError):  # nothing that runs needs that right
            return f"{pipeline.processed_root} can be written and read; {uri} can't be deleted by this user."
        return f"{pipeline.processed_root} can be written and read."

    yield _try(f"outputs of {pipeline.name}", write, "`fmdj grants` prints the bucket policy that each program needs.")


def _try(check: str, act: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(check=check, verdict=Verdict.OK, found=act())
    except FmdjError as error:
        return Finding(check=check, verdict=Verdict.FAIL, found=error.sentence, remedy=remedy)
