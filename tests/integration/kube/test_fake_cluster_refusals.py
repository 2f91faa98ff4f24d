"""What Kubernetes refuses, the fake refuses: bodies that no schema finds wrong, and custom resources."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.kube import cel
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.wire import EVENTS, JOBS, LEASES, Wire, job

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def wire(cluster: FakeCluster) -> Wire:
    return Wire(cluster)


def with_pod(**changes: Any) -> dict[str, Any]:
    body = job()
    body["spec"]["template"]["spec"].update(changes)
    return body


def with_container(**changes: Any) -> dict[str, Any]:
    body = job()
    body["spec"]["template"]["spec"]["containers"][0].update(changes)
    return body


def with_meta(**changes: Any) -> dict[str, Any]:
    body = job()
    body["metadata"].update(changes)
    return body


def affinity(**expression: Any) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return with_pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}})


POD = "spec.template.spec"
BOX = f"{POD}.containers[0]"
REFUSED = [
    (with_meta(name="A"), "metadata.name: Invalid value"),
    (with_meta(name="a" * 64), "must be no more than 63 bytes"),
    (with_meta(labels={"a": "b c"}), "a valid label must be an empty string or consist of"),
    (with_meta(labels={"a/b/c": "x"}), "prefix part"),
    (with_meta(annotations={"a": "x" * 262_144}), "metadata.annotations: Too long: may not be more than 262144 bytes"),
    (with_meta(finalizers=["mine"]), "nor is it fully qualified"),
    (job(backoffLimit=-1), "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"),
    (job(completionMode="Sorted"), 'spec.completionMode: Unsupported value: "Sorted"'),
    (job(completionMode="Indexed", completions=None, parallelism=2), "spec.completions: Required value"),
    (job(podReplacementPolicy="Never"), 'spec.podReplacementPolicy: Unsupported value: "Never"'),
    (job(selector={"matchLabels": {"a": "b"}}), "`selector` does not match template `labels`"),
    (with_pod(restartPolicy="Always"), f'{POD}.restartPolicy: Unsupported value: "Always"'),
    (with_pod(restartPolicy=None), f'{POD}.restartPolicy: Required value: valid values: "OnFailure", "Never"'),
    (with_pod(containers=[]), f"{POD}.containers: Required value"),
    (with_pod(terminationGracePeriodSeconds=-1), f"{POD}.terminationGracePeriodSeconds: Invalid value"),
    (with_pod(tolerations=[{"operator": "Equal", "value": "x"}]), "operator must be Exists when `key` is empty"),
    (with_pod(tolerations=[{"key": "a", "operator": "Exists", "value": "x"}]), "value must be empty when"),
    (with_pod(tolerations=[{"key": "a", "effect": "Never", "operator": "Exists"}]), 'Unsupported value: "Never"'),
    (with_pod(nodeSelector={"a": "b c"}), f"{POD}.nodeSelector: Invalid value"),
    (with_pod(securityContext={"seccompProfile": {"type": "None"}}), "seccompProfile.type: Unsupported value"),
    (with_pod(securityContext={"fsGroup": -1}), "securityContext.fsGroup: Invalid value: -1"),
    (with_pod(volumes=[{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]), "Duplicate value"),
    (with_pod(volumes=[{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]), "more than 1 volume type"),
    (with_pod(volumes=[{"name": "a", "nfs": {"server": "x", "path": "y"}}]), "must be an absolute path"),
    (
        with_pod(volumes=[{"name": "a", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]),
        "at least 1 access mode is required",
    ),
    (affinity(key="a", operator="In"), "must be specified when `operator` is 'In' or 'NotIn'"),
    (affinity(key="a", operator="Like", values=["b"]), "not a valid selector operator"),
    (with_container(name="Worker"), f"{BOX}.name: Invalid value"),
    (with_container(image=""), f"{BOX}.image: Required value"),
    (with_container(imagePullPolicy="Sometimes"), f'{BOX}.imagePullPolicy: Unsupported value: "Sometimes"'),
    (with_container(terminationMessagePolicy="Log"), f'{BOX}.terminationMessagePolicy: Unsupported value: "Log"'),
    (with_container(env=[{"name": "1A", "value": ""}]), f"{BOX}.env[0].name: Invalid value"),
    (
        with_container(env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
        "may not be specified when `value` is not empty",
    ),
    (with_container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]), "fieldPath"),
    (with_container(volumeMounts=[{"name": "x", "mountPath": "/x"}]), f'{BOX}.volumeMounts[0].name: Not found: "x"'),
    (
        with_container(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
        "must be less than or equal to memory limit of 1Gi",
    ),
    (with_container(resources={"requests": {"nvidia.com/gpu": "1"}}), "Limit must be set for non overcommitable"),
    (with_container(resources={"limits": {"nvidia.com/gpu": "500m"}}), "must be an integer"),
    (with_container(resources={"limits": {"gpu": "1"}}), "must be a standard resource for containers"),
    (
        with_container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    ),
]


@pytest.mark.parametrize(("body", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_a_job_is_refused(cluster: FakeCluster, wire: Wire, body: dict[str, Any], said: str):
    answer = wire.call("POST", JOBS, body)
    assert (answer.code, answer.json["reason"]) == (422, "Invalid"), answer.json
    assert said in answer.message
    assert answer.message.startswith('Job.batch "')
    assert answer.json["details"]["causes"]
    assert cluster.list("jobs") == []


@pytest.mark.parametrize("quantity", ["2 Gi", "1,5", "GB"])
def test_quantities_are_read(wire: Wire, quantity: str):
    answer = wire.call("POST", JOBS, with_container(resources={"limits": {"memory": quantity}}))
    assert answer.code == 400
    assert "quantities must match the regular expression" in answer.message


def test_an_object_may_be_too_large(wire: Wire):
    assert wire.call("POST", JOBS, with_container(args=["x" * 2_000_000])).code == 413


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("renewTime", "2026-01-31T12:00:00.000000Z", 201),
        ("renewTime", "2026-01-31T12:00:00Z", 400),
        ("renewTime", "2026-01-31T12:00:00.000000", 400),
        ("leaseDurationSeconds", 0, 422),
        ("leaseTransitions", -1, 422),
    ],
)
def test_leases_are_read_exactly(wire: Wire, field: str, value: Any, code: int):
    body = {"kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"name": "x"}, "spec": {field: value}}
    assert wire.call("POST", LEASES, body).code == code


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"involvedObject": {"namespace": "other"}}, "does not match event.namespace"),
        ({"eventTime": "2026-01-31T12:00:00.000000Z"}, "reportingController: Required value"),
        ({"firstTimestamp": "2026-01-31 12:00"}, "cannot parse"),
    ],
)
def test_events_are_read_exactly(wire: Wire, changes: dict[str, Any], said: str):
    body = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "x.1"}, "reason": "R", "type": "Normal"}
    answer = wire.call("POST", EVENTS, {**body, "involvedObject": {"namespace": "lab"}, **changes})
    assert (answer.code == 201) == (not said)
    assert said in answer.data.decode()


SCHEMA = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["kind"],
            "x-kubernetes-validations": [
                {"rule": "!(has(self.keys) && has(self.where))", "message": "either keys or where"},
                {"rule": "has(oldSelf.where) == has(self.where)", "message": "where stays as it is"},
            ],
            "properties": {
                "kind": {
                    "type": "string",
                    "enum": ["svd", "pose"],
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "kind stays as it is"}],
                },
                "priority": {"type": "integer", "minimum": 0, "maximum": 100, "default": 50},
                "where": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                "keys": {"type": "array", "maxItems": 2, "items": {"type": "object", "additionalProperties": True}},
                "deep": {"type": "object", "properties": {"on": {"type": "boolean", "default": True}}},
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "things", "kind": "Thing", "shortNames": ["th"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": SCHEMA},
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Kind", "type": "string", "jsonPath": ".spec.kind"},
                    {"name": "Done", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Done")].status'},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
            }
        ],
    },
}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/example.org/v1/namespaces/{ns}/things"


def thing(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"kind": "svd", **spec}}


class TestCustomResources:
    @pytest.fixture(autouse=True)
    def defined(self, cluster: FakeCluster, wire: Wire) -> None:
        assert wire.call("GET", THINGS).code == 404
        assert wire.call("POST", CRDS, CRD).code == 201
        cluster.settle()

    def test_are_served_once_they_are_defined(self, cluster: FakeCluster, wire: Wire):
        conditions = wire.call("GET", f"{CRDS}/things.example.org").json["status"]["conditions"]
        assert {one["type"]: one["status"] for one in conditions} == {"NamesAccepted": "True", "Established": "True"}
        assert wire.call("POST", THINGS, thing()).code == 201
        assert wire.call("GET", THINGS).json["items"][0]["kind"] == "Thing"
        wire.call("DELETE", f"{CRDS}/things.example.org")
        assert wire.call("GET", THINGS).code == 404

    def test_are_pruned_and_filled_in(self, wire: Wire):
        answer = wire.call("POST", THINGS, thing(extra=1, deep={}))
        assert answer.json["spec"] == {"kind": "svd", "priority": 50, "deep": {"on": True}}
        assert 'unknown field \\"spec.extra\\"' in answer.headers["Warning"]
        assert wire.call("POST", THINGS, thing(extra=1), fieldValidation="Strict").code == 400

    @pytest.mark.parametrize(
        ("spec", "said"),
        [
            ({"kind": "x"}, 'spec.kind: Unsupported value: "x": supported values: "pose", "svd"'),
            ({"priority": 101}, "spec.priority in body should be less than or equal to 100"),
            ({"priority": "1"}, 'spec.priority in body must be of type integer: "string"'),
            ({"where": "A"}, "spec.where in body should match '^[a-z]+$'"),
            ({"where": "aaaaaa"}, "spec.where: Too long: may not be more than 5 bytes"),
            ({"keys": [{}, {}, {}]}, "spec.keys: Too many: 3: must have at most 2 items"),
            ({"keys": [], "where": "a"}, 'spec: Invalid value: "object": either keys or where'),
        ],
    )
    def test_are_refused_by_their_schema(self, wire: Wire, spec: dict[str, Any], said: str):
        answer = wire.call("POST", THINGS, thing(**spec))
        assert answer.code == 422
        assert answer.message.startswith('Thing.example.org "t" is invalid: ')
        assert said in answer.message

    def test_may_not_change_against_their_rules(self, wire: Wire):
        wire.call("POST", THINGS, thing(where="a"))
        answer = wire.patch(f"{THINGS}/t", {"spec": {"kind": "pose"}})
        assert (answer.code, "kind stays as it is" in answer.message) == (422, True)
        answer = wire.patch(f"{THINGS}/t", {"spec": {"where": None}})
        assert (answer.code, "where stays as it is" in answer.message) == (422, True)
        assert wire.patch(f"{THINGS}/t", {"spec": {"priority": 3}}).json["metadata"]["generation"] == 2

    def test_have_a_status_apart(self, wire: Wire):
        made = wire.call("POST", THINGS, {**thing(), "status": {"a": 1}}).json
        assert "status" not in made
        made["status"], made["spec"]["priority"] = {"a": 1}, 7
        made["metadata"]["labels"] = {"x": "y"}
        answer = wire.call("PUT", f"{THINGS}/t/status", made).json
        assert (answer["status"], answer["spec"]["priority"], answer["metadata"]["generation"]) == ({"a": 1}, 50, 1)
        assert "labels" not in answer["metadata"]
        assert wire.patch(f"{THINGS}/t", {"status": {"a": 2}}).json["status"] == {"a": 1}

    def test_know_no_strategic_patch(self, wire: Wire):
        wire.call("POST", THINGS, thing())
        assert wire.patch(f"{THINGS}/t", {}, "strategic-merge").code == 415

    def test_are_shown_in_their_columns(self, cluster: FakeCluster, wire: Wire):
        wire.call("POST", THINGS, thing())
        wire.patch(f"{THINGS}/t/status", {"status": {"conditions": [{"type": "Done", "status": "True"}]}})
        cluster.advance(90)
        table = wire.call("GET", THINGS, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}).json
        assert [one["name"] for one in table["columnDefinitions"]] == ["Name", "Kind", "Done", "Age"]
        assert table["rows"][0]["cells"] == ["t", "svd", "True", "90s"]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda crd: crd["metadata"].update(name="thing.example.org"), "must be spec.names.plural"),
            (lambda crd: schema_of(crd)["properties"]["spec"].pop("type"), "type: Required value"),
            (lambda crd: rules_of(crd)[0].update(rule="self.keys.frob()"), "undeclared reference to 'frob'"),
            (lambda crd: rules_of(crd)[0].update(rule="has(self.keys"), "compilation failed: Syntax error"),
            (
                lambda crd: schema_of(crd)["properties"]["spec"].update(additionalProperties={"type": "string"}),
                "mutual",
            ),
        ],
    )
    def test_must_be_defined_well(self, cluster: FakeCluster, wire: Wire, change: Any, said: str):
        cluster.delete("crd", "things.example.org")
        crd = copy.deepcopy(CRD)
        change(crd)
        answer = wire.call("POST", CRDS, crd)
        assert answer.code == 422
        assert said in answer.message


def schema_of(crd: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def rules_of(crd: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = schema_of(crd)["properties"]["spec"]["x-kubernetes-validations"]
    return found


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("self.a == 1 && self.b == 'x'", True),
        ("has(self.a) || has(self.c)", True),
        ("!has(self.c)", True),
        ("size(self.items) == 3 && self.items.size() > 2", True),
        ("self.items.all(i, i < 4)", True),
        ("self.items.exists(i, i == 7)", False),
        ("self.items.filter(i, i > 1).map(i, i * 2) == [4, 6]", True),
        ("self.b in ['x', 'y'] ? self.a + 1 == 2 : false", True),
        ("self.b.matches('^[a-z]$') && self.b.startsWith(\"x\")", True),
        ("self.c == 1 || true", True),
        ("-self.a < 0 && 7 % 4 == 3 && 7 / 2 == 3", True),
        ("self['a'] == 1", True),
        (r"self.b.matches(r'\w')", True),
    ],
)
def test_rules_have_the_values_that_cel_gives_them(rule: str, value: bool):
    scope = {"self": {"a": 1, "b": "x", "items": [1, 2, 3]}, "oldSelf": None}
    assert cel.compile_rule(rule).run(scope) is value


@pytest.mark.parametrize("rule", ["self.c == 1", "self.a < 'x'", "self.items[9] == 1"])
def test_rules_without_a_value_are_errors(rule: str):
    with pytest.raises(cel.CelError):
        cel.compile_rule(rule).run({"self": {"a": 1, "items": []}, "oldSelf": None})
