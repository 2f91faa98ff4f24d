"""A Job that could never work isn't made: one sentence names the setting and the remedy."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import Kind
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import PipelineSettings
from tests.support.kube.jobs import LIMITS, job, request

KEYS = {"access_key_id": "AKIA123", "secret_access_key": "hunter2"}


def refused(*args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        job(*args, **kwargs)
    sentence = caught.value.sentence
    assert sentence.endswith(".")
    assert "hunter2" not in sentence
    return sentence


def pipeline(**changes):
    fields = {
        "name": "lab",
        "behavior_schema": "fbe",
        "video_roots": ("file:///lab/videos",),
        "processed_root": "file:///lab/processed",
    }
    return (PipelineSettings(**{**fields, **changes}),)


def test_a_profile_without_an_image():
    sentence = refused(request(Kind.POSE), kubernetes={"profiles": {}})
    assert sentence == "kubernetes.profiles.pose.image is empty: name the worker image that pose runs use."


def test_a_profile_that_there_isnt():
    sentence = refused(request(profile="a100"))
    assert "There is no profile 'a100' in kubernetes.profiles (known: default)" in sentence


@pytest.mark.parametrize(
    ("needs", "profile", "words"),
    [
        ({"memory_mib": 9000}, {"memory_max_mib": 8000}, "9000 MiB of memory and kubernetes.profiles.default.memory_m"),
        ({"scratch_mib": 9000}, {"scratch_max_mib": 8000}, "9000 MiB of scratch disk"),
        ({"gpu": 1}, {}, "1 GPU(s) and kubernetes.profiles.default.gpu is 0"),
    ],
)
def test_an_attempt_that_needs_more_than_its_profile_gives(needs, profile, words):
    assert words in refused(request(limits=LIMITS.model_copy(update={"scratch_mib": 64, **needs})), profile=profile)


def test_credentials_that_only_the_controller_has():
    sentence = refused(storage={"s3": KEYS})
    assert sentence.startswith("storage.s3.access_key_id, storage.s3.secret_access_key can't be handed to workers")
    assert "kubernetes.profiles.default.secret_env" in sentence
    assert "kubernetes.profiles.default.service_account" in sentence


@pytest.mark.parametrize(
    "profile",
    [
        {"service_account": "worker"},
        {"secret_env": {"AWS_ACCESS_KEY_ID": "s3/id", "AWS_SECRET_ACCESS_KEY": "s3/key"}},
        {"secret_env": {"fmdj_storage__s3__access_key_id": "s3/id"}},
    ],
)
def test_credentials_of_the_controller_dont_matter_where_workers_have_their_own(profile):
    assert job(profile=profile, storage={"s3": KEYS})


def test_an_aws_profile_that_workers_dont_have():
    assert "storage.s3.profile=lab is of an AWS configuration" in refused(storage={"s3": {"profile": "lab"}})
    assert job(profile={"secret_env": {"AWS_CONFIG_FILE": "aws/path"}}, storage={"s3": {"profile": "lab"}})


def test_a_ca_bundle_that_isnt_mounted():
    storage = {"s3": {"ca_bundle": "/etc/lab/ca.pem"}}
    sentence = refused(storage=storage)
    assert "storage.s3.ca_bundle=/etc/lab/ca.pem lies in none of kubernetes.mounts (there are none)" in sentence
    assert job(storage=storage, kubernetes={"mounts": [{"path": "/etc/lab", "config_map": "ca"}]})
    assert job(storage=storage, kubernetes={"mounts": [{"path": "/etc/lab/ca.pem", "secret": "ca", "sub_path": "x"}]})


def test_a_shared_folder_that_isnt_mounted():
    sentence = refused(pipelines=pipeline(), kubernetes={"mounts": [{"path": "/other", "claim": "other"}]})
    assert "file:///lab/videos (a root of the pipeline lab) lies in none of kubernetes.mounts (/other)" in sentence
    assert job(pipelines=pipeline(), kubernetes={"mounts": [{"path": "/lab", "claim": "lab"}]})


def test_a_shared_folder_of_another_pipeline_doesnt_matter():
    assert job(
        request(pipeline="cloud"),
        pipelines=pipeline() + pipeline(name="cloud", video_roots=("s3://videos",), processed_root="s3://processed"),
    )


def test_outputs_in_a_folder_that_workers_only_read():
    mounts = [{"path": "/lab", "claim": "lab", "read_only": True}]
    sentence = refused(pipelines=pipeline(), kubernetes={"mounts": mounts})
    assert "file:///lab/processed (processed_root) lies in the mount /lab, which workers can only read" in sentence
    assert job(pipelines=pipeline(), kubernetes={"mounts": [*mounts, {"path": "/lab/processed", "claim": "out"}]})


def test_roots_without_a_known_pipeline():
    sentence = refused(storage={"file": {"roots": ["/lab"]}})
    assert "file:///lab (storage.file.roots) lies in none of kubernetes.mounts" in sentence
