"""The files that rows are compared with, opened: those of our own run, or those that lie where the task says.

A ``_proc.npy`` is a pickle, and a stranger's: only the importer's reader opens it, in a process with limits of its own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import Manifest, RunPlan, RunSpec, RunState, TaskRecord
from fmdj_cloud.control.plan_import import plan_import
from fmdj_cloud.errors import FmdjError, InputError
from fmdj_cloud.load.pose_rows import INFERENCE_STAGE
from fmdj_cloud.load.read import fetched_signals, read_published
from fmdj_cloud.load.scratch import scratch_folder
from fmdj_cloud.names import POSE_SUFFIX, display_key, pose_metadata
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.storage.base import Store

logger = logging.getLogger(__name__)
_READER = ("-m", "fmdj_cloud.worker.importing.reader")
_MAX_ANSWER = 64 << 20
_TIME_LIMIT_S = 6 * 3600.0
"""A bound for a reader that its own, far shorter, limits don't end."""
_AUDIT = "import-0000000000000000"
"""Stands in files that no run has made."""


@dataclass(frozen=True)
class OpenFiles:
    """Files of a key, open for the time of a context.

    Attributes
    ----------
    signals : SignalsReader or None
        None where there is nothing to compare with.
    name : str
        What it was compared with.
    manifest : Manifest or None
        Of our own run.
    spec : RunSpec or None
        Of our own run.
    accepted : frozenset of str
        Checks of quality control that a person has overridden.
    views : int
        Files that were recorded at the same time, as existing files say; 0 where nothing does.
    seconds : float
        That computing took, 0 where nothing says so.
    problem : str
        Why there is nothing to compare with.
    """

    signals: SignalsReader | None
    name: str
    manifest: Manifest | None = None
    spec: RunSpec | None = None
    accepted: frozenset[str] = frozenset()
    views: int = 0
    seconds: float = 0.0
    problem: str = ""


class Files:
    """Finds and opens what a key's rows were made from.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    store : Store

    Attributes
    ----------
    limits : LoadSettings
        How what they hold is loaded.
    """

    def __init__(self, settings: Settings, ledger: Ledger, store: Store) -> None:
        self.limits = settings.load
        self._settings = settings
        self._ledger = ledger
        self._store = store

    @contextlib.contextmanager
    def opened(self, lab: Lab, task: TaskRecord) -> Iterator[OpenFiles]:
        """Give the files of a task's results for the time of the context.

        Parameters
        ----------
        lab : Lab
        task : TaskRecord

        Yields
        ------
        OpenFiles
            Whatever can't be opened is said there, and never raised.
        """
        with contextlib.ExitStack() as stack:
            problems = []
            found = None
            for find in (self._of_run, self._that_exist):
                try:
                    found = find(stack, lab, task)
                except FmdjError as error:
                    problems.append(error.sentence)
                except Exception as error:  # what no reader takes apart raises anything
                    logger.warning("The files of %s can't be opened", display_key(task.key), exc_info=error)
                    problems.append(f"The files can't be opened ({type(error).__name__}: {error}).")
                if found is not None:
                    break
            yield found or OpenFiles(None, "themselves", problem=" ".join(problems))

    def _of_run(self, stack: contextlib.ExitStack, lab: Lab, task: TaskRecord) -> OpenFiles | None:
        binding = self._ledger.binding(lab.name, task.kind, task.key)
        run = self._ledger.run(binding.run_id) if binding is not None and binding.run_id else None
        attempt = None if run is None else self._ledger.attempt(run.run_id, run.attempt)
        if run is None or attempt is None or run.state is not RunState.LOADED:
            return None
        spec, manifest = read_published(self._store, run, attempt)
        path = stack.enter_context(fetched_signals(self._store, attempt.folder, manifest, self._settings.load.workdir))
        signals = stack.enter_context(SignalsReader(path))
        accepted = frozenset({*spec.accept, *self._ledger.accepted(run)})
        seconds = manifest.timings_s.get(INFERENCE_STAGE, 0.0)
        return OpenFiles(signals, f"run {run.run_id}", manifest, spec, accepted, seconds=seconds)

    def _that_exist(self, stack: contextlib.ExitStack, lab: Lab, task: TaskRecord) -> OpenFiles:
        plan = plan_import(task, lab.settings, self._store, self._settings).plan
        folder = stack.enter_context(scratch_folder(self._settings.load.workdir))
        for ref in plan.imports:
            self._store.download(ref.uri, folder / ref.name, size=ref.size, etag=ref.etag, version_id=ref.version_id)
        answer = _read_apart(folder, _job(plan, folder))
        signals = stack.enter_context(SignalsReader(folder / "signals.h5"))
        return OpenFiles(
            signals,
            plan.imports[0].uri,
            views=len(answer.get("sizes", ())),
            seconds=float(answer.get("seconds", 0.0)),
        )


def _job(plan: RunPlan, folder: Path) -> dict[str, Any]:
    job: dict[str, Any] = {
        "signals": str(folder / "signals.h5"),
        "run_id": _AUDIT,
        "fps": 0.0,
        "parent": os.getpid(),
    }
    names = [ref.name for ref in plan.imports]
    if plan.pose is None:
        return job | {"proc": str(folder / names[0])}
    points = [name for name in names if name.endswith(POSE_SUFFIX)]
    files = [
        {"points": str(folder / name), "metadata": str(folder / meta) if (meta := pose_metadata(name)) in names else ""}
        for name in points
    ]
    pose = {
        "files": files,
        "body_parts": list(plan.pose.body_parts),
        "view": plan.pose.pose_view,
        "max_bad_frames": plan.limits.max_bad_frames,
    }
    return job | {"pose": pose}


def _read_apart(folder: Path, job: Mapping[str, Any]) -> dict[str, Any]:
    """Have the importer's reader make a signals.h5 of existing files, and return what it says of them."""
    (folder / "job.json").write_text(json.dumps(job))
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            [sys.executable, *_READER, str(folder)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        try:
            code = process.wait(_TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
    result, failure = (_answer(folder / f"{name}.json") for name in ("result", "failure"))
    if code == 0 and result is not None:
        return result
    sentence = (failure or {}).get(
        "sentence"
    ) or f"The existing files can't be read: the reader ended with code {code}."
    raise InputError(str(sentence), check=str((failure or {}).get("check", "")))


def _answer(path: Path) -> dict[str, Any] | None:
    if not path.exists() or path.stat().st_size > _MAX_ANSWER:
        return None
    found = json.loads(path.read_bytes())
    return found if isinstance(found, dict) else None
