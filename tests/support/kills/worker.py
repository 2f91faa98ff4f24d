"""The real worker around a computation of our own: it fetches, takes its time, publishes and commits as always.

Every request to the store takes a while, so that signals meet it in every stage. What befalls it is drawn from the
seed, the task and the attempt (:mod:`tests.support.kills.tripwire`). With ``FMDJKILL_GATE``, a folder, it computes
on until ``go-a<attempt>`` or ``go`` is there, and leaves ``at-a<attempt>`` where it waits. With ``FMDJKILL_OTHER``
its numbers are another recording's.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fmdj_cloud.contracts import Origin, SignalOrigin, ViewFrames
from fmdj_cloud.names import parse_key
from fmdj_cloud.storage import open_store
from fmdj_cloud.worker import __main__ as program
from fmdj_cloud.worker import main as core
from fmdj_cloud.worker import pod
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.stop import Stop
from tests.support.kills import signals, tripwire
from tests.support.weather.no_room import no_room_from_environment
from tests.support.weather.skew import skew_from_environment

STEP_S = 0.03
BULK_MIB = 6
"""More than a part of a transfer: it goes up in pieces."""


class Computation:
    """Takes the place of :class:`fmdj_cloud.worker.compute.Child`."""

    def __init__(self, desk: Desk, job: ChildJob, *_program: str) -> None:
        self._desk = desk
        self._spec = job.spec

    def kill(self) -> None:
        """There is no process."""

    def run(self, stop: Stop) -> ChildResult:
        for _ in range(6):
            stop.wait(STEP_S)
            stop.check()
        self._pass_gate(stop)
        recording = parse_key(self._spec.task)["recording_id"]
        other = int(os.environ.get("FMDJKILL_OTHER", "0"))
        signals.write(self._desk.signals, recording + other, self._spec.run_id, self._spec.svd.sbin)
        folder = self._desk.facemap / "main"
        folder.mkdir(parents=True)
        (folder / "cam_proc.npy").write_bytes(bytes(BULK_MIB << 20) if recording == 1 else b"for people")
        frames = (signals.NFRAMES,)
        view = ViewFrames(height=signals.HEIGHT, width=signals.WIDTH, fps=30.0, frames=frames, header_frames=frames)
        return ChildResult(
            nframes=signals.NFRAMES,
            views=(view,),
            versions={"facemap": "1.0.8"},
            device="cpu",
            timings_s={},
            signals=(SignalOrigin(signal="motion", roi_no=0, origin=Origin.FACEMAP),),
            warnings=(),
            gui_file="facemap/main/cam_proc.npy",
        )

    def _pass_gate(self, stop: Stop) -> None:
        gate = os.environ.get("FMDJKILL_GATE")
        if gate is None:
            return
        name = f"a{self._spec.attempt}"
        (Path(gate) / f"at-{name}").touch()
        while not any((Path(gate) / go).exists() for go in (f"go-{name}", "go")):
            stop.wait(STEP_S)
            stop.check()


class SlowStore:
    """A store whose every request takes a while."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def slow(*args: Any, **kwargs: Any) -> Any:
            time.sleep(STEP_S)
            return method(*args, **kwargs)

        return slow

    def upload(self, path: Path, uri: str, *, progress: Callable[[int, int], None]) -> Any:
        def slow(done: int, total: int) -> None:
            time.sleep(STEP_S)
            progress(done, total)

        return self._store.upload(path, uri, progress=slow)


def main() -> int:
    pod.Child = Computation
    core.open_store = lambda settings: SlowStore(open_store(settings))
    place = re.search(r"/(rec\d+)/.*/a(\d+)/spec\.json", " ".join(sys.argv))
    assert place is not None
    shot = tripwire.worker_shot(place[1], int(place[2]))
    if shot is not None:
        tripwire.arm("worker", shot)
    skew_from_environment("worker")
    no_room_from_environment()
    return program.main()


if __name__ == "__main__":
    sys.exit(main())
