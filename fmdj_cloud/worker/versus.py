"""Both engines on one task, on this machine: nothing of it is published or recorded."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from fmdj_cloud.contracts import Engine, Frozen, RunSpec
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.signals_h5 import SignalsReader
from fmdj_cloud.storage import Store
from fmdj_cloud.worker.compare import Difference, compare
from fmdj_cloud.worker.compute import Child
from fmdj_cloud.worker.fetch import fetch_videos
from fmdj_cloud.worker.handover import ChildJob, Desk
from fmdj_cloud.worker.stop import Stop

_MODULES = {Engine.FACEMAP: "fmdj_cloud.worker.svd.child", Engine.TURBO: "fmdj_cloud.worker.turbo.child"}


class Versus(Frozen):
    """How the engines did.

    Attributes
    ----------
    seconds : dict
        Wall time of each engine, with its start.
    warnings : dict
        What each had to say.
    differences : tuple of Difference
        Of turbo from Facemap.
    """

    seconds: dict[Engine, float]
    warnings: dict[Engine, tuple[str, ...]]
    differences: tuple[Difference, ...]


def versus(store: Store, specs: Mapping[Engine, RunSpec], scratch: Path | None, stop: Stop) -> Versus:
    """Let both engines compute a task, one after the other, and compare their signals.

    Parameters
    ----------
    store : Store
        Holds the videos.
    specs : Mapping
        What each is to compute, of the same videos.
    scratch : Path or None
        Existing folder on the scratch disk; None is the temporary directory.
    stop : Stop

    Raises
    ------
    ConfigError
        If Facemap isn't installed here.
    FmdjError
        What an engine has met.
    """
    if importlib.util.find_spec("facemap") is None:
        raise ConfigError("facemap isn't installed here, and comparing needs it: install fmdj-cloud[worker].")
    with tempfile.TemporaryDirectory(prefix="fmdj-compare-", dir=scratch) as folder:
        videos = fetch_videos(store, specs[Engine.FACEMAP], Path(folder) / "videos", stop=stop)
        paths = tuple(tuple(str(path) for path in row) for row in videos)
        seconds, warnings, desks = {}, {}, {}
        for engine, spec in specs.items():
            desk = desks[engine] = Desk(Path(folder) / engine.value)
            desk.outputs.mkdir(parents=True)
            began = time.monotonic()
            job = ChildJob(spec=spec, videos=paths, parent=os.getpid())
            warnings[engine] = Child(desk, job, _MODULES[engine]).run(stop).warnings
            seconds[engine] = round(time.monotonic() - began, 2)
        with (
            SignalsReader(desks[Engine.FACEMAP].signals) as theirs,
            SignalsReader(desks[Engine.TURBO].signals) as ours,
        ):
            return Versus(seconds=seconds, warnings=warnings, differences=compare(theirs, ours))
