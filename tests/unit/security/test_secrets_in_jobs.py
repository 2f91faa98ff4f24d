"""A Job can be read by whoever may list Jobs: it names Secrets, and holds none."""

from __future__ import annotations

import json

import pytest

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import Settings, load_settings
from tests.support.kube.jobs import job

CANARY = "canary-that-nobody-sees"


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token"])
def test_credentials_of_the_settings_are_in_no_job(name):
    storage = {"s3": {name: CANARY, "endpoint_url": "https://s3.lab.org"}}
    with pytest.raises(ConfigError) as refused:
        job(storage=storage)
    assert CANARY not in refused.value.sentence
    named = {"AWS_ACCESS_KEY_ID": "lab-s3/id", "AWS_SECRET_ACCESS_KEY": "lab-s3/key"}
    text = json.dumps(job(storage=storage, profile={"secret_env": named}))
    assert "https://s3.lab.org" in text
    assert CANARY not in text


def test_a_worker_pod_gets_no_token_and_no_right_beyond_its_own():
    pod = job(profile={"service_account": "fmdj-worker"})["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    (container,) = pod["containers"]
    names = {one["name"] for one in container["env"]}
    assert not {name for name in names if "DATABASE" in name or name.startswith("DJ_")}
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_a_secret_is_referred_to_by_name():
    made = job(profile={"secret_env": {"AWS_SECRET_ACCESS_KEY": "lab-s3/key"}})
    (container,) = made["spec"]["template"]["spec"]["containers"]
    (found,) = [one for one in container["env"] if one["name"] == "AWS_SECRET_ACCESS_KEY"]
    assert found == {"name": found["name"], "valueFrom": {"secretKeyRef": {"name": "lab-s3", "key": "key"}}}


def test_an_address_of_the_store_holds_no_password():
    with pytest.raises(ConfigError) as refused:
        load_settings(storage={"s3": {"endpoint_url": f"https://lab:{CANARY}@s3.lab.org"}})
    assert "secret_access_key instead" in refused.value.sentence
    assert CANARY not in refused.value.sentence + repr(refused.value.__cause__)


def test_settings_never_print_a_password():
    settings = Settings(database={"password": CANARY}, storage={"s3": {"secret_access_key": CANARY}})
    for text in (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump())):
        assert CANARY not in text
