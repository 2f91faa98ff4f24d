"""What is kept of Jobs, pods and Events."""

import copy
from typing import Any

import pytest

from fmdj_cloud.control.kube.slim import slim_any, slim_event, slim_job, slim_pod

MANAGED = [{"manager": "kube-controller-manager", "fieldsV1": {"f:status": {}}}]
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {
        "name": "j",
        "uid": "u",
        "managedFields": MANAGED,
        "labels": {"fmdj.dev/run": "r"},
        "annotations": {"fmdj.dev/spec-sha256": "s", "fmdj.dev/task": "{}", APPLIED: "{}"},
    },
    "spec": {"suspend": True, "backoffLimit": 0, "template": {"spec": {"containers": [{"name": "worker"}]}}},
    "status": {"active": 1, "conditions": [{"type": "Complete"}]},
}
POD = {
    "metadata": {"name": "p", "labels": {"x": "y"}, "managedFields": MANAGED},
    "spec": {
        "nodeName": "n1",
        "containers": [{"name": "worker", "env": [{"name": "A"}], "resources": {"limits": {"cpu": "1"}}}],
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}, {"name": "scratch", "emptyDir": {}}],
    },
    "status": {
        "phase": "Failed",
        "podIPs": [{"ip": "10.0.0.1"}],
        "conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None}],
        "containerStatuses": [{"name": "worker", "imageID": "sha", "state": {"waiting": {}}}],
    },
}


def test_a_job_keeps_what_tells_how_it_is_and_not_its_template():
    assert slim_job(JOB) == {
        "metadata": {
            "name": "j",
            "uid": "u",
            "labels": {"fmdj.dev/run": "r"},
            "annotations": {"fmdj.dev/spec-sha256": "s"},
        },
        "spec": {"suspend": True},
        "status": JOB["status"],
    }


def test_a_pod_keeps_where_it_is_what_it_asked_for_and_how_it_is():
    assert slim_pod(POD) == {
        "metadata": {"name": "p", "labels": {"x": "y"}, "annotations": {}},
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "worker", "resources": {"limits": {"cpu": "1"}}}],
            "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}],
        },
        "status": {
            "phase": "Failed",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "worker", "state": {"waiting": {}}}],
        },
    }


def test_another_object_keeps_all_but_what_the_api_server_notes_for_itself():
    run = {"kind": "FacemapRun", "metadata": {"name": "r", "managedFields": MANAGED}, "spec": {"kind": "svd"}}
    assert slim_any(run) == {"kind": "FacemapRun", "metadata": {"name": "r"}, "spec": {"kind": "svd"}}


@pytest.mark.parametrize("slim", [slim_job, slim_pod, slim_any])
def test_nothing_of_what_arrived_is_changed(slim: Any):
    for thing in (JOB, POD):
        before = copy.deepcopy(thing)
        slim(thing)
        assert thing == before


@pytest.mark.parametrize("slim", [slim_job, slim_pod, slim_any, slim_event("fmdj-", {"FacemapRun"})])
@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"metadata": None, "spec": None, "status": None},
        {"metadata": [], "spec": "x", "status": {"conditions": None}},
    ],
)
def test_whatever_arrives_is_survived(slim: Any, broken: dict[str, Any]):
    slim(broken)


def event(kind: str, name: str, message: str = "m") -> dict[str, Any]:
    about = {"kind": kind, "name": name, "uid": "u", "resourceVersion": "5"}
    return {
        "metadata": {"name": "e", "managedFields": MANAGED},
        "involvedObject": about,
        "reason": "R",
        "message": message,
    }


def test_events_about_ours_are_kept_and_those_of_others_are_not():
    slim = slim_event("lab-", {"FacemapRun"})
    assert slim(event("Job", "lab-svd-0123456789abcdef-a1")) is not None
    assert slim(event("Pod", "lab-svd-0123456789abcdef-a1-x7k2p")) is not None
    assert slim(event("FacemapRun", "whatever")) is not None
    assert slim(event("Pod", "their-database-0")) is None
    assert slim(event("Node", "n1")) is None


def test_events_of_every_job_that_goes_well_are_not_kept():
    slim = slim_event("lab-", ())
    assert slim(event("Pod", "lab-x") | {"reason": "Scheduled"}) is None
    assert slim(event("Pod", "lab-x") | {"reason": "FailedScheduling"}) is not None


def test_a_long_message_is_cut():
    kept = slim_event("lab-", ())(event("Pod", "lab-x", "y" * 5000))
    assert kept is not None
    assert len(kept["message"]) == 1024
