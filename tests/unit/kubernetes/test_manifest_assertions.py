"""Our assertions find what Kubernetes refuses and schemas let pass."""

from __future__ import annotations

import copy

import pytest

from tests.support.kube.assertions import job_problems, restricted_problems
from tests.support.kube.assertions_words import expanded, quantity
from tests.support.kube.jobs import job, request
from tests.support.kube.strict_schemas import schema_problems

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
GOOD = job(
    request(),
    profile={"gpu": 1, "secret_env": {"AWS_SECRET_ACCESS_KEY": "s3/key"}, "scratch_class": "fast"},
    kubernetes={"mounts": [{"path": "/lab", "claim": "lab"}]},
)
POD = ("spec", "template", "spec")
WORKER = (*POD, "containers", 0)
BAD = {
    "name that leaves no room": (("metadata", "name"), "a" * 58),
    "label value": (("metadata", "labels", "x"), "-"),
    "label name": (("metadata", "labels", "A.io/x"), "y"),
    "annotations too large": (("metadata", "annotations", "x"), "y" * 262144),
    "replacement policy": (("spec", "podReplacementPolicy"), "Never"),
    "completion mode": (("spec", "completionMode"), "Sorted"),
    "negative limit": (("spec", "backoffLimit"), -1),
    "selector": (("spec", "selector"), {"matchLabels": {"a": "b"}}),
    "failure policy": (("spec", "podFailurePolicy"), {"rules": [{"action": "Retry"}]}),
    "restart policy": ((*POD, "restartPolicy"), "Always"),
    "unknown restart policy": ((*POD, "restartPolicy"), "Sometimes"),
    "service account": ((*POD, "serviceAccountName"), "Fmdj"),
    "user id": ((*POD, "securityContext", "runAsUser"), 2**31),
    "toleration": ((*POD, "tolerations"), [{"key": "a", "operator": "Exists", "value": "b"}]),
    "toleration effect": ((*POD, "tolerations"), [{"operator": "Exists", "effect": "Never"}]),
    "node selector": ((*POD, "nodeSelector"), {"a": "b c"}),
    "affinity without terms": ((*POD, "affinity"), {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}),
    "topology key": ((*POD, "affinity"), {"podAffinity": {REQUIRED: [{"topologyKey": ""}]}}),
    "volume name twice": ((*POD, "volumes", 1, "name"), "scratch"),
    "access mode": ((*POD, "volumes", 0, "ephemeral", "volumeClaimTemplate", "spec", "accessModes"), ["RWO"]),
    "claim name": ((*POD, "volumes", 3, "persistentVolumeClaim", "claimName"), "a..b"),
    "image": ((*WORKER, "image"), " worker"),
    "pull policy": ((*WORKER, "imagePullPolicy"), "Sometimes"),
    "mount path twice": ((*WORKER, "volumeMounts", 0, "mountPath"), "/tmp/"),
    "sub path": ((*WORKER, "volumeMounts", 0, "subPath"), "../x"),
    "mount of no volume": ((*WORKER, "volumeMounts", 0, "name"), "none"),
    "variable twice": ((*WORKER, "env", 1, "name"), "POD_UID"),
    "unknown field": ((*WORKER, "env", 0, "valueFrom"), {"fieldRef": {"fieldPath": "metadata.uuid"}}),
    "secret key": ((*WORKER, "env", -1, "valueFrom"), {"secretKeyRef": {"name": "a", "key": "../b"}}),
    "gpu without limit": ((*WORKER, "resources", "limits"), {"memory": "1Gi"}),
    "gpu limit above request": ((*WORKER, "resources", "limits", "nvidia.com/gpu"), "2"),
    "no gpu": ((*WORKER, "resources", "limits", "nvidia.com/gpu"), "0"),
    "half a gpu": ((*WORKER, "resources", "requests", "nvidia.com/gpu"), "500m"),
    "resource": ((*WORKER, "resources", "limits", "gpu"), "1"),
    "quantity": ((*WORKER, "resources", "limits", "memory"), "1 GB"),
    "request above limit": ((*WORKER, "resources", "requests", "memory"), "100Gi"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_found_though_the_schema_takes_it(what):
    path, value = BAD[what]
    bad = copy.deepcopy(GOOD)
    place = bad
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert job_problems(bad) != []
    assert schema_problems(bad, "1.36") == []


def test_a_good_job_has_no_problem():
    assert job_problems(GOOD) == []


@pytest.mark.parametrize("version", ["1.31", "1.36"])
@pytest.mark.parametrize("spec", [{"backoffLimits": 0}, {"backoffLimit": "0"}, {"template": []}])
def test_schemas_find_unknown_fields_and_wrong_types(version, spec):
    assert schema_problems({**GOOD, "spec": {**GOOD["spec"], **spec}}, version) != []


@pytest.mark.parametrize("version", ["1.31", "1.36"])
def test_schemas_find_what_is_missing(version):
    spec = {name: value for name, value in GOOD["spec"].items() if name != "template"}
    assert schema_problems({**GOOD, "spec": spec}, version) != []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("hostNetwork",), True),
        (("securityContext", "runAsNonRoot"), False),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}),
        (("volumes", 0), {"name": "scratch", "hostPath": {"path": "/"}}),
        (("containers", 0, "securityContext", "capabilities"), {"drop": ["NET_RAW"]}),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True),
    ],
)
def test_what_restricted_pod_security_refuses_is_found(path, value):
    pod = copy.deepcopy(GOOD["spec"]["template"]["spec"])
    place = pod
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert restricted_problems(pod) != []


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("500m", 0.5), ("2Ki", 2048), ("1e3", 1000), ("1.5Gi", 1.5 * 2**30), ("-1", -1)]
)
def test_quantities_are_read(text, value):
    assert quantity(text) == pytest.approx(value) if text == "500m" else quantity(text) == value


@pytest.mark.parametrize("text", ["", "1 Gi", "Gi", "1GiB", "1.2.3", "9223372036854775808", "1e30", 1, None, "١"])
def test_what_is_no_quantity_is_none(text):
    assert quantity(text) is None


@pytest.mark.parametrize(
    ("text", "result"),
    [("$(A)", "1"), ("$$(A)", "$(A)"), ("$(B)", "$(B)"), ("$A", "$A"), ("$$", "$"), ("$", "$"), ("$(A", "$(A")],
)
def test_variables_are_replaced_as_kubernetes_does(text, result):
    assert expanded(text, {"A": "1"}) == result
