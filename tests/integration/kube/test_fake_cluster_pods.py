"""Lives of Jobs and pods in the fake cluster, as their statuses and Events tell them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.kube import behaviour as does
from tests.support.kube.admissions import by_broken_webhook, by_quota, by_webhook
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.errors import ApiError
from tests.support.kube.strict_schemas import schema_problems
from tests.support.kube.wire import JOBS, PODS, Wire, job

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def wire(cluster: FakeCluster) -> Wire:
    return Wire(cluster)


def pod_of(cluster: FakeCluster, name: str = "a") -> dict[str, Any]:
    (pod,) = cluster.pods_of(name)
    return pod


def conditions(obj: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in obj["status"].get("conditions", ())}


def state(pod: dict[str, Any]) -> dict[str, Any]:
    return pod["status"]["containerStatuses"][0]["state"]


def reasons(cluster: FakeCluster, name: str) -> list[str]:
    return [event["reason"] for event in cluster.events_of(name)]


class TestOrdinaryLives:
    def test_nothing_happens_until_the_cluster_is_moved(self, cluster: FakeCluster):
        cluster.create(job())
        assert cluster.pods_of("a") == []
        cluster.settle()
        assert pod_of(cluster)["status"]["phase"] == "Pending"

    def test_a_job_runs_and_completes(self, cluster: FakeCluster):
        cluster.create(job())
        cluster.step()
        pod = pod_of(cluster)
        assert pod["status"]["phase"] == "Running"
        assert conditions(pod)["Ready"]["status"] == "True"
        assert cluster.get("jobs", "a")["status"]["active"] == 1
        cluster.advance(10)
        assert state(pod_of(cluster))["terminated"]["reason"] == "Completed"
        done = cluster.get("jobs", "a")
        assert list(conditions(done)) == ["SuccessCriteriaMet", "Complete"]
        assert (done["status"]["succeeded"], done["status"]["ready"]) == (1, 0)
        assert done["status"]["completionTime"] == cluster.clock.stamp()
        assert reasons(cluster, "a") == ["SuccessfulCreate", "Completed"]

    def test_a_failure_ends_the_job_with_what_it_said(self, cluster: FakeCluster):
        cluster.script(None, does.fail(12, '{"class": "input"}'))
        cluster.create(job())
        cluster.advance(5)
        terminated = state(pod_of(cluster))["terminated"]
        assert (terminated["exitCode"], terminated["message"]) == (12, '{"class": "input"}')
        failed = cluster.get("jobs", "a")
        assert list(conditions(failed)) == ["FailureTarget", "Failed"]
        assert conditions(failed)["Failed"]["reason"] == "BackoffLimitExceeded"
        assert failed["status"]["failed"] == 1

    def test_every_step_of_a_job_s_end_is_a_version_of_its_own(self, cluster: FakeCluster):
        cluster.script(None, does.fail(1))
        rv = int(cluster.create(job())["metadata"]["resourceVersion"])
        cluster.advance(5)
        seen = [
            (change.new.obj["status"].get("failed"), list(conditions(change.new.obj)))
            for change in cluster.store.table(cluster.registry.named("jobs")).since(rv)
        ]
        assert (None, ["FailureTarget"]) in seen
        assert seen[-1] == (1, ["FailureTarget", "Failed"])

    @pytest.mark.parametrize("code", [137, 0])
    def test_oom_may_come_with_any_exit_code(self, cluster: FakeCluster, code: int):
        cluster.script(None, does.oom(code))
        cluster.create(job())
        cluster.advance(5)
        assert state(pod_of(cluster))["terminated"]["reason"] == "OOMKilled"
        assert pod_of(cluster)["status"]["phase"] == ("Failed" if code else "Succeeded")

    def test_a_function_is_run_with_what_the_container_is_given(self, cluster: FakeCluster):
        seen: list[does.ContainerStart] = []

        def work(start: does.ContainerStart) -> does.Exit:
            seen.append(start)
            return does.Exit(3, "said", log="wrote\n")

        cluster.script("a", does.succeed(work))
        cluster.create(job())
        cluster.step()
        uid = pod_of(cluster)["metadata"]["uid"]
        assert seen[0].env["POD_UID"] == seen[0].arg("--nonce") == uid
        assert pod_of(cluster)["status"]["phase"] == "Running"
        cluster.advance(10)
        assert state(pod_of(cluster))["terminated"]["exitCode"] == 3

    def test_what_runs_by_itself_is_asked_until_it_ends(self, cluster: FakeCluster):
        class Process:
            told: does.Exit | None = None
            stopped = False

            def poll(self) -> does.Exit | None:
                return self.told

            def terminate(self) -> None:
                self.stopped = True

            def kill(self) -> None:
                self.told = does.Exit(137)

            def log(self) -> str:
                return "so far"

        made: list[Process] = []

        def work(start: does.ContainerStart) -> Process:
            made.append(Process())
            return made[-1]

        cluster.script(None, does.succeed(work))
        cluster.create(job())
        cluster.advance(100)
        assert pod_of(cluster)["status"]["phase"] == "Running"
        cluster.delete("pods", pod_of(cluster)["metadata"]["name"])
        cluster.advance(29)
        assert made[0].stopped
        assert pod_of(cluster)["status"]["phase"] == "Running"
        cluster.advance(2)
        assert cluster.get("jobs", "a")["status"]["failed"] == 1

    def test_pods_of_one_job_may_live_differently(self, cluster: FakeCluster):
        cluster.script("a", does.fail(1), does.succeed())
        cluster.create(job(backoffLimit=1))
        cluster.advance(60)
        assert [pod["status"]["phase"] for pod in cluster.pods_of("a")] == ["Failed", "Succeeded"]
        assert list(conditions(cluster.get("jobs", "a")))[-1] == "Complete"

    def test_a_deadline_counts_pending_time_too(self, cluster: FakeCluster):
        cluster.script(None, does.Behaviour(gates=True))
        cluster.create(job(activeDeadlineSeconds=20))
        cluster.advance(30)
        assert conditions(cluster.get("jobs", "a"))["Failed"]["reason"] == "DeadlineExceeded"
        assert cluster.pods_of("a") == []

    def test_an_ended_job_goes_after_its_time(self, cluster: FakeCluster):
        cluster.create(job(ttlSecondsAfterFinished=100))
        cluster.advance(109)
        assert cluster.find("jobs", "a") is not None
        cluster.advance(3)
        assert cluster.find("jobs", "a") is None
        assert cluster.pods_of("a") == []

    def test_a_suspended_job_has_no_pod_until_it_is_resumed(self, cluster: FakeCluster, wire: Wire):
        cluster.create(job(suspend=True))
        cluster.advance(5)
        assert cluster.pods_of("a") == []
        assert conditions(cluster.get("jobs", "a"))["Suspended"]["status"] == "True"
        assert "startTime" not in cluster.get("jobs", "a")["status"]
        wire.patch(f"{JOBS}/a", {"spec": {"suspend": False}})
        cluster.step()
        assert conditions(cluster.get("jobs", "a"))["Suspended"]["status"] == "False"
        assert pod_of(cluster)["status"]["phase"] == "Running"


class TestPodsThatDoNotStart:
    def test_an_image_that_is_not_there_is_tried_again_and_again(self, cluster: FakeCluster):
        cluster.script(None, does.bad_image())
        cluster.create(job())
        seen = set()
        for _ in range(60):
            cluster.step()
            seen.add(state(pod_of(cluster))["waiting"]["reason"])
        assert seen == {"ErrImagePull", "ImagePullBackOff"}
        assert pod_of(cluster)["status"]["phase"] == "Pending"
        assert {"Pulling", "Failed", "BackOff"} <= set(reasons(cluster, pod_of(cluster)["metadata"]["name"]))

    def test_an_image_may_come_after_all(self, cluster: FakeCluster):
        cluster.script(None, does.bad_image(heals_s=100))
        cluster.create(job())
        cluster.advance(102)
        assert pod_of(cluster)["status"]["phase"] == "Running"

    def test_an_image_s_name_is_read(self, cluster: FakeCluster):
        body = job()
        body["spec"]["template"]["spec"]["containers"][0]["image"] = "Registry/Worker:1"
        cluster.create(body)
        cluster.step()
        assert state(pod_of(cluster))["waiting"]["reason"] == "InvalidImageName"

    def test_a_secret_must_be_there(self, cluster: FakeCluster):
        body = job()
        reference = {"name": "bucket", "key": "password"}
        variable = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": reference}}
        body["spec"]["template"]["spec"]["containers"][0]["env"].append(variable)
        seen: list[str] = []
        cluster.script(None, does.succeed(lambda start: seen.append(start.env["PASSWORD"])))
        cluster.create(body)
        cluster.advance(2)
        waiting = state(pod_of(cluster))["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": 'secret "bucket" not found'}
        secret = {"kind": "Secret", "metadata": {"name": "bucket"}, "data": {"password": "eA=="}}
        cluster.create(secret)
        cluster.advance(13)
        assert seen == ["x"]

    def test_a_volume_must_be_there(self, cluster: FakeCluster):
        body = job()
        body["spec"]["template"]["spec"]["volumes"] = [{"name": "ca", "configMap": {"name": "ca"}}]
        cluster.create(body)
        cluster.advance(30)
        pod = pod_of(cluster)
        assert state(pod)["waiting"]["reason"] == "ContainerCreating"
        assert "FailedMount" in reasons(cluster, pod["metadata"]["name"])

    def test_an_account_must_be_there_for_a_pod_to_be_made(self, cluster: FakeCluster):
        body = job()
        body["spec"]["template"]["spec"]["serviceAccountName"] = "worker"
        cluster.create(body)
        cluster.advance(5)
        assert cluster.pods_of("a") == []
        (event,) = cluster.events_of("a")
        assert event["reason"] == "FailedCreate"
        assert 'serviceaccount "worker" not found' in event["message"]
        cluster.create({"kind": "ServiceAccount", "metadata": {"name": "worker"}})
        cluster.advance(6)
        assert len(cluster.pods_of("a")) == 1

    def test_the_kubelet_may_refuse_it(self, cluster: FakeCluster):
        cluster.script(None, does.troubled("admission"))
        cluster.create(job())
        cluster.advance(2)
        assert pod_of(cluster)["status"]["reason"] == "UnexpectedAdmissionError"
        assert "containerStatuses" not in pod_of(cluster)["status"]
        assert conditions(cluster.get("jobs", "a"))["Failed"]["status"] == "True"

    def test_an_init_container_may_fail(self, cluster: FakeCluster):
        body = job()
        body["spec"]["template"]["spec"]["initContainers"] = [{"name": "fetch", "image": "x:1"}]
        cluster.script(None, does.Behaviour(init=does.Exit(2, "no luck")))
        cluster.create(body)
        cluster.advance(2)
        status = pod_of(cluster)["status"]
        assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 2
        assert state(pod_of(cluster))["waiting"]["reason"] == "PodInitializing"
        assert status["phase"] == "Failed"


class TestScheduling:
    @pytest.fixture
    def cluster(self) -> Iterator[FakeCluster]:
        with FakeCluster(big_node=False) as made:
            yield made

    def needing(self, name: str = "a", *, limits: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        body = job(name)
        pod = body["spec"]["template"]["spec"]
        pod["containers"][0]["resources"] = {"limits": limits or {"cpu": "1"}}
        pod.update(spec)
        return body

    def why(self, cluster: FakeCluster, name: str = "a") -> str:
        scheduled = conditions(pod_of(cluster, name))["PodScheduled"]
        assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
        assert reasons(cluster, pod_of(cluster, name)["metadata"]["name"])[0] == "FailedScheduling"
        return scheduled["message"]

    def test_no_nodes(self, cluster: FakeCluster):
        cluster.create(self.needing())
        cluster.step()
        assert self.why(cluster) == "no nodes available to schedule pods"

    def test_each_node_s_reason_is_counted(self, cluster: FakeCluster):
        cluster.add_node("small", cpu="500m")
        cluster.add_node("tainted", taints=({"key": "gpu", "value": "yes", "effect": "NoSchedule"},))
        cluster.add_node("other", labels={"pool": "b"})
        cluster.create(self.needing(nodeSelector={"pool": "a"}, limits={"cpu": "2"}))
        cluster.create(self.needing("b", limits={"cpu": "64"}))
        cluster.step()
        assert self.why(cluster) == (
            "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. no new claims to "
            "deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        )
        assert self.why(cluster, "b").startswith(
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
        )

    def test_a_resource_that_no_node_offers(self, cluster: FakeCluster):
        cluster.add_node("n")
        cluster.create(self.needing(limits={"nvidia.com/gpu": "1"}))
        cluster.step()
        assert "1 Insufficient nvidia.com/gpu" in self.why(cluster)
        cluster.add_node("g", **{"nvidia.com/gpu": "1"})
        cluster.step()
        assert pod_of(cluster)["spec"]["nodeName"] == "g"

    def test_a_busy_cluster_works_off_what_waits(self, cluster: FakeCluster):
        cluster.add_node("n", cpu="2")
        for i in range(6):
            cluster.create(self.needing(f"j{i}"))
        cluster.step()
        running = [pod for pod in cluster.list("pods") if pod["status"]["phase"] == "Running"]
        assert len(running) == 2
        assert "1 No preemption victims found for incoming pod" in self.why(cluster, "j5")
        cluster.advance(35)
        assert {pod["status"]["phase"] for pod in cluster.list("pods")} == {"Succeeded"}

    def test_tolerations_and_affinity_are_obeyed(self, cluster: FakeCluster):
        cluster.add_node("spot", labels={"spot": "1"}, taints=({"key": "spot", "effect": "NoSchedule"},))
        term = {"matchExpressions": [{"key": "spot", "operator": "In", "values": ["1"]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        tolerations = [{"key": "spot", "operator": "Exists"}]
        cluster.create(self.needing(affinity={"nodeAffinity": required}, tolerations=tolerations))
        cluster.step()
        assert pod_of(cluster)["spec"]["nodeName"] == "spot"

    def test_the_autoscaler_has_its_say(self, cluster: FakeCluster):
        cluster.script("a", does.unschedulable(scale_up="triggered", heals_s=120))
        cluster.script("b", does.unschedulable(scale_up="refused"))
        cluster.add_node("n")
        cluster.create(self.needing())
        cluster.create(self.needing("b"))
        cluster.advance(60)
        assert "TriggeredScaleUp" in reasons(cluster, pod_of(cluster)["metadata"]["name"])
        assert "NotTriggerScaleUp" in reasons(cluster, pod_of(cluster, "b")["metadata"]["name"])
        cluster.advance(62)
        assert pod_of(cluster)["status"]["phase"] == "Running"

    def test_its_events_are_of_the_new_kind(self, cluster: FakeCluster):
        cluster.create(self.needing())
        cluster.step()
        (event,) = cluster.events_of(pod_of(cluster)["metadata"]["name"])
        assert event["lastTimestamp"] is None
        assert event["eventTime"].endswith("Z")
        assert event["reportingComponent"] == "default-scheduler"


class TestTrouble:
    def run(self, cluster: FakeCluster, kind: str, seconds: float = 5) -> dict[str, Any]:
        cluster.script(None, does.troubled(kind))
        cluster.create(job())
        cluster.step()
        name = pod_of(cluster)["metadata"]["name"]
        cluster.edit("pods", name, lambda pod: pod["metadata"]["finalizers"].append("test/keep"))
        cluster.advance(seconds)
        return cluster.get("pods", name)

    @pytest.mark.parametrize(
        ("kind", "reason", "target", "said"),
        [
            ("memory-pressure", "Evicted", "TerminationByKubelet", "low on resource: memory"),
            ("disk-pressure", "Evicted", "TerminationByKubelet", "low on resource: ephemeral-storage"),
            ("ephemeral-limit", "Evicted", None, "ephemeral local storage usage exceeds the total limit"),
            ("emptydir-limit", "Evicted", None, 'Usage of EmptyDir volume "scratch" exceeds the limit'),
            ("shutdown", "Terminated", "TerminationByKubelet", "imminent node shutdown"),
        ],
    )
    def test_the_kubelet_throws_it_out(
        self, cluster: FakeCluster, kind: str, reason: str, target: str | None, said: str
    ):
        pod = self.run(cluster, kind)
        assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", reason)
        assert said in pod["status"]["message"]
        assert conditions(pod).get("DisruptionTarget", {}).get("reason") == target
        assert conditions(cluster.get("jobs", "a"))["Failed"]["status"] == "True"

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            ("eviction-api", "EvictionByEvictionAPI"),
            ("taint", "DeletionByTaintManager"),
            ("preempted", "PreemptionByScheduler"),
            ("podgc", "DeletionByPodGC"),
        ],
    )
    def test_it_is_taken_away(self, cluster: FakeCluster, kind: str, reason: str):
        pod = self.run(cluster, kind)
        assert pod["status"]["phase"] == "Failed"
        assert conditions(pod)["DisruptionTarget"]["reason"] == reason
        assert "deletionTimestamp" in pod["metadata"]
        assert cluster.get("jobs", "a")["status"]["failed"] == 1

    def test_one_deleted_by_hand_fails_the_job(self, cluster: FakeCluster):
        pod = self.run(cluster, "deleted")
        assert state(pod)["terminated"]["exitCode"] == 143
        assert "DisruptionTarget" not in conditions(pod)
        assert conditions(cluster.get("jobs", "a"))["Failed"]["status"] == "True"

    def test_one_on_a_dead_node_ends_for_ever(self, cluster: FakeCluster):
        pod = self.run(cluster, "node-lost", seconds=100)
        assert conditions(pod)["Ready"]["status"] == "False"
        assert "deletionTimestamp" not in pod["metadata"]
        cluster.advance(10_000)
        pod = cluster.get("pods", pod["metadata"]["name"])
        assert pod["status"]["phase"] == "Running"
        assert conditions(pod)["DisruptionTarget"]["reason"] == "DeletionByTaintManager"
        held = cluster.get("jobs", "a")["status"]
        assert (held["terminating"], held.get("failed"), held.get("conditions")) == (1, None, None)

    def test_a_dead_node_takes_all_its_pods(self, cluster: FakeCluster, wire: Wire):
        cluster.script(None, does.stay())
        cluster.create(job())
        cluster.create(job("b"))
        cluster.step()
        cluster.lose_node("node-1")
        cluster.advance(400)
        assert all("deletionTimestamp" in pod["metadata"] for pod in cluster.list("pods"))
        answer = wire.call("GET", f"{PODS}/{pod_of(cluster)['metadata']['name']}/log")
        assert (answer.code, "no route to host" in answer.message) == (500, True)

    def test_a_node_that_is_removed_fails_them(self, cluster: FakeCluster):
        cluster.script(None, does.stay())
        cluster.create(job())
        cluster.step()
        cluster.remove_node("node-1")
        cluster.step()
        assert conditions(cluster.get("jobs", "a"))["Failed"]["status"] == "True"


class TestRefusalsAtCreation:
    def test_by_a_test(self, cluster: FakeCluster, wire: Wire):
        cluster.refuse("jobs", "a", by_quota(), times=1)
        cluster.refuse("jobs", "b", by_webhook())
        cluster.refuse("jobs", "c", by_broken_webhook())
        assert "exceeded quota: lab, requested: count/jobs.batch=1" in wire.call("POST", JOBS, job()).message
        assert wire.call("POST", JOBS, job()).code == 201
        answer = wire.call("POST", JOBS, job("b"))
        assert answer.code == 403
        assert answer.message.startswith('admission webhook "policy.example.org" denied the request')
        assert wire.call("POST", JOBS, job("c")).code == 500

    def test_by_a_quota_of_jobs(self, cluster: FakeCluster, wire: Wire):
        quota = {"kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"count/jobs.batch": "1"}}}
        cluster.create(quota)
        assert wire.call("POST", JOBS, job()).code == 201
        answer = wire.call("POST", JOBS, job("b"))
        assert answer.code == 403
        assert answer.message == (
            'jobs.batch "b" is forbidden: exceeded quota: q, requested: count/jobs.batch=1, used: count/jobs.batch=1, '
            "limited: count/jobs.batch=1"
        )

    def test_by_a_quota_of_pods_the_job_waits(self, cluster: FakeCluster):
        quota = {"kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
        cluster.create(quota)
        cluster.create(job())
        cluster.create(job("b"))
        cluster.advance(5)
        assert cluster.pods_of("b") == []
        assert "exceeded quota: q" in cluster.events_of("b")[0]["message"]
        cluster.advance(60)
        assert len(cluster.pods_of("b")) == 1

    def test_by_pod_security(self, cluster: FakeCluster):
        cluster.add_namespace("strict", {"pod-security.kubernetes.io/enforce": "restricted"})
        cluster.create(job(), namespace="strict")
        cluster.step()
        assert cluster.pods_of("a", "strict") == []
        message = cluster.events_of("a", "strict")[0]["message"]
        for word in (
            "allowPrivilegeEscalation != false",
            "unrestricted capabilities",
            "runAsNonRoot",
            "seccompProfile",
        ):
            assert word in message

    @pytest.mark.parametrize(
        ("field", "said"),
        [
            ("priorityClassName", "no PriorityClass with name fast was found"),
            ("runtimeClassName", 'RuntimeClass "fast" not found'),
        ],
    )
    def test_for_classes_that_are_not_there(self, cluster: FakeCluster, field: str, said: str):
        body = job()
        body["spec"]["template"]["spec"][field] = "fast"
        cluster.create(body)
        cluster.step()
        assert said in cluster.events_of("a")[0]["message"]

    def test_refused_in_the_process_is_an_error(self, cluster: FakeCluster):
        cluster.create(job())
        with pytest.raises(ApiError, match="already exists"):
            cluster.create(job())


class TestLogs:
    def started(self, cluster: FakeCluster, behaviour: does.Behaviour, seconds: float = 2) -> str:
        cluster.script(None, behaviour)
        cluster.create(job())
        cluster.advance(seconds)
        return f"{PODS}/{pod_of(cluster)['metadata']['name']}/log"

    def test_are_plain_text_in_full_or_in_part(self, cluster: FakeCluster, wire: Wire):
        path = self.started(cluster, does.Behaviour(log="one\ntwo\nthree\n"))
        answer = wire.call("GET", path, container="worker")
        assert (answer.code, answer.headers["Content-Type"], answer.data) == (200, "text/plain", b"one\ntwo\nthree\n")
        assert wire.call("GET", path, tailLines=2).data == b"two\nthree\n"
        assert wire.call("GET", path, limitBytes=5).data == b"one\nt"

    def test_of_a_container_that_vanished_are_said_to_be_so_with_200(self, cluster: FakeCluster, wire: Wire):
        path = self.started(cluster, does.Behaviour(log="one\n"), seconds=20)
        cluster.lose_log(pod_of(cluster)["metadata"]["name"])
        answer = wire.call("GET", path)
        assert answer.code == 200
        assert answer.data.startswith(b"unable to retrieve container logs for containerd://")

    @pytest.mark.parametrize(
        ("behaviour", "query", "said"),
        [
            (does.bad_image(), {}, "is waiting to start: trying and failing to pull image"),
            (does.stay(), {"container": "other"}, "container other is not valid for pod"),
            (does.stay(), {"previous": "true"}, 'previous terminated container "worker"'),
        ],
    )
    def test_that_are_not_there(
        self, cluster: FakeCluster, wire: Wire, behaviour: does.Behaviour, query: dict[str, str], said: str
    ):
        answer = wire.call("GET", self.started(cluster, behaviour, seconds=3), **query)
        assert answer.code == 400
        assert said in answer.message

    def test_of_a_pod_without_a_node_are_nothing(self, cluster: FakeCluster, wire: Wire):
        path = self.started(cluster, does.unschedulable())
        assert wire.call("GET", path).code == 204


class TestKueue:
    def test_jobs_wait_in_their_queue(self, cluster: FakeCluster):
        cluster.kueue.slots = 1
        for name in ("a", "b"):
            body = job(name, suspend=True)
            body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "lab"
            cluster.create(body)
        cluster.advance(5)
        assert [len(cluster.pods_of(name)) for name in ("a", "b")] == [1, 0]
        cluster.advance(10)
        assert [len(cluster.pods_of(name)) for name in ("a", "b")] == [1, 1]


LIVES = {
    "good": does.succeed(),
    "bad": does.fail(1, "no"),
    "oom": does.oom(),
    "stays": does.stay(),
    "image": does.bad_image(),
    "config": does.config_error(),
    "nowhere": does.unschedulable(scale_up="refused"),
    "mount": does.Behaviour(mount="MountVolume.SetUp failed"),
    "init": does.Behaviour(init=does.Exit(1)),
    **{
        kind: does.troubled(kind)
        for kind in (
            "memory-pressure",
            "disk-pressure",
            "ephemeral-limit",
            "emptydir-limit",
            "eviction-api",
            "taint",
            "preempted",
            "podgc",
            "shutdown",
            "node-lost",
            "oom",
            "deleted",
            "admission",
            "vanish",
        )
    },
}


def shape(value: Any) -> Any:
    """What a schema sees of a value."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else type(value).__name__


def test_every_version_of_everything_is_what_kubernetes_own_schemas_describe(cluster: FakeCluster):
    for name, life in LIVES.items():
        body = job(name)
        body["spec"]["template"]["spec"]["initContainers"] = [{"name": "init", "image": "x:1"}]
        cluster.script(name, life)
        cluster.create(body)
    cluster.advance(700)
    seen = set()
    for resource in ("jobs", "pods", "events"):
        for change in cluster.store.table(cluster.registry.named(resource)).history:
            obj = {**change.new.obj, "metadata": {**change.new.obj["metadata"], "managedFields": []}}
            mark = repr(shape(obj))
            if mark not in seen:
                assert schema_problems(obj, "1.36") == [], obj
            seen.add(mark)
    assert len(seen) > 30
