"""Events say what happens to objects of ours, count what is said again, and cost nobody anything when they fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.recorder import EventRecorder, reference
from fmdj_cloud.control.kube.resources import EVENTS
from fmdj_cloud.settings import KubernetesSettings
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.faults import Fault

pytestmark = pytest.mark.integration
JOB = reference("Job", "fmdj-lab-svd-1-a1", "0f7a1a2e-7b0a-4b7e-9b2b-2d6f3a1c0d11")
RUN = reference("FacemapRun", "mice", "1f7a1a2e-7b0a-4b7e-9b2b-2d6f3a1c0d22")


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def client(cluster: FakeCluster, tmp_path: Path) -> Iterator[KubeClient]:
    kubernetes = KubernetesSettings(kubeconfig=cluster.kubeconfig(tmp_path / "kubeconfig"))
    made = KubeClient(kubernetes, clock=cluster.clock, sleep=cluster.advance)
    yield made
    made.close()


@pytest.fixture
def recorder(cluster: FakeCluster, client: KubeClient) -> EventRecorder:
    return EventRecorder(client, "fmdj-controller", "lab", clock=cluster.clock, now=cluster.clock.now)


def events(client: KubeClient) -> list[dict[str, Any]]:
    return client.list(EVENTS).items


def test_an_event_says_what_happened_to_what(recorder: EventRecorder, client: KubeClient) -> None:
    recorder.record(JOB, "Warning", "OutOfMemory", "Attempt 1 ran out of memory.")
    (event,) = events(client)
    assert event["involvedObject"] == {**JOB, "namespace": client.namespace}
    assert (event["type"], event["reason"], event["message"]) == (
        "Warning",
        "OutOfMemory",
        "Attempt 1 ran out of memory.",
    )
    assert event["source"] == {"component": "fmdj-controller"}
    assert event["reportingComponent"] == "fmdj-controller"
    assert event["metadata"]["labels"] == {labels.INSTANCE: "lab"}
    assert event["metadata"]["name"].startswith(f"{JOB['name']}.")
    assert event["count"] == 1
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-31T12:00:00Z"


def test_a_facemaprun_is_named_with_its_group(recorder: EventRecorder, client: KubeClient) -> None:
    recorder.record(RUN, "Normal", "Accepted", "12 tasks are selected.")
    assert events(client)[0]["involvedObject"]["apiVersion"] == "fmdj.dev/v1alpha1"


def test_what_is_said_again_is_counted(recorder: EventRecorder, client: KubeClient, cluster: FakeCluster) -> None:
    for _ in range(3):
        recorder.record(JOB, "Normal", "Queued", "It waits for a node.")
        cluster.advance(20)
    (event,) = events(client)
    assert event["count"] == 3
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-01-31T12:00:00Z", "2026-01-31T12:00:40Z")


@pytest.mark.parametrize(
    "other",
    [
        (RUN, "Normal", "Queued", "It waits."),
        (JOB, "Warning", "Queued", "It waits."),
        (JOB, "Normal", "Waiting", "It waits."),
        (JOB, "Normal", "Queued", "It waits again."),
    ],
)
def test_what_differs_is_another_event(recorder: EventRecorder, client: KubeClient, other: Any) -> None:
    recorder.record(JOB, "Normal", "Queued", "It waits.")
    recorder.record(*other)
    assert [event["count"] for event in events(client)] == [1, 1]
    assert len({event["metadata"]["name"] for event in events(client)}) == 2


def test_one_object_has_a_few_events_a_minute(
    recorder: EventRecorder, client: KubeClient, cluster: FakeCluster
) -> None:
    for number in range(60):
        recorder.record(JOB, "Normal", "Progress", f"Frame {number}.")
        cluster.advance(1)
    recorder.record(RUN, "Normal", "Accepted", "12 tasks are selected.")
    kinds = [event["involvedObject"]["kind"] for event in events(client)]
    assert (kinds.count("Job"), kinds.count("FacemapRun")) == (4 + 2, 1), "four at once, then one in 20 s"


def test_what_was_too_much_is_told_later(recorder: EventRecorder, client: KubeClient, cluster: FakeCluster) -> None:
    for _ in range(100):
        recorder.record(JOB, "Normal", "Queued", "It waits for a node.")
    assert events(client)[0]["count"] == 4
    cluster.advance(20)
    recorder.record(JOB, "Normal", "Queued", "It waits for a node.")
    assert events(client)[0]["count"] == 101
    assert cluster.requests.count("* events") <= 5 + 2  # two of the test itself


def test_many_objects_share_a_rate(recorder: EventRecorder, cluster: FakeCluster) -> None:
    for number in range(500):
        recorder.record(reference("Job", f"j{number}", f"uid-{number}"), "Normal", "Launched", "It is launched.")
    assert cluster.requests.count("create events") == 40


def test_an_event_that_kubernetes_forgot_is_said_anew(
    recorder: EventRecorder, client: KubeClient, cluster: FakeCluster
) -> None:
    recorder.record(JOB, "Normal", "Queued", "It waits for a node.")
    (event,) = events(client)
    client.delete(EVENTS, event["metadata"]["name"])
    cluster.advance(3700)
    recorder.record(JOB, "Normal", "Queued", "It waits for a node.")
    (again,) = events(client)
    assert again["metadata"]["name"] != event["metadata"]["name"]
    assert (again["count"], again["firstTimestamp"]) == (2, "2026-01-31T12:00:00Z")


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 500}, {"status": 503}, {"kind": "drop"}])
def test_trouble_is_logged_once_and_waited_out(
    recorder: EventRecorder,
    client: KubeClient,
    cluster: FakeCluster,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
) -> None:
    caplog.set_level(logging.WARNING, "fmdj_cloud")
    with cluster.faults.during(Fault("* events", **fault)):
        for number in range(50):
            recorder.record(reference("Job", f"j{number}", f"uid-{number}"), "Normal", "Launched", "It is launched.")
        assert cluster.requests.count("create events") == 1, "an outage costs one request a minute"
        cluster.advance(61)
        recorder.record(JOB, "Normal", "Launched", "It is launched.")
        assert cluster.requests.count("create events") == 2
    assert len([record for record in caplog.records if "Events" in record.getMessage()]) == 1
    cluster.advance(61)
    recorder.record(JOB, "Normal", "Launched", "It is launched.")
    assert [event["count"] for event in events(client)] == [2]


def test_a_long_message_is_cut_to_the_bytes_that_kubernetes_takes(recorder: EventRecorder, client: KubeClient) -> None:
    recorder.record(JOB, "Warning", "Failed", "ü" * 2000)
    message = events(client)[0]["message"]
    assert len(message.encode()) <= 1024
    assert message == "ü" * 510 + "…"


def test_what_a_stranger_has_named_does_nothing_on_a_terminal(recorder: EventRecorder, client: KubeClient) -> None:
    recorder.record(JOB, "Warning", "Failed", "The video \x1b[2Jgone.avi is")
    assert events(client)[0]["message"] == r"The video \x1b[2Jgone.avi is"


def test_long_names_leave_room_for_what_makes_them_unique(recorder: EventRecorder, client: KubeClient) -> None:
    for uid in ("uid-1", "uid-2"):
        recorder.record(reference("FacemapRun", "m" * 253, uid), "Normal", "Accepted", "Accepted.")
    names = {event["metadata"]["name"] for event in events(client)}
    assert len(names) == 2
    assert all(len(name) <= 253 for name in names)


def test_what_is_remembered_is_bounded(recorder: EventRecorder, cluster: FakeCluster) -> None:
    with cluster.faults.during(Fault("* events", status=403)):
        for number in range(10_000):
            recorder.record(reference("Job", f"j{number}", f"uid-{number}"), "Normal", "Launched", "It is launched.")
    assert len(recorder._said) <= 4096
    assert len(recorder._buckets) <= 4096
