"""The fake cluster as a process, driven over its admin path, and large."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kube.cluster import FakeCluster
from tests.support.kube.wire import JOBS, PODS, Wire, job

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]


class Remote:
    """A fake cluster elsewhere."""

    def __init__(self, config: Path) -> None:
        found = json.loads(config.read_text())
        self._url = found["clusters"][0]["cluster"]["server"]
        self._token = found["users"][0]["user"]["token"]
        self._context = ssl._create_unverified_context()

    def call(self, path: str, body: Any = None, method: str = "") -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method or None)
        with urllib.request.urlopen(request, timeout=10, context=self._context) as response:
            return json.loads(response.read())


def start(config: Path, *options: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.kube", "--kubeconfig", str(config), *options], cwd=ROOT
    )
    ends = time.monotonic() + 20
    while not config.exists():
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.02)
    return process


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "kubeconfig"
    process = start(path, "--speed", "0", "--fixed-time")
    yield path
    process.terminate()
    assert process.wait(10) == 0


def test_it_is_driven_from_outside(config: Path):
    remote = Remote(config)
    jobs = "/apis/batch/v1/namespaces/lab/jobs"
    remote.call("/_fake/script", {"match": "a", "behaviours": [{"lasts_s": 3, "exit": {"code": 12, "message": "no"}}]})
    remote.call(jobs, job())
    assert remote.call("/_fake/advance", {"seconds": 10}) == {"now": "2026-01-31T12:00:10Z", "seconds": 10.0}
    (pod,) = remote.call("/api/v1/namespaces/lab/pods")["items"]
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 12
    remote.call("/_fake/fail", {"match": "list jobs", "status": 503, "times": 1})
    with pytest.raises(urllib.error.HTTPError, match="503"):
        remote.call(jobs)
    counted = remote.call("/_fake/requests")
    assert counted["counts"] == {"create jobs": 1, "list jobs": 1, "list pods": 1}
    assert remote.call("/_fake/state")["containersStarted"] == 1
    with pytest.raises(urllib.error.HTTPError, match="400"):
        remote.call("/_fake/script", {"behaviours": [{"nonsense": 1}]})


def test_it_may_run_by_itself(tmp_path: Path):
    path = tmp_path / "kubeconfig"
    process = start(path, "--speed", "20")
    try:
        remote = Remote(path)
        remote.call("/apis/batch/v1/namespaces/lab/jobs", job())
        ends = time.monotonic() + 10
        while not remote.call("/apis/batch/v1/namespaces/lab/jobs/a")["status"].get("succeeded"):
            assert time.monotonic() < ends
            time.sleep(0.05)
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_it_may_run_by_itself_in_this_process():
    with FakeCluster() as cluster:
        cluster.go(speed=100)
        cluster.create(job())
        ends = time.monotonic() + 10
        while not cluster.get("jobs", "a")["status"].get("succeeded"):
            assert time.monotonic() < ends
            time.sleep(0.01)
        cluster.halt()
        stood = cluster.clock.seconds
        time.sleep(0.05)
        assert cluster.clock.seconds == stood


def test_two_thousand_jobs_are_no_burden():
    with FakeCluster() as cluster:
        wire = Wire(cluster)
        for i in range(2000):
            cluster.create(job(f"j{i:04}"))
        cluster.advance(15)
        assert all(one["status"].get("succeeded") for one in cluster.list("jobs"))
        assert len(wire.call("GET", PODS).json["items"]) == 2000
        page = wire.call("GET", JOBS, limit=500).json
        assert (len(page["items"]), page["metadata"]["remainingItemCount"]) == (500, 1500)
        begun = time.process_time()
        for i in range(200):
            wire.call("GET", f"{JOBS}/j{i:04}")
        # less than 10 ms each, client included, however many there are
        assert time.process_time() - begun < 2
