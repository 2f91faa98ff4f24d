"""What the Jobs of a sharded attempt look like."""

from __future__ import annotations

import copy

import pytest

from fmdj_cloud.contracts import FailureClass, Stage
from fmdj_cloud.control.diagnose import ProcessEnd, diagnose
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.launchers.tries import FINAL, LACKING
from fmdj_cloud.settings import ControllerSettings
from tests.support.kube.assertions import assert_valid_job, job_problems
from tests.support.kube.assertions_words import expanded
from tests.support.kube.jobs import job, request, worker

NAME = "fmdj-svd-0123456789abcdef-a1"
PROJECT = request(name=f"{NAME}-p", stage=Stage.PROJECT, shards=8, pods=3)


@pytest.mark.parametrize(("stage", "suffix"), [(Stage.BASIS, "-b"), (Stage.MERGE, "-m")])
def test_basis_and_merge_are_one_pod_with_one_try(stage, suffix):
    of = request(name=NAME + suffix, stage=stage)
    unsharded, spec = job()["spec"], job(of)["spec"]
    assert {**spec, "template": None} == {**unsharded, "template": None}
    assert worker(of)["args"] == [*worker()["args"], "--stage", stage.value]
    assert_valid_job(job(of))


def test_project_is_a_pod_for_every_shard_a_few_at_a_time():
    spec = job(PROJECT)["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 8, 3)
    assert spec["podReplacementPolicy"] == "Failed"
    assert "backoffLimit" not in spec  # all tries together would count
    assert spec["backoffLimitPerIndex"] == 3
    assert job(PROJECT, controller=ControllerSettings(shard_retries=7))["spec"]["backoffLimitPerIndex"] == 7
    assert_valid_job(job(PROJECT))


def test_every_pod_is_told_its_shard():
    args = [expanded(word, {"JOB_COMPLETION_INDEX": "5", "POD_UID": "u"}) for word in worker(PROJECT)["args"]]
    assert args[-4:] == ["--stage", "project", "--index", "5"]
    assert args[args.index("--nonce") + 1] == "u"


def test_stages_are_told_apart_by_a_label_that_unsharded_jobs_lack():
    for meta in (job(PROJECT)["metadata"], job(PROJECT)["spec"]["template"]["metadata"]):
        assert meta["labels"][labels.STAGE] == "project"
    assert labels.STAGE not in job()["metadata"]["labels"]


@pytest.mark.parametrize(("shards", "tolerated"), [(1, 1), (2, 1), (7, 1), (8, 2), (256, 64)])
def test_a_few_shards_may_fail_while_the_others_go_on(shards, tolerated):
    of = PROJECT.model_copy(update={"shards": shards})
    assert job(of)["spec"]["maxFailedIndexes"] == tolerated
    assert_valid_job(job(of))


def test_a_disruption_is_judged_before_the_code_that_it_killed_with():
    first, *others = job(PROJECT)["spec"]["podFailurePolicy"]["rules"]
    assert (first["action"], first["onPodConditions"][0]["type"]) == ("Count", "DisruptionTarget")
    assert [rule["action"] for rule in others] == ["FailJob", "FailIndex"]


def test_exit_codes_are_sorted_by_what_another_try_would_change():
    def failure(code):
        return diagnose(ProcessEnd(exit_code=code), None).failure_class

    final = {FailureClass.INPUT, FailureClass.CONFIG, FailureClass.CHANGED}
    lacking = {FailureClass.MEMORY, FailureClass.DISK, FailureClass.BUDGET}
    for code in range(1, 256):
        assert (code in FINAL) == (failure(code) in final), code
        assert (code in LACKING) == (failure(code) in lacking), code


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"completions": None}, "needs completions"),
        ({"maxFailedIndexes": 9}, "more indexes may fail"),
        ({"completionMode": "NonIndexed"}, "needs an Indexed Job"),
        ({"backoffLimitPerIndex": -1}, "out of range"),
    ],
)
def test_our_assertions_find_what_kubernetes_refuses_of_indexes(change, problem):
    spoilt = copy.deepcopy(job(PROJECT))
    spoilt["spec"] |= change
    assert any(problem in found for found in job_problems(spoilt))
