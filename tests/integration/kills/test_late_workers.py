"""Workers that nobody waits for any more: of an older attempt, or a second one of the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from fmdj_cloud.contracts import RunState
from fmdj_cloud.storage.manifests import manifest_uri
from tests.support.kills import oracle
from tests.support.kills.world import World, eventually

pytestmark = pytest.mark.integration


@pytest.fixture
def gated(kills: World) -> World:
    """Workers compute until the test lets them go on."""
    gate = kills.folder / "gate"
    gate.mkdir()
    kills.environment["FMDJKILL_GATE"] = str(gate)
    return kills


def _digest(world: World, folder: str) -> str | None:
    found = {info.uri: info for info in world.store.list(folder)}
    return found[manifest_uri(folder)].etag if manifest_uri(folder) in found else None


def test_a_late_worker_of_an_older_attempt_is_ignored(gated: World) -> None:
    gate = gated.folder / "gate"
    gated.start("loader")
    gated.start("controller")
    key = gated.insert_task()
    eventually((gate / "at-a1").exists, "attempt 1")
    first = gated.attempt_of(key)
    # what is known of the Job is lost, as with a machine that can't be reached: its worker goes on unseen
    (gated.folder / "jobs" / first.job_name).rename(gated.folder / "lost")
    eventually((gate / "at-a2").exists, "attempt 2")
    (gate / "go-a2").touch()
    gated.until(key, RunState.LOADED)

    (gate / "go-a1").touch()
    eventually(lambda: _digest(gated, first.folder), "the late manifest")
    later = gated.insert_task()
    (gate / "go").touch()
    gated.until(later, RunState.LOADED)

    oracle.check_loaded(gated, key)
    oracle.check_clean(gated)
    run = gated.run_of(key)
    assert run.attempt == 2
    assert [attempt.outcome for attempt in gated.ledger.attempts(run.run_id)] == ["vanished", "published"]


def test_of_two_pods_of_one_attempt_the_first_manifest_counts_and_the_other_is_harmless(gated: World) -> None:
    gate = gated.folder / "gate"
    gated.start("controller")
    key = gated.insert_task()
    eventually((gate / "at-a1").exists, "the first pod")
    attempt = gated.attempt_of(key)
    (gate / "at-a1").unlink()
    second = _second_pod(gated, gated.folder / "jobs" / attempt.job_name)
    eventually((gate / "at-a1").exists, "the second pod")
    # one that is stopped doesn't see the gate open
    os.kill(second.pid, signal.SIGSTOP)
    (gate / "go").touch()
    gated.until(key, RunState.PUBLISHED)
    pinned, committed = gated.run_of(key).manifest_sha256, _digest(gated, attempt.folder)

    os.kill(second.pid, signal.SIGCONT)
    assert second.wait(30) == 0
    assert _digest(gated, attempt.folder) != committed
    gated.start("loader")
    gated.until(key, RunState.LOADED)

    oracle.check_loaded(gated, key)
    oracle.check_clean(gated)
    assert gated.run_of(key).manifest_sha256 == pinned


def _second_pod(world: World, job: Path) -> subprocess.Popen[bytes]:
    """Start what the supervisor started once more, with another nonce; it computes other numbers."""
    environment = (Path("/proc") / _supervisor(job) / "environ").read_bytes().decode().split("\0")
    command = json.loads((job / "job.json").read_text())["command"]
    command[command.index("--nonce") + 1] = "second-pod"
    command[command.index("--termination-log") + 1] = str(world.folder / "second.json")
    variables = dict(pair.split("=", 1) for pair in environment if pair) | {"FMDJKILL_OTHER": "1000"}
    return subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL)


def _supervisor(job: Path) -> str:
    return str(json.loads((job / "started.json").read_text())["pid"])
