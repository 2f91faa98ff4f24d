"""The real worker with the real Facemap, killed while it computes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from fmdj_cloud.contracts import Engine, RunState
from fmdj_cloud.control.launchers.local import WORKER_COMMAND
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from tests.support.kills import oracle
from tests.support.kills.world import World, eventually, process_state

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("database_server", ["postgres"], indirect=True)
def test_a_worker_killed_while_facemap_computes_takes_it_along_and_the_next_one_is_loaded(plain_kills: World) -> None:
    kills = plain_kills  # its programs are started, not forked
    recording = generate(RecordingSpec("cam", width=160, height=120, nframes=(300,)), kills.folder)
    kills.worker = WORKER_COMMAND
    kills.ledger.see_pipeline(kills.lab.name, engine=Engine.FACEMAP, pending=0, limit=100)
    kills.start("loader")
    kills.start("controller")
    key = kills.insert_task(recording.videos[0][0].read_bytes())

    # two of its processes import Facemap at once: the worker's child has its result folder open by then
    child = eventually(lambda: _computing(kills), "the computation")
    worker = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: process_state(child) in ("", "Z"), "the end of the computation", 5)
    kills.until(key, RunState.LOADED, 120)

    run = kills.run_of(key)
    assert [attempt.outcome for attempt in kills.ledger.attempts(run.run_id)] == ["memory", "published"]
    element = kills.lab.element
    (region,) = (element.Region & key).to_dicts()
    assert region["motion"].shape == (300,)
    assert len(element.FacialSignal & key) == len(element.FacemapProcessing & key) == 1
    # the scratch folder that the killed worker couldn't remove was removed by its successor
    oracle.check_clean(kills)


def _computing(world: World) -> int | None:
    """The process in which Facemap computes, once it has loaded what it needs."""
    scratch = str(world.folder / "scratch")
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"fmdj_cloud.worker.svd.child" in command and any(scratch in os.fsdecode(word) for word in command):
            told = Path(os.fsdecode(command[-2])) / "told.json"
            return int(folder.name) if told.exists() else None
    return None
