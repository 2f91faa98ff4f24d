"""What Kubernetes would refuse later is refused in the settings, with the value and the reason."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from fmdj_cloud.settings.kubernetes import KubernetesSettings, MountSettings, ProfileSettings

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def node_affinity(**requirement):
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", **requirement}]}]}}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image": "ghcr.io/lab/worker:1 "}, "is not an image's reference"),
        ({"image": "https://ghcr.io/lab/worker"}, "is not an image's reference"),
        ({"gpu_resource": "gpu"}, "is not an extended resource like nvidia.com/gpu"),
        ({"gpu_resource": "requests.nvidia.com/gpu"}, "is not an extended resource"),
        ({"gpu_resource": "kubernetes.io/gpu"}, "is not an extended resource"),
        ({"service_account": "lab..worker"}, "is not a name in Kubernetes"),
        ({"image_pull_secrets": [""]}, "is not a name in Kubernetes"),
        ({"kueue_queue": "Lab_Queue"}, "is not a LocalQueue's name"),
        ({"labels": {"fmdj.dev/run": "x"}}, "is set by fmdj-cloud or Kubernetes itself"),
        ({"labels": {"job-name": "x"}}, "is set by fmdj-cloud or Kubernetes itself"),
        ({"labels": {"kueue.x-k8s.io/queue-name": "x"}}, "is set by kueue_queue"),
        ({"labels": {"team": "a b"}}, "'a b' is not a label's value"),
        ({"annotations": {"kubernetes.io/config.mirror": "x"}}, "has a meaning of its own for Kubernetes"),
        ({"annotations": {"note": "x" * 200_000}}, "larger than 128 KiB together"),
        ({"secret_env": {"AWS_ACCESS_KEY_ID": "secret"}}, "is not `secret/key`"),
        ({"secret_env": {"AWS_ACCESS_KEY_ID": "secret/.."}}, "is not `secret/key`"),
        ({"secret_env": {"HOME": "secret/key"}}, "HOME is set by fmdj-cloud itself"),
        ({"secret_env": {"omp_num_threads": "secret/key"}}, "is set by fmdj-cloud itself"),
        ({"secret_env": {"FMDJ_DATABASE__PASSWORD": "secret/key"}}, "is nothing that a worker may read"),
        ({"secret_env": {"DJ_PASS": "secret/key"}}, "is nothing that a worker may read"),
        ({"memory_max_mib": 2**40}, "less than or equal to"),
        ({"run_as_user": 2**31}, "less than or equal to"),
        ({"place": {"tolerations": [{"operator": "Equal", "value": "x"}]}}, "operator Equal needs a key"),
        ({"affinity": {"nodeAffinty": {}}}, "nodeAffinty: Extra inputs are not permitted"),
        ({"affinity": node_affinity(operator="Is", values=["x"])}, "matchExpressions.0.operator"),
        ({"affinity": node_affinity(operator="In")}, "operator In needs values"),
        ({"affinity": node_affinity(operator="Exists", values=["x"])}, "operator Exists takes no values"),
        ({"affinity": node_affinity(operator="Gt", values=["1", "2"])}, "operator Gt takes one value"),
        ({"affinity": node_affinity(operator="Gt", values=["many"])}, "a whole number, as operator Gt compares"),
        ({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}}, "at least 1 item"),
        ({"affinity": {"podAffinity": {REQUIRED: [{}]}}}, "topologyKey: Field required"),
        (
            {"affinity": {"podAffinity": {PREFERRED: [{"weight": 0, "podAffinityTerm": {"topologyKey": "a"}}]}}},
            "weight",
        ),
        (
            {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "a", "matchLabelKeys": ["b"]}]}}},
            "need a labelSelector",
        ),
        (
            {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "a", "namespaces": ["A"]}]}}},
            "'A' is not a namespace",
        ),
    ],
)
def test_a_profile_that_kubernetes_would_refuse(values, words):
    with pytest.raises(ValidationError) as caught:
        ProfileSettings(**values)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "image",
    ["worker", "ghcr.io/lab/worker:1.2", "localhost:5000/w", "[::1]:5000/w:x", f"a.b/c__d/e--f:T@sha256:{'0' * 64}"],
)
def test_every_image_that_a_runtime_takes_is_taken(image):
    assert ProfileSettings(image=image).image == image


def test_an_affinity_goes_into_the_pod_as_it_was_written():
    term = {
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]},
        "matchLabelKeys": ["team"],
    }
    affinity = {
        "nodeAffinity": {
            REQUIRED: {
                "nodeSelectorTerms": [
                    {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["node-7"]}]}
                ]
            },
            PREFERRED: [{"weight": 100, "preference": {"matchExpressions": [{"key": "ssd", "operator": "Exists"}]}}],
        },
        "podAntiAffinity": {REQUIRED: [term], PREFERRED: [{"weight": 1, "podAffinityTerm": term}]},
    }
    assert ProfileSettings(affinity=affinity).affinity == affinity


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"path": "/lab/", "claim": "lab"}, "is not an absolute path"),
        ({"path": "/tmp/lab", "claim": "lab"}, "something of its own there"),
        ({"path": "/lab\n", "claim": "lab"}, "control characters"),
        ({"path": "/lab", "claim": ""}, "is not a name in Kubernetes"),
        ({"path": "/lab", "nfs_server": "", "nfs_path": "/x"}, "is not a server's name or address"),
        ({"path": "/lab", "nfs_server": "nas", "nfs_path": "x"}, "is not an absolute path"),
        ({"path": "/lab", "nfs_server": "nas"}, "go together"),
        ({"path": "/lab", "claim": "a", "secret": "b"}, "name one of"),
        ({"path": "/lab", "claim": "lab", "sub_path": "../x"}, "is not an absolute path"),
        ({"path": "/lab", "claim": "lab", "sub_path": "/x"}, "is not a path relative to the volume"),
    ],
)
def test_a_mount_that_kubernetes_would_refuse(values, words):
    with pytest.raises(ValidationError) as caught:
        MountSettings(**values)
    assert words in str(caught.value)


def test_two_mounts_at_one_path():
    mounts = [{"path": "/lab", "claim": "a"}, {"path": "/lab", "claim": "b"}]
    with pytest.raises(ValidationError, match="mounts have the same path: /lab, /lab"):
        KubernetesSettings(mounts=mounts)


def test_what_is_stale_is_older_than_any_quiet_watch():
    assert KubernetesSettings(watch_s=240, stale_s=300).stale_s == 300
    with pytest.raises(ValidationError, match="every quiet watch"):
        KubernetesSettings(watch_s=240, stale_s=240)
