"""What we send is what the newest client would send, too."""

from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.lease import claimed, given_up
from fmdj_cloud.control.kube.recorder import EventRecorder, reference
from fmdj_cloud.control.kube.resources import JOBS
from tests.support.kube.client37 import Body, Unavailable, judged
from tests.support.kube.jobs import job, request

pytestmark = pytest.mark.integration

EVERYTHING = {
    "gpu": 1,
    "cpu": 0.5,
    "cpu_limit": 1.5,
    "scratch_class": "fast",
    "image_pull_policy": "Always",
    "image_pull_secrets": ("ghcr",),
    "kueue_queue": "lab",
    "priority_class": "batch",
    "runtime_class": "nvidia",
    "service_account": "worker",
    "supplemental_groups": (7,),
    "run_as_group": 8,
    "secret_env": {"AWS_ACCESS_KEY_ID": "s3/id"},
    "place": {"node_selector": {"a": "b"}, "tolerations": [{"key": "a", "effect": "NoSchedule"}]},
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]
            }
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 1, "podAffinityTerm": {"topologyKey": "a", "labelSelector": {"matchLabels": {"a": "b"}}}}
            ]
        },
    },
}
MOUNTS = (
    {"path": "/a", "claim": "a", "sub_path": "b", "read_only": True},
    {"path": "/b", "nfs_server": "nas", "nfs_path": "/b"},
    {"path": "/c", "config_map": "c"},
    {"path": "/d", "secret": "d"},
)
BODIES = [
    *(Body("v1_job", "V1Job", job(request(kind))) for kind in Kind),
    Body("v1_job", "V1Job", job(profile=EVERYTHING, kubernetes={"mounts": MOUNTS})),
]
NOW = dt.datetime(2026, 11, 22, 19, 30, tzinfo=dt.UTC)


class Wire(KubeClient):
    """A client whose requests end here."""

    namespace = "lab"

    def __init__(self):
        self.bodies = []

    def request(self, verb, path, *, body=None, **rest):
        self.bodies.append(body)
        return {}


def leases():
    lease = claimed(None, "fmdj", "pod-1", 30, NOW)
    lease["metadata"]["resourceVersion"] = "7"
    taken = claimed(lease, "fmdj", "pod-2", 30, NOW)
    return [Body("v1_lease", "V1Lease", body) for body in (lease, taken, given_up(taken, NOW))]


def events():
    wire = Wire()
    recorder = EventRecorder(wire, "fmdj-controller", "fmdj", clock=lambda: 0.0, now=lambda: NOW)
    recorder.record(reference("Job", "fmdj-svd-1", "0d7c"), "Warning", "Failed", "Its video is damaged.")
    return [Body("core_v1_event", "CoreV1Event", body) for body in wire.bodies]


def deletions():
    wire = Wire()
    wire.delete(JOBS, "fmdj-svd-1", propagation="Foreground", uid="0d7c")
    return [Body("v1_delete_options", "V1DeleteOptions", body) for body in wire.bodies]


def verdict(bodies):
    try:
        return judged(bodies)
    except Unavailable as error:
        pytest.skip(str(error))


def test_client_37_takes_every_body():
    others = [*leases(), *events(), *deletions()]
    assert len(others) == 5
    version, problems = verdict([*BODIES, *others])
    assert version.startswith("37.")
    assert problems == []


def test_client_37_finds_unknown_fields_and_numbers_for_quantities():
    bad = job()
    bad["metadata"]["lables"] = {}
    bad["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = 3000
    _, problems = verdict([Body("v1_job", "V1Job", bad)])
    assert [problem.partition(":")[0] for problem in problems] == [
        "V1Job metadata.lables",
        "V1Job spec.template.spec.containers.0.resources.limits.memory",
    ]
