"""Watches of the fake API server: what they tell, and each way in which they die."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.kube.cluster import FakeCluster
from tests.support.kube.wire import JOBS, PODS, Wire, job

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def wire(cluster: FakeCluster) -> Wire:
    return Wire(cluster)


class Listener:
    """A watch that is read by a thread."""

    def __init__(self, wire: Wire, path: str, **query: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.died: Exception | None = None
        self._watch = wire.watch(path, **query)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for event in self._watch:
                self.events.append(event)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.died = error

    def told(self, count: int) -> list[tuple[str, str]]:
        """Wait for so many events."""
        until(lambda: len(self.events) >= count)
        return [(one["type"], one["object"]["metadata"].get("name", "")) for one in self.events]

    def over(self) -> bool:
        self._thread.join(5)
        return not self._thread.is_alive()


def until(predicate: Any) -> None:
    ends = time.monotonic() + 5
    while not predicate():
        assert time.monotonic() < ends
        time.sleep(0.005)


def opened(cluster: FakeCluster, count: int = 1) -> None:
    until(lambda: len(cluster.watches()) == count)


def begin(cluster: FakeCluster, wire: Wire, path: str = JOBS, **query: Any) -> Listener:
    """Watch from now."""
    query.setdefault("resourceVersion", cluster.store.rv)
    listener = Listener(wire, path, **query)
    opened(cluster)
    return listener


def test_a_watch_tells_what_happened_since_its_version(cluster: FakeCluster, wire: Wire):
    rv = cluster.store.rv
    wire.call("POST", JOBS, job("a"))
    wire.patch(f"{JOBS}/a", {"metadata": {"annotations": {"x": "y"}}})
    wire.call("DELETE", f"{JOBS}/a", propagationPolicy="Background")
    events = begin(cluster, wire, resourceVersion=rv)
    assert events.told(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    versions = [int(one["object"]["metadata"]["resourceVersion"]) for one in events.events]
    assert versions == sorted(set(versions))
    assert events.events[0]["object"]["kind"] == "Job"


def test_a_watch_goes_on_telling(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire)
    wire.call("POST", JOBS, job("a"))
    assert events.told(1) == [("ADDED", "a")]
    wire.call("POST", JOBS, job("b"))
    assert events.told(2)[1:] == [("ADDED", "b")]


def test_without_a_version_a_watch_begins_with_what_is_there(cluster: FakeCluster, wire: Wire):
    wire.call("POST", JOBS, job("a"))
    assert Listener(wire, JOBS).told(1) == [("ADDED", "a")]


def test_a_list_may_come_by_the_watch(cluster: FakeCluster, wire: Wire):
    wire.call("POST", JOBS, job("a"))
    events = Listener(
        wire, JOBS, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
    )
    assert [one for one, _ in events.told(2)] == ["ADDED", "BOOKMARK"]
    assert events.events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_what_begins_or_stops_to_match_is_added_or_deleted(cluster: FakeCluster, wire: Wire):
    wire.call("POST", JOBS, job("a"))
    events = begin(cluster, wire, labelSelector="team=blue")
    wire.patch(f"{JOBS}/a", {"metadata": {"labels": {"team": "red"}}})
    wire.patch(f"{JOBS}/a", {"metadata": {"labels": {"team": "blue"}}})
    wire.patch(f"{JOBS}/a", {"metadata": {"labels": {"x": "y"}}})
    wire.patch(f"{JOBS}/a", {"metadata": {"labels": {"team": None}}})
    assert [kind for kind, _ in events.told(3)] == ["ADDED", "MODIFIED", "DELETED"]


def test_bookmarks_come_every_minute_and_before_the_end(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire, allowWatchBookmarks="true", timeoutSeconds="150")
    for seconds, count in ((59, 0), (2, 1), (60, 2), (27, 3)):
        cluster.advance(seconds)
        assert [kind for kind, _ in events.told(count)] == ["BOOKMARK"] * count
    wire.call("POST", "/apis/batch/v1/namespaces/default/jobs", job("elsewhere"))
    assert int(events.events[-1]["object"]["metadata"]["resourceVersion"]) == cluster.store.rv - 1
    cluster.advance(3)
    assert events.over()
    assert events.died is None


def test_a_watch_of_events_has_no_bookmarks(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire, PODS.replace("pods", "events"), allowWatchBookmarks="true", timeoutSeconds="150")
    cluster.advance(151)
    assert events.over()
    assert events.told(0) == []


def test_a_watch_ends_at_its_time(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire, timeoutSeconds="30")
    cluster.advance(29)
    assert len(cluster.watches()) == 1
    cluster.advance(2)
    assert events.over()


def test_a_version_that_is_forgotten_is_gone(cluster: FakeCluster, wire: Wire):
    rv = cluster.store.rv
    wire.call("POST", JOBS, job("a"))
    cluster.compact()
    events = list(wire.watch(JOBS, resourceVersion=rv))
    assert [one["type"] for one in events] == ["ERROR"]
    assert (events[0]["object"]["code"], events[0]["object"]["reason"]) == (410, "Expired")


def test_a_version_of_now_survives_forgetting(cluster: FakeCluster, wire: Wire):
    wire.call("POST", JOBS, job("a"))
    cluster.compact()
    events = begin(cluster, wire)
    wire.call("POST", JOBS, job("b"))
    assert events.told(1) == [("ADDED", "b")]


def test_gone_may_also_be_the_answer_itself(cluster: FakeCluster, wire: Wire):
    cluster.fail("watch jobs", status=410, times=2)
    answers = [wire.call("GET", JOBS, watch="true", resourceVersion="1").code for _ in range(2)]
    assert answers == [410, 410]


def test_watches_can_be_ended(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire)
    assert cluster.end_watches("watch jobs") == 1
    assert events.over()
    assert events.died is None


def test_watches_can_break(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire)
    cluster.cut_watches()
    assert events.over()
    assert events.died is not None


def test_watches_can_break_within_an_event(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire)
    cluster.fail("watch jobs", kind="cut", times=1)
    wire.call("POST", JOBS, job("a"))
    assert events.over()
    assert events.events == []
    assert events.died is not None


def test_watches_can_fall_silent(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire, timeoutSeconds="30")
    silence = cluster.fail("watch jobs", kind="silent")
    wire.call("POST", JOBS, job("a"))
    cluster.advance(100)
    time.sleep(0.1)
    assert events.events == []
    assert len(cluster.watches()) == 1
    cluster.heal(silence)
    assert events.told(1)[0] == ("ADDED", "a")


def test_a_client_that_goes_is_noticed(cluster: FakeCluster, wire: Wire):
    watch = wire.watch(JOBS)
    threading.Thread(target=lambda: next(watch, None), daemon=True).start()
    opened(cluster)
    wire.call("POST", JOBS, job("a"))
    until(lambda: not watch.gi_running)
    watch.close()
    until(lambda: not cluster.watches())


def test_what_was_delivered_is_known(cluster: FakeCluster, wire: Wire):
    events = begin(cluster, wire, PODS)
    wire.call("POST", JOBS, job("a"))
    cluster.advance(30)
    assert cluster.delivered()
    until(lambda: (events.events[-1]["object"]["status"].get("phase")) == "Succeeded")
