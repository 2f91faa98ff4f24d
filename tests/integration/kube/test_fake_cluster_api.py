"""The fake API server answers as Kubernetes does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.kube.cluster import FakeCluster
from tests.support.kube.wire import EVENTS, JOBS, LEASES, PODS, Wire, job

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def wire(cluster: FakeCluster) -> Wire:
    return Wire(cluster)


def lease(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": "me", "leaseDurationSeconds": 30, **spec},
    }


class TestCreate:
    def test_gives_an_object_what_every_object_has(self, cluster: FakeCluster, wire: Wire):
        answer = wire.call("POST", JOBS, job())
        meta = answer.json["metadata"]
        assert answer.code == 201
        assert meta["uid"]
        assert meta["resourceVersion"] == str(cluster.store.rv)
        assert meta["creationTimestamp"] == cluster.clock.stamp()
        assert (meta["generation"], meta["namespace"]) == (1, "lab")

    def test_fills_in_defaults_and_the_selector_of_a_job(self, wire: Wire):
        made = wire.call("POST", JOBS, job()).json
        spec = made["spec"]
        assert (spec["completions"], spec["parallelism"], spec["suspend"]) == (1, 1, False)
        assert spec["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": made["metadata"]["uid"]}
        assert spec["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "a"
        assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 30

    def test_ignores_a_status_that_comes_with_it(self, wire: Wire):
        assert wire.call("POST", JOBS, {**job(), "status": {"succeeded": 1}}).json["status"] == {}

    def test_is_refused_where_the_name_is_taken(self, wire: Wire):
        wire.call("POST", JOBS, job())
        answer = wire.call("POST", JOBS, job())
        assert (answer.code, answer.json["reason"]) == (409, "AlreadyExists")
        assert answer.message == 'jobs.batch "a" already exists'

    def test_is_refused_in_a_namespace_that_is_not_there(self, wire: Wire):
        answer = wire.call("POST", "/apis/batch/v1/namespaces/nowhere/jobs", job())
        assert (answer.code, answer.message) == (404, 'namespaces "nowhere" not found')

    def test_names_an_object_by_its_prefix(self, wire: Wire):
        body = job()
        body["metadata"] = {"generateName": "run-"}
        assert wire.call("POST", JOBS, body).json["metadata"]["name"].startswith("run-")

    def test_does_nothing_if_it_is_only_tried(self, cluster: FakeCluster, wire: Wire):
        assert wire.call("POST", JOBS, job(), dryRun="All").code == 201
        assert cluster.list("jobs") == []

    def test_drops_unknown_fields_with_a_warning(self, wire: Wire):
        answer = wire.call("POST", JOBS, job(backOffLimit=3))
        assert answer.code == 201
        assert "backOffLimit" not in answer.json["spec"]
        assert answer.headers["Warning"] == '299 - "unknown field \\"spec.backOffLimit\\""'

    def test_refuses_unknown_fields_if_asked_to_be_strict(self, wire: Wire):
        answer = wire.call("POST", JOBS, job(backOffLimit=3), fieldValidation="Strict")
        assert answer.code == 400
        assert 'strict decoding error: unknown field "spec.backOffLimit"' in answer.message

    def test_refuses_values_of_another_type(self, wire: Wire):
        answer = wire.call("POST", JOBS, job(backoffLimit="0"))
        assert answer.code == 400
        assert "cannot unmarshal string into Go struct field Job.spec.backoffLimit" in answer.message


class TestUpdate:
    def test_needs_the_version_that_is_there(self, wire: Wire):
        made = wire.call("POST", LEASES, lease()).json
        assert wire.call("PUT", f"{LEASES}/leader", made).code == 200
        changed = {**made, "spec": {**made["spec"], "holderIdentity": "you"}}
        assert wire.call("PUT", f"{LEASES}/leader", changed).code == 200
        answer = wire.call("PUT", f"{LEASES}/leader", made)
        assert (answer.code, answer.json["reason"]) == (409, "Conflict")
        assert "the object has been modified" in answer.message

    def test_needs_a_version_at_all_for_a_lease(self, wire: Wire):
        wire.call("POST", LEASES, lease())
        answer = wire.call("PUT", f"{LEASES}/leader", lease())
        assert answer.code == 422
        assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in answer.message

    def test_makes_a_lease_that_is_not_there(self, wire: Wire):
        assert wire.call("PUT", f"{LEASES}/leader", lease()).code == 201
        assert wire.call("PUT", f"{JOBS}/a", job()).code == 404

    def test_that_changes_nothing_leaves_the_version(self, cluster: FakeCluster, wire: Wire):
        made = wire.call("POST", JOBS, job()).json
        before = cluster.store.rv
        assert wire.call("PUT", f"{JOBS}/a", made).json["metadata"]["resourceVersion"] == str(before)

    def test_of_the_spec_counts_as_a_generation(self, wire: Wire):
        made = wire.call("POST", JOBS, job()).json
        made["spec"]["ttlSecondsAfterFinished"] = 5
        assert wire.call("PUT", f"{JOBS}/a", made).json["metadata"]["generation"] == 2

    def test_of_the_status_is_by_its_subresource_alone(self, wire: Wire):
        made = wire.call("POST", JOBS, job()).json
        made["status"] = {"active": 1}
        assert wire.call("PUT", f"{JOBS}/a", made).json["status"] == {}
        made["metadata"].pop("resourceVersion")
        made["spec"]["backoffLimit"] = 9
        answer = wire.call("PUT", f"{JOBS}/a/status", made).json
        assert answer["status"] == {"active": 1}
        assert (answer["spec"]["backoffLimit"], answer["metadata"]["generation"]) == (0, 1)

    def test_of_a_job_s_template_is_refused(self, wire: Wire):
        made = wire.call("POST", JOBS, job()).json
        made["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
        answer = wire.call("PUT", f"{JOBS}/a", made)
        assert answer.code == 422
        assert "field is immutable" in answer.message

    def test_of_a_suspended_job_s_place_is_allowed(self, wire: Wire):
        made = wire.call("POST", JOBS, job(suspend=True)).json
        made["spec"]["template"]["spec"]["nodeSelector"] = {"pool": "gpu"}
        made["spec"]["suspend"] = False
        assert wire.call("PUT", f"{JOBS}/a", made).code == 200

    @pytest.mark.parametrize(
        ("change", "code", "said"),
        [
            ({"name": "b"}, 400, "the name of the object (b) does not match the name on the URL (a)"),
            ({"namespace": "default"}, 400, "does not match the namespace sent on the request"),
            ({"uid": "other"}, 409, "UID in precondition: other"),
        ],
    )
    def test_of_another_object_is_refused(self, wire: Wire, change: dict[str, str], code: int, said: str):
        made = wire.call("POST", JOBS, job()).json
        made["metadata"].update(change)
        answer = wire.call("PUT", f"{JOBS}/a", made)
        assert answer.code == code
        assert said in answer.message


class TestPatch:
    def test_merges_and_removes(self, wire: Wire):
        wire.call("POST", JOBS, job())
        patch = {"metadata": {"annotations": {"a": "1", "b": "2"}}}
        wire.patch(f"{JOBS}/a", patch)
        answer = wire.patch(f"{JOBS}/a", {"metadata": {"annotations": {"a": None}}})
        assert answer.json["metadata"]["annotations"] == {"b": "2"}

    def test_with_a_version_is_refused_if_that_is_old(self, wire: Wire):
        made = wire.call("POST", JOBS, job()).json
        patch = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"], "annotations": {"a": "1"}}}
        assert wire.patch(f"{JOBS}/a", patch).code == 200
        assert wire.patch(f"{JOBS}/a", {"metadata": {**patch["metadata"], "annotations": {"a": "2"}}}).code == 409

    def test_by_json_operations(self, wire: Wire):
        wire.call("POST", JOBS, job())
        operations = [{"op": "test", "path": "/metadata/name", "value": "a"}]
        operations.append({"op": "add", "path": "/metadata/annotations", "value": {"x": "y"}})
        answer = wire.patch(f"{JOBS}/a", operations, "json")
        assert answer.json["metadata"]["annotations"] == {"x": "y"}
        operations[0]["value"] = "b"
        assert wire.patch(f"{JOBS}/a", operations, "json").code == 422

    def test_strategic_knows_the_keys_of_lists(self, cluster: FakeCluster, wire: Wire):
        wire.call("POST", JOBS, job())
        cluster.step()
        name = cluster.list("pods")[0]["metadata"]["name"]
        condition = {"type": "mine", "status": "True"}
        answer = wire.patch(f"{PODS}/{name}/status", {"status": {"conditions": [condition]}}, "strategic-merge")
        assert {"mine", "PodScheduled"} <= {one["type"] for one in answer.json["status"]["conditions"]}

    def test_of_an_unknown_kind_is_refused(self, wire: Wire):
        wire.call("POST", JOBS, job())
        assert wire.call("PATCH", f"{JOBS}/a", {}).code == 415

    def test_of_nothing_is_not_found(self, wire: Wire):
        assert wire.patch(f"{JOBS}/a", {}).code == 404


class TestList:
    def test_items_of_built_in_resources_do_not_say_their_kind(self, wire: Wire):
        wire.call("POST", JOBS, job())
        listed = wire.call("GET", JOBS).json
        assert listed["kind"] == "JobList"
        assert "kind" not in listed["items"][0]
        assert wire.call("GET", f"{JOBS}/a").json["kind"] == "Job"

    @pytest.mark.parametrize(
        ("selector", "found"),
        [
            ("n=1", {"j1"}),
            ("n!=1", {"j0", "j2", "j3"}),
            ("n in (1,2)", {"j1", "j2"}),
            ("n notin (1, 2)", {"j0", "j3"}),
            ("fmdj.dev/instance=lab,n", {"j0", "j1", "j2", "j3"}),
            ("!n", set()),
            ("nothing", set()),
        ],
    )
    def test_by_labels(self, wire: Wire, selector: str, found: set[str]):
        for i in range(4):
            body = job(f"j{i}")
            body["metadata"]["labels"]["n"] = str(i)
            wire.call("POST", JOBS, body)
        listed = wire.call("GET", JOBS, labelSelector=selector).json["items"]
        assert {one["metadata"]["name"] for one in listed} == found

    def test_by_fields(self, cluster: FakeCluster, wire: Wire):
        wire.call("POST", JOBS, job())
        cluster.step()
        assert len(wire.call("GET", PODS, fieldSelector="status.phase=Running").json["items"]) == 1
        assert wire.call("GET", PODS, fieldSelector="status.phase!=Running").json["items"] == []
        about = wire.call("GET", EVENTS, fieldSelector="involvedObject.kind=Job,reason=SuccessfulCreate").json["items"]
        assert len(about) == 1
        answer = wire.call("GET", JOBS, fieldSelector="spec.suspend=true")
        assert answer.code == 400
        assert "field label not supported: spec.suspend" in answer.message

    def test_in_pages_of_one_moment(self, cluster: FakeCluster, wire: Wire):
        for i in range(5):
            wire.call("POST", JOBS, job(f"j{i}"))
        first = wire.call("GET", JOBS, limit=2).json
        assert first["metadata"]["remainingItemCount"] == 3
        cluster.delete("jobs", "j4")
        names, page = [], first
        while True:
            names += [one["metadata"]["name"] for one in page["items"]]
            token = page["metadata"].get("continue")
            if not token:
                break
            page = wire.call("GET", JOBS, limit=2, **{"continue": token}).json
        assert names == ["j0", "j1", "j2", "j3", "j4"]
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    def test_pages_of_a_moment_long_gone_are_not_there(self, cluster: FakeCluster, wire: Wire):
        for i in range(3):
            wire.call("POST", JOBS, job(f"j{i}"))
        token = wire.call("GET", JOBS, limit=1).json["metadata"]["continue"]
        cluster.delete("jobs", "j2")
        cluster.compact()
        answer = wire.call("GET", JOBS, limit=1, **{"continue": token})
        assert (answer.code, answer.json["reason"]) == (410, "Expired")

    def test_the_cache_knows_no_pages(self, wire: Wire):
        for i in range(3):
            wire.call("POST", JOBS, job(f"j{i}"))
        assert len(wire.call("GET", JOBS, limit=1, resourceVersion="0").json["items"]) == 3

    def test_of_a_version_to_come_is_too_early(self, cluster: FakeCluster, wire: Wire):
        answer = wire.call("GET", JOBS, resourceVersion=str(cluster.store.rv + 100))
        assert answer.code == 504
        assert answer.headers["Retry-After"] == "1"

    def test_of_all_namespaces(self, cluster: FakeCluster, wire: Wire):
        cluster.add_namespace("other")
        wire.call("POST", JOBS, job())
        wire.call("POST", "/apis/batch/v1/namespaces/other/jobs", job())
        assert len(wire.call("GET", "/apis/batch/v1/jobs").json["items"]) == 2
        assert len(wire.call("GET", JOBS).json["items"]) == 1


class TestAccess:
    def test_needs_the_token_of_now(self, cluster: FakeCluster, wire: Wire):
        old = cluster.token
        cluster.expire_token()
        assert wire.call("GET", JOBS).code == 200
        answer = wire.call("GET", JOBS, headers={"Authorization": f"Bearer {old}"})
        assert (answer.code, answer.json["reason"]) == (401, "Unauthorized")

    def test_an_expired_token_is_renewed_where_it_is_written(self, cluster: FakeCluster, tmp_path):
        config, token = cluster.kubeconfig(tmp_path / "config"), tmp_path / "token"
        cluster.kubeconfig(tmp_path / "other", token_file=token)
        new = cluster.expire_token(renewed=False)
        assert new not in config.read_text() + token.read_text()
        cluster.renew_token()
        assert json.loads(config.read_text())["users"][0]["user"]["token"] == token.read_text() == new

    def test_what_is_denied_is_forbidden_and_reviews_say_so(self, cluster: FakeCluster, wire: Wire):
        cluster.deny("create jobs")
        answer = wire.call("POST", JOBS, job())
        assert answer.code == 403
        assert 'cannot create resource "jobs" in API group "batch" in the namespace "lab"' in answer.message
        for verb, allowed in (("create", False), ("get", True)):
            spec = {"resourceAttributes": {"verb": verb, "resource": "jobs", "group": "batch", "namespace": "lab"}}
            review = wire.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec})
            assert review.json["status"]["allowed"] is allowed

    def test_everything_is_counted(self, cluster: FakeCluster, wire: Wire):
        wire.call("POST", JOBS, job())
        wire.call("POST", JOBS, job())
        wire.call("GET", JOBS)
        wire.call("GET", f"{JOBS}/a")
        wire.patch(f"{JOBS}/a/status", {})
        assert cluster.requests.counts() == {
            ("create", "jobs"): 2,
            ("list", "jobs"): 1,
            ("get", "jobs"): 1,
            ("patch", "jobs/status"): 1,
        }
        assert cluster.requests.codes("create *") == {201: 1, 409: 1}
        assert cluster.requests.count("* jobs* a") == 2

    def test_says_what_it_is(self, wire: Wire):
        assert wire.call("GET", "/version").json["minor"] == "36"
        assert wire.call("GET", "/healthz").data == b"ok"
        groups = wire.call("GET", "/apis").json["groups"]
        assert "batch" in {group["name"] for group in groups}
        rows = wire.call("GET", "/apis/batch/v1").json["resources"]
        assert {"jobs", "jobs/status"} <= {row["name"] for row in rows}

    @pytest.mark.parametrize(
        "path", ["/apis/fmdj.dev/v1alpha1/namespaces/lab/facemapruns", "/apis/batch/v2/jobs", "/x"]
    )
    def test_what_is_not_served_is_not_found(self, wire: Wire, path: str):
        answer = wire.call("GET", path)
        assert (answer.code, answer.message) == (404, "the server could not find the requested resource")
