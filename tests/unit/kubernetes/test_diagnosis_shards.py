"""What becomes of a Job with a pod for every shard."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import FailureClass, JobPhase
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.diagnosis import diagnose_job
from fmdj_cloud.control.launchers.kubernetes.indexed import INDEX_LABEL
from fmdj_cloud.control.launchers.kubernetes.jobs import read_indexes
from fmdj_cloud.settings import KubernetesSettings
from tests.support.kube.statuses import (
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
DISRUPTED = (condition("DisruptionTarget", reason="EvictionByEvictionAPI"),)


def indexed(made, *, shards=3, pods=3):
    made["spec"] |= {"completionMode": "Indexed", "completions": shards, "parallelism": pods}
    return made


def shard(index, phase, *, uid=None, **more):
    made = pod(phase, name=f"p-{index}-{uid or 'x'}", uid=uid or f"u{index}", **more)
    made["metadata"].setdefault("labels", {})[INDEX_LABEL] = str(index)
    return made


def find(job, *pods, events=()):
    return diagnose_job(job, list(pods), list(events), NOW, SETTINGS)


def failed(*pods, reason="FailedIndexes", message="Job has failed indexes", **status):
    return find(indexed(failed_job(reason, message, **status)), *pods)


def test_it_runs_as_long_as_one_shard_does():
    found = find(
        indexed(running_job(succeeded=1, completedIndexes="0")),
        shard(0, "Succeeded", worker=ended(0)),
        shard(1, "Failed", worker=ended(1), age=200),
        shard(1, "Running", uid="again", worker=running(), age=100),
    )
    assert (found.phase, found.case, found.waiting) == (JobPhase.RUNNING, Case.RUNNING, "")
    assert found.nonces == ("u0", "u1", "again")
    assert (found.shards, found.pods) == (3, 2)


def test_between_two_shards_it_is_not_over():
    found = find(
        indexed(job(active=0, succeeded=1, completedIndexes="0"), pods=1), shard(0, "Succeeded", worker=ended(0))
    )
    assert found.phase is JobPhase.RUNNING
    assert "next shard" in found.waiting


def test_it_is_done_when_all_shards_are():
    found = find(indexed(complete_job()), *(shard(n, "Succeeded", worker=ended(0)) for n in range(3)))
    assert (found.phase, found.case) == (JobPhase.ENDED, Case.DONE)
    assert found.outcome.ok


def test_the_pod_of_a_shard_that_failed_tells_and_not_the_newest_one():
    found = failed(
        shard(0, "Failed", worker=ended(30, message=last_word("storage", 30, "The store is down.")), age=300),
        shard(1, "Succeeded", worker=ended(0), age=100),
        completedIndexes="1,2",
    )
    assert found.outcome.failure_class is FailureClass.STORAGE
    assert found.outcome.sentence == "Shard 0 of 3: The store is down."
    assert (found.spoke, found.outcome.evidence["shard"]) == ("u0", "0")


def test_of_one_shard_the_newest_pod_tells():
    found = failed(
        shard(0, "Failed", worker=ended(30), age=300),
        shard(0, "Failed", uid="again", worker=ended(137, "OOMKilled"), age=100),
    )
    assert (found.outcome.failure_class, found.spoke) == (FailureClass.MEMORY, "again")


def test_a_shard_that_was_done_after_a_failure_is_forgiven():
    found = failed(
        shard(0, "Failed", worker=ended(1), age=300),
        shard(0, "Succeeded", uid="again", worker=ended(0), age=200),
        shard(1, "Failed", worker=ended(50), age=100),
        completedIndexes="0",
    )
    assert (found.outcome.failure_class, found.spoke) == (FailureClass.MEMORY, "u1")


@pytest.mark.parametrize("order", [1, -1])
def test_the_worst_end_wins_over_those_that_were_only_stopped(order):
    ends = [
        shard(0, "Failed", worker=ended(143), deleting=-30),
        shard(1, "Failed", worker=ended(10, message=last_word("input", 10, "cam1.avi is cut off."))),
        shard(2, "Failed", worker=ended(143), conditions=DISRUPTED),
    ]
    found = failed(*ends[::order], reason="PodFailurePolicy", message="")
    assert found.outcome.failure_class is FailureClass.INPUT
    assert found.outcome.sentence == "Shard 1 of 3: cam1.avi is cut off."


def test_the_job_remembers_the_pod_that_ended_it():
    message = "Container worker for pod lab/p-1-x failed with exit code 10 matching FailJob rule at index 1"
    found = failed(shard(0, "Failed", worker=ended(143), deleting=-30), reason="PodFailurePolicy", message=message)
    assert found.outcome.failure_class is FailureClass.INPUT
    assert found.spoke == ""


def test_only_disruptions_are_a_disruption():
    found = failed(shard(0, "Failed", worker=ended(137), conditions=DISRUPTED))
    assert (found.outcome.failure_class, found.case) == (FailureClass.DISRUPTED, Case.DRAINED)


def test_a_job_that_failed_without_a_trace_has_vanished():
    assert failed().outcome.failure_class is FailureClass.VANISHED
    assert failed(shard(0, "Succeeded", worker=ended(0)), completedIndexes="0").outcome.failure_class is (
        FailureClass.VANISHED
    )


def test_a_silent_machine_holds_up_only_its_shard():
    lost = shard(0, "Running", worker=running(), deleting=7200)
    found = find(indexed(running_job(active=2)), lost, shard(1, "Running", worker=running()))
    assert found.phase is JobPhase.RUNNING
    alone = find(indexed(running_job(succeeded=2, completedIndexes="1,2")), lost)
    assert (alone.phase, alone.leaked, alone.case) == (JobPhase.ENDED, True, Case.NODE_SILENT)
    assert alone.outcome.failure_class is FailureClass.DISRUPTED


def test_nothing_is_given_up_while_a_shard_computes():
    stuck = {"waiting": {"reason": "InvalidImageName", "message": "bad"}}
    waits = shard(1, "Pending", worker=stuck)
    assert find(indexed(running_job(active=2)), shard(0, "Running", worker=running()), waits).give_up is None
    found = find(indexed(running_job()), waits)
    assert found.give_up is not None
    assert found.give_up.failure_class is FailureClass.CONFIG


@pytest.mark.parametrize(
    ("words", "indexes"),
    [("", ()), ("0,2-4", (0, 2, 3, 4)), ("0,1", (0, 1)), ("3-9", (3, 4)), ("x,-,1-,2", (2,)), ("1-2-3", ())],
)
def test_indexes_are_read_as_far_as_they_can_be(words, indexes):
    assert read_indexes(words, 5) == frozenset(indexes)
