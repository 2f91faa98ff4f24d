"""One generated recording through an installation as it runs: a row in, a result out, checked.

It needs a pipeline of its own in the settings (``selftest``), whose schemas it makes where they aren't yet, and a
controller and a loader that run with the same settings. Every call adds a recording.
"""

from __future__ import annotations

import datetime as dt
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fmdj_cloud.contracts import BindingState, Kind, RunState
from fmdj_cloud.demo import raw_video
from fmdj_cloud.demo.lab import declare_lab
from fmdj_cloud.errors import BudgetError, ConfigError, FmdjError
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.element import Element, declare_element
from fmdj_cloud.pipeline.lab import open_lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.uri import join

_log = logging.getLogger(__name__)
PIPELINE = "selftest"
_LOOK_S = 2.0
_OVER = frozenset({RunState.FAILED, RunState.CANCELLED, RunState.SUPERSEDED})
_REFUSED = frozenset({BindingState.REFUSED, BindingState.CANCELLED})
_LEAST_CONTRAST = 3.0
"""Motion while the square moves over motion while it rests: the noise is the same in both."""


class SelftestError(FmdjError):
    """The recording didn't become the result that it should."""

    code = "selftest"


def prepare_selftest(settings: Settings, database: Database) -> tuple[Element, Any]:
    """Make the schemas of the pipeline where they aren't yet; return the Element and the module that it links to.

    Parameters
    ----------
    settings : Settings
    database : Database
        As a user who may create schemas.

    Raises
    ------
    ConfigError
        If there is no such pipeline.
    """
    if all(pipeline.name != PIPELINE for pipeline in settings.pipelines):
        raise ConfigError(f"The settings have no pipeline {PIPELINE}: in the chart, `tests.endToEnd=true` adds it.")
    schema = settings.pipeline(PIPELINE).behavior_schema
    linked = declare_lab(database, f"{schema}_lab")
    return declare_element(database, schema, linking_module=linked), linked


def run_selftest(
    settings: Settings,
    database: Database,
    store: Store,
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Insert a task, wait for its result and check it; return a sentence that says what came of it.

    Parameters
    ----------
    settings : Settings
    database : Database
        As a user who may create the pipeline's schemas.
    store : Store
    timeout_s : float
        How long the result is waited for, seconds.
    clock : callable
        Monotonic seconds.
    sleep : callable

    Raises
    ------
    ConfigError
        If there is no such pipeline.
    BudgetError
        If it takes longer.
    SelftestError
        If it failed, or the result isn't right.
    """
    element, linked = prepare_selftest(settings, database)
    pipeline = settings.pipeline(PIPELINE)
    key = _insert(element, linked, store, pipeline.video_roots[0])
    _log.info("Recording %d is inserted; now it's the controller's turn", key["recording_id"])
    began = clock()
    ledger = Ledger(database)
    lab = open_lab(database, ledger, pipeline)
    told = ""
    while not lab.element.FacialSignal & key:
        state = _state(ledger, key)
        if state != told:
            _log.info("It is %s", state)
            told = state
        if clock() - began > timeout_s:
            raise BudgetError(
                f"Recording {key['recording_id']} is {state} after {timeout_s:.0f} s: `fmdj status` and the logs of "
                "controller and loader say why."
            )
        sleep(_LOOK_S)
    contrast = _check(lab.element, key)
    return (
        f"Recording {key['recording_id']} went through in {clock() - began:.0f} s: {raw_video.FRAMES} frames, motion "
        f"{contrast:.0f} times as large where something moves."
    )


def _insert(element: Element, linked: Any, store: Store, root: str) -> dict[str, Any]:
    linked.Subject.insert1({"subject": "selftest"}, skip_duplicates=True)
    session = {"subject": "selftest", "session_id": 1}
    linked.Session.insert1({**session, "session_datetime": dt.datetime(2026, 1, 15, 10, 30)}, skip_duplicates=True)
    linked.Device.insert1({"device": "none"}, skip_duplicates=True)
    number = max((row["recording_id"] for row in element.VideoRecording.proj().to_dicts()), default=0) + 1
    recording = {**session, "recording_id": number}
    element.VideoRecording.insert1({**recording, "device": "none"})
    path = f"recording-{number}.avi"
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / path
        # others each time, or the outputs of the last call would be taken again
        raw_video.write_avi(video, raw_video.draw(seed=int(time.time())))
        store.upload(video, join(root, path))
    element.VideoFile.insert1({**recording, "file_id": 0, "file_path": path})
    key = {**recording, "facemap_task_id": 0}
    task = {"facemap_output_dir": "", "task_mode": "trigger", "facemap_params": {"sbin": 1}}
    element.FacemapTask.insert1(
        {**key, **task, "do_mot_svd": True, "do_mov_svd": False, "task_description": "a generated recording"}
    )
    return key


def _state(ledger: Ledger, key: dict[str, Any]) -> str:
    """Return where a task stands.

    Raises
    ------
    SelftestError
        If it will never have a result.
    """
    binding = ledger.binding(PIPELINE, Kind.SVD, key)
    if binding is None:
        return "pending"
    run = ledger.run(binding.run_id) if binding.run_id else None
    if run is None:
        if binding.state in _REFUSED:
            raise SelftestError(f"The recording was {binding.state}: {binding.sentence}")
        return binding.state.value
    if run.state in _OVER:
        raise SelftestError(f"The recording {run.state}: {run.sentence}")
    return run.state.value


def _check(element: Element, key: dict[str, Any]) -> float:
    """Return how much more motion there is where something moves.

    Raises
    ------
    SelftestError
        If the result isn't that of the recording.
    """
    rows = (element.Region & key).to_dicts()
    if len(rows) != 1:
        raise SelftestError(f"FacialSignal.Region has {len(rows)} rows for the recording, not one for the full frame.")
    motion = np.asarray(rows[0]["motion"], dtype=float)
    if motion.shape != (raw_video.FRAMES,):
        raise SelftestError(f"The motion has the shape {motion.shape}, and the recording {raw_video.FRAMES} frames.")
    still = np.zeros(raw_video.FRAMES, bool)
    still[raw_video.STILL] = True
    contrast = float(np.median(motion[~still]) / max(np.median(motion[still][2:]), 1e-9))
    if not contrast > _LEAST_CONTRAST:
        raise SelftestError(f"Motion is {contrast:.2f} times as large where something moves: it should be far more.")
    return contrast
