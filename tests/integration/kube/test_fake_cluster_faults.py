"""Trouble between client and server, as the fake gives it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator

import pytest

from tests.support.kube.cluster import FakeCluster
from tests.support.kube.wire import JOBS, PODS, Wire, job

pytestmark = pytest.mark.integration
BROKEN = (ConnectionError, http.client.HTTPException)


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def wire(cluster: FakeCluster) -> Wire:
    return Wire(cluster, timeout_s=2)


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable")]
)
def test_requests_are_refused_as_often_as_asked(cluster: FakeCluster, wire: Wire, status: int, reason: str):
    cluster.fail("create jobs", status=status, times=2)
    answers = [wire.call("POST", JOBS, job()) for _ in range(3)]
    assert [answer.code for answer in answers] == [status, status, 201]
    assert answers[0].json["reason"] == reason


def test_a_throttled_request_is_told_when_to_come_again(cluster: FakeCluster, wire: Wire):
    cluster.fail("list *", status=429, retry_after=7)
    answer = wire.call("GET", JOBS)
    assert answer.headers["Retry-After"] == "7"
    assert answer.json["details"]["retryAfterSeconds"] == 7


def test_only_what_is_meant_is_hit(cluster: FakeCluster, wire: Wire):
    cluster.fail("get jobs b", status=500)
    cluster.fail(lambda request: request.verb == "list" and "limit" in request.query, status=503)
    assert wire.call("GET", f"{JOBS}/a").code == 404
    assert wire.call("GET", f"{JOBS}/b").code == 500
    assert wire.call("GET", JOBS).code == 200
    assert wire.call("GET", JOBS, limit=3).code == 503
    cluster.heal()
    assert wire.call("GET", f"{JOBS}/b").code == 404


def test_the_first_may_be_spared(cluster: FakeCluster, wire: Wire):
    cluster.fail("list jobs", skip=2, times=1)
    assert [wire.call("GET", JOBS).code for _ in range(4)] == [200, 200, 500, 200]


def test_a_connection_may_drop_before_anything_is_done(cluster: FakeCluster, wire: Wire):
    cluster.fail("create jobs", kind="drop", times=1)
    with pytest.raises(BROKEN):
        wire.call("POST", JOBS, job())
    assert cluster.list("jobs") == []


def test_or_after_it_was_done(cluster: FakeCluster, wire: Wire):
    cluster.fail("create jobs", kind="drop", after=True, times=1)
    with pytest.raises(BROKEN):
        wire.call("POST", JOBS, job())
    assert len(cluster.list("jobs")) == 1
    assert wire.call("POST", JOBS, job()).code == 409


def test_an_answer_may_never_come(cluster: FakeCluster):
    hang = cluster.fail("list jobs", kind="hang")
    with pytest.raises(TimeoutError):
        Wire(cluster, timeout_s=0.2).call("GET", JOBS)
    cluster.heal(hang)
    assert Wire(cluster).call("GET", JOBS).code == 200


def test_an_answer_may_be_late_or_no_json(cluster: FakeCluster, wire: Wire):
    cluster.fail("list jobs", kind="delay", seconds=0.2, times=1)
    begun = time.monotonic()
    assert wire.call("GET", JOBS).code == 200
    assert time.monotonic() - begun > 0.19
    cluster.fail("list jobs", kind="garbage", status=502, times=1)
    assert wire.call("GET", JOBS).data.startswith(b"<html>")


def test_the_server_may_be_down_and_come_back_with_everything(cluster: FakeCluster, wire: Wire):
    wire.call("POST", JOBS, job())
    with cluster.outage():
        with pytest.raises(BROKEN):
            wire.call("GET", JOBS)
        cluster.advance(300)
    assert len(wire.call("GET", JOBS).json["items"]) == 1
    assert wire.call("GET", PODS).json["items"][0]["status"]["phase"] == "Succeeded"


def test_or_be_there_and_of_no_use(cluster: FakeCluster, wire: Wire):
    with cluster.outage("status", status=503):
        assert wire.call("GET", JOBS).code == 503
    assert wire.call("GET", JOBS).code == 200


def test_an_outage_of_a_server_that_hangs_ends_for_those_who_wait(cluster: FakeCluster):
    with cluster.outage("hang"), pytest.raises(TimeoutError):
        Wire(cluster, timeout_s=0.2).call("GET", JOBS)
    assert Wire(cluster).call("GET", JOBS).code == 200
