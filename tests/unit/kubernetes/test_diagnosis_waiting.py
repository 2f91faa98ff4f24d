"""What keeps a Job from computing, and what it is given up for."""

from __future__ import annotations

import datetime as dt

import pytest

from fmdj_cloud.contracts import JobPhase
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.diagnosis import diagnose_job
from fmdj_cloud.settings import KubernetesSettings
from tests.support.kube.statuses import NODE, NOW, ago, job, pod, running, running_job, unscheduled, waiting
from tests.support.kube.waiting_jobs import MISSING_SECRET, NEVER, PULL, WAITINGS

SETTINGS = KubernetesSettings()


def find(job, pods=(), events=(), **settings):
    return diagnose_job(job, list(pods), list(events), NOW, KubernetesSettings(**settings))


@pytest.mark.parametrize("name", WAITINGS)
def test_a_job_that_is_not_over(name):
    job, pods, events, case, given_up = WAITINGS[name]
    finding = find(job, pods, events)
    assert (finding.phase, finding.case) == (JobPhase.RUNNING, case)
    assert (finding.give_up.failure_class if finding.give_up else None) is given_up
    assert bool(finding.waiting) == (case is not Case.RUNNING)
    assert finding.outcome is None


@pytest.mark.parametrize("name", [name for name, under in WAITINGS.items() if under.given_up is not None])
def test_who_gives_up_says_what_to_do(name):
    job, pods, events, *_ = WAITINGS[name]
    outcome = find(job, pods, events).give_up
    assert outcome.sentence.endswith(".")
    assert outcome.evidence["case"]
    assert len(outcome.sentence) < 800


def test_a_job_that_computes_shows_where_and_since_when():
    finding = find(running_job(), [pod("Running", worker=running(1800))])
    assert (finding.node, finding.started, finding.waiting) == (NODE, NOW - dt.timedelta(seconds=1800), "")


def test_the_sentence_names_what_the_cluster_lacks_and_the_setting():
    outcome = find(*WAITINGS["no machine has a GPU"][:3]).give_up
    assert "3 nodes: too little nvidia.com/gpu (it asks for 1)" in outcome.sentence
    assert "`kubernetes.profiles.svd`" in outcome.sentence


def test_what_waits_says_why():
    busy = find(*WAITINGS["the GPU machine is busy, the others have none"][:3])
    assert busy.waiting == "Queued: no machine is free for it (3 nodes: too little nvidia.com/gpu (it asks for 1))."
    assert "queue lab-queue" in find(*WAITINGS["queued by Kueue"][:3]).waiting
    assert "requests.memory=62Gi" in find(*WAITINGS["the quota is used up"][:3]).waiting


@pytest.mark.parametrize(
    ("setting", "case", "status"),
    [
        ("unschedulable_grace_s", Case.UNSCHEDULABLE, unscheduled(NEVER, age=100)),
        ("image_grace_s", Case.IMAGE_PULL, pod(age=100, worker=waiting("ErrImagePull", PULL))),
        (
            "start_grace_s",
            Case.CONTAINER_CONFIG,
            pod(age=100, worker=waiting("CreateContainerConfigError", MISSING_SECRET)),
        ),
    ],
)
def test_settings_say_how_long(setting, case, status):
    patient = find(running_job(), [status], **{setting: 100})
    hasty = find(running_job(), [status], **{setting: 99})
    assert (patient.case, patient.give_up) == (case, None)
    assert hasty.give_up is not None


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("docker.io/lab/worker:nope: not found", "correct `image` of its profile"),
        ("pull access denied, repository does not exist or may require authorization", "`image_pull_secrets`"),
        ("unexpected status: 429 Too Many Requests - toomanyrequests", "a registry of your own"),
        ("no match for platform in manifest", "processors"),
        ("dial tcp: i/o timeout", "whether the registry answers"),
    ],
)
def test_an_image_that_cannot_be_fetched_says_what_to_check(message, remedy):
    status = pod(worker=waiting("ErrImagePull", f"rpc error: {message}"))
    assert remedy in find(running_job(), [status]).give_up.sentence


def test_a_pod_replaced_by_another_lets_the_new_one_tell():
    old = pod("Failed", name="old", uid="aaaaaaaa-0000-4000-8000-000000000001", age=900)
    new = pod("Running", name="new", uid="aaaaaaaa-0000-4000-8000-000000000002", age=60, worker=running(30))
    finding = find(running_job(), [new, old])
    assert (finding.phase, finding.pod, finding.case) == (JobPhase.RUNNING, "new", Case.RUNNING)
    assert len(finding.nonces) == 2


def test_a_silent_machine_does_not_hide_a_pod_that_lives():
    silent = pod("Running", name="old", uid="aaaaaaaa-0000-4000-8000-000000000001", age=9000, deleting=3000)
    new = pod("Running", name="new", uid="aaaaaaaa-0000-4000-8000-000000000002", age=60, worker=running(30))
    assert find(running_job(), [silent, new]).phase is JobPhase.RUNNING


def test_events_of_another_pod_say_nothing():
    other = {"reason": "FailedMount", "message": "x", "firstTimestamp": ago(9000), "lastTimestamp": ago(1)}
    other["involvedObject"] = {"kind": "Pod", "name": "other", "uid": "other"}
    finding = find(running_job(), [pod(worker=waiting("ContainerCreating"))], [other])
    assert (finding.case, finding.give_up) == (Case.STARTING, None)


def test_a_job_without_a_profile_is_spoken_of_all_the_same():
    nameless = running_job()
    del nameless["metadata"]["labels"]["fmdj.dev/profile"]
    assert "GPUs of its profile" in find(nameless, [unscheduled(NEVER)]).give_up.sentence


def test_kueue_says_why_it_waits_where_it_does():
    queued = job(suspend=True, queue="lab-queue")
    told = {"reason": "Suspended", "message": "couldn't assign flavors: insufficient quota", "lastTimestamp": ago(3)}
    told["involvedObject"] = {"kind": "Job", "name": queued["metadata"]["name"], "uid": queued["metadata"]["uid"]}
    assert "insufficient quota" in find(queued, [], [told]).waiting


def test_where_kueue_says_nothing_it_is_told_how_to_find_out():
    queued = job(suspend=True, queue="lab-queue")
    told = {"reason": "Suspended", "message": "Job suspended", "lastTimestamp": ago(3)}
    told["involvedObject"] = {"kind": "Job", "name": queued["metadata"]["name"], "uid": queued["metadata"]["uid"]}
    assert find(queued, [], [told]).waiting == (
        "Queued: Kueue hasn't admitted it yet, queue lab-queue; `fmdj doctor` tells whether there is such a queue."
    )
