"""The Kubernetes launcher on a cluster: what it creates, adopts, stops and forgets, and what it sees."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.contracts import FailureClass, JobObservation, JobPhase, Outcome
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.error import KubeError
from fmdj_cloud.control.launchers.base import LauncherLostError, LaunchError
from fmdj_cloud.control.launchers.kubernetes.launcher import KubernetesLauncher
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import ProfileSettings
from tests.support.kube import behaviour as does
from tests.support.kube.cluster import FakeCluster
from tests.support.launching import Bench, bench

pytestmark = pytest.mark.integration
WHY = Outcome(
    failure_class=FailureClass.IMAGE, sentence="The image can't be pulled.", evidence={"reason": "ErrImagePull"}
)

FULL = "exceeded quota: few, requested: count/jobs.batch=1, used: count/jobs.batch=2, limited: count/jobs.batch=2"


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def lab(cluster: FakeCluster, tmp_path: Path) -> Iterator[Bench]:
    with bench(cluster, tmp_path) as made:
        yield made


def only(seen: dict[str, JobObservation]) -> JobObservation:
    (job,) = seen.values()
    return job


def writes(cluster: FakeCluster) -> dict[tuple[str, str], int]:
    verbs = ("create", "update", "patch", "delete")
    return {what: count for what, count in cluster.requests.counts().items() if what[0] in verbs}


class TestCreating:
    def test_a_job_is_made_and_seen_as_what_it_is(self, lab: Bench, cluster: FakeCluster):
        request = lab.request()
        uid = lab.launcher.create(request)
        job = only(lab.look())
        assert (job.name, job.run_id, job.attempt) == (request.name, request.run_id, 1)
        assert (job.uid, job.spec_sha256) == (uid, request.spec_sha256)
        assert job.phase is JobPhase.RUNNING
        assert job.log == f"kubectl logs --namespace lab job/{request.name}"

    def test_it_is_seen_before_the_cluster_tells_of_it(self, lab: Bench):
        lab.cache.refresh()
        lab.launch()
        assert len(lab.launcher.observe()) == 1

    def test_its_pod_is_its_folder_and_its_machine(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.stay())
        request = lab.launch()
        cluster.advance(60)
        job = only(lab.look())
        (pod,) = cluster.pods_of(request.name)
        assert job.nonces == (pod["metadata"]["uid"],)
        assert job.node == "node-1"
        assert job.waiting == ""

    def test_the_time_on_its_machine_is_known_once_it_is_over(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.succeed(lasts_s=100))
        lab.launch()
        cluster.advance(50)
        assert only(lab.look()).on_node_s is None
        cluster.advance(500)
        assert only(lab.look()).on_node_s == pytest.approx(101, abs=5)

    def test_one_of_the_same_spec_is_adopted(self, lab: Bench, cluster: FakeCluster):
        uid = lab.launcher.create(lab.request())
        assert lab.launcher.create(lab.request()) == uid
        assert cluster.requests.codes("create jobs") == {201: 1, 409: 1}

    def test_one_that_has_ended_is_adopted_too(self, lab: Bench, cluster: FakeCluster):
        uid = lab.launcher.create(lab.request())
        cluster.advance(60)
        assert lab.launcher.create(lab.request()) == uid

    def test_one_of_another_spec_is_replaced_once_it_is_gone(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.stay())
        first = lab.launcher.create(lab.request(spec="old"))
        cluster.advance(10)
        with pytest.raises(LaunchError, match="still ending"):
            lab.launcher.create(lab.request(spec="new"))
        assert len(cluster.pods_of(lab.request().name)) == 1
        with pytest.raises(LaunchError, match="still ending"):
            lab.launcher.create(lab.request(spec="new"))
        cluster.advance(60)
        assert lab.launcher.create(lab.request(spec="new")) != first
        assert only(lab.look()).spec_sha256 == lab.request(spec="new").spec_sha256

    def test_one_of_another_spec_without_a_pod_is_replaced_at_once(self, lab: Bench, cluster: FakeCluster):
        cluster.jobs.paused = True
        first = lab.launcher.create(lab.request(spec="old"))

        def collect(_: Any) -> bool:
            cluster.collector.sync()
            return False

        cluster.api.allowed = lambda request: not collect(request)
        assert lab.launcher.create(lab.request(spec="new")) != first

    def test_one_that_is_being_deleted_is_not_adopted(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.stay())
        lab.launch()
        cluster.advance(10)
        cluster.delete("jobs", lab.request().name, policy="Foreground")
        with pytest.raises(LaunchError, match="still ending"):
            lab.launcher.create(lab.request())

    def test_one_that_is_not_ours_is_left_alone_and_named(self, lab: Bench, cluster: FakeCluster, tmp_path: Path):
        cluster.jobs.paused = True
        lab.launch()
        cluster.edit("jobs", lab.request().name, lambda job: job["metadata"]["labels"].update({labels.INSTANCE: "x"}))
        with pytest.raises(
            ConfigError, match=rf"The Job {lab.request().name} in namespace lab isn't this installation's"
        ):
            lab.launcher.create(lab.request())
        assert cluster.requests.count("delete *") == 0
        assert lab.look() == {}

    def test_two_controllers_make_one(self, lab: Bench, cluster: FakeCluster, tmp_path: Path):
        with bench(cluster, tmp_path) as other:
            assert lab.launcher.create(lab.request()) == other.launcher.create(lab.request())

    def test_releases_of_one_namespace_never_see_each_other_s(self, lab: Bench, cluster: FakeCluster, tmp_path: Path):
        with bench(cluster, tmp_path, instance="lab-2") as other:
            lab.launch()
            other.launch()
            cluster.advance(5)
            assert set(lab.look()) == {lab.request().name}
            assert set(other.look()) == {other.request().name}

    def test_what_was_made_though_nobody_heard_of_it_is_found(self, lab: Bench, cluster: FakeCluster):
        cluster.fail("create jobs", kind="drop", after=True, times=1)
        uid = lab.launcher.create(lab.request())
        assert only(lab.look()).uid == uid
        assert len(cluster.list("jobs")) == 1


class TestRefusedCreation:
    def test_what_can_never_work_is_final(self, lab: Bench, cluster: FakeCluster):
        message = 'admission webhook "policy.example.com" denied the request: images must be signed'
        cluster.fail("create jobs", status=403, reason="Forbidden", message=message)
        with pytest.raises(ConfigError, match="images must be signed"):
            lab.launcher.create(lab.request())

    def test_a_full_quota_waits_and_is_not_asked_again_for_every_job(self, lab: Bench, cluster: FakeCluster):
        fault = cluster.fail("create jobs", status=403, reason="Forbidden", message=FULL)
        for number in range(200):
            with pytest.raises(LaunchError, match="exceeded quota"):
                lab.launcher.create(lab.request(number))
        assert cluster.requests.count("create jobs") == 1
        cluster.heal(fault)
        cluster.advance(20)
        for number in range(200):
            lab.launcher.create(lab.request(number))

    def test_another_profile_is_not_held_back_by_it(self, cluster: FakeCluster, tmp_path: Path):
        profiles = {name: ProfileSettings(image="registry/worker:1") for name in ("default", "big")}
        with bench(cluster, tmp_path, profiles=profiles) as lab:
            cluster.fail("create jobs", status=403, reason="Forbidden", message=FULL, times=1)
            with pytest.raises(LaunchError):
                lab.launcher.create(lab.request(1))
            with pytest.raises(LaunchError):
                lab.launcher.create(lab.request(2))
            lab.launcher.create(lab.request(3, profile="big"))

    def test_an_api_server_in_trouble_is_left_in_peace(self, lab: Bench, cluster: FakeCluster):
        cluster.fail("create jobs", status=500)
        for number in range(50):
            with pytest.raises(LaunchError):
                lab.launcher.create(lab.request(number))
        assert cluster.requests.count("create jobs") <= 4

    def test_launches_keep_to_their_rate(self, cluster: FakeCluster, tmp_path: Path):
        slept: list[float] = []
        with bench(cluster, tmp_path, launches_per_s=10) as lab:
            launcher = KubernetesLauncher(
                lab.settings, lab.client, lab.cache, clock=cluster.clock, sleep=slept.append, now=cluster.clock.now
            )
            for number in range(70):  # five seconds' worth goes at once
                launcher.create(lab.request(number))
        assert slept[-1] == pytest.approx(2.0)


class TestEnding:
    def test_success_is_seen_with_the_worker_s_word(self, lab: Bench, cluster: FakeCluster):
        word = '{"code": "done", "exit_code": 0, "manifest_sha256": "abc"}'
        cluster.script("*", does.fail(0, word))
        lab.launch()
        cluster.advance(60)
        job = only(lab.look())
        assert job.phase is JobPhase.ENDED
        assert job.outcome is not None
        assert job.outcome.ok
        assert job.outcome.manifest_sha256 == "abc"

    def test_failure_is_seen_with_its_class(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.oom(code=0))
        lab.launch()
        cluster.advance(60)
        job = only(lab.look())
        assert job.outcome is not None
        assert job.outcome.failure_class is FailureClass.MEMORY

    def test_a_pod_that_is_gone_still_tells_how_it_ended(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.troubled("eviction-api", after_s=5))
        request = lab.launch()
        cluster.advance(4)
        lab.look()
        cluster.advance(120)
        assert cluster.pods_of(request.name) == []
        job = only(lab.look())
        assert job.phase is JobPhase.ENDED
        assert job.outcome is not None
        assert job.outcome.failure_class is FailureClass.DISRUPTED
        assert len(job.nonces) == 1

    def test_a_job_deleted_by_hand_is_not_over_before_its_pod_is(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.Behaviour(lasts_s=None, stop_s=20))
        request = lab.launch()
        cluster.advance(10)
        cluster.delete("jobs", request.name, policy="Background")
        assert cluster.find("jobs", request.name) is None
        job = only(lab.look())
        assert (job.name, job.run_id, job.phase) == (request.name, request.run_id, JobPhase.RUNNING)
        assert job.spec_sha256 == request.spec_sha256
        cluster.advance(60)
        assert lab.look() == {}
        assert lab.launcher.is_gone(request.name)

    def test_pods_left_behind_by_a_deleted_job_count_until_they_end(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.succeed(lasts_s=100))
        request = lab.launch()
        cluster.advance(10)
        cluster.delete("jobs", request.name, policy="Orphan")
        cluster.settle()
        assert only(lab.look()).phase is JobPhase.RUNNING
        cluster.advance(200)
        assert only(lab.look()).phase is JobPhase.ENDED
        lab.launcher.forget(request.name)
        assert lab.look() == {}

    def test_a_clock_that_is_months_off_ends_no_patience(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.bad_image())
        lab.launcher = KubernetesLauncher(lab.settings, lab.client, lab.cache, clock=cluster.clock)
        lab.launch()
        cluster.advance(60)
        assert only(lab.look()).give_up is None, "the cluster's time is another than this machine's"
        cluster.advance(lab.settings.kubernetes.image_grace_s)
        gives_up = only(lab.look()).give_up
        assert gives_up is not None
        assert gives_up.failure_class is FailureClass.IMAGE

    def test_a_pod_on_a_dead_node_is_told_as_leaked(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.stay())
        request = lab.launch()
        cluster.advance(10)
        cluster.lose_node("node-1")
        cluster.advance(400)
        assert only(lab.look()).phase is JobPhase.RUNNING
        cluster.advance(400)
        job = only(lab.look())
        assert (job.phase, job.leaked) == (JobPhase.ENDED, True)
        assert job.outcome is not None
        assert job.outcome.failure_class is FailureClass.DISRUPTED
        lab.launcher.forget(request.name)
        assert lab.look() == {}


class TestStopping:
    def test_a_job_is_over_only_when_its_pod_is(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.Behaviour(lasts_s=None, stop_s=20))
        request = lab.launch()
        cluster.advance(10)
        lab.look()
        lab.launcher.stop(request.name)
        assert only(lab.look()).phase is JobPhase.RUNNING
        cluster.advance(10)
        assert only(lab.look()).phase is JobPhase.RUNNING
        cluster.advance(15)
        assert lab.look() == {}

    def test_it_is_asked_for_once(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.stubborn())
        request = lab.launch()
        cluster.advance(10)
        lab.look()
        for _ in range(5):
            lab.launcher.stop(request.name, WHY)
            lab.look()
        assert cluster.requests.count("delete jobs") == 1
        assert cluster.requests.count("patch jobs") == 1

    def test_one_given_up_ends_with_the_reason_why(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.bad_image())
        request = lab.launch()
        cluster.advance(10)
        uid = only(lab.look()).uid
        lab.launcher.stop(request.name, WHY)
        cluster.advance(60)
        job = only(lab.look())
        assert cluster.find("jobs", request.name) is None
        assert (job.phase, job.outcome, job.uid, job.run_id) == (JobPhase.ENDED, WHY, uid, request.run_id)
        lab.launcher.forget(request.name)
        assert lab.look() == {}

    def test_one_given_up_is_not_taken_for_its_successor(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.bad_image())
        request = lab.launch()
        cluster.advance(10)
        lab.look()
        lab.launcher.stop(request.name, WHY)
        cluster.advance(60)
        lab.look()
        lab.launcher.create(request)
        assert only(lab.look()).phase is JobPhase.RUNNING
        cluster.delete("jobs", request.name)
        cluster.advance(60)
        assert lab.look() == {}

    def test_the_reason_survives_the_controller(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.Behaviour(lasts_s=None, stop_s=20))
        request = lab.launch()
        cluster.advance(10)
        lab.look()
        lab.launcher.stop(request.name, WHY)
        lab.restart()
        job = only(lab.look())
        assert (job.phase, job.give_up) == (JobPhase.RUNNING, WHY)
        lab.launcher.stop(request.name, job.give_up)
        cluster.advance(60)
        assert only(lab.look()).outcome == WHY

    def test_a_reason_noted_without_a_deletion_is_followed_by_it(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.stay())
        request = lab.launch()
        cluster.advance(10)
        lab.look()
        cluster.fail("delete jobs", status=503)
        with pytest.raises(KubeError):
            lab.launcher.stop(request.name, WHY)
        cluster.heal()
        lab.restart()
        job = only(lab.look())
        assert job.give_up == WHY
        lab.launcher.stop(request.name, job.give_up)
        cluster.advance(60)
        assert only(lab.look()).outcome == WHY

    def test_a_pod_cannot_start_after_giving_up(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.bad_image(heals_s=30))
        request = lab.launch()
        cluster.advance(20)
        lab.look()
        lab.launcher.stop(request.name, WHY)
        cluster.advance(300)
        assert only(lab.look()).phase is JobPhase.ENDED
        assert cluster.list("pods") == []

    def test_another_job_of_that_name_is_not_touched(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        lab.look()
        cluster.delete("jobs", request.name, policy="Background")
        cluster.settle()
        with bench(cluster, Path(lab.settings.kubernetes.kubeconfig or "").parent) as other:
            uid = other.launcher.create(request)
        lab.launcher.stop(request.name)
        lab.launcher.stop(request.name, WHY)
        assert cluster.get("jobs", request.name)["metadata"]["uid"] == uid
        assert labels.GIVEN_UP not in cluster.get("jobs", request.name)["metadata"]["annotations"]
        assert "deletionTimestamp" not in cluster.get("jobs", request.name)["metadata"]

    def test_one_that_does_not_exist_is_nothing_to_stop(self, lab: Bench, cluster: FakeCluster):
        lab.look()
        lab.launcher.stop("lab-svd-0000000000000000-a1", WHY)
        assert writes(cluster) == {}
        assert lab.look() == {}


class TestForgetting:
    def test_a_job_that_is_over_goes_with_its_pod(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        cluster.advance(60)
        lab.look()
        lab.launcher.forget(request.name)
        assert lab.look() == {}
        assert cluster.list("jobs") == []
        assert cluster.list("pods") == []

    def test_it_is_asked_for_once_even_if_the_cache_is_late(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        cluster.advance(60)
        lab.look()
        for _ in range(5):
            lab.launcher.forget(request.name)
            assert lab.launcher.observe() == ()
        assert cluster.requests.count("delete jobs") == 1

    def test_one_that_runs_is_left_alone(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.stay())
        request = lab.launch()
        cluster.advance(10)
        lab.look()
        lab.launcher.forget(request.name)
        assert only(lab.look()).phase is JobPhase.RUNNING

    def test_the_name_can_be_used_again(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        cluster.advance(60)
        lab.look()
        lab.launcher.forget(request.name)
        uid = lab.launcher.create(request)
        assert only(lab.look()).uid == uid

    def test_a_job_that_succeeds_costs_two_requests(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        cluster.advance(60)
        lab.look()
        lab.launcher.forget(request.name)
        lab.look()
        assert writes(cluster) == {("create", "jobs"): 1, ("delete", "jobs"): 1}


class TestKnowing:
    def test_nothing_is_said_before_everything_was_listed(self, lab: Bench):
        with pytest.raises(LaunchError, match="hasn't been asked yet what jobs and pods and events there are"):
            lab.launcher.observe()

    def test_what_is_too_old_is_not_gone_by(self, lab: Bench, cluster: FakeCluster):
        lab.look()
        cluster.clock.seconds += lab.settings.kubernetes.stale_s - 1
        lab.launcher.observe()
        cluster.clock.seconds += 2
        with pytest.raises(LauncherLostError, match=r"kubernetes\.stale_s"):
            lab.launcher.observe()

    def test_whether_one_is_gone_is_asked_directly(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        assert not lab.launcher.is_gone(request.name)
        cluster.delete("jobs", request.name)
        cluster.settle()
        assert lab.launcher.is_gone(request.name)
        with cluster.outage(), pytest.raises(LaunchError):
            lab.launcher.is_gone(request.name)

    @pytest.mark.parametrize(
        "change",
        [
            lambda found: found.pop(labels.RUN),
            lambda found: found.pop(labels.ATTEMPT),
            lambda found: found.update({labels.ATTEMPT: "x"}),
            lambda found: found.update({labels.ATTEMPT: "9" * 40}),
            lambda found: found.update({labels.ATTEMPT: "7"}),
            lambda found: found.update({labels.RUN: "svd-ffffffffffffffff"}),
        ],
    )
    def test_one_whose_labels_say_nothing_belongs_to_no_run(self, lab: Bench, cluster: FakeCluster, change: Any):
        request = lab.launch()
        cluster.edit("jobs", request.name, lambda job: change(job["metadata"]["labels"]))
        job = only(lab.look())
        assert (job.name, job.run_id) == (request.name, "")

    def test_why_it_waits_is_told_by_events(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.unschedulable(scale_up="triggered"))
        lab.launch()
        cluster.advance(30)
        assert only(lab.look()).waiting != ""
        assert only(lab.look()).give_up is None

    def test_patience_ends_though_nothing_happens(self, cluster: FakeCluster, tmp_path: Path):
        cluster.script("*", does.unschedulable())
        with bench(cluster, tmp_path, unschedulable_grace_s=60) as lab:
            lab.launch()
            cluster.advance(30)
            assert only(lab.look()).give_up is None
            cluster.clock.seconds += 100  # and nobody tells anything
            (job,) = lab.launcher.observe()
            assert job.give_up is not None
            assert job.give_up.failure_class is FailureClass.UNSCHEDULABLE

    def test_what_became_of_a_run_is_told_on_its_job(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        lab.look()
        lab.launcher.tell(request.name, "Failed", "The video is cut off.")
        lab.launcher.tell("nobody", "Failed", "The video is cut off.")
        (event,) = [event for event in cluster.list("events") if event["reason"] == "Failed"]
        assert event["involvedObject"]["name"] == request.name
        assert event["message"] == "The video is cut off."


class TestLogs:
    def test_the_newest_pod_s_is_read(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.Behaviour(exit=does.Exit(1, log="Traceback ...\n")))
        request = lab.launch()
        cluster.advance(60)
        lab.look()
        assert "Traceback" in lab.launcher.read_log(request.name)

    def test_one_that_never_started_has_none(self, lab: Bench, cluster: FakeCluster):
        cluster.script("*", does.bad_image())
        request = lab.launch()
        assert lab.launcher.read_log(request.name) == ""
        cluster.advance(60)
        lab.look()
        assert lab.launcher.read_log(request.name) == ""

    def test_a_machine_that_does_not_answer_keeps_no_run_from_ending(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        cluster.advance(5)
        lab.look()
        cluster.fail("get pods/log", status=500, message="Get https://10.0.0.1:10250/containerLogs: i/o timeout")
        assert lab.launcher.read_log(request.name) == ""

    def test_an_api_server_that_does_not_answer_does(self, lab: Bench, cluster: FakeCluster):
        request = lab.launch()
        cluster.advance(5)
        lab.look()
        with cluster.outage(), pytest.raises(LaunchError):
            lab.launcher.read_log(request.name)


def test_two_hundred_jobs_cost_few_requests_and_none_to_wait_for_them(lab: Bench, cluster: FakeCluster):
    cache = lab.new_cache(lab.new_client())
    cache.start()
    assert cache.wait_synced(20)
    launcher = lab.new_launcher(lab.client, cache)
    requests = [lab.request(number) for number in range(200)]
    for request in requests:
        launcher.create(request)
    assert len(launcher.observe()) == 200
    for _ in range(20):
        cluster.advance(5)
        assert cluster.delivered()
        launcher.observe()
    give_up = time.monotonic() + 20
    while not all(job.phase is JobPhase.ENDED for job in launcher.observe()):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    for request in requests:
        launcher.forget(request.name)
    assert launcher.observe() == ()
    cache.stop()
    assert writes(cluster) == {("create", "jobs"): 200, ("delete", "jobs"): 200}
    assert cluster.requests.count() < 3 * 200
