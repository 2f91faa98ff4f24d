"""How Jobs that are over are told apart."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import FailureClass, JobPhase, Outcome
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.diagnosis import diagnose_job
from fmdj_cloud.settings import KubernetesSettings
from tests.support.kube.ended_jobs import ENDINGS
from tests.support.kube.statuses import (
    NODE,
    NOW,
    complete_job,
    condition,
    ended,
    failed_job,
    job,
    last_word,
    pod,
    running,
    running_job,
)

SETTINGS = KubernetesSettings()
GIVEN_UP = Outcome(failure_class=FailureClass.IMAGE, sentence="It can't be fetched.", evidence={"case": "image-pull"})


def find(job, pods=(), events=()):
    return diagnose_job(job, list(pods), list(events), NOW, SETTINGS)


@pytest.mark.parametrize("name", ENDINGS)
def test_a_job_that_is_over(name):
    job, pods, events, case, failure = ENDINGS[name]
    finding = find(job, pods, events)
    assert (finding.phase, finding.case) == (JobPhase.ENDED, case)
    assert finding.outcome.failure_class is failure
    assert finding.outcome.sentence or failure is None
    assert finding.outcome.evidence["case"] == case.value
    assert finding.waiting == ""


def test_evidence_names_what_a_person_would_look_up():
    finding = find(failed_job(), [pod("Failed", worker=ended(137, "OOMKilled"))])
    assert finding.outcome.evidence == {
        "case": "oom-killed",
        "exit_code": "137",
        "reason": "OOMKilled",
        "container": "worker",
        "pod": finding.pod,
        "node": NODE,
    }
    assert "4096Mi" in finding.outcome.sentence


def test_the_workers_last_word_gives_sentence_check_and_code():
    word = last_word("input", 10, "cam1.avi ends in zeros.", check="tail")
    finding = find(failed_job(), [pod("Failed", worker=ended(10, message=word))])
    assert (finding.outcome.sentence, finding.outcome.check) == ("cam1.avi ends in zeros.", "tail")
    assert finding.outcome.evidence["code"] == "input"
    assert "message" not in finding.outcome.evidence


def test_success_carries_the_manifests_digest():
    word = last_word("done", 0, manifest_sha256="ab" * 32)
    finding = find(complete_job(), [pod("Succeeded", worker=ended(0, message=word))])
    assert finding.outcome.ok
    assert finding.outcome.manifest_sha256 == "ab" * 32


def test_of_a_log_that_stands_for_a_last_word_the_end_is_kept():
    log = "\n".join(f"frame {i}" for i in range(1000)) + "\nValueError: bad"
    finding = find(failed_job(), [pod("Failed", worker=ended(1, message=log))])
    assert finding.outcome.evidence["message"].endswith("frame 999 ValueError: bad")
    assert "code" not in finding.outcome.evidence


def test_a_silent_machine_leaks_its_pod():
    finding = find(running_job(), [pod("Running", deleting=301, worker=running())])
    assert finding.leaked
    assert finding.outcome.failure_class is FailureClass.DISRUPTED


def test_a_machine_that_has_been_silent_for_less_may_come_back():
    finding = find(running_job(), [pod("Running", deleting=299, worker=running())])
    assert (finding.phase, finding.leaked, finding.case) == (JobPhase.RUNNING, False, Case.ENDING)


def test_a_failed_job_whose_pod_still_runs_is_not_over():
    assert find(failed_job(), [pod("Running", worker=running())]).phase is JobPhase.RUNNING


def test_a_job_that_has_decided_to_fail_is_over_with_its_pods():
    decided = job(conditions=(condition("FailureTarget", reason="BackoffLimitExceeded"),), active=0, failed=1)
    assert find(decided, [pod("Failed", worker=ended(1))]).phase is JobPhase.ENDED
    assert find(decided | {"status": decided["status"] | {"terminating": 1}}, []).phase is JobPhase.RUNNING


def test_a_pod_that_failed_is_not_the_end_before_its_job_says_so():
    assert find(running_job(), [pod("Failed", worker=ended(1))]).phase is JobPhase.RUNNING


def test_a_job_in_foreground_deletion_ends_with_the_pods_that_are_seen():
    assert find(job(deleting=10), []).phase is JobPhase.RUNNING
    assert find(job(deleting=10), [pod("Running", worker=running())]).phase is JobPhase.RUNNING
    assert find(job(deleting=10), [pod("Failed", worker=ended(143))]).phase is JobPhase.ENDED


def test_a_pod_deleted_before_it_had_a_machine_can_never_run():
    never = pod("Pending", node="", deleting=1)
    assert find(job(deleting=10), [never]).phase is JobPhase.ENDED


def test_of_several_pods_the_newest_tells_and_all_are_named():
    old = pod("Failed", name="old", uid="aaaaaaaa-0000-4000-8000-000000000001", age=900, worker=ended(143))
    new = pod("Failed", name="new", uid="aaaaaaaa-0000-4000-8000-000000000002", age=600, worker=ended(10))
    finding = find(failed_job(), [new, old])
    assert finding.outcome.failure_class is FailureClass.INPUT
    assert finding.pod == "new"
    assert finding.nonces == (old["metadata"]["uid"], new["metadata"]["uid"])


def test_a_complete_job_ended_with_the_pod_that_succeeded():
    good = pod("Succeeded", name="good", uid="aaaaaaaa-0000-4000-8000-000000000001", age=900, worker=ended(0))
    bad = pod("Failed", name="bad", uid="aaaaaaaa-0000-4000-8000-000000000002", age=600, worker=ended(143))
    assert find(complete_job(), [good, bad]).outcome.ok


def test_why_it_was_given_up_is_how_it_ended():
    annotation = GIVEN_UP.model_dump_json()
    ending = find(job(deleting=10, given_up=annotation), [pod("Failed", worker=ended(143))])
    assert ending.outcome == GIVEN_UP
    assert ending.case is Case.IMAGE_PULL
    stopping = find(job(deleting=10, given_up=annotation), [pod("Running", worker=running())])
    assert (stopping.phase, stopping.give_up) == (JobPhase.RUNNING, GIVEN_UP)


def test_why_another_version_gave_it_up_counts_as_well():
    older = GIVEN_UP.model_copy(update={"evidence": {"case": "of-another-version"}})
    finding = find(job(deleting=10, given_up=older.model_dump_json()), [pod("Failed", worker=ended(143))])
    assert (finding.outcome, finding.case) == (older, Case.ENDING)


@pytest.mark.parametrize("moment", ["yesterday", "9999-12-31T23:59:59-14:00", 17, None])
def test_a_time_that_cannot_be_read_is_not_known(moment):
    started = running() | {"running": {"startedAt": moment}}
    assert find(running_job(), [pod("Running", worker=started)]).started is None


def test_a_worker_that_was_done_before_it_was_given_up_is_done():
    given_up = job(deleting=10, given_up=GIVEN_UP.model_dump_json())
    assert find(given_up, [pod("Succeeded", worker=ended(0))]).outcome.ok


@pytest.mark.parametrize("annotation", ["", "{", "{}", '{"failure_class": "tomorrow"}', '"image"'])
def test_an_annotation_that_cannot_be_read_says_nothing(annotation):
    assert find(job(deleting=10, given_up=annotation), [pod("Running", worker=running())]).give_up is None


@pytest.mark.parametrize("pods", [(), (pod("Failed", deleting=0, worker=ended(143)),)])
def test_a_job_that_was_suspended_and_failed_for_it_says_so(pods):
    message = "Container worker for pod lab/x failed with exit code 143 matching FailJob rule at index 1"
    finding = find(failed_job("PodFailurePolicy", message, suspend=True, queue="lab-queue"), pods)
    assert (finding.phase, finding.case) == (JobPhase.ENDED, Case.POD_DELETED)
    assert finding.outcome.failure_class is FailureClass.DISRUPTED
    assert "suspended while it ran" in finding.outcome.sentence
