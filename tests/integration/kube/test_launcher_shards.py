"""A Job with a pod for every shard, as the fake cluster lives it and the launcher sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmdj_cloud.contracts import FailureClass, JobObservation, JobPhase, JobRequest, Stage
from fmdj_cloud.control.launchers.kubernetes.indexed import INDEX_LABEL
from fmdj_cloud.names import job_name
from fmdj_cloud.settings import ControllerSettings
from tests.support.kube import behaviour as does
from tests.support.kube.behaviour import Behaviour
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.errors import ApiError
from tests.support.kube.jobindexes import FAILURES, INDEX
from tests.support.kube.strict_schemas import schema_problems
from tests.support.launching import Bench, bench

pytestmark = pytest.mark.integration
RUN = f"svd-{0:016x}"
RETRIES = ControllerSettings().shard_retries
NAME = job_name(RUN, 1, "lab", Stage.PROJECT)


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster() as made:
        yield made


@pytest.fixture
def lab(cluster: FakeCluster, tmp_path: Path) -> Iterator[Bench]:
    with bench(cluster, tmp_path) as made:
        yield made


def launch(lab: Bench, *, shards: int = 3, pods: int = 3) -> JobRequest:
    return lab.launch(name=NAME, stage=Stage.PROJECT, shards=shards, pods=pods)


def of_shard(cluster: FakeCluster, index: int, *behaviours: Behaviour) -> None:
    cluster.script({INDEX_LABEL: str(index)}, *behaviours)


def only(seen: dict[str, JobObservation]) -> JobObservation:
    (job,) = seen.values()
    return job


def shards_of(cluster: FakeCluster) -> list[int]:
    return sorted(int(pod["metadata"]["labels"][INDEX_LABEL]) for pod in cluster.pods_of(NAME))


def failures_of(cluster: FakeCluster) -> dict[int, int]:
    notes = [pod["metadata"]["annotations"] for pod in cluster.pods_of(NAME)]
    return {int(note[INDEX]): int(note[FAILURES]) for note in notes}


def status(cluster: FakeCluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("jobs", NAME)["status"]
    return found


def test_every_shard_has_a_pod_that_knows_it(lab: Bench, cluster: FakeCluster) -> None:
    told: list[tuple[str, str]] = []
    cluster.script(None, does.succeed(lambda start: told.append((start.arg("--index"), start.arg("--nonce")))))
    launch(lab)
    cluster.advance(30)
    assert sorted(index for index, _ in told) == ["0", "1", "2"]
    pods = cluster.pods_of(NAME)
    assert {nonce for _, nonce in told} == {pod["metadata"]["uid"] for pod in pods}
    assert all(schema_problems(pod, "1.36") == [] for pod in pods)
    job = only(lab.look())
    assert (job.phase, job.stage, job.attempt, job.run_id) == (JobPhase.ENDED, Stage.PROJECT, 1, RUN)
    assert job.outcome is not None
    assert job.outcome.ok
    assert len(job.nonces) == 3
    assert (status(cluster)["completedIndexes"], status(cluster)["succeeded"]) == ("0-2", 3)
    assert job.on_node_s == pytest.approx(33, abs=6)


def test_a_few_run_at_a_time_the_first_ones_first(lab: Bench, cluster: FakeCluster) -> None:
    launch(lab, shards=5, pods=2)
    cluster.advance(5)
    assert shards_of(cluster) == [0, 1]
    assert only(lab.look()).pods == 2
    cluster.advance(15)
    assert shards_of(cluster) == [0, 1, 2, 3]
    cluster.advance(15)
    assert only(lab.look()).pods == 1
    cluster.advance(30)
    assert only(lab.look()).phase is JobPhase.ENDED


def test_a_shard_that_fails_is_tried_again_while_the_others_go_on(lab: Bench, cluster: FakeCluster) -> None:
    of_shard(cluster, 1, does.fail(1), does.fail(30), does.succeed(lasts_s=1))
    launch(lab)
    cluster.advance(60)
    assert shards_of(cluster) == [0, 1, 1, 1, 2]
    job = only(lab.look())
    assert job.outcome is not None
    assert job.outcome.ok
    assert len(job.nonces) == 5


def test_a_machine_that_goes_away_costs_its_shard_a_try(lab: Bench, cluster: FakeCluster) -> None:
    of_shard(cluster, 2, does.troubled("eviction-api"), does.troubled("preempted"), does.succeed())
    launch(lab)
    cluster.advance(120)
    assert failures_of(cluster) == {0: 0, 1: 0, 2: 2}
    job = only(lab.look())
    assert job.outcome is not None
    assert job.outcome.ok


def test_one_that_goes_away_again_and_again_ends_the_attempt_as_disrupted(lab: Bench, cluster: FakeCluster) -> None:
    of_shard(cluster, 0, does.troubled("eviction-api"))
    launch(lab)
    for _ in range(60):
        cluster.advance(10)
        lab.look()
    job = only(lab.look())
    assert len(job.nonces) == 3 + RETRIES
    assert job.outcome is not None
    assert job.outcome.failure_class is FailureClass.DISRUPTED
    assert (status(cluster)["completedIndexes"], status(cluster)["failedIndexes"]) == ("1,2", "0")


def test_a_refused_input_ends_all_shards_at_once(lab: Bench, cluster: FakeCluster) -> None:
    cluster.script(None, does.stay())
    of_shard(cluster, 1, does.fail(10, '{"code": "input", "exit_code": 10, "sentence": "cam1.avi is cut off."}'))
    launch(lab)
    cluster.advance(60)
    job = only(lab.look())
    assert (job.phase, shards_of(cluster)) == (JobPhase.ENDED, [1])
    assert job.outcome is not None
    assert (job.outcome.failure_class, job.outcome.sentence) == (
        FailureClass.INPUT,
        "Shard 1 of 3: cam1.avi is cut off.",
    )
    (spoke,) = (pod for pod in cluster.pods_of(NAME) if pod["metadata"]["uid"] == job.spoke)
    assert spoke["metadata"]["labels"][INDEX_LABEL] == "1"


def test_a_shard_without_memory_is_not_tried_with_the_same(lab: Bench, cluster: FakeCluster) -> None:
    of_shard(cluster, 0, does.oom())
    launch(lab)
    cluster.advance(60)
    assert shards_of(cluster) == [0, 1, 2]
    job = only(lab.look())
    assert job.outcome is not None
    assert job.outcome.failure_class is FailureClass.MEMORY
    assert status(cluster)["completedIndexes"] == "1,2"


def test_what_hits_many_shards_ends_all(lab: Bench, cluster: FakeCluster) -> None:
    cluster.script(None, does.stay())
    for index in (0, 1):
        of_shard(cluster, index, does.oom())
    launch(lab)
    cluster.advance(60)
    job = only(lab.look())
    assert job.outcome is not None
    assert job.outcome.failure_class is FailureClass.MEMORY
    conditions = {one["type"]: one["reason"] for one in status(cluster)["conditions"]}
    assert conditions["Failed"] == "MaxFailedIndexesExceeded"


def test_a_pod_that_somebody_deletes_is_replaced_once_it_is_gone(lab: Bench, cluster: FakeCluster) -> None:
    """Two pods of one shard never compute at a time."""
    of_shard(cluster, 0, does.Behaviour(lasts_s=None, stop_s=20), does.succeed(lasts_s=1))
    launch(lab)
    cluster.advance(5)
    (doomed,) = (pod for pod in cluster.pods_of(NAME) if pod["metadata"]["labels"][INDEX_LABEL] == "0")
    cluster.delete("pods", doomed["metadata"]["name"])
    cluster.advance(10)
    assert shards_of(cluster).count(0) == 1
    cluster.advance(60)
    job = only(lab.look())
    assert job.outcome is not None
    assert job.outcome.ok


def test_it_is_stopped_with_all_its_pods(lab: Bench, cluster: FakeCluster) -> None:
    cluster.script(None, does.stay())
    launch(lab)
    cluster.advance(10)
    lab.look()
    lab.launcher.stop(NAME)
    assert only(lab.look()).phase is JobPhase.RUNNING
    cluster.advance(60)
    assert all(job.phase is JobPhase.ENDED for job in lab.look().values())
    assert cluster.pods_of(NAME) == []


def test_a_restarted_controller_sees_the_same(lab: Bench, cluster: FakeCluster) -> None:
    of_shard(cluster, 1, does.oom())
    launch(lab)
    cluster.advance(60)
    before = only(lab.look())
    lab.restart()
    assert only(lab.look()) == before


def test_the_log_is_of_the_pod_that_is_asked_for(lab: Bench, cluster: FakeCluster) -> None:
    for index in range(3):
        of_shard(cluster, index, does.Behaviour(lasts_s=1, log=f"shard {index} says"))
    launch(lab)
    cluster.advance(10)
    lab.look()
    for pod in cluster.pods_of(NAME):
        said = lab.launcher.read_log(NAME, pod["metadata"]["uid"])
        assert f"shard {pod['metadata']['labels'][INDEX_LABEL]} says" in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"completions": None}, "Required value"),
        ({"maxFailedIndexes": 4}, "less than or equal to completions"),
        ({"backoffLimitPerIndex": None}, "backoffLimitPerIndex"),
    ],
)
def test_the_fake_cluster_refuses_what_kubernetes_does(
    lab: Bench, cluster: FakeCluster, change: dict[str, Any], words: str
) -> None:
    launch(lab)
    body = cluster.get("jobs", NAME)
    for field in ("selector", "suspend"):
        body["spec"].pop(field, None)
    labels = body["spec"]["template"]["metadata"]["labels"]
    body["spec"]["template"]["metadata"]["labels"] = {k: v for k, v in labels.items() if k.startswith("fmdj.dev")}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "other"}, "spec": body["spec"] | change}
    with pytest.raises(ApiError, match=words):
        cluster.create(body)
