"""Commands that do the work: ``controller``, ``loader``, ``worker``."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fmdj_cloud.cli.common import settings_with_logs
from fmdj_cloud.contracts import Stage
from fmdj_cloud.control.backends import open_backend
from fmdj_cloud.control.loop import Controller
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.serve import Health, Probe, program_health, serve_status
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store
from fmdj_cloud.telemetry import CACHE_AGE


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _settings_with_pipelines() -> Settings:
    settings = settings_with_logs()
    if not settings.pipelines:
        raise ConfigError("The settings name no pipeline: add one under `pipelines:` in the file FMDJ_CONFIG names.")
    return settings


def controller(
    once: Annotated[
        bool, typer.Option("--once", help="Stop when no task is due and no run is ready or launched.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0, help="With --once: give up after so many seconds.", show_default=False),
    ] = None,
) -> None:
    """Plan pending tasks, launch workers, watch them. May be killed at any time and started again.

    With --once, exit code 1 if not everything was settled in time.
    """
    settings = _settings_with_pipelines()
    stop = None if once else _stop_on_signals()
    database, store = Database(settings.database), open_store(settings.storage)
    health = program_health(settings.serve)
    with contextlib.ExitStack() as stack:
        backend = stack.enter_context(open_backend(settings, database, store))
        if backend.age_s is not None:
            CACHE_AGE.set_function(backend.age_s)
            health.check("kubernetes", partial(_staleness, backend.age_s, backend.stale_s), Probe.LIVE)
        program = Controller(
            settings,
            database,
            store,
            backend.launcher,
            elector=backend.elector,
            keeper=backend.keeper,
            beat=health.beat,
            check=backend.check,
        )
        if stop is None:
            settled = program.drain(timeout)
        else:
            _serve(stack, settings, health)
            program.run_forever(stop)
            settled = True
    if not settled:
        raise typer.Exit(1)


def _staleness(age_s: Callable[[], float], stale_s: float) -> str | None:
    age = age_s()
    return f"Kubernetes hasn't answered for {age:.0f} s." if age > stale_s else None


def _serve(stack: contextlib.ExitStack, settings: Settings, health: Health) -> None:
    server = serve_status(settings.serve, health)
    if server is not None:
        stack.enter_context(server)


def loader(
    once: Annotated[bool, typer.Option("--once", help="Load what is published now, then stop.")] = False,
) -> None:
    """Verify published outputs and write them into the database. Any number may run."""
    settings = _settings_with_pipelines()
    stop = _stop_on_signals()
    health = program_health(settings.serve)
    program = Loader(settings, Database(settings.database), open_store(settings.storage), beat=health.beat)
    if once:
        program.run_pass(stop)
        return
    with contextlib.ExitStack() as stack:
        _serve(stack, settings, health)
        program.run_forever(stop)


def worker(
    spec: Annotated[str, typer.Option(help="URI of the attempt's spec.json.")],
    sha256: Annotated[str, typer.Option(help="SHA-256 of the spec's bytes.")],
    nonce: Annotated[str, typer.Option(help="Name of this worker's folder of outputs.")],
    termination_log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the last word is written.", show_default=False)
    ] = None,
    stage: Annotated[Stage, typer.Option(help="Stage of a sharded run.")] = Stage.ALL,
    index: Annotated[int | None, typer.Option(help="The shard, from 0, in stage project.", show_default=False)] = None,
) -> None:
    """Run one attempt. Launchers call this; it needs the object store and Facemap, no database."""
    settings = settings_with_logs()
    try:
        from fmdj_cloud.worker.main import run_worker
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} isn't installed: install the worker's packages with `pip install 'fmdj-cloud[worker]'`."
        ) from error
    raise typer.Exit(
        run_worker(spec, sha256, nonce, settings, termination_log=termination_log, stage=stage, index=index)
    )
