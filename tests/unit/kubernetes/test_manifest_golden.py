"""Rendered Jobs to be read: after a change that is meant, FMDJ_TEST_WRITE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from fmdj_cloud.contracts import Kind, Stage
from tests.support.kube.assertions import assert_valid_job, restricted_problems
from tests.support.kube.jobs import job, request

GOLDEN = Path(__file__).parent / "golden"
JOBS = {
    "svd": job(storage={"s3": {"endpoint_url": "https://s3.lab.org"}}, profile={"service_account": "fmdj-worker"}),
    "svd-project": job(
        request(name="fmdj-svd-0123456789abcdef-a1-p", stage=Stage.PROJECT, shards=8, pods=3),
        profile={"service_account": "fmdj-worker", "kueue_queue": "cpus"},
    ),
    "pose-gpu": job(
        request(Kind.POSE, attempt=4, name="fmdj-pose-0123456789abcdef-a4", disruptions=3),
        profile={
            "image": f"ghcr.io/lab/worker@sha256:{'0' * 64}",
            "image_pull_secrets": ("ghcr",),
            "gpu": 1,
            "cpu": 4,
            "shm_mib": 1024,
            "scratch_class": "fast",
            "place": {"tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
            "spot": {
                "spot": {"node_selector": {"karpenter.sh/capacity-type": "spot"}},
                "on_demand": {"node_selector": {"karpenter.sh/capacity-type": "on-demand"}},
            },
            "runtime_class": "nvidia",
            "priority_class": "lab-batch",
            "kueue_queue": "gpus",
            "secret_env": {"AWS_ACCESS_KEY_ID": "lab-s3/id", "AWS_SECRET_ACCESS_KEY": "lab-s3/key"},
        },
        kubernetes={"mounts": [{"path": "/etc/lab-ca", "config_map": "lab-ca"}]},
        storage={"s3": {"ca_bundle": "/etc/lab-ca/ca.pem"}},
    ),
}


@pytest.mark.parametrize("name", JOBS)
def test_the_rendered_job_is_the_one_that_was_agreed_on(name):
    path = GOLDEN / f"{name}.yaml"
    rendered = yaml.safe_dump(JOBS[name], sort_keys=False, width=1000)
    if os.environ.get("FMDJ_TEST_WRITE_GOLDEN"):
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text("utf-8")


@pytest.mark.parametrize("name", JOBS)
def test_every_supported_kubernetes_takes_it(name):
    assert_valid_job(JOBS[name])
    assert restricted_problems(JOBS[name]["spec"]["template"]["spec"]) == []
