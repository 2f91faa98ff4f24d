"""Whatever the settings let through makes a Job that every supported Kubernetes takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as testing
from hypothesis import strategies as st

from fmdj_cloud.control.launchers.kubernetes.identity import label_value
from fmdj_cloud.control.launchers.kubernetes.manifest import build_job
from fmdj_cloud.settings import KubernetesSettings, ProfileSettings, Settings, StorageSettings
from fmdj_cloud.settings.kubernetes import MountSettings
from tests.support.kube import strategies as kube
from tests.support.kube.assertions import assert_valid_job, restricted_problems
from tests.support.kube.assertions_words import expanded, is_label_value
from tests.support.kube.jobs import LIMITS, request
from tests.support.kube.strict_schemas import SUPPORTED

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
ALL = testing(max_examples=80, deadline=None, suppress_health_check=CHECKS)
EDGES = (SUPPORTED[0], SUPPORTED[-1])
LEAST = LIMITS.model_copy(update={"memory_mib": 64, "scratch_mib": 64})
FEW = testing(max_examples=60, deadline=None, suppress_health_check=CHECKS)


@ALL
@given(st.data())
def test_every_manifest_is_valid_and_restricted(data):
    settings = data.draw(kube.settings())
    request = data.draw(kube.requests(settings))
    job = build_job(request, settings, instance=settings.instance)
    assert_valid_job(job)
    mounts = settings.kubernetes.mounts
    by_nfs = [f"mount-{index}" for index, mount in enumerate(mounts) if mount.nfs_server is not None]
    pod = job["spec"]["template"]["spec"]
    assert [problem for problem in restricted_problems(pod) if not any(name in problem for name in by_nfs)] == []
    (worker,) = pod["containers"]
    assert expanded(worker["args"][1], {"POD_UID": "u"}) == request.spec_uri
    assert expanded(worker["args"][5], {"POD_UID": "u"}) == "u"
    variables = {each["name"]: expanded(each["value"], {}) for each in worker["env"] if "value" in each}
    assert StorageSettings(**json.loads(variables["FMDJ_STORAGE"])) == settings.storage


@pytest.mark.parametrize("field", kube.ODD_PROFILE_FIELDS)
def test_no_odd_value_of_a_field_that_is_accepted_makes_an_invalid_manifest(field):
    @FEW
    @given(kube.odd_profiles(field))
    def check(profile):
        if profile is not None and profile.image:
            assert_valid_job(job_of(KubernetesSettings(profiles={"svd": profile})), EDGES)

    check()


@FEW
@given(kube.mounts())
def test_no_mount_that_is_accepted_makes_an_invalid_manifest(mounts):
    assert_valid_job(
        job_of(KubernetesSettings(profiles={"svd": ProfileSettings(image="worker")}, mounts=mounts)), EDGES
    )


def job_of(kubernetes):
    return build_job(request(limits=LEAST), Settings(kubernetes=kubernetes), instance="fmdj")


@given(st.text(max_size=100), st.text(max_size=100))
def test_label_values_fit_and_stay_apart(one, other):
    assert is_label_value(label_value(one))
    assert label_value(label_value(one)) == label_value(one)
    assert label_value(one) != label_value(other) or one == other or label_value(one) in (one, other)


@pytest.mark.parametrize("path", ["/", "/tmp", "/tmp/x", "/scratch/cache", "/dev/shm", "/data/", "//data", "/a/../b"])
def test_mounts_stay_out_of_the_pods_own_folders(path):
    with pytest.raises(ValueError, match=r"own there|absolute path|pattern"):
        MountSettings(path=path, claim="videos")
