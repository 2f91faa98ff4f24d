"""Of all candidates for a Lease one holds it, whatever happens to them, to the API server or to the Lease."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.lease import LeaseElector, lease_name
from fmdj_cloud.control.kube.resources import LEASES
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import KubernetesSettings
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.faults import Fault

pytestmark = pytest.mark.integration
LEASE_S = 30.0
NAME = lease_name("lab")
Candidate = Callable[..., LeaseElector]


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def client(cluster: FakeCluster, tmp_path: Path) -> Iterator[KubeClient]:
    made = connect(cluster, tmp_path)
    yield made
    made.close()


@pytest.fixture
def candidate(cluster: FakeCluster, client: KubeClient) -> Candidate:
    def make(holder: str, *, name: str = NAME, hours_off: float = 0) -> LeaseElector:
        def now() -> dt.datetime:
            return cluster.clock.now() + dt.timedelta(hours=hours_off)

        return LeaseElector(client, name, holder, LEASE_S, cluster.clock, now=now)

    return make


def connect(cluster: FakeCluster, folder: Path, sleep: Callable[[float], None] = lambda _: None) -> KubeClient:
    kubernetes = KubernetesSettings(
        kubeconfig=cluster.kubeconfig(folder / "kubeconfig"), requests_per_s=1e6, request_burst=10**6
    )
    return KubeClient(kubernetes, clock=cluster.clock, sleep=sleep)


def spec(client: KubeClient, name: str = NAME) -> dict[str, Any]:
    return client.get(LEASES, name)["spec"]


def outage(**more: Any) -> Fault:
    return Fault("* leases", **({"status": 503} | more))


def test_the_first_holds_it_and_the_second_stands_by(candidate: Candidate, client: KubeClient) -> None:
    one, two = candidate("one"), candidate("two")
    assert one.hold()
    assert not two.hold()
    assert (one.held, two.held) == (True, False)
    assert one.leader == two.leader == spec(client)["holderIdentity"] == "one"
    assert client.get(LEASES, NAME)["metadata"]["labels"] == {labels.INSTANCE: "lab"}


def test_a_renewal_is_one_request(candidate: Candidate, client: KubeClient, cluster: FakeCluster) -> None:
    one = candidate("one")
    one.hold()
    began = spec(client)
    cluster.requests.clear()
    for _ in range(5):
        cluster.advance(10)
        assert one.hold()
    assert cluster.requests.counts() == {("update", "leases"): 5}
    now = spec(client)
    assert now["renewTime"] == "2026-01-31T12:00:50.000000Z"
    assert (now["acquireTime"], now["leaseTransitions"]) == (began["acquireTime"], 0)


def test_who_doesnt_renew_loses_it_a_lease_after_another_has_seen_it(
    candidate: Candidate, cluster: FakeCluster
) -> None:
    one, two = candidate("one"), candidate("two")
    one.hold()
    cluster.advance(1000)
    assert not two.hold(), "it has just seen the Lease for the first time"
    cluster.advance(29.9)
    assert not two.hold()
    cluster.advance(0.1)
    assert two.hold()
    assert not one.hold()
    assert one.leader == "two"


def test_every_renewal_that_is_seen_begins_the_wait_anew(candidate: Candidate, cluster: FakeCluster) -> None:
    one, two = candidate("one"), candidate("two")
    for _ in range(4):
        one.hold()
        assert not two.hold()
        cluster.advance(29)
    assert not two.hold()
    cluster.advance(1)
    assert two.hold()


@pytest.mark.parametrize("hours_off", [-100, 100])
def test_clocks_that_differ_dont_matter(candidate: Candidate, cluster: FakeCluster, hours_off: float) -> None:
    one, two = candidate("one", hours_off=hours_off), candidate("two")
    for _ in range(5):
        assert one.hold()
        assert not two.hold()
        cluster.advance(20)


def test_the_holder_says_how_long_it_may_be_silent(
    candidate: Candidate, client: KubeClient, cluster: FakeCluster
) -> None:
    one = LeaseElector(client, NAME, "one", 90, cluster.clock, now=cluster.clock.now)
    two = candidate("two")
    one.hold()
    two.hold()
    cluster.advance(80)
    assert not two.hold()
    cluster.advance(10)
    assert two.hold()


def test_a_lease_that_is_released_is_taken_at_once(candidate: Candidate, client: KubeClient) -> None:
    one, two = candidate("one"), candidate("two")
    one.hold()
    assert not two.hold()
    one.release()
    assert not one.held
    assert two.hold()
    assert (spec(client)["holderIdentity"], spec(client)["leaseTransitions"]) == ("two", 1)
    one.release()
    assert spec(client)["holderIdentity"] == "two", "what isn't held can't be released"


def test_of_many_who_ask_at_once_one_wins(client: KubeClient, cluster: FakeCluster) -> None:
    count = 8
    candidates = [LeaseElector(client, NAME, f"c{n}", LEASE_S, cluster.clock) for n in range(count)]
    start = threading.Barrier(count)

    def ask(elector: LeaseElector) -> bool:
        start.wait()
        return elector.hold()

    with ThreadPoolExecutor(count) as threads:
        assert sum(threads.map(ask, candidates)) == 1  # nobody had it
        cluster.advance(1)
        assert sum(threads.map(ask, candidates)) == 1  # the same goes on
        cluster.advance(LEASE_S)
        assert sum(threads.map(ask, candidates)) == 1  # it had run out for all


def test_a_paused_ex_leader_finds_out_before_it_acts(
    candidate: Candidate, client: KubeClient, cluster: FakeCluster
) -> None:
    one, two = candidate("one"), candidate("two")
    one.hold()
    two.hold()
    cluster.advance(LEASE_S)
    assert not one.held, "it knows by its own clock, whether or not it can ask"
    assert two.hold()
    assert not one.hold()
    with cluster.faults.during(outage()):
        assert not one.hold()
    assert spec(client)["holderIdentity"] == "two"


def test_a_pause_in_which_nobody_took_it_changes_nothing(
    candidate: Candidate, client: KubeClient, cluster: FakeCluster
) -> None:
    one = candidate("one")
    one.hold()
    cluster.advance(1000)
    assert one.hold()
    assert spec(client)["leaseTransitions"] == 0


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"status": 429}, {"kind": "drop"}])
def test_in_an_outage_it_is_held_until_it_runs_out(
    candidate: Candidate, cluster: FakeCluster, fault: dict[str, Any]
) -> None:
    one = candidate("one")
    one.hold()
    with cluster.faults.during(outage(**fault)):
        cluster.advance(29.9)
        assert one.hold()
        cluster.advance(0.1)
        assert not one.hold()
        cluster.advance(300)
        assert not one.hold()
    assert one.hold(), "nobody else took it"


def test_a_renewal_counts_from_when_it_was_sent(cluster: FakeCluster, tmp_path: Path) -> None:
    client = connect(cluster, tmp_path, sleep=lambda _: cluster.advance(8))
    one = LeaseElector(client, NAME, "one", LEASE_S, cluster.clock, now=cluster.clock.now)
    with cluster.faults.during(Fault("create leases", status=503, times=1)):
        assert one.hold()
    assert cluster.clock() == 8, "the client asked again"
    cluster.advance(21.9)
    assert one.held
    cluster.advance(0.1)
    assert not one.held
    client.close()


def test_an_outage_for_all_leaves_no_two_leaders_behind(candidate: Candidate, cluster: FakeCluster) -> None:
    one, two = candidate("one"), candidate("two")
    one.hold()
    two.hold()
    with cluster.faults.during(outage()):
        cluster.advance(20)
        assert (one.hold(), two.hold()) == (True, False)
        cluster.advance(280)
        assert (one.hold(), two.hold()) == (False, False)
    assert [two.hold(), one.hold()] == [True, False]


def test_an_api_that_never_answered_makes_no_leader(candidate: Candidate, cluster: FakeCluster) -> None:
    with cluster.faults.during(outage()):
        assert not candidate("one").hold()


def test_trouble_is_told_once(candidate: Candidate, cluster: FakeCluster, caplog: pytest.LogCaptureFixture) -> None:
    one = candidate("one")
    caplog.set_level(logging.WARNING, "fmdj_cloud")
    for _ in range(2):
        with cluster.faults.during(outage(status=403, message="no rights")):
            one.hold()
            one.hold()
        one.hold()
    told = [record.getMessage() for record in caplog.records if "Lease" in record.getMessage()]
    assert len(told) == 2
    assert "no rights" in told[0]


@pytest.mark.parametrize("first", ["create leases", "update leases"])
def test_a_write_whose_answer_was_lost_was_done(
    candidate: Candidate, client: KubeClient, cluster: FakeCluster, first: str
) -> None:
    one, two = candidate("one"), candidate("two")
    if first == "update leases":
        one.hold()
        cluster.advance(10)
    with cluster.faults.during(Fault(first, kind="drop", after=True)):
        one.hold()
    cluster.advance(10)
    assert one.hold()
    assert not two.hold()
    assert (spec(client)["holderIdentity"], spec(client)["leaseTransitions"]) == ("one", 0)


def test_a_lease_deleted_by_hand_is_made_again(candidate: Candidate, client: KubeClient) -> None:
    one = candidate("one")
    one.hold()
    client.delete(LEASES, NAME)
    assert one.hold()
    assert spec(client)["holderIdentity"] == "one"


def test_a_lease_labelled_by_hand_is_still_held(candidate: Candidate, client: KubeClient) -> None:
    one = candidate("one")
    one.hold()
    client.patch(LEASES, NAME, {"metadata": {"labels": {"lab": "yes"}}})
    assert one.hold()
    assert client.get(LEASES, NAME)["metadata"]["labels"]["lab"] == "yes"


@pytest.mark.parametrize("others", [{}, {labels.INSTANCE: "other"}])
def test_a_lease_that_isnt_ours_is_left_alone(candidate: Candidate, client: KubeClient, others: dict[str, str]) -> None:
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "labels": others},
        "spec": {"holderIdentity": "somebody"},
    }
    before = client.create(LEASES, body)
    with pytest.raises(ConfigError, match=r"The Lease lab-controller in namespace .* isn't this installation's"):
        candidate("one").hold()
    assert client.get(LEASES, NAME) == before


def test_installations_dont_see_each_others(candidate: Candidate) -> None:
    assert candidate("one").hold()
    assert candidate("one", name=lease_name("other")).hold()


def test_a_namespace_that_isnt_there_is_told(
    candidate: Candidate, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "fmdj_cloud")
    with cluster.faults.during(outage(status=404, message='namespaces "lab" not found')):
        assert not candidate("one").hold()
    assert 'namespaces "lab" not found' in caplog.text


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("advance"), st.sampled_from([1.0, 9.0, 15.0, 29.0, 30.0, 31.0])),
        st.tuples(st.just("hold"), st.integers(0, 2)),
        st.tuples(st.just("release"), st.integers(0, 2)),
        st.tuples(st.just("lost"), st.integers(0, 2)),
        st.tuples(st.just("away"), st.integers(0, 2)),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_never_do_two_hold_it(candidate: Candidate, client: KubeClient, cluster: FakeCluster, steps: list[Any]) -> None:
    """Whoever asks whenever, pauses as long as it likes, and loses answers or the API: no two believe they hold it."""
    name = lease_name(f"lab-{cluster.requests.count('create leases')}")
    all_of_them = [candidate(f"c{number}", name=name) for number in range(3)]
    for what, value in steps:
        if what == "advance":
            cluster.advance(value)
        elif what == "hold":
            held = all_of_them[value].hold()
            assert held == all_of_them[value].held
        elif what == "release":
            all_of_them[value].release()
        elif what == "lost":
            with cluster.faults.during(Fault("* leases", kind="drop", after=True, times=1)):
                all_of_them[value].hold()
        else:
            with cluster.faults.during(outage()):
                all_of_them[value].hold()
        assert sum(one.held for one in all_of_them) <= 1
